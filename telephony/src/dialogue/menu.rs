//! What keys do, as data: states with what is said, and keys with an action and the state after it. Pure.
//!
//! A menu is YAML. [`Menu::parse`] proves that it can be used: each state is reached and left, each key leads somewhere,
//! actions that walk through messages say where they go at the end, and each clip exists.

use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use voicemail_api::ErrorClass;

/// The map that comes with the program.
pub const CLASSIC: &str = include_str!("../../maps/classic.yaml");

/// Clips that the machine says by itself.
pub const OWN_CLIPS: &[&str] = &[
    "after-tone",
    "mailbox-full",
    "mailbox",
    "pin",
    "wrong",
    "unavailable",
    "goodbye",
    "you-have",
    "and",
    "no-messages",
    "no-more",
    "deleted",
    "saved",
    "failed",
    "record-greeting",
    "greeting-recorded",
    "new-pin",
    "new-pin-again",
    "pin-changed",
    "pin-differs",
    "pin-refused",
    "invalid",
    "received",
    "from",
    "unknown-caller",
    "urgent",
];

/// Why a menu can't be used.
#[derive(Debug, thiserror::Error)]
pub enum MenuError {
    /// It isn't YAML of this form.
    #[error("the menu: {0}")]
    Form(#[from] serde_yaml::Error),
    /// A rule is broken.
    #[error("the menu's state {state}: {rule}")]
    Rule {
        /// Which state.
        state: String,
        /// What to write.
        rule: String,
    },
}

impl MenuError {
    /// It must be changed.
    pub const fn class(&self) -> ErrorClass {
        ErrorClass::Permanent
    }
}

/// A menu.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Menu {
    /// The state after the PIN was right.
    pub start: String,
    /// All states by name.
    pub states: BTreeMap<String, State>,
}

/// A state.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct State {
    /// What is said on entry: `counts`, `message` or names of clips.
    pub say: Vec<String>,
    /// What keys do.
    pub keys: BTreeMap<char, Act>,
}

impl State {
    fn words(&self) -> impl Iterator<Item = &String> {
        self.say.iter().filter(|word| !matches!(word.as_str(), "counts" | "message"))
    }
}

/// What a key does.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Act {
    /// The action.
    #[serde(rename = "do", default)]
    pub action: Action,
    /// The state after it; the same when absent.
    #[serde(default)]
    pub then: Option<String>,
    /// The state when there is no message any more.
    #[serde(default)]
    pub otherwise: Option<String>,
}

/// The actions that there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Action {
    /// Only the state changes.
    #[default]
    Nothing,
    /// Lists new messages, and takes the first.
    OpenNew,
    /// Lists heard and saved ones.
    OpenOld,
    /// Plays the message again.
    Replay,
    /// Says who left it and when.
    Envelope,
    /// Goes back one.
    Previous,
    /// Goes on one.
    Next,
    /// Moves it to the trash, and goes on.
    Delete,
    /// Marks it saved, and goes on.
    Save,
    /// Records the greeting.
    RecordGreeting,
    /// Sets another PIN.
    ChangePin,
    /// Ends the call.
    HangUp,
}

impl Action {
    /// Whether it may come to an end of the messages.
    const fn walks(self) -> bool {
        matches!(
            self,
            Self::OpenNew | Self::OpenOld | Self::Previous | Self::Next | Self::Delete | Self::Save
        )
    }
}

impl Menu {
    /// Reads a menu and proves it, with the clips that there are.
    ///
    /// # Errors
    /// [`MenuError`] names the state and the rule.
    pub fn parse(text: &str, has_clip: impl Fn(&str) -> bool) -> Result<Self, MenuError> {
        let menu: Self = serde_yaml::from_str(text)?;
        menu.check(&has_clip)?;
        Ok(menu)
    }

    /// Names of the clips that its states say.
    pub fn words(&self) -> BTreeSet<String> {
        let said = self.states.values().flat_map(State::words);
        said.cloned().collect()
    }

    fn check(&self, has_clip: &impl Fn(&str) -> bool) -> Result<(), MenuError> {
        let broken = |state: &str, rule: String| Err(MenuError::Rule { state: state.to_owned(), rule });
        if !self.states.contains_key(&self.start) {
            return broken(&self.start, "start names it, and it isn't there".into());
        }
        if let Some(clip) = OWN_CLIPS.iter().find(|clip| !has_clip(clip)) {
            return broken(&self.start, format!("the prompts lack the clip {clip}"));
        }
        for (name, state) in &self.states {
            for word in state.words() {
                if !has_clip(word) {
                    return broken(name, format!("the prompts lack the clip {word}"));
                }
            }
            for (key, act) in &state.keys {
                if crate::media::telephone_event::Key::new(*key).is_none() {
                    return broken(name, format!("{key} is no key"));
                }
                if let Some(missing) =
                    act.then.iter().chain(&act.otherwise).find(|to| !self.states.contains_key(*to))
                {
                    return broken(name, format!("key {key} leads to {missing}, which isn't there"));
                }
                if act.action.walks() && act.otherwise.is_none() {
                    return broken(name, format!("key {key}: write otherwise, the state without messages"));
                }
            }
            if !state.keys.values().any(|act| leaves(name, act)) {
                return broken(name, "no key leads out of it".into());
            }
        }
        let reached = self.reached();
        match self.states.keys().find(|name| !reached.contains(name.as_str())) {
            Some(name) => broken(name, "no key leads to it".into()),
            None => Ok(()),
        }
    }

    fn reached(&self) -> BTreeSet<&str> {
        let (mut reached, mut open) = (BTreeSet::new(), vec![self.start.as_str()]);
        while let Some(name) = open.pop() {
            let Some(state) = self.states.get(name).filter(|_| reached.insert(name)) else { continue };
            open.extend(
                state.keys.values().flat_map(|act| act.then.iter().chain(&act.otherwise)).map(String::as_str),
            );
        }
        reached
    }
}

fn leaves(name: &str, act: &Act) -> bool {
    act.action == Action::HangUp || act.then.iter().chain(&act.otherwise).any(|to| to != name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(from: &str, to: &str) -> String {
        assert!(CLASSIC.contains(from), "{from}");
        Menu::parse(&CLASSIC.replace(from, to), |_| true).unwrap_err().to_string()
    }

    #[test]
    fn the_menu_that_comes_with_the_program_holds() {
        assert_eq!(Menu::parse(CLASSIC, |_| true).unwrap().states.len(), 3);
    }

    #[test]
    fn what_does_not_hold_is_told_by_state_and_rule() {
        assert!(refusal("start: main", "start: begin").contains("begin"));
        assert!(refusal("{then: options}", "{then: elsewhere}").contains("elsewhere"));
        assert!(refusal("{do: next, otherwise: main}", "{do: next}").contains("otherwise"));
        assert!(refusal("\"3\":", "\"x\":").contains("x is no key"));
        assert!(
            refusal("      \"5\": {do: changePin}\n      \"*\": {then: main}", "")
                .contains("options: no key leads out")
        );
        assert!(refusal("{do: replay}", "{do: dance}").contains("dance"));
        let lacking = Menu::parse(CLASSIC, |clip| clip != "options-menu").unwrap_err().to_string();
        assert!(lacking.contains("options-menu"));
        let lacking = Menu::parse(CLASSIC, |clip| clip != "goodbye").unwrap_err().to_string();
        assert!(lacking.contains("goodbye"));
        let island = format!("{CLASSIC}  island: {{say: [], keys: {{'*': {{then: main}}}}}}\n");
        assert!(
            Menu::parse(&island, |_| true).unwrap_err().to_string().contains("island: no key leads to it")
        );
    }
}
