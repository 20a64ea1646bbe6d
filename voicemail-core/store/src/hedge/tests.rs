//! Second tries, played in virtual time by a store that holds up what it is told to.

#![allow(
    clippy::disallowed_methods,
    reason = "the store that is played waits by the clock that the tests pause"
)]

use super::*;
use crate::memory::MemoryStore;
use crate::retry_until_known::{Created, create_or_read};
use crate::{BodyStream, History, Keeper, Key, KeyStream, ObjectBody, Put, Revision, Store, Versioned};
use async_trait::async_trait;
use bytes::Bytes;
use futures::future::BoxFuture;
use futures::{StreamExt, TryStreamExt};
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use tokio::time::Instant;
use voicemail_api::config::CallerTagging;
use voicemail_model::clock::Surroundings;
use voicemail_model::{CallerHash, CallerTag, Time};

/// Tokio's clock, which tests pause.
struct Played(Instant);

impl Surroundings for Played {
    fn now(&self) -> Time {
        Time(0)
    }

    fn monotonic(&self) -> Duration {
        self.0.elapsed()
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        Box::pin(tokio::time::sleep(duration))
    }

    fn fill_random(&self, buffer: &mut [u8]) {
        buffer.fill(7);
    }
}

fn played() -> World {
    World::new(Played(Instant::now()))
}

const USUAL: Duration = Duration::from_millis(30);
const HELD_UP: Duration = Duration::from_secs(4);

/// How the next calls are held up: before they reach the store, or on their way back.
#[derive(Default)]
struct Held {
    before: AtomicUsize,
    after: AtomicUsize,
    always: AtomicBool,
    calls: AtomicUsize,
}

impl Held {
    fn take(of: &AtomicUsize) -> bool {
        of.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok()
    }

    async fn there(&self) {
        self.calls.fetch_add(1, Ordering::SeqCst);
        let slow = self.always.load(Ordering::SeqCst) || Self::take(&self.before);
        tokio::time::sleep(if slow { HELD_UP } else { USUAL }).await;
    }

    async fn back(&self) {
        if Self::take(&self.after) {
            tokio::time::sleep(HELD_UP).await;
        }
    }
}

/// Its uploads have a second try at once.
struct Far(MemoryStore, Arc<Held>, Hedges);

impl Far {
    fn new(world: &World, held: &Arc<Held>) -> Self {
        Self(MemoryStore::new(world.clone()), Arc::clone(held), Hedges::drawn(world.clone(), || true))
    }
}

#[async_trait]
impl Store for Far {
    async fn get(&self, key: &Key) -> Result<Option<Bytes>, StoreError> {
        self.1.there().await;
        self.0.get(key).await
    }

    async fn read(&self, key: &Key, range: Option<Range<u64>>) -> Result<Option<ObjectBody>, StoreError> {
        self.1.there().await;
        self.0.read(key, range).await
    }

    async fn load(&self, key: &Key) -> Result<Option<Versioned>, StoreError> {
        self.1.there().await;
        self.0.load(key).await
    }

    fn list_after<'a>(&'a self, prefix: &'a str, after: &'a str) -> KeyStream<'a> {
        // It may not be asked again once it has ended, as those of stores.
        let listed = async move {
            self.1.there().await;
            let keys = self.0.list_after(prefix, after);
            futures::stream::unfold(keys, |mut keys| async move { Some((keys.next().await?, keys)) })
        };
        futures::stream::once(listed).flatten().boxed()
    }

    async fn create(&self, key: &Key, bytes: Bytes) -> Result<(), StoreError> {
        self.1.there().await;
        let created = self.0.create(key, bytes).await;
        self.1.back().await;
        created
    }

    async fn put(&self, key: &Key, body: BodyStream) -> Result<u64, StoreError> {
        self.0.put(key, body).await
    }

    async fn put_attempts(&self, names: [&Key; 2], _: BodyStream, _: &CallerTag) -> Result<Put, StoreError> {
        let send = |attempt: Attempt| self.create(names[attempt.number()], "audio".into());
        self.2.put(5, send).await
    }

    async fn replace(&self, key: &Key, on: Option<&Revision>, bytes: Bytes) -> Result<Revision, StoreError> {
        self.1.there().await;
        let replaced = self.0.replace(key, on, bytes).await;
        self.1.back().await;
        replaced
    }

    async fn delete(&self, key: &Key) -> Result<(), StoreError> {
        self.1.there().await;
        self.0.delete(key).await
    }

    async fn prune_history(&self, of: History<'_>, superseded: Time) -> Result<Option<Time>, StoreError> {
        self.0.prune_history(of, superseded).await
    }

    async fn unpruned(&self) -> Result<Vec<String>, StoreError> {
        self.0.unpruned().await
    }

    async fn keeps(&self) -> Result<Vec<Keeper>, StoreError> {
        Ok(Vec::new())
    }

    async fn clock(&self) -> Result<Time, StoreError> {
        self.0.clock().await
    }
}

struct Scene {
    store: HedgedStore,
    held: Arc<Held>,
    world: World,
    told: Arc<Mutex<Vec<(&'static str, Outcome)>>>,
}

impl Scene {
    fn with_places(places: usize) -> Self {
        let (world, held, told) = (played(), Arc::<Held>::default(), Arc::<Mutex<Vec<_>>>::default());
        let noted = Arc::clone(&told);
        let watch: Watch = Arc::new(move |operation, outcome| lock_all(&noted).push((operation, outcome)));
        let hedges = Hedges::new(world.clone(), Arc::new(Semaphore::new(places)), watch);
        let far = Far::new(&world, &held);
        Self { store: HedgedStore::new(Arc::new(far), Arc::new(hedges)), held, world, told }
    }

    /// A store of which is known how fast it is.
    async fn known() -> Self {
        let scene = Self::with_places(64);
        for number in 0..100 {
            scene.store.get(&key(number)).await.unwrap();
            scene.store.create(&key(number), "x".into()).await.unwrap();
            scene.list().await;
        }
        scene
    }

    async fn list(&self) -> Vec<String> {
        self.store.list("due/").try_collect().await.unwrap()
    }

    async fn time<T>(&self, work: impl Future<Output = T>) -> (Duration, T) {
        let begun = self.world.monotonic();
        let answer = work.await;
        (self.world.monotonic().saturating_sub(begun), answer)
    }

    fn told(&self) -> Vec<(&'static str, Outcome)> {
        std::mem::take(&mut *lock_all(&self.told))
    }
}

fn lock_all<T>(all: &Mutex<T>) -> MutexGuard<'_, T> {
    all.lock().unwrap_or_else(PoisonError::into_inner)
}

fn key(number: usize) -> Key {
    Key::listed(&format!("due/{number}")).unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_read_that_is_held_up_is_answered_by_a_second_try() {
    let scene = Scene::known().await;
    scene.held.before.store(1, Ordering::SeqCst);
    let (took, found) = scene.time(scene.store.get(&key(1))).await;
    assert_eq!(found.unwrap().unwrap(), "x");
    assert!(took < Duration::from_millis(150), "{took:?}");
    assert_eq!(scene.told(), [("get", Outcome::Second)]);
}

#[tokio::test(start_paused = true)]
async fn a_listing_that_is_held_up_begins_again_and_names_each_key_once() {
    let scene = Scene::known().await;
    scene.held.before.store(1, Ordering::SeqCst);
    let (took, keys) = scene.time(scene.list()).await;
    assert!(took < Duration::from_millis(150), "{took:?}");
    assert_eq!(keys.len(), 100);
    assert_eq!(scene.told(), [("list", Outcome::Second)]);
}

#[tokio::test(start_paused = true)]
async fn an_empty_listing_ends() {
    let scene = Scene::with_places(64);
    assert_eq!(scene.list().await, Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn nothing_is_tried_again_before_it_is_known_what_is_usual() {
    let scene = Scene::with_places(64);
    scene.held.before.store(1, Ordering::SeqCst);
    let (took, _) = scene.time(scene.store.get(&key(1))).await;
    assert_eq!((took, scene.told()), (HELD_UP, vec![]));
}

#[tokio::test(start_paused = true)]
async fn a_write_whose_answer_is_held_up_is_found_to_be_our_own() {
    let scene = Scene::known().await;
    scene.held.after.store(1, Ordering::SeqCst);
    let (key, ours) = (key(500), Bytes::from("ours"));
    let creating = create_or_read(&scene.store, &scene.world, &key, &ours, None);
    let (took, created) = scene.time(creating).await;
    assert!(matches!(created, Ok(Created::Ours)));
    assert!(took < Duration::from_millis(250), "{took:?}");
    assert_eq!(scene.told(), [("create", Outcome::Second)]);
}

#[tokio::test(start_paused = true)]
async fn a_write_that_never_reached_the_store_is_made_by_its_second_try() {
    let scene = Scene::known().await;
    scene.held.before.store(1, Ordering::SeqCst);
    let (took, created) = scene.time(scene.store.create(&key(500), "ours".into())).await;
    assert_eq!(created, Ok(()));
    assert!(took < Duration::from_millis(150), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn somebody_elses_object_stays_somebody_elses() {
    let scene = Scene::known().await;
    scene.held.before.store(1, Ordering::SeqCst);
    let ours = Bytes::from("ours");
    let created = create_or_read(&scene.store, &scene.world, &key(1), &ours, None).await;
    assert!(matches!(created, Ok(Created::Theirs(theirs)) if theirs == "x"));
}

#[tokio::test(start_paused = true)]
async fn a_probes_write_is_made_once() {
    let scene = Scene::known().await;
    scene.held.after.store(1, Ordering::SeqCst);
    let probe = Key::probe(Time(0), "a");
    let (took, created) = scene.time(scene.store.create(&probe, "1".into())).await;
    assert_eq!((created, scene.told()), (Ok(()), vec![]));
    assert_eq!(took, HELD_UP + USUAL);
}

#[tokio::test(start_paused = true)]
async fn a_deletion_has_no_second_try() {
    let scene = Scene::known().await;
    for number in 0..60 {
        scene.store.delete(&key(number)).await.unwrap();
    }
    scene.held.before.store(1, Ordering::SeqCst);
    let (took, _) = scene.time(scene.store.delete(&key(60))).await;
    assert_eq!((took, scene.told()), (HELD_UP, vec![]));
}

#[tokio::test(start_paused = true)]
async fn a_store_that_becomes_slow_for_good_is_not_asked_everything_twice() {
    let scene = Scene::known().await;
    scene.held.always.store(true, Ordering::SeqCst);
    let before = scene.held.calls.load(Ordering::SeqCst);
    for _ in 0..200 {
        scene.store.get(&key(1)).await.unwrap();
    }
    let extra = scene.held.calls.load(Ordering::SeqCst) - before - 200;
    assert!((1..=20).contains(&extra), "{extra} second tries");
    scene.told();
    for _ in 0..100 {
        scene.store.get(&key(1)).await.unwrap();
    }
    assert_eq!(scene.told(), vec![], "its time is usual by now");
}

#[tokio::test(start_paused = true)]
async fn a_second_try_needs_a_place_of_its_own() {
    let scene = Scene::with_places(0);
    for number in 0..100 {
        scene.store.get(&key(number)).await.unwrap();
    }
    scene.held.before.store(1, Ordering::SeqCst);
    let (took, _) = scene.time(scene.store.get(&key(1))).await;
    assert_eq!((took, scene.told()), (HELD_UP, vec![("get", Outcome::Refused)]));
}

/// One of two tries ends at once with `error`, the other in a moment with `other`.
async fn of_both(error: StoreError, other: Result<u32, StoreError>) -> Result<u32, StoreError> {
    let hedges = Hedges::drawn(played(), || true);
    let attempt = |attempt: Attempt| {
        let answer = if attempt == Attempt::First { Err(error.clone()) } else { other.clone() };
        async move {
            tokio::time::sleep(USUAL * if attempt == Attempt::First { 1 } else { 2 }).await;
            answer
        }
    };
    hedges.ask(Call::write("create", 1), attempt).await
}

#[tokio::test(start_paused = true)]
async fn what_either_try_may_have_applied_is_never_told_as_not_applied() {
    let (away, unclear) = (StoreError::Unavailable("away".into()), StoreError::Unclear("lost".into()));
    assert_eq!(of_both(unclear.clone(), Err(away.clone())).await, Err(unclear.clone()));
    assert_eq!(of_both(away.clone(), Err(unclear.clone())).await, Err(unclear.clone()));
    assert_eq!(of_both(away.clone(), Err(StoreError::Exists)).await, Err(StoreError::Exists));
    assert_eq!(of_both(away.clone(), Ok(1)).await, Ok(1));
    assert_eq!(of_both(StoreError::Full("full".into()), Ok(1)).await, Ok(1));
    assert_eq!(of_both(away.clone(), Err(away.clone())).await, Err(away));
}

#[tokio::test(start_paused = true)]
async fn of_two_attempts_the_one_that_isnt_told_is_removed() {
    let (world, held) = (played(), Arc::<Held>::default());
    let store = Far::new(&world, &held);
    held.after.store(1, Ordering::SeqCst);
    let tag = CallerTag::new(CallerTagging::Hash, None, &CallerHash::withheld());
    let names = [&key(1), &key(2)];
    let stored = put_attempts(&store, &world, names, futures::stream::empty().boxed(), &tag).await;
    assert_eq!(stored, Ok(Attempt::Second));
    let left: Vec<String> = store.list("due/").try_collect().await.unwrap();
    assert_eq!(left, [key(2).to_string()]);
}
