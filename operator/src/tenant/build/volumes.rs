//! The volumes of the pods: configuration, keys, certificate, ledger of erasures, and the claim with the data or the
//! credentials of each region.
//!
//! A region's Secret is mounted as optional with the keys that the core reads: a key that isn't there doesn't
//! hold up the pod, and no other key gets into it. kubelet refreshes the files when the Secret changes.

use crate::tenant::build::access::{
    AccessPlan, BASIC_DIR, CA_KEY, CUSTOMER_KEY, CUSTOMER_KEYS_DIR, INTROSPECTION_DIR, INTROSPECTION_KEYS,
    RECEIVER_KEY, RECEIVERS_DIR, SMTP_DIR, SMTP_KEYS, TEMPLATES_DIR, TRUST_DIR, USERS_KEY, ca_folder,
};
use crate::tenant::build::certificate::{TLS_CERTIFICATE, TLS_KEY};
use crate::tenant::build::keys::{RECEIPT_KEY, TENANT_KEY};
use crate::tenant::build::names::{child_name, ledger_name};
use crate::tenant::build::secret_provider_class::DRIVER;
use crate::tenant::build::web::{LOGIN_KEYS, LOGINS_DIR};
use crate::tenant::facts::credentials::{RegionPlan, Source, folder};
use crate::tenant::facts::storage::{ClaimPlan, StoragePlan};
use crate::tenant::steps::validate::Plan;
use k8s_openapi::api::core::v1::{
    CSIVolumeSource, ConfigMapProjection, ConfigMapVolumeSource, EmptyDirVolumeSource, KeyToPath,
    PersistentVolumeClaimVolumeSource, ProjectedVolumeSource, SecretProjection, SecretVolumeSource, Volume,
    VolumeMount, VolumeProjection,
};
use std::collections::{BTreeMap, BTreeSet};
use voicemail_api::gdpr::{LEDGER_FILE, LEDGER_HEAD};
use voicemail_resources::references::{CaKind, CaRef};

/// Folder of the configuration.
pub const CONFIG_DIR: &str = "/etc/voicemail/config";
/// Folder of the keys.
pub const KEYS_DIR: &str = "/etc/voicemail/keys";
/// Folder of the serving certificate.
pub const TLS_DIR: &str = "/etc/voicemail/tls";
/// Folder of the ledger of erasures as it is known outside the store.
pub const LEDGER_DIR: &str = "/etc/voicemail/ledger";
/// Where the data claim is mounted.
pub const DATA_DIR: &str = "/var/lib/voicemail";

/// Builds the container's mounts.
pub fn build_mounts(plan: &Plan) -> Vec<VolumeMount> {
    let mut mounts = vec![
        mount("config", CONFIG_DIR, true),
        mount("keys", KEYS_DIR, true),
        mount("tls", TLS_DIR, true),
        mount("ledger", LEDGER_DIR, true),
    ];
    mounts.extend(mount_access(&plan.access));
    match &plan.storage {
        StoragePlan::Volume(_) => mounts.push(mount("data", DATA_DIR, false)),
        StoragePlan::ObjectStores { regions, .. } => mounts.extend(regions.iter().filter_map(mount_region)),
    }
    mounts.push(mount("tmp", "/tmp", false));
    mounts
}

pub(super) fn mount(name: &str, path: &str, read_only: bool) -> VolumeMount {
    VolumeMount {
        name: name.into(),
        mount_path: path.into(),
        read_only: read_only.then_some(true),
        ..Default::default()
    }
}

fn mount_access(access: &AccessPlan) -> Vec<VolumeMount> {
    let asked = [
        (access.introspection.is_some(), "introspection", INTROSPECTION_DIR),
        (access.basic.is_some(), "basic", BASIC_DIR),
        (access.smtp.is_some(), "smtp", SMTP_DIR),
        (access.templates.is_some(), "email-templates", TEMPLATES_DIR),
        (!access.trust.is_empty(), "trust", TRUST_DIR),
        (!access.receivers.is_empty(), "receivers", RECEIVERS_DIR),
        (!access.customer_keys.is_empty(), "customer-keys", CUSTOMER_KEYS_DIR),
        (!access.logins.is_empty(), "logins", LOGINS_DIR),
    ];
    asked.into_iter().filter(|(asked, ..)| *asked).map(|(_, name, path)| mount(name, path, true)).collect()
}

fn mount_region(region: &RegionPlan) -> Option<VolumeMount> {
    match region.source {
        Source::Secret { .. } | Source::KeyVault { .. } => {
            let path = folder(&region.region);
            Some(mount(&volume_name(&region.region), &path.display().to_string(), true))
        }
        Source::WorkloadIdentity(_) | Source::WebIdentity(_) => None,
    }
}

fn volume_name(region: &str) -> String {
    format!("region-{region}")
}

/// Builds the pods' volumes.
pub fn build_volumes(plan: &Plan) -> Vec<Volume> {
    let config = ConfigMapVolumeSource { name: child_name(&plan.name), ..Default::default() };
    let mut volumes = vec![
        Volume { config_map: Some(config), ..named("config") },
        Volume { secret: Some(build_secret(&plan.keys.secret, &[TENANT_KEY, RECEIPT_KEY])), ..named("keys") },
        Volume { secret: Some(build_secret(&plan.tls_secret, &[TLS_CERTIFICATE, TLS_KEY])), ..named("tls") },
    ];
    volumes.push(Volume { secret: Some(build_ledger(plan)), ..named("ledger") });
    volumes.extend(build_access(&plan.access));
    match &plan.storage {
        StoragePlan::Volume(claim) => volumes.push(build_data(plan, claim)),
        StoragePlan::ObjectStores { regions, .. } => volumes.extend(regions.iter().filter_map(build_region)),
    }
    volumes.push(Volume { empty_dir: Some(EmptyDirVolumeSource::default()), ..named("tmp") });
    volumes
}

pub(super) fn named(name: &str) -> Volume {
    Volume { name: name.into(), ..Default::default() }
}

/// It comes with the first erasure.
fn build_ledger(plan: &Plan) -> SecretVolumeSource {
    let secret = build_secret(&ledger_name(&plan.name), &[LEDGER_HEAD, LEDGER_FILE]);
    SecretVolumeSource { optional: Some(true), ..secret }
}

fn build_data(plan: &Plan, claim: &ClaimPlan) -> Volume {
    let claim_name = match claim {
        ClaimPlan::Make(_) => child_name(&plan.name),
        ClaimPlan::Existing(name) => name.clone(),
    };
    let claim = PersistentVolumeClaimVolumeSource { claim_name, ..Default::default() };
    Volume { persistent_volume_claim: Some(claim), ..named("data") }
}

fn build_access(access: &AccessPlan) -> Vec<Volume> {
    let optional = |name: &str, secret: &str, keys: &[&str]| {
        let secret = SecretVolumeSource { optional: Some(true), ..build_secret(secret, keys) };
        Volume { secret: Some(secret), ..named(name) }
    };
    let introspection = access.introspection.as_ref();
    let basic = access.basic.as_ref();
    let trust = (!access.trust.is_empty()).then(|| build_trust(&access.trust));
    [
        introspection.map(|secret| optional("introspection", secret, &INTROSPECTION_KEYS)),
        basic.map(|secret| optional("basic", secret, &[USERS_KEY])),
        access.smtp.as_ref().map(|secret| optional("smtp", secret, &SMTP_KEYS)),
        access.templates.as_ref().map(|map| build_templates(map)),
        trust,
        (!access.receivers.is_empty())
            .then(|| build_folders("receivers", &access.receivers, &[RECEIVER_KEY])),
        (!access.customer_keys.is_empty())
            .then(|| build_folders("customer-keys", &access.customer_keys, &[CUSTOMER_KEY])),
        (!access.logins.is_empty()).then(|| build_folders("logins", &access.logins, &LOGIN_KEYS)),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// All keys: each is a file of one language.
fn build_templates(map: &str) -> Volume {
    let source = ConfigMapVolumeSource { name: map.into(), optional: Some(true), ..Default::default() };
    Volume { config_map: Some(source), ..named("email-templates") }
}

/// One volume for all authorities, each in a folder named after its Secret or ConfigMap.
pub(super) fn build_trust(authorities: &BTreeSet<CaRef>) -> Volume {
    let source = |authority: &CaRef| {
        let path = format!("{}/{CA_KEY}", ca_folder(authority));
        let (name, optional) = (authority.name.clone(), Some(true));
        let items = Some(vec![KeyToPath { key: CA_KEY.into(), path, mode: None }]);
        match authority.kind {
            CaKind::Secret => VolumeProjection {
                secret: Some(SecretProjection { name, optional, items }),
                ..Default::default()
            },
            CaKind::ConfigMap => VolumeProjection {
                config_map: Some(ConfigMapProjection { name, optional, items }),
                ..Default::default()
            },
        }
    };
    let sources = Some(authorities.iter().map(source).collect());
    let projected = ProjectedVolumeSource { default_mode: Some(0o440), sources };
    Volume { projected: Some(projected), ..named("trust") }
}

/// One volume for the same keys of several Secrets, each in a folder of its own.
pub(super) fn build_folders(name: &str, secrets: &BTreeMap<String, String>, keys: &[&str]) -> Volume {
    let source = |(folder, secret): (&String, &String)| {
        let item = |key: &&str| KeyToPath { key: (*key).into(), path: format!("{folder}/{key}"), mode: None };
        let items = Some(keys.iter().map(item).collect());
        let secret = SecretProjection { name: secret.clone(), optional: Some(true), items };
        VolumeProjection { secret: Some(secret), ..Default::default() }
    };
    let sources = Some(secrets.iter().map(source).collect());
    let projected = ProjectedVolumeSource { default_mode: Some(0o440), sources };
    Volume { projected: Some(projected), ..named(name) }
}

fn build_region(region: &RegionPlan) -> Option<Volume> {
    let volume = named(&volume_name(&region.region));
    match &region.source {
        Source::Secret { name, kind } => {
            let secret = SecretVolumeSource { optional: Some(true), ..build_secret(name, kind.keys()) };
            Some(Volume { secret: Some(secret), ..volume })
        }
        Source::KeyVault { class, .. } => Some(Volume { csi: Some(build_csi(class)), ..volume }),
        Source::WorkloadIdentity(_) | Source::WebIdentity(_) => None,
    }
}

fn build_csi(class: &str) -> CSIVolumeSource {
    CSIVolumeSource {
        driver: DRIVER.into(),
        read_only: Some(true),
        volume_attributes: Some(BTreeMap::from([("secretProviderClass".into(), class.into())])),
        ..Default::default()
    }
}

pub(super) fn build_secret(name: &str, keys: &[&str]) -> SecretVolumeSource {
    let item = |key: &&str| KeyToPath { key: (*key).into(), path: (*key).into(), mode: None };
    SecretVolumeSource {
        secret_name: Some(name.into()),
        default_mode: Some(0o440),
        items: Some(keys.iter().map(item).collect()),
        ..Default::default()
    }
}
