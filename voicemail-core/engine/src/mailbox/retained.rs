//! Which mailboxes' retention items this process has made already, so that a deposit doesn't make them again.

use crate::context::{Context, Memory};
use parking_lot::Mutex;
use std::collections::HashSet;
use std::sync::Arc;
use voicemail_model::{MailboxId, Time};

/// Retention days remembered as made; forgotten all at once when there are more.
const MOST: usize = 100_000;

/// Retention items by mailbox and day.
#[derive(Default)]
pub(crate) struct Retained(Mutex<HashSet<(MailboxId, Time)>>);

impl Memory for Retained {
    fn begin(_: &Context) -> Self {
        Self::default()
    }
}

impl Context {
    /// Retention items that this process has made.
    pub(crate) fn retained(&self) -> Arc<Retained> {
        self.memory()
    }
}

impl Retained {
    /// Whether the mailbox's item of that day was made.
    pub(super) fn has(&self, mailbox: &MailboxId, day: Time) -> bool {
        self.0.lock().contains(&(mailbox.clone(), day))
    }

    /// It was made.
    pub(super) fn note(&self, mailbox: &MailboxId, day: Time) {
        let mut retained = self.0.lock();
        if retained.len() >= MOST {
            retained.clear();
        }
        retained.insert((mailbox.clone(), day));
    }

    /// A due item of the mailbox has been carried out.
    pub(crate) fn forget(&self, mailbox: &MailboxId) {
        self.0.lock().retain(|(known, _)| known != mailbox);
    }
}
