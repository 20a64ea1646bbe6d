//! What people did and what the mail server took, and what must hold between them.

use std::collections::{BTreeMap, BTreeSet};
use voicemail_api::gdpr::RunState;
use voicemail_email::Mail;
use voicemail_model::{Index, MessageId, Run, Time};

/// The caller of a message, one for each.
pub(super) fn caller(number: usize) -> String {
    format!("+4420794600{number:02}")
}

/// The caller's name, by which a mail about the message is known.
pub(super) fn name(number: usize) -> String {
    format!("Nr{number:02}x")
}

/// A mail that somebody wants to hand over: to whom, about which messages.
#[derive(Clone)]
pub(super) struct Asked {
    to: String,
    about: Vec<usize>,
}

struct Message {
    id: MessageId,
    /// Which act its end was.
    acknowledged: usize,
}

#[derive(Default)]
pub(super) struct Book {
    /// Which act the beginning of each deposit was, by the message's number.
    begun: Vec<usize>,
    messages: BTreeMap<usize, Message>,
    /// Counts acts, so that one can be said to be before another.
    acts: usize,
    touched: BTreeSet<usize>,
    gone: BTreeSet<usize>,
    cases: BTreeMap<String, usize>,
    undone: BTreeSet<String>,
    taken: Vec<(Asked, Time)>,
    wrong: Vec<String>,
}

impl Book {
    pub(super) fn new_message(&mut self, most: usize) -> Option<usize> {
        self.acts += 1;
        let number = self.begun.len();
        (number < most).then(|| {
            self.begun.push(self.acts);
            number
        })
    }

    pub(super) fn acknowledge(&mut self, number: usize, id: MessageId) {
        self.acts += 1;
        self.messages.insert(number, Message { id, acknowledged: self.acts });
    }

    pub(super) fn untouched(&self) -> Vec<usize> {
        self.messages.keys().filter(|number| !self.touched.contains(number)).copied().collect()
    }

    pub(super) fn touch(&mut self, number: usize) -> MessageId {
        self.touched.insert(number);
        self.messages[&number].id
    }

    pub(super) fn gone(&mut self, number: usize) {
        let undone = self.cases.iter().any(|(case, about)| *about == number && self.undone.contains(case));
        if !undone {
            self.gone.insert(number);
        }
    }

    pub(super) fn begin_case(&mut self, number: usize) -> String {
        self.touch(number);
        let case = format!("c{number}");
        self.cases.insert(case.clone(), number);
        case
    }

    pub(super) fn open_cases(&self) -> Vec<String> {
        self.cases.keys().filter(|case| !self.undone.contains(*case)).cloned().collect()
    }

    pub(super) fn undo(&mut self, case: &str) {
        self.undone.insert(case.to_owned());
        self.gone.remove(&self.cases[case]);
    }

    /// A mail is handed over right after the last look at its messages.
    pub(super) fn asked(&mut self, mail: &Mail) -> Asked {
        let text = String::from_utf8_lossy(&mail.formatted()).into_owned();
        let about: Vec<usize> =
            (0..self.begun.len()).filter(|number| text.contains(&name(*number))).collect();
        let to = mail.envelope().to().iter().map(ToString::to_string).collect();
        if about.is_empty() {
            self.wrong.push(format!("a mail about nothing: {text}"));
        }
        let gone: Vec<&usize> = about.iter().filter(|number| self.gone.contains(number)).collect();
        if !gone.is_empty() {
            self.wrong.push(format!("a mail about {gone:?}, gone before"));
        }
        Asked { to, about }
    }

    pub(super) fn taken(&mut self, asked: &Asked, now: Time) {
        self.taken.push((asked.clone(), now));
    }

    fn mails_about<'a>(&'a self, reader: &'a str, number: usize) -> impl Iterator<Item = (usize, Time)> + 'a {
        let about = move |(_, (asked, _)): &(usize, &(Asked, Time))| {
            asked.to.starts_with(reader) && asked.about.contains(&number)
        };
        self.taken.iter().enumerate().filter(about).map(|(at, (_, time))| (at, *time))
    }

    /// What the end shows: `once` if nothing failed, so that every mail comes once.
    pub(super) fn check(
        &self,
        index: &Index,
        readers: &[&str],
        run: impl Fn(&str) -> Option<Run>,
        once: bool,
    ) -> Result<(), String> {
        if let Some(first) = self.wrong.first() {
            return Err(first.clone());
        }
        for reader in readers {
            self.check_reader(reader, index, once)?;
        }
        self.check_receipts(readers, run)
    }

    fn check_reader(&self, reader: &str, index: &Index, once: bool) -> Result<(), String> {
        let first = |number: usize| self.mails_about(reader, number).map(|(at, _)| at).next();
        for (number, message) in &self.messages {
            let count = self.mails_about(reader, *number).count();
            let is_new = index
                .entries
                .get(&message.id)
                .is_some_and(|entry| entry.is_listed() && entry.state == voicemail_model::MessageState::New);
            if is_new && count == 0 {
                return Err(format!("{reader} had no mail about message {number}"));
            }
            if once && count > 1 {
                return Err(format!("{reader} had {count} mails about message {number}"));
            }
        }
        let untouched = self.untouched();
        for earlier in &untouched {
            for later in &untouched {
                let in_order = self.messages[earlier].acknowledged < self.begun[*later];
                if in_order && first(*earlier) > first(*later) {
                    return Err(format!(
                        "{reader}'s mail about message {later} came before that about {earlier}"
                    ));
                }
            }
        }
        Ok(())
    }

    /// A run that erased a message names at least the mails about it that went out before its undo window ended.
    fn check_receipts(&self, readers: &[&str], run: impl Fn(&str) -> Option<Run>) -> Result<(), String> {
        for (case, number) in &self.cases {
            let Some(run) = run(case).filter(|run| run.state == RunState::Purged) else { continue };
            let end = run.purge_at.unwrap_or(Time(0));
            let had = |reader: &&&str| self.mails_about(reader, *number).any(|(_, at)| at < end);
            let went_out = readers.iter().filter(had).count() as u64;
            if run.emailed < went_out {
                return Err(format!("{case} names {} mails, {went_out} mails went out", run.emailed));
            }
        }
        Ok(())
    }
}
