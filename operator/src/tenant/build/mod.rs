//! From a [`Plan`] to the objects that should exist. Pure: no client, no clock, no chance.
//!
//! Flow: one file per kind; [`build`] collects what server-side apply maintains. Secrets with made material
//! are built here too, but from material that the caller made, and only when they are due.
//!
//! What can go wrong: only a [`BuildError`].

pub mod access;
#[cfg(test)]
mod additions_tests;
pub mod autoscaler;
pub mod binding;
#[cfg(test)]
mod build_tests;
pub mod certificate;
pub mod claim;
pub mod config;
pub mod core_config;
pub mod deployment;
pub mod disruption_budget;
pub mod environment;
pub mod keys;
pub mod ledger;
pub mod metadata;
pub mod names;
pub mod network_policy;
pub mod pod_monitor;
pub mod prometheus_rule;
pub mod retire_job;
pub mod secret_provider_class;
pub mod service;
pub mod service_account;
pub mod telephony;
pub mod volumes;
pub mod web;

use crate::tenant::facts::credentials::Source;
use crate::tenant::facts::storage::{ClaimPlan, StoragePlan};
use crate::tenant::steps::validate::Plan;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use k8s_openapi::api::core::v1::{ConfigMap, PersistentVolumeClaim, Secret, Service, ServiceAccount};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use kube::api::DynamicObject;
use voicemail_runtime::calls::{Classified, ErrorClass};

/// Why the objects can't be built.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// The configuration can't be written.
    #[error(transparent)]
    Config(#[from] voicemail_api::config::ConfigError),
    /// The alert rules that are part of this program can't be read, or a configuration can't be written: a fault of ours.
    #[error("YAML of ours: {0}")]
    Rules(#[from] serde_yaml::Error),
}

impl Classified for BuildError {
    fn class(&self) -> ErrorClass {
        ErrorClass::Permanent
    }

    fn reason(&self) -> &'static str {
        match self {
            Self::Config(_) => "ConfigNotEncodable",
            Self::Rules(_) => "RulesUnreadable",
        }
    }
}

/// The objects that should exist, not yet applied.
#[derive(Clone, Debug)]
pub struct Built {
    /// Identity of the pods.
    pub service_account: ServiceAccount,
    /// The tenant's configuration.
    pub config: ConfigMap,
    /// The authority of the API's certificate.
    pub authority: ConfigMap,
    /// By which workloads are bound to the API.
    pub binding: Secret,
    /// The storage's objects.
    pub storage: BuiltStorage,
    /// The API, and the pods' own names.
    pub services: [Service; 2],
    /// Keeps a drain from taking all pods at once.
    pub disruption_budget: PodDisruptionBudget,
    /// The traffic that may reach the pods.
    pub network_policy: NetworkPolicy,
    /// Sets the replicas by load; none while the spec does.
    pub autoscaler: Option<HorizontalPodAutoscaler>,
    /// Finds the pods' metrics, where the cluster knows the kind; none where the tenant wants none.
    pub pod_monitor: Option<DynamicObject>,
    /// Alerts about the tenant's data-subject requests, likewise.
    pub prometheus_rule: Option<DynamicObject>,
    /// The pods.
    pub deployment: Deployment,
    /// The telephone; none where the tenant has none.
    pub telephony: Option<telephony::BuiltTelephony>,
}

/// Objects that the storage needs.
#[derive(Clone, Debug)]
pub enum BuiltStorage {
    /// A claim.
    Claim(Box<PersistentVolumeClaim>),
    /// Nothing: somebody else maintains the claim.
    ExistingClaim,
    /// A SecretProviderClass for each region whose credentials are in a vault.
    ObjectStores(Vec<DynamicObject>),
}

fn build_storage(plan: &Plan) -> BuiltStorage {
    match &plan.storage {
        StoragePlan::Volume(ClaimPlan::Make(claim)) => {
            BuiltStorage::Claim(Box::new(claim::build_claim(plan, claim)))
        }
        StoragePlan::Volume(ClaimPlan::Existing(_)) => BuiltStorage::ExistingClaim,
        StoragePlan::ObjectStores { regions, .. } => {
            let classes = regions.iter().filter_map(|region| match &region.source {
                Source::KeyVault { class, vault } => {
                    Some(secret_provider_class::build_provider_class(plan, class, vault))
                }
                Source::Secret { .. } | Source::WorkloadIdentity(_) | Source::WebIdentity(_) => None,
            });
            BuiltStorage::ObjectStores(classes.collect())
        }
    }
}

/// Builds everything.
///
/// # Errors
/// See [`BuildError`].
pub fn build(plan: &Plan) -> Result<Built, BuildError> {
    Ok(Built {
        service_account: service_account::build_service_account(plan),
        config: config::build_config_map(plan)?,
        authority: binding::build_authority_map(plan),
        binding: binding::build_binding(plan),
        storage: build_storage(plan),
        services: [service::build_service(plan), service::build_headless_service(plan)],
        disruption_budget: disruption_budget::build_disruption_budget(plan),
        network_policy: network_policy::build_network_policy(plan),
        autoscaler: autoscaler::build_autoscaler(plan),
        pod_monitor: pod_monitor::build_pod_monitor(plan),
        prometheus_rule: prometheus_rule::build_prometheus_rule(plan)?,
        deployment: deployment::build_deployment(plan),
        telephony: telephony::build_telephony(plan)?,
    })
}
