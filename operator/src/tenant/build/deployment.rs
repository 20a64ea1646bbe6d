//! The Deployment of the core: unprivileged, read-only, one pod more than wanted during a roll-out, never fewer.
//!
//! Nothing here depends on the operator's version, so that upgrading the operator restarts no pod.
//! Configuration and certificates are reloaded by the core, so that changing them restarts none either.
//!
//! The startup and liveness probes ask `/healthz`, the readiness probe `/readyz`: a core whose store isn't
//! ready must stay alive to say why.

use crate::tenant::build::environment::build_environment;
use crate::tenant::build::metadata::with_given;
use crate::tenant::build::names::{child, child_name, labels, selector};
use crate::tenant::build::service::{API_PORT, METRICS_PORT};
use crate::tenant::build::service_account::{pod_annotations, pod_labels};
use crate::tenant::build::volumes::{CONFIG_DIR, build_mounts, build_volumes};
use crate::tenant::steps::validate::Plan;
use k8s_openapi::api::apps::v1::{Deployment, DeploymentSpec, DeploymentStrategy, RollingUpdateDeployment};
use k8s_openapi::api::core::v1::{
    Capabilities, Container, ContainerPort, HTTPGetAction, Lifecycle, LifecycleHandler, LocalObjectReference,
    PodSecurityContext, PodSpec, PodTemplateSpec, Probe, ResourceRequirements, SeccompProfile,
    SecurityContext, SleepAction, TopologySpreadConstraint,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use std::collections::BTreeMap;
use voicemail_resources::pod_template::Additions;
use voicemail_resources::quantity::Amount;

/// Name of the core's container.
pub use voicemail_cores::pods::CONTAINER;
const USER: i64 = 10_001;
/// Memory limit of a pod without the buffers of its object stores.
const BASE_MEMORY_MIB: u64 = 256;

/// Builds the Deployment.
pub fn build_deployment(plan: &Plan) -> Deployment {
    Deployment {
        metadata: child(plan, child_name(&plan.name)),
        spec: Some(DeploymentSpec {
            // An autoscaler's are left to it.
            replicas: plan.autoscaling.is_none().then_some(plan.replicas),
            selector: selector(&plan.name),
            strategy: Some(build_strategy()),
            revision_history_limit: Some(3),
            template: PodTemplateSpec {
                metadata: Some(build_pod_metadata(plan)),
                spec: Some(build_pod(plan)),
            },
            ..Default::default()
        }),
        ..Default::default()
    }
}

fn build_pod_metadata(plan: &Plan) -> ObjectMeta {
    let mut labels = labels(&plan.name);
    labels.extend(pod_labels(plan));
    with_given(
        plan,
        ObjectMeta { labels: Some(labels), annotations: pod_annotations(plan), ..Default::default() },
    )
}

fn build_strategy() -> DeploymentStrategy {
    DeploymentStrategy {
        type_: Some("RollingUpdate".into()),
        rolling_update: Some(RollingUpdateDeployment {
            max_surge: Some(IntOrString::Int(1)),
            max_unavailable: Some(IntOrString::Int(0)),
        }),
    }
}

/// The pods' specification.
fn build_pod(plan: &Plan) -> PodSpec {
    plan.additions.complete(build_own_pod(plan))
}

/// The same without what the spec adds.
pub(super) fn build_own_pod(plan: &Plan) -> PodSpec {
    PodSpec {
        service_account_name: Some(child_name(&plan.name)),
        termination_grace_period_seconds: Some(30),
        containers: vec![build_container(plan)],
        volumes: Some(build_volumes(plan)),
        ..build_placed_pod(plan, &plan.additions, selector(&plan.name))
    }
}

/// What every pod of a tenant has: where it runs, the Secrets by which its image is fetched, and no rights on its node.
pub(super) fn build_placed_pod(plan: &Plan, given: &Additions, selector: LabelSelector) -> PodSpec {
    PodSpec {
        node_selector: given.node_selector.clone(),
        affinity: given.affinity.clone(),
        tolerations: given.tolerations.clone(),
        priority_class_name: given.priority_class_name.clone(),
        scheduler_name: given.scheduler_name.clone(),
        runtime_class_name: given.runtime_class_name.clone(),
        image_pull_secrets: build_pull_secrets(plan),
        enable_service_links: Some(false),
        security_context: Some(build_pod_security(plan.has_fixed_user)),
        topology_spread_constraints: Some(
            given.spread.clone().unwrap_or_else(|| vec![spread_over_nodes(selector)]),
        ),
        ..Default::default()
    }
}

/// The Secrets by which kubelet fetches the image; none for a public registry.
pub(super) fn build_pull_secrets(plan: &Plan) -> Option<Vec<LocalObjectReference>> {
    let names = plan.pull_secrets.iter().map(|name| LocalObjectReference { name: name.clone() });
    (!plan.pull_secrets.is_empty()).then(|| names.collect())
}

/// Where the namespace has a range of users, the cluster gives the pods one of it, and refuses any other.
fn build_pod_security(has_fixed_user: bool) -> PodSecurityContext {
    let user = has_fixed_user.then_some(USER);
    PodSecurityContext {
        run_as_non_root: Some(true),
        run_as_user: user,
        run_as_group: user,
        fs_group: user,
        fs_group_change_policy: Some("OnRootMismatch".into()),
        seccomp_profile: Some(SeccompProfile { type_: "RuntimeDefault".into(), ..Default::default() }),
        ..Default::default()
    }
}

/// The usual spread of the pods that are chosen so.
pub(super) fn spread_over_nodes(selector: LabelSelector) -> TopologySpreadConstraint {
    TopologySpreadConstraint {
        max_skew: 1,
        topology_key: "kubernetes.io/hostname".into(),
        when_unsatisfiable: "ScheduleAnyway".into(),
        label_selector: Some(selector),
        ..Default::default()
    }
}

/// The core's container.
pub(super) fn build_container(plan: &Plan) -> Container {
    Container {
        name: CONTAINER.into(),
        image: Some(plan.image.clone()),
        image_pull_policy: Some(plan.image_pull_policy.name().into()),
        command: Some(vec!["voicemail".into()]),
        args: Some(vec![
            "serve".into(),
            "--config".into(),
            format!("{CONFIG_DIR}/{}", crate::tenant::build::config::CONFIG_FILE),
        ]),
        env: build_environment(plan),
        ports: Some(vec![build_port("api", API_PORT), build_port("metrics", METRICS_PORT)]),
        startup_probe: Some(Probe { failure_threshold: Some(60), ..build_probe("/healthz", 1) }),
        readiness_probe: Some(Probe { failure_threshold: Some(2), ..build_probe("/readyz", 2) }),
        liveness_probe: Some(Probe { failure_threshold: Some(6), ..build_probe("/healthz", 10) }),
        lifecycle: Some(build_lifecycle()),
        resources: Some(build_resources(plan)),
        security_context: Some(build_container_security()),
        volume_mounts: Some(build_mounts(plan)),
        ..Default::default()
    }
}

pub(super) fn build_port(name: &str, port: u16) -> ContainerPort {
    ContainerPort {
        name: Some(name.into()),
        container_port: port.into(),
        protocol: Some("TCP".into()),
        ..Default::default()
    }
}

pub(super) fn build_probe(path: &str, period: i32) -> Probe {
    Probe {
        http_get: Some(HTTPGetAction {
            path: Some(path.into()),
            port: IntOrString::String("metrics".into()),
            scheme: Some("HTTP".into()),
            ..Default::default()
        }),
        period_seconds: Some(period),
        timeout_seconds: Some(5),
        ..Default::default()
    }
}

/// The pod leaves the Service's endpoints while it still serves.
fn build_lifecycle() -> Lifecycle {
    let sleep = LifecycleHandler { sleep: Some(SleepAction { seconds: 3 }), ..Default::default() };
    Lifecycle { pre_stop: Some(sleep), ..Default::default() }
}

/// The resources of the tenant's spec, or defaults that hold under load: 200 uploads at a time on a volume take 55 MiB,
/// on object stores 25 MiB and each region's buffer, and two PINs that are checked 38 MiB. No limit of CPU:
/// throttling makes callers wait.
fn build_resources(plan: &Plan) -> ResourceRequirements {
    let given = plan.resources.clone().unwrap_or_default();
    let requests = given.requests.map_or_else(default_requests, build_amounts);
    let limits = given.limits.map_or_else(|| default_limits(plan), build_amounts);
    ResourceRequirements { requests: Some(requests), limits: Some(limits), ..Default::default() }
}

fn default_requests() -> BTreeMap<String, Quantity> {
    [("cpu", "50m"), ("memory", "96Mi")].map(|(name, text)| (name.into(), Quantity(text.into()))).into()
}

fn default_limits(plan: &Plan) -> BTreeMap<String, Quantity> {
    let buffers = plan.storage.regions().len() as u64 * u64::from(plan.config.upload_buffer_mib);
    let memory = format!("{}Mi", BASE_MEMORY_MIB.saturating_add(buffers));
    BTreeMap::from([("memory".into(), Quantity(memory))])
}

pub(super) fn build_amounts(amounts: BTreeMap<String, Amount>) -> BTreeMap<String, Quantity> {
    amounts.into_iter().map(|(name, amount)| (name, Quantity(amount.0))).collect()
}

pub(super) fn build_container_security() -> SecurityContext {
    SecurityContext {
        allow_privilege_escalation: Some(false),
        read_only_root_filesystem: Some(true),
        run_as_non_root: Some(true),
        capabilities: Some(Capabilities { drop: Some(vec!["ALL".into()]), ..Default::default() }),
        ..Default::default()
    }
}
