//! What is known of the issuers where people sign in, by whoever asked them last.

use serde::Serialize;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// What is known of them.
#[derive(Debug, Default)]
pub struct Issuers(Mutex<Said>);

/// The same for others to read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Said {
    /// Whether they were asked yet.
    pub(crate) asked: bool,
    /// Those that can't be asked.
    pub(crate) unreachable: Vec<String>,
}

impl Issuers {
    /// What is known.
    pub(crate) fn said(&self) -> Said {
        self.lock().clone()
    }

    /// They were asked, and these can't be.
    pub(crate) fn note(&self, unreachable: Vec<String>) {
        *self.lock() = Said { asked: true, unreachable };
    }

    fn lock(&self) -> MutexGuard<'_, Said> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
