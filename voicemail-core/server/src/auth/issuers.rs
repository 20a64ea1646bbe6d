//! What is known of the issuers where people sign in, by whoever asked them last.

use std::sync::{Mutex, MutexGuard, PoisonError};
use voicemail_api::readiness::IssuersHealth;

/// What is known of them.
#[derive(Debug, Default)]
pub struct Issuers(Mutex<IssuersHealth>);

impl Issuers {
    /// What is known.
    pub(crate) fn health(&self) -> IssuersHealth {
        self.lock().clone()
    }

    /// They were asked, and these can't be.
    pub(crate) fn note(&self, unreachable: Vec<String>) {
        *self.lock() = IssuersHealth { asked: true, unreachable };
    }

    fn lock(&self) -> MutexGuard<'_, IssuersHealth> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
