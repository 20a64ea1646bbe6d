//! Brings the cluster to the plan: server-side apply in order, with one field manager, only where something differs.
//!
//! Flow: identity and configuration first, then Secrets, claim, Services and budget, the Deployment last, so
//! that no pod starts before what it mounts. [`Applied`] can be made here alone; status is computed from it.
//!
//! What can go wrong: the API server refuses ([`CallError`]), or a child's name is taken by an object that
//! isn't ours, which is never overwritten.

use super::build::Built;
use super::build::certificate::{build_authority_secret, make_authority, make_serving_secret};
use super::build::keys::{build_keys_secret, generate_keys};
use super::drift::{APPLIED_HASH, hash, is_current};
use super::validate::{Plan, TlsPlan};
use crate::api::{MANAGER, TENANT_LABEL};
use crate::calls::{CallError, Class, Classified, within_deadline};
use jiff::Timestamp;
use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Secret};
use kube::api::{Patch, PatchParams, PostParams};
use kube::{Api, Client, Resource, ResourceExt};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::fmt::Debug;

/// Why applying stopped.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ApplyError {
    /// A call failed.
    #[error(transparent)]
    Call(#[from] CallError),
    /// An object of that name belongs to somebody else.
    #[error("{kind} {name} exists and is not this tenant's: delete or rename it")]
    NameTaken {
        /// Kind of the object.
        kind: String,
        /// Its name.
        name: String,
    },
    /// Key or certificate material could not be made.
    #[error("{0}")]
    Material(String),
    /// An object can't be written as JSON.
    #[error("an object can't be written as JSON: {0}")]
    Encode(#[from] serde_json::Error),
}

impl Classified for ApplyError {
    fn class(&self) -> Class {
        match self {
            Self::Call(error) => error.class(),
            Self::NameTaken { .. } => Class::Permanent,
            Self::Material(_) | Self::Encode(_) => Class::Transient,
        }
    }

    fn reason(&self) -> &'static str {
        match self {
            Self::Call(error) => error.reason(),
            Self::NameTaken { .. } => "NameTaken",
            Self::Material(_) => "MaterialNotMade",
            Self::Encode(_) => "NotEncodable",
        }
    }
}

/// What now exists, as the API server answered.
#[derive(Debug)]
pub struct Applied {
    deployment: Deployment,
    claim: Option<PersistentVolumeClaim>,
}

impl Applied {
    /// The pods' Deployment.
    pub fn deployment(&self) -> &Deployment {
        &self.deployment
    }

    /// The claim, when it is ours.
    pub fn claim(&self) -> Option<&PersistentVolumeClaim> {
        self.claim.as_ref()
    }

    #[cfg(test)]
    pub(crate) fn for_test(deployment: Deployment, claim: Option<PersistentVolumeClaim>) -> Self {
        Self { deployment, claim }
    }
}

/// Applies everything.
///
/// # Errors
/// [`ApplyError`]; what was applied before stays, and the next reconcile goes on.
pub async fn apply(
    client: &Client,
    plan: &Plan,
    built: Built,
    now: Timestamp,
) -> Result<Applied, ApplyError> {
    let applier = Applier { client, plan };
    applier.converge(built.service_account).await?;
    applier.converge(built.config).await?;
    applier.ensure_keys().await?;
    applier.ensure_certificate(now).await?;
    let claim = match built.claim {
        Some(claim) => Some(applier.converge(claim).await?),
        None => None,
    };
    for service in built.services {
        applier.converge(service).await?;
    }
    applier.converge(built.disruption_budget).await?;
    let deployment = applier.converge(built.deployment).await?;
    Ok(Applied { deployment, claim })
}

/// What every child's type can do.
trait Child:
    Resource<Scope = NamespaceResourceScope, DynamicType = ()>
    + k8s_openapi::Resource
    + Clone
    + Debug
    + Serialize
    + DeserializeOwned
{
}

impl<K> Child for K where
    K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>
        + k8s_openapi::Resource
        + Clone
        + Debug
        + Serialize
        + DeserializeOwned
{
}

struct Applier<'a> {
    client: &'a Client,
    plan: &'a Plan,
}

impl Applier<'_> {
    /// Reads the live object and applies the desired one only if they differ.
    async fn converge<K: Child>(&self, desired: K) -> Result<K, ApplyError> {
        let api: Api<K> = Api::namespaced(self.client.clone(), &self.plan.namespace);
        let name = desired.name_any();
        let live = within_deadline("read a child", api.get_opt(&name)).await?;
        let desired = stamp(&desired)?;
        let existed = live.is_some();
        if let Some(live) = live {
            self.check_ours(&live)?;
            if is_current(&desired, &serde_json::to_value(&live)?) {
                return Ok(live);
            }
        }
        tracing::info!(kind = K::KIND, namespace = self.plan.namespace, name, "applying");
        let (parameters, patch) = (PatchParams::apply(MANAGER).force(), Patch::Apply(&desired));
        match within_deadline("apply a child", api.patch(&name, &parameters, &patch)).await {
            Ok(applied) if is_current(&desired, &serde_json::to_value(&applied)?) => Ok(applied),
            Err(error) if !(existed && error.class() == Class::Permanent) => Err(error.into()),
            _ => self.overwrite(&api, &name, &desired).await,
        }
    }

    /// Server-side apply adds to a list that somebody changed; a merge patch replaces it.
    async fn overwrite<K: Child>(&self, api: &Api<K>, name: &str, desired: &Value) -> Result<K, ApplyError> {
        tracing::info!(
            kind = K::KIND,
            namespace = self.plan.namespace,
            name,
            "overwriting a list that was changed"
        );
        let parameters = PatchParams { field_manager: Some(MANAGER.into()), ..Default::default() };
        Ok(within_deadline("apply a child", api.patch(name, &parameters, &Patch::Merge(desired))).await?)
    }

    fn check_ours<K>(&self, live: &K) -> Result<(), ApplyError>
    where
        K: Resource<DynamicType = ()>,
    {
        let labelled = live.labels().get(TENANT_LABEL) == Some(&self.plan.name);
        let owned = live.owner_references().iter().any(|owner| owner.uid == self.plan.owner.uid);
        if labelled || owned {
            return Ok(());
        }
        Err(ApplyError::NameTaken { kind: K::kind(&()).into_owned(), name: live.name_any() })
    }

    /// Creates the keys' Secret, when the plan says that there never was one. Never replaces.
    async fn ensure_keys(&self) -> Result<(), ApplyError> {
        if !self.plan.keys.make {
            return Ok(());
        }
        let material = generate_keys().map_err(|error| ApplyError::Material(error.to_string()))?;
        let secret = build_keys_secret(self.plan, &material);
        let parameters = PostParams { field_manager: Some(MANAGER.into()), ..Default::default() };
        within_deadline("create the keys' Secret", self.secrets().create(&parameters, &secret)).await?;
        Ok(())
    }

    /// Makes what is due of authority and serving certificate.
    async fn ensure_certificate(&self, now: Timestamp) -> Result<(), ApplyError> {
        let material =
            |error: super::build::certificate::CertificateError| ApplyError::Material(error.to_string());
        let authority = match &self.plan.tls {
            TlsPlan::Keep => return Ok(()),
            TlsPlan::Renew(authority) => authority.clone(),
            TlsPlan::Start => {
                let authority = make_authority(self.plan, now).map_err(material)?;
                self.apply_secret(build_authority_secret(self.plan, &authority)).await?;
                authority
            }
        };
        self.apply_secret(make_serving_secret(self.plan, &authority, now).map_err(material)?).await
    }

    async fn apply_secret(&self, secret: Secret) -> Result<(), ApplyError> {
        let name = secret.name_any();
        if let Some(live) = within_deadline("read a Secret", self.secrets().get_opt(&name)).await? {
            self.check_ours(&live)?;
        }
        tracing::info!(kind = "Secret", namespace = self.plan.namespace, name, "applying");
        let parameters = PatchParams::apply(MANAGER).force();
        within_deadline("apply a Secret", self.secrets().patch(&name, &parameters, &Patch::Apply(&secret)))
            .await?;
        Ok(())
    }

    fn secrets(&self) -> Api<Secret> {
        Api::namespaced(self.client.clone(), &self.plan.namespace)
    }
}

/// The object as JSON, with its kind and the hash of itself.
fn stamp<K>(desired: &K) -> Result<Value, serde_json::Error>
where
    K: k8s_openapi::Resource + Serialize,
{
    let mut value = serde_json::to_value(desired)?;
    let hash = hash(&value);
    value["apiVersion"] = json!(K::API_VERSION);
    value["kind"] = json!(K::KIND);
    value["metadata"]["annotations"][APPLIED_HASH] = json!(hash);
    Ok(value)
}
