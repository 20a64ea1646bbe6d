//! The guards of steps that go by the clock: the store's clock and other machines' are held against ours.
//!
//! Flow: whatever writes a time down asks [`Context::guard_clock`], and whatever destroys by the clock asks
//! [`Context::guard_destruction`]. The evidence about the clock is in [`ClockTrust`].
//!
//! What can go wrong: an answer of before a jump says nothing of the time after it, so a doubt asks the store anew.

use super::Context;
use futures::future::BoxFuture;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;
use voicemail_api::config::TenantConfig;
use voicemail_model::Time;
use voicemail_model::clock_trust::{self, ClockTrust, Doubt, PATIENCE, Ration};
use voicemail_store::StoreError;

/// Largest difference between our clock and the store's at which destructive steps run.
const MAX_SKEW: Duration = Duration::from_secs(5);
/// How long a comparison of clocks holds.
const GUARD_LIFE: Duration = Duration::from_secs(10);
/// Least time between two questions to others about the time.
const WITNESS_PAUSE: Duration = Duration::from_secs(30);

/// Machines whose clocks can be asked when ours has jumped.
pub trait Witnesses: Send + Sync + 'static {
    /// The times of the machines that the configuration names. A machine that doesn't answer is left out.
    fn ask(&self, config: Arc<TenantConfig>) -> BoxFuture<'_, Vec<Time>>;
}

/// When clocks were compared, and what came of it; times are the monotonic clock's.
#[derive(Default)]
pub(super) struct Clocks {
    /// When the store's clock last agreed with ours.
    guarded: Mutex<Option<Duration>>,
    trust: Mutex<ClockTrust>,
    /// After a jump that nobody confirmed.
    ration: Mutex<Option<Ration>>,
    /// When other machines were last asked.
    asked: Mutex<Option<Duration>>,
    witnesses: OnceLock<Box<dyn Witnesses>>,
}

fn hold<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Our clock and the store's differ too much for steps that destroy data.
#[derive(Clone, Debug, thiserror::Error)]
pub enum GuardError {
    /// More than 5 s apart.
    #[error("this replica's clock and the store's are {seconds} s apart")]
    Skew {
        /// How far.
        seconds: u64,
    },
    /// Ours jumped, and no other machine's clock has agreed yet.
    #[error(
        "this machine's clock is {seconds} s from where it was expected, and no other machine's clock agrees: nothing is \
         destroyed until one does, or until it has been so for an hour; see that the clock is synchronised"
    )]
    Unconfirmed {
        /// How far.
        seconds: u64,
    },
    /// The store's clock can't be read.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Context {
    /// The machines to ask about the time from now on; without, nobody is asked.
    pub fn ask_about_time(&self, witnesses: impl Witnesses) {
        // A second call would bring the same machines.
        let _ = self.clocks().witnesses.set(Box::new(witnesses));
    }

    /// The clock guard: refuses while our clock and the store's are more than 5 s apart.
    pub async fn guard_clock(&self) -> Result<(), GuardError> {
        let now = self.world().monotonic();
        let fresh = |at: Duration| now.saturating_sub(at) < GUARD_LIFE;
        if hold(&self.clocks().guarded).is_some_and(fresh) { Ok(()) } else { self.compare_clocks().await }
    }

    async fn compare_clocks(&self) -> Result<(), GuardError> {
        let started = self.world().monotonic();
        let before = self.world().now();
        let theirs = self.store().clock().await?;
        let after = self.world().now();
        let apart = before.since(theirs).max(theirs.since(after));
        if apart > MAX_SKEW {
            return Err(GuardError::Skew { seconds: apart.as_secs() });
        }
        *hold(&self.clocks().guarded) = Some(started);
        Ok(())
    }

    /// Holds the wall clock against the newest time that a core of this tenant wrote down.
    pub(crate) fn begin_trust(&self, known: Option<Time>) {
        let world = self.world();
        *hold(&self.clocks().trust) = ClockTrust::begin(known, world.now(), world.monotonic());
    }

    /// The guard of steps that destroy data by the clock: beside the store's clock the wall clock must have gone on as
    /// it was expected to, or another machine's clock must agree with it.
    pub(crate) async fn guard_destruction(&self) -> Result<(), GuardError> {
        let Some(doubt) = self.doubt() else {
            self.end_ration().await;
            return self.guard_clock().await;
        };
        self.compare_clocks().await?;
        let (world, seconds) = (self.world(), doubt.by.as_secs());
        let waited = world.monotonic().saturating_sub(doubt.since);
        // An object store's clock, which has just agreed, is another machine's.
        if self.store().is_metered() || self.a_witness_agrees().await {
            *hold(&self.clocks().ration) = None;
            tracing::info!(seconds, "the clock jumped, and another machine's clock agrees");
        } else if waited >= PATIENCE {
            *hold(&self.clocks().ration) = Some(Ration::begin(world.monotonic()));
            tracing::error!(
                seconds,
                "the clock jumped, and nobody could be asked for an hour: it is taken for right, and for a day retention \
                 destroys only some messages an hour"
            );
        } else {
            return Err(GuardError::Unconfirmed { seconds });
        }
        hold(&self.clocks().trust).confirm(world.now(), world.monotonic());
        Ok(())
    }

    /// How many of so many messages whose time is over may be destroyed now: all of them, unless the clock jumped and
    /// nobody confirmed it.
    pub(crate) fn may_expire(&self, wanted: usize) -> usize {
        let now = self.world().monotonic();
        hold(&self.clocks().ration).as_mut().map_or(wanted, |ration| ration.take(wanted, now))
    }

    async fn end_ration(&self) {
        let now = self.world().monotonic();
        let Some(ration) = *hold(&self.clocks().ration) else { return };
        if ration.is_over(now) || self.a_witness_agrees().await {
            *hold(&self.clocks().ration) = None;
        }
    }

    /// Whether the wall clock is where it was expected to be, or somebody has agreed with it.
    pub(crate) fn trusts_clock(&self) -> bool {
        self.doubt().is_none()
    }

    fn doubt(&self) -> Option<Doubt> {
        let world = self.world();
        if !world.may_jump() {
            return None;
        }
        hold(&self.clocks().trust).judge(world.now(), world.monotonic())
    }

    /// Asks the API server and the tokens' issuers what time it is, at most every half minute.
    async fn a_witness_agrees(&self) -> bool {
        let now = self.world().monotonic();
        {
            let mut asked = hold(&self.clocks().asked);
            if asked.is_some_and(|at| now.saturating_sub(at) < WITNESS_PAUSE) {
                return false;
            }
            *asked = Some(now);
        }
        let Some(witnesses) = self.clocks().witnesses.get() else { return false };
        let said = witnesses.ask(self.config()).await;
        said.into_iter().any(|theirs| clock_trust::agrees(self.world().now(), theirs))
    }

    fn clocks(&self) -> &Clocks {
        &self.0.clocks
    }
}
