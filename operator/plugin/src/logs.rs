//! `kubectl voicemail logs TENANT`: the lines of all its pods, each with its pod's name before it.

use super::arguments::LogOptions;
use super::place::Place;
use super::{PluginError, print as put};
use futures::stream::{self, BoxStream, StreamExt};
use futures::{AsyncBufReadExt, TryStreamExt};
use k8s_openapi::api::core::v1::Pod;
use kube::api::LogParams;
use kube::{Api, ResourceExt};
use voicemail_operator::tenant::build::deployment::CONTAINER;
use voicemail_runtime::calls::CallError;

/// Prints them, the pods' lines mixed as they come.
pub(super) async fn print(place: &Place, tenant: &str, options: &LogOptions) -> Result<(), PluginError> {
    place.tenant(tenant).await?;
    let pods = place.pods(tenant).await?;
    if pods.is_empty() {
        return Err(PluginError::NotThere(format!("tenant {tenant} has no pods")));
    }
    let mut streams = Vec::new();
    for pod in &pods {
        streams.push(lines(&place.api(), pod, options).await?);
    }
    let mut all = stream::select_all(streams);
    while let Some(line) = all.next().await {
        put(&line?)?;
    }
    Ok(())
}

async fn lines(
    api: &Api<Pod>,
    pod: &Pod,
    options: &LogOptions,
) -> Result<BoxStream<'static, Result<String, PluginError>>, PluginError> {
    let name = pod.name_any();
    let parameters = LogParams {
        container: Some(CONTAINER.into()),
        follow: options.follow,
        previous: options.previous,
        since_seconds: options.since,
        tail_lines: options.tail,
        ..LogParams::default()
    };
    let refused = |source| CallError::Refused { what: "read a pod's log", source: Box::new(source) };
    let reader = api.log_stream(&name, &parameters).await.map_err(refused)?;
    let with_pod = move |line: String| format!("[{name}] {line}\n");
    Ok(reader.lines().map_ok(with_pod).map_err(PluginError::from).boxed())
}
