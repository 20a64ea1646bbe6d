//! The Jobs that let go of a tenant's store when the tenant is deleted: the core's image with the pods' mounts,
//! identity and security, running `voicemail admin retire`.
//!
//! Their pods carry another name label than the cores', so that no Service, budget or policy takes them for cores,
//! and the tenant's label, so that the operator's watch of pods sees them. kubelet starts a failed one again with
//! growing pauses, and the Job replaces one whose node is lost: so they survive restarts of the operator.

use crate::tenant::build::config::CONFIG_FILE;
use crate::tenant::build::deployment::{CONTAINER, build_container, build_own_pod, build_port};
use crate::tenant::build::metadata::with_given;
use crate::tenant::build::names::{NAME_LABEL, check_job_name, child, retire_job_name};
use crate::tenant::build::service::METRICS_PORT;
use crate::tenant::build::service_account::{pod_annotations, pod_labels};
use crate::tenant::build::volumes::CONFIG_DIR;
use crate::tenant::steps::validate::Plan;
use k8s_openapi::api::batch::v1::{Job, JobSpec};
use k8s_openapi::api::core::v1::{Container, PodSpec, PodTemplateSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use voicemail_api::config::TenantConfig;

/// Value of the name label of the Jobs' pods.
pub const PROGRAM: &str = "voicemail-retire";

/// Whether the Job keeps or removes the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// This cluster is registered in it no more; all data stays.
    Deregister,
    /// Everything is removed.
    Remove,
}

/// The two Jobs, one after the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Waits beside serving cores until nothing stands in the way.
    Check,
    /// Lets go, once no core serves.
    End,
}

/// Builds a Job.
pub fn build_retire_job(plan: &Plan, stage: Stage, ending: Ending) -> Job {
    let name = match stage {
        Stage::Check => check_job_name(&plan.name),
        Stage::End => retire_job_name(&plan.name),
    };
    let metadata = labelled(child(plan, name));
    let labels = metadata.labels.clone().unwrap_or_default().into_iter().chain(pod_labels(plan)).collect();
    let template = PodTemplateSpec {
        metadata: Some(with_given(
            plan,
            ObjectMeta { labels: Some(labels), annotations: pod_annotations(plan), ..Default::default() },
        )),
        spec: Some(build_retire_pod(plan, stage, ending)),
    };
    let spec = JobSpec { backoff_limit: Some(i32::MAX), template, ..Default::default() };
    Job { metadata, spec: Some(spec), ..Default::default() }
}

fn labelled(mut metadata: ObjectMeta) -> ObjectMeta {
    metadata.labels.get_or_insert_default().insert(NAME_LABEL.into(), PROGRAM.into());
    metadata
}

fn build_retire_pod(plan: &Plan, stage: Stage, ending: Ending) -> PodSpec {
    let container = Container {
        name: CONTAINER.into(),
        args: Some(build_arguments(&plan.config, stage, ending)),
        ports: Some(vec![build_port("metrics", METRICS_PORT)]),
        startup_probe: None,
        readiness_probe: None,
        liveness_probe: None,
        lifecycle: None,
        termination_message_policy: Some("FallbackToLogsOnError".into()),
        ..build_container(plan)
    };
    plan.additions.complete_own(PodSpec {
        restart_policy: Some("OnFailure".into()),
        topology_spread_constraints: None,
        containers: vec![container],
        ..build_own_pod(plan)
    })
}

fn build_arguments(config: &TenantConfig, stage: Stage, ending: Ending) -> Vec<String> {
    let file = format!("{CONFIG_DIR}/{CONFIG_FILE}");
    let mut arguments = vec!["admin", "retire", "--config", &file, "--report"];
    match (stage, ending) {
        (Stage::Check, Ending::Deregister) => arguments.push("--await-clear=deregister"),
        (Stage::Check, Ending::Remove) => arguments.push("--await-clear=remove"),
        (Stage::End, Ending::Deregister) => arguments.extend(["--deregister", "--unless-hindered"]),
        (Stage::End, Ending::Remove) => arguments.extend(["--remove", "--confirm", &config.tenant_id]),
    }
    arguments.into_iter().map(str::to_owned).collect()
}
