//! Why nobody can follow MWI states now.

use voicemail_store::StoreError;

/// Why nobody can subscribe now.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// As many as can be are there already.
    #[error("there are as many event streams as this replica can hold")]
    TooMany,
    /// As many as one user or account may have are there already.
    #[error("one user or account holds at most {0} event streams at a replica")]
    TooManyOfUser(u32),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}
