//! Why a token isn't accepted. Messages name the rule, never anything of the token.

use std::time::Duration;
use voicemail_api::config::format_duration;
use voicemail_engine::principal::MailboxTokenError;
use voicemail_model::SealError;
use voicemail_store::ErrorClass;

/// Why a caller isn't let in.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AuthError {
    /// No `Authorization` of a scheme that is accepted here.
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
    /// Issued for too long a time.
    #[error("the token was issued for longer than {} is accepted here (auth.longestTokenLife): ask for a shorter one", format_duration(*.0))]
    LivesTooLong(Duration),
    /// Too early.
    #[error("the token isn't valid yet")]
    NotYet,
    /// A claim is missing or has another form.
    #[error("the token lacks a claim that is needed")]
    Claims,
    /// The issuer's keys can't be had, and none are known.
    #[error("the keys of the token's issuer can't be fetched: {0}")]
    KeysUnavailable(String),
    /// The introspection endpoint can't be asked.
    #[error("the token can't be looked up: {0}")]
    LookupUnavailable(String),
    /// Opaque, and its issuer says that it doesn't count, or doesn't count any more.
    #[error("the token isn't active")]
    Inactive,
    /// Not base64 of a name and a password.
    #[error("the Authorization header doesn't hold a name and a password")]
    MalformedPassword,
    /// The name is unknown or the password is wrong: which one isn't told.
    #[error("the name or the password is wrong")]
    WrongPassword,
    /// Too many wrong passwords for this name from this address.
    #[error("too many wrong passwords: try again later")]
    LockedOut(Duration),
    /// The file of users can't be read, or too many passwords are being checked.
    #[error("the password can't be checked now: {0}")]
    PasswordsUnavailable(String),
}

impl From<SealError> for AuthError {
    fn from(error: SealError) -> Self {
        match error {
            SealError::Malformed => Self::Malformed,
            SealError::Signature => Self::Signature,
        }
    }
}

impl From<MailboxTokenError> for AuthError {
    fn from(error: MailboxTokenError) -> Self {
        match error {
            MailboxTokenError::Malformed => Self::Malformed,
            MailboxTokenError::Signature => Self::Signature,
            MailboxTokenError::Expired => Self::Expired,
        }
    }
}

impl AuthError {
    /// The action that the error asks for.
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::KeysUnavailable(_)
            | Self::LookupUnavailable(_)
            | Self::PasswordsUnavailable(_)
            | Self::LockedOut(_) => ErrorClass::Transient,
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
    /// The action that the error asks for: change the configuration.
    pub fn class(&self) -> ErrorClass {
        ErrorClass::Permanent
    }
}
