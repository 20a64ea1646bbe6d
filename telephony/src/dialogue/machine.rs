//! The machine itself: login, then the menu's states, a greeting's recording and a new PIN between them.

use super::login::{ConcatOutputs, Login};
use super::menu::{Act, Action};
use super::{Answer, Ask, Input, Menu, Output, Say};
use crate::media::telephone_event::Key;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;
use voicemail_api::telephony::{Counts, ListedMessage};
use zeroize::Zeroizing;

/// Silences in a row after which the call ends.
const SILENCES: u32 = 3;
/// A message counts as heard after half of it, and so long at least.
const HEARD: Duration = Duration::from_secs(3);
/// Keys that wait at most.
const AHEAD: usize = 32;

enum Phase {
    Login(Login),
    Menu(String),
    /// The greeting, and the state after it.
    Greeting(String),
    /// A new PIN, typed once or twice, and the state after it.
    NewPin {
        digits: Zeroizing<String>,
        first: Option<Zeroizing<String>>,
        back: String,
    },
    Over,
}

/// What is done when the core has answered.
enum Pending {
    Login,
    Open(Act),
    Walk(Act, &'static str),
    Greeting(String),
    Pin(String),
}

/// One owner's call.
pub struct Dialogue {
    menu: Arc<Menu>,
    phase: Phase,
    pending: Option<Pending>,
    ahead: VecDeque<Key>,
    counts: Counts,
    messages: Vec<ListedMessage>,
    at: usize,
    /// When the message's recording began to be played.
    playing: Option<Duration>,
    silences: u32,
}

fn say(names: &[&str]) -> Output {
    Output::Say(names.iter().map(|name| Say::clip(name)).collect())
}

impl Dialogue {
    /// A call with that menu.
    pub fn new(menu: Arc<Menu>) -> Self {
        Self {
            menu,
            phase: Phase::Over,
            pending: None,
            ahead: VecDeque::new(),
            counts: Counts::default(),
            messages: Vec::new(),
            at: 0,
            playing: None,
            silences: 0,
        }
    }

    /// What follows from that. `now` is the call's time.
    pub fn step(&mut self, input: Input, now: Duration) -> Vec<Output> {
        let mut outputs = match input {
            Input::Start(proposed) => {
                let (login, outputs) = Login::begin(proposed);
                self.phase = Phase::Login(login);
                outputs
            }
            Input::Key(key) => {
                if self.ahead.len() < AHEAD {
                    self.ahead.push_back(key);
                }
                Vec::new()
            }
            Input::Played | Input::HungUp => self.heard(now).into_iter().collect(),
            Input::Silence => self.silence(),
            Input::Recorded(millis) => self.recorded(millis),
            Input::Answer(answer) => self.answered(answer, now),
        };
        while self.pending.is_none()
            && let Some(key) = self.ahead.pop_front()
        {
            outputs.extend(self.key(key, now));
        }
        outputs
    }

    fn key(&mut self, key: Key, now: Duration) -> Vec<Output> {
        self.silences = 0;
        match &mut self.phase {
            Phase::Login(login) => {
                let outputs = login.key(key);
                if outputs.iter().any(|output| matches!(output, Output::Ask(_))) {
                    self.pending = Some(Pending::Login);
                }
                outputs
            }
            Phase::Menu(state) => {
                let act = self.menu.states.get(state).and_then(|state| state.keys.get(&key.char())).cloned();
                match act {
                    Some(act) => self.act(act, now),
                    None => [vec![Output::Stop, say(&["invalid"])], self.menu_words()].concat_outputs(),
                }
            }
            Phase::NewPin { .. } => self.key_of_pin(key),
            Phase::Greeting(_) | Phase::Over => Vec::new(),
        }
    }

    fn act(&mut self, act: Act, now: Duration) -> Vec<Output> {
        // A message that was heard far enough is marked first; then the key counts.
        let heard = match act.action {
            Action::Delete | Action::Save => None,
            _ => self.heard(now),
        };
        [heard.into_iter().collect(), self.act_on(act, now)].concat_outputs()
    }

    fn act_on(&mut self, act: Act, now: Duration) -> Vec<Output> {
        let stop = vec![Output::Stop];
        let id = self.messages.get(self.at).map(|message| message.id.clone());
        let outputs = match (act.action, id) {
            (Action::OpenNew | Action::OpenOld, _) => {
                let new = act.action == Action::OpenNew;
                self.pending = Some(Pending::Open(act));
                vec![Output::Ask(Ask::List { new })]
            }
            (Action::Envelope, Some(_)) => {
                [vec![Output::Say(self.envelope())], self.menu_words()].concat_outputs()
            }
            (Action::Previous, Some(_)) => {
                self.at = self.at.saturating_sub(1);
                self.go(act.then, now)
            }
            (Action::Next, Some(_)) => self.walk(&act, None, now),
            (Action::Delete, Some(id)) => {
                self.pending = Some(Pending::Walk(act, "deleted"));
                vec![Output::Ask(Ask::Trash { id })]
            }
            (Action::Save, Some(id)) => {
                self.pending = Some(Pending::Walk(act, "saved"));
                vec![Output::Ask(Ask::Save { id })]
            }
            (Action::Envelope | Action::Previous | Action::Next | Action::Delete | Action::Save, None) => {
                self.go(act.otherwise, now)
            }
            (Action::RecordGreeting, _) => {
                self.phase = Phase::Greeting(self.state_after(act.then));
                vec![Output::Say(vec![Say::clip("record-greeting"), Say::Beep]), Output::Record]
            }
            (Action::ChangePin, _) => {
                let back = self.state_after(act.then);
                self.phase = Phase::NewPin { digits: Zeroizing::default(), first: None, back };
                vec![say(&["new-pin"])]
            }
            (Action::HangUp, _) => self.end(&["goodbye"]),
            (Action::Nothing | Action::Replay, _) => self.go(act.then, now),
        };
        [stop, outputs].concat_outputs()
    }

    fn state_after(&self, then: Option<String>) -> String {
        then.unwrap_or_else(|| match &self.phase {
            Phase::Menu(state) => state.clone(),
            _ => self.menu.start.clone(),
        })
    }

    /// Enters a state, the same one again when none is named.
    fn go(&mut self, to: Option<String>, now: Duration) -> Vec<Output> {
        let state = self.state_after(to);
        let words = self.menu.states.get(&state).map(|state| state.say.clone()).unwrap_or_default();
        self.phase = Phase::Menu(state);
        self.playing = None;
        let mut said = Vec::new();
        for word in words {
            match word.as_str() {
                "counts" => said.extend(self.say_counts()),
                "message" => {
                    if let Some(message) = self.messages.get(self.at) {
                        self.playing = Some(now);
                        if message.urgent {
                            said.push(Say::clip("urgent"));
                        }
                        said.push(Say::Message(message.id.clone()));
                    }
                }
                clip => said.push(Say::clip(clip)),
            }
        }
        vec![Output::Say(said)]
    }

    /// The state's clips alone, when a key had no effect or something was told.
    fn menu_words(&self) -> Vec<Output> {
        let Phase::Menu(state) = &self.phase else { return Vec::new() };
        let words = self.menu.states.get(state).map(|state| state.say.as_slice()).unwrap_or_default();
        let clips = words.iter().filter(|word| !matches!(word.as_str(), "counts" | "message"));
        vec![Output::Say(clips.map(|clip| Say::clip(clip)).collect())]
    }

    fn say_counts(&self) -> Vec<Say> {
        vec![
            Say::clip("you-have"),
            Say::Count(self.counts.new, "new-message"),
            Say::clip("and"),
            Say::Count(self.counts.old, "old-message"),
        ]
    }

    fn envelope(&self) -> Vec<Say> {
        let Some(message) = self.messages.get(self.at) else { return Vec::new() };
        let caller = match &message.caller {
            Some(caller) if caller.chars().all(|c| c.is_ascii_digit() || c == '+') => {
                Say::Digits(caller.clone())
            }
            _ => Say::clip("unknown-caller"),
        };
        vec![Say::clip("received"), Say::When(message.received.clone()), Say::clip("from"), caller]
    }

    /// To the next message, or where there is none any more; first `said`.
    fn walk(&mut self, act: &Act, said: Option<&str>, now: Duration) -> Vec<Output> {
        let said = said.map(|clip| say(&[clip]));
        let onward = if self.at + 1 < self.messages.len() {
            self.at += 1;
            self.go(act.then.clone(), now)
        } else {
            self.messages.clear();
            self.at = 0;
            [vec![say(&["no-more"])], self.go(act.otherwise.clone(), now)].concat_outputs()
        };
        [said.into_iter().collect(), onward].concat_outputs()
    }

    /// A message that is new and was heard far enough is read: asked once.
    fn heard(&mut self, now: Duration) -> Option<Output> {
        let began = self.playing?;
        let message = self.messages.get_mut(self.at)?;
        let half = Duration::from_millis(message.duration_ms / 2);
        let enough =
            now.saturating_sub(began) >= half.max(HEARD.min(Duration::from_millis(message.duration_ms)));
        if !enough || message.state != "new" {
            return None;
        }
        self.playing = None;
        message.state = "read".into();
        self.counts.new = self.counts.new.saturating_sub(1);
        self.counts.old += 1;
        Some(Output::MarkRead(message.id.clone()))
    }

    fn silence(&mut self) -> Vec<Output> {
        if self.pending.is_some() {
            return Vec::new();
        }
        self.silences += 1;
        if self.silences >= SILENCES {
            return self.end(&["goodbye"]);
        }
        match &self.phase {
            Phase::Login(login) => login.question(),
            Phase::Menu(_) => self.menu_words(),
            Phase::NewPin { first, .. } => {
                vec![say(&[if first.is_some() { "new-pin-again" } else { "new-pin" }])]
            }
            Phase::Greeting(_) | Phase::Over => Vec::new(),
        }
    }

    fn key_of_pin(&mut self, key: Key) -> Vec<Output> {
        let Phase::NewPin { digits, first, back } = &mut self.phase else { return Vec::new() };
        match key.char() {
            '*' => {
                let back = Some(back.clone());
                [vec![Output::Stop], self.go(back, Duration::ZERO)].concat_outputs()
            }
            '#' => {
                let entered = std::mem::take(digits);
                match first.take() {
                    None => {
                        *first = Some(entered);
                        vec![Output::Stop, say(&["new-pin-again"])]
                    }
                    Some(before) if *before == *entered => {
                        self.pending = Some(Pending::Pin(back.clone()));
                        vec![Output::Stop, Output::Ask(Ask::SetPin(entered))]
                    }
                    Some(_) => vec![Output::Stop, say(&["pin-differs", "new-pin"])],
                }
            }
            digit if digits.len() < 64 => {
                digits.push(digit);
                vec![Output::Stop]
            }
            _ => Vec::new(),
        }
    }

    fn recorded(&mut self, millis: u64) -> Vec<Output> {
        let Phase::Greeting(back) = &self.phase else { return Vec::new() };
        let back = back.clone();
        if millis < 500 {
            return [vec![say(&["failed"])], self.go(Some(back), Duration::ZERO)].concat_outputs();
        }
        self.pending = Some(Pending::Greeting(back));
        vec![Output::Ask(Ask::SetGreeting)]
    }

    fn answered(&mut self, answer: Answer, now: Duration) -> Vec<Output> {
        let Some(pending) = self.pending.take() else { return Vec::new() };
        if matches!(answer, Answer::Away) {
            return self.end(&["unavailable", "goodbye"]);
        }
        match (pending, answer) {
            (Pending::Login, Answer::Opened(counts)) => {
                self.counts = counts;
                self.go(Some(self.menu.start.clone()), now)
            }
            (Pending::Login, _) => match &mut self.phase {
                Phase::Login(login) => {
                    let outputs = login.refused();
                    if outputs.iter().any(|output| matches!(output, Output::HangUp)) {
                        self.phase = Phase::Over;
                    }
                    outputs
                }
                _ => Vec::new(),
            },
            (Pending::Open(act), Answer::Listed(messages)) => {
                (self.messages, self.at) = (messages, 0);
                if self.messages.is_empty() {
                    return [vec![say(&["no-messages"])], self.go(act.otherwise, now)].concat_outputs();
                }
                self.go(act.then, now)
            }
            (Pending::Walk(act, said), Answer::Done) => {
                self.note_gone(said);
                self.walk(&act, Some(said), now)
            }
            (Pending::Greeting(back), Answer::Done) => self.tell("greeting-recorded", back, now),
            (Pending::Pin(back), Answer::Done) => self.tell("pin-changed", back, now),
            (Pending::Pin(back), _) => self.tell("pin-refused", back, now),
            (Pending::Greeting(back), _) => self.tell("failed", back, now),
            (Pending::Open(_) | Pending::Walk(..), _) => {
                [vec![say(&["failed"])], self.menu_words()].concat_outputs()
            }
        }
    }

    /// The counts as they are after a message was deleted or saved.
    fn note_gone(&mut self, said: &str) {
        let Some(message) = self.messages.get(self.at) else { return };
        if message.state == "new" {
            self.counts.new = self.counts.new.saturating_sub(1);
            self.counts.old += u32::from(said == "saved");
        } else {
            self.counts.old = self.counts.old.saturating_sub(u32::from(said == "deleted"));
        }
    }

    fn tell(&mut self, clip: &str, back: String, now: Duration) -> Vec<Output> {
        [vec![say(&[clip])], self.go(Some(back), now)].concat_outputs()
    }

    fn end(&mut self, clips: &[&str]) -> Vec<Output> {
        self.phase = Phase::Over;
        vec![Output::Stop, say(clips), Output::HangUp]
    }
}

#[cfg(test)]
#[path = "machine_tests.rs"]
mod tests;
