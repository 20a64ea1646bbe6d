//! The StatefulSet: unprivileged, read-only pods with a number, a disk for recordings on their way, and time to end.
//!
//! A changed configuration rolls the pods, one by one from the last: each lets its calls end first, within `drain`.

use super::config::CONFIG_FILE;
use super::network::{Listening, listening};
use super::plan::TelephonyPlan;
use super::sip_child;
use crate::tenant::build::access::USERS_KEY;
use crate::tenant::build::certificate::{CA_CERTIFICATE, TLS_CERTIFICATE, TLS_KEY};
use crate::tenant::build::deployment::{
    build_amounts, build_container_security, build_placed_pod, build_port, build_probe,
};
use crate::tenant::build::metadata::add;
use crate::tenant::build::service::METRICS_PORT;
use crate::tenant::build::volumes::{build_folders, build_secret, build_trust, mount, named};
use crate::tenant::steps::validate::Plan;
use k8s_openapi::api::apps::v1::{
    StatefulSet, StatefulSetPersistentVolumeClaimRetentionPolicy, StatefulSetSpec, StatefulSetUpdateStrategy,
};
use k8s_openapi::api::core::v1::{
    ConfigMapVolumeSource, Container, ContainerPort, EmptyDirVolumeSource, EnvVar, EnvVarSource, KeyToPath,
    ObjectFieldSelector, PersistentVolumeClaim, PersistentVolumeClaimSpec, PersistentVolumeClaimVolumeSource,
    PodSpec, PodTemplateSpec, Probe, ProjectedVolumeSource, ResourceRequirements, SecretProjection,
    ServiceAccountTokenProjection, Volume, VolumeMount, VolumeProjection, VolumeResourceRequirements,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde_json::json;
use std::collections::BTreeMap;
use voicemail_cores::child_names::{sip_labels, sip_name, sip_selector, telephone_labels};
use voicemail_resources::TENANT_UID_LABEL;
use voicemail_resources::references::Reference;
use voicemail_resources::voicemail_tenant::{OwnPrompts, SpoolClaim};
use voicemail_runtime::drift::hash;

/// Name of the container.
pub use voicemail_cores::child_names::TELEPHONE as CONTAINER;
/// Key of the Secret with the key of recordings.
pub const SPOOL_KEY: &str = "spool.key";
pub(super) const CORE_DIR: &str = "/var/run/secrets/voicemail-core";
pub(super) const TOKEN_FILE: &str = "token";
pub(super) const KEY_DIR: &str = "/etc/voicemail-sip/key";
pub(super) const SPOOL_DIR: &str = "/var/lib/voicemail-sip";
pub(super) const TLS_DIR: &str = "/etc/voicemail-sip/tls";
pub(super) const DIGEST_DIR: &str = "/etc/voicemail-sip/digest";
pub(super) const PROMPTS_DIR: &str = "/etc/voicemail-sip/prompts";
pub(super) const TRUST_DIR: &str = "/etc/voicemail-sip/trust";
const CONFIG_DIR: &str = "/etc/voicemail-sip/config";
/// Annotation of the pods' template: another configuration needs new pods.
const CONFIG_HASH: &str = "voicemail.dev/config-hash";
/// Seconds that a token lives; kubelet brings a new one before.
const TOKEN_LIFE: i64 = 3_600;
/// Seconds for a process to end, beside its calls.
const REST: u64 = 30;

pub(super) fn build_stateful_set(plan: &Plan, telephony: &TelephonyPlan, config: &str) -> StatefulSet {
    let claim = telephony.given.spool.claim.as_ref();
    let retain = || Some("Retain".to_owned());
    StatefulSet {
        metadata: sip_child(plan),
        spec: Some(StatefulSetSpec {
            replicas: Some(telephony.given.replicas),
            service_name: Some(sip_name(&plan.name)),
            selector: sip_selector(&plan.name),
            pod_management_policy: Some("Parallel".into()),
            update_strategy: Some(StatefulSetUpdateStrategy {
                type_: Some("RollingUpdate".into()),
                ..Default::default()
            }),
            revision_history_limit: Some(3),
            persistent_volume_claim_retention_policy: Some(StatefulSetPersistentVolumeClaimRetentionPolicy {
                when_deleted: retain(),
                when_scaled: retain(),
            }),
            volume_claim_templates: claim.map(|claim| vec![build_claim(plan, telephony, claim)]),
            template: PodTemplateSpec {
                metadata: Some(build_pod_metadata(plan, telephony, config)),
                spec: Some(build_pod(plan, telephony)),
            },
            ..Default::default()
        }),
        ..Default::default()
    }
}

fn build_pod_metadata(plan: &Plan, telephony: &TelephonyPlan, config: &str) -> ObjectMeta {
    let mut metadata = ObjectMeta {
        labels: Some(telephone_labels(&plan.name)),
        annotations: Some(BTreeMap::from([(CONFIG_HASH.to_owned(), hash(&json!(config)))])),
        ..Default::default()
    };
    add(&mut metadata, &telephony.additions.metadata);
    add(&mut metadata, &plan.inherited);
    metadata
}

/// Its labels name the tenant, but not the operator as their manager: what is in it may outlive both.
fn build_claim(plan: &Plan, telephony: &TelephonyPlan, claim: &SpoolClaim) -> PersistentVolumeClaim {
    let mut labels = sip_labels(&plan.name);
    labels.insert(TENANT_UID_LABEL.into(), plan.uid.clone());
    let size = Quantity(telephony.given.spool.size.0.clone());
    PersistentVolumeClaim {
        metadata: ObjectMeta { name: Some("spool".into()), labels: Some(labels), ..Default::default() },
        spec: Some(PersistentVolumeClaimSpec {
            access_modes: Some(vec!["ReadWriteOnce".into()]),
            storage_class_name: Some(claim.storage_class_name.clone()),
            resources: Some(VolumeResourceRequirements {
                requests: Some(BTreeMap::from([("storage".into(), size)])),
                ..Default::default()
            }),
            ..Default::default()
        }),
        ..Default::default()
    }
}

fn build_pod(plan: &Plan, telephony: &TelephonyPlan) -> PodSpec {
    let grace = telephony.drain.as_secs() + telephony.emptying.as_secs() + REST;
    telephony.additions.complete(PodSpec {
        service_account_name: Some(sip_name(&plan.name)),
        automount_service_account_token: Some(false),
        termination_grace_period_seconds: i64::try_from(grace).ok(),
        containers: vec![build_container(plan, telephony)],
        volumes: Some(build_volumes(plan, telephony)),
        ..build_placed_pod(plan, &telephony.additions, sip_selector(&plan.name))
    })
}

fn build_container(plan: &Plan, telephony: &TelephonyPlan) -> Container {
    let arguments = [
        "serve".to_owned(),
        "--config".to_owned(),
        format!("{CONFIG_DIR}/{CONFIG_FILE}"),
        "--pod-name=$(POD_NAME)".to_owned(),
        "--pod-address=$(POD_ADDRESS)".to_owned(),
    ];
    let port = |listening: &Listening| ContainerPort {
        name: Some(listening.name.into()),
        container_port: listening.port,
        protocol: Some(listening.protocol.into()),
        ..Default::default()
    };
    let mut ports: Vec<ContainerPort> = listening(telephony).iter().map(port).collect();
    ports.push(build_port("metrics", METRICS_PORT));
    Container {
        name: CONTAINER.into(),
        image: Some(plan.image.clone()),
        image_pull_policy: Some(plan.image_pull_policy.name().into()),
        command: Some(vec!["voicemail-sip".into()]),
        args: Some(arguments.into()),
        env: Some(vec![field("POD_NAME", "metadata.name"), field("POD_ADDRESS", "status.podIPs")]),
        ports: Some(ports),
        startup_probe: Some(Probe { failure_threshold: Some(60), ..build_probe("/healthz", 1) }),
        readiness_probe: Some(Probe { failure_threshold: Some(2), ..build_probe("/readyz", 2) }),
        liveness_probe: Some(Probe { failure_threshold: Some(6), ..build_probe("/healthz", 10) }),
        resources: Some(build_resources(telephony)),
        security_context: Some(build_container_security()),
        volume_mounts: Some(build_mounts(telephony)),
        ..Default::default()
    }
}

fn build_mounts(telephony: &TelephonyPlan) -> Vec<VolumeMount> {
    let mut mounts = vec![
        mount("config", CONFIG_DIR, true),
        mount("key", KEY_DIR, true),
        mount("core", CORE_DIR, true),
        mount("spool", SPOOL_DIR, false),
    ];
    if telephony.given.tls.is_some() {
        mounts.push(mount("tls", TLS_DIR, true));
    }
    if !telephony.authorities().is_empty() {
        mounts.push(mount("trust", TRUST_DIR, true));
    }
    if !telephony.users().is_empty() {
        mounts.push(mount("digest", DIGEST_DIR, true));
    }
    if telephony.given.dialogue.prompts.is_some() {
        mounts.push(mount("prompts", PROMPTS_DIR, true));
    }
    mounts
}

fn field(name: &str, path: &str) -> EnvVar {
    let source = ObjectFieldSelector { field_path: path.into(), ..Default::default() };
    let value_from = Some(EnvVarSource { field_ref: Some(source), ..Default::default() });
    EnvVar { name: name.into(), value_from, ..Default::default() }
}

/// A call takes less than 100 KB and half a thousandth of a processor. No limit of CPU: throttling is heard.
fn build_resources(telephony: &TelephonyPlan) -> ResourceRequirements {
    let given = telephony.given.resources.clone().unwrap_or_default();
    let usual = |amounts: &[(&str, &str)]| {
        amounts.iter().map(|(name, amount)| ((*name).to_owned(), Quantity((*amount).to_owned()))).collect()
    };
    let requests =
        given.requests.map_or_else(|| usual(&[("cpu", "200m"), ("memory", "64Mi")]), build_amounts);
    let limits = given.limits.map_or_else(|| usual(&[("memory", "256Mi")]), build_amounts);
    ResourceRequirements { requests: Some(requests), limits: Some(limits), ..Default::default() }
}

fn build_volumes(plan: &Plan, telephony: &TelephonyPlan) -> Vec<Volume> {
    let config = ConfigMapVolumeSource { name: sip_name(&plan.name), ..Default::default() };
    let mut volumes = vec![
        Volume { config_map: Some(config), ..named("config") },
        Volume { secret: Some(build_secret(&sip_name(&plan.name), &[SPOOL_KEY])), ..named("key") },
        Volume { projected: Some(build_core(plan, telephony)), ..named("core") },
    ];
    // Beyond its limit kubelet evicts the pod; the program stops at nine tenths.
    if telephony.given.spool.claim.is_none() {
        let size = Some(Quantity(telephony.given.spool.size.0.clone()));
        let disk = EmptyDirVolumeSource { size_limit: size, ..Default::default() };
        volumes.push(Volume { empty_dir: Some(disk), ..named("spool") });
    }
    if let Some(tls) = &telephony.given.tls {
        let secret = build_secret(&tls.secret_ref.name, &[TLS_CERTIFICATE, TLS_KEY]);
        volumes.push(Volume { secret: Some(secret), ..named("tls") });
    }
    let authorities = telephony.authorities();
    if !authorities.is_empty() {
        volumes.push(build_trust(&authorities));
    }
    let users = telephony.users();
    if !users.is_empty() {
        volumes.push(build_folders("digest", &users, &[USERS_KEY]));
    }
    volumes.extend(telephony.given.dialogue.prompts.as_ref().map(build_prompts));
    volumes
}

/// A ConfigMap that isn't there keeps no pod from starting: the built-in prompts stand in.
fn build_prompts(given: &OwnPrompts) -> Volume {
    let map = |map: &Reference| ConfigMapVolumeSource {
        name: map.name.clone(),
        optional: Some(true),
        ..Default::default()
    };
    let claim = |claim: &Reference| PersistentVolumeClaimVolumeSource {
        claim_name: claim.name.clone(),
        read_only: Some(true),
    };
    Volume {
        config_map: given.config_map_ref.as_ref().map(map),
        persistent_volume_claim: given.existing_claim_ref.as_ref().map(claim),
        ..named("prompts")
    }
}

/// What the core is called by: a token for this tenant alone, and the authority of its certificate, without any key.
fn build_core(plan: &Plan, telephony: &TelephonyPlan) -> ProjectedVolumeSource {
    let token = ServiceAccountTokenProjection {
        audience: Some(plan.uid.clone()),
        expiration_seconds: Some(TOKEN_LIFE),
        path: TOKEN_FILE.into(),
    };
    let mut sources = vec![VolumeProjection { service_account_token: Some(token), ..Default::default() }];
    if telephony.has_authority {
        let items = vec![KeyToPath { key: CA_CERTIFICATE.into(), path: "ca.crt".into(), mode: None }];
        let secret = SecretProjection { name: plan.tls_secret.clone(), items: Some(items), optional: None };
        sources.push(VolumeProjection { secret: Some(secret), ..Default::default() });
    }
    ProjectedVolumeSource { default_mode: Some(0o440), sources: Some(sources) }
}
