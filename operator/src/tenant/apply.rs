//! Brings the cluster to the plan: server-side apply in order, with one field manager, only where something differs.
//!
//! Flow: identity and configuration first, then Secrets, claim, Services and budget, the Deployment last, so
//! that no pod starts before what it mounts. [`Applied`] can be made here alone; status is computed from it.
//!
//! What can go wrong: the API server refuses ([`CallError`]), or a child's name is taken by an object that
//! isn't ours, which is never overwritten.

use super::build::certificate::{build_authority_secret, make_authority, make_serving_secret};
use super::build::keys::{build_keys_secret, generate_keys};
use super::build::names::child_name;
use super::build::pod_monitor::pod_monitor_resource;
use super::build::secret_provider_class::provider_class_resource;
use super::build::{Built, BuiltStorage};
use super::credentials::RegionPlan;
use super::drift::{APPLIED_HASH, hash, is_current};
use super::kinds::MissingKinds;
use super::storage::StoragePlan;
use super::validate::{Plan, TlsPlan};
use crate::api::{MANAGER, TENANT_LABEL};
use crate::calls::{CallError, Class, Classified, within_deadline};
use jiff::Timestamp;
use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Secret};
use kube::api::{DeleteParams, DynamicObject, Patch, PatchParams, PostParams};
use kube::{Api, Client, Resource, ResourceExt};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::fmt::Debug;

/// Field manager that holds the replicas between us and an autoscaler.
const HANDOVER: &str = "voicemail-operator-handover";

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
    /// Our claim.
    Claim {
        /// As it is now.
        claim: Box<PersistentVolumeClaim>,
        /// Why it can't get the size that the spec asks for.
        refused: Option<String>,
    },
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
    kinds: &MissingKinds,
    plan: &Plan,
    built: Built,
    now: Timestamp,
) -> Result<Applied, ApplyError> {
    let applier = Applier { client, kinds, plan };
    applier.converge(built.service_account).await?;
    applier.converge(built.config).await?;
    applier.ensure_keys().await?;
    applier.ensure_certificate(now).await?;
    let storage = applier.ensure_storage(built.storage).await?;
    for service in built.services {
        applier.converge(service).await?;
    }
    applier.converge(built.disruption_budget).await?;
    applier.converge(built.network_policy).await?;
    let deployment = applier.ensure_deployment(built.deployment).await?;
    applier.ensure_autoscaler(built.autoscaler).await?;
    applier.ensure_pod_monitor(built.pod_monitor).await?;
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
    kinds: &'a MissingKinds,
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
            BuiltStorage::Claim(claim) => self.ensure_claim(*claim).await,
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

    /// A claim that can't grow is left with the size that it has: the messages on it must stay reachable.
    async fn ensure_claim(&self, claim: PersistentVolumeClaim) -> Result<AppliedStorage, ApplyError> {
        let refused = match self.converge(claim).await {
            Ok(claim) => return Ok(AppliedStorage::Claim { claim: Box::new(claim), refused: None }),
            Err(ApplyError::Call(error)) if error.is_forbidden() || error.class() == Class::Permanent => {
                error
            }
            Err(error) => return Err(error),
        };
        let api: Api<PersistentVolumeClaim> = Api::namespaced(self.client.clone(), &self.plan.namespace);
        let live = within_deadline("read the data claim", api.get_opt(&child_name(&self.plan.name))).await?;
        match live {
            Some(claim) => {
                Ok(AppliedStorage::Claim { claim: Box::new(claim), refused: Some(refused.to_string()) })
            }
            None => Err(refused.into()),
        }
    }

    /// The Deployment. Where an autoscaler takes the replicas over, their number is first handed over to nobody in
    /// particular: a field that its only applier leaves out would fall back to one pod.
    async fn ensure_deployment(&self, desired: Deployment) -> Result<Deployment, ApplyError> {
        let scaled = desired.spec.as_ref().is_some_and(|spec| spec.replicas.is_none());
        if scaled {
            self.hand_replicas_over().await?;
        }
        self.converge(desired).await
    }

    async fn hand_replicas_over(&self) -> Result<(), ApplyError> {
        let api: Api<Deployment> = Api::namespaced(self.client.clone(), &self.plan.namespace);
        let name = child_name(&self.plan.name);
        let Some(live) = within_deadline("read a child", api.get_opt(&name)).await? else { return Ok(()) };
        let replicas = live.spec.as_ref().and_then(|spec| spec.replicas);
        if !owns_replicas(&live) {
            return Ok(());
        }
        tracing::info!(namespace = self.plan.namespace, name, "leaving the replicas to the autoscaler");
        let body = json!({"apiVersion": "apps/v1", "kind": "Deployment", "spec": {"replicas": replicas}});
        let (parameters, patch) = (PatchParams::apply(HANDOVER).force(), Patch::Apply(&body));
        within_deadline("hand the replicas over", api.patch(&name, &parameters, &patch)).await?;
        Ok(())
    }

    async fn ensure_autoscaler(&self, desired: Option<HorizontalPodAutoscaler>) -> Result<(), ApplyError> {
        let api: Api<HorizontalPodAutoscaler> = Api::namespaced(self.client.clone(), &self.plan.namespace);
        match desired {
            Some(desired) => self.converge(desired).await.map(drop),
            None => self.remove(&api, "HorizontalPodAutoscaler").await,
        }
    }

    /// Where the cluster knows the kind.
    async fn ensure_pod_monitor(&self, desired: Option<DynamicObject>) -> Result<(), ApplyError> {
        let kind = pod_monitor_resource();
        let now = std::time::Instant::now();
        if self.kinds.is_missing(&kind.kind, now) {
            return Ok(());
        }
        let api: Api<DynamicObject> = Api::namespaced_with(self.client.clone(), &self.plan.namespace, &kind);
        let done = match desired {
            Some(desired) => {
                let desired = stamp(&desired, &kind.api_version, &kind.kind)?;
                self.converge_in(&api, &kind.kind, desired).await.map(drop)
            }
            None => self.remove(&api, &kind.kind).await,
        };
        match done {
            // A kind that isn't there answers as a missing page, one that just came as a missing object.
            Err(ApplyError::Call(error)) if error.is_unknown_kind() || error.is_not_found() => {
                self.kinds.note(&kind.kind, now);
                Ok(())
            }
            done => done,
        }
    }

    /// Removes a child that isn't wanted any more, if it is ours.
    async fn remove<K: Live>(&self, api: &Api<K>, kind: &str) -> Result<(), ApplyError> {
        let name = child_name(&self.plan.name);
        let Some(live) = within_deadline("read a child", api.get_opt(&name)).await? else { return Ok(()) };
        if self.check_ours(&live, kind).is_err() {
            return Ok(());
        }
        tracing::info!(kind, namespace = self.plan.namespace, name, "deleting, as it isn't wanted any more");
        match within_deadline("delete a child", api.delete(&name, &DeleteParams::default())).await {
            Err(error) if !error.is_not_found() => Err(error.into()),
            _ => Ok(()),
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

/// Whether the replicas are ours, by the record that the API server keeps of appliers.
fn owns_replicas(live: &Deployment) -> bool {
    live.managed_fields().iter().any(|entry| {
        let ours = entry.manager.as_deref() == Some(MANAGER);
        ours && entry.fields_v1.as_ref().is_some_and(|fields| fields.0["f:spec"].get("f:replicas").is_some())
    })
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
