//! Reads what a tenant's spec points at: the claim, the keys' Secret, the certificates. Nothing is written.
//!
//! Secrets are read by name at the moment of use, never listed or watched, and only facts about them leave
//! this module, apart from the authority's key, which signs the serving certificate.

use super::build::certificate::{Authority, CA_CERTIFICATE, CA_KEY, RENEW_AT, TLS_CERTIFICATE, TLS_KEY};
use super::build::keys::{RECEIPT_KEY, TENANT_KEY};
use super::build::names::{ca_name, child_name, keys_name, tls_name};
use crate::api::VoicemailTenant;
use crate::calls::{CallError, within_deadline};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Secret};
use kube::{Api, Client, ResourceExt};

/// What was read.
#[derive(Clone, Debug)]
pub struct Facts {
    /// When it was read.
    pub now: Timestamp,
    /// The claim with the messages.
    pub claim: Option<ClaimFact>,
    /// The keys' Secret.
    pub keys: Option<KeysFact>,
    /// The serving certificate's Secret.
    pub tls: Option<TlsFact>,
    /// The authority that the operator made.
    pub authority: Option<Authority>,
}

/// A claim.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClaimFact {
    /// Access modes that it asks for.
    pub access_modes: Vec<String>,
    /// Pending, Bound or Lost.
    pub phase: String,
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

/// A Secret with a serving certificate.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TlsFact {
    /// It has a certificate and a key.
    pub complete: bool,
    /// From then on it is made anew.
    pub renew_at: Option<Timestamp>,
    /// The authority's certificate beside it.
    pub authority: Option<String>,
}

/// Reads everything.
///
/// # Errors
/// The API server refuses or doesn't answer. A missing object is a fact, not an error.
pub async fn dereference(client: &Client, tenant: &VoicemailTenant) -> Result<Facts, CallError> {
    let namespace = tenant.namespace().unwrap_or_default();
    let name = tenant.name_any();
    let secrets: Api<Secret> = Api::namespaced(client.clone(), &namespace);
    let claims: Api<PersistentVolumeClaim> = Api::namespaced(client.clone(), &namespace);
    let (keys, tls) = (keys_secret(tenant), tls_secret(tenant));
    let (claim_name, authority) = (claim_name(tenant), ca_name(&name));
    let (claim, keys, tls, authority) = tokio::try_join!(
        within_deadline("read the data claim", claims.get_opt(&claim_name)),
        within_deadline("read the keys' Secret", secrets.get_opt(&keys)),
        within_deadline("read the certificate's Secret", secrets.get_opt(&tls)),
        within_deadline("read the authority's Secret", secrets.get_opt(&authority)),
    )?;
    Ok(Facts {
        now: Timestamp::now(),
        claim: claim.as_ref().map(read_claim),
        keys: keys.as_ref().map(read_keys),
        tls: tls.as_ref().map(read_tls),
        authority: authority.as_ref().and_then(read_authority),
    })
}

fn keys_secret(tenant: &VoicemailTenant) -> String {
    let given = tenant.spec.keys.as_ref().map(|keys| keys.secret.name.clone());
    given.unwrap_or_else(|| keys_name(&tenant.name_any()))
}

fn tls_secret(tenant: &VoicemailTenant) -> String {
    let given = tenant.spec.tls.as_ref().map(|tls| tls.secret.name.clone());
    given.unwrap_or_else(|| tls_name(&tenant.name_any()))
}

/// Name of the claim that the tenant's messages are on.
pub fn claim_name(tenant: &VoicemailTenant) -> String {
    let served = tenant.spec.regions.iter().find(|region| region.name == tenant.spec.region);
    let volume = served.and_then(|region| region.storage.volume.as_ref());
    let existing = volume.and_then(|volume| volume.existing_claim.clone());
    existing.unwrap_or_else(|| child_name(&tenant.name_any()))
}

/// What matters about a claim.
pub fn read_claim(claim: &PersistentVolumeClaim) -> ClaimFact {
    let modes = claim.spec.as_ref().and_then(|spec| spec.access_modes.clone());
    let phase = claim.status.as_ref().and_then(|status| status.phase.clone());
    ClaimFact { access_modes: modes.unwrap_or_default(), phase: phase.unwrap_or_else(|| "Pending".into()) }
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

fn read_tls(secret: &Secret) -> TlsFact {
    TlsFact {
        complete: entry(secret, TLS_CERTIFICATE).is_some() && entry(secret, TLS_KEY).is_some(),
        renew_at: renew_at(secret),
        authority: text(secret, CA_CERTIFICATE),
    }
}

fn read_authority(secret: &Secret) -> Option<Authority> {
    Some(Authority {
        certificate: text(secret, CA_CERTIFICATE)?,
        key: text(secret, CA_KEY)?,
        renew_at: renew_at(secret)?,
    })
}
