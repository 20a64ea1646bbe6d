//! A tenant's end in the cluster: its children are given to the garbage collector, which takes them once it is gone.
//!
//! Flow: until then no child names the tenant as its owner, so that no way of deleting the tenant stops what still
//! serves. At the end each child is looked at, and gets the owner only if it bears the tenant's UID. The collector asks
//! for the owner itself before it deletes, so the operator needs no right to delete what it makes.
//!
//! What can go wrong: the operator dies halfway. Then some children name the tenant, which still has its finalizer; the
//! rest follows. A tenant that went without its finalizer leaves children behind; they are given away when the operator
//! finds them without their tenant ([`sweep`]).

use crate::tenant::build::names::{
    binding_name, ca_name, child_name, headless_name, tls_copy_name, tls_name,
};
use crate::tenant::build::pod_monitor::pod_monitor_resource;
use crate::tenant::build::prometheus_rule::prometheus_rule_resource;
use crate::tenant::build::secret_provider_class::provider_class_resource;
use crate::tenant::facts::belonging::{is_collectable, is_owned, reference};
use crate::tenant::steps::apply::applier::{Child, Live};
use crate::tenant::steps::apply::retirement::remove_jobs;
use k8s_openapi::api::apps::v1::{Deployment, StatefulSet};
use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use k8s_openapi::api::core::v1::{ConfigMap, PersistentVolumeClaim, Secret, Service, ServiceAccount};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use kube::api::{DynamicObject, ListParams};
use kube::core::ApiResource;
use kube::{Api, Client, Resource, ResourceExt};
use serde_json::json;
use voicemail_cores::child_names::{former_peers_name, sip_name, sip_selector_text};
use voicemail_resources::{MANAGED_BY_LABEL, MANAGER, TENANT_LABEL, TENANT_UID_LABEL, VoicemailTenant};
use voicemail_runtime::calls::{CallError, merge_metadata, within_deadline};

/// Whose children: a tenant that goes, or one that is gone.
struct Leaving<'a> {
    client: &'a Client,
    namespace: &'a str,
    tenant: &'a str,
    /// None: whichever it was; each child bears it.
    uid: Option<&'a str>,
}

/// Gives all children that don't outlive the tenant to the garbage collector.
///
/// # Errors
/// The API server refuses or doesn't answer: repeat it then.
pub async fn let_children_go(client: &Client, tenant: &VoicemailTenant) -> Result<(), CallError> {
    let (namespace, name) = (tenant.namespace().unwrap_or_default(), tenant.name_any());
    let uid = tenant.uid().unwrap_or_default();
    remove_jobs(&Api::namespaced(client.clone(), &namespace), &name, &uid).await?;
    Leaving { client, namespace: &namespace, tenant: &name, uid: Some(&uid) }.give_away().await
}

/// The same for a tenant that isn't there any more, whatever its UID was. Does nothing while there is one of that name.
///
/// # Errors
/// The API server refuses or doesn't answer: repeat it then.
pub async fn sweep(client: &Client, namespace: &str, tenant: &str) -> Result<(), CallError> {
    let tenants: Api<VoicemailTenant> = Api::namespaced(client.clone(), namespace);
    // Its metadata alone: one that can't be read is there, too.
    if within_deadline("read the tenant", tenants.get_metadata_opt(tenant)).await?.is_some() {
        return Ok(());
    }
    Leaving { client, namespace, tenant, uid: None }.give_away().await
}

impl Leaving<'_> {
    async fn give_away(&self) -> Result<(), CallError> {
        let name = child_name(self.tenant);
        // The pods first; what they need to end goes with the rest.
        let telephone = sip_name(self.tenant);
        self.give::<StatefulSet>(&telephone).await?;
        self.give::<Deployment>(&name).await?;
        self.give::<HorizontalPodAutoscaler>(&name).await?;
        for name in [&name, &telephone] {
            self.give::<PodDisruptionBudget>(name).await?;
            self.give::<NetworkPolicy>(name).await?;
        }
        let services =
            [name.clone(), headless_name(self.tenant), former_peers_name(self.tenant), telephone.clone()];
        for service in services {
            self.give::<Service>(&service).await?;
        }
        let authority = ca_name(self.tenant);
        for secret in
            [tls_name(self.tenant), tls_copy_name(self.tenant), authority.clone(), binding_name(self.tenant)]
        {
            self.give::<Secret>(&secret).await?;
        }
        self.give::<ConfigMap>(&authority).await?;
        self.give_spool_key(&telephone).await?;
        for name in [&name, &telephone] {
            self.give::<ConfigMap>(name).await?;
            self.give::<ServiceAccount>(name).await?;
        }
        for kind in [pod_monitor_resource(), prometheus_rule_resource()] {
            let api: Api<DynamicObject> = Api::namespaced_with(self.client.clone(), self.namespace, &kind);
            optional(&kind, self.give_in(&api, &name).await)?;
            optional(&kind, self.give_in(&api, &telephone).await)?;
        }
        let kind = provider_class_resource();
        optional(&kind, self.give_classes(&kind).await)
    }

    /// Where claims of the telephone's pods stay, the key of what may wait there stays, too.
    async fn give_spool_key(&self, name: &str) -> Result<(), CallError> {
        let claims: Api<PersistentVolumeClaim> = Api::namespaced(self.client.clone(), self.namespace);
        let chosen = ListParams::default().labels(&sip_selector_text(self.tenant)).limit(1);
        let left = within_deadline("list the claims of the spool", claims.list(&chosen)).await?;
        if left.items.is_empty() { self.give::<Secret>(name).await } else { Ok(()) }
    }

    async fn give<K: Child>(&self, name: &str) -> Result<(), CallError> {
        self.give_in(&Api::<K>::namespaced(self.client.clone(), self.namespace), name).await
    }

    async fn give_classes(&self, kind: &ApiResource) -> Result<(), CallError> {
        let api: Api<DynamicObject> = Api::namespaced_with(self.client.clone(), self.namespace, kind);
        let ours = format!("{MANAGED_BY_LABEL}={MANAGER},{TENANT_LABEL}={}", self.tenant);
        let chosen = ListParams::default().labels(&ours);
        let list = within_deadline("list the SecretProviderClasses", api.list(&chosen));
        for class in list.await?.items {
            self.give_one(&api, &class).await?;
        }
        Ok(())
    }

    async fn give_in<K: Live>(&self, api: &Api<K>, name: &str) -> Result<(), CallError> {
        match within_deadline("read a child", api.get_opt(name)).await? {
            Some(live) => self.give_one(api, &live).await,
            None => Ok(()),
        }
    }

    async fn give_one<K: Live>(&self, api: &Api<K>, live: &K) -> Result<(), CallError> {
        let Some(uid) = self.owner_of(live) else { return Ok(()) };
        let (namespace, name) = (self.namespace, live.name_any());
        tracing::info!(namespace, name, tenant = self.tenant, "giving a child to the garbage collector");
        let owners: Vec<_> =
            live.owner_references().iter().cloned().chain([reference(self.tenant, uid)]).collect();
        let given = json!({ "ownerReferences": owners });
        match merge_metadata("give a child to the garbage collector", api, live, given).await {
            Err(error) if !error.is_not_found() => Err(error),
            _ => Ok(()),
        }
    }

    /// The UID of the tenant that a child goes with; none if it isn't such a child, or goes already.
    fn owner_of<'l, K: Resource>(&self, live: &'l K) -> Option<&'l str> {
        let uid = live.labels().get(TENANT_UID_LABEL)?;
        let right = self.uid.is_none_or(|wanted| wanted == uid) && is_owned(live, self.tenant, uid);
        let going = is_collectable(live) || live.meta().deletion_timestamp.is_some();
        (right && !going).then_some(uid)
    }
}

/// A kind that the cluster doesn't serve, or doesn't let us at, has no child of ours, or none that holds up the tenant.
fn optional(kind: &ApiResource, done: Result<(), CallError>) -> Result<(), CallError> {
    match done {
        Err(error) if error.is_unknown_kind() || error.is_not_found() => Ok(()),
        Err(error) if error.is_forbidden() => {
            tracing::warn!(kind = kind.kind, %error, "a child may be left behind");
            Ok(())
        }
        done => done,
    }
}
