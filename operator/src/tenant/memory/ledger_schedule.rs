//! When a tenant's ledger of erasures is read: when one of its requests has ended, when a core's change token for open
//! cases says so, every nine minutes where cores have no such token, and
//! once an hour for the seals of the audit log.

use std::time::{Duration, Instant};

const PAUSE: Duration = Duration::from_secs(9 * 60);
const SEALED: Duration = Duration::from_secs(60 * 60);

/// When one ledger was read. Empty at the start: the copy that the operator before this one kept was up to date.
#[derive(Debug, Default)]
pub struct LedgerSchedule {
    last: Option<Instant>,
    /// It may have grown since.
    grown: bool,
    /// The cores say when it may have.
    told: bool,
}

impl LedgerSchedule {
    /// A request of the tenant has ended: its ledger has grown.
    pub fn note_end(&mut self, now: Instant) {
        self.last.get_or_insert(now);
        self.grown = true;
    }

    /// The tenant's cores were asked for their change tokens: whether they have any, and whether something is new.
    pub fn note_tokens(&mut self, told: bool, news: bool, now: Instant) {
        self.last.get_or_insert(now);
        (self.told, self.grown) = (told, self.grown || (told && news));
    }

    /// Whether it is time to read it; if so, it counts as done.
    pub fn is_due(&mut self, now: Instant) -> bool {
        let last = *self.last.get_or_insert(now);
        let old = !self.told && now.duration_since(last) >= PAUSE;
        // The audit log is sealed once an hour where something was done, and nobody tells of that.
        let due = self.grown || old || now.duration_since(last) >= SEALED;
        if due {
            (self.last, self.grown) = (Some(now), false);
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_read_when_it_may_have_grown_and_now_and_then_where_cores_do_not_say() {
        let (mut schedule, now) = (LedgerSchedule::default(), Instant::now());
        assert!(!schedule.is_due(now) && !schedule.is_due(now + PAUSE / 2));
        assert!(schedule.is_due(now + PAUSE) && !schedule.is_due(now + PAUSE));
        schedule.note_end(now);
        assert!(schedule.is_due(now + PAUSE));
        schedule.note_tokens(true, false, now);
        assert!(!schedule.is_due(now + 3 * PAUSE), "the cores say when it grows");
        schedule.note_tokens(true, true, now);
        assert!(schedule.is_due(now + 3 * PAUSE));
        schedule.note_tokens(true, false, now);
        assert!(!schedule.is_due(now + SEALED), "an hour from the last time");
        assert!(schedule.is_due(now + 3 * PAUSE + SEALED), "the seals of the audit log");
    }
}
