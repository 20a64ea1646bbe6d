//! A token before and after its signature is checked.
//!
//! Only what is needed to find the key is read unverified: algorithm, key id and issuer.

use super::AuthError;
use super::keys::Key;
use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, Validation, dangerous, decode, decode_header};
use serde_json::{Map, Value};
use std::time::Duration;
use voicemail_api::config::TokenAlgorithm;
use voicemail_model::Time;

/// A token's verified claims.
pub(super) type Claims = Map<String, Value>;

/// Longest token that is looked at.
const LONGEST: usize = 16 * 1024;
/// How far the clock of the cluster's issuer and ours may be apart.
pub(super) const DEFAULT_SKEW: Duration = Duration::from_secs(30);

const ACCEPTED: [Algorithm; 9] = [
    Algorithm::RS256,
    Algorithm::RS384,
    Algorithm::RS512,
    Algorithm::PS256,
    Algorithm::PS384,
    Algorithm::PS512,
    Algorithm::ES256,
    Algorithm::ES384,
    Algorithm::EdDSA,
];

/// The conditions that a token must fulfil beside its signature.
#[derive(Clone, Copy)]
pub(super) struct Terms<'a> {
    /// One of these must be named.
    pub(super) audiences: &'a [String],
    /// Signatures that are accepted; all when empty.
    pub(super) algorithms: &'a [TokenAlgorithm],
    /// How far clocks may be apart.
    pub(super) skew: Duration,
    /// From its issue to its end.
    pub(super) longest: Duration,
}

/// A token whose signature hasn't been checked.
pub(super) struct Token<'a> {
    text: &'a str,
    pub(super) algorithm: Algorithm,
    pub(super) kid: Option<String>,
    pub(super) issuer: String,
}

#[derive(serde::Deserialize)]
struct Unverified {
    iss: String,
}

impl<'a> Token<'a> {
    /// Whether a token has a JWT's three parts, the first of them a header; others are opaque.
    pub(super) fn is_signed(text: &str) -> bool {
        text.split('.').count() == 3 && text.starts_with("eyJ")
    }

    /// Reads what is needed to find the key.
    pub(super) fn read(text: &'a str) -> Result<Self, AuthError> {
        if text.len() > LONGEST {
            return Err(AuthError::Malformed);
        }
        let header = decode_header(text).map_err(|error| match error.kind() {
            ErrorKind::Json(_) => AuthError::Algorithm,
            _ => AuthError::Malformed,
        })?;
        if !ACCEPTED.contains(&header.alg) {
            return Err(AuthError::Algorithm);
        }
        if header.crit.is_some() {
            return Err(AuthError::Malformed);
        }
        let claims: Unverified = dangerous::insecure_decode_claims(text).map_err(|_| AuthError::Malformed)?;
        Ok(Self { text, algorithm: header.alg, kid: header.kid, issuer: claims.iss })
    }

    /// Checks signature, times, issuer and audience.
    pub(super) fn verify(&self, key: &Key, terms: &Terms<'_>) -> Result<Claims, AuthError> {
        if !terms.algorithms.is_empty() && !terms.algorithms.iter().any(|name| is(*name, self.algorithm)) {
            return Err(AuthError::Algorithm);
        }
        let mut rules = Validation::new(self.algorithm);
        rules.leeway = terms.skew.as_secs();
        rules.validate_nbf = true;
        rules.set_audience(terms.audiences);
        rules.set_issuer(&[&self.issuer]);
        rules.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
        let decoded = decode::<Claims>(self.text, &key.decoding, &rules);
        let claims = decoded.map(|data| data.claims).map_err(|error| refusal(error.kind()))?;
        if lives_longer(&claims, terms, Time::from_seconds(now_in_seconds())) {
            return Err(AuthError::LivesTooLong(terms.longest));
        }
        Ok(claims)
    }
}

fn is(name: TokenAlgorithm, algorithm: Algorithm) -> bool {
    let named = match name {
        TokenAlgorithm::RS256 => Algorithm::RS256,
        TokenAlgorithm::RS384 => Algorithm::RS384,
        TokenAlgorithm::RS512 => Algorithm::RS512,
        TokenAlgorithm::PS256 => Algorithm::PS256,
        TokenAlgorithm::PS384 => Algorithm::PS384,
        TokenAlgorithm::PS512 => Algorithm::PS512,
        TokenAlgorithm::ES256 => Algorithm::ES256,
        TokenAlgorithm::ES384 => Algorithm::ES384,
        TokenAlgorithm::EdDSA => Algorithm::EdDSA,
    };
    named == algorithm
}

/// By the clock that the times of tokens are compared with.
fn now_in_seconds() -> i64 {
    i64::try_from(jsonwebtoken::get_current_timestamp()).unwrap_or(i64::MAX)
}

/// Whether it was issued for longer than is accepted; one that doesn't say when counts from now.
fn lives_longer(claims: &Claims, terms: &Terms<'_>, now: Time) -> bool {
    let issued = claims.get("iat").and_then(Value::as_f64).map(|seconds| Time::from_seconds(seconds as i64));
    // One that claims to be issued later than it is would look shorter.
    let from = issued.map_or(now, |issued| issued.min(now));
    expiry(claims, Duration::ZERO).since(from) > terms.longest
}

/// Until when verified claims are accepted.
pub(super) fn expiry(claims: &Claims, skew: Duration) -> Time {
    // A date may have a fraction; whatever is out of range saturates.
    let seconds = claims.get("exp").and_then(Value::as_f64).unwrap_or_default() as i64;
    Time::from_seconds(seconds).plus(skew)
}

fn refusal(kind: &ErrorKind) -> AuthError {
    match kind {
        ErrorKind::ExpiredSignature => AuthError::Expired,
        ErrorKind::ImmatureSignature => AuthError::NotYet,
        ErrorKind::InvalidAudience => AuthError::Audience,
        ErrorKind::InvalidIssuer => AuthError::ForeignIssuer,
        ErrorKind::MissingRequiredClaim(_) | ErrorKind::InvalidClaimFormat(_) => AuthError::Claims,
        ErrorKind::InvalidAlgorithm => AuthError::Algorithm,
        ErrorKind::InvalidSignature => AuthError::Signature,
        _ => AuthError::Malformed,
    }
}
