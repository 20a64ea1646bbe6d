//! What was dropped or refused before anybody looked at it, by its cause. A count says no more than how often.

use std::sync::atomic::{AtomicU64, Ordering};

/// Why something was dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// From where no trunk is, or by a transport that its trunk doesn't use.
    Stranger,
    /// A message that is too long.
    TooLong,
    /// A message that can't be read.
    Malformed,
    /// Too many connections, of one source or in all.
    Connections,
    /// A connection on which nothing came, or a message that didn't come to its end.
    Slow,
    /// A TLS handshake that failed.
    Handshake,
    /// A user or password that is wrong.
    Credentials,
    /// More datagrams of one source than may be.
    Rate,
    /// A message within a call, a subscription or a transaction from somebody else than who takes part in it.
    Forged,
}

impl Why {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Stranger,
        Self::TooLong,
        Self::Malformed,
        Self::Connections,
        Self::Slow,
        Self::Handshake,
        Self::Credentials,
        Self::Rate,
        Self::Forged,
    ];

    /// The metric's label.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Stranger => "stranger",
            Self::TooLong => "too-long",
            Self::Malformed => "malformed",
            Self::Connections => "connections",
            Self::Slow => "slow",
            Self::Handshake => "handshake",
            Self::Credentials => "credentials",
            Self::Rate => "rate",
            Self::Forged => "forged",
        }
    }
}

/// The counts.
#[derive(Debug, Default)]
pub struct Refused([AtomicU64; Why::ALL.len()]);

impl Refused {
    /// Counts one.
    pub fn count(&self, why: Why) {
        if let Some(count) = self.0.get(why as usize) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// How often.
    pub fn of(&self, why: Why) -> u64 {
        self.0.get(why as usize).map_or(0, |count| count.load(Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_cause_is_counted_on_its_own() {
        let refused = Refused::default();
        for (times, why) in Why::ALL.into_iter().enumerate() {
            (0..times).for_each(|_| refused.count(why));
        }
        assert_eq!(Why::ALL.map(|why| refused.of(why)), [0, 1, 2, 3, 4, 5, 6, 7, 8]);
    }
}
