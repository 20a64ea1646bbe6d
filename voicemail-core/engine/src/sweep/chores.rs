//! What a sweep does beside due items: recent audio, sealing the audit log, the daily tasks, tidying.

use super::{Swept, audio, audit, greetings, is_time, openings, pace_of, probes, quarantine};
use crate::context::Context;
use crate::gdpr::{Gdpr, GdprError, expire_ledger};
use crate::mwi::forget_unused;
use std::time::Duration;
use voicemail_model::Time;
use voicemail_model::daily::{Daily, Task};
use voicemail_store::{History, StoreError};

/// How often closed hours of the audit log are looked for.
const SEAL_EVERY: Duration = Duration::from_secs(3_600);

/// When each was done last.
pub(super) struct Chores {
    context: Context,
    gdpr: Gdpr,
    last_audio: Option<Duration>,
    last_seal: Option<Duration>,
    /// Newest hour of the audit log up to which everything is sealed.
    sealed: Option<String>,
    daily: Daily,
}

impl Chores {
    /// As a process begins.
    pub(super) fn new(context: Context, gdpr: Gdpr) -> Self {
        Self { context, gdpr, last_audio: None, last_seal: None, sealed: None, daily: Daily::default() }
    }

    /// All whose time has come. Each fails by itself.
    pub(super) async fn work(&mut self) -> Swept {
        let mut swept = Swept::default();
        let now = self.context.world().monotonic();
        let audio = self.sweep_audio(now, &mut swept).await;
        swept.note("recent audio", audio);
        self.seal_audit(now, &mut swept).await;
        self.do_daily_work(now, &mut swept).await;
        let tidied = self.context.store().tidy().await;
        swept.note("tidying the store", tidied);
        swept
    }

    /// Once an hour, and again with the next pass if it failed.
    async fn seal_audit(&mut self, now: Duration, swept: &mut Swept) {
        if !is_time(self.last_seal, now, SEAL_EVERY) {
            return;
        }
        match self.gdpr.seal_audit(self.sealed.as_deref()).await {
            Ok(hour) => (self.last_seal, self.sealed) = (Some(now), Some(hour)),
            Err(GdprError::Store(error)) => swept.skip("sealing the audit log", &error),
            Err(error) => {
                swept.failed += 1;
                tracing::warn!(%error, "the audit log wasn't sealed and will be the next time");
            }
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
            Task::Receivers => forget_unused(context).await,
            Task::Audio => {
                audio::sweep_all(context, swept).await;
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
        if !is_time(self.last_audio, now, pace_of(&self.context).audio) {
            return Ok(());
        }
        self.last_audio = Some(now);
        let recent = audio::sweep_recent(&self.context, swept).await;
        if self.context.store().is_metered() {
            audio::sweep_share(&self.context, swept).await;
            self.daily.note(Task::Audio, now, true);
        }
        recent
    }
}
