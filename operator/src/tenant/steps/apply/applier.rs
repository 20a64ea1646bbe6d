//! Brings one child to what it should be, or takes away one that isn't wanted: read, compare, write only if they differ.

use crate::tenant::build::config::CONFIG_FILE;
use crate::tenant::build::names::child_name;
use crate::tenant::context::Context;
use crate::tenant::facts::belonging::{is_collectable, is_owned, other_owners};
use crate::tenant::memory::child_versions::Version;
use crate::tenant::steps::apply::ApplyError;
use crate::tenant::steps::apply::foreign::{find_foreign, without_foreign};
use crate::tenant::steps::dereference::Look;
use crate::tenant::steps::validate::Plan;
use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::core::v1::ObjectReference;
use kube::api::{DeleteParams, Patch, PatchParams, Preconditions};
use kube::runtime::events::{Event, EventType};
use kube::{Api, Resource, ResourceExt};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::fmt::Debug;
use voicemail_cores::destinations::list_moved;
use voicemail_resources::{MANAGER, TENANT_LABEL, VoicemailTenant};
use voicemail_runtime::calls::{CallError, Classified, ErrorClass, merge_metadata, within_deadline};
use voicemail_runtime::drift::{APPLIED_HASH, hash, is_current};

/// A version that no object has: they count from one, by one for each write of the cluster.
pub(super) const NO_VERSION: &str = "9223372036854775807";

/// Bounds of every child's type.
pub trait Live: Resource + Clone + Debug + Serialize + DeserializeOwned {}

impl<K> Live for K where K: Resource + Clone + Debug + Serialize + DeserializeOwned {}

/// A child of a kind that every cluster has.
pub trait Child:
    Live + Resource<Scope = NamespaceResourceScope, DynamicType = ()> + k8s_openapi::Resource
{
}

impl<K> Child for K where
    K: Live + Resource<Scope = NamespaceResourceScope, DynamicType = ()> + k8s_openapi::Resource
{
}

/// Works on one tenant's children.
pub(super) struct Applier<'a> {
    pub(super) context: &'a Context,
    pub(super) plan: &'a Plan,
}

impl Applier<'_> {
    /// As [`Self::converge`], unless the watches say that the child is as it was when that was done.
    pub(super) async fn keep<K: Child>(&self, desired: K) -> Result<(), ApplyError> {
        self.keep_as(desired, |live| Version::of(live.meta())).await
    }

    /// As [`Self::keep`]; `version` is how the watch of that kind sees an object.
    pub(super) async fn keep_as<K: Child>(
        &self,
        desired: K,
        version: impl Fn(&K) -> Version,
    ) -> Result<(), ApplyError> {
        let desired = stamp(&desired, K::API_VERSION, K::KIND)?;
        let (name, wanted) = (name_of(&desired).to_owned(), applied_hash(&desired));
        if self.context.memories.is_right(K::KIND, &self.plan.key(), &name, &wanted) {
            return Ok(());
        }
        let live = Box::pin(self.make_or_converge(desired)).await?;
        self.remember(K::KIND, &name, version(&live), wanted);
        Ok(())
    }

    /// As [`Self::converge_in`]; a child that seems not to be there is made without a look.
    pub(super) async fn make_or_converge<K: Child>(&self, desired: Value) -> Result<K, ApplyError> {
        let api: Api<K> = Api::namespaced(self.context.client.clone(), &self.plan.namespace);
        let name = name_of(&desired);
        let absent =
            self.plan.look == Look::First || self.context.memories.is_absent(K::KIND, &self.plan.key(), name);
        let made = if absent { self.make(&api, K::KIND, &desired).await? } else { None };
        match made {
            Some(made) => Ok(made),
            None => Box::pin(self.converge_in(&api, K::KIND, desired)).await,
        }
    }

    /// Makes a child unless an object of its name is there, which is never touched: none has the version that this asks for,
    /// and the API server refuses to apply to another version (optimistic concurrency). None when it refuses, for
    /// whatever reason, or when what it made isn't all that was wanted: that is for a closer look.
    async fn make<K: Live>(
        &self,
        api: &Api<K>,
        kind: &str,
        desired: &Value,
    ) -> Result<Option<K>, ApplyError> {
        let name = name_of(desired);
        tracing::info!(kind, namespace = self.plan.namespace, name, "making");
        let mut new = desired.clone();
        new["metadata"]["resourceVersion"] = json!(NO_VERSION);
        let (parameters, patch) = (PatchParams::apply(MANAGER), Patch::Apply(&new));
        let made = match within_deadline("make a child", api.patch(name, &parameters, &patch)).await {
            Ok(made) => made,
            Err(error) if error.class() == ErrorClass::Transient => return Err(error.into()),
            Err(_) => return Ok(None),
        };
        let found = serde_json::to_value(&made)?;
        let as_wanted = is_current(desired, &found) && find_foreign(desired, &found).is_empty();
        Ok(as_wanted.then_some(made))
    }

    /// As [`Self::keep`], for a kind that isn't watched: `known` is the hash of what it was a short while ago. Returns the hash
    /// of what it is.
    pub(super) async fn keep_unwatched<K: Child>(
        &self,
        desired: K,
        known: Option<&str>,
    ) -> Result<String, ApplyError> {
        let desired = stamp(&desired, K::API_VERSION, K::KIND)?;
        let wanted = applied_hash(&desired);
        if known != Some(wanted.as_str()) {
            Box::pin(self.make_or_converge::<K>(desired)).await?;
        }
        Ok(wanted)
    }

    /// The child was found or made right; `wanted` is the hash of what it should be.
    pub(super) fn remember(&self, kind: &'static str, name: &str, version: Version, wanted: String) {
        self.context.memories.found_right(kind, &self.plan.key(), name, (version, wanted));
    }

    /// Brings a child of a built-in kind to what it should be.
    pub(super) async fn converge<K: Child>(&self, desired: K) -> Result<K, ApplyError> {
        let api: Api<K> = Api::namespaced(self.context.client.clone(), &self.plan.namespace);
        self.converge_in(&api, K::KIND, stamp(&desired, K::API_VERSION, K::KIND)?).await
    }

    /// Reads the live object and applies the desired one only if they differ.
    pub(super) async fn converge_in<K: Live>(
        &self,
        api: &Api<K>,
        kind: &str,
        desired: Value,
    ) -> Result<K, ApplyError> {
        let name = name_of(&desired);
        let live = within_deadline("read a child", api.get_opt(name)).await?;
        Box::pin(self.converge_from(api, kind, live, desired)).await
    }

    /// As [`Self::converge_in`], on the live object as it was just read.
    pub(super) async fn converge_from<K: Live>(
        &self,
        api: &Api<K>,
        kind: &str,
        live: Option<K>,
        desired: Value,
    ) -> Result<K, ApplyError> {
        let name = name_of(&desired).to_owned();
        let existed = live.is_some();
        let (mut desired, mut foreign, mut moved) = (desired, Vec::new(), Vec::new());
        if let Some(live) = live {
            self.check_ours(&live, kind)?;
            let found = serde_json::to_value(&live)?;
            foreign = find_foreign(&desired, &found);
            if is_current(&desired, &found) && foreign.is_empty() {
                return self.keep_from_collector(api, live).await;
            }
            let text = |object: &Value| object["data"][CONFIG_FILE].as_str().unwrap_or_default().to_owned();
            moved = list_moved(&text(&found), &text(&desired));
            // The object that was looked at, and no other one that took its name meanwhile.
            desired["metadata"]["uid"] = json!(live.uid());
        }
        tracing::info!(kind, namespace = self.plan.namespace, name, "applying");
        let (parameters, patch) = (PatchParams::apply(MANAGER).force(), Patch::Apply(&desired));
        let applied = match within_deadline("apply a child", api.patch(&name, &parameters, &patch)).await {
            Ok(applied) if foreign.is_empty() && is_current(&desired, &serde_json::to_value(&applied)?) => {
                applied
            }
            Err(error) if !(existed && error.class() == ErrorClass::Permanent) => return Err(error.into()),
            _ => self.overwrite(api, kind, &name, &without_foreign(&desired, &foreign)).await?,
        };
        if !foreign.is_empty() {
            let note = format!("took from {kind} {name} what somebody has added: {}", foreign.join(", "));
            Box::pin(self.tell("ForeignFieldsRemoved", note)).await;
        }
        if !moved.is_empty() {
            Box::pin(
                self.tell("DestinationChanged", format!("the cores send elsewhere: {}", moved.join(", "))),
            )
            .await;
        }
        self.keep_from_collector(api, applied).await
    }

    /// A warning about the tenant: what somebody wrote didn't stay, or data goes elsewhere now. A lost event is no failure.
    async fn tell(&self, reason: &str, note: String) {
        let Plan { namespace, name: tenant, uid, .. } = self.plan;
        tracing::warn!(namespace, tenant, reason, note);
        let event = Event {
            type_: EventType::Warning,
            reason: reason.into(),
            note: Some(note),
            action: "Reconcile".into(),
            secondary: None,
        };
        let about = ObjectReference {
            api_version: Some(VoicemailTenant::api_version(&()).into_owned()),
            kind: Some(VoicemailTenant::kind(&()).into_owned()),
            namespace: Some(namespace.clone()),
            name: Some(tenant.clone()),
            uid: Some(uid.clone()),
            ..ObjectReference::default()
        };
        self.context.publish(event, &about).await;
    }

    /// Children of former releases name their tenant as their owner: the garbage collector would take them while the
    /// tenant's deletion waits.
    async fn keep_from_collector<K: Live>(&self, api: &Api<K>, live: K) -> Result<K, ApplyError> {
        if !is_collectable(&live) {
            return Ok(live);
        }
        let without = json!({ "ownerReferences": other_owners(&live) });
        Ok(merge_metadata("take a child from the garbage collector", api, &live, without).await?)
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

    pub(super) fn check_ours<K: Resource>(&self, live: &K, kind: &str) -> Result<(), ApplyError> {
        let labelled = live.labels().get(TENANT_LABEL) == Some(&self.plan.name);
        if labelled || is_owned(live, &self.plan.name, &self.plan.uid) {
            return Ok(());
        }
        Err(ApplyError::NameTaken { kind: kind.to_owned(), name: live.name_any() })
    }

    /// Removes a child that isn't wanted any more, if it is this tenant's own.
    pub(super) async fn remove<K: Live>(&self, api: &Api<K>, kind: &str) -> Result<(), ApplyError> {
        self.remove_named(api, kind, &child_name(&self.plan.name)).await
    }

    /// As [`Self::remove`], under another name.
    pub(super) async fn remove_named<K: Live>(
        &self,
        api: &Api<K>,
        kind: &str,
        name: &str,
    ) -> Result<(), ApplyError> {
        Ok(remove_owned(api, kind, name, &self.plan.name, &self.plan.uid).await?)
    }
}

/// Removes an object if it is the tenant's own. The object that was looked at goes, and no other one that took its name
/// meanwhile.
///
/// # Errors
/// The API server refuses or doesn't answer. An object that isn't there is no error.
pub async fn remove_owned<K: Live>(
    api: &Api<K>,
    kind: &str,
    name: &str,
    tenant: &str,
    owner: &str,
) -> Result<(), CallError> {
    let Some(live) = within_deadline("read a child", api.get_opt(name)).await? else { return Ok(()) };
    if !is_owned(&live, tenant, owner) {
        return Ok(());
    }
    tracing::info!(kind, namespace = live.namespace(), name, "deleting, as it isn't wanted any more");
    let preconditions = Some(Preconditions { uid: live.uid(), resource_version: None });
    let parameters = DeleteParams { preconditions, ..DeleteParams::background() };
    match within_deadline("delete a child", api.delete(name, &parameters)).await {
        Err(error) if !error.is_not_found() => Err(error),
        _ => Ok(()),
    }
}

/// The name of an object as JSON.
fn name_of(object: &Value) -> &str {
    object["metadata"]["name"].as_str().unwrap_or_default()
}

/// The hash that [`stamp`] wrote.
pub(super) fn applied_hash(desired: &Value) -> String {
    desired["metadata"]["annotations"][APPLIED_HASH].as_str().unwrap_or_default().to_owned()
}

/// The object as JSON, with its kind and the hash of itself.
pub(super) fn stamp(
    desired: &impl Serialize,
    api_version: &str,
    kind: &str,
) -> Result<Value, serde_json::Error> {
    let mut value = serde_json::to_value(desired)?;
    let hash = hash(&value);
    value["apiVersion"] = json!(api_version);
    value["kind"] = json!(kind);
    value["metadata"]["annotations"][APPLIED_HASH] = json!(hash);
    Ok(value)
}
