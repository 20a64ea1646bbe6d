//! From spec and facts to a plan, or to a refusal that says what a person must change. Pure.
//!
//! The API server has enforced the CEL rules already; here is what needs facts (Secrets, claims) or the
//! core's own rules ([`TenantConfig::check`]). A refusal changes nothing that runs: the pods stay as they are.

use super::access::{AccessPlan, plan_access};
use super::build::certificate::Authority;
use super::build::names::{keys_secret, tls_secret};
use super::core_config::plan_config;
use super::dereference::Facts;
use super::refusal::Refusal;
use super::storage::{StoragePlan, plan_storage};
use crate::api::voicemail_tenant::{
    Autoscaling, Monitoring, NetworkAccess, Resources, Scheduling, VoicemailTenant,
};
use crate::settings::Settings;
use kube::ResourceExt;
use voicemail_api::config::TenantConfig;

/// All that building needs.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Name of the tenant.
    pub name: String,
    /// Its namespace.
    pub namespace: String,
    /// The tenant's UID, by which its children are known.
    pub uid: String,
    /// The core's configuration.
    pub config: TenantConfig,
    /// Image of the core.
    pub image: String,
    /// Pods wanted.
    pub replicas: i32,
    /// Replicas by load, instead.
    pub autoscaling: Option<Autoscaling>,
    /// Who may reach the pods.
    pub network_access: Option<NetworkAccess>,
    /// Where the operator is, which always may.
    pub operator_namespace: String,
    /// Where the pods may run.
    pub scheduling: Scheduling,
    /// What Prometheus' operator is given.
    pub monitoring: Monitoring,
    /// Whether that takes in alert rules: else they are installed for all tenants at once.
    pub tenant_rules: bool,
    /// CPU and memory of each.
    pub resources: Option<Resources>,
    /// Where the messages are.
    pub storage: StoragePlan,
    /// The tenant's store is known: nothing of it is made anew.
    pub is_store_known: bool,
    /// The keys.
    pub keys: KeysPlan,
    /// Secrets that say who may call.
    pub access: AccessPlan,
    /// Secret with the serving certificate.
    pub tls_secret: String,
    /// What to do about it.
    pub tls: TlsPlan,
    /// A certificate was brought, and the one that was made before is still there.
    pub has_unused_certificate: bool,
    /// Secrets that the operator made and that don't bear the tenant's UID yet, or still name it as their owner.
    pub unmarked_secrets: Vec<String>,
}

/// The Secret with the keys, and whether it must be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeysPlan {
    /// Its name.
    pub secret: String,
    /// True when there is none and there never was one.
    pub make: bool,
}

/// What to do about the serving certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TlsPlan {
    /// Nothing.
    Keep,
    /// Sign a new one by this authority.
    Renew(Authority),
    /// Renew this authority, too: it is due.
    Prolong(Authority),
    /// Make an authority too.
    Start,
}

/// Makes the plan.
///
/// # Errors
/// [`Refusal`].
pub fn validate(
    tenant: &VoicemailTenant,
    facts: &Facts,
    settings: &Settings,
    cluster: &str,
) -> Result<Plan, Refusal> {
    let name = tenant.name_any();
    let config = plan_config(tenant, settings, cluster)?;
    let tls_secret = tls_secret(tenant);
    let storage = plan_storage(tenant, facts);
    if matches!(storage, Err(Refusal::ClaimGone { .. })) {
        // Without its keys a claim that is brought back helps nobody: they are asked for first.
        plan_keys(tenant, facts)?;
    }
    Ok(Plan {
        namespace: tenant.namespace().unwrap_or_default(),
        uid: plan_uid(tenant)?,
        image: tenant.spec.image.clone().unwrap_or_else(|| settings.image.clone()),
        replicas: tenant.spec.replicas,
        autoscaling: tenant.spec.autoscaling.clone(),
        network_access: tenant.spec.network_access.clone(),
        operator_namespace: settings.namespace.clone(),
        scheduling: tenant.spec.scheduling.clone().unwrap_or_default(),
        monitoring: tenant.spec.monitoring.clone().unwrap_or_default(),
        tenant_rules: settings.tenant_rules,
        resources: tenant.spec.resources.clone(),
        storage: storage?,
        is_store_known: tenant.has_known_store(),
        keys: plan_keys(tenant, facts)?,
        access: plan_access(tenant),
        tls: plan_tls(tenant, facts, &tls_secret)?,
        tls_secret,
        has_unused_certificate: tenant.spec.tls.is_some() && facts.authority.is_some(),
        unmarked_secrets: facts.unmarked_secrets.clone(),
        config,
        name,
    })
}

fn plan_uid(tenant: &VoicemailTenant) -> Result<String, Refusal> {
    tenant.uid().ok_or_else(|| Refusal::InvalidSpec("metadata: the object has no uid".into()))
}

fn plan_keys(tenant: &VoicemailTenant, facts: &Facts) -> Result<KeysPlan, Refusal> {
    let secret = keys_secret(tenant);
    match &facts.keys {
        Some(fact) => match fact.missing() {
            Some(missing) => Err(Refusal::KeysSecretInvalid { name: secret, missing }),
            None => Ok(KeysPlan { secret, make: false }),
        },
        None if tenant.has_known_store() => Err(Refusal::KeysSecretLost(secret)),
        None if tenant.spec.keys.is_some() => Err(Refusal::KeysSecretNotFound(secret)),
        None => Ok(KeysPlan { secret, make: true }),
    }
}

fn plan_tls(tenant: &VoicemailTenant, facts: &Facts, secret: &str) -> Result<TlsPlan, Refusal> {
    let invalid = |fault: &str| Err(Refusal::TlsSecretInvalid { name: secret.into(), fault: fault.into() });
    if tenant.spec.tls.is_some() {
        return match &facts.tls {
            None => invalid("isn't there"),
            Some(tls) if !tls.complete => invalid("is incomplete"),
            Some(_) => Ok(TlsPlan::Keep),
        };
    }
    let Some(authority) = &facts.authority else { return Ok(TlsPlan::Start) };
    if facts.now >= authority.renew_at {
        return Ok(TlsPlan::Prolong(authority.clone()));
    }
    let good = facts.tls.as_ref().is_some_and(|tls| {
        let lasting = tls.renew_at.is_some_and(|due| facts.now < due);
        // What somebody broke is made anew.
        tls.complete
            && lasting
            && tls.fault.is_none()
            && tls.authority.as_ref() == Some(&authority.certificate)
    });
    Ok(if good { TlsPlan::Keep } else { TlsPlan::Renew(authority.clone()) })
}
