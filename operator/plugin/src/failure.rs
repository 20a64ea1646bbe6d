//! Errors of the plugin, each with an exit code a script can branch on.

use voicemail_api::proofs::ProofError;
use voicemail_runtime::calls::CallError;

/// Why the plugin didn't do what it was asked for.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PluginError {
    /// A file or the terminal.
    #[error("{0}")]
    Local(String),
    /// No cluster to talk to.
    #[error("no usable kubeconfig: {0}")]
    Kubeconfig(String),
    /// Something isn't there, or isn't in a state for it.
    #[error("{0}")]
    NotThere(String),
    /// The API server refuses or doesn't answer.
    #[error(transparent)]
    Call(#[from] CallError),
    /// The tenant's API refuses.
    #[error("the tenant's API says: {0}")]
    Refused(String),
    /// The tenant's API can't be reached.
    #[error("the tenant's API can't be reached: {0}")]
    Unreachable(String),
    /// A receipt that nobody with the key signed.
    #[error("the receipt isn't genuine: {0}")]
    NotGenuine(#[from] ProofError),
}

impl PluginError {
    /// Documented with the plugin's help.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Local(_) | Self::Kubeconfig(_) => 1,
            Self::NotThere(_) => 3,
            Self::Call(error) if error.is_not_found() => 3,
            Self::Call(error) if error.is_forbidden() => 4,
            Self::Refused(_) => 4,
            Self::Call(_) | Self::Unreachable(_) => 5,
            Self::NotGenuine(_) => 8,
        }
    }
}

impl From<std::io::Error> for PluginError {
    fn from(error: std::io::Error) -> Self {
        Self::Local(error.to_string())
    }
}
