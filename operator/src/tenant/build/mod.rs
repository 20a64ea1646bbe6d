//! From a [`Plan`](super::validate::Plan) to the objects that should exist. Pure: no client, no clock, no chance.
//!
//! Flow: one file per kind; [`build`] collects what server-side apply maintains. Secrets with made material
//! are built here too, but from material that the caller made, and only when they are due.
//!
//! What can go wrong: only a configuration that can't be written as YAML.

pub mod certificate;
pub mod claim;
pub mod config;
pub mod deployment;
pub mod disruption_budget;
pub mod keys;
pub mod names;
pub mod service;
pub mod service_account;

use super::validate::{ClaimPlan, Plan};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{ConfigMap, PersistentVolumeClaim, Service, ServiceAccount};
use k8s_openapi::api::policy::v1::PodDisruptionBudget;

/// The objects that should exist, not yet applied.
#[derive(Clone, Debug)]
pub struct Built {
    /// Identity of the pods.
    pub service_account: ServiceAccount,
    /// The tenant's configuration.
    pub config: ConfigMap,
    /// The claim, unless an existing one is used.
    pub claim: Option<PersistentVolumeClaim>,
    /// The API, and the pods' own names.
    pub services: [Service; 2],
    /// Keeps a drain from taking all pods at once.
    pub disruption_budget: PodDisruptionBudget,
    /// The pods.
    pub deployment: Deployment,
}

/// Builds everything.
///
/// # Errors
/// The configuration can't be written as YAML.
pub fn build(plan: &Plan) -> Result<Built, voicemail_core::config::ConfigError> {
    Ok(Built {
        service_account: service_account::build_service_account(plan),
        config: config::build_config_map(plan)?,
        claim: match &plan.claim {
            ClaimPlan::Make(claim) => Some(claim::build_claim(plan, claim)),
            ClaimPlan::Existing(_) => None,
        },
        services: [service::build_service(plan), service::build_headless_service(plan)],
        disruption_budget: disruption_budget::build_disruption_budget(plan),
        deployment: deployment::build_deployment(plan),
    })
}
