//! The counts of the mailboxes that somebody watches.
//!
//! They come from two sides: what this process did itself brings counts with it, and the core pushes every change. Neither has a
//! number by which an older state could be told from a newer one; so a mailbox whose counts came from the first side is *unsure*
//! until the core, asked a little later, says the same.
//!
//! A phone that subscribes brings its mailbox's counts along, which were asked for. Of a mailbox that is watched for a trunk nothing
//! is known before the core pushes it, and nothing ever of one that isn't there.

use crate::core::{MwiStep, Voicemail};
use parking_lot::Mutex;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Notify, watch};
use voicemail_api::telephony::Counts;

/// How long after a change of our own the core is asked whether it is so.
const SETTLED: Duration = Duration::from_secs(5);

/// The board.
#[derive(Default)]
pub struct Board {
    known: Mutex<Known>,
    /// Somebody watches a mailbox that nobody watched before.
    new: Notify,
    unsure: Notify,
}

#[derive(Default)]
struct Known {
    boxes: HashMap<String, watch::Sender<Option<Counts>>>,
    unsure: BTreeSet<String>,
}

impl Board {
    /// Watches a mailbox, whose counts are these now.
    pub fn watch(&self, mailbox: &str, counts: Counts) -> watch::Receiver<Option<Counts>> {
        let mut known = self.known.lock();
        let Some(sender) = known.boxes.get(mailbox) else {
            return self.begin(&mut known, mailbox, Some(counts));
        };
        let (receiver, changed) = (sender.subscribe(), set(sender, counts));
        if changed {
            known.unsure.insert(mailbox.to_owned());
            self.unsure.notify_one();
        }
        receiver
    }

    /// Watches a mailbox whose counts are still to come from the core, unless they are known.
    pub fn expect(&self, mailbox: &str) -> watch::Receiver<Option<Counts>> {
        let mut known = self.known.lock();
        match known.boxes.get(mailbox) {
            Some(sender) => sender.subscribe(),
            None => self.begin(&mut known, mailbox, None),
        }
    }

    fn begin(
        &self,
        known: &mut Known,
        mailbox: &str,
        counts: Option<Counts>,
    ) -> watch::Receiver<Option<Counts>> {
        let sender = watch::Sender::new(counts);
        let receiver = sender.subscribe();
        known.boxes.insert(mailbox.to_owned(), sender);
        self.new.notify_one();
        receiver
    }

    /// A mailbox's counts are these by an answer to us.
    pub fn update(&self, mailbox: &str, counts: Counts) {
        let mut known = self.known.lock();
        if let Some(sender) = known.boxes.get(mailbox) {
            set(sender, counts);
            known.unsure.insert(mailbox.to_owned());
            self.unsure.notify_one();
        }
    }

    /// What the core pushes about these mailboxes. One that isn't there has no messages, if it ever was.
    pub(super) fn apply(&self, named: &BTreeSet<String>, step: MwiStep) {
        let known = self.known.lock();
        let tell = |mailbox: &str, counts| {
            if let Some(sender) = known.boxes.get(mailbox).filter(|_| named.contains(mailbox)) {
                set(sender, counts);
            }
        };
        match step {
            MwiStep::State(state) => {
                let state: HashMap<String, Counts> = state.into_iter().collect();
                named.iter().for_each(|name| match state.get(name) {
                    Some(counts) => tell(name, *counts),
                    None if known.boxes.get(name).is_some_and(|sender| sender.borrow().is_some()) => {
                        tell(name, Counts::default());
                    }
                    None => {}
                });
            }
            MwiStep::Changed(mailbox, counts) => tell(&mailbox, counts),
            MwiStep::Gone(mailbox) => tell(&mailbox, Counts::default()),
            MwiStep::Alive => {}
        }
    }

    /// Mailboxes that are watched; those that nobody watches any more are forgotten.
    pub(super) fn watched(&self) -> BTreeSet<String> {
        let mut known = self.known.lock();
        known.boxes.retain(|_, sender| sender.receiver_count() > 0);
        known.boxes.keys().cloned().collect()
    }

    /// Returns when somebody watches a mailbox that nobody watched before.
    pub(super) async fn wait_for_new(&self) {
        self.new.notified().await;
    }

    /// Asks the core about a mailbox; whether it says what is known.
    async fn ask(&self, voicemail: &dyn Voicemail, mailbox: &str) -> bool {
        match voicemail.counts(mailbox).await {
            Ok(counts) => {
                let known = self.known.lock();
                !known.boxes.get(mailbox).is_some_and(|sender| set(sender, counts))
            }
            // The stream tells of what is deleted, and of all when the core is back.
            Err(error) => {
                tracing::debug!(%error, "a watched mailbox's counts can't be had");
                true
            }
        }
    }

    /// Asks the core about these mailboxes, one after the other.
    pub(super) async fn ask_all(&self, voicemail: &dyn Voicemail, mailboxes: &BTreeSet<String>) {
        for mailbox in mailboxes {
            self.ask(voicemail, mailbox).await;
        }
    }

    /// Asks about mailboxes that are unsure, until the core says what is known.
    pub async fn settle(self: Arc<Self>, voicemail: Arc<dyn Voicemail>) {
        loop {
            if self.known.lock().unsure.is_empty() {
                self.unsure.notified().await;
            }
            tokio::time::sleep(SETTLED).await;
            let unsure = std::mem::take(&mut self.known.lock().unsure);
            for mailbox in unsure {
                if !self.ask(voicemail.as_ref(), &mailbox).await {
                    self.known.lock().unsure.insert(mailbox);
                }
            }
        }
    }
}

/// Wakes those who watch if there is something new, and says whether there was.
fn set(sender: &watch::Sender<Option<Counts>>, counts: Counts) -> bool {
    sender.send_if_modified(|known| {
        let changed = *known != Some(counts);
        *known = Some(counts);
        changed
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::tests::MemoryCore;

    fn new(count: u32) -> Counts {
        Counts { new: count, ..Counts::default() }
    }

    #[test]
    fn what_nobody_watches_any_more_is_forgotten() {
        let board = Board::default();
        let mut one = board.watch("1001", Counts::default());
        one.mark_unchanged();
        board.update("1001", Counts::default());
        assert!(!one.has_changed().unwrap());
        board.update("1001", new(1));
        assert!(one.has_changed().unwrap());
        board.update("1002", new(1));
        assert_eq!(board.watched(), BTreeSet::from(["1001".into()]));
        drop(one);
        assert!(board.watched().is_empty());
    }

    #[test]
    fn a_state_tells_of_each_mailbox_that_it_is_for_and_of_no_other() {
        let board = Board::default();
        let (one, two) = (board.watch("1001", new(3)), board.watch("1002", new(4)));
        let (other, named) = (board.watch("1003", new(5)), BTreeSet::from(["1001".into(), "1002".into()]));
        board.apply(&named, MwiStep::State(vec![("1001".into(), new(7)), ("1003".into(), new(9))]));
        let shown = || [*one.borrow(), *two.borrow(), *other.borrow()].map(|counts| counts.unwrap().new);
        assert_eq!(shown(), [7, 0, 5], "1002 isn't there");
        board.apply(&named, MwiStep::Changed("1002".into(), new(1)));
        board.apply(&named, MwiStep::Gone("1001".into()));
        board.apply(&named, MwiStep::Alive);
        assert_eq!(shown(), [0, 1, 5]);
    }

    #[test]
    fn nothing_is_known_of_a_mailbox_before_the_core_tells_it_and_never_of_one_that_is_not_there() {
        let board = Board::default();
        let (one, two) = (board.expect("1001"), board.expect("1002"));
        let named = BTreeSet::from(["1001".into(), "1002".into()]);
        board.apply(&named, MwiStep::State(vec![("1001".into(), new(0))]));
        assert_eq!((*one.borrow(), *two.borrow()), (Some(new(0)), None));
        board.apply(&named, MwiStep::Changed("1002".into(), new(1)));
        board.apply(&named, MwiStep::State(vec![]));
        assert_eq!((*one.borrow(), *two.borrow()), (Some(new(0)), Some(new(0))));
        assert_eq!(*board.expect("1002").borrow(), Some(new(0)));
    }

    #[tokio::test(start_paused = true)]
    async fn an_older_answer_that_came_after_a_newer_event_is_put_right() {
        let (board, core) = (Arc::new(Board::default()), Arc::new(MemoryCore::default()));
        let mut shown = board.watch("1001", Counts::default());
        let settling = tokio::spawn(board.clone().settle(core));
        board.apply(&BTreeSet::from(["1001".into()]), MwiStep::Changed("1001".into(), new(0)));
        // The core has none: this answer was on its way for long.
        board.update("1001", new(5));
        assert_eq!(shown.borrow_and_update().unwrap().new, 5);
        shown.changed().await.unwrap();
        assert_eq!(shown.borrow().unwrap().new, 0);
        settling.abort();
    }
}
