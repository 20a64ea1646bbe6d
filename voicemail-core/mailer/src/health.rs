//! Whether mails go out, for the metrics port.

use std::sync::{Mutex, PoisonError};

/// The last that is known of the mail server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum State {
    /// No e-mails are configured.
    #[default]
    Off,
    /// Configured; nothing had to be sent yet.
    Unknown,
    /// The last mail went out, or at least the server took one up.
    Ready,
    /// It didn't, for that reason.
    Failing(&'static str),
}

/// The state of this replica's mails.
#[derive(Debug, Default)]
pub struct Health(Mutex<State>);

impl Health {
    /// The last that is known.
    pub fn state(&self) -> State {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn set(&self, state: State) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = state;
    }
}
