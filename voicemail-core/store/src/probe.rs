//! The start-up probe: does this store keep the promises that the protocol is built on?
//!
//! Some servers accept the conditions of a write and ignore them; some file systems have locks that
//! reach nobody. Neither shows in daily use until two replicas write at once. About 20 requests on
//! throw-away keys; a property that fails is named with its remedy, and the core isn't ready.

use super::races::Races;
use super::{Key, Revision, Store, StoreError};
use bytes::Bytes;
use futures::future::join_all;
use serde::Serialize;
use voicemail_model::clock::World;

/// Concurrent creators of one key, of which one must win.
const CREATORS: usize = 8;

/// One property and how it fared.
#[derive(Clone, Debug, Serialize)]
pub struct Finding {
    /// The property, such as `create-is-exclusive`.
    pub property: &'static str,
    /// Whether it holds.
    pub holds: bool,
    /// The observation, and the remedy if the property doesn't hold.
    pub detail: String,
}

impl Finding {
    /// The property holds.
    pub fn holds(property: &'static str) -> Self {
        Self::note(property, "holds".into())
    }

    /// Nothing is wrong, and there is something to know.
    pub fn note(property: &'static str, detail: String) -> Self {
        Self { property, holds: true, detail }
    }

    /// The property doesn't hold; the detail says what to do.
    pub fn fails(property: &'static str, detail: String) -> Self {
        Self { property, holds: false, detail }
    }

    /// From the outcome of an examination.
    pub fn of<E: std::fmt::Display>(property: &'static str, examined: Result<(), E>) -> Self {
        match examined {
            Ok(()) => Self::holds(property),
            Err(error) => Self::fails(property, error.to_string()),
        }
    }
}

/// The findings of a probe.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Report {
    /// In the order of the probe; it ends with the first failure.
    pub findings: Vec<Finding>,
}

impl Report {
    /// The property that doesn't hold.
    pub fn failure(&self) -> Option<&Finding> {
        self.findings.iter().find(|finding| !finding.holds)
    }

    fn add(&mut self, property: &'static str, result: Result<(), String>) -> bool {
        self.findings.push(Finding::of(property, result));
        self.failure().is_none()
    }

    fn add_examined(&mut self, examined: Result<Vec<Finding>, StoreError>) -> bool {
        match examined {
            Ok(findings) => self.findings.extend(findings),
            Err(error) => self.findings.push(Finding::fails("examination", error.to_string())),
        }
        self.failure().is_none()
    }
}

/// Probes a store, races included, and removes what it wrote.
pub async fn probe(store: &dyn Store, world: &World) -> Report {
    let mut report = probe_known(store, world).await;
    if report.failure().is_none() {
        let races = Races::new(store, world);
        let _ = report.add("creators-race", races.creators().await)
            && report.add("replacers-race", races.replacers().await)
            && report.add("count-is-exact", races.counters().await);
    }
    report
}

/// Probes a store that has passed the races before.
pub async fn probe_known(store: &dyn Store, world: &World) -> Report {
    let name = || Key::probe(world.now(), &world.random_hex());
    let keys = [name(), name(), name()];
    let mut report = Report::default();
    // Unreachable: nothing was written, so there is nothing to clean up.
    if !report.add("answers", store.greet().await.map_err(say)) {
        return report;
    }
    examine(store, &keys, &mut report).await;
    for key in &keys {
        let removed = store.delete(key).await.map_err(say);
        if let Err(error) = removed {
            report.add("delete", Err(error));
        }
    }
    report
}

async fn examine(store: &dyn Store, keys: &[Key; 3], report: &mut Report) {
    let [object, document, race] = keys;
    let _ = report.add_examined(store.examine().await)
        && report.add("create-and-read", create_and_read(store, object).await)
        && report.add("create-is-exclusive", create_again(store, object).await)
        && report.add("replace-is-conditional", replace_documents(store, document).await)
        && report.add("one-winner", race_creators(store, race).await)
        && report.add("clock", store.clock().await.map(|_| ()).map_err(say));
}

fn say(error: StoreError) -> String {
    error.to_string()
}

async fn create_and_read(store: &dyn Store, key: &Key) -> Result<(), String> {
    store.create(key, Bytes::from_static(b"one")).await.map_err(say)?;
    match store.get(key).await.map_err(say)? {
        Some(bytes) if bytes == "one" => Ok(()),
        _ => Err("an object that was just written isn't read back: use a store with read-after-write".into()),
    }
}

async fn create_again(store: &dyn Store, key: &Key) -> Result<(), String> {
    match store.create(key, Bytes::from_static(b"two")).await {
        Err(StoreError::Exists) => Ok(()),
        Ok(()) => {
            Err("the store writes over an object although told not to: it ignores If-None-Match".into())
        }
        Err(error) => Err(say(error)),
    }
}

async fn replace_documents(store: &dyn Store, key: &Key) -> Result<(), String> {
    let first = store.replace(key, None, Bytes::from_static(b"1")).await.map_err(say)?;
    let bogus = Revision("99999".into());
    match store.replace(key, Some(&bogus), Bytes::from_static(b"x")).await {
        Err(StoreError::Conflict) => {}
        Ok(_) => return Err("the store replaces a document of another revision: it ignores If-Match".into()),
        Err(error) => return Err(say(error)),
    }
    store.replace(key, Some(&first), Bytes::from_static(b"2")).await.map_err(say)?;
    match store.load(key).await.map_err(say)? {
        Some(found) if found.bytes == "2" => Ok(()),
        _ => Err("a document that was just replaced isn't read back".into()),
    }
}

async fn race_creators(store: &dyn Store, key: &Key) -> Result<(), String> {
    let creators = (0..CREATORS).map(|n| store.create(key, Bytes::from(n.to_string())));
    let winners = join_all(creators).await.iter().filter(|result| result.is_ok()).count();
    match winners {
        1 => Ok(()),
        n => Err(format!(
            "{n} of {CREATORS} concurrent creators of one key won: two replicas would lose messages"
        )),
    }
}
