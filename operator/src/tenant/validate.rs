//! From spec and facts to a plan, or to a refusal that says what a person must change. Pure.
//!
//! The API server has enforced the CEL rules already; here is what needs facts (Secrets, claims) or the
//! core's own rules ([`TenantConfig::check`]). A refusal changes nothing that runs: the pods stay as they are.

use super::build::certificate::Authority;
use super::build::names::{child_name, keys_name, tls_name};
use super::core_config::plan_config;
use super::dereference::{ClaimFact, Facts};
use crate::api::voicemail_tenant::{Claim, Region, Resources, VoicemailTenant};
use crate::calls::{Class, Classified};
use crate::settings::Settings;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::{Resource, ResourceExt};
use voicemail_core::config::{ConfigError, TenantConfig};

/// All that building needs.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Name of the tenant.
    pub name: String,
    /// Its namespace.
    pub namespace: String,
    /// Makes a child go with its tenant.
    pub owner: OwnerReference,
    /// The core's configuration.
    pub config: TenantConfig,
    /// Image of the core.
    pub image: String,
    /// Pods wanted.
    pub replicas: i32,
    /// CPU and memory of each.
    pub resources: Option<Resources>,
    /// Where the messages are.
    pub claim: ClaimPlan,
    /// The keys.
    pub keys: KeysPlan,
    /// Secret with the serving certificate.
    pub tls_secret: String,
    /// What to do about it.
    pub tls: TlsPlan,
}

/// The claim to make or to use.
#[derive(Clone, Debug, PartialEq)]
pub enum ClaimPlan {
    /// Maintained by the operator.
    Make(Claim),
    /// Somebody else's.
    Existing(String),
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
    /// Make an authority too.
    Start,
}

/// Why nothing is changed for now.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// The claim that the spec names isn't there.
    #[error(
        "there is no PersistentVolumeClaim {0} in this namespace: create it, with access mode ReadWriteMany"
    )]
    ClaimNotFound(String),
    /// The claim can't be shared by several pods.
    #[error(
        "PersistentVolumeClaim {name} has access mode {modes}, but all replicas write: use a ReadWriteMany claim"
    )]
    ClaimNotReadWriteMany {
        /// The claim.
        name: String,
        /// What it has.
        modes: String,
    },
    /// The keys are gone although the store knows them.
    #[error(
        "Secret {0} is lost, and without the tenant key no caller can be found again: restore it from a backup. \
         It is never made anew, since other keys would make an erasure find nothing"
    )]
    KeysSecretLost(String),
    /// The Secret that the spec names isn't there.
    #[error("there is no Secret {0} in this namespace: create it with tenant.key and receipt.key")]
    KeysSecretNotFound(String),
    /// The keys' Secret lacks a key.
    #[error("Secret {name} has no {missing}: add it")]
    KeysSecretInvalid {
        /// The Secret.
        name: String,
        /// What it lacks.
        missing: &'static str,
    },
    /// The brought certificate isn't usable.
    #[error("Secret {name} {fault}: it needs tls.crt and tls.key")]
    TlsSecretInvalid {
        /// The Secret.
        name: String,
        /// What is wrong.
        fault: String,
    },
    /// A rule that the CRD can't express.
    #[error("spec.{0}")]
    InvalidSpec(String),
}

impl From<ConfigError> for Refusal {
    fn from(error: ConfigError) -> Self {
        Self::InvalidSpec(error.to_string())
    }
}

impl Classified for Refusal {
    fn class(&self) -> Class {
        match self {
            Self::ClaimNotFound(_) | Self::KeysSecretNotFound(_) => Class::Transient,
            _ => Class::Permanent,
        }
    }

    fn reason(&self) -> &'static str {
        match self {
            Self::ClaimNotFound(_) => "ClaimNotFound",
            Self::ClaimNotReadWriteMany { .. } => "ClaimNotReadWriteMany",
            Self::KeysSecretLost(_) => "KeysSecretLost",
            Self::KeysSecretNotFound(_) => "KeysSecretNotFound",
            Self::KeysSecretInvalid { .. } => "KeysSecretInvalid",
            Self::TlsSecretInvalid { .. } => "TlsSecretInvalid",
            Self::InvalidSpec(_) => "InvalidSpec",
        }
    }
}

impl Refusal {
    /// Whether it is about storage.
    pub fn is_about_storage(&self) -> bool {
        matches!(self, Self::ClaimNotFound(_) | Self::ClaimNotReadWriteMany { .. })
    }
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
    let tls_secret = tenant.spec.tls.as_ref().map_or_else(|| tls_name(&name), |tls| tls.secret.name.clone());
    Ok(Plan {
        namespace: tenant.namespace().unwrap_or_default(),
        owner: plan_owner(tenant)?,
        image: tenant.spec.image.clone().unwrap_or_else(|| settings.image.clone()),
        replicas: tenant.spec.replicas,
        resources: tenant.spec.resources.clone(),
        claim: plan_claim(tenant, facts)?,
        keys: plan_keys(tenant, facts)?,
        tls: plan_tls(tenant, facts, &tls_secret)?,
        tls_secret,
        config,
        name,
    })
}

fn plan_owner(tenant: &VoicemailTenant) -> Result<OwnerReference, Refusal> {
    let owner = tenant.controller_owner_ref(&());
    owner.ok_or_else(|| Refusal::InvalidSpec("metadata: the object has neither name nor uid".into()))
}

fn served_region(tenant: &VoicemailTenant) -> Option<&Region> {
    tenant.spec.regions.iter().find(|region| region.name == tenant.spec.region)
}

fn plan_claim(tenant: &VoicemailTenant, facts: &Facts) -> Result<ClaimPlan, Refusal> {
    let volume = served_region(tenant).and_then(|region| region.storage.volume.as_ref());
    let volume = volume.ok_or_else(|| Refusal::InvalidSpec("region: its storage is not a volume".into()))?;
    match (&volume.claim, &volume.existing_claim) {
        (Some(claim), None) => {
            check_modes(facts.claim.as_ref(), &child_name(&tenant.name_any()))?;
            Ok(ClaimPlan::Make(claim.clone()))
        }
        (None, Some(name)) => {
            let fact = facts.claim.as_ref().ok_or_else(|| Refusal::ClaimNotFound(name.clone()))?;
            check_modes(Some(fact), name)?;
            Ok(ClaimPlan::Existing(name.clone()))
        }
        _ => Err(Refusal::InvalidSpec("regions.storage.volume: write claim or existingClaim".into())),
    }
}

fn check_modes(fact: Option<&ClaimFact>, name: &str) -> Result<(), Refusal> {
    let wrong = |fact: &&ClaimFact| !fact.access_modes.iter().any(|mode| mode == "ReadWriteMany");
    match fact.filter(wrong) {
        None => Ok(()),
        Some(fact) => {
            Err(Refusal::ClaimNotReadWriteMany { name: name.into(), modes: fact.access_modes.join(", ") })
        }
    }
}

fn plan_keys(tenant: &VoicemailTenant, facts: &Facts) -> Result<KeysPlan, Refusal> {
    let given = tenant.spec.keys.as_ref().map(|keys| keys.secret.name.clone());
    let secret = given.clone().unwrap_or_else(|| keys_name(&tenant.name_any()));
    let store_known = tenant.status.as_ref().is_some_and(|status| status.store_id.is_some());
    match &facts.keys {
        Some(fact) => match fact.missing() {
            Some(missing) => Err(Refusal::KeysSecretInvalid { name: secret, missing }),
            None => Ok(KeysPlan { secret, make: false }),
        },
        None if store_known => Err(Refusal::KeysSecretLost(secret)),
        None if given.is_some() => Err(Refusal::KeysSecretNotFound(secret)),
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
    let authority = facts.authority.as_ref().filter(|authority| facts.now < authority.renew_at);
    let Some(authority) = authority else { return Ok(TlsPlan::Start) };
    let good = facts.tls.as_ref().is_some_and(|tls| {
        let lasting = tls.renew_at.is_some_and(|due| facts.now < due);
        tls.complete && lasting && tls.authority.as_ref() == Some(&authority.certificate)
    });
    Ok(if good { TlsPlan::Keep } else { TlsPlan::Renew(authority.clone()) })
}
