//! Brings the cluster to the plan: server-side apply in order, with one field manager, only where something differs.
//!
//! Flow: identity and configuration first, then Secrets, claim, Services and budget, the Deployment last, so
//! that no pod starts before what it mounts. [`Applied`] can be made here alone; status is computed from it.
//!
//! What can go wrong: the API server refuses ([`CallError`]), or a child's name is taken by an object that
//! isn't ours, which is never overwritten.

use super::build::certificate::{build_authority_secret, make_authority, make_serving_secret};
use super::build::keys::{build_keys_secret, generate_keys};
use super::build::secret_provider_class::provider_class_resource;
use super::build::{Built, BuiltStorage};
use super::credentials::RegionPlan;
use super::drift::{APPLIED_HASH, hash, is_current};
use super::storage::StoragePlan;
use super::validate::{Plan, TlsPlan};
use crate::api::{MANAGER, TENANT_LABEL};
use crate::calls::{CallError, Class, Classified, within_deadline};
use jiff::Timestamp;
use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Secret};
use kube::api::{DeleteParams, DynamicObject, Patch, PatchParams, PostParams};
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
    storage: AppliedStorage,
}

/// What the storage has in the cluster.
#[derive(Debug)]
pub enum AppliedStorage {
    /// Our claim, as it is now.
    Claim(Box<PersistentVolumeClaim>),
    /// A claim that somebody else maintains.
    ExistingClaim,
    /// The regions' credentials.
    ObjectStores(Vec<RegionPlan>),
}

impl Applied {
    /// The pods' Deployment.
    pub fn deployment(&self) -> &Deployment {
        &self.deployment
    }

    /// What the storage has.
    pub fn storage(&self) -> &AppliedStorage {
        &self.storage
    }

    #[cfg(test)]
    pub(crate) fn for_test(deployment: Deployment, storage: AppliedStorage) -> Self {
        Self { deployment, storage }
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
    let storage = applier.ensure_storage(built.storage).await?;
    for service in built.services {
        applier.converge(service).await?;
    }
    applier.converge(built.disruption_budget).await?;
    let deployment = applier.converge(built.deployment).await?;
    applier.delete_unused_classes().await?;
    Ok(Applied { deployment, storage })
}

/// What every child's type can do.
trait Live: Resource + Clone + Debug + Serialize + DeserializeOwned {}

impl<K> Live for K where K: Resource + Clone + Debug + Serialize + DeserializeOwned {}

/// A child of a kind that every cluster has.
trait Child: Live + Resource<Scope = NamespaceResourceScope, DynamicType = ()> + k8s_openapi::Resource {}

impl<K> Child for K where
    K: Live + Resource<Scope = NamespaceResourceScope, DynamicType = ()> + k8s_openapi::Resource
{
}

struct Applier<'a> {
    client: &'a Client,
    plan: &'a Plan,
}

impl Applier<'_> {
    /// Brings a child of a built-in kind to what it should be.
    async fn converge<K: Child>(&self, desired: K) -> Result<K, ApplyError> {
        let api: Api<K> = Api::namespaced(self.client.clone(), &self.plan.namespace);
        self.converge_in(&api, K::KIND, stamp(&desired, K::API_VERSION, K::KIND)?).await
    }

    /// Reads the live object and applies the desired one only if they differ.
    async fn converge_in<K: Live>(&self, api: &Api<K>, kind: &str, desired: Value) -> Result<K, ApplyError> {
        let name = desired["metadata"]["name"].as_str().unwrap_or_default().to_owned();
        let live = within_deadline("read a child", api.get_opt(&name)).await?;
        let existed = live.is_some();
        if let Some(live) = live {
            self.check_ours(&live, kind)?;
            if is_current(&desired, &serde_json::to_value(&live)?) {
                return Ok(live);
            }
        }
        tracing::info!(kind, namespace = self.plan.namespace, name, "applying");
        let (parameters, patch) = (PatchParams::apply(MANAGER).force(), Patch::Apply(&desired));
        match within_deadline("apply a child", api.patch(&name, &parameters, &patch)).await {
            Ok(applied) if is_current(&desired, &serde_json::to_value(&applied)?) => Ok(applied),
            Err(error) if !(existed && error.class() == Class::Permanent) => Err(error.into()),
            _ => self.overwrite(api, kind, &name, &desired).await,
        }
    }

    /// Server-side apply adds to a list that somebody changed; a merge patch replaces it.
    async fn overwrite<K: Live>(
        &self,
        api: &Api<K>,
        kind: &str,
        name: &str,
        desired: &Value,
    ) -> Result<K, ApplyError> {
        tracing::info!(kind, namespace = self.plan.namespace, name, "overwriting a list that was changed");
        let parameters = PatchParams { field_manager: Some(MANAGER.into()), ..Default::default() };
        Ok(within_deadline("apply a child", api.patch(name, &parameters, &Patch::Merge(desired))).await?)
    }

    fn check_ours<K: Resource>(&self, live: &K, kind: &str) -> Result<(), ApplyError> {
        let labelled = live.labels().get(TENANT_LABEL) == Some(&self.plan.name);
        let owned = live.owner_references().iter().any(|owner| owner.uid == self.plan.owner.uid);
        if labelled || owned {
            return Ok(());
        }
        Err(ApplyError::NameTaken { kind: kind.to_owned(), name: live.name_any() })
    }

    /// Brings the claim, or the SecretProviderClasses, to what they should be.
    async fn ensure_storage(&self, storage: BuiltStorage) -> Result<AppliedStorage, ApplyError> {
        match storage {
            BuiltStorage::Claim(claim) => Ok(AppliedStorage::Claim(Box::new(self.converge(*claim).await?))),
            BuiltStorage::ExistingClaim => Ok(AppliedStorage::ExistingClaim),
            BuiltStorage::ObjectStores(classes) => {
                let (api, kind) = (self.provider_classes(), provider_class_resource());
                for class in classes {
                    let desired = stamp(&class, &kind.api_version, &kind.kind)?;
                    self.converge_in(&api, &kind.kind, desired).await?;
                }
                Ok(AppliedStorage::ObjectStores(self.plan.storage.regions().to_vec()))
            }
        }
    }

    /// Deletes SecretProviderClasses of regions that get their credentials elsewhere now.
    async fn delete_unused_classes(&self) -> Result<(), ApplyError> {
        let StoragePlan::ObjectStores { unused_classes, .. } = &self.plan.storage else { return Ok(()) };
        for name in unused_classes {
            tracing::info!(namespace = self.plan.namespace, name, "deleting an unused SecretProviderClass");
            let api = self.provider_classes();
            let parameters = DeleteParams::default();
            let deleted = api.delete(name, &parameters);
            match within_deadline("delete an unused SecretProviderClass", deleted).await {
                Err(error) if !error.is_not_found() => return Err(error.into()),
                _ => {}
            }
        }
        Ok(())
    }

    fn provider_classes(&self) -> Api<DynamicObject> {
        Api::namespaced_with(self.client.clone(), &self.plan.namespace, &provider_class_resource())
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
            self.check_ours(&live, "Secret")?;
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
fn stamp(desired: &impl Serialize, api_version: &str, kind: &str) -> Result<Value, serde_json::Error> {
    let mut value = serde_json::to_value(desired)?;
    let hash = hash(&value);
    value["apiVersion"] = json!(api_version);
    value["kind"] = json!(kind);
    value["metadata"]["annotations"][APPLIED_HASH] = json!(hash);
    Ok(value)
}
