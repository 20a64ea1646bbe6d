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
mod daily;
mod due;
mod greetings;
mod openings;
mod probes;
mod quarantine;

use crate::context::{Context, GuardError};
use crate::gdpr::{Gdpr, expire_ledger};
use daily::{Daily, Task};
use std::time::Duration;
use voicemail_model::Time;
use voicemail_store::{ErrorClass, History, Key, StoreError};

/// Longest pause between two looks at due items, and how often recent audio is walked.
struct Pace {
    pause: Duration,
    audio: Duration,
}

const FREE: Pace = Pace { pause: Duration::from_secs(5), audio: Duration::from_secs(60) };
const METERED: Pace = Pace { pause: Duration::from_secs(120), audio: Duration::from_secs(900) };
/// The sweeper of one replica.
pub struct Sweeper {
    pub(crate) context: Context,
    pub(crate) gdpr: Gdpr,
    last_audio: Option<Duration>,
    last_facts: Option<Duration>,
    last_pass: Option<Duration>,
    daily: Daily,
    next: Option<Time>,
}

/// The outcome of a pass.
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

impl Swept {
    /// An item, or a part of the pass, that failed: it is tried again, and nothing else waits for it.
    fn skip(&mut self, what: &'static str, error: &StoreError) {
        self.failed += 1;
        tracing::warn!(what, class = ?error.class(), reason = error.reason(), %error, "failed and will be tried again");
    }

    /// Counts the failure of a part of the pass, if it failed.
    fn note(&mut self, what: &'static str, outcome: Result<(), StoreError>) {
        if let Err(error) = outcome {
            self.skip(what, &error);
        }
    }

    /// As [`skip`](Self::skip), unless the store itself is away: then so is all that would follow.
    async fn skip_one(
        &mut self,
        context: &Context,
        what: &'static str,
        error: StoreError,
    ) -> Result<(), StoreError> {
        if error.class() == ErrorClass::Transient && !answers(context).await {
            return Err(error);
        }
        self.skip(what, &error);
        Ok(())
    }
}

/// Whether the store answers for something that is surely whole.
async fn answers(context: &Context) -> bool {
    context.store().load(&Key::tenant()).await.is_ok()
}

impl Sweeper {
    /// Over a tenant's services.
    pub fn new(context: Context, gdpr: Gdpr) -> Self {
        Self {
            context,
            gdpr,
            last_audio: None,
            last_facts: None,
            last_pass: None,
            daily: Daily::default(),
            next: None,
        }
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

    /// One pass over everything whose time has come. Each part fails by itself: one item that can't be read, or a
    /// region that is away, keeps nothing else from being done, and the metrics say so.
    ///
    /// # Errors
    /// The store's, when due items couldn't be listed to their end; all else was tried nevertheless.
    pub async fn pass(&mut self) -> Result<Swept, StoreError> {
        let outcome = self.work().await;
        let now = self.context.world().monotonic();
        let (lag, failed) = match &outcome {
            Ok(swept) => (swept.lag, swept.failed),
            Err(_) => (now.saturating_sub(*self.last_pass.get_or_insert(now)), 1),
        };
        if outcome.is_ok() {
            self.last_pass = Some(now);
        }
        if let Some(metrics) = self.context.mwi().metrics() {
            metrics.show_sweep(lag, failed);
        }
        outcome
    }

    async fn work(&mut self) -> Result<Swept, StoreError> {
        // Deadlines are looked up whatever becomes of the rest: somebody must learn of one that isn't kept.
        let mut swept = Swept::default();
        self.look_up_facts(&mut swept).await;
        // Every time-driven step of a sweep deletes or hides data, so the pass is skipped while the clock can't be
        // trusted.
        match self.context.guard_destruction().await {
            Ok(()) => {}
            Err(GuardError::Store(error)) => return Err(error),
            Err(error @ (GuardError::Skew { .. } | GuardError::Unconfirmed { .. })) => {
                tracing::error!(%error, "nothing is swept until the clocks agree again");
                swept.failed += 1;
                return Ok(swept);
            }
        }
        let due = due::sweep(self, &mut swept).await;
        let now = self.context.world().monotonic();
        let audio = self.sweep_audio(now, &mut swept).await;
        swept.note("recent audio", audio);
        self.do_daily_work(now, &mut swept).await;
        let tidied = self.context.store().tidy().await;
        swept.note("tidying the store", tidied);
        self.next = swept.next;
        // Due items that were carried out change the list of open runs.
        if swept.due > 0 {
            self.last_facts = None;
            self.look_up_facts(&mut swept).await;
        }
        due.map(|()| swept)
    }

    async fn look_up_facts(&mut self, swept: &mut Swept) {
        let now = self.context.world().monotonic();
        if !is_time(self.last_facts, now, self.pace().audio) {
            return;
        }
        match self.gdpr.look_up_open_runs().await {
            Ok(()) => self.last_facts = Some(now),
            Err(error) => swept.skip("looking up open requests", &error),
        }
    }

    async fn do_daily_work(&mut self, now: Duration, swept: &mut Swept) {
        for task in Task::ALL {
            if !self.daily.is_due(task, now) {
                continue;
            }
            let outcome = self.carry_out(task, swept).await;
            self.daily.note(task, now, outcome.is_ok());
            swept.note(task.name(), outcome);
        }
    }

    async fn carry_out(&self, task: Task, swept: &mut Swept) -> Result<(), StoreError> {
        let context = &self.context;
        match task {
            Task::Openings => openings::drop_stale(context, swept).await,
            Task::Ledger => expire_ledger(context).await,
            Task::Probes => probes::remove_stale(context, swept).await,
            Task::Greetings => greetings::remove_orphans(context, swept).await,
            Task::Quarantine => quarantine::remove_old(context, swept).await,
            Task::Audit => audit::remove_old(context).await,
            Task::Audio => {
                audio::sweep_all(self, swept).await;
                Ok(())
            }
            // A volume is walked slice by slice when it is tidied.
            Task::History if context.store().is_metered() => {
                context.store().prune_history(History::All, Time(0)).await.map(drop)
            }
            Task::History => Ok(()),
        }
    }

    /// Recent hours; where every request costs money, also a share of all hours instead of all once a day.
    async fn sweep_audio(&mut self, now: Duration, swept: &mut Swept) -> Result<(), StoreError> {
        if !is_time(self.last_audio, now, self.pace().audio) {
            return Ok(());
        }
        self.last_audio = Some(now);
        let recent = audio::sweep_recent(self, swept).await;
        if self.context.store().is_metered() {
            audio::sweep_share(self, swept).await;
            self.daily.note(Task::Audio, now, true);
        }
        recent
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

#[cfg(test)]
mod tests;
