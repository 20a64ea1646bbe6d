//! Metrics of open runs: looked up now and then by the sweeper, and counted against the clock whenever somebody asks,
//! so that a sweeper that stands still makes no deadline look farther away.
//!
//! And a change token for cases, by which a client that shows cases knows when to list them again, without a request to
//! the store: it is made of this replica's writes to the register and of the open runs that it last saw. The token is
//! `none` while the store has never had a case as far as this replica knows; then there is nothing to list. The replica
//! that writes the first case has another token.

use super::Gdpr;
use crate::context::{Context, Memory};
use futures::{StreamExt, TryStreamExt};
use std::collections::BTreeSet;
use std::hash::BuildHasher;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use voicemail_api::gdpr::{MARK_OF_NO_CASE, RunState};
use voicemail_model::{Run, Time};
use voicemail_store::Family;
use voicemail_store::{Key, StoreError};
use voicemail_telemetry::Measured;

/// The result of the last look for open runs.
#[derive(Default)]
pub(crate) struct OpenRuns {
    open: Mutex<Vec<Run>>,
    unreadable: AtomicU64,
    began_without: AtomicBool,
}

impl OpenRuns {
    fn open(&self) -> MutexGuard<'_, Vec<Run>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How often this process wrote to the register.
#[derive(Debug, Default)]
pub struct Writes(AtomicU64);

impl Memory for Writes {
    fn begin(_: &Context) -> Self {
        Self::default()
    }
}

impl Context {
    /// How often this process wrote to the register of requests.
    pub(crate) fn register_writes(&self) -> Arc<Writes> {
        self.memory()
    }
}

impl Writes {
    /// Once more.
    pub(super) fn count(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

impl Gdpr {
    /// Looks all open runs up.
    ///
    /// # Errors
    /// The store's.
    pub(crate) async fn look_up_open_runs(&self) -> Result<(), StoreError> {
        let Looked { mut runs, unreadable } = look(&self.context).await?;
        let mut open = self.open_runs.open();
        // A run that can't be read now was open when it was read last.
        let known = open.iter().filter(|run| unreadable.contains(&run.id.flat())).cloned();
        runs.extend(known.collect::<Vec<_>>());
        self.open_runs.unreadable.store(unreadable.len() as u64, Ordering::Relaxed);
        *open = runs;
        Ok(())
    }

    /// Looks whether the tenant ever had a case: each leaves an entry in the register for ever, and an erasure that a
    /// restored store learned of from elsewhere leaves a ledger.
    ///
    /// # Errors
    /// The store's.
    pub(crate) async fn look_for_cases(&self) -> Result<(), StoreError> {
        let mut found = false;
        for prefix in [Family::Register.prefix(), Family::Ledger.prefix()] {
            found = found || self.context.store().list(prefix).try_next().await?.is_some();
        }
        self.open_runs.began_without.store(!found, Ordering::Relaxed);
        Ok(())
    }

    /// Changes when a case did, as far as this replica knows, and with each start of it; says nothing else, unless there
    /// never was a case: then it is [`MARK_OF_NO_CASE`].
    pub fn mark(&self) -> String {
        let runs = self.open_runs.open();
        let writes = self.context.register_writes().0.load(Ordering::Relaxed);
        if self.open_runs.began_without.load(Ordering::Relaxed) && writes == 0 && runs.is_empty() {
            return MARK_OF_NO_CASE.to_owned();
        }
        let open: Vec<_> = runs.iter().map(|run| (&run.id, run.state)).collect();
        format!("{:016x}", self.salt.hash_one((writes, open)))
    }

    /// The values for the metrics.
    pub fn measure(&self) -> Measured {
        let unreadable = self.open_runs.unreadable.load(Ordering::Relaxed);
        let runs = self.open_runs.open();
        Measured { unreadable, ..measure(&runs, self.context.world().now()) }
    }
}

/// The result of a look for open runs.
#[derive(Default)]
struct Looked {
    runs: Vec<Run>,
    /// Flat ids of runs that can't be read.
    unreadable: BTreeSet<String>,
}

/// Open runs that can be read.
pub async fn find_open(context: &Context) -> Result<Vec<Run>, StoreError> {
    Ok(look(context).await?.runs)
}

/// Every open run has a due item, whose name tells which it is: a run is found by it although the item can't be read.
async fn look(context: &Context) -> Result<Looked, StoreError> {
    let (mut seen, mut looked, mut named) = (BTreeSet::new(), Looked::default(), Vec::new());
    let mut keys = context.store().list(Family::Due.prefix());
    while let Some(text) = keys.next().await {
        let Ok(text) = text else { continue };
        let name = text.rsplit('/').next().and_then(|name| name.strip_prefix("run."));
        let Some((flat, _stage)) = name.and_then(|name| name.rsplit_once('.')) else { continue };
        let Some(key) = run_key(flat).filter(|_| seen.insert(flat.to_owned())) else { continue };
        named.push((flat.to_owned(), key));
    }
    let read = |(flat, key): (String, Key)| async move {
        Ok::<_, StoreError>((flat, context.documents().load::<Run>(&key).await))
    };
    for (flat, run) in context.all(named, read).await? {
        match run {
            Ok(run) => looked.runs.extend(run.filter(is_open)),
            Err(_) => {
                looked.unreadable.insert(flat);
            }
        }
    }
    Ok(looked)
}

/// `<case>.<operation>.<number>` is the document `gdpr/<case>/<operation>.<number>`; a case may hold dots.
pub(super) fn run_key(flat: &str) -> Option<Key> {
    let (rest, number) = flat.rsplit_once('.')?;
    let (case, operation) = rest.rsplit_once('.')?;
    Key::run_named(case, operation, number)
}

/// An export that can be fetched has been answered.
fn is_open(run: &Run) -> bool {
    !run.has_ended() && run.state != RunState::Ready
}

fn seconds(later: Time, earlier: Time) -> f64 {
    // Milliseconds of centuries fit.
    #[allow(clippy::cast_precision_loss, reason = "a metric")]
    let ms = later.0.saturating_sub(earlier.0) as f64;
    ms / 1_000.0
}

fn measure(runs: &[Run], now: Time) -> Measured {
    let mut measured = Measured::default();
    for run in runs {
        *measured.phases.entry(run.state_at(now)).or_default() += 1;
        let left = seconds(run.due_at(), now);
        let used = seconds(now, run.received_at()) / seconds(run.due_at(), run.received_at()).max(1.0);
        let earliest = measured.to_deadline.entry(run.operation).or_insert(left);
        *earliest = earliest.min(left);
        let most = measured.deadline_used.entry(run.operation).or_insert(used);
        *most = most.max(used);
        measured.overdue += u64::from(left < 0.0);
        if let (Some(marked), RunState::Marked | RunState::Purging) = (run.marked_at, run.state) {
            measured.oldest_mark = measured.oldest_mark.max(seconds(now, marked));
            measured.waiting += run.matched.saturating_sub(run.erased_so_far()).saturating_sub(run.held());
            let late = run.purge_at.map_or(0.0, |at| seconds(now, at));
            measured.late = measured.late.max(late);
        }
    }
    measured
}

#[cfg(test)]
mod tests {
    use crate::testing::{CALLER, Site, body};
    use std::collections::BTreeMap;
    use std::sync::Arc;
    use std::time::Duration;
    use voicemail_api::gdpr::{MARK_OF_NO_CASE, Operation, RunState};

    #[tokio::test]
    async fn the_mark_changes_with_what_this_replica_does_and_with_what_it_sees_of_others() {
        let site = Site::in_memory().await;
        let context = site.open(&site.config, crate::core::tool::Access::Write).await;
        let other = super::Gdpr::new(context, Arc::clone(&site.core.gdpr.receipts));
        site.deposit("1001", CALLER).await;
        site.core.gdpr.forget(body("b", Some(CALLER), 3_600)).await.unwrap();
        let before = (site.core.gdpr.mark(), other.mark());
        assert_ne!(before.0, before.1, "each process has its own");
        site.core.gdpr.forget(body("c", Some(CALLER), 3_600)).await.unwrap();
        let after = site.core.gdpr.mark();
        assert_ne!(after, before.0);
        assert_eq!(other.mark(), before.1, "nothing was seen yet");
        other.look_up_open_runs().await.unwrap();
        assert_ne!(other.mark(), before.1);
        assert_eq!(site.core.gdpr.mark(), after, "nothing has happened since");
    }

    #[tokio::test]
    async fn the_mark_says_that_there_never_was_a_case_until_there_is_one() {
        let site = Site::in_memory().await;
        let others = site.replica().await;
        assert_eq!([site.core.gdpr.mark(), others.gdpr.mark()], [MARK_OF_NO_CASE; 2]);
        site.core.gdpr.forget(body("c", Some(CALLER), 3_600)).await.unwrap();
        assert_ne!(site.core.gdpr.mark(), MARK_OF_NO_CASE, "it wrote it");
        others.gdpr.look_up_open_runs().await.unwrap();
        assert_ne!(others.gdpr.mark(), MARK_OF_NO_CASE, "it has seen it");
        assert_ne!(site.replica().await.gdpr.mark(), MARK_OF_NO_CASE, "it began with it");
    }

    #[tokio::test]
    async fn a_replica_that_begins_after_the_last_case_ended_knows_of_it() {
        let site = Site::in_memory().await;
        site.deposit("1001", CALLER).await;
        site.purge("c", CALLER).await;
        let later = site.replica().await;
        later.gdpr.look_up_open_runs().await.unwrap();
        assert_ne!(later.gdpr.mark(), MARK_OF_NO_CASE);
    }

    #[tokio::test]
    async fn open_runs_are_counted_against_the_clock_and_ended_ones_are_not() {
        let site = Site::in_memory().await;
        site.deposit("1001", CALLER).await;
        site.core.gdpr.forget(body("c", Some(CALLER), 3_600)).await.unwrap();
        site.core.gdpr.look_up_open_runs().await.unwrap();
        site.pass_time(Duration::from_secs(15 * 86_400));
        let measured = site.core.gdpr.measure();
        assert_eq!(measured.phases, BTreeMap::from([(RunState::Marked, 1)]));
        assert_eq!((measured.waiting, measured.overdue), (1, 0));
        assert!((measured.deadline_used[&Operation::ForgetMe] - 0.5).abs() < 0.01, "{measured:?}");
        assert!((measured.to_deadline[&Operation::ForgetMe] - 15.0 * 86_400.0).abs() < 1.0, "{measured:?}");
        assert!((measured.late - (15.0 * 86_400.0 - 3_600.0)).abs() < 1.0, "{measured:?}");
        site.sweep().await;
        assert_eq!(site.core.gdpr.measure().phases, BTreeMap::new(), "the sweeper looked them up again");
    }
}
