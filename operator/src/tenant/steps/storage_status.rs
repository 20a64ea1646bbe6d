//! The state of a tenant's storage: the condition StorageReady and `status.regions`. Pure.
//!
//! Flow: first what the cluster tells about a claim, then what the cores say. A core opens the primary region before it
//! serves, so a serving core proves that one; each region beside it is as the cores last saw it. A region
//! that is away makes StorageReady false while the tenant goes on serving all that needs no audio from there; so does a
//! store that is full or refuses to write, while all that is stored can be listened to.

use crate::tenant::build::claim::READ_WRITE_MANY;
use crate::tenant::facts::credentials::RegionPlan;
use crate::tenant::steps::apply::{Applied, AppliedStorage};
use crate::tenant::steps::dereference::read_claim;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::PersistentVolumeClaim;
use kube::ResourceExt;
use voicemail_api::readiness::{Readiness, RegionHealth};
use voicemail_api::reasons::{HINDRANCES, STORAGE_LOW};
use voicemail_cores::pods::{PodSeen, STARTING};
use voicemail_resources::conditions::{ConditionStatus, Finding, REACHABLE, STORAGE_READY, merge_conditions};
use voicemail_resources::voicemail_tenant::{Region, RegionRole, RegionStatus, VoicemailTenant};

/// Reason of StorageReady while a region beside the primary one is away.
pub const REGION_UNREACHABLE: &str = "RegionUnreachable";
/// Reason of StorageReady while the store is older than what was erased from it: the core's own word.
pub const RESTORE_DETECTED: &str = "RestoreDetected";
const LONGEST_MESSAGE: usize = 1024;

/// The claim has no volume yet.
pub const CLAIM_PENDING: &str = "ClaimPending";
/// Reason of StorageReady while the claim goes that somebody deleted.
pub const CLAIM_TERMINATING: &str = "ClaimTerminating";
/// Reason of StorageReady while the claim can't get the size that the spec asks for.
pub const CLAIM_NOT_EXPANDABLE: &str = "ClaimNotExpandable";

/// Says whether the storage can be used. `None`: nothing new is known, because no core was asked.
pub fn find_storage(applied: &Applied, pods: Option<&[PodSeen]>) -> Option<Finding> {
    match applied.storage() {
        AppliedStorage::Claim { claim, refused } => {
            let fault = find_claim_fault(claim).or_else(|| refused.as_ref().map(|why| no_growth(claim, why)));
            fault.or_else(|| Some(find_store(applied, pods?, &[])))
        }
        AppliedStorage::ExistingClaim => Some(find_store(applied, pods?, &[])),
        AppliedStorage::ObjectStores(regions) => Some(find_store(applied, pods?, regions)),
    }
}

/// Somebody has deleted the claim: its volume is let go when the last pod that uses it ends.
pub fn find_terminating(claim: &str) -> Finding {
    no(
        CLAIM_TERMINATING,
        format!(
            "somebody has deleted PersistentVolumeClaim {claim}, and that can't be taken back: it goes when the last pod \
             that uses it ends. Keep the pods running, see that the volume stays (condition DataKept), and save the \
             messages; no empty claim is made instead"
        ),
    )
}

fn no_growth(claim: &PersistentVolumeClaim, why: &str) -> Finding {
    let class = claim.spec.as_ref().and_then(|spec| spec.storage_class_name.clone()).unwrap_or_default();
    let message = format!(
        "PersistentVolumeClaim {} can't grow to the size in the spec: {why}. The tenant serves with the size that \
         it has; allow the expansion of volumes of the storage class {class:?}, or write the old size",
        claim.name_any()
    );
    no(CLAIM_NOT_EXPANDABLE, message)
}

fn no(reason: &str, message: String) -> Finding {
    Finding::new(STORAGE_READY, false, reason, message)
}

fn find_claim_fault(claim: &PersistentVolumeClaim) -> Option<Finding> {
    let (name, fact) = (claim.name_any(), read_claim(claim));
    if !fact.access_modes.iter().any(|mode| mode == READ_WRITE_MANY) {
        return Some(no(
            "ClaimNotReadWriteMany",
            format!("PersistentVolumeClaim {name} is not ReadWriteMany"),
        ));
    }
    match fact.phase.as_str() {
        "Bound" => None,
        "Lost" => Some(no("ClaimLost", format!("PersistentVolumeClaim {name} has lost its volume"))),
        _ => {
            let hint = "is there a volume, or a provisioner, for its storage class, size and access mode?";
            Some(no(CLAIM_PENDING, format!("PersistentVolumeClaim {name} is not bound yet: {hint}")))
        }
    }
}

fn cores(pods: &[PodSeen]) -> impl Iterator<Item = &Readiness> + Clone {
    pods.iter().filter(|pod| !pod.terminating).filter_map(|pod| pod.core.as_ref())
}

fn find_store(applied: &Applied, pods: &[PodSeen], regions: &[RegionPlan]) -> Finding {
    if cores(pods).any(|core| core.ready) {
        let answers =
            || Finding::new(STORAGE_READY, true, "StoreAnswers", "the store answers and is this tenant's");
        return find_hindrance(pods)
            .or_else(|| find_away(pods))
            .or_else(|| find_warning(pods))
            .unwrap_or_else(answers);
    }
    let telling = |core: &&Readiness| core.reason.as_deref().is_some_and(|reason| reason != STARTING);
    match cores(pods).find(telling) {
        Some(core) => {
            let reason = core.reason.clone().unwrap_or_default();
            let words = core.message.clone().unwrap_or_default();
            let hint = match reason.as_str() {
                RESTORE_DETECTED => name_replay(applied),
                _ => hint(&reason, regions),
            };
            no(&reason, if hint.is_empty() { words } else { format!("{words}: {hint}") })
        }
        None => Finding::new(
            STORAGE_READY,
            ConditionStatus::Unknown,
            "NoCoreAnswers",
            "no pod runs that could tell",
        ),
    }
}

/// The command that erases again what a restore brought back.
fn name_replay(applied: &Applied) -> String {
    let deployment = applied.deployment();
    let (namespace, name) = (deployment.namespace().unwrap_or_default(), deployment.name_any());
    format!("kubectl exec -n {namespace} deploy/{name} -- voicemail admin replay-erasures")
}

/// A hint at the field or object to check, where the core can't know it.
fn hint(reason: &str, regions: &[RegionPlan]) -> String {
    let sources = || {
        let each = regions.iter().map(|region| format!("{} of region {}", region.source, region.region));
        each.collect::<Vec<_>>().join(", ")
    };
    match reason {
        _ if regions.is_empty() => String::new(),
        "CredentialsRefused" => format!("check {}; a mended Secret is read without a restart", sources()),
        "StorageUnavailable" => {
            "check that the pods reach the endpoint (name, port, NetworkPolicy), and that the bucket or \
             container exists"
                .into()
        }
        _ => String::new(),
    }
}

/// The reason that a serving core gives for a store that takes no messages, or soon won't.
pub(crate) fn said_hindrance(core: &Readiness) -> Option<&str> {
    core.reason.as_deref().filter(|reason| core.ready && HINDRANCES.contains(reason))
}

fn find_said(pods: &[PodSeen], wanted: impl Fn(&str) -> bool) -> Option<(&str, String)> {
    let said = |core| Some((said_hindrance(core)?, core.message.clone().unwrap_or_default()));
    cores(pods).filter_map(said).find(|(reason, _)| wanted(reason))
}

/// New messages are refused: what a replica found out of that all have in common.
fn find_hindrance(pods: &[PodSeen]) -> Option<Finding> {
    let (reason, words) = find_said(pods, |reason| reason != STORAGE_LOW)?;
    Some(no(reason, format!("{words}. The tenant serves what is stored")))
}

fn find_warning(pods: &[PodSeen]) -> Option<Finding> {
    let (reason, words) = find_said(pods, |reason| reason == STORAGE_LOW)?;
    Some(Finding::new(STORAGE_READY, true, reason, words))
}

/// The regions that a serving core can't use.
fn find_away(pods: &[PodSeen]) -> Option<Finding> {
    let serving = cores(pods).filter(|core| core.ready);
    let mut away: Vec<&RegionHealth> =
        serving.flat_map(|core| &core.regions).filter(|region| !region.reachable).collect();
    away.sort_by(|one, other| one.name.cmp(&other.name));
    away.dedup_by(|one, other| one.name == other.name);
    let words = |region: &&RegionHealth| match &region.message {
        Some(cause) => format!("region {} can't be used: {cause}", region.name),
        None => format!("region {} can't be used", region.name),
    };
    let list = away.iter().map(words).collect::<Vec<_>>().join("; ");
    (!away.is_empty()).then(|| {
        no(REGION_UNREACHABLE, format!("{list}. The tenant serves; what is stored there waits for it"))
    })
}

/// The pods serve another store than the one that this tenant is known to have: an endpoint or a claim leads
/// elsewhere, and an empty place was taken for a new tenant's.
pub fn find_other_store(known: &str, found: &str) -> Finding {
    no(
        "StoreReplaced",
        format!(
            "the pods serve store {found}, but this tenant's messages are in store {known}: let endpoint or volume \
             lead there again. If the old store is given up, delete the tenant and apply it anew"
        ),
    )
}

/// Every region of the spec as the cores see it. One is reachable if all cores that have opened the tenant
/// reach it, and at least one has.
pub fn list_regions(
    tenant: &VoicemailTenant,
    previous: &[RegionStatus],
    pods: &[PodSeen],
    now: Timestamp,
) -> Vec<RegionStatus> {
    let primary = &tenant.spec.primary_region;
    let see = |region: &Region| {
        let known = previous.iter().find(|status| status.name == region.name);
        let known = known.map(|status| status.conditions.as_slice()).unwrap_or_default();
        let finding = see_region(region, region.name == *primary, pods);
        RegionStatus {
            conditions: merge_conditions(known, vec![finding], tenant.metadata.generation, now),
            ..describe_region(region, primary)
        }
    };
    tenant.spec.regions.iter().map(see).collect()
}

fn see_region(region: &Region, is_primary: bool, pods: &[PodSeen]) -> Finding {
    let seen: Vec<RegionHealth> = cores(pods).filter_map(|core| see_by(core, region, is_primary)).collect();
    let words = |message: Option<String>| message.map(shorten).unwrap_or_default();
    match (seen.iter().find(|seen| !seen.reachable), seen.first()) {
        (Some(away), _) => Finding::new(REACHABLE, false, REGION_UNREACHABLE, words(away.message.clone())),
        (None, Some(_)) => {
            let message = seen.iter().find_map(|seen| seen.message.clone());
            Finding::new(REACHABLE, true, "StoreAnswers", words(message))
        }
        (None, None) => not_looked_at(),
    }
}

fn not_looked_at() -> Finding {
    Finding::new(REACHABLE, ConditionStatus::Unknown, "NoCoreAnswers", "no replica has looked yet")
}

/// The region as a core sees it. What the core lists says nothing about the primary one: that answers if it serves.
fn see_by(core: &Readiness, region: &Region, is_primary: bool) -> Option<RegionHealth> {
    let seen = core.regions.iter().find(|seen| seen.name == region.name)?;
    if is_primary && !core.ready {
        return Some(RegionHealth { reachable: false, message: core.message.clone(), ..seen.clone() });
    }
    Some(seen.clone())
}

/// The regions of the spec as they were seen before, when this reconcile didn't look.
pub fn keep_regions(
    tenant: &VoicemailTenant,
    previous: &[RegionStatus],
    now: Timestamp,
) -> Vec<RegionStatus> {
    let known = |region: &Region| previous.iter().find(|status| status.name == region.name);
    let keep = |region: &Region| RegionStatus {
        conditions: known(region).map_or_else(
            || merge_conditions(&[], vec![not_looked_at()], tenant.metadata.generation, now),
            |known| known.conditions.clone(),
        ),
        ..describe_region(region, &tenant.spec.primary_region)
    };
    tenant.spec.regions.iter().map(keep).collect()
}

fn describe_region(region: &Region, primary: &str) -> RegionStatus {
    RegionStatus {
        name: region.name.clone(),
        storage: region.storage.kind().map_or("none", |kind| kind.name()).to_owned(),
        role: if region.name == primary { RegionRole::Primary } else { RegionRole::Audio },
        conditions: Vec::new(),
    }
}

fn shorten(text: String) -> String {
    text.chars().take(LONGEST_MESSAGE).collect()
}
