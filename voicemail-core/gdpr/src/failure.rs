//! The failures of the command, each with an exit code a pipeline can branch on.

use voicemail_api::proofs::ProofError;

/// Why the command didn't do what it was asked for.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Failure {
    /// A file or the terminal.
    #[error("{0}")]
    Local(String),
    /// Flags that don't go together.
    #[error("{0}")]
    Usage(&'static str),
    /// The service refuses for good.
    #[error("{0}")]
    Refused(String),
    /// The credentials aren't accepted, or don't suffice.
    #[error("not signed in: {0}")]
    NotSignedIn(String),
    /// A repetition may help.
    #[error("try again: {0}")]
    TryAgain(String),
    /// Four eyes.
    #[error("a second person must approve run {0}")]
    AwaitingApproval(String),
    /// It goes on by itself.
    #[error("not done in time; run {0} goes on")]
    NotInTime(String),
    /// A receipt that nobody with the key signed.
    #[error("the receipt isn't genuine: {0}")]
    NotGenuine(ProofError),
    /// Links of a chain, or what they prove, are missing or changed.
    #[error("what was recorded isn't whole:\n{0}")]
    Broken(String),
    /// The run ended otherwise.
    #[error("run {0} ended as {1}")]
    EndedOtherwise(String, String),
    /// With client credentials the input names the tenant.
    #[error("ccid: {0}")]
    Ccid(&'static str),
}

impl Failure {
    /// Documented with the command's help.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Local(_) => 1,
            Self::Usage(_) => 2,
            Self::Refused(_) => 3,
            Self::NotSignedIn(_) => 4,
            Self::TryAgain(_) => 5,
            Self::AwaitingApproval(_) => 6,
            Self::NotInTime(_) => 7,
            Self::NotGenuine(_) | Self::Broken(_) => 8,
            Self::EndedOtherwise(..) => 9,
            Self::Ccid(_) => 10,
        }
    }
}
