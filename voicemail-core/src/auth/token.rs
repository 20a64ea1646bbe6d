//! A token before and after its signature is checked.
//!
//! Only what is needed to find the key is read unverified: algorithm, key id and issuer.

use super::AuthError;
use super::keys::Key;
use crate::model::Time;
use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, Validation, dangerous, decode, decode_header};
use serde_json::{Map, Value};
use std::time::Duration;

/// A token's verified claims.
pub(super) type Claims = Map<String, Value>;

/// Longest token that is looked at.
const LONGEST: usize = 16 * 1024;
/// How far clocks may be apart, in seconds.
const LEEWAY: u64 = 30;

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
    pub(super) fn verify(&self, key: &Key, audiences: &[String]) -> Result<Claims, AuthError> {
        let mut rules = Validation::new(self.algorithm);
        rules.leeway = LEEWAY;
        rules.validate_nbf = true;
        rules.set_audience(audiences);
        rules.set_issuer(&[&self.issuer]);
        rules.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
        decode::<Claims>(self.text, &key.decoding, &rules)
            .map(|data| data.claims)
            .map_err(|error| refusal(error.kind()))
    }
}

/// Until when verified claims are accepted.
pub(super) fn expiry(claims: &Claims) -> Time {
    // A date may have a fraction; whatever is out of range saturates.
    let seconds = claims.get("exp").and_then(Value::as_f64).unwrap_or_default() as i64;
    Time::from_seconds(seconds).plus(Duration::from_secs(LEEWAY))
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
