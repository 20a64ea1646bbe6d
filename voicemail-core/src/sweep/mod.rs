//! The sweeper: carries out what is due and completes or removes what crashes left behind.
//!
//! Every replica runs one; any may do any work, because all of it is idempotent. One file a kind of
//! garbage. Due items are taken up at their second; audio without an entry is looked for among recent hours
//! of this cluster's region, and once a day in all regions and among all hours that ids may name.
//!
//! On a store whose requests cost money an idle replica looks every two minutes. It sleeps no longer than to
//! the next item that it knows of, and what this process itself files wakes it: only what a replica that
//! died had filed may be taken up that much later. Nothing lives longer for it: what is due counts as gone.

mod audio;
mod audit;
mod due;
mod greetings;
mod openings;
mod probes;
mod quarantine;

use crate::context::{Context, GuardError};
use crate::gdpr::{Gdpr, expire_ledger};
use crate::model::Time;
use crate::store::StoreError;
use std::time::Duration;

/// Longest pause between two looks at due items, and how often recent audio is walked.
struct Pace {
    pause: Duration,
    audio: Duration,
}

const FREE: Pace = Pace { pause: Duration::from_secs(5), audio: Duration::from_secs(60) };
const METERED: Pace = Pace { pause: Duration::from_secs(120), audio: Duration::from_secs(900) };
const DAY: Duration = Duration::from_secs(86_400);

/// What one replica sweeps.
pub struct Sweeper {
    pub(crate) context: Context,
    pub(crate) gdpr: Gdpr,
    last_audio: Option<Duration>,
    last_daily: Option<Duration>,
    last_facts: Option<Duration>,
    next: Option<Time>,
}

/// What a pass did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    /// Due items carried out.
    pub due: u32,
    /// Due items and audio that failed and stay for the next pass.
    pub failed: u32,
    /// Deposits completed.
    pub completed: u32,
    /// Orphans removed.
    pub orphans: u32,
    /// How late the latest of the due items was taken up.
    pub lag: Duration,
    /// When the next due item is known to come.
    pub next: Option<Time>,
}

impl Sweeper {
    /// Over a tenant's services.
    pub fn new(context: Context, gdpr: Gdpr) -> Self {
        Self { context, gdpr, last_audio: None, last_daily: None, last_facts: None, next: None }
    }

    /// Sweeps until the future is dropped. Failures are logged and retried with the next pass.
    pub async fn run(mut self) {
        loop {
            match self.pass().await {
                Ok(swept) if swept.failed > 0 => {
                    tracing::warn!(failed = swept.failed, "some due work failed and will be tried again");
                }
                Ok(_) => {}
                Err(error) => tracing::warn!(reason = error.reason(), %error, "a sweep failed"),
            }
            self.rest().await;
        }
    }

    /// One pass over everything whose time has come.
    ///
    /// # Errors
    /// The store's, when nothing could be listed.
    pub async fn pass(&mut self) -> Result<Swept, StoreError> {
        // All that a sweep does by the clock destroys or hides: it stops while the clock can't be trusted.
        match self.context.guard_clock().await {
            Ok(()) => {}
            Err(GuardError::Store(error)) => return Err(error),
            Err(error @ GuardError::Skew { .. }) => {
                tracing::error!(%error, "nothing is swept until the clocks agree again");
                return Ok(Swept { failed: 1, ..Swept::default() });
            }
        }
        let mut swept = due::sweep(self).await?;
        let now = self.context.world().monotonic();
        self.sweep_audio(now, &mut swept).await?;
        if is_time(self.last_daily, now, DAY) {
            openings::drop_stale(&self.context, &mut swept).await?;
            expire_ledger(&self.context).await?;
            probes::remove_stale(&self.context).await?;
            greetings::remove_orphans(&self.context, &mut swept).await?;
            quarantine::remove_old(&self.context).await?;
            audit::remove_old(&self.context).await?;
            self.last_daily = Some(now);
        }
        if is_time(self.last_facts, now, self.pace().audio) {
            self.gdpr.look_up_open_runs().await?;
            self.last_facts = Some(now);
        }
        self.context.store().tidy().await?;
        self.next = swept.next;
        if let Some(metrics) = self.context.lamps().metrics() {
            metrics.show_sweep(swept.lag, swept.failed);
        }
        Ok(swept)
    }

    /// All hours once a day where that is free, and a share of them each time where it isn't.
    async fn sweep_audio(&mut self, now: Duration, swept: &mut Swept) -> Result<(), StoreError> {
        if !is_time(self.last_audio, now, self.pace().audio) {
            return Ok(());
        }
        if self.context.store().is_metered() {
            audio::sweep_recent(self, swept).await?;
            audio::sweep_share(self, swept).await;
        } else if is_time(self.last_daily, now, DAY) {
            audio::sweep_all(self, swept).await;
        } else {
            audio::sweep_recent(self, swept).await?;
        }
        self.last_audio = Some(now);
        Ok(())
    }

    fn pace(&self) -> Pace {
        if self.context.store().is_metered() { METERED } else { FREE }
    }

    /// Sleeps until the next known item, or until something new is filed here that comes before it.
    async fn rest(&mut self) {
        loop {
            self.next = [self.next, self.context.take_expected()].into_iter().flatten().min();
            let (now, longest) = (self.context.world().now(), self.pace().pause);
            let left = self.next.map_or(longest, |next| next.since(now));
            tokio::select! {
                () = self.context.world().sleep(left.clamp(Duration::from_millis(20), longest)) => return,
                () = self.context.expected() => {}
            }
        }
    }
}

fn is_time(last: Option<Duration>, now: Duration, every: Duration) -> bool {
    last.is_none_or(|at| now.saturating_sub(at) >= every)
}
