//! Brings the cluster to the plan: server-side apply in order, with one field manager, only where something differs.
//!
//! Flow: identity and configuration first, then Secrets, claim and Services, then the Deployment, so that no pod starts before
//! what it mounts; the budget once there are pods. [`Applied`] can be made here alone; status is computed from it.
//!
//! What can go wrong: the API server refuses ([`CallError`]), or a child's name is taken by an object that
//! isn't ours, which is never overwritten.

mod applier;
mod foreign;
mod leaving;
mod monitoring;
mod replicas;
mod retirement;
mod secrets;
mod storage;
mod telephony;

use crate::tenant::build::Built;
use crate::tenant::build::binding::{build_authority_map, build_binding};
use crate::tenant::build::pod_monitor::pod_monitor_resource;
use crate::tenant::build::prometheus_rule::prometheus_rule_resource;
use crate::tenant::context::Context;
use crate::tenant::facts::credentials::RegionPlan;
use crate::tenant::memory::unwatched::MadeSecrets;
use crate::tenant::steps::dereference::{Facts, StorageFacts};
use crate::tenant::steps::readiness::{has_pods, is_settled};
use crate::tenant::steps::validate::{Plan, TlsPlan};
use applier::Applier;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::PersistentVolumeClaim;
use std::collections::BTreeMap;
use voicemail_runtime::calls::{CallError, Classified, ErrorClass};

pub use applier::{Child, remove_owned};
pub use leaving::{let_children_go, sweep};
pub use monitoring::MonitoringFact;
pub use retirement::Retirement;
pub use telephony::TelephonyFact;

/// Why applying stopped.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ApplyError {
    /// A call failed.
    #[error(transparent)]
    Call(#[from] CallError),
    /// An object of that name belongs to somebody else.
    #[error("{kind} {name} exists and is not this tenant's: delete or rename it")]
    NameTaken {
        /// Kind of the object.
        kind: String,
        /// Its name.
        name: String,
    },
    /// The claim of a known store went while it was looked at.
    #[error("PersistentVolumeClaim {0} is gone: none is made anew for a store that is known")]
    ClaimGone(String),
    /// Key or certificate material could not be made.
    #[error("{0}")]
    Material(String),
    /// An object can't be written as JSON.
    #[error("an object can't be written as JSON: {0}")]
    Encode(#[from] serde_json::Error),
}

impl Classified for ApplyError {
    fn class(&self) -> ErrorClass {
        match self {
            Self::Call(error) => error.class(),
            Self::NameTaken { .. } => ErrorClass::Permanent,
            Self::ClaimGone(_) | Self::Material(_) | Self::Encode(_) => ErrorClass::Transient,
        }
    }

    fn reason(&self) -> &'static str {
        match self {
            Self::Call(error) => error.reason(),
            Self::NameTaken { .. } => "NameTaken",
            Self::ClaimGone(_) => "ClaimGone",
            Self::Material(_) => "MaterialNotMade",
            Self::Encode(_) => "NotEncodable",
        }
    }
}

/// The objects that now exist, as the API server returned them.
#[derive(Debug)]
pub struct Applied {
    deployment: Deployment,
    storage: AppliedStorage,
    monitoring: MonitoringFact,
    telephony: TelephonyFact,
    /// The authority that the certificate comes with, as PEM.
    authority: Option<String>,
    /// The hash of the Service Binding's Secret.
    binding: String,
}

/// The storage's objects in the cluster.
#[derive(Debug)]
pub enum AppliedStorage {
    /// Our claim.
    Claim {
        /// As it is now.
        claim: Box<PersistentVolumeClaim>,
        /// Why it can't get the size that the spec asks for.
        refused: Option<String>,
    },
    /// A claim that somebody else maintains.
    ExistingClaim,
    /// The regions' credentials.
    ObjectStores(Vec<RegionPlan>),
}

impl Applied {
    /// The pods' Deployment.
    pub fn deployment(&self) -> &Deployment {
        &self.deployment
    }

    /// The storage's objects.
    pub fn storage(&self) -> &AppliedStorage {
        &self.storage
    }

    /// How monitors and alert rules are.
    pub fn monitoring(&self) -> &MonitoringFact {
        &self.monitoring
    }

    /// How the telephone's objects are.
    pub fn telephony(&self) -> &TelephonyFact {
        &self.telephony
    }

    /// Whether clients find the authority of the API's certificate in the ConfigMap.
    pub fn has_authority(&self) -> bool {
        self.authority.is_some()
    }

    /// The Secrets, which needn't be read again for a while; none where a certificate is brought, or isn't right.
    pub fn made_secrets(&self, facts: &Facts, plan: &Plan) -> Option<MadeSecrets> {
        let kept = facts.tls.as_ref().filter(|_| plan.tls == TlsPlan::Keep);
        let right = kept.is_none_or(|tls| tls.fault.is_none() && !tls.ends_soon);
        let (authority, binding) = (self.authority.clone()?, self.binding.clone());
        let credentials = match &facts.storage {
            StorageFacts::ObjectStores { secrets, .. } => secrets.clone(),
            StorageFacts::Volume { .. } => BTreeMap::new(),
        };
        (right && facts.brought.is_none()).then_some(MadeSecrets { authority, binding, credentials })
    }

    #[cfg(test)]
    pub(crate) fn for_test(deployment: Deployment, storage: AppliedStorage) -> Self {
        Self {
            deployment,
            storage,
            monitoring: MonitoringFact::default(),
            telephony: TelephonyFact::default(),
            authority: Some(String::new()),
            binding: String::new(),
        }
    }
}

/// Applies everything.
///
/// # Errors
/// [`ApplyError`]; what was applied before stays, and the next reconcile goes on.
pub async fn apply(
    context: &Context,
    plan: &Plan,
    built: Built,
    facts: &Facts,
) -> Result<Applied, ApplyError> {
    let applier = Applier { context, plan };
    applier.keep(built.service_account).await?;
    applier.keep(built.config).await?;
    applier.ensure_keys().await?;
    applier.mark_secrets().await?;
    let made = applier.ensure_certificate(facts.now).await?;
    let pem = made.clone().or_else(|| plan.authority.clone());
    // Of an authority that was made just now, what is built by the plan knows nothing.
    let (authority, binding) = match made.map(|pem| Plan { authority: Some(pem), ..plan.clone() }) {
        Some(plan) => (build_authority_map(&plan), build_binding(&plan)),
        None => (built.authority, built.binding),
    };
    applier.keep(authority).await?;
    let known = facts.recent.as_ref().map(|recent| recent.binding.as_str());
    let binding = applier.keep_unwatched(binding, known).await?;
    let storage = applier.ensure_storage(built.storage, facts.live_claim.as_deref()).await?;
    for service in built.services {
        applier.keep(service).await?;
    }
    applier.keep(built.network_policy).await?;
    let deployment = applier.ensure_deployment(built.deployment).await?;
    // A budget without pods is announced as a mistake, and written again for each pod that comes.
    if has_pods(&deployment) {
        applier.keep(built.disruption_budget).await?;
    }
    applier.ensure_autoscaler(built.autoscaler).await?;
    let monitor = applier.ensure_known(pod_monitor_resource(), built.pod_monitor).await;
    let rules = applier.ensure_known(prometheus_rule_resource(), built.prometheus_rule).await;
    applier.delete_unused_classes().await?;
    let telephony = Box::pin(applier.ensure_telephony(built.telephony)).await?;
    let applied =
        Applied { deployment, storage, monitoring: monitor.and(rules), telephony, authority: pem, binding };
    if is_settled(&applied) {
        applier.remove_unused_certificate().await?;
    }
    Ok(applied)
}
