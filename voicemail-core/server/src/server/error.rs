//! Why a process can't start at all.

use crate::auth::AuthSetupError;
use std::net::SocketAddr;
use std::path::PathBuf;
use voicemail_api::config::ConfigError;
use voicemail_store::ErrorClass;
use voicemail_telemetry::ExportError;

/// Why a process can't start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServeError {
    /// The configuration file can't be read.
    #[error("{}: {source}", file.display())]
    Unreadable {
        /// Which file.
        file: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The configuration is wrong.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A token issuer can't be used.
    #[error(transparent)]
    Auth(#[from] AuthSetupError),
    /// Spans can't be exported.
    #[error(transparent)]
    Export(#[from] ExportError),
    /// Others could reach a demonstration.
    #[error("{0} isn't a loopback address: a demonstration is for this machine alone")]
    NotLoopback(SocketAddr),
    /// An address can't be bound.
    #[error("{address} can't be bound: {source}")]
    Bind {
        /// Which address.
        address: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
}

impl ServeError {
    /// The action that the error asks for: change something, then start again.
    pub fn class(&self) -> ErrorClass {
        ErrorClass::Permanent
    }
}
