//! The tenant's status: pure conditions from what was applied and seen, and the one write, only on difference.
//!
//! Whether the tenant serves is said by [`readiness`](super::readiness).

use crate::tenant::build::names::{api_host, binding_name, ca_name, selector_text};
use crate::tenant::build::service::API_PORT;
use crate::tenant::deletion::confirmation::find_early;
use crate::tenant::deletion::progress::Report;
use crate::tenant::facts::access_secrets::{AccessFact, find_access};
use crate::tenant::facts::certificate::{CertificateSeen, find_certificate};
use crate::tenant::facts::pull_secrets::{PullSecretsFact, find_pull_secrets};
use crate::tenant::facts::reclaim::{ReclaimFact, find_data_kept};
use crate::tenant::memory::rollout::Image;
use crate::tenant::steps::apply::{Applied, MonitoringFact};
use crate::tenant::steps::email_status::add_email;
use crate::tenant::steps::readiness::{Obstacle, deployment_status, find_obstacle, progress_findings};
use crate::tenant::steps::refusal::{POLICY_VIOLATION, Refusal};
use crate::tenant::steps::storage_status::{
    find_other_store, find_storage, find_terminating, keep_regions, list_regions,
};
use crate::tenant::steps::telephony_status::{count_telephony, find_telephony};
use crate::tenant::steps::web_status::add_web;
use jiff::Timestamp;
use kube::api::{Patch, PatchParams};
use kube::{Api, Client, ResourceExt};
use serde_json::json;
use voicemail_cores::child_names::sip_name;
use voicemail_cores::pods::PodSeen;
use voicemail_resources::conditions::{
    ACCESS_READY, CERTIFICATE_READY, ConditionStatus, DATA_KEPT, DELETION_BLOCKED, EMAIL_READY, Finding,
    MONITORING_READY, OF_TENANTS, PAUSED, POLICY_COMPLIANT, PULL_SECRETS_READY, RECEIVERS_READY,
    STORAGE_READY, TELEPHONY_READY, UPDATE_PENDING, WEB_READY, complete, merge_conditions,
};
use voicemail_resources::references::{CaKind, CaRef, Reference};
use voicemail_resources::voicemail_tenant::{
    Endpoint, MonitoringMode, VoicemailTenant, VoicemailTenantStatus,
};
use voicemail_resources::{MANAGER, PAUSED as PAUSED_ANNOTATION, RECONCILE_AT};
use voicemail_runtime::calls::{CallError, Classified, ErrorClass, within_deadline};

/// Observations of a reconcile that applied everything.
#[derive(Clone, Copy, Debug)]
pub struct Seen<'a> {
    /// The objects that exist now.
    pub applied: &'a Applied,
    /// The pods; none when nobody looked, because all of them serve and it isn't time to ask them again.
    pub pods: Option<&'a [PodSeen]>,
    /// The image, and whether a newer one waits.
    pub image: &'a Image,
    /// Whether the volume outlives its claim; none on object stores and for a claim without a volume.
    pub reclaim: Option<&'a ReclaimFact>,
    /// The claim with the messages, if somebody has deleted it.
    pub terminating: Option<&'a str>,
    /// The certificate; none before there is one.
    pub certificate: Option<CertificateSeen<'a>>,
    /// The Secrets that say who may call.
    pub access: &'a [AccessFact],
    /// The Secrets for private registries.
    pub pull_secrets: &'a PullSecretsFact,
    /// The telephone's pods, unless all of them take calls.
    pub telephones: &'a [PodSeen],
    /// What the tenant has otherwise than its policies want it; empty when they are kept.
    pub policy: &'a str,
}

/// How a reconcile went.
#[derive(Debug)]
pub enum Outcome<'a> {
    /// Everything was applied.
    Applied(Seen<'a>),
    /// A person asked to leave everything as it is.
    Paused,
    /// Nothing was changed, for this reason.
    Refused(&'a Refusal),
    /// The API server refused an object, or a name is taken: as (reason, message).
    Stopped(&'static str, String),
    /// Something failed that is tried again, so that not everything was applied or seen.
    Failing {
        /// Stable word.
        reason: &'static str,
        /// In a sentence.
        message: String,
        /// The pods, if nothing is known of the store yet.
        pods: &'a [PodSeen],
    },
}

/// Conditions that stay as they were when a reconcile fails.
const KEPT: [&str; 12] = [
    POLICY_COMPLIANT,
    DATA_KEPT,
    ACCESS_READY,
    RECEIVERS_READY,
    EMAIL_READY,
    PULL_SECRETS_READY,
    CERTIFICATE_READY,
    UPDATE_PENDING,
    MONITORING_READY,
    TELEPHONY_READY,
    WEB_READY,
    DELETION_BLOCKED,
];

/// The status that follows.
pub fn compute_status(
    tenant: &VoicemailTenant,
    outcome: &Outcome<'_>,
    deletion: Option<&Report>,
    now: Timestamp,
) -> VoicemailTenantStatus {
    let previous = tenant.status.clone().unwrap_or_default();
    if matches!(outcome, Outcome::Paused) {
        return pause(tenant, previous, deletion, now);
    }
    let mut findings = match outcome {
        Outcome::Applied(seen) => find_from_cluster(tenant, seen, &previous),
        Outcome::Paused => Vec::new(),
        Outcome::Refused(refusal) => find_from_refusal(refusal, &previous),
        Outcome::Stopped(reason, message) => {
            let obstacle = Obstacle::new(*reason, message.clone(), true);
            let mut findings = progress_findings(Some(&obstacle), false);
            findings.push(kept_storage(&previous));
            findings
        }
        Outcome::Failing { reason, message, .. } => find_from_failure(reason, message, &previous),
    };
    findings.extend(deletion.map(Report::finding));
    findings.extend(find_early(tenant));
    let (replicas, ready_replicas, store_id) = match outcome {
        Outcome::Applied(seen) => counts(seen.applied, seen.pods.unwrap_or_default()),
        Outcome::Failing { pods, .. } => (previous.replicas, previous.ready_replicas, find_store_id(pods)),
        _ => (previous.replicas, previous.ready_replicas, None),
    };
    let findings = match (&previous.store_id, &store_id) {
        (Some(known), Some(found)) if known != found => {
            replace_storage(findings, find_other_store(known, found))
        }
        _ => findings,
    };
    let mut findings = findings;
    complete(&mut findings, &types_of(tenant));
    let regions = match outcome {
        Outcome::Applied(Seen { pods: Some(pods), .. }) => list_regions(tenant, &previous.regions, pods, now),
        _ => keep_regions(tenant, &previous.regions, now),
    };
    let image = match outcome {
        Outcome::Applied(seen) => Some(seen.image.present().to_owned()),
        _ => previous.image,
    };
    VoicemailTenantStatus {
        conditions: merge_conditions(&previous.conditions, findings, tenant.metadata.generation, now),
        observed_generation: tenant.metadata.generation,
        store_id: previous.store_id.or(store_id),
        replicas,
        ready_replicas,
        selector: Some(selector_text(&tenant.name_any())),
        last_handled_reconcile_at: tenant.annotations().get(RECONCILE_AT).map(|value| shorten(value)),
        image,
        endpoints: list_endpoints(tenant),
        ca_ref: match outcome {
            Outcome::Applied(seen) => seen.applied.has_authority().then(|| list_authority(tenant)),
            _ => previous.ca_ref,
        },
        binding: match outcome {
            Outcome::Applied(_) => Some(Reference { name: binding_name(&tenant.name_any()) }),
            _ => previous.binding,
        },
        regions,
        telephony: match outcome {
            Outcome::Applied(seen) => count_telephony(seen.applied.telephony(), previous.telephony),
            _ => previous.telephony,
        },
    }
}

/// Where the API is reached within the cluster, and the audience that tokens for it need; where calls are taken; and where
/// browsers find the pages.
fn list_endpoints(tenant: &VoicemailTenant) -> Vec<Endpoint> {
    let namespace = tenant.namespace().unwrap_or_default();
    let api = Endpoint {
        name: "api".into(),
        url: format!("https://{}:{API_PORT}", api_host(&tenant.name_any(), &namespace)),
        audience: Some(tenant.spec.tenant_id.clone()),
    };
    let telephone = sip_name(&tenant.name_any());
    let sip = tenant.spec.telephony.as_ref().map(|telephony| Endpoint {
        name: "sip".into(),
        url: format!("sip:{telephone}.{namespace}.svc:{}", telephony.network.ports.sip),
        audience: None,
    });
    let web = tenant.spec.web.as_ref().map(|web| Endpoint {
        name: "web".into(),
        url: format!("https://{}/ui", web.host),
        audience: None,
    });
    [api].into_iter().chain(sip).chain(web).collect()
}

fn list_authority(tenant: &VoicemailTenant) -> CaRef {
    CaRef { kind: CaKind::ConfigMap, name: ca_name(&tenant.name_any()) }
}

/// The conditions that stand on a tenant: of a feature only while it is wanted.
fn types_of(tenant: &VoicemailTenant) -> Vec<&'static str> {
    let mode = tenant.spec.monitoring.as_ref().map(|monitoring| monitoring.mode).unwrap_or_default();
    let wanted = |type_: &&'static str| match *type_ {
        MONITORING_READY => mode == MonitoringMode::Enabled,
        TELEPHONY_READY => tenant.spec.telephony.is_some(),
        WEB_READY => tenant.spec.web.is_some(),
        _ => true,
    };
    OF_TENANTS.into_iter().filter(wanted).collect()
}

fn shorten(value: &str) -> String {
    value.chars().take(256).collect()
}

/// Everything stays as it was last seen, and the status says why.
fn pause(
    tenant: &VoicemailTenant,
    previous: VoicemailTenantStatus,
    deletion: Option<&Report>,
    now: Timestamp,
) -> VoicemailTenantStatus {
    let message = format!("annotation {PAUSED_ANNOTATION} is true: remove it, and the operator goes on");
    let mut paused = vec![Finding::new(PAUSED, true, "PausedByAnnotation", message)];
    paused.extend(deletion.map(Report::finding));
    paused.extend(find_early(tenant));
    let new = |type_: &str| paused.iter().any(|finding| finding.type_ == type_);
    let others = previous.conditions.iter().filter(|condition| !new(&condition.type_)).cloned();
    let mut conditions: Vec<_> = others.collect();
    conditions.extend(merge_conditions(&previous.conditions, paused, tenant.metadata.generation, now));
    VoicemailTenantStatus { conditions, ..previous }
}

fn replace_storage(mut findings: Vec<Finding>, storage: Finding) -> Vec<Finding> {
    findings.retain(|finding| finding.type_ != STORAGE_READY);
    findings.push(storage);
    findings
}

fn counts(applied: &Applied, pods: &[PodSeen]) -> (i32, i32, Option<String>) {
    let status = deployment_status(applied.deployment());
    (status.replicas.unwrap_or(0), status.ready_replicas.unwrap_or(0), find_store_id(pods))
}

fn find_store_id(pods: &[PodSeen]) -> Option<String> {
    let ready_core = pods.iter().filter_map(|pod| pod.core.as_ref()).find(|core| core.ready);
    ready_core.and_then(|core| core.store_id.clone())
}

fn find_from_refusal(refusal: &Refusal, previous: &VoicemailTenantStatus) -> Vec<Finding> {
    let stalled = refusal.class() == ErrorClass::Permanent;
    let obstacle = Obstacle::new(refusal.reason(), refusal.to_string(), stalled);
    let mut findings = progress_findings(Some(&obstacle), false);
    match refusal {
        Refusal::PolicyViolation(words) => findings.push(find_compliance(words)),
        Refusal::SecretNotUsable(_) => {
            findings.push(Finding::new(POLICY_COMPLIANT, false, refusal.reason(), refusal.to_string()));
        }
        _ => {}
    }
    findings.push(if refusal.is_about_storage() {
        Finding::new(STORAGE_READY, false, obstacle.reason, obstacle.message)
    } else {
        kept_storage(previous)
    });
    findings
}

/// Work goes on, so that nobody need act before the cause is gone; all that was known otherwise stays.
fn find_from_failure(reason: &str, message: &str, previous: &VoicemailTenantStatus) -> Vec<Finding> {
    let obstacle = Obstacle::new(reason, format!("{message}; it is tried again"), false);
    let mut findings = progress_findings(Some(&obstacle), false);
    findings.push(kept_storage(previous));
    findings.extend(KEPT.iter().filter_map(|type_| Finding::known(type_, &previous.conditions)));
    findings
}

/// Keeps the previous finding about the storage, when this reconcile learned nothing about it.
fn kept_storage(previous: &VoicemailTenantStatus) -> Finding {
    let unknown = || Finding::new(STORAGE_READY, ConditionStatus::Unknown, "NotLookedAt", "");
    Finding::known(STORAGE_READY, &previous.conditions).unwrap_or_else(unknown)
}

fn find_from_cluster(
    tenant: &VoicemailTenant,
    seen: &Seen<'_>,
    previous: &VoicemailTenantStatus,
) -> Vec<Finding> {
    let (applied, pods) = (seen.applied, seen.pods.unwrap_or_default());
    let storage = match seen.terminating {
        Some(claim) => find_terminating(claim),
        None => find_storage(applied, seen.pods).unwrap_or_else(|| kept_storage(previous)),
    };
    let desired = applied.deployment().spec.as_ref().and_then(|spec| spec.replicas).unwrap_or(0);
    let serving = deployment_status(applied.deployment()).ready_replicas.unwrap_or(0);
    let ready = desired > 0 && serving >= desired;
    let obstacle = find_obstacle(applied, pods, &storage, desired, serving);
    let mut findings = progress_findings(obstacle.as_ref(), ready);
    findings.push(storage);
    findings.extend(seen.reclaim.map(find_data_kept));
    findings.extend(find_access(seen.access));
    add_email(&mut findings, seen.pods, previous);
    add_web(&mut findings, tenant.spec.web.is_some(), seen.pods, previous);
    findings.extend(find_pull_secrets(seen.pull_secrets));
    findings.extend(seen.certificate.as_ref().map(find_certificate));
    findings.extend(find_update(seen.image));
    findings.extend(find_monitoring(applied.monitoring()));
    findings.extend(find_telephony(applied.telephony(), seen.telephones, seen.access));
    findings.push(find_compliance(seen.policy));
    findings
}

/// Whether the tenant is as its policies want it.
fn find_compliance(words: &str) -> Finding {
    if words.is_empty() {
        return Finding::new(POLICY_COMPLIANT, true, "PoliciesKept", "");
    }
    Finding::new(POLICY_COMPLIANT, false, POLICY_VIOLATION, words)
}

/// Monitors and rules are no reason to stop anything; none where the spec wants none.
fn find_monitoring(fact: &MonitoringFact) -> Option<Finding> {
    Some(match fact {
        MonitoringFact::Unwanted => return None,
        MonitoringFact::Applied => Finding::new(MONITORING_READY, true, "MonitoringApplied", ""),
        MonitoringFact::Unknown(kinds) => Finding::new(
            MONITORING_READY,
            ConditionStatus::Unknown,
            "KindsNotServed",
            format!("this cluster doesn't serve {}: Prometheus' operator isn't installed", kinds.join(", ")),
        ),
        MonitoringFact::Refused(words) => Finding::new(
            MONITORING_READY,
            false,
            "MonitoringRefused",
            format!("{words}. The tenant serves; it is tried again"),
        ),
    })
}

/// A newer image waits for its turn.
fn find_update(image: &Image) -> Option<Finding> {
    let Image::Waiting { present, next, holders } = image else { return None };
    let others = if holders.is_empty() { "other tenants".to_owned() } else { holders.join(", ") };
    let message = format!(
        "{present} is replaced by {next} when it is this tenant's turn: {others} don't serve with it yet"
    );
    Some(Finding::new(UPDATE_PENDING, true, "WaitsForOtherTenants", message))
}

/// Writes the status, if it differs. Returns the tenant's version then; none if nothing was written.
///
/// # Errors
/// The API server refuses or doesn't answer.
pub async fn write_status(
    client: &Client,
    tenant: &VoicemailTenant,
    status: &VoicemailTenantStatus,
) -> Result<Option<String>, CallError> {
    if tenant.status.as_ref() == Some(status) {
        return Ok(None);
    }
    let api: Api<VoicemailTenant> = Api::namespaced(client.clone(), &tenant.namespace().unwrap_or_default());
    // Of this tenant, and of no other one that has got its name meanwhile.
    let body = json!({
        "apiVersion": "voicemail.dev/v1beta1", "kind": "VoicemailTenant", "metadata": {"uid": tenant.uid()},
        "status": status,
    });
    let parameters = PatchParams::apply(MANAGER).force();
    let name = tenant.name_any();
    let patch = Patch::Apply(&body);
    match within_deadline("write the tenant's status", api.patch_status(&name, &parameters, &patch)).await {
        // Deleted meanwhile: there is nobody left to tell.
        Err(error) if error.is_not_found() => Ok(None),
        result => result.map(|written| written.resource_version()),
    }
}
