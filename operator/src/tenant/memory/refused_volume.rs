//! The refusal to show a tenant's volume: an operator with rights in some namespaces only may not read volumes, and each refusal
//! is a line in the cluster's audit log.

use std::time::{Duration, Instant};

/// How long a volume isn't asked for again: rights change seldom.
const REMEMBERED: Duration = Duration::from_secs(12 * 3600);

/// The last refusal, and the fingerprint of the tenant at that time.
#[derive(Debug, Default)]
pub struct RefusedVolume(Option<(u64, Instant)>);

impl RefusedVolume {
    /// Whether the volume was refused a while ago for the tenant as it is. After any change of the tenant, such as of a label,
    /// it is asked for again: somebody may have given the right.
    pub(super) fn holds(&self, fingerprint: u64, now: Instant) -> bool {
        self.0.is_some_and(|(of, since)| of == fingerprint && now.duration_since(since) < REMEMBERED)
    }

    /// It was refused.
    pub(super) fn note(&mut self, fingerprint: u64, now: Instant) {
        self.0 = Some((fingerprint, now));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_holds_for_half_a_day_while_the_tenant_is_as_it_was() {
        let (mut refused, now) = (RefusedVolume::default(), Instant::now());
        assert!(!refused.holds(1, now));
        refused.note(1, now);
        assert!(refused.holds(1, now + REMEMBERED / 2));
        assert!(!refused.holds(2, now) && !refused.holds(1, now + REMEMBERED));
    }
}
