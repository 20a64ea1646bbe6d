//! Behaviour that every server must have, seen through `object_store`.

use std::sync::Arc;

use bytes::Bytes;
use futures::future::join_all;
use object_store::path::Path;
use object_store::{Error, ObjectStore, ObjectStoreExt, PutMode, PutOptions, UpdateVersion};

/// Round trip, races of creators and competing increments on one store.
pub(crate) async fn keeps_objects_and_decides_races(store: Arc<dyn ObjectStore>) {
    objects_are_read_back(store.as_ref()).await;
    one_of_16_creators_wins(store.as_ref()).await;
    no_competing_increment_is_lost(store.as_ref()).await;
}

pub(crate) async fn objects_are_read_back(store: &dyn ObjectStore) {
    let path = Path::from("round/trip");
    store.put(&path, Bytes::from_static(b"0123456789").into()).await.unwrap();
    assert_eq!(read(store, &path).await, "0123456789");
    assert_eq!(store.get_range(&path, 2..5).await.unwrap(), "234");
    assert_eq!(store.head(&path).await.unwrap().size, 10);
    let listed = store.list_with_delimiter(Some(&Path::from("round"))).await.unwrap();
    assert_eq!(listed.objects.iter().map(|found| &found.location).collect::<Vec<_>>(), [&path]);
    store.delete(&path).await.unwrap();
    assert!(matches!(store.get(&path).await, Err(Error::NotFound { .. })));
}

async fn one_of_16_creators_wins(store: &dyn ObjectStore) {
    for round in 0..5 {
        let path = Path::from(format!("race/{round}"));
        let racers = (0..16).map(|racer: u32| {
            let body = Bytes::from(racer.to_string());
            store.put_opts(&path, body.into(), PutMode::Create.into())
        });
        let results = join_all(racers).await;
        let winners: Vec<usize> = (0..16).filter(|racer| results[*racer].is_ok()).collect();
        assert_eq!(winners.len(), 1, "round {round}: {results:?}");
        assert!(results.iter().flat_map(|result| result.as_ref().err()).all(is_conflict), "{results:?}");
        assert_eq!(read(store, &path).await, winners[0].to_string());
    }
}

async fn no_competing_increment_is_lost(store: &dyn ObjectStore) {
    let path = Path::from("counter");
    store.put(&path, Bytes::from_static(b"0").into()).await.unwrap();
    join_all((0..8).map(|_| increment(store, &path, 10))).await;
    assert_eq!(read(store, &path).await, "80");
}

async fn increment(store: &dyn ObjectStore, path: &Path, times: u32) {
    let mut done = 0;
    while done < times {
        let found = store.get(path).await.unwrap();
        let basis = UpdateVersion { e_tag: found.meta.e_tag.clone(), version: None };
        let number: u32 = std::str::from_utf8(&found.bytes().await.unwrap()).unwrap().parse().unwrap();
        let options = PutOptions::from(PutMode::Update(basis));
        match store.put_opts(path, Bytes::from((number + 1).to_string()).into(), options).await {
            Ok(_) => done += 1,
            Err(error) => assert!(is_conflict(&error), "{error}"),
        }
    }
}

fn is_conflict(error: &Error) -> bool {
    matches!(error, Error::AlreadyExists { .. } | Error::Precondition { .. })
}

/// The whole object as text.
pub(crate) async fn read(store: &dyn ObjectStore, path: &Path) -> String {
    let bytes = store.get(path).await.unwrap().bytes().await.unwrap();
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// Puts a small object at a fixed place, to be found again by [`finds_the_object`].
pub(crate) async fn leaves_an_object(store: &dyn ObjectStore) {
    store.put(&Path::from("kept"), Bytes::from_static(b"still here").into()).await.unwrap();
}

/// The object that [`leaves_an_object`] wrote is there.
pub(crate) async fn finds_the_object(store: &dyn ObjectStore) {
    assert_eq!(read(store, &Path::from("kept")).await, "still here");
}
