//! What is remembered of e-mails about a mailbox's messages: whom they go to, whose turn it is to send, and what was sent.
//!
//! ```text
//! users noted by provisioning ─▶ owed: new messages since then, not yet settled ─▶ sent, or refused ─▶ settled
//! ```
//!
//! Nothing here is a queue: what is owed follows from the mailbox's index, so a message that is heard, deleted or hidden by
//! an erasure is owed to nobody. Pure. Holds names of users and of messages, and nothing of callers.

use super::{Index, MessageId, MessageState, Time, UserId};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::time::Duration;
use voicemail_api::config::EmailContent;

/// How long a turn counts if its holder doesn't give it back.
pub const TURN: Duration = Duration::from_secs(300);
/// How long before it was noticed that mails are wanted a message may have come and be sent nevertheless.
const GRACE: Duration = Duration::from_secs(600);

/// The mails of one mailbox, `email/<m2>/<mailbox>`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Mailing {
    /// Users who may be owed mails. Whether they are, their own documents say.
    users: BTreeMap<UserId, Reader>,
    /// Which replica sends, until when.
    #[serde(skip_serializing_if = "String::is_empty")]
    holder: String,
    until: Time,
    /// What was done for the messages that are there.
    messages: BTreeMap<MessageId, Mailed>,
    /// Fields of newer versions.
    #[serde(flatten)]
    unknown: Map<String, Value>,
}

/// A user who may be owed mails.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Reader {
    /// Of the write that noted them last, so that nobody who looked before it takes them out.
    mark: String,
    /// Earlier messages are owed to them by nobody.
    since: Time,
    /// No mails are wanted: what comes meanwhile is owed to them by nobody.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    paused: bool,
    /// Fields of newer versions.
    #[serde(flatten)]
    unknown: Map<String, Value>,
}

/// What was done for one message, by user.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Mailed {
    /// The outcome of each mail.
    pub users: BTreeMap<UserId, Outcome>,
    /// Mails that were begun and have no outcome: the server may have them.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub begun: BTreeMap<UserId, Begun>,
    /// Fields of newer versions.
    #[serde(flatten)]
    pub unknown: Map<String, Value>,
}

/// A mail that was begun.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Begun {
    /// How much it tells.
    pub content: EmailContent,
    /// Of the turn that somebody has; otherwise a turn ended, and nobody knows whether the server took the mail.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub under_way: bool,
    /// Fields of newer versions.
    #[serde(flatten)]
    pub unknown: Map<String, Value>,
}

/// The outcome of a mail.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    /// When.
    pub at: Time,
    /// How much it told.
    pub content: EmailContent,
    /// The server's reply code if it refused this mail for good; nobody has it then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused: Option<u16>,
}

impl Mailing {
    /// A user may be owed mails from now on. `anew`: they weren't before, whatever stands here.
    pub fn note_user(&mut self, user: &UserId, mark: &str, now: Time, anew: bool) {
        let fresh = || Reader { mark: String::new(), since: now, paused: false, unknown: Map::new() };
        let reader = self.users.entry(user.clone()).or_insert_with(fresh);
        mark.clone_into(&mut reader.mark);
        if anew {
            (reader.since, reader.paused) = (now, false);
        }
    }

    /// Whether a user is noted.
    pub fn has_user(&self, user: &UserId) -> bool {
        self.users.contains_key(user)
    }

    /// The users noted, each with the mark of the write that did it last.
    pub fn users(&self) -> impl Iterator<Item = (&UserId, &str)> {
        self.users.iter().map(|(user, reader)| (user, reader.mark.as_str()))
    }

    /// Takes a user out who was found to be owed nothing, unless they were noted again since that mark.
    pub fn forget_user(&mut self, user: &UserId, mark: &str) -> bool {
        let found = self.users.get(user).is_some_and(|reader| reader.mark == mark);
        found && self.users.remove(user).is_some()
    }

    /// Notes whether a user wants mails now. True if that is news.
    pub fn want(&mut self, user: &UserId, wanted: bool, now: Time) -> bool {
        let Some(reader) = self.users.get_mut(user).filter(|reader| reader.paused == wanted) else {
            return false;
        };
        reader.paused = !wanted;
        if wanted {
            reader.since = now.minus(GRACE).max(reader.since);
        }
        true
    }

    /// Takes the turn if it is nobody's, ours, or has run out. What a turn before began and said nothing of may have been sent.
    pub fn claim(&mut self, holder: &str, now: Time) -> bool {
        let free = self.holder.is_empty() || self.holder == holder || self.until < now;
        if free {
            (self.holder, self.until) = (holder.to_owned(), now.plus(TURN));
            let begun = self.messages.values_mut().flat_map(|mailed| mailed.begun.values_mut());
            begun.for_each(|begun| begun.under_way = false);
        }
        free
    }

    /// Notes, before it is sent, a mail that the turn may send.
    pub fn begin(&mut self, id: MessageId, user: &UserId, content: EmailContent) {
        if !self.is_settled(id, user) {
            let fresh = Begun { content, under_way: true, unknown: Map::new() };
            let begun = self.messages.entry(id).or_default().begun.entry(user.clone()).or_insert(fresh);
            begun.content = begun.content.max(content);
        }
    }

    /// The server may have that mail, and nobody will know.
    pub fn doubt(&mut self, id: MessageId, user: &UserId) {
        if let Some(begun) = self.messages.get_mut(&id).and_then(|mailed| mailed.begun.get_mut(user)) {
            begun.under_way = false;
        }
    }

    /// Gives the turn back: what it began and didn't settle or doubt wasn't sent. False if it isn't that holder's.
    pub fn release(&mut self, holder: &str) -> bool {
        let ours = self.holder == holder;
        if ours {
            self.holder.clear();
            self.messages.values_mut().for_each(|mailed| mailed.begun.retain(|_, begun| !begun.under_way));
            self.messages.retain(|_, mailed| !mailed.is_empty());
        }
        ours
    }

    /// Whether that replica has the turn.
    pub fn is_held_by(&self, holder: &str) -> bool {
        self.holder == holder
    }

    /// The messages that a user is owed mails about, oldest first.
    pub fn owed(&self, user: &UserId, index: &Index) -> Vec<MessageId> {
        let Some(reader) = self.users.get(user).filter(|reader| !reader.paused && !index.closed) else {
            return Vec::new();
        };
        let is_owed = |id: &MessageId| id.time() >= reader.since && !self.is_settled(*id, user);
        let new =
            index.entries.iter().filter(|(_, entry)| entry.is_listed() && entry.state == MessageState::New);
        new.map(|(id, _)| *id).filter(is_owed).collect()
    }

    fn is_settled(&self, id: MessageId, user: &UserId) -> bool {
        self.messages.get(&id).is_some_and(|mailed| mailed.users.contains_key(user))
    }

    /// Remembers the outcome of a mail.
    pub fn settle(&mut self, id: MessageId, user: &UserId, outcome: Outcome) {
        let mailed = self.messages.entry(id).or_default();
        mailed.begun.remove(user);
        mailed.users.insert(user.clone(), outcome);
    }

    /// Forgets what was done for messages that aren't there any more.
    pub fn prune(&mut self, index: &Index) {
        self.messages.retain(|id, _| index.entries.get(id).is_some());
    }

    /// What was done for a message.
    pub fn mailed(&self, id: MessageId) -> Option<&Mailed> {
        self.messages.get(&id)
    }
}

impl Mailed {
    /// How many mails with the caller's data went out, or may have.
    pub fn copies(&self) -> usize {
        let sent =
            self.users.values().filter(|outcome| outcome.refused.is_none()).map(|outcome| outcome.content);
        let begun = self.begun.values().map(|begun| begun.content);
        sent.chain(begun).filter(|content| *content >= EmailContent::Caller).count()
    }

    fn is_empty(&self) -> bool {
        self.users.is_empty() && self.begun.is_empty() && self.unknown.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::index_ops::tests::entry;
    use crate::{Entry, RunId, Trash};
    use voicemail_api::gdpr::Operation;

    const NOW: Time = Time(1_790_000_000_000);

    fn ann() -> UserId {
        "ann".parse().unwrap()
    }

    fn id(at: Time, number: u8) -> MessageId {
        MessageId::new(at, &[number; 10])
    }

    fn index(ids: &[MessageId]) -> Index {
        let mut index = Index { generation: 1, ..Index::default() };
        for id in ids {
            index.entries.insert(*id, entry(1));
        }
        index
    }

    fn sent(at: Time) -> Outcome {
        Outcome { at, content: EmailContent::Caller, refused: None }
    }

    fn mailing() -> Mailing {
        let mut mailing = Mailing::default();
        mailing.note_user(&ann(), "a", NOW, true);
        mailing
    }

    fn later(seconds: u64) -> Time {
        NOW.plus(Duration::from_secs(seconds))
    }

    #[test]
    fn new_messages_since_the_address_was_given_are_owed_in_order_until_they_are_settled() {
        let (before, first, second) = (id(NOW.minus(TURN), 1), id(later(1), 2), id(later(2), 3));
        let (mut mailing, index) = (mailing(), index(&[second, first, before]));
        assert_eq!(mailing.owed(&ann(), &index), [first, second]);
        mailing.settle(first, &ann(), sent(later(3)));
        assert_eq!(mailing.owed(&ann(), &index), [second]);
        assert_eq!(mailing.mailed(first).unwrap().copies(), 1);
        assert_eq!(mailing.owed(&"bob".parse().unwrap(), &index), []);
    }

    #[test]
    fn what_is_heard_trashed_or_hidden_by_an_erasure_is_owed_to_nobody() {
        let message = id(later(1), 1);
        let (mailing, mut index) = (mailing(), index(&[message]));
        let change = |index: &mut Index, change: fn(&mut Entry)| {
            let mut entry = entry(1);
            change(&mut entry);
            index.entries.insert(message, entry);
        };
        for spoil in [
            (|entry| entry.state = MessageState::Read) as fn(&mut Entry),
            |entry| entry.state = MessageState::Deleting,
            |entry| entry.trash = Some(Trash::until(NOW)),
            |entry| {
                entry.forget.insert(RunId::new(&"c".parse().unwrap(), Operation::ForgetMe, 1), NOW);
            },
        ] {
            change(&mut index, spoil);
            assert_eq!(mailing.owed(&ann(), &index), []);
        }
        change(&mut index, |_| {});
        assert_eq!(mailing.owed(&ann(), &index), [message]);
        index.closed = true;
        assert_eq!(mailing.owed(&ann(), &index), []);
    }

    #[test]
    fn what_came_while_no_mails_were_wanted_is_not_sent_when_they_are_wanted_again() {
        let (early, late) = (id(later(60), 1), id(later(7_000), 2));
        let (mut mailing, index) = (mailing(), index(&[early, late]));
        assert!(mailing.want(&ann(), false, later(10)) && !mailing.want(&ann(), false, later(11)));
        assert_eq!(mailing.owed(&ann(), &index), []);
        assert!(mailing.want(&ann(), true, later(7_200)));
        assert_eq!(mailing.owed(&ann(), &index), [late]);
    }

    #[test]
    fn a_user_noted_again_meanwhile_is_not_taken_out() {
        let mut mailing = mailing();
        mailing.note_user(&ann(), "b", later(5), false);
        assert!(!mailing.forget_user(&ann(), "a") && mailing.has_user(&ann()));
        assert!(mailing.forget_user(&ann(), "b") && !mailing.has_user(&ann()));
    }

    #[test]
    fn one_replica_at_a_time_has_the_turn() {
        let mut mailing = mailing();
        assert!(mailing.claim("a", NOW) && mailing.claim("a", NOW) && !mailing.claim("b", NOW));
        assert!(!mailing.release("b") && mailing.release("a") && mailing.claim("b", NOW));
        assert!(!mailing.claim("a", NOW.plus(TURN)) && mailing.claim("a", NOW.plus(TURN * 2)));
    }

    #[test]
    fn what_a_newer_version_wrote_is_kept() {
        let text =
            r#"{"users":{"ann":{"mark":"a","since":1,"later":true}},"until":0,"messages":{},"more":[1]}"#;
        let read: Mailing = serde_json::from_str(text).unwrap();
        assert_eq!(serde_json::to_value(&read).unwrap(), serde_json::from_str::<Value>(text).unwrap());
    }
}
