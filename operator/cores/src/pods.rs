//! Looks at the tenant's pods, and asks each core that runs how its store is.
//!
//! Flow: list the pods by label, then `GET http://POD:9090/readyz`, which answers 200 or 503 with a reason.
//! A core that doesn't answer within two seconds is reported as silent, which is no error of ours.

use crate::child_names::{METRICS_PORT, TELEPHONE, selector_text, sip_selector_text};
use futures::StreamExt;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{ContainerStatus, Pod, PodStatus};
use kube::api::ListParams;
use kube::{Api, Client, ResourceExt};
use std::net::IpAddr;
use std::time::Duration;
use voicemail_api::readiness::Readiness;
use voicemail_client::{LONGEST, read_at_most};
use voicemail_runtime::calls::{CallError, within_deadline};

/// The core's container in its pods.
pub const CONTAINER: &str = "voicemail";
const PROBE_DEADLINE: Duration = Duration::from_secs(2);
const PROBES_AT_A_TIME: usize = 8;
/// Label that the Job controller gives to a Job's pods: its UID.
const JOB_LABEL: &str = "batch.kubernetes.io/controller-uid";
/// The core's own word for a start that is still going on.
pub const STARTING: &str = "Starting";

/// The remembered state of a pod.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PodNote {
    /// Its address, once it runs.
    pub address: Option<IpAddr>,
    /// Why it doesn't serve though it was made, in words that don't change by themselves.
    pub failure: Option<String>,
}

/// One pod as seen now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PodSeen {
    /// Its name.
    pub name: String,
    /// Being deleted.
    pub terminating: bool,
    /// Why its container can't start: the kubelet's reason and message.
    pub cannot_start: Option<(String, String)>,
    /// Why no node takes it.
    pub unschedulable: Option<String>,
    /// The answer of its core, or of its telephone where that was asked, if it answers.
    pub core: Option<Readiness>,
}

/// Lists the pods and asks their cores.
///
/// # Errors
/// The pods can't be listed.
pub async fn observe_pods(
    client: &Client,
    http: &reqwest::Client,
    namespace: &str,
    tenant: &str,
) -> Result<Vec<PodSeen>, CallError> {
    let api: Api<Pod> = Api::namespaced(client.clone(), namespace);
    let parameters = ListParams::default().labels(&selector_text(tenant));
    let pods = within_deadline("list the pods", api.list(&parameters)).await?;
    let seen = pods.items.into_iter().map(|pod| async move { look_at(&pod, http).await });
    Ok(futures::stream::iter(seen).buffered(PROBES_AT_A_TIME).collect().await)
}

/// Lists the telephone's pods, and asks those that run whether they can say the tenant's own prompts, if there are some.
///
/// # Errors
/// The pods can't be listed.
pub async fn observe_telephones(
    client: &Client,
    http: &reqwest::Client,
    namespace: &str,
    tenant: &str,
    have_prompts: bool,
) -> Result<Vec<PodSeen>, CallError> {
    let api: Api<Pod> = Api::namespaced(client.clone(), namespace);
    let parameters = ListParams::default().labels(&sip_selector_text(tenant));
    let pods = within_deadline("list the telephone's pods", api.list(&parameters)).await?;
    let seen = pods.items.into_iter().map(|pod| async move {
        let address =
            pod.status.as_ref().filter(|_| have_prompts).and_then(|status| address_of(status, program));
        match address {
            Some(address) => PodSeen { core: ask_core(http, address).await, ..read_pod(&pod) },
            None => read_pod(&pod),
        }
    });
    Ok(futures::stream::iter(seen).buffered(PROBES_AT_A_TIME).collect().await)
}

/// Looks at a Job's newest pod: how it is, what its command says, and with which status that ended last.
///
/// # Errors
/// The pods can't be listed.
pub async fn observe_job(
    client: &Client,
    http: &reqwest::Client,
    job: &Job,
) -> Result<(Option<PodSeen>, Option<i32>), CallError> {
    let api: Api<Pod> = Api::namespaced(client.clone(), &job.namespace().unwrap_or_default());
    let parameters = ListParams::default().labels(&format!("{JOB_LABEL}={}", job.uid().unwrap_or_default()));
    let pods = within_deadline("list the pods", api.list(&parameters)).await?;
    let newest = pods.items.into_iter().max_by_key(|pod| pod.metadata.creation_timestamp.clone());
    let Some(pod) = newest else { return Ok((None, None)) };
    Ok((Some(look_at(&pod, http).await), read_exit_code(&pod)))
}

/// The state of a pod, from its object and from its core.
async fn look_at(pod: &Pod, http: &reqwest::Client) -> PodSeen {
    let core = match running_address(pod) {
        Some(address) => ask_core(http, address).await,
        None => None,
    };
    PodSeen { core, ..read_pod(pod) }
}

fn read_exit_code(pod: &Pod) -> Option<i32> {
    let container = container(pod.status.as_ref()?)?;
    let states = [&container.state, &container.last_state];
    states.into_iter().flatten().find_map(|state| state.terminated.as_ref()).map(|end| end.exit_code)
}

fn running_address(pod: &Pod) -> Option<IpAddr> {
    address_of(pod.status.as_ref()?, container)
}

fn address_of(status: &PodStatus, program: fn(&PodStatus) -> Option<&ContainerStatus>) -> Option<IpAddr> {
    let running = program(status)?.state.as_ref()?.running.is_some();
    status.pod_ip.as_ref().filter(|_| running)?.parse().ok()
}

/// The readiness that the core at that address reports; none when it doesn't answer, or its answer is too long.
pub async fn ask_core(http: &reqwest::Client, address: IpAddr) -> Option<Readiness> {
    let url = format!("http://{}/readyz", std::net::SocketAddr::from((address, METRICS_PORT)));
    let answer = http.get(url).timeout(PROBE_DEADLINE).send().await.ok()?;
    serde_json::from_slice(&read_at_most(answer, LONGEST).await.ok()?).ok()
}

fn container(status: &PodStatus) -> Option<&ContainerStatus> {
    status.container_statuses.as_ref()?.iter().find(|container| container.name == CONTAINER)
}

/// The one program of a pod of ours: the core's, or the one that takes calls.
fn program(status: &PodStatus) -> Option<&ContainerStatus> {
    let ours = |container: &&ContainerStatus| [CONTAINER, TELEPHONE].contains(&container.name.as_str());
    status.container_statuses.as_ref()?.iter().find(ours)
}

/// The state of a pod that is remembered between reconciles.
pub fn note_of(pod: &Pod) -> PodNote {
    let seen = read_pod(pod);
    let refused = seen.cannot_start.map(|(reason, message)| format!("{reason}: {message}"));
    let address = running_address(pod);
    let unready = (address.is_some() && !is_ready(pod)).then(|| "it runs and isn't ready".to_owned());
    // Pods go first when their namespace ends, and the operator's rights there soon after: that mustn't be missed.
    let going = seen.terminating.then(|| "it goes".to_owned());
    PodNote { address, failure: going.or(refused).or(seen.unschedulable).or(unready) }
}

fn is_ready(pod: &Pod) -> bool {
    pod.status.as_ref().and_then(container).is_some_and(|container| container.ready)
}

/// The state of a pod, from its object alone.
pub fn read_pod(pod: &Pod) -> PodSeen {
    let status = pod.status.clone().unwrap_or_default();
    PodSeen {
        name: pod.name_any(),
        terminating: pod.metadata.deletion_timestamp.is_some(),
        cannot_start: program(&status).and_then(read_failure),
        unschedulable: read_unschedulable(&status),
        core: None,
    }
}

/// A container that doesn't come up: it waits for something that doesn't end by itself, or keeps ending.
///
/// The kubelet's words change with every attempt and its back-off; ours must not, or each would be a write.
fn read_failure(container: &ContainerStatus) -> Option<(String, String)> {
    let state = container.state.clone().unwrap_or_default();
    let waiting = state.waiting.unwrap_or_default();
    let image = &container.image;
    match waiting.reason.as_deref() {
        Some("ContainerCreating" | "PodInitializing") => None,
        Some("ErrImagePull" | "ImagePullBackOff") => Some((
            "ImagePullBackOff".into(),
            format!("image {image} can't be pulled; the pod's events say why"),
        )),
        Some("ErrImageNeverPull") => Some((
            "ErrImageNeverPull".into(),
            format!("image {image} is not on the node and is never pulled"),
        )),
        Some("CrashLoopBackOff") => Some(read_crash(container)),
        Some(other) => Some((other.into(), waiting.message.unwrap_or_default())),
        None => (container.restart_count >= 2 && !container.ready).then(|| read_crash(container)),
    }
}

fn read_crash(container: &ContainerStatus) -> (String, String) {
    let ended =
        [&container.state, &container.last_state].into_iter().flatten().find_map(|s| s.terminated.as_ref());
    let words = ended.map_or_else(String::new, |end| {
        let words = end.message.as_deref().or(end.reason.as_deref()).unwrap_or_default();
        format!(", last with code {} {words}", end.exit_code).trim_end().to_owned()
    });
    ("CrashLoopBackOff".into(), format!("the program keeps ending{words}"))
}

fn read_unschedulable(status: &PodStatus) -> Option<String> {
    let conditions = status.conditions.as_ref()?;
    let scheduled = conditions.iter().find(|c| c.type_ == "PodScheduled" && c.status == "False")?;
    scheduled.message.clone()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pod(yaml: &str) -> Pod {
        serde_yaml::from_str(yaml).unwrap()
    }

    #[test]
    fn a_container_being_created_is_no_failure() {
        let text = "{metadata: {name: a}, status: {containerStatuses: [{name: voicemail, image: i, imageID: '', \
                    ready: false, restartCount: 0, state: {waiting: {reason: ContainerCreating}}}]}}";
        assert_eq!(read_pod(&pod(text)).cannot_start, None);
    }

    #[test]
    fn a_crash_loop_tells_how_the_core_ended() {
        let text = "{metadata: {name: a}, status: {containerStatuses: [{name: voicemail, image: i, imageID: '', \
                    ready: false, restartCount: 3, state: {waiting: {reason: CrashLoopBackOff, message: back-off}}, \
                    lastState: {terminated: {exitCode: 2, reason: Error}}}]}}";
        let expected = ("CrashLoopBackOff".into(), "the program keeps ending, last with code 2 Error".into());
        assert_eq!(read_pod(&pod(text)).cannot_start, Some(expected));
    }

    #[test]
    fn a_failing_pull_reads_the_same_between_attempts() {
        let seen = ["ErrImagePull", "ImagePullBackOff"].map(|reason| {
            let text = format!(
                "{{metadata: {{name: a}}, status: {{containerStatuses: [{{name: voicemail, image: i, imageID: '', \
                 ready: false, restartCount: 0, state: {{waiting: {{reason: {reason}, message: {reason}}}}}}}]}}}}"
            );
            read_pod(&pod(&text)).cannot_start.unwrap()
        });
        assert_eq!(seen[0], seen[1]);
    }

    #[test]
    fn a_readiness_answer_with_unknown_fields_is_read() {
        let text = r#"{"ready":false,"reason":"KeyMismatch","message":"m","storeId":"s","more":1}"#;
        let core: Readiness = serde_json::from_str(text).unwrap();
        assert_eq!((core.reason.as_deref(), core.store_id.as_deref()), (Some("KeyMismatch"), Some("s")));
    }
}
