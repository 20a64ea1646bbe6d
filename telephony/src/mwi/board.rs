//! The counts of the mailboxes that somebody watches.

use crate::core::Voicemail;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use voicemail_api::telephony::Counts;

/// How often the core is asked what others changed.
const EVERY: Duration = Duration::from_secs(30);

/// The board.
#[derive(Default)]
pub struct Board(Mutex<HashMap<String, watch::Sender<Counts>>>);

impl Board {
    /// Watches a mailbox, whose counts are these now.
    pub fn watch(&self, mailbox: &str, counts: Counts) -> watch::Receiver<Counts> {
        let mut known = self.0.lock();
        let sender = known.entry(mailbox.to_owned()).or_insert_with(|| watch::Sender::new(counts));
        set(sender, counts);
        sender.subscribe()
    }

    /// A mailbox's counts are these now.
    pub fn update(&self, mailbox: &str, counts: Counts) {
        if let Some(sender) = self.0.lock().get(mailbox) {
            set(sender, counts);
        }
    }

    /// Mailboxes that are watched; those that nobody watches any more are forgotten.
    fn watched(&self) -> Vec<String> {
        let mut known = self.0.lock();
        known.retain(|_, sender| sender.receiver_count() > 0);
        known.keys().cloned().collect()
    }

    /// Asks the core again and again.
    pub async fn follow(self: Arc<Self>, voicemail: Arc<dyn Voicemail>) {
        loop {
            tokio::time::sleep(EVERY).await;
            for mailbox in self.watched() {
                match voicemail.counts(&mailbox).await {
                    Ok(counts) => self.update(&mailbox, counts),
                    Err(error) => tracing::warn!(%error, "a watched mailbox's counts can't be had"),
                }
            }
        }
    }
}

/// Wakes those who watch if there is something new.
fn set(sender: &watch::Sender<Counts>, counts: Counts) {
    sender.send_if_modified(|known| {
        let changed = *known != counts;
        *known = counts;
        changed
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nobody_watches_any_more_is_forgotten() {
        let board = Board::default();
        let mut one = board.watch("1001", Counts::default());
        one.mark_unchanged();
        board.update("1001", Counts::default());
        assert!(!one.has_changed().unwrap());
        board.update("1001", Counts { new: 1, ..Counts::default() });
        assert!(one.has_changed().unwrap());
        board.update("1002", Counts { new: 1, ..Counts::default() });
        assert_eq!(board.watched(), ["1001"]);
        drop(one);
        assert!(board.watched().is_empty());
    }
}
