//! Which work is filed: enough of it to tell whether a mailbox or a run has its due item.

use super::read::{self, Read};
use futures::TryStreamExt;
use std::collections::{BTreeMap, BTreeSet};
use voicemail_model::{Due, DueItem, GreetingKey, MailboxId, MessageId, RunId, Time};
use voicemail_store::{Key, Store, StoreError};

/// All due items in a few bytes for each mailbox and run.
#[derive(Default)]
pub(super) struct DueSummary {
    /// When a mailbox's messages are looked through next.
    pub(super) retain: BTreeMap<MailboxId, Time>,
    /// Deletions that are filed.
    pub(super) deletions: BTreeSet<(MailboxId, MessageId)>,
    /// Mailboxes that are being emptied.
    pub(super) closing: BTreeSet<MailboxId>,
    /// Greetings that are about to be looked at.
    pub(super) greetings: BTreeSet<GreetingKey>,
    /// Runs that somebody will look at.
    pub(super) runs: BTreeSet<RunId>,
}

impl DueSummary {
    pub(super) async fn read(store: &dyn Store) -> Result<Self, StoreError> {
        let mut summary = Self::default();
        let mut keys = store.list("due/");
        while let Some(key) = keys.try_next().await? {
            let Some(key) = Key::listed(&key) else { continue };
            if let Read::Good(item) | Read::Newer(Some(item)) = read::object::<DueItem>(store, &key).await? {
                summary.add(item);
            }
        }
        Ok(summary)
    }

    fn add(&mut self, item: DueItem) {
        match item.due {
            Due::Retain { mailbox } => {
                let next = self.retain.entry(mailbox).or_insert(item.at);
                *next = item.at.min(*next);
            }
            Due::Delete { mailbox, id, .. } => {
                self.deletions.insert((mailbox, id));
            }
            Due::Close { mailbox, .. } => {
                self.closing.insert(mailbox);
            }
            Due::Greeting { audio, .. } => {
                self.greetings.insert(audio);
            }
            Due::Released { .. } | Due::DepositKey { .. } => {}
            Due::Run { run, .. } => {
                self.runs.insert(run);
            }
        }
    }
}
