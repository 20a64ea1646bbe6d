//! Why a token isn't accepted. Messages name the rule, never anything of the token.

use crate::store::ErrorClass;

/// Why a caller isn't let in.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AuthError {
    /// No `Authorization: Bearer …`.
    #[error("send a bearer token in the Authorization header")]
    Missing,
    /// Not a JWT that could be valid at all.
    #[error("the token isn't a signed JWT of an accepted form")]
    Malformed,
    /// Unsigned, or signed with a shared secret.
    #[error("the token's algorithm isn't accepted")]
    Algorithm,
    /// Another issuer.
    #[error("the token's issuer isn't accepted here")]
    ForeignIssuer,
    /// Signed by a key that its issuer doesn't publish.
    #[error("the token's key isn't one of its issuer's")]
    UnknownKey,
    /// The signature is wrong.
    #[error("the token's signature is wrong")]
    Signature,
    /// For somebody else.
    #[error("the token is for another audience")]
    Audience,
    /// Too late.
    #[error("the token has expired")]
    Expired,
    /// Too early.
    #[error("the token isn't valid yet")]
    NotYet,
    /// A claim is missing or has another form.
    #[error("the token lacks a claim that is needed")]
    Claims,
    /// The issuer's keys can't be had, and none are known.
    #[error("the keys of the token's issuer can't be fetched: {0}")]
    KeysUnavailable(String),
}

impl AuthError {
    /// What to do about it.
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::KeysUnavailable(_) => ErrorClass::Transient,
            _ => ErrorClass::Permanent,
        }
    }
}

/// Why an authenticator can't be built.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AuthSetupError {
    /// Keys over a plain connection could be anybody's.
    #[error("auth: {0}: keys are fetched over https, from a loopback address, or from a file: URL")]
    InsecureUrl(String),
    /// Not a URL.
    #[error("auth: {0} is not a URL")]
    InvalidUrl(String),
}

impl AuthSetupError {
    /// What to do about it: change the configuration.
    pub fn class(&self) -> ErrorClass {
        ErrorClass::Permanent
    }
}
