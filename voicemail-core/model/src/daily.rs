//! When each of a sweeper's daily tasks is due. Pure: one that fails is tried again after ten minutes, and the others go their way.

use std::collections::BTreeMap;
use std::time::Duration;

const DAY: Duration = Duration::from_secs(86_400);
const AGAIN: Duration = Duration::from_secs(600);

/// A task that is done once a day.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs, reason = "their names for the log say it")]
pub enum Task {
    Openings,
    Ledger,
    Probes,
    Greetings,
    Quarantine,
    Audit,
    Receivers,
    Audio,
    History,
}

impl Task {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Openings,
        Self::Ledger,
        Self::Probes,
        Self::Greetings,
        Self::Quarantine,
        Self::Audit,
        Self::Receivers,
        Self::Audio,
        Self::History,
    ];

    /// For the log.
    pub fn name(self) -> &'static str {
        match self {
            Self::Openings => "requests that were never opened",
            Self::Ledger => "the ledger's old entries",
            Self::Probes => "what probes left",
            Self::Greetings => "greetings that aren't in force",
            Self::Quarantine => "quarantined objects",
            Self::Audit => "old acts of the audit log",
            Self::Receivers => "what is remembered of receivers that are no more",
            Self::Audio => "audio of all hours",
            Self::History => "superseded states of documents",
        }
    }
}

/// When each task was tried last, by the monotonic clock, and when it is due again.
#[derive(Debug, Default)]
pub struct Daily(BTreeMap<Task, Duration>);

impl Daily {
    /// Whether it was never tried, or its pause is over.
    pub fn is_due(&self, task: Task, now: Duration) -> bool {
        self.0.get(&task).is_none_or(|next| now >= *next)
    }

    /// It was tried: after a day it is due again, or soon if it failed.
    pub fn note(&mut self, task: Task, now: Duration, done: bool) {
        self.0.insert(task, now + if done { DAY } else { AGAIN });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_task_that_fails_comes_again_soon_and_holds_no_other_up() {
        let (mut daily, start) = (Daily::default(), Duration::from_secs(5));
        assert!(Task::ALL.iter().all(|task| daily.is_due(*task, start)));
        daily.note(Task::Probes, start, false);
        daily.note(Task::Audit, start, true);
        assert!(!daily.is_due(Task::Probes, start) && daily.is_due(Task::Ledger, start));
        assert!(daily.is_due(Task::Probes, start + AGAIN) && !daily.is_due(Task::Audit, start + AGAIN));
        assert!(daily.is_due(Task::Audit, start + DAY));
    }
}
