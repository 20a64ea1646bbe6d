//! Waits for objects of the API by watching them, always with a deadline.
//!
//! A passed deadline is an error that shows the object, its events and the logs of the namespace's pods, so
//! that a failed test tells why. Nothing here sleeps: every check is caused by a change.

use std::fmt::{Debug, Write};
use std::time::Duration;

use anyhow::{Result, anyhow};
use futures::{StreamExt, pin_mut};
use k8s_openapi::api::core::v1::{Event, Pod};
use kube::api::{ListParams, LogParams};
use kube::runtime::WatchStreamExt;
use kube::runtime::watcher::{self, DefaultBackoff, watch_object, watcher};
use kube::{Api, Client, Resource, ResourceExt};
use serde::Serialize;
use serde::de::DeserializeOwned;

const LOG_LINES: i64 = 40;

/// Waits until `predicate` holds for the object `name` (`None` when it doesn't exist) and returns it then.
///
/// `description` completes "waiting until …" in the error.
pub async fn wait_for<K>(
    api: &Api<K>,
    name: &str,
    description: &str,
    deadline: Duration,
    mut predicate: impl FnMut(Option<&K>) -> bool,
) -> Result<Option<K>>
where
    K: Resource + Clone + DeserializeOwned + Serialize + Debug + Send + 'static,
{
    let mut last: Option<K> = None;
    let watching = async {
        let changes = watch_object(api.clone(), name).backoff(DefaultBackoff::default());
        pin_mut!(changes);
        while let Some(change) = changes.next().await {
            let Ok(object) = change else { continue };
            last = object;
            if predicate(last.as_ref()) {
                return;
            }
        }
    };
    match tokio::time::timeout(deadline, watching).await {
        Ok(()) => Ok(last),
        Err(_) => Err(explain(api, name, description, deadline, last.as_ref()).await),
    }
}

/// Like [`wait_for`] for an object that must exist.
pub async fn wait_until<K>(
    api: &Api<K>,
    name: &str,
    description: &str,
    deadline: Duration,
    mut predicate: impl FnMut(&K) -> bool,
) -> Result<K>
where
    K: Resource + Clone + DeserializeOwned + Serialize + Debug + Send + 'static,
{
    let found =
        wait_for(api, name, description, deadline, |object| object.is_some_and(&mut predicate)).await?;
    found.ok_or_else(|| anyhow!("{name} vanished while waiting until {description}"))
}

/// Waits until `predicate` holds for one of the objects that `which` chooses, whatever it is called, and returns it.
pub async fn wait_for_any<K>(
    api: &Api<K>,
    which: watcher::Config,
    description: &str,
    deadline: Duration,
    mut predicate: impl FnMut(&K) -> bool,
) -> Result<K>
where
    K: Resource<DynamicType = ()> + Clone + DeserializeOwned + Serialize + Debug + Send + 'static,
{
    let watching = async {
        let changes = watcher(api.clone(), which).default_backoff().applied_objects();
        pin_mut!(changes);
        loop {
            match changes.next().await {
                Some(Ok(object)) if predicate(&object) => return Some(object),
                Some(_) => {}
                None => return None,
            }
        }
    };
    match tokio::time::timeout(deadline, watching).await {
        Ok(found) => found.ok_or_else(|| anyhow!("the watch ended while waiting until {description}")),
        Err(_) => Err(explain(api, "any", description, deadline, None).await),
    }
}

/// Waits until the object is gone.
pub async fn wait_gone<K>(api: &Api<K>, name: &str, deadline: Duration) -> Result<()>
where
    K: Resource + Clone + DeserializeOwned + Serialize + Debug + Send + 'static,
{
    wait_for(api, name, "it is gone", deadline, |object| object.is_none()).await.map(drop)
}

async fn explain<K>(
    api: &Api<K>,
    name: &str,
    description: &str,
    deadline: Duration,
    last: Option<&K>,
) -> anyhow::Error
where
    K: Resource + Clone + Serialize,
{
    let mut text = format!("waited {} s until {description}: {name}\n", deadline.as_secs());
    let shown = last.map(show_object);
    let _infallible = writeln!(text, "{}", shown.unwrap_or_else(|| "the object does not exist".to_owned()));
    if let Some(namespace) = api.namespace() {
        let client = api.clone().into_client();
        text.push_str(&describe_events(client.clone(), namespace).await);
        text.push_str(&describe_pods(client, namespace).await);
    }
    anyhow!(text)
}

/// Without who manages which field, which is most of an object and tells nothing here.
fn show_object<K: Resource + Clone + Serialize>(object: &K) -> String {
    let mut object = object.clone();
    object.meta_mut().managed_fields = None;
    serde_yaml::to_string(&object).unwrap_or_else(|error| error.to_string())
}

async fn describe_events(client: Client, namespace: &str) -> String {
    let listed = Api::<Event>::namespaced(client, namespace).list(&ListParams::default()).await;
    let mut text = "--- events of the namespace\n".to_owned();
    match listed {
        Ok(events) => events.iter().for_each(|event| text.push_str(&describe_event(event))),
        Err(error) => text.push_str(&format!("{error}\n")),
    }
    text
}

fn describe_event(event: &Event) -> String {
    let object = &event.involved_object;
    let part = |text: &Option<String>| text.clone().unwrap_or_default();
    let (kind, name) = (part(&object.kind), part(&object.name));
    format!("{kind}/{name} {} {}: {}\n", part(&event.type_), part(&event.reason), part(&event.message))
}

async fn describe_pods(client: Client, namespace: &str) -> String {
    let api = Api::<Pod>::namespaced(client, namespace);
    let Ok(pods) = api.list(&ListParams::default()).await else { return String::new() };
    let mut text = "--- pods of the namespace\n".to_owned();
    for pod in pods {
        let status = serde_yaml::to_string(&pod.status).unwrap_or_else(|error| error.to_string());
        let _infallible = writeln!(text, "{} is\n{status}", pod.name_any());
        let containers = pod.spec.iter().flat_map(|spec| spec.containers.iter().map(|one| one.name.clone()));
        for container in containers {
            text.push_str(&describe_log(&api, &pod.name_any(), container).await);
        }
    }
    text
}

async fn describe_log(api: &Api<Pod>, pod: &str, container: String) -> String {
    let title = format!("--- last lines of {pod}/{container}\n");
    let params =
        LogParams { container: Some(container), tail_lines: Some(LOG_LINES), ..LogParams::default() };
    let lines = api.logs(pod, &params).await.unwrap_or_else(|error| format!("no log: {error}\n"));
    title + &lines
}
