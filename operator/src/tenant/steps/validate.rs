//! From spec and facts to a plan, or to a refusal that says what a person must change. Pure.
//!
//! The API server has enforced the CEL rules already; here is what needs facts (Secrets, claims) or the
//! core's own rules ([`TenantConfig::check`]). A refusal changes nothing that runs: the pods stay as they are.

use crate::settings::Settings;
use crate::tenant::build::access::{AccessPlan, plan_access};
use crate::tenant::build::certificate::Authority;
use crate::tenant::build::core_config::plan_config;
use crate::tenant::build::deployment::CONTAINER;
use crate::tenant::build::names::{brought_tls_secret, keys_secret, serving_secret};
use crate::tenant::build::telephony::{TelephonyPlan, plan_telephony};
use crate::tenant::facts::certificate::{CertificateParts, Fault, Grade};
use crate::tenant::facts::storage::{StoragePlan, plan_storage};
use crate::tenant::memory::TenantKey;
use crate::tenant::steps::dereference::{BroughtFact, Facts, Look, TlsFact};
use crate::tenant::steps::refusal::Refusal;
use k8s_openapi::api::core::v1::Secret;
use kube::ResourceExt;
use kube::core::PartialObjectMeta;
use std::collections::BTreeMap;
use voicemail_api::config::TenantConfig;
use voicemail_resources::pod_template::{Additions, read};
use voicemail_resources::voicemail_tenant::{
    Autoscaling, ImagePullPolicy, Metadata, Monitoring, NetworkPolicy, Proxy, Resources, ServiceTemplate,
    VoicemailTenant,
};

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
    pub network_policy: Option<NetworkPolicy>,
    /// Where the operator is, which always may.
    pub operator_namespace: String,
    /// What the spec adds to the pods, and where they may run.
    pub additions: Additions,
    /// The pods run as the image's user; else as one that the cluster gives them from the namespace's range.
    pub has_fixed_user: bool,
    /// The way of the pods' requests to other hosts.
    pub proxy: Option<Proxy>,
    /// The domain of the cluster's own names.
    pub cluster_domain: String,
    /// Labels and annotations of all children.
    pub inherited: Metadata,
    /// The Service of the API.
    pub service: ServiceTemplate,
    /// When the image is fetched.
    pub image_pull_policy: ImagePullPolicy,
    /// Secrets for private registries.
    pub pull_secrets: Vec<String>,
    /// Objects for the Prometheus operator.
    pub monitoring: Monitoring,
    /// Whether that takes in alert rules: else they are installed for all tenants at once.
    pub tenant_rules: bool,
    /// Folder of the runbooks that alerts link to.
    pub runbooks: String,
    /// CPU and memory of each.
    pub resources: Option<Resources>,
    /// Where the messages are.
    pub storage: StoragePlan,
    /// Which look at the tenant it is made for.
    pub look: Look,
    /// The tenant's store is known: nothing of it is made anew.
    pub is_store_known: bool,
    /// The keys.
    pub keys: KeysPlan,
    /// Secrets that say who may call.
    pub access: AccessPlan,
    /// Secret with the serving certificate.
    pub tls_secret: String,
    /// The authority of that certificate, as PEM; none if clients trust it anyway, or while it is made.
    pub authority: Option<String>,
    /// How that Secret is filled.
    pub tls: TlsPlan,
    /// The Secret that the certificate is brought in; none if the operator makes it.
    pub brought_tls_secret: Option<String>,
    /// A brought certificate is served, and what the one before was made by is still there.
    pub has_unused_certificate: bool,
    /// The Secrets with authority and certificate, as they were just read.
    pub made_secrets: BTreeMap<String, Option<PartialObjectMeta<Secret>>>,
    /// Secrets that the operator made and that don't bear the tenant's UID yet, or still name it as their owner.
    pub unmarked_secrets: Vec<String>,
    /// The telephone; none where the tenant has none.
    pub telephony: Option<TelephonyPlan>,
    /// The tenant has no telephone any more, and its pods let their calls end.
    pub telephone_leaves: bool,
}

impl Plan {
    /// Whether pods that take calls work with the core.
    pub fn has_telephone(&self) -> bool {
        self.telephony.is_some() || self.telephone_leaves
    }

    /// Which tenant it is for.
    pub fn key(&self) -> TenantKey {
        TenantKey { namespace: self.namespace.clone(), name: self.name.clone(), uid: self.uid.clone() }
    }
}

/// The Secret with the keys, and whether it must be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeysPlan {
    /// Its name.
    pub secret: String,
    /// True when there is none and there never was one.
    pub make: bool,
}

/// How the Secret with the serving certificate is filled.
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
    /// Copy the brought one: the Secret that it is from, and what that holds.
    Copy(String, CertificateParts),
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
    let has_telephone = tenant.spec.telephony.is_some() || facts.telephone_leaves;
    let mut config = plan_config(tenant, settings, cluster, has_telephone)?;
    config.gdpr.least_undo_window = facts.least_undo_window.unwrap_or_default();
    let tls = plan_tls(tenant, facts)?;
    let telephony = plan_telephony(tenant, has_authority(facts, &tls))?;
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
        network_policy: tenant.spec.network_policy.clone(),
        operator_namespace: settings.namespace.clone(),
        additions: read(tenant.spec.pod_template.as_ref(), CONTAINER)
            .map_err(|error| Refusal::PodTemplate("", error))?,
        has_fixed_user: !facts.has_user_range,
        proxy: tenant.spec.proxy.clone(),
        cluster_domain: settings.cluster_domain.clone(),
        inherited: tenant.spec.inherited_metadata.clone().unwrap_or_default(),
        service: tenant.spec.service.clone().unwrap_or_default(),
        image_pull_policy: tenant.spec.image_pull_policy,
        pull_secrets: plan_pull_secrets(tenant, settings),
        monitoring: tenant.spec.monitoring.clone().unwrap_or_default(),
        tenant_rules: settings.tenant_rules,
        runbooks: settings.runbooks.clone(),
        resources: tenant.spec.resources.clone(),
        storage: storage?,
        look: facts.look,
        is_store_known: tenant.has_known_store(),
        keys: plan_keys(tenant, facts)?,
        access: plan_access(tenant),
        has_unused_certificate: tenant.spec.tls.is_some()
            && facts.authority.is_some()
            && serves_copy(facts, &tls),
        authority: find_authority(facts, &tls).and_then(|pem| String::from_utf8(pem.to_vec()).ok()),
        tls,
        tls_secret: serving_secret(tenant),
        brought_tls_secret: brought_tls_secret(tenant),
        made_secrets: facts.made_secrets.clone(),
        unmarked_secrets: facts.unmarked_secrets.clone(),
        config,
        telephony,
        telephone_leaves: facts.telephone_leaves,
        name,
    })
}

/// The operator's own pull secrets, whose names are the same in every namespace, then the tenant's.
pub fn plan_pull_secrets(tenant: &VoicemailTenant, settings: &Settings) -> Vec<String> {
    let given = tenant.spec.image_pull_secrets.iter().map(|secret| secret.name.clone());
    let mut names: Vec<String> = Vec::new();
    for name in settings.tenant_pull_secrets.iter().cloned().chain(given) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

fn plan_uid(tenant: &VoicemailTenant) -> Result<String, Refusal> {
    tenant.uid().ok_or_else(|| Refusal::InvalidSpec("metadata: the object has no uid".into()))
}

fn plan_keys(tenant: &VoicemailTenant, facts: &Facts) -> Result<KeysPlan, Refusal> {
    let secret = keys_secret(tenant);
    match &facts.keys {
        None if facts.recent.is_some() => Ok(KeysPlan { secret, make: false }),
        Some(fact) => match fact.missing() {
            Some(missing) => Err(Refusal::KeysSecretInvalid { name: secret, missing }),
            None => Ok(KeysPlan { secret, make: false }),
        },
        None if tenant.has_known_store() => Err(Refusal::KeysSecretLost(secret)),
        None if tenant.spec.keys.is_some() => Err(Refusal::KeysSecretNotFound(secret)),
        None => Ok(KeysPlan { secret, make: true }),
    }
}

fn plan_tls(tenant: &VoicemailTenant, facts: &Facts) -> Result<TlsPlan, Refusal> {
    if facts.recent.is_some() {
        return Ok(TlsPlan::Keep);
    }
    let Some(brought) = &facts.brought else { return Ok(plan_made(facts)) };
    let served = facts.tls.as_ref().filter(|tls| tls.parts.is_some());
    if let Some(parts) = brought.parts.as_ref().filter(|_| is_better(brought, served)) {
        let current = served.is_some_and(|tls| {
            tls.parts.as_ref() == Some(parts) && tls.copied_from.as_ref() == Some(&brought.secret)
        });
        return Ok(if current {
            TlsPlan::Keep
        } else {
            TlsPlan::Copy(brought.secret.clone(), parts.clone())
        });
    }
    match served {
        // What was copied before stays, whichever Secret that was from.
        Some(tls) if tls.copied_from.is_some() || facts.authority.is_none() => Ok(TlsPlan::Keep),
        // What was made before stays, and is made anew when it is due.
        _ if facts.authority.is_some() => Ok(plan_made(facts)),
        _ => Err(refuse_tls(brought, tenant)),
    }
}

/// Whether the brought certificate is to be served instead of the one that the pods have.
fn is_better(brought: &BroughtFact, served: Option<&TlsFact>) -> bool {
    let grade = Grade::of(brought.fault.as_ref());
    let present = served.map_or(Grade::Unusable, |tls| Grade::of(tls.fault.as_ref()));
    grade != Grade::Unusable && grade <= present
}

fn refuse_tls(brought: &BroughtFact, tenant: &VoicemailTenant) -> Refusal {
    let words = |fault: &Fault| match brought.parts {
        None => fault.message.clone(),
        Some(_) => format!("can't be used ({})", fault.message),
    };
    let name = brought_tls_secret(tenant).unwrap_or_default();
    Refusal::TlsSecretInvalid { name, fault: brought.fault.as_ref().map(words).unwrap_or_default() }
}

/// Whether the pods serve a copy of what was brought, now or once the plan is carried out.
fn serves_copy(facts: &Facts, tls: &TlsPlan) -> bool {
    let copied = facts.tls.as_ref().is_some_and(|tls| tls.copied_from.is_some());
    matches!(tls, TlsPlan::Copy(..)) || (*tls == TlsPlan::Keep && copied)
}

/// The authority of the certificate that the pods serve, once the plan is carried out; of one that is made then, the next time.
fn find_authority<'a>(facts: &'a Facts, tls: &'a TlsPlan) -> Option<&'a [u8]> {
    let served = facts.tls.as_ref().and_then(|tls| tls.parts.as_ref());
    if let Some(recent) = &facts.recent {
        return Some(recent.authority.as_bytes());
    }
    match tls {
        TlsPlan::Copy(_, parts) => parts.authority.as_deref(),
        TlsPlan::Renew(authority) => Some(authority.certificate.as_bytes()),
        TlsPlan::Keep | TlsPlan::Prolong(_) | TlsPlan::Start => served?.authority.as_deref(),
    }
}

/// Whether the certificate that the pods serve comes with its authority, once the plan is carried out.
fn has_authority(facts: &Facts, tls: &TlsPlan) -> bool {
    let is_made = matches!(tls, TlsPlan::Prolong(_) | TlsPlan::Start);
    is_made || find_authority(facts, tls).is_some()
}

fn plan_made(facts: &Facts) -> TlsPlan {
    let Some(authority) = &facts.authority else { return TlsPlan::Start };
    if facts.now >= authority.renew_at {
        return TlsPlan::Prolong(authority.clone());
    }
    let good = facts.tls.as_ref().is_some_and(|tls| {
        let lasting = tls.renew_at.is_some_and(|due| facts.now < due);
        // What somebody broke is made anew.
        tls.parts.is_some()
            && lasting
            && tls.copied_from.is_none()
            && tls.fault.is_none()
            && tls.is_beside(&authority.certificate)
    });
    if good { TlsPlan::Keep } else { TlsPlan::Renew(authority.clone()) }
}
