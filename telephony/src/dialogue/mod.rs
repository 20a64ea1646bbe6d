//! An owner's work with their mailbox by keys: a machine without IO, clock and randomness.
//!
//! ```text
//! Input (key, played, silence, recorded, the core's answer) + time ─▶ Dialogue ─▶ Output (say, ask the core, record, hang up)
//! ```
//!
//! Whoever drives it plays what is said, and says when it was played, when nothing was pressed for a while, and what the core
//! answered. Keys that come while the core is asked wait for the answer. What keys do is a [`Menu`].

mod login;
mod machine;
pub mod menu;

pub use machine::Dialogue;
pub use menu::{Menu, MenuError};

use crate::media::telephone_event::Key;
use voicemail_api::telephony::{Counts, ListedMessage};
use zeroize::Zeroizing;

/// What happens.
pub enum Input {
    /// An owner dialled in; the mailbox that their number proposes.
    Start(Option<String>),
    /// A key.
    Key(Key),
    /// All that was said was played.
    Played,
    /// Nothing was pressed for a while after that.
    Silence,
    /// The recording is over, so many milliseconds long.
    Recorded(u64),
    /// The core answered.
    Answer(Answer),
    /// The owner hung up.
    HungUp,
}

/// What is to be done, in this order.
#[derive(PartialEq, Eq)]
pub enum Output {
    /// Stop saying what is being said.
    Stop,
    /// Say this after what is being said.
    Say(Vec<Say>),
    /// Ask the core; keys wait meanwhile.
    Ask(Ask),
    /// Mark a message as heard; nobody waits for the answer.
    MarkRead(String),
    /// Record after all was said.
    Record,
    /// Hang up after all was said.
    HangUp,
}

/// Something to say.
#[derive(Clone, PartialEq, Eq)]
pub enum Say {
    /// A clip.
    Clip(String),
    /// A number of something: `new-message` or `old-message`.
    Count(u32, &'static str),
    /// Digits of a number.
    Digits(String),
    /// When, RFC 3339.
    When(String),
    /// A message's recording.
    Message(String),
    /// The tone before a recording.
    Beep,
}

impl Say {
    pub(crate) fn clip(name: &str) -> Self {
        Self::Clip(name.to_owned())
    }
}

/// What the core is asked.
#[derive(PartialEq, Eq)]
pub enum Ask {
    /// Whether the PIN is right, and the mailbox's counts.
    Open {
        /// The mailbox.
        mailbox: String,
        /// The PIN.
        pin: Zeroizing<String>,
    },
    /// Messages, oldest first: new ones, or heard and saved ones.
    List {
        /// New ones.
        new: bool,
    },
    /// Mark a message saved.
    Save {
        /// Which.
        id: String,
    },
    /// Move a message to the trash.
    Trash {
        /// Which.
        id: String,
    },
    /// Set what was recorded as the greeting.
    SetGreeting,
    /// Set another PIN.
    SetPin(Zeroizing<String>),
}

/// What the core answers.
pub enum Answer {
    /// The mailbox is open.
    Opened(Counts),
    /// The messages.
    Listed(Vec<ListedMessage>),
    /// It is done.
    Done,
    /// No: a wrong PIN, an unknown mailbox, one that is locked, a PIN that is too easy.
    Refused,
    /// It can't be reached.
    Away,
}
