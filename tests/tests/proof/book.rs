//! What people did and were told, and what follows from it: pure.
//!
//! An act has a moment before its first attempt and one after its acknowledgement; between the two nobody knows whether it is carried out. A
//! message covered by a request to forget is hidden from the acknowledgement on, until an undo begins. Which messages a request covers is
//! decided by when they were left: surely those acknowledged before it began, surely not those that began [`MARGIN`] after it was acknowledged.
//!
//! A recording whose messages are all gone has left the store, but for one copy of it for each attempt to make them that was cut off: what
//! such an attempt had stored stays for a day.

use crate::attempts::{Attempt, Kill};
use std::time::{Duration, Instant};

/// A request covers what is left within five seconds after it, by the clocks of replicas that may be apart.
pub(crate) const MARGIN: Duration = Duration::from_secs(6);

/// When something was begun, and when it was acknowledged.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Act {
    pub(crate) begun: Instant,
    pub(crate) acknowledged: Option<Instant>,
}

impl Act {
    /// It begins now.
    pub(crate) fn begin() -> Self {
        Self { begun: Instant::now(), acknowledged: None }
    }

    /// It is acknowledged now.
    pub(crate) fn acknowledge(&mut self) {
        self.acknowledged = Some(Instant::now());
    }

    fn is_over(&self, by: Instant) -> bool {
        self.acknowledged.is_some_and(|at| at <= by)
    }
}

/// A deposit, or a copy of one.
#[derive(Clone, Debug)]
pub(crate) struct Message {
    pub(crate) mailbox: String,
    /// None for a copy whose maker was never told.
    pub(crate) id: Option<String>,
    pub(crate) sound: u64,
    pub(crate) caller: usize,
    /// The deposit, or the forward.
    pub(crate) made: Act,
    /// When it was left: for a copy, when its original was.
    pub(crate) left: Act,
    pub(crate) deletion: Option<Act>,
    /// All that were made to make it, in their order.
    pub(crate) attempts: Vec<Attempt>,
    /// When it was answered that it isn't made.
    pub(crate) refused: Option<Instant>,
}

impl Message {
    /// The answer to all attempts that did anything: it isn't made.
    pub(crate) fn was_refused(&self, by: Instant) -> bool {
        let acted = self.attempts.iter().filter(|attempt| attempt.may_have_acted()).count();
        self.refused.is_some_and(|at| at <= by) && acted == 1
    }
}

/// A request to forget a caller.
#[derive(Clone, Debug)]
pub(crate) struct Forget {
    pub(crate) case: String,
    pub(crate) caller: usize,
    /// Without a window worth the name: it isn't undone.
    pub(crate) erases: bool,
    pub(crate) act: Act,
    pub(crate) undo: Option<Act>,
}

impl Forget {
    /// Whether the message is surely hidden by it, all the time.
    fn hides(&self, message: &Message, from: Instant, to: Instant) -> bool {
        let undone = self.undo.is_some_and(|undo| undo.begun <= to);
        self.act.is_over(from) && !undone && self.covers(message)
    }

    fn covers(&self, message: &Message) -> bool {
        message.caller == self.caller && message.left.is_over(self.act.begun)
    }

    /// Whether a deposit that was answered now may have been refused for it.
    pub(crate) fn may_refuse(&self, message: &Message) -> bool {
        let later = self.act.acknowledged.is_some_and(|at| message.made.begun > at + MARGIN);
        self.erases && message.caller == self.caller && !later
    }

    /// Whether the message is surely not touched by it, all the time.
    fn spares(&self, message: &Message, from: Instant, to: Instant) -> bool {
        let undone = self.undo.is_some_and(|undo| undo.is_over(from));
        let after = self.act.acknowledged.is_some_and(|at| message.left.begun > at + MARGIN);
        message.caller != self.caller || self.act.begun > to || undone || after
    }
}

/// What must be seen of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Expected {
    There,
    Gone,
    /// Something about it is under way.
    Either,
}

/// All of it.
#[derive(Default)]
pub(crate) struct Book {
    pub(crate) messages: Vec<Message>,
    pub(crate) forgets: Vec<Forget>,
    pub(crate) kills: Vec<Kill>,
}

impl Book {
    /// What must be seen of a message by somebody who began to look at one moment and had the answer at another.
    pub(crate) fn expect(&self, message: &Message, from: Instant, to: Instant) -> Expected {
        let gone = message.was_refused(from)
            || message.deletion.is_some_and(|act| act.is_over(from))
            || self.forgets.iter().any(|forget| forget.hides(message, from, to));
        let whole = message.made.is_over(from)
            && message.deletion.is_none_or(|act| act.begun > to)
            && self.forgets.iter().all(|forget| forget.spares(message, from, to));
        match (gone, whole) {
            (true, _) => Expected::Gone,
            (false, true) => Expected::There,
            (false, false) => Expected::Either,
        }
    }

    /// Copies of a recording that attempts may have left behind which were cut off.
    pub(crate) fn count_cut(&self, sound: u64) -> usize {
        let attempts = self
            .messages
            .iter()
            .filter(|message| message.sound == sound)
            .flat_map(|message| &message.attempts);
        attempts.filter(|attempt| attempt.is_cut(&self.kills)).count()
    }

    /// Whether the recording of a message must have left the store in the end.
    pub(crate) fn is_erased(&self, message: &Message) -> bool {
        let deleted = message.deletion.is_some_and(|act| act.acknowledged.is_some());
        let erased =
            |forget: &Forget| forget.erases && forget.act.acknowledged.is_some() && forget.covers(message);
        let refused = message.refused.is_some_and(|at| message.was_refused(at));
        deleted || refused || self.forgets.iter().any(erased)
    }

    /// All that is known of a message, for whoever follows a finding up.
    pub(crate) fn describe(&self, message: &Message, start: Instant) -> String {
        let at = |moment: Instant| format!("{:.3} s", (moment - start).as_secs_f64());
        let act = |act: &Act| format!("{} to {}", at(act.begun), act.acknowledged.map_or("?".into(), at));
        let mut text = format!(
            "recording {} of caller {}, {:?} in {}, made {}, left {}",
            message.sound,
            message.caller,
            message.id,
            message.mailbox,
            act(&message.made),
            act(&message.left)
        );
        for attempt in &message.attempts {
            let Attempt { replica, begun, ended, fate } = attempt;
            let cut = if attempt.is_cut(&self.kills) { ", cut off" } else { "" };
            text += &format!("; asked replica {replica} {} to {}: {fate}{cut}", at(*begun), at(*ended));
        }
        if let Some(deletion) = &message.deletion {
            text += &format!("; deleted {}", act(deletion));
        }
        for forget in self.forgets.iter().filter(|forget| forget.caller == message.caller) {
            let undo = forget.undo.as_ref().map_or("never".into(), act);
            let kind = if forget.erases { "erased" } else { "hidden" };
            text += &format!("; {kind} by {} {}, undone {undo}", forget.case, act(&forget.act));
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attempts::Fate;

    fn act(start: Instant, begun: u64, acknowledged: u64) -> Act {
        let at = |second| start + Duration::from_secs(second);
        Act { begun: at(begun), acknowledged: Some(at(acknowledged)) }
    }

    fn scene(start: Instant, deletion: Option<Act>, forgets: Vec<Forget>) -> (Book, Message) {
        let left = act(start, 10, 11);
        let message = Message {
            mailbox: "1".into(),
            id: None,
            sound: 1,
            caller: 1,
            made: left,
            left,
            deletion,
            attempts: Vec::new(),
            refused: None,
        };
        (Book { messages: vec![message.clone()], forgets, kills: Vec::new() }, message)
    }

    fn looks(book: &Book, message: &Message, start: Instant, seconds: [u64; 2]) -> Expected {
        let [from, to] = seconds.map(|second| start + Duration::from_secs(second));
        book.expect(message, from, to)
    }

    #[test]
    fn between_its_beginning_and_its_acknowledgement_an_act_says_nothing() {
        let start = Instant::now();
        let (book, message) = scene(start, Some(act(start, 20, 22)), Vec::new());
        let expect = |seconds| looks(&book, &message, start, seconds);
        assert_eq!(expect([9, 12]), Expected::Either, "the deposit is under way");
        assert_eq!(expect([12, 19]), Expected::There);
        assert_eq!(expect([19, 21]), Expected::Either, "the deletion is under way");
        assert_eq!(expect([23, 24]), Expected::Gone);
    }

    #[test]
    fn a_request_hides_what_was_left_before_it_until_it_is_undone() {
        let start = Instant::now();
        let forget = |begun, undo| Forget {
            case: "c".into(),
            caller: 1,
            erases: undo == 0,
            act: act(start, begun, begun + 1),
            undo: (undo > 0).then(|| act(start, undo, undo + 1)),
        };
        let (book, message) = scene(start, None, vec![forget(20, 30)]);
        let expect = |seconds| looks(&book, &message, start, seconds);
        assert_eq!(
            [expect([12, 19]), expect([22, 29]), expect([32, 40])].map(|seen| seen == Expected::Gone),
            [false, true, false]
        );
        assert_eq!([expect([12, 19]), expect([32, 40])], [Expected::There; 2]);
        assert_eq!([expect([19, 23]), expect([22, 30])], [Expected::Either; 2]);
        assert!(!book.is_erased(&message));
        let (book, message) = scene(start, None, vec![forget(20, 0)]);
        assert!(book.is_erased(&message) && looks(&book, &message, start, [50, 60]) == Expected::Gone);
        let (book, message) = scene(start, None, vec![forget(2, 0)]);
        assert_eq!(
            looks(&book, &message, start, [50, 60]),
            Expected::There,
            "it was left more than six seconds later"
        );
        assert!(!book.is_erased(&message));
    }

    #[test]
    fn a_recording_may_stay_once_for_each_attempt_that_was_cut_off_and_no_more() {
        let start = Instant::now();
        let at = |second| start + Duration::from_secs(second);
        let (mut book, _) = scene(start, Some(act(start, 20, 22)), Vec::new());
        let attempt = |fate| Attempt { replica: 0, begun: at(10), ended: at(11), fate };
        let ok = Fate::Answered(reqwest::StatusCode::CREATED);
        book.messages[0].attempts = vec![attempt(Fate::Broken), attempt(ok)];
        assert_eq!(book.count_cut(1), 0, "nobody was killed");
        book.kills.push(Kill { replica: 0, begun: at(10), ended: at(11) });
        assert_eq!((book.count_cut(1), book.count_cut(2)), (1, 0));
    }

    #[test]
    fn what_was_refused_is_gone_unless_an_attempt_before_may_have_made_it() {
        let start = Instant::now();
        let (mut book, _) = scene(start, None, Vec::new());
        let no = Fate::Answered(reqwest::StatusCode::GONE);
        let attempt = |fate| Attempt { replica: 0, begun: start, ended: start, fate };
        book.messages[0].made.acknowledged = None;
        book.messages[0].refused = Some(start + Duration::from_secs(11));
        book.messages[0].attempts = vec![attempt(Fate::Unreached), attempt(no)];
        let seen = |book: &Book| {
            (looks(book, &book.messages[0], start, [12, 13]), book.is_erased(&book.messages[0]))
        };
        assert_eq!(seen(&book), (Expected::Gone, true));
        book.messages[0].attempts.insert(0, attempt(Fate::Broken));
        assert_eq!(seen(&book), (Expected::Either, false));
    }
}
