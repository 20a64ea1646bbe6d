//! Authentication: a caller's identity and roles: signed tokens (JWT) checked against configured issuers, opaque ones
//! looked up at their issuer, names and passwords compared with a file of hashes.
//!
//! ```text
//! JWT ─▶ header (asymmetric algorithms only) ─▶ issuer by `iss` ─▶ its keys (cached) ─▶ signature,
//!        times, audience ─▶ roles: by service account, or by the issuer's role map ─▶ Principal
//! opaque token ─▶ introspection (cached for a minute at most) ─▶ audience ─▶ roles but privacy ─▶ Principal
//! name, password ─▶ attempt counted ─▶ hash compared ─▶ roles of the file's line ─▶ Principal
//! ```
//!
//! Keys are found by discovery, kept, looked up again when a token names an unknown one (at most every
//! 10 s an issuer) and every 10 minutes. A key source that can't be reached leaves the keys known so far
//! in force; without any, the answer is "try again", never "come in".
//!
//! A [`Authenticator`] is built for one configuration; a reload builds another.

mod basic;
mod claims;
mod error;
mod fetch;
mod introspection;
mod issuers;
mod keys;
mod lockout;
pub(crate) mod login;
mod passwords;
pub(crate) mod session;
pub(crate) mod ticket;
mod token;
mod users;

pub(crate) use basic::PasswordProof;
pub use error::{AuthError, AuthSetupError};
pub use issuers::Issuers;

use basic::Basic;
use futures::future::BoxFuture;
use introspection::Introspection;
use keys::{KeySource, Origin};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use token::{DEFAULT_SKEW, Terms, Token};
use voicemail_api::config::TenantConfig;
use voicemail_api::config::{AuthConfig, IssuerConfig, KubernetesIssuer};
use voicemail_engine::context::Witnesses;
use voicemail_engine::principal::Principal;
use voicemail_model::Time;
use voicemail_model::clock::World;

/// Checks tokens by one configuration.
pub struct Authenticator {
    kubernetes: Option<(KubernetesIssuer, KeySource)>,
    issuers: Vec<(IssuerConfig, KeySource)>,
    introspection: Option<Introspection>,
    basic: Option<Basic>,
    longest: Duration,
}

impl Authenticator {
    /// Prepares the issuers; nothing is fetched before the first token.
    ///
    /// # Errors
    /// When a key source's address can't be used.
    pub fn new(config: &AuthConfig, world: &World) -> Result<Self, AuthSetupError> {
        let config = &config.with_prefixes();
        let issuers = config.issuers.iter().map(|issuer| {
            let source = KeySource::new(Origin::of_issuer(issuer)?, world.clone());
            Ok((issuer.clone(), source))
        });
        let kubernetes = config.kubernetes.as_ref().map(|issuer| {
            let source = KeySource::new(Origin::of_cluster(issuer)?, world.clone());
            Ok((issuer.clone(), source))
        });
        let introspection = config.introspection.as_ref().map(|config| Introspection::new(config, world));
        Ok(Self {
            issuers: issuers.collect::<Result<_, _>>()?,
            kubernetes: kubernetes.transpose()?,
            introspection: introspection.transpose()?,
            basic: config.basic.as_ref().map(|config| Basic::new(config, world)),
            longest: config.longest_token_life,
        })
    }

    /// Checks a bearer token.
    ///
    /// # Errors
    /// Why it isn't accepted, or that it can't be checked now.
    pub async fn authenticate(&self, bearer: &str) -> Result<Principal, AuthError> {
        match &self.introspection {
            Some(introspection) if !Token::is_signed(bearer) => introspection.authenticate(bearer).await,
            _ => self.authenticate_signed(bearer).await,
        }
    }

    /// Checks a name and a password, in base64, from that address.
    ///
    /// # Errors
    /// `Missing` where passwords aren't configured; else why they aren't accepted, or can't be checked now.
    pub async fn authenticate_basic(
        &self,
        encoded: &str,
        peer: Option<IpAddr>,
    ) -> Result<Principal, AuthError> {
        let basic = self.basic.as_ref().ok_or(AuthError::Missing)?;
        basic.authenticate(encoded, peer).await
    }

    /// Checks a name and a password from a form, and gives what tells later whether they are still as they were.
    ///
    /// # Errors
    /// As those of `authenticate_basic`.
    pub(crate) async fn sign_in(
        &self,
        name: &str,
        password: &str,
        peer: Option<IpAddr>,
    ) -> Result<(Principal, PasswordProof), AuthError> {
        let basic = self.basic.as_ref().ok_or(AuthError::Missing)?;
        basic.sign_in(name, password, peer).await
    }

    /// Who somebody is now that signed in by a password which must be the same still.
    ///
    /// # Errors
    /// `WrongPassword` when name or password are gone, or that it can't be told now.
    pub(crate) async fn still(&self, proof: &PasswordProof) -> Result<Principal, AuthError> {
        self.basic.as_ref().ok_or(AuthError::Missing)?.still(proof).await
    }

    async fn authenticate_signed(&self, bearer: &str) -> Result<Principal, AuthError> {
        let token = Token::read(bearer)?;
        let mut refusal = None;
        for (issuer, source) in self.issuers.iter().filter(|(issuer, _)| issuer.issuer == token.issuer) {
            match by_issuer(&token, issuer, source, self.longest).await {
                Ok(identity) => return Ok(identity),
                Err(error) => refusal = Some(error),
            }
        }
        match (refusal, &self.kubernetes) {
            (Some(refusal), _) => Err(refusal),
            (None, Some((cluster, source))) => by_cluster(&token, cluster, source, self.longest).await,
            (None, None) => Err(AuthError::ForeignIssuer),
        }
    }
}

async fn by_issuer(
    token: &Token<'_>,
    issuer: &IssuerConfig,
    source: &KeySource,
    longest: Duration,
) -> Result<Principal, AuthError> {
    let known = source.current().await?;
    let audiences = std::slice::from_ref(&issuer.audience);
    let terms = Terms { audiences, algorithms: &issuer.algorithms, skew: issuer.clock_skew, longest };
    let claims = source.verify(token, known, &terms).await?;
    claims::identity_of_user(&claims, issuer)
}

async fn by_cluster(
    token: &Token<'_>,
    cluster: &KubernetesIssuer,
    source: &KeySource,
    longest: Duration,
) -> Result<Principal, AuthError> {
    let known = source.current().await?;
    if known.issuer != token.issuer {
        return Err(AuthError::ForeignIssuer);
    }
    let audiences = claims::audiences_of(cluster);
    let terms = Terms { audiences: &audiences, algorithms: &[], skew: DEFAULT_SKEW, longest };
    let claims = source.verify(token, known, &terms).await?;
    claims::identity_of_account(&claims, cluster)
}

/// The times by the clocks of the machines that keys are fetched from: the API server, and issuers that aren't files.
/// A machine that doesn't answer is left out.
async fn ask_time(config: &AuthConfig) -> Vec<Time> {
    let cluster = config.kubernetes.iter().map(Origin::of_cluster);
    let issuers = config.issuers.iter().map(Origin::of_issuer);
    let mut said = Vec::new();
    for origin in cluster.chain(issuers).flatten() {
        said.extend(origin.time().await);
    }
    said
}

/// The machines that keys are fetched from, as witnesses of the time.
pub struct KeySources;

impl Witnesses for KeySources {
    fn ask(&self, config: Arc<TenantConfig>) -> BoxFuture<'_, Vec<Time>> {
        Box::pin(async move { ask_time(&config.auth).await })
    }
}

/// Whether a bearer token is a signed one (a JWT), which is verified without asking anybody.
pub(crate) fn is_signed(bearer: &str) -> bool {
    Token::is_signed(bearer)
}

#[cfg(test)]
mod introspection_tests;
#[cfg(test)]
mod login_tests;
#[cfg(test)]
mod tests;
