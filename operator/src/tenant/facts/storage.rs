//! Requirements of a tenant's storage in the cluster: a claim, or credentials for object stores. Pure.
//!
//! A tenant is on one volume or on object stores, never on both; each step of a reconcile has an enum of
//! these two, so that no object-store tenant can be waiting for a claim and no volume for credentials.

use crate::tenant::build::names::child_name;
use crate::tenant::facts::credentials::{RegionPlan, SecretKind, Source, plan_source};
use crate::tenant::steps::dereference::{ClaimFact, Facts, StorageFacts};
use crate::tenant::steps::refusal::Refusal;
use kube::ResourceExt;
use voicemail_resources::references::Reference;
use voicemail_resources::voicemail_tenant::{Claim, StorageKind, VoicemailTenant, Volume};

/// The storage that the pods mount or reach.
#[derive(Clone, Debug, PartialEq)]
pub enum StoragePlan {
    /// A volume to mount.
    Volume(ClaimPlan),
    /// Credentials for each region's store.
    ObjectStores {
        /// The regions.
        regions: Vec<RegionPlan>,
        /// SecretProviderClasses that no region uses any more.
        unused_classes: Vec<String>,
    },
}

/// The claim to make or to use.
#[derive(Clone, Debug, PartialEq)]
pub enum ClaimPlan {
    /// Maintained by the operator.
    Make(Claim),
    /// Somebody else's.
    Existing(String),
}

impl StoragePlan {
    /// The regions with credentials; none on a volume.
    pub fn regions(&self) -> &[RegionPlan] {
        match self {
            Self::Volume(_) => &[],
            Self::ObjectStores { regions, .. } => regions,
        }
    }
}

/// The tenant's volume, unless it is on object stores.
pub fn volume_of(tenant: &VoicemailTenant) -> Option<&Volume> {
    tenant.spec.regions.iter().find_map(|region| match region.storage.kind()? {
        StorageKind::Volume(volume) => Some(volume),
        StorageKind::AzureBlob(_) | StorageKind::S3(_) => None,
    })
}

/// The claim of a tenant on a volume: the one that the spec names, or the one that the operator makes.
pub fn claim_name(tenant: &VoicemailTenant) -> Option<String> {
    let given = volume_of(tenant)?.existing_claim_ref.as_ref().map(|claim| claim.name.clone());
    Some(given.unwrap_or_else(|| child_name(&tenant.name_any())))
}

/// Plans the storage.
///
/// # Errors
/// A [`Refusal`] about the claim or the credentials.
pub fn plan_storage(tenant: &VoicemailTenant, facts: &Facts) -> Result<StoragePlan, Refusal> {
    match &facts.storage {
        StorageFacts::Volume { claim } => plan_claim(tenant, claim.as_ref()).map(StoragePlan::Volume),
        StorageFacts::ObjectStores { .. } => plan_object_stores(tenant, facts),
    }
}

fn plan_claim(tenant: &VoicemailTenant, fact: Option<&ClaimFact>) -> Result<ClaimPlan, Refusal> {
    let volume = volume_of(tenant)
        .ok_or_else(|| Refusal::InvalidSpec("regions.storage: write exactly one storage kind".into()))?;
    match (&volume.claim, &volume.existing_claim_ref) {
        (Some(claim), None) => {
            let name = child_name(&tenant.name_any());
            if fact.is_none() && tenant.has_known_store() {
                return Err(Refusal::ClaimGone { name, tenant: tenant.name_any() });
            }
            check_modes(fact, &name)?;
            Ok(ClaimPlan::Make(claim.clone()))
        }
        (None, Some(Reference { name })) => {
            let fact = fact.ok_or_else(|| Refusal::ClaimNotFound(name.clone()))?;
            check_modes(Some(fact), name)?;
            Ok(ClaimPlan::Existing(name.clone()))
        }
        _ => Err(Refusal::InvalidSpec("regions.storage.volume: write claim or existingClaimRef".into())),
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

fn plan_object_stores(tenant: &VoicemailTenant, facts: &Facts) -> Result<StoragePlan, Refusal> {
    let mut regions = Vec::new();
    for region in &tenant.spec.regions {
        let source = plan_source(tenant, region).ok_or_else(|| {
            Refusal::InvalidSpec(format!(
                "regions: {} needs one storage with one kind of credentials",
                region.name
            ))
        })?;
        check_source(&region.name, &source, facts)?;
        regions.push(RegionPlan { region: region.name.clone(), source });
    }
    check_one_identity(&regions)?;
    let used = |class: &&String| regions.iter().any(|region| is_class(&region.source, class));
    let unused_classes = facts.provider_classes().iter().filter(|class| !used(class)).cloned().collect();
    Ok(StoragePlan::ObjectStores { regions, unused_classes })
}

fn is_class(source: &Source, name: &str) -> bool {
    matches!(source, Source::KeyVault { class, .. } if class == name)
}

fn check_source(region: &str, source: &Source, facts: &Facts) -> Result<(), Refusal> {
    match source {
        Source::Secret { name, kind } => check_secret(region, name, *kind, facts),
        Source::KeyVault { .. } if !facts.has_provider_classes() => {
            Err(Refusal::SecretProviderClassMissing { region: region.into() })
        }
        Source::KeyVault { .. } | Source::WorkloadIdentity(_) | Source::WebIdentity(_) => Ok(()),
    }
}

fn check_secret(region: &str, name: &str, kind: SecretKind, facts: &Facts) -> Result<(), Refusal> {
    let region = region.to_owned();
    let Some(present) = facts.secret_keys(name) else {
        return Err(Refusal::CredentialsMissing {
            region,
            secret: name.into(),
            fault: format!("isn't in this namespace: create it with {}", kind.needs()),
        });
    };
    match kind.missing(present) {
        None => Ok(()),
        Some(key) => Err(Refusal::CredentialsMissing {
            region,
            secret: name.into(),
            fault: format!("has no {key}: add it"),
        }),
    }
}

/// The pods have one service account, and it has one identity in each cloud.
fn check_one_identity(regions: &[RegionPlan]) -> Result<(), Refusal> {
    let differ = |kind: fn(&Source) -> Option<String>| {
        let mut all = regions.iter().filter_map(|region| kind(&region.source));
        let first = all.next();
        all.any(|other| Some(other) != first)
    };
    let azure = |source: &Source| match source {
        Source::WorkloadIdentity(identity) => Some(format!("{identity:?}")),
        _ => None,
    };
    let aws = |source: &Source| match source {
        Source::WebIdentity(identity) => Some(identity.role_arn.clone()),
        _ => None,
    };
    if differ(azure) || differ(aws) {
        let rule =
            "regions: all regions with an identity must name the same: the pods have one service account";
        return Err(Refusal::InvalidSpec(rule.into()));
    }
    Ok(())
}
