//! Reads what a tenant's spec points at: the claim or the credentials, the keys' Secret, the certificates.
//! Nothing is written.
//!
//! Secrets are read by name at the moment of use, never listed or watched, and only facts about them leave
//! this module, apart from the authority's key, which signs the serving certificate.

use crate::tenant::build::certificate::{
    Authority, CA_CERTIFICATE, CA_KEY, COPIED_FROM, RENEW_AT, TLS_CERTIFICATE, TLS_KEY,
};
use crate::tenant::build::keys::{RECEIPT_KEY, TENANT_KEY};
use crate::tenant::build::names::{api_host, brought_tls_secret, ca_name, keys_secret, serving_secret};
use crate::tenant::build::secret_provider_class::provider_class_resource;
use crate::tenant::context::Context;
use crate::tenant::facts::access_secrets::{AccessFact, read_secrets};
use crate::tenant::facts::belonging::{is_owned, is_unmarked};
use crate::tenant::facts::certificate::{CertificateParts, Fault};
use crate::tenant::facts::credentials::{Source, plan_source};
use crate::tenant::facts::pull_secrets::{PullSecretsFact, read_pull_secrets};
use crate::tenant::facts::reclaim::{ReclaimFact, read_reclaim};
use crate::tenant::facts::storage::claim_name;
use crate::tenant::facts::telephones::find_telephones;
use crate::tenant::facts::user_range::read_user_range;
use crate::tenant::memory::TenantKey;
use crate::tenant::memory::unwatched::MadeSecrets;
use crate::tenant::steps::validate::plan_pull_secrets;
use jiff::Timestamp;
use k8s_openapi::Resource as _;
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Secret};
use kube::api::{DynamicObject, ListParams};
use kube::core::{PartialObjectMeta, PartialObjectMetaExt};
use kube::{Api, Client, ResourceExt};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};
use voicemail_cores::child_names::sip_name;
use voicemail_resources::voicemail_tenant::Region;
use voicemail_resources::{TENANT_LABEL, VoicemailTenant};
use voicemail_runtime::calls::{CallError, within_deadline};

/// Which look at the tenant it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look {
    /// The one that has given the tenant its finalizer, before which nothing is made: the Secrets that the operator makes are taken
    /// for absent. Where one is there all the same, such as the keys that a former tenant of that name has left, making it fails, and
    /// the next look reads all.
    First,
    /// Any other.
    Further,
}

/// Everything that was read for a reconcile.
#[derive(Clone, Debug)]
pub struct Facts {
    /// When it was read.
    pub now: Timestamp,
    /// The objects that the storage depends on.
    pub storage: StorageFacts,
    /// The Secrets that the operator makes, when they were found right a short while ago: they aren't read again.
    pub recent: Option<MadeSecrets>,
    /// The keys' Secret.
    pub keys: Option<KeysFact>,
    /// The Secret with the certificate that the pods serve.
    pub tls: Option<TlsFact>,
    /// The certificate that is brought; none if the operator makes it.
    pub brought: Option<BroughtFact>,
    /// The authority that the operator made.
    pub authority: Option<Authority>,
    /// The Secrets that the operator makes, as they were just read; none for one that isn't there.
    pub made_secrets: BTreeMap<String, Option<PartialObjectMeta<Secret>>>,
    /// Which look it was read for.
    pub look: Look,
    /// The claim that the operator makes, as it was just read.
    pub live_claim: Option<Box<PersistentVolumeClaim>>,
    /// Secrets that the operator made and that don't bear the tenant's UID yet, or still name it as their owner.
    pub unmarked_secrets: Vec<String>,
    /// Whether the claim's volume outlives it.
    pub reclaim: Option<ReclaimFact>,
    /// The Secrets that say who may call.
    pub access: Vec<AccessFact>,
    /// The Secrets for private registries.
    pub pull_secrets: PullSecretsFact,
    /// The tenant has no telephone any more, and pods that took calls are still there.
    pub telephone_leaves: bool,
    /// The namespace has a range of users, of which the cluster gives the pods one.
    pub has_user_range: bool,
    /// The shortest time from a mark to an erasure that policies let requests ask for.
    pub least_undo_window: Option<Duration>,
}

/// The objects of the tenant's storage as they were found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StorageFacts {
    /// It is on a volume.
    Volume {
        /// The claim with the messages.
        claim: Option<ClaimFact>,
    },
    /// It is on object stores.
    ObjectStores {
        /// The Secrets with credentials that are there: of each, which keys that the core reads are not empty.
        secrets: BTreeMap<String, Vec<&'static str>>,
        /// The tenant's SecretProviderClasses; none where the cluster doesn't know the kind.
        provider_classes: Option<Vec<String>>,
    },
}

impl Facts {
    /// The keys in a Secret with credentials; none when there is no such Secret.
    pub fn secret_keys(&self, name: &str) -> Option<&[&'static str]> {
        match &self.storage {
            StorageFacts::Volume { .. } => None,
            StorageFacts::ObjectStores { secrets, .. } => secrets.get(name).map(Vec::as_slice),
        }
    }

    /// Names of the tenant's SecretProviderClasses.
    pub fn provider_classes(&self) -> &[String] {
        match &self.storage {
            StorageFacts::ObjectStores { provider_classes: Some(names), .. } => names,
            _ => &[],
        }
    }

    /// Whether somebody has deleted the claim with the messages, which is still there.
    pub fn is_claim_terminating(&self) -> bool {
        matches!(&self.storage, StorageFacts::Volume { claim: Some(claim) } if claim.terminating)
    }

    /// Whether the cluster knows SecretProviderClasses.
    pub fn has_provider_classes(&self) -> bool {
        matches!(self.storage, StorageFacts::ObjectStores { provider_classes: Some(_), .. })
    }
}

/// A claim.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClaimFact {
    /// Access modes that it asks for.
    pub access_modes: Vec<String>,
    /// Pending, Bound or Lost.
    pub phase: String,
    /// The volume that it is bound to.
    pub volume: Option<String>,
    /// Somebody has deleted it: it goes when no pod uses it any more.
    pub terminating: bool,
}

/// A Secret with keys.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KeysFact {
    /// It has a tenant key.
    pub tenant_key: bool,
    /// It has a receipt key.
    pub receipt_key: bool,
}

impl KeysFact {
    /// The first key that it lacks.
    pub fn missing(self) -> Option<&'static str> {
        match (self.tenant_key, self.receipt_key) {
            (false, _) => Some(TENANT_KEY),
            (_, false) => Some(RECEIPT_KEY),
            _ => None,
        }
    }
}

/// The Secret with the certificate that the pods serve, which the operator writes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TlsFact {
    /// Its certificate; none while one of certificate and key is missing.
    pub parts: Option<CertificateParts>,
    /// The Secret that it was copied from; none if the operator made it.
    pub copied_from: Option<String>,
    /// From then on it is made anew.
    pub renew_at: Option<Timestamp>,
    /// The fault of a complete one.
    pub fault: Option<Fault>,
    /// It is right, and won't be in two weeks.
    pub ends_soon: bool,
}

impl TlsFact {
    /// Whether its certificate came from that authority's.
    pub fn is_beside(&self, authority: &str) -> bool {
        let beside = self.parts.as_ref().and_then(|parts| parts.authority.as_deref());
        beside == Some(authority.as_bytes())
    }
}

/// A certificate that is brought.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BroughtFact {
    /// The Secret that the spec names.
    pub secret: String,
    /// Its certificate and key; none while it is missing or incomplete.
    pub parts: Option<CertificateParts>,
    /// Its fault, if it has one.
    pub fault: Option<Fault>,
    /// It is right, and won't be in two weeks.
    pub ends_soon: bool,
}

/// Reads everything.
///
/// # Errors
/// The API server refuses or doesn't answer. A missing object is a fact, not an error.
pub async fn dereference(
    context: &Context,
    tenant: &VoicemailTenant,
    look: Look,
) -> Result<Facts, CallError> {
    let client = &context.client;
    let namespace = tenant.namespace().unwrap_or_default();
    let name = tenant.name_any();
    let secrets: Api<Secret> = Api::namespaced(client.clone(), &namespace);
    let names = [keys_secret(tenant), serving_secret(tenant), ca_name(&name)];
    let recent = context.memories.find_made_secrets(tenant, Instant::now());
    let brings = tenant.spec.keys.is_some() || tenant.spec.tls.is_some();
    let need_no_look = recent.is_some() || (look == Look::First && !brings);
    let (now, reached_by) = (Timestamp::now(), api_host(&name, &namespace));
    let pull_secrets = plan_pull_secrets(tenant, &context.settings);
    let (
        (storage, live_claim),
        access,
        pull_secrets,
        [keys, tls, authority],
        brought,
        telephone_leaves,
        has_user_range,
    ) = tokio::try_join!(
        dereference_storage(client, tenant, recent.as_ref()),
        read_secrets(client, tenant, now),
        read_pull_secrets(client, &namespace, pull_secrets),
        read_made(&secrets, &names, need_no_look),
        read_brought(&secrets, tenant, &reached_by, now),
        is_telephone_leaving(context, tenant),
        read_user_range(client, &context.memories, tenant),
    )?;
    let reclaim = match &storage {
        StorageFacts::Volume { claim: Some(ClaimFact { volume: Some(volume), .. }) } => {
            Some(read_reclaim(client, &context.memories, tenant, volume).await?)
        }
        _ => None,
    };
    let made = [&keys, &tls, &authority].into_iter().flatten().filter(|secret| is_unmarked(*secret, tenant));
    let [_, tls_name, authority_name] = names;
    Ok(Facts {
        now,
        recent,
        unmarked_secrets: made.map(ResourceExt::name_any).collect(),
        made_secrets: [(tls_name, &tls), (authority_name, &authority)]
            .map(|(name, read)| {
                (name, read.as_ref().map(|secret| secret.metadata.clone().into_response_partial()))
            })
            .into(),
        look,
        live_claim,
        storage,
        reclaim,
        access,
        pull_secrets,
        telephone_leaves,
        has_user_range,
        least_undo_window: None,
        keys: keys.as_ref().map(read_keys),
        tls: tls.as_ref().map(|secret| read_tls(secret, &reached_by, now)),
        brought,
        authority: authority.as_ref().and_then(read_authority),
    })
}

/// The Secrets with the keys, the certificate and its authority.
async fn read_made(
    secrets: &Api<Secret>,
    names: &[String; 3],
    need_no_look: bool,
) -> Result<[Option<Secret>; 3], CallError> {
    if need_no_look {
        return Ok([None, None, None]);
    }
    let [keys, tls, authority] = names;
    let (keys, tls, authority) = tokio::try_join!(
        within_deadline("read the keys' Secret", secrets.get_opt(keys)),
        within_deadline("read the certificate's Secret", secrets.get_opt(tls)),
        within_deadline("read the authority's Secret", secrets.get_opt(authority)),
    )?;
    Ok([keys, tls, authority])
}

/// Whether pods that took calls still let them end: their set is deleted in the foreground, so it is there as long as they
/// are. Asked only while the watches don't know better.
async fn is_telephone_leaving(context: &Context, tenant: &VoicemailTenant) -> Result<bool, CallError> {
    let name = sip_name(&tenant.name_any());
    let known = context.memories.is_absent(StatefulSet::KIND, &TenantKey::of(tenant), &name);
    if tenant.spec.telephony.is_some() || known {
        return Ok(false);
    }
    let sets: Api<StatefulSet> =
        Api::namespaced(context.client.clone(), &tenant.namespace().unwrap_or_default());
    let found = find_telephones(&sets, &name).await?;
    Ok(found.is_some_and(|set| is_owned(&set, &tenant.name_any(), &tenant.uid().unwrap_or_default())))
}

/// The facts, and the claim itself.
async fn dereference_storage(
    client: &Client,
    tenant: &VoicemailTenant,
    recent: Option<&MadeSecrets>,
) -> Result<(StorageFacts, Option<Box<PersistentVolumeClaim>>), CallError> {
    let namespace = tenant.namespace().unwrap_or_default();
    let Some(name) = claim_name(tenant) else {
        let (secrets, provider_classes) = tokio::try_join!(
            read_credentials(client, tenant, recent),
            list_provider_classes(client, tenant)
        )?;
        return Ok((StorageFacts::ObjectStores { secrets, provider_classes }, None));
    };
    let claims: Api<PersistentVolumeClaim> = Api::namespaced(client.clone(), &namespace);
    let claim = within_deadline("read the data claim", claims.get_opt(&name)).await?;
    Ok((StorageFacts::Volume { claim: claim.as_ref().map(read_claim) }, claim.map(Box::new)))
}

/// Reads each Secret that a region names, once, and keeps which keys it has.
async fn read_credentials(
    client: &Client,
    tenant: &VoicemailTenant,
    recent: Option<&MadeSecrets>,
) -> Result<BTreeMap<String, Vec<&'static str>>, CallError> {
    if let Some(recent) = recent {
        return Ok(recent.credentials.clone());
    }
    let api: Api<Secret> = Api::namespaced(client.clone(), &tenant.namespace().unwrap_or_default());
    let sources = tenant.spec.regions.iter().filter_map(|region| plan_source(tenant, region));
    let mut found: BTreeMap<String, Vec<&'static str>> = BTreeMap::new();
    for source in sources {
        let Source::Secret { name, kind } = source else { continue };
        let secret = within_deadline("read a Secret with credentials", api.get_opt(&name)).await?;
        let Some(secret) = secret else { continue };
        let present = kind.keys().iter().copied().filter(|key| entry(&secret, key).is_some());
        found.entry(name).or_default().extend(present);
    }
    Ok(found)
}

/// The tenant's SecretProviderClasses. Only tenants on Azure have any, so only for them the API is asked.
async fn list_provider_classes(
    client: &Client,
    tenant: &VoicemailTenant,
) -> Result<Option<Vec<String>>, CallError> {
    let on_azure = |region: &Region| region.storage.azure_blob.is_some();
    if !tenant.spec.regions.iter().any(on_azure) {
        return Ok(None);
    }
    let namespace = tenant.namespace().unwrap_or_default();
    let api: Api<DynamicObject> =
        Api::namespaced_with(client.clone(), &namespace, &provider_class_resource());
    let ours = ListParams::default().labels(&format!("{TENANT_LABEL}={}", tenant.name_any()));
    let uid = tenant.uid().unwrap_or_default();
    let owned = |class: &&DynamicObject| is_owned(*class, &tenant.name_any(), &uid);
    match within_deadline("list the SecretProviderClasses", api.list(&ours)).await {
        Ok(list) => Ok(Some(list.items.iter().filter(owned).map(ResourceExt::name_any).collect())),
        Err(error) if error.is_unknown_kind() || error.is_not_found() => Ok(None),
        Err(error) => Err(error),
    }
}

/// The fields of a claim that decide.
pub fn read_claim(claim: &PersistentVolumeClaim) -> ClaimFact {
    let spec = claim.spec.clone().unwrap_or_default();
    let phase = claim.status.as_ref().and_then(|status| status.phase.clone());
    ClaimFact {
        access_modes: spec.access_modes.unwrap_or_default(),
        phase: phase.unwrap_or_else(|| "Pending".into()),
        volume: spec.volume_name,
        terminating: claim.metadata.deletion_timestamp.is_some(),
    }
}

fn entry<'a>(secret: &'a Secret, key: &str) -> Option<&'a [u8]> {
    let bytes = secret.data.as_ref()?.get(key)?.0.as_slice();
    (!bytes.is_empty()).then_some(bytes)
}

fn text(secret: &Secret, key: &str) -> Option<String> {
    String::from_utf8(entry(secret, key)?.to_vec()).ok()
}

fn renew_at(secret: &Secret) -> Option<Timestamp> {
    secret.annotations().get(RENEW_AT)?.parse().ok()
}

fn read_keys(secret: &Secret) -> KeysFact {
    KeysFact {
        tenant_key: entry(secret, TENANT_KEY).is_some_and(|bytes| bytes.len() >= 32),
        receipt_key: entry(secret, RECEIPT_KEY).is_some(),
    }
}

fn read_parts(secret: &Secret) -> Option<CertificateParts> {
    Some(CertificateParts {
        certificate: entry(secret, TLS_CERTIFICATE)?.to_vec(),
        key: entry(secret, TLS_KEY)?.to_vec(),
        authority: entry(secret, CA_CERTIFICATE).map(<[u8]>::to_vec),
    })
}

fn read_tls(secret: &Secret, name: &str, now: Timestamp) -> TlsFact {
    let parts = read_parts(secret);
    TlsFact {
        fault: parts.as_ref().and_then(|parts| parts.find_fault(name, now)),
        ends_soon: parts.as_ref().is_some_and(|parts| parts.ends_soon(name, now)),
        parts,
        copied_from: secret.annotations().get(COPIED_FROM).cloned(),
        renew_at: renew_at(secret),
    }
}

async fn read_brought(
    api: &Api<Secret>,
    tenant: &VoicemailTenant,
    name: &str,
    now: Timestamp,
) -> Result<Option<BroughtFact>, CallError> {
    let Some(secret) = brought_tls_secret(tenant) else { return Ok(None) };
    let found = within_deadline("read the Secret of the brought certificate", api.get_opt(&secret)).await?;
    let parts = found.as_ref().and_then(read_parts);
    let lacking = |message: &str| Fault { reason: "TlsSecretInvalid", message: message.into() };
    let fault = match (&found, &parts) {
        (None, _) => Some(lacking("isn't there")),
        (_, None) => Some(lacking("is incomplete")),
        (_, Some(parts)) => parts.find_fault(name, now),
    };
    let ends_soon = parts.as_ref().is_some_and(|parts| parts.ends_soon(name, now));
    Ok(Some(BroughtFact { secret, parts, fault, ends_soon }))
}

fn read_authority(secret: &Secret) -> Option<Authority> {
    Some(Authority {
        certificate: text(secret, CA_CERTIFICATE)?,
        key: text(secret, CA_KEY)?,
        renew_at: renew_at(secret)?,
    })
}
