//! Second tries of calls that last longer than is usual for their store (hedged requests).
//!
//! ```text
//! call ─▶ first try ──────────────────── answer ─▶ noted as usual
//!            └─ longer than usual, allowed, a place free ─▶ second try beside it ─▶ whichever answers first
//! ```
//!
//! Twice the time within which nine of ten answers came is unusual. [`Usual`] knows it of each kind of call, [`Allowance`]
//! bounds the second tries, and each takes a place among the tenant's calls, or isn't made. [`HedgedStore`] asks so for
//! reads, listings and conditional writes, and an upload's last request is asked so where its bytes are still in memory
//! (`object/upload.rs`), under a name of its own.
//!
//! What can go wrong: a try that was given up may still arrive. A conditional write arrives once: the other try meets
//! `Exists` or `Conflict`, which says that it *may* be our own, and whoever wrote reads back and compares
//! ([`super::retry_until_known`], [`super::documents`]). Deletions have no second try: a late one would remove what was made
//! anew under the name.

mod allowance;
mod attempts;
mod store;
mod usual;

pub use attempts::put_attempts;
pub use store::HedgedStore;

use super::{Attempt, ErrorClass, Put, StoreError};
use allowance::Allowance;
use std::future::Future;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use usual::Usual;
use voicemail_model::clock::World;

/// So much more than nine of ten answers took is unusual.
const UNUSUAL: u32 = 2;
/// No call is tried again earlier, however fast the store usually is: a pause of this machine's own is no hang.
const SHORTEST: Duration = Duration::from_millis(50);
/// Ends of the classes of sizes; the last one has none.
const SIZES: [u64; 3] = [64 * 1024, 256 * 1024, 1024 * 1024];
const KINDS: usize = 4 + 2 * (SIZES.len() + 1);

/// A kind of call, whose answers take similar times.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Call {
    operation: &'static str,
    kind: usize,
}

impl Call {
    /// A small object or a document is read.
    pub fn read(operation: &'static str) -> Self {
        Self { operation, kind: 0 }
    }

    /// An object is opened, up to its first bytes.
    pub fn open() -> Self {
        Self { operation: "read", kind: 1 }
    }

    /// A listing, up to its first name.
    pub fn list() -> Self {
        Self { operation: "list", kind: 2 }
    }

    /// The store's clock, or whether it answers.
    pub fn greet(operation: &'static str) -> Self {
        Self { operation, kind: 3 }
    }

    /// A conditional write of so many bytes.
    pub fn write(operation: &'static str, bytes: u64) -> Self {
        Self { operation, kind: 4 + class_of(bytes) }
    }

    /// An object's only request, of so many bytes.
    fn put(bytes: u64) -> Self {
        Self { operation: "put", kind: 5 + SIZES.len() + class_of(bytes) }
    }
}

fn class_of(bytes: u64) -> usize {
    SIZES.iter().take_while(|end| bytes > **end).count()
}

/// What became of a call that lasted unusually long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The first try answered all the same.
    First,
    /// The second one did.
    Second,
    /// There was no second try: too many already, or no place for it.
    Refused,
}

impl Outcome {
    /// Stable name for metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::First => "first",
            Self::Second => "second",
            Self::Refused => "refused",
        }
    }
}

/// Told of each call that lasted unusually long: its operation, and what became of it.
pub type Watch = Arc<dyn Fn(&'static str, Outcome) + Send + Sync>;

/// What decides whether a call is tried again.
enum Rule {
    Learnt { known: Box<Mutex<Known>>, places: Arc<Semaphore> },
    Drawn(Box<dyn Fn() -> bool + Send + Sync>),
}

#[derive(Default)]
struct Known {
    usual: [Usual; KINDS],
    allowance: Allowance,
}

/// Places for so many calls at a time.
pub fn places_for(calls: u32) -> Arc<Semaphore> {
    Arc::new(Semaphore::new(usize::try_from(calls).unwrap_or(usize::MAX).min(Semaphore::MAX_PERMITS)))
}

/// Second tries of the calls to one region's store.
pub struct Hedges {
    world: World,
    rule: Rule,
    watch: Watch,
}

impl Hedges {
    /// By what is usual for the store. `places` are those that the tenant's calls take: a second try takes one more.
    pub fn new(world: World, places: Arc<Semaphore>, watch: Watch) -> Self {
        Self { world, rule: Rule::Learnt { known: Box::default(), places }, watch }
    }

    /// As [`new`](Self::new), for a tool, which shows no metrics and makes so many calls at a time at most.
    pub fn of_tool(world: &World, calls: u32) -> Self {
        Self::new(world.clone(), places_for(calls), Arc::new(|_, _| {}))
    }

    /// Calls for which `draw` says so are tried again at once: for simulations, in which nothing is usual.
    pub fn drawn(world: World, draw: impl Fn() -> bool + Send + Sync + 'static) -> Self {
        Self { world, rule: Rule::Drawn(Box::new(draw)), watch: Arc::new(|_, _| {}) }
    }

    /// The answer to a call, by its first try or a second one; a try is told which one it is.
    ///
    /// # Errors
    /// The call's. One that may have been applied by either try says so.
    pub async fn ask<T, F>(&self, call: Call, attempt: impl Fn(Attempt) -> F) -> Result<T, StoreError>
    where
        F: Future<Output = Result<T, StoreError>>,
    {
        let begun = self.world.monotonic();
        let mut first = pin!(attempt(Attempt::First));
        if let Some(patience) = self.patience(call) {
            tokio::select! {
                biased;
                answer = &mut first => return self.noted(call, begun, answer),
                () = self.world.sleep(patience) => {}
            }
            if let Some(_place) = self.begin() {
                return self.race(call, begun, first, pin!(attempt(Attempt::Second))).await;
            }
            (self.watch)(call.operation, Outcome::Refused);
        }
        let answer = first.await;
        self.noted(call, begun, answer)
    }

    /// Sends a body of so many bytes by its only request, each attempt under a name of its own.
    ///
    /// # Errors
    /// As [`ask`](Self::ask).
    pub async fn put<F>(&self, bytes: u64, send: impl Fn(Attempt) -> F) -> Result<Put, StoreError>
    where
        F: Future<Output = Result<(), StoreError>>,
    {
        let contended = AtomicBool::new(false);
        let sending = |attempt: Attempt| {
            contended.fetch_or(attempt == Attempt::Second, Ordering::Relaxed);
            let sent = send(attempt);
            async move { sent.await.map(|()| attempt) }
        };
        let attempt = self.ask(Call::put(bytes), sending).await?;
        Ok(Put { attempt, contended: contended.into_inner() })
    }

    /// The first try that decides; otherwise what both came to.
    async fn race<T>(
        &self,
        call: Call,
        begun: Duration,
        mut first: impl Future<Output = Result<T, StoreError>> + Unpin,
        mut second: impl Future<Output = Result<T, StoreError>> + Unpin,
    ) -> Result<T, StoreError> {
        let again = self.world.monotonic();
        let (mut outcome, mut answer) = tokio::select! {
            biased;
            answer = &mut first => (Outcome::First, answer),
            answer = &mut second => (Outcome::Second, answer),
        };
        if let Some(error) = answer.as_ref().err().filter(|error| error.class() != ErrorClass::Conflict) {
            let error = error.clone();
            (outcome, answer) = match outcome {
                Outcome::First => (Outcome::Second, second.await),
                _ => (Outcome::First, first.await),
            };
            answer = answer.map_err(|other| if error.may_be_applied() { error } else { other });
        }
        // The first try took at least as long, also if it was given up.
        self.note(call, begun);
        if outcome == Outcome::Second && answer.is_ok() {
            self.note(call, again);
        }
        (self.watch)(call.operation, outcome);
        answer
    }

    /// How long a call of that kind is waited for before it is tried again; none while nothing is known of its kind.
    fn patience(&self, call: Call) -> Option<Duration> {
        match &self.rule {
            Rule::Drawn(draw) => draw().then_some(Duration::ZERO),
            Rule::Learnt { known, .. } => {
                let mut known = lock(known);
                known.allowance.earn();
                known.usual[call.kind].percentile().map(|usual| (usual * UNUSUAL).max(SHORTEST))
            }
        }
    }

    /// Leave for a second try; for a learnt rule with its place.
    fn begin(&self) -> Option<Option<OwnedSemaphorePermit>> {
        match &self.rule {
            Rule::Drawn(_) => Some(None),
            Rule::Learnt { known, places } => {
                let place = Arc::clone(places).try_acquire_owned().ok()?;
                lock(known).allowance.spend().then_some(Some(place))
            }
        }
    }

    fn noted<T>(&self, call: Call, begun: Duration, answer: Result<T, StoreError>) -> Result<T, StoreError> {
        let answered = answer.as_ref().err().is_none_or(|error| error.class() == ErrorClass::Conflict);
        if answered {
            self.note(call, begun);
        }
        answer
    }

    fn note(&self, call: Call, begun: Duration) {
        if let Rule::Learnt { known, .. } = &self.rule {
            let took = self.world.monotonic().saturating_sub(begun);
            lock(known).usual[call.kind].note(took);
        }
    }
}

fn lock(known: &Mutex<Known>) -> MutexGuard<'_, Known> {
    known.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
