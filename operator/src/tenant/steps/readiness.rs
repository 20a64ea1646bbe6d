//! Whether a tenant serves, and if not, what stands in the way. Pure.
//!
//! Ready says whether all replicas serve. Reconciling and Stalled follow kstatus: Stalled means that nothing
//! will happen until a person changes something, and the two are never true together.

use crate::tenant::steps::apply::Applied;
use crate::tenant::steps::storage_status::{
    CLAIM_NOT_EXPANDABLE, CLAIM_TERMINATING, REGION_UNREACHABLE, RESTORE_DETECTED,
};
use k8s_openapi::api::apps::v1::{Deployment, DeploymentStatus};
use voicemail_api::reasons::HINDRANCES;
use voicemail_cores::pods::PodSeen;
use voicemail_resources::VoicemailTenant;
use voicemail_resources::conditions::{
    ConditionStatus, Finding, READY, RECONCILING, STALLED, find_condition,
};

/// Why a reconcile ended early.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Obstacle {
    pub(super) reason: String,
    pub(super) message: String,
    /// A person must act.
    stalled: bool,
}

impl Obstacle {
    pub(super) fn new(reason: impl Into<String>, message: impl Into<String>, stalled: bool) -> Self {
        Self { reason: reason.into(), message: message.into(), stalled }
    }
}

/// Reasons of a reconcile that failed, whatever the pods do.
const FAILURES: [&str; 9] = [
    "QuotaExceeded",
    "AdmissionFailed",
    "AdmissionDenied",
    "Forbidden",
    "RefusedByApiServer",
    "ApiServerError",
    "ApiServerUnreachable",
    "MaterialNotMade",
    "NotEncodable",
];
/// Reasons of the core that only a person can remove.
const STALLING: [&str; 8] = [
    "StoreHeldByAnother",
    "StoreGone",
    "KeyMismatch",
    "StoreBelongsToAnother",
    "StoreTooNew",
    "ConfigInvalid",
    RESTORE_DETECTED,
    CLAIM_TERMINATING,
];

/// Ready, Reconciling and Stalled when not everything serves, or nothing stands in the way.
pub(super) fn progress_findings(obstacle: Option<&Obstacle>, ready: bool) -> Vec<Finding> {
    let reason = obstacle.map_or("Available", |o| o.reason.as_str());
    let message = obstacle.map_or("all replicas serve", |o| o.message.as_str());
    let stalled = obstacle.is_some_and(|o| o.stalled);
    let reconciling = obstacle.is_some() && !stalled;
    let (ready_reason, ready_message) =
        if ready { ("Available", "all replicas serve") } else { (reason, message) };
    let finding = |type_, holds: bool, quiet: &str| {
        let (reason, message) = if holds { (reason, message) } else { (quiet, "") };
        Finding::new(type_, holds, reason, message)
    };
    vec![
        Finding::new(READY, ready, ready_reason, ready_message),
        finding(RECONCILING, reconciling, if stalled { "Stalled" } else { "UpToDate" }),
        finding(STALLED, stalled, "NotStalled"),
    ]
}

pub(super) fn find_obstacle(
    applied: &Applied,
    pods: &[PodSeen],
    storage: &Finding,
    desired: i32,
    serving: i32,
) -> Option<Obstacle> {
    if desired == 0 {
        return Some(Obstacle::new("ScaledToZero", "spec.replicas is 0: nothing serves", true));
    }
    if has_settled(applied.deployment(), desired) {
        return None;
    }
    let progress = format!("{serving} of {desired} replicas serve");
    let with_progress = |cause: Obstacle| {
        let message = format!("{progress}: {}", cause.message);
        Obstacle { message, ..cause }
    };
    let cause = storage_obstacle(storage).or_else(|| pod_obstacle(pods)).or_else(|| refused_pods(applied));
    Some(cause.map_or_else(|| Obstacle::new("RolloutInProgress", progress.clone(), false), with_progress))
}

/// Whether the tenant's status says that it serves. A reconcile that fails makes a tenant unready whose pods go on.
pub fn serves(tenant: &VoicemailTenant) -> bool {
    let Some(status) = &tenant.status else { return false };
    let goes_on = |reason: &str| status.ready_replicas > 0 && FAILURES.contains(&reason);
    find_condition(&status.conditions, READY)
        .is_some_and(|ready| ready.status == ConditionStatus::True || goes_on(&ready.reason))
}

/// Whether all pods are of the newest template and serve, and their number is as wanted.
pub fn is_settled(applied: &Applied) -> bool {
    let desired = applied.deployment().spec.as_ref().and_then(|spec| spec.replicas).unwrap_or(0);
    desired > 0 && has_settled(applied.deployment(), desired)
}

/// The same of a Deployment that wants so many.
pub(crate) fn has_settled(deployment: &Deployment, desired: i32) -> bool {
    let status = deployment_status(deployment);
    let seen = status.observed_generation >= deployment.metadata.generation;
    let all = |count: Option<i32>| count.unwrap_or(0) == desired;
    seen && all(status.replicas) && all(status.updated_replicas) && all(status.ready_replicas)
}

/// Whether the controller of Deployments has made any pod.
pub(crate) fn has_pods(deployment: &Deployment) -> bool {
    deployment_status(deployment).replicas.is_some_and(|replicas| replicas > 0)
}

fn storage_obstacle(storage: &Finding) -> Option<Obstacle> {
    let stalled = STALLING.contains(&storage.reason.as_str()) || storage.reason == "ClaimNotReadWriteMany";
    // A region that is away keeps no replica from serving, and neither does a claim that can't grow, or a store that
    // takes no new messages.
    let reason = storage.reason.as_str();
    let harmless =
        [REGION_UNREACHABLE, CLAIM_NOT_EXPANDABLE].contains(&reason) || HINDRANCES.contains(&reason);
    let bad = storage.status == ConditionStatus::False && !harmless;
    bad.then(|| Obstacle::new(storage.reason.clone(), storage.message.clone(), stalled))
}

fn pod_obstacle(pods: &[PodSeen]) -> Option<Obstacle> {
    let mut live = pods.iter().filter(|pod| !pod.terminating);
    let stuck = live.clone().find_map(|pod| Some((pod, pod.cannot_start.as_ref()?)));
    if let Some((pod, (reason, message))) = stuck {
        return Some(Obstacle::new(
            "ImageCannotStart",
            format!("pod {}: {reason}: {message}", pod.name),
            true,
        ));
    }
    let (pod, words) = live.find_map(|pod| Some((pod, pod.unschedulable.as_ref()?)))?;
    Some(Obstacle::new("PodsUnschedulable", format!("pod {}: {words}", pod.name), false))
}

/// A quota or a policy keeps the pods from being made.
fn refused_pods(applied: &Applied) -> Option<Obstacle> {
    let conditions = deployment_status(applied.deployment()).conditions.unwrap_or_default();
    let failure = conditions.into_iter().find(|c| c.type_ == "ReplicaFailure" && c.status == "True")?;
    Some(Obstacle::new("PodsRefused", failure.message.unwrap_or_default(), true))
}

pub(super) fn deployment_status(deployment: &Deployment) -> DeploymentStatus {
    deployment.status.clone().unwrap_or_default()
}
