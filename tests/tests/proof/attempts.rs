//! What became of each attempt of a request, and which replicas were killed when: pure.
//!
//! An attempt whose replica is killed, or whose client stops waiting, ends between any two of its steps. What it had stored by then may
//! stay: the protocol keeps audio that no message names for a day, since its maker may only be slow. An attempt that was answered, even by an
//! error, and one that reached nobody, leave nothing behind.

use reqwest::StatusCode;
use std::fmt;
use std::time::Instant;

/// How an attempt ended for its client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// By a whole answer.
    Answered(StatusCode),
    /// Nobody took the connection.
    Unreached,
    /// The connection broke before the answer was whole.
    Broken,
    /// The client waited no longer, and closed the connection.
    GivenUp,
}

impl fmt::Display for Fate {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Answered(status) => write!(formatter, "answered {}", status.as_u16()),
            Self::Unreached => formatter.write_str("reached nobody"),
            Self::Broken => formatter.write_str("connection broke"),
            Self::GivenUp => formatter.write_str("given up"),
        }
    }
}

/// One attempt of a request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Attempt {
    pub(crate) replica: usize,
    pub(crate) begun: Instant,
    pub(crate) ended: Instant,
    pub(crate) fate: Fate,
}

/// A replica's end, from the moment before the signal to the one after.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Kill {
    pub(crate) replica: usize,
    pub(crate) begun: Instant,
    pub(crate) ended: Instant,
}

impl Attempt {
    /// Whether it may have done something.
    pub(crate) fn may_have_acted(&self) -> bool {
        self.fate != Fate::Unreached
    }

    /// Whether it ended between two of its steps: its replica was killed meanwhile, or its client left.
    pub(crate) fn is_cut(&self, kills: &[Kill]) -> bool {
        let meets = |kill: &Kill| {
            kill.replica == self.replica && kill.begun <= self.ended && kill.ended >= self.begun
        };
        match self.fate {
            Fate::Answered(_) | Fate::Unreached => false,
            Fate::Broken => kills.iter().any(meets),
            Fate::GivenUp => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn only_an_attempt_whose_replica_was_killed_meanwhile_or_whose_client_left_is_cut() {
        let start = Instant::now();
        let at = |second| start + Duration::from_secs(second);
        let attempt = |fate| Attempt { replica: 1, begun: at(10), ended: at(12), fate };
        let kill = |replica, second| [Kill { replica, begun: at(second), ended: at(second) }];
        assert!(attempt(Fate::Broken).is_cut(&kill(1, 11)));
        for other in [kill(2, 11), kill(1, 9), kill(1, 13)] {
            assert!(!attempt(Fate::Broken).is_cut(&other), "{other:?}");
        }
        assert!(attempt(Fate::GivenUp).is_cut(&[]));
        for whole in [Fate::Answered(StatusCode::CREATED), Fate::Unreached] {
            assert!(!attempt(whole).is_cut(&kill(1, 11)), "{whole}");
        }
    }
}
