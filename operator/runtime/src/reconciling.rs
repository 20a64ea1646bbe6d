//! Drives both controllers: watches, deadlines, back-off, panics. Knows no business rule.
//!
//! ```text
//!  watch primary ─▶ strip managedFields ─▶ guard undecodable ─▶ reflector ─┐
//!  watch children by label (metadata only) ─▶ owner by label ──────────────┼─▶ queue ─▶ reconcile ≤ 120 s
//! ```
//!
//! Each watch backs off by itself and its errors are absorbed here, so that one failing watch never holds
//! up another. A reconcile that panics or hangs is counted and repeated; an object that fails waits longer
//! each time, with jitter, up to five minutes.

pub mod backoff;
pub mod failures;
pub mod queue;
pub mod recent;
pub mod requests;
pub mod status_messages;
pub mod streams;
pub mod turns;
pub mod unreadable;

use crate::calls::{CallError, Classified, ErrorClass, within_deadline};
use crate::metrics::{Metrics, Outcome};
use crate::place::{place, place_of};
use backoff::Backoffs;
use futures::{FutureExt, StreamExt};
use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::core::v1::ObjectReference;
use kube::core::DeserializeGuard;
use kube::core::error_boundary::InvalidObject;
use kube::runtime::controller::{self, Action, Controller};
use kube::runtime::events::{Event, Recorder, Reporter};
use kube::runtime::reflector::Store;
use kube::{Client, Resource};
use queue::Queue;
use serde::de::DeserializeOwned;
use std::fmt::Debug;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;
use turns::Turns;

/// Longest time that one reconcile may take.
const RECONCILE_DEADLINE: Duration = Duration::from_secs(120);
/// How long to wait before each attempt to clear up after an object that is gone.
const AFTER_END: [Duration; 4] =
    [Duration::ZERO, Duration::from_secs(5), Duration::from_secs(30), Duration::from_secs(180)];
/// Characters of an event's note. The API server refuses more than 1024 bytes.
const LONGEST_NOTE: usize = 1000;
/// Gathers the several events of one change.
const DEBOUNCE: Duration = Duration::from_millis(100);

/// Services that every controller uses, whatever its resource.
#[derive(Clone)]
pub struct Services {
    /// The API server.
    pub client: Client,
    /// Counters.
    pub metrics: Arc<Metrics>,
    recorder: Recorder,
}

impl Services {
    /// Events are published under the name of this replica.
    pub fn new(client: Client, metrics: Arc<Metrics>, replica: String) -> Self {
        let reporter = Reporter { controller: "voicemail-operator".into(), instance: Some(replica) };
        Self { recorder: Recorder::new(client.clone(), reporter), client, metrics }
    }

    /// Publishes an event, its note cut to what the API server takes. A lost event is logged and no failure.
    pub async fn publish(&self, mut event: Event, about: &ObjectReference) {
        event.note = event.note.map(|note| note.chars().take(LONGEST_NOTE).collect());
        let publish = within_deadline("publish an event", self.recorder.publish(&event, about));
        if let Err(error) = publish.await {
            tracing::warn!(%error, reason = event.reason, "an event was lost");
        }
    }
}

/// A failed reconcile, as the queue sees it.
#[derive(Debug, thiserror::Error)]
#[error("{reason}: {message}")]
pub struct Failure {
    /// Whether retrying helps.
    pub class: ErrorClass,
    /// Stable name.
    pub reason: &'static str,
    /// In words.
    pub message: String,
    outcome: Outcome,
}

impl Failure {
    fn of(error: &dyn Classified) -> Self {
        let outcome = if error.class() == ErrorClass::Permanent { Outcome::Terminal } else { Outcome::Error };
        Self { class: error.class(), reason: error.reason(), message: error.to_string(), outcome }
    }

    fn timeout() -> Self {
        let message = format!("no end within {} s", RECONCILE_DEADLINE.as_secs());
        Self { class: ErrorClass::Transient, reason: "ReconcileTimeout", message, outcome: Outcome::Timeout }
    }

    fn panic() -> Self {
        let message = "the reconcile panicked; this is a fault of the operator".to_owned();
        Self { class: ErrorClass::Transient, reason: "ReconcilePanic", message, outcome: Outcome::Panic }
    }
}

/// A controller's own part.
pub trait Reconciler: Send + Sync + 'static {
    /// The primary resource.
    type Object: Resource<DynamicType = (), Scope = NamespaceResourceScope>
        + Clone
        + Debug
        + DeserializeOwned
        + Send
        + Sync
        + 'static;
    /// State that its reconciles share.
    type Context: Send + Sync + 'static;
    /// Errors of a reconcile.
    type Error: Classified;
    /// Name in metrics and logs.
    const NAME: &'static str;

    /// How long one reconcile may keep a place from others, where what it waits for is somebody else's; `None`: to its end.
    const PATIENCE: Option<Duration>;

    /// The condition that says so when an object can't be read.
    const UNREADABLE: &'static str;

    /// Of which one is worked on at a time: the object itself, or whatever makes several objects slow together.
    fn group(object: &Self::Object) -> String;

    /// Brings one object to what it should be.
    fn reconcile(
        &self,
        object: &Self::Object,
        context: &Self::Context,
    ) -> impl Future<Output = Result<Action, Self::Error>> + Send;

    /// There is no object in that place any more: drops what is remembered of it.
    fn forget(&self, _namespace: &str, _name: &str, _context: &Self::Context) {}

    /// There is no object in that place, though something pointed at one: it went, or something of it is left.
    fn after_end(
        &self,
        _namespace: &str,
        _name: &str,
        _context: &Self::Context,
    ) -> impl Future<Output = Result<(), CallError>> + Send {
        async { Ok(()) }
    }
}

/// Everything a controller needs to run.
pub struct Driver<R: Reconciler> {
    /// Its own part.
    pub reconciler: R,
    /// State that its reconciles share.
    pub context: Arc<R::Context>,
    /// Services that every controller uses.
    pub services: Services,
    /// Whose turn it is, over all namespaces.
    pub turns: Arc<Turns>,
    /// Waiting work, for the metrics.
    pub queue: Arc<Queue>,
    backoffs: Backoffs,
}

impl<R: Reconciler> Driver<R> {
    /// A driver that works on `concurrency` objects at a time.
    pub fn new(
        reconciler: R,
        context: Arc<R::Context>,
        services: Services,
        concurrency: u16,
        stop: CancellationToken,
    ) -> Self {
        services.metrics.set_concurrency(R::NAME, concurrency);
        let turns = Turns::new(concurrency, R::PATIENCE, stop);
        let queue = Arc::new(Queue::new(R::NAME, services.metrics.clone()));
        Self { reconciler, context, services, turns, queue, backoffs: Backoffs::default() }
    }

    /// Runs one controller until the token is cancelled and running reconciles have ended.
    pub async fn run(
        self: Arc<Self>,
        controller: Controller<DeserializeGuard<R::Object>>,
        stop: CancellationToken,
        concurrency: u16,
    ) {
        let unready = stopped_before_ready(controller.store(), stop.clone());
        // Where turns may go on beside the places, kube's own limit (0: none) mustn't hold up the next object.
        let limit = R::PATIENCE.map_or(concurrency, |_| 0);
        let driver = self.clone();
        controller
            .with_config(controller::Config::default().concurrency(limit).debounce(DEBOUNCE))
            .graceful_shutdown_on(stop.cancelled_owned())
            .run(
                |object, driver: Arc<Self>| async move { driver.attempt(object).await }.boxed(),
                |object, failure, driver| driver.after_failure(&object, failure),
                self,
            )
            .take_until(unready)
            .for_each(|result| {
                if let Err(controller::Error::ObjectNotFound(gone)) = result {
                    driver.forget(gone.namespace.unwrap_or_default(), gone.name);
                }
                async {}
            })
            .await;
    }

    /// Drops whatever is remembered of an object that is gone. What must be done in the cluster then is done beside the
    /// reconciles, and again a few times if it fails.
    fn forget(self: &Arc<Self>, namespace: String, name: String) {
        self.queue.forget(Some(&namespace), &name);
        self.services.metrics.set_failing(R::NAME, self.backoffs.forget(&place(&namespace, &name)));
        self.reconciler.forget(&namespace, &name, &self.context);
        let driver = self.clone();
        tokio::spawn(async move {
            for pause in AFTER_END {
                tokio::time::sleep(pause).await;
                let Some(_turn) = driver.turns.take(&namespace, &place(&namespace, &name)).await else {
                    return;
                };
                match driver.reconciler.after_end(&namespace, &name, &driver.context).await {
                    Ok(()) => return,
                    Err(error) => {
                        tracing::warn!(namespace, name, %error, "something of a gone object is left")
                    }
                }
            }
        });
    }

    async fn attempt(&self, object: Arc<DeserializeGuard<R::Object>>) -> Result<Action, Failure> {
        let namespace = object.meta().namespace.clone().unwrap_or_default();
        let group = object.0.as_ref().map_or_else(|_| place_of(object.as_ref()), R::group);
        let Some(turn) = self.turns.take(&namespace, &group).await else { return Ok(Action::await_change()) };
        // On the heap: whatever holds a reconcile's state by value has it on a worker's stack, once more each.
        turn.work(self.work(&object).boxed()).await
    }

    async fn work(&self, object: &DeserializeGuard<R::Object>) -> Result<Action, Failure> {
        self.queue
            .take(object.meta().namespace.as_deref(), object.meta().name.as_deref().unwrap_or_default());
        let object = match &object.0 {
            Ok(object) => object,
            Err(invalid) => return Ok(self.tell_unreadable(invalid).await),
        };
        let begin = Instant::now();
        let active = self.services.metrics.begin(R::NAME);
        let work = AssertUnwindSafe(self.reconciler.reconcile(object, &self.context).boxed()).catch_unwind();
        let result = match tokio::time::timeout(RECONCILE_DEADLINE, work).await {
            Err(_) => Err(Failure::timeout()),
            Ok(Err(_)) => Err(Failure::panic()),
            Ok(Ok(Err(error))) => Err(Failure::of(&error)),
            Ok(Ok(Ok(action))) => Ok(action),
        };
        drop(active);
        let outcome = result.as_ref().map_or_else(|failure| failure.outcome, |_| Outcome::Success);
        self.services.metrics.end(R::NAME, outcome, begin.elapsed());
        if let Ok(action) = &result {
            self.services.metrics.set_failing(R::NAME, self.backoffs.forget(&place_of(object)));
            if *action != Action::await_change() {
                self.queue.put_off();
            }
        }
        result
    }

    /// An object that can't be read is told of once, and left alone.
    async fn tell_unreadable(&self, invalid: &InvalidObject) -> Action {
        let (namespace, name) = (invalid.metadata.namespace.as_deref(), invalid.metadata.name.as_deref());
        let message = unreadable::words_of(invalid);
        tracing::warn!(controller = R::NAME, namespace, name, message, "an object can't be read");
        match unreadable::tell::<R::Object>(&self.services, invalid, R::UNREADABLE).await {
            Ok(()) => Action::await_change(),
            Err(error) => {
                tracing::warn!(controller = R::NAME, namespace, name, %error, "its status can't be written");
                Action::requeue(jittered(Duration::from_secs(60)))
            }
        }
    }

    fn after_failure(&self, object: &DeserializeGuard<R::Object>, failure: &Failure) -> Action {
        let (namespace, name) = (object.meta().namespace.as_deref(), object.meta().name.as_deref());
        let delay = match failure.class {
            ErrorClass::Conflict => jittered(Duration::from_millis(200)),
            _ => self.backoffs.next(&place_of(object), object.meta().uid.as_deref().unwrap_or_default()),
        };
        self.services.metrics.set_failing(R::NAME, self.backoffs.count());
        self.queue.put_off();
        let (reason, message) = (failure.reason, &failure.message);
        tracing::warn!(controller = R::NAME, namespace, name, reason, message, ?delay, "a reconcile failed");
        Action::requeue(delay)
    }
}

/// Ends when the stop comes before the first list has: kube waits for that list before it ends, for ever, since
/// it has let go of the watch. No reconcile runs then.
async fn stopped_before_ready<K>(store: Store<K>, stop: CancellationToken)
where
    K: Resource<DynamicType = ()> + Clone + 'static,
{
    stop.cancelled().await;
    if store.wait_until_ready().now_or_never().is_some() {
        std::future::pending::<()>().await;
    }
}

/// The duration with up to a tenth more or less, so that objects don't march in step after a restart.
pub fn jittered(duration: Duration) -> Duration {
    let mut byte = [128u8; 1];
    let _ = aws_lc_rs::rand::fill(&mut byte);
    duration.mul_f64(0.9 + 0.2 * f64::from(byte[0]) / 255.0)
}
