//! The contract of a store, as one suite that runs unchanged over every back end.
//!
//! Each function is one promise of [`voicemail_store::Store`], asserted on the store given. A back
//! end's test calls [`run_all`] with a store of its own; a failure names the promise by its function.

#![allow(clippy::unwrap_used, clippy::panic, clippy::expect_used)]

use bytes::Bytes;
use futures::future::join_all;
use futures::{StreamExt, TryStreamExt, stream};
use std::sync::Arc;
use voicemail_store::{BodyError, BodyStream, Key, Revision, Store, StoreError};

fn key(text: &str) -> Key {
    Key::listed(text).unwrap()
}

fn body(chunks: Vec<Result<&'static str, BodyError>>) -> BodyStream {
    stream::iter(chunks.into_iter().map(|chunk| chunk.map(Bytes::from))).boxed()
}

async fn keys(store: &dyn Store, prefix: &str) -> Vec<String> {
    store.list(prefix).try_collect().await.unwrap()
}

async fn read(store: &dyn Store, name: &str, range: Option<std::ops::Range<u64>>) -> Option<(u64, Bytes)> {
    let body = store.read(&key(name), range).await.unwrap()?;
    let parts: Vec<Bytes> = body.bytes.try_collect().await.unwrap();
    Some((body.size, parts.concat().into()))
}

/// Runs every promise on one store, each below names of its own.
pub async fn run_all(store: Arc<dyn Store>) {
    let store = store.as_ref();
    objects_are_read_back(store).await;
    create_never_writes_over_an_object(store).await;
    one_of_many_creators_wins(store).await;
    a_streamed_body_is_stored_whole(store).await;
    a_body_that_fails_leaves_nothing(store).await;
    ranges_are_cut_at_the_end(store).await;
    documents_are_replaced_only_at_their_revision(store).await;
    one_of_many_replacers_wins(store).await;
    no_competing_increment_is_lost(store).await;
    listings_are_sorted_and_complete(store).await;
    listings_begin_after_any_name(store).await;
    a_prefix_is_a_whole_segment(store).await;
    deleting_what_is_missing_succeeds(store).await;
    a_name_can_be_used_again_after_its_deletion(store).await;
    the_clock_is_near_ours(store).await;
}

/// An object that was created is read, whole and as a stream; one that wasn't is `None`.
pub async fn objects_are_read_back(store: &dyn Store) {
    store.create(&key("contract/read/one"), "hello".into()).await.unwrap();
    assert_eq!(store.get(&key("contract/read/one")).await.unwrap(), Some("hello".into()));
    assert_eq!(read(store, "contract/read/one", None).await, Some((5, "hello".into())));
    assert_eq!(store.get(&key("contract/read/two")).await.unwrap(), None);
    assert_eq!(read(store, "contract/read/two", None).await, None);
    assert_eq!(store.load(&key("contract/read/none")).await.unwrap(), None);
}

/// A second `create` is `Exists` and changes nothing.
pub async fn create_never_writes_over_an_object(store: &dyn Store) {
    let name = key("contract/create");
    store.create(&name, "first".into()).await.unwrap();
    assert_eq!(store.create(&name, "second".into()).await, Err(StoreError::Exists));
    assert_eq!(store.get(&name).await.unwrap(), Some("first".into()));
}

/// Of 16 concurrent creators one wins, and its bytes are there.
pub async fn one_of_many_creators_wins(store: &dyn Store) {
    for round in 0..10 {
        let name = key(&format!("contract/race/{round}"));
        let racers = (0..16).map(|n| store.create(&name, Bytes::from(n.to_string())));
        let results = join_all(racers).await;
        let winners: Vec<usize> = (0..16).filter(|n| results[*n].is_ok()).collect();
        assert_eq!(winners.len(), 1, "round {round}: {results:?}");
        assert_eq!(store.get(&name).await.unwrap(), Some(winners[0].to_string().into()));
    }
}

/// `put` stores all chunks in order and answers their size.
pub async fn a_streamed_body_is_stored_whole(store: &dyn Store) {
    let name = "contract/put/whole";
    let size = store.put(&key(name), body(vec![Ok("a"), Ok(""), Ok("bcd")])).await.unwrap();
    assert_eq!((size, read(store, name, None).await), (4, Some((4, "abcd".into()))));
}

/// A body that fails half-way is the caller's error, and no object appears.
pub async fn a_body_that_fails_leaves_nothing(store: &dyn Store) {
    let name = "contract/put/broken";
    let error = BodyError::Interrupted("it stopped".into());
    let result = store.put(&key(name), body(vec![Ok("half"), Err(error.clone())])).await;
    assert_eq!(result, Err(StoreError::Body(error)));
    assert_eq!(read(store, name, None).await, None);
}

/// A range gives its part and the whole size; past the end it is cut.
pub async fn ranges_are_cut_at_the_end(store: &dyn Store) {
    let name = "contract/range";
    store.create(&key(name), "0123456789".into()).await.unwrap();
    assert_eq!(read(store, name, Some(2..5)).await, Some((10, "234".into())));
    assert_eq!(read(store, name, Some(8..99)).await, Some((10, "89".into())));
    assert_eq!(read(store, name, Some(20..30)).await, Some((10, Bytes::new())));
}

/// A document is replaced at its revision only, and made only where there is none.
pub async fn documents_are_replaced_only_at_their_revision(store: &dyn Store) {
    let name = key("contract/document");
    let bogus = Revision("4711".into());
    assert_eq!(store.replace(&name, Some(&bogus), "x".into()).await, Err(StoreError::Conflict));
    let first = store.replace(&name, None, "1".into()).await.unwrap();
    assert_eq!(store.replace(&name, None, "x".into()).await, Err(StoreError::Conflict));
    let second = store.replace(&name, Some(&first), "2".into()).await.unwrap();
    assert_ne!(first, second);
    assert_eq!(store.replace(&name, Some(&first), "x".into()).await, Err(StoreError::Conflict));
    let found = store.load(&name).await.unwrap().unwrap();
    assert_eq!((found.bytes, found.revision), ("2".into(), second));
}

/// Of 8 replacers of one revision one wins.
pub async fn one_of_many_replacers_wins(store: &dyn Store) {
    let name = key("contract/replacers");
    let basis = store.replace(&name, None, "0".into()).await.unwrap();
    let racers = (0..8).map(|n| store.replace(&name, Some(&basis), Bytes::from(format!("w{n}"))));
    let winners = join_all(racers).await.iter().filter(|result| result.is_ok()).count();
    assert_eq!(winners, 1);
}

/// Eight writers count to 80 together by compare-and-swap.
pub async fn no_competing_increment_is_lost(store: &dyn Store) {
    let name = key("contract/counter");
    store.replace(&name, None, "0".into()).await.unwrap();
    join_all((0..8).map(|_| count(store, &name, 10))).await;
    assert_eq!(store.load(&name).await.unwrap().unwrap().bytes, "80");
}

async fn count(store: &dyn Store, name: &Key, times: u32) {
    let mut done = 0;
    while done < times {
        let found = store.load(name).await.unwrap().unwrap();
        let number: u32 = std::str::from_utf8(&found.bytes).unwrap().parse().unwrap();
        match store.replace(name, Some(&found.revision), Bytes::from((number + 1).to_string())).await {
            Ok(_) => done += 1,
            Err(StoreError::Conflict) => tokio::task::yield_now().await,
            Err(error) => panic!("{error}"),
        }
    }
}

/// Objects and documents below a prefix are listed once each, in key order.
pub async fn listings_are_sorted_and_complete(store: &dyn Store) {
    let mut names = vec!["a-b/c", "a.b", "a/b", "a/b-c", "a0/x", "b/c/d", "z"];
    for name in &names {
        store.create(&key(&format!("contract/list/{name}")), "x".into()).await.unwrap();
    }
    store.replace(&key("contract/list/m/doc"), None, "x".into()).await.unwrap();
    names.push("m/doc");
    let mut expected: Vec<String> = names.iter().map(|name| format!("contract/list/{name}")).collect();
    expected.sort();
    assert_eq!(keys(store, "contract/list/").await, expected);
}

/// A listing that begins after any name, of a key or not, has exactly what the whole one has behind it.
pub async fn listings_begin_after_any_name(store: &dyn Store) {
    for name in ["a-b/c", "a.b", "a/b", "a/c", "a0/x", "b"] {
        store.create(&key(&format!("contract/after/{name}")), "x".into()).await.unwrap();
    }
    store.replace(&key("contract/after/a/doc"), None, "x".into()).await.unwrap();
    let all = keys(store, "contract/after/").await;
    let between = [
        "",
        "a",
        "contract/after/",
        "contract/after/a",
        "contract/after/a/",
        "contract/after/a0",
        "contract/b",
        "d",
    ];
    for after in all.iter().map(String::as_str).chain(between) {
        let expected: Vec<&String> = all.iter().filter(|key| key.as_str() > after).collect();
        let listed: Vec<String> = store.list_after("contract/after/", after).try_collect().await.unwrap();
        assert_eq!(listed.iter().collect::<Vec<_>>(), expected, "after {after:?}");
    }
}

/// `a/` doesn't list `ab`, and a prefix without keys lists nothing.
pub async fn a_prefix_is_a_whole_segment(store: &dyn Store) {
    store.create(&key("contract/prefix/a/x"), "x".into()).await.unwrap();
    store.create(&key("contract/prefix/ab"), "x".into()).await.unwrap();
    assert_eq!(keys(store, "contract/prefix/a/").await, ["contract/prefix/a/x"]);
    assert_eq!(keys(store, "contract/prefix/none/").await, Vec::<String>::new());
}

/// Deletion is idempotent, for objects and documents.
pub async fn deleting_what_is_missing_succeeds(store: &dyn Store) {
    store.delete(&key("contract/missing/never")).await.unwrap();
    store.create(&key("contract/missing/object"), "x".into()).await.unwrap();
    store.replace(&key("contract/missing/document"), None, "x".into()).await.unwrap();
    for name in ["contract/missing/object", "contract/missing/document"] {
        store.delete(&key(name)).await.unwrap();
        store.delete(&key(name)).await.unwrap();
    }
    assert_eq!(keys(store, "contract/missing/").await, Vec::<String>::new());
}

/// A deleted name can be created again.
pub async fn a_name_can_be_used_again_after_its_deletion(store: &dyn Store) {
    let name = key("contract/again/x");
    for text in ["one", "two"] {
        store.create(&name, text.into()).await.unwrap();
        assert_eq!(store.get(&name).await.unwrap(), Some(text.into()));
        store.delete(&name).await.unwrap();
    }
}

/// The store's clock can be read, and on one machine it is ours.
pub async fn the_clock_is_near_ours(store: &dyn Store) {
    let ours = voicemail_store::real_world().now();
    let theirs = store.clock().await.unwrap();
    let apart = ours.since(theirs).max(theirs.since(ours));
    assert!(apart.as_secs() <= 5, "{apart:?} apart");
}
