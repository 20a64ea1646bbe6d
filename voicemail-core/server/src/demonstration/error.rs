//! Why a demonstration can't be given.

use crate::server::ServeError;
use std::net::SocketAddr;
use std::path::PathBuf;
use tokio::task::JoinError;
use voicemail_engine::mailbox::MailboxError;
use voicemail_store::ErrorClass;

/// Why a demonstration can't be given.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DemonstrationError {
    /// Others could reach it.
    #[error(
        "{0} isn't a loopback address: a demonstration is for this machine alone; use `voicemail serve` for a service"
    )]
    NotLoopback(SocketAddr),
    /// A file of its folder can't be made.
    #[error("{}: {source}", file.display())]
    Unwritable {
        /// Which.
        file: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Keys or hashes can't be made.
    #[error("{0} can't be made")]
    Unmade(&'static str),
    /// It can't be served.
    #[error(transparent)]
    Serve(#[from] ServeError),
    /// Its mailboxes can't be made.
    #[error("the mailboxes of the demonstration can't be made: {0}")]
    Mailbox(#[from] MailboxError),
    /// The server ended by itself.
    #[error("the server ended: {0}")]
    Ended(#[from] JoinError),
}

impl DemonstrationError {
    /// The action that the error asks for: change something, then start again.
    pub fn class(&self) -> ErrorClass {
        ErrorClass::Permanent
    }
}
