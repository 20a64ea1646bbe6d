//! The sweeper: carries out what is due and completes or removes what crashes left behind.
//!
//! Every replica runs one; any may do any work, because all of it is idempotent. One file a kind of
//! garbage. Due items are taken up at their second; audio without an entry is looked for every minute
//! among recent hours and once a day among all hours that ids may name.

mod audio;
mod due;
mod openings;
mod probes;
mod quarantine;

use crate::context::{Context, GuardError};
use crate::gdpr::Gdpr;
use crate::model::Time;
use crate::store::StoreError;
use std::time::Duration;

/// Longest pause between two looks at due items.
const PAUSE: Duration = Duration::from_secs(5);
const AUDIO_EVERY: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(86_400);

/// What one replica sweeps.
pub struct Sweeper {
    pub(crate) context: Context,
    pub(crate) gdpr: Gdpr,
    last_audio: Option<Duration>,
    last_daily: Option<Duration>,
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
    /// When the next due item is known to come.
    pub next: Option<Time>,
}

impl Sweeper {
    /// Over a tenant's services.
    pub fn new(context: Context, gdpr: Gdpr) -> Self {
        Self { context, gdpr, last_audio: None, last_daily: None, next: None }
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
            let pause = self.pause();
            self.context.world().sleep(pause).await;
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
        let is_time = |last: Option<Duration>, every| last.is_none_or(|at| now.saturating_sub(at) >= every);
        if is_time(self.last_daily, DAY) {
            audio::sweep_all(self, &mut swept).await?;
            openings::drop_stale(&self.context, &mut swept).await?;
            probes::remove_stale(&self.context).await?;
            quarantine::remove_old(&self.context).await?;
            (self.last_daily, self.last_audio) = (Some(now), Some(now));
        } else if is_time(self.last_audio, AUDIO_EVERY) {
            audio::sweep_recent(self, &mut swept).await?;
            self.last_audio = Some(now);
        }
        self.context.store().tidy().await?;
        self.next = swept.next;
        Ok(swept)
    }

    fn pause(&self) -> Duration {
        let now = self.context.world().now();
        self.next.map_or(PAUSE, |next| next.since(now)).clamp(Duration::from_millis(20), PAUSE)
    }
}
