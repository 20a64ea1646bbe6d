//! The sweeper: carries out what is due and completes or removes what crashes left behind.
//!
//! Every replica runs one; any may do any work, because all of it is idempotent. One file a kind of
//! garbage. Due items are taken up at their second, each beside the others, so that none waits for one that takes long; audio without an entry is looked for among recent hours
//! of this cluster's region, and once a day in all regions and among all hours that ids may name.
//!
//! On a store whose requests cost money an idle replica looks every two minutes. It sleeps no longer than to
//! the next item that it knows of, and what this process itself files wakes it: only what a replica that
//! died had filed may be taken up that much later. Nothing lives longer for it: what is due counts as gone.

mod audio;
mod audit;
mod chores;
mod due;
mod greetings;
mod lanes;
mod openings;
mod probes;
mod quarantine;

use crate::context::{Context, GuardError};
use crate::gdpr::Gdpr;
use chores::Chores;
use futures::StreamExt;
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use lanes::{Lanes, Listed};
use std::time::Duration;
use voicemail_model::Time;
use voicemail_store::{ErrorClass, Key, StoreError};

/// Longest pause between two looks at due items, and how often recent audio is walked.
struct Pace {
    pause: Duration,
    audio: Duration,
}

const FREE: Pace = Pace { pause: Duration::from_secs(5), audio: Duration::from_secs(60) };
const METERED: Pace = Pace { pause: Duration::from_secs(120), audio: Duration::from_secs(900) };

/// Chores under way, which come back when they are done.
type Working = FuturesUnordered<BoxFuture<'static, (Chores, Swept)>>;

/// The sweeper of one replica.
pub struct Sweeper {
    pub(crate) context: Context,
    pub(crate) gdpr: Gdpr,
    lanes: Lanes,
    /// None while they are under way.
    chores: Option<Chores>,
    last_facts: Option<Duration>,
    last_pass: Option<Duration>,
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
    /// Adds what was done beside it.
    fn add(&mut self, other: Self) {
        self.due += other.due;
        self.failed += other.failed;
        self.completed += other.completed;
        self.orphans += other.orphans;
        self.lag = self.lag.max(other.lag);
        self.next = [self.next, other.next].into_iter().flatten().min();
    }

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
            lanes: Lanes::new(context.clone(), gdpr.clone()),
            chores: Some(Chores::new(context.clone(), gdpr.clone())),
            context,
            gdpr,
            last_facts: None,
            last_pass: None,
            next: None,
        }
    }

    /// Sweeps until the future is dropped. Failures are logged and retried with the next pass. A pass only begins what
    /// is due: items and chores that take long go on beside the passes that follow, and beside the looks for what is due.
    pub async fn run(mut self) {
        let (mut chores, mut since) = (Working::new(), Swept::default());
        loop {
            let outcome = self.begin(&mut chores, &mut since).await;
            if outcome.is_ok()
                && let Some(mut due) = self.chores.take()
            {
                chores.push(Box::pin(async move {
                    let swept = due.work().await;
                    (due, swept)
                }));
            }
            let pause = if outcome.is_ok() { self.pace().pause } else { FREE.pause };
            self.report(outcome.map(|begun| {
                since.add(begun);
                std::mem::take(&mut since)
            }));
            let context = self.context.clone();
            let mut end = Box::pin(context.world().sleep(pause));
            while !self.is_time() {
                tokio::select! {
                    () = &mut end => break,
                    () = until_next(&context, self.next) => break,
                    () = context.expected() => {}
                    Some(done) = self.lanes.next_done() => self.take_in(done, &mut since),
                    Some(back) = chores.next() => self.take_back(back, &mut since),
                }
            }
        }
    }

    /// An item is done.
    fn take_in(&mut self, done: Swept, since: &mut Swept) {
        self.next = [self.next, done.next].into_iter().flatten().min();
        self.last_facts = self.last_facts.filter(|_| done.due == 0);
        since.add(Swept { next: None, ..done });
    }

    /// The chores are done.
    fn take_back(&mut self, (back, swept): (Chores, Swept), since: &mut Swept) {
        self.chores = Some(back);
        since.add(Swept { next: None, ..swept });
    }

    /// Whether something that is known is due.
    fn is_time(&mut self) -> bool {
        self.next = [self.next, self.context.take_expected()].into_iter().flatten().min();
        self.next.is_some_and(|next| next <= self.context.world().now())
    }

    /// One pass over everything whose time has come, to its end. Each part fails by itself: one item that can't be read,
    /// or a region that is away, keeps nothing else from being done, and the metrics say so.
    ///
    /// # Errors
    /// The store's, when due items couldn't be listed to their end; all else was tried nevertheless.
    pub async fn pass(&mut self) -> Result<Swept, StoreError> {
        let outcome = self.work().await;
        self.report(outcome.clone());
        outcome
    }

    fn report(&mut self, outcome: Result<Swept, StoreError>) {
        let now = self.context.world().monotonic();
        let (lag, failed) = match &outcome {
            Ok(swept) => (swept.lag, swept.failed),
            Err(_) => (now.saturating_sub(*self.last_pass.get_or_insert(now)), 1),
        };
        match outcome {
            Ok(swept) => {
                self.last_pass = Some(now);
                if swept.failed > 0 {
                    tracing::warn!(failed = swept.failed, "some due work failed and will be tried again");
                }
            }
            Err(error) => tracing::warn!(reason = error.reason(), %error, "a sweep failed"),
        }
        if let Some(metrics) = self.context.mwi().metrics() {
            metrics.show_sweep(lag, failed);
        }
    }

    /// Takes on what is due, and begins it. After one that fails nothing is known to be due: the next look comes after a
    /// pause. What is under way is polled meanwhile: it may hold all places among the store's calls, and the look wants one.
    async fn begin(&mut self, chores: &mut Working, since: &mut Swept) -> Result<Swept, StoreError> {
        self.next = None;
        let (facts, before) = (self.wants_facts(), self.last_facts);
        let mut look = Box::pin(look(self.context.clone(), self.gdpr.clone(), facts));
        // What is done meanwhile changes the list of open runs.
        self.last_facts = Some(self.context.world().monotonic());
        let (found, listed) = loop {
            tokio::select! {
                found = &mut look => break found,
                Some(done) = self.lanes.next_done() => self.take_in(done, since),
                Some(back) = chores.next() => self.take_back(back, since),
            }
        };
        if !found.facts {
            self.last_facts = before.filter(|_| self.last_facts.is_some());
        }
        let listed = listed?.ok_or_else(|| StoreError::Unavailable("the clocks don't agree".into()))?;
        self.lanes.take_on(&listed);
        self.next = [self.next, listed.next].into_iter().flatten().min();
        listed.whole.map(|()| found.swept)
    }

    async fn work(&mut self) -> Result<Swept, StoreError> {
        let (found, listed) = look(self.context.clone(), self.gdpr.clone(), self.wants_facts()).await;
        if found.facts {
            self.last_facts = Some(self.context.world().monotonic());
        }
        let mut swept = found.swept;
        let Some(listed) = listed? else { return Ok(swept) };
        self.lanes.take_on(&listed);
        swept.next = listed.next;
        let mut chores =
            self.chores.take().unwrap_or_else(|| Chores::new(self.context.clone(), self.gdpr.clone()));
        let (due, done) = tokio::join!(self.lanes.finish(), chores.work());
        self.chores = Some(chores);
        swept.add(due);
        swept.add(done);
        self.next = swept.next;
        // Due items that were carried out change the list of open runs.
        if swept.due > 0 {
            let now = self.context.world().monotonic();
            self.last_facts = look_up_facts(&self.gdpr, &mut swept).await.then_some(now);
        }
        let away = self.lanes.was_away();
        listed.whole.and(away).map(|()| swept)
    }

    fn wants_facts(&self) -> bool {
        is_time(self.last_facts, self.context.world().monotonic(), self.pace().audio)
    }

    fn pace(&self) -> Pace {
        pace_of(&self.context)
    }
}

/// The findings of a look beside the list of what is due.
#[derive(Default)]
struct Found {
    swept: Swept,
    /// The open requests were looked up.
    facts: bool,
}

/// Looks up the open requests, if that is wanted, and lists what is due; nothing of it while the clocks don't agree.
async fn look(context: Context, gdpr: Gdpr, facts: bool) -> (Found, Result<Option<Listed>, StoreError>) {
    let (mut found, mut swept) = (Found::default(), Swept::default());
    // Deadlines are looked up whatever becomes of the rest: somebody must learn of one that isn't kept.
    let looked_up = async { facts && look_up_facts(&gdpr, &mut found.swept).await };
    let listing = async {
        match may_destroy(&context, &mut swept).await {
            Ok(true) => Ok(Some(lanes::list(&context).await)),
            other => other.map(|_| None),
        }
    };
    let (facts, listed) = tokio::join!(looked_up, listing);
    found.swept.add(swept);
    (Found { facts, ..found }, listed)
}

async fn look_up_facts(gdpr: &Gdpr, swept: &mut Swept) -> bool {
    let looked_up = gdpr.look_up_open_runs().await;
    looked_up.map_err(|error| swept.skip("looking up open requests", &error)).is_ok()
}

/// Every time-driven step of a sweep deletes or hides data, so the pass is skipped while the clock can't be trusted.
async fn may_destroy(context: &Context, swept: &mut Swept) -> Result<bool, StoreError> {
    match context.guard_destruction().await {
        Ok(()) => Ok(true),
        Err(GuardError::Store(error)) => Err(error),
        Err(error @ (GuardError::Skew { .. } | GuardError::Unconfirmed { .. })) => {
            tracing::error!(%error, "nothing is swept until the clocks agree again");
            swept.failed += 1;
            Ok(false)
        }
    }
}

fn pace_of(context: &Context) -> Pace {
    if context.store().is_metered() { METERED } else { FREE }
}

/// Sleeps until the next known item.
async fn until_next(context: &Context, next: Option<Time>) {
    match next {
        Some(next) => {
            let left = next.since(context.world().now());
            context.world().sleep(left.max(Duration::from_millis(20))).await;
        }
        None => std::future::pending().await,
    }
}

fn is_time(last: Option<Duration>, now: Duration, every: Duration) -> bool {
    last.is_none_or(|at| now.saturating_sub(at) >= every)
}

#[cfg(test)]
mod tests;
