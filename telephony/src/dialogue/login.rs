//! Mailbox and PIN. An unknown mailbox, one without a PIN and a wrong PIN sound alike; after three tries the call ends.

use super::{Ask, Output, Say};
use crate::media::telephone_event::Key;
use zeroize::Zeroizing;

/// Tries of a call.
const TRIES: u32 = 3;
const LONGEST: usize = 64;

/// Where the login is.
pub(super) struct Login {
    mailbox: Option<String>,
    digits: Zeroizing<String>,
    tries: u32,
}

fn say(name: &str) -> Output {
    Output::Say(vec![Say::clip(name)])
}

impl Login {
    /// With the mailbox that the caller's number proposes.
    pub(super) fn begin(proposed: Option<String>) -> (Self, Vec<Output>) {
        let login = Self { mailbox: proposed, digits: Zeroizing::default(), tries: 0 };
        let asked = login.question();
        (login, asked)
    }

    /// What is waited for now.
    pub(super) fn question(&self) -> Vec<Output> {
        vec![say(if self.mailbox.is_some() { "pin" } else { "mailbox" })]
    }

    /// A key: digits until `#`; `*` takes another mailbox.
    pub(super) fn key(&mut self, key: Key) -> Vec<Output> {
        match key.char() {
            '#' => self.enter(),
            '*' => {
                self.mailbox = None;
                self.digits.clear();
                [vec![Output::Stop], self.question()].concat_outputs()
            }
            digit if self.digits.len() < LONGEST => {
                self.digits.push(digit);
                vec![Output::Stop]
            }
            _ => Vec::new(),
        }
    }

    fn enter(&mut self) -> Vec<Output> {
        if self.digits.is_empty() {
            return [vec![Output::Stop], self.question()].concat_outputs();
        }
        let entered = std::mem::take(&mut self.digits);
        match &self.mailbox {
            None => {
                self.mailbox = Some(entered.to_string());
                [vec![Output::Stop], self.question()].concat_outputs()
            }
            Some(mailbox) => {
                vec![Output::Stop, Output::Ask(Ask::Open { mailbox: mailbox.clone(), pin: entered })]
            }
        }
    }

    /// It wasn't right.
    pub(super) fn refused(&mut self) -> Vec<Output> {
        self.tries += 1;
        if self.tries >= TRIES {
            return vec![Output::Say(vec![Say::clip("wrong"), Say::clip("goodbye")]), Output::HangUp];
        }
        [vec![say("wrong")], self.question()].concat_outputs()
    }
}

/// Outputs one after another.
pub(super) trait ConcatOutputs {
    fn concat_outputs(self) -> Vec<Output>;
}

impl<const COUNT: usize> ConcatOutputs for [Vec<Output>; COUNT] {
    fn concat_outputs(self) -> Vec<Output> {
        self.into_iter().flatten().collect()
    }
}
