//! The watches: of primary resources whole, of Deployments and pods whole but not kept, of everything else metadata
//! only.
//!
//! Each has its own back-off and a time-out of 200 s, below the idle limits of common load balancers, which
//! would silently freeze it. An error is logged, counted and absorbed: the watch itself starts over.

use crate::metrics::Metrics;
use futures::{Stream, StreamExt, TryStreamExt, future};
use kube::core::DeserializeGuard;
use kube::runtime::reflector::{self, ObjectRef, Store};
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, Client, Resource, ResourceExt};
use serde::de::DeserializeOwned;
use std::fmt::Debug;
use std::sync::Arc;

const WATCH_SECONDS: u32 = 200;

/// An object that may be undecodable.
pub type Guarded<K> = DeserializeGuard<K>;

fn config() -> watcher::Config {
    watcher::Config::default().timeout(WATCH_SECONDS)
}

/// An API of one namespace, or of all.
pub fn scoped<K>(client: &Client, namespace: Option<&str>) -> Api<K>
where
    K: Resource<DynamicType = (), Scope = k8s_openapi::NamespaceResourceScope>,
{
    match namespace {
        Some(namespace) => Api::namespaced(client.clone(), namespace),
        None => Api::all(client.clone()),
    }
}

/// Watches a primary resource for its changes alone.
pub fn watch_changes<K>(
    api: Api<Guarded<K>>,
    metrics: Arc<Metrics>,
) -> impl Stream<Item = Result<Guarded<K>, watcher::Error>> + Send + use<K>
where
    K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + Send + Sync + 'static,
{
    absorb_errors(
        watcher(api, config()).default_backoff().touched_objects(),
        K::kind(&()).into_owned(),
        metrics,
    )
}

/// Watches a primary resource into a store.
pub fn watch_primary<K>(
    api: Api<Guarded<K>>,
    metrics: Arc<Metrics>,
) -> (Store<Guarded<K>>, impl Stream<Item = Result<Guarded<K>, watcher::Error>> + Send)
where
    K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + Send + Sync + 'static,
{
    let (reader, writer) = reflector::store();
    let events =
        watcher(api, config()).default_backoff().modify(|object| object.managed_fields_mut().clear());
    let objects = events.reflect(writer).touched_objects();
    (reader, absorb_errors(objects, K::kind(&()).into_owned(), metrics))
}

/// Watches objects with these labels; `note` is told of every event before the object is passed on.
pub fn watch_labelled<W>(
    api: Api<W>,
    labels: String,
    metrics: Arc<Metrics>,
    note: impl Fn(&watcher::Event<W>) + Send + 'static,
) -> impl Stream<Item = Result<W, watcher::Error>> + Send
where
    W: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + Send + 'static,
{
    let events = watcher(api, config().labels(&labels)).default_backoff();
    let objects = events.inspect_ok(move |event| note(event)).touched_objects();
    absorb_errors(objects, W::kind(&()).into_owned(), metrics)
}

fn absorb_errors<T: Send + 'static>(
    stream: impl Stream<Item = Result<T, watcher::Error>> + Send,
    kind: String,
    metrics: Arc<Metrics>,
) -> impl Stream<Item = Result<T, watcher::Error>> + Send {
    stream.filter(move |item| {
        metrics.watches().note(&kind, item.is_ok());
        if let Err(error) = item {
            tracing::warn!(kind, %error, "a watch starts over");
        }
        future::ready(item.is_ok())
    })
}

/// A reference to a primary object by name, beside `object`.
pub fn sibling<K, P>(object: &K, name: &str) -> ObjectRef<Guarded<P>>
where
    K: Resource,
    P: Resource<DynamicType = ()>,
{
    let reference = ObjectRef::new(name);
    match object.namespace() {
        Some(namespace) => reference.within(&namespace),
        None => reference,
    }
}
