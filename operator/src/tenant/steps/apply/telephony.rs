//! The telephone's objects: brought to what they should be, or taken away with care.
//!
//! Flow of the removal: the set is deleted in the foreground, so that it stays until its pods are gone, which let their
//! calls end and bring their recordings to the core; until then the pods' account, their configuration and their right to
//! call the core stay. What is left is given to the garbage collector then, which takes what names an owner that isn't
//! there. Claims of the pods stay, and with them the key of what may wait there: nobody heard it yet.
//!
//! What can go wrong: the API server refuses an object, as a policy of the namespace may. The core serves all the same,
//! so that is a fact for the status and no failure of the tenant.

use crate::tenant::build::pod_monitor::pod_monitor_resource;
use crate::tenant::build::telephony::{BuiltTelephony, make_spool_secret};
use crate::tenant::facts::belonging::is_owned;
use crate::tenant::facts::telephones::find_telephones;
use crate::tenant::memory::child_versions::Version;
use crate::tenant::steps::apply::ApplyError;
use crate::tenant::steps::apply::applier::{Applier, Child, applied_hash, stamp};
use aws_lc_rs::digest::{SHA256, digest};
use k8s_openapi::Resource;
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{ConfigMap, PersistentVolumeClaim, Secret, Service, ServiceAccount};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::api::{DeleteParams, ListParams, PostParams, Preconditions};
use kube::{Api, ResourceExt};
use serde_json::json;
use voicemail_cores::child_names::{sip_name, sip_selector_text};
use voicemail_resources::MANAGER;
use voicemail_runtime::calls::{Classified, ErrorClass, merge_metadata, within_deadline};

/// How the telephone's objects are.
#[derive(Clone, Debug, Default)]
pub enum TelephonyFact {
    /// The tenant has no telephone.
    #[default]
    Unwanted,
    /// They are as they should be; the pods' set as the API server returned it.
    Applied(Box<StatefulSet>),
    /// The API server refuses one, or a name is taken: (reason, message).
    Refused(&'static str, String),
}

impl Applier<'_> {
    /// Brings the telephone to what it should be.
    pub(super) async fn ensure_telephony(
        &self,
        desired: Option<BuiltTelephony>,
    ) -> Result<TelephonyFact, ApplyError> {
        let Some(built) = desired else {
            return self.remove_telephony().await.map(|()| TelephonyFact::Unwanted);
        };
        match Box::pin(self.bring_telephony(built)).await {
            Ok(set) => Ok(TelephonyFact::Applied(Box::new(set))),
            Err(error) if error.class() == ErrorClass::Permanent => {
                Ok(TelephonyFact::Refused(error.reason(), error.to_string()))
            }
            Err(error) => Err(error),
        }
    }

    async fn bring_telephony(&self, built: BuiltTelephony) -> Result<StatefulSet, ApplyError> {
        self.keep(built.service_account).await?;
        self.keep(built.config).await?;
        self.ensure_spool_key().await?;
        self.keep(built.service).await?;
        self.keep(built.network_policy).await?;
        let set = self.ensure_set(built.stateful_set).await?;
        // A budget without pods is announced as a mistake.
        if set.status.as_ref().is_some_and(|status| status.replicas > 0) {
            self.keep(built.disruption_budget).await?;
        }
        self.ensure_known_as(pod_monitor_resource(), &sip_name(&self.plan.name), built.pod_monitor).await;
        Ok(set)
    }

    async fn ensure_set(&self, desired: StatefulSet) -> Result<StatefulSet, ApplyError> {
        let name = desired.name_any();
        let desired = stamp(&desired, StatefulSet::API_VERSION, StatefulSet::KIND)?;
        let wanted = applied_hash(&desired);
        let live = Box::pin(self.converge_in(&self.sets(), StatefulSet::KIND, desired)).await?;
        self.remember(StatefulSet::KIND, &name, Version::of_stateful_set(&live), wanted);
        Ok(live)
    }

    /// Never replaces a key: another one opens nothing of what waits.
    async fn ensure_spool_key(&self) -> Result<(), ApplyError> {
        let name = sip_name(&self.plan.name);
        if let Some(live) =
            within_deadline("read the Secret of the spool's key", self.secrets().get_opt(&name)).await?
        {
            return self.take_over(&live).await;
        }
        let secret = make_spool_secret(self.plan).map_err(|error| ApplyError::Material(error.to_string()))?;
        let parameters = PostParams { field_manager: Some(MANAGER.into()), ..Default::default() };
        let secrets = self.secrets();
        let made = secrets.create(&parameters, &secret);
        within_deadline("create the Secret of the spool's key", made).await?;
        Ok(())
    }

    /// One that was left with claims, by this tenant or a former one of its name, is used on.
    async fn take_over(&self, live: &Secret) -> Result<(), ApplyError> {
        self.check_ours(live, Secret::KIND)?;
        if is_owned(live, &self.plan.name, &self.plan.uid) {
            return Ok(());
        }
        let marked = json!({"labels": {(voicemail_resources::TENANT_UID_LABEL): self.plan.uid}});
        merge_metadata("mark a Secret", &self.secrets(), live, marked).await?;
        Ok(())
    }

    fn sets(&self) -> Api<StatefulSet> {
        Api::namespaced(self.context.client.clone(), &self.plan.namespace)
    }

    /// Has the pods end, and says whether they are all gone.
    ///
    /// # Errors
    /// See [`ApplyError`].
    pub(super) async fn stop_telephony(&self) -> Result<bool, ApplyError> {
        let (sets, name) = (self.sets(), sip_name(&self.plan.name));
        let Some(set) = find_telephones(&sets, &name).await? else { return Ok(true) };
        if !is_owned(&set, &self.plan.name, &self.plan.uid) {
            return Ok(true);
        }
        if set.metadata.deletion_timestamp.is_some() {
            return Ok(false);
        }
        tracing::info!(namespace = self.plan.namespace, name, "the telephone's pods are to end their calls");
        let preconditions = Some(Preconditions { uid: set.uid(), resource_version: None });
        let parameters = DeleteParams { preconditions, ..DeleteParams::foreground() };
        match within_deadline("delete a child", sets.delete(&name, &parameters)).await {
            Err(error) if !error.is_not_found() => Err(error.into()),
            _ => Ok(false),
        }
    }

    async fn remove_telephony(&self) -> Result<(), ApplyError> {
        let (key, name) = (self.plan.key(), sip_name(&self.plan.name));
        let kinds = [
            StatefulSet::KIND,
            ServiceAccount::KIND,
            ConfigMap::KIND,
            Service::KIND,
            NetworkPolicy::KIND,
            PodDisruptionBudget::KIND,
        ];
        // A watch that hasn't listed yet wakes the tenant when it has.
        if !kinds.iter().any(|kind| self.context.memories.is_seen(kind, &key, &name)) {
            return Ok(());
        }
        if !self.stop_telephony().await? {
            return Ok(());
        }
        self.remove_spool_key(&name).await?;
        self.ensure_known_as(pod_monitor_resource(), &name, None).await;
        self.remove_named(&self.api::<PodDisruptionBudget>(), PodDisruptionBudget::KIND, &name).await?;
        self.remove_named(&self.api::<NetworkPolicy>(), NetworkPolicy::KIND, &name).await?;
        self.give_up::<Service>(&name).await?;
        self.give_up::<ConfigMap>(&name).await?;
        self.give_up::<ServiceAccount>(&name).await
    }

    fn api<K: Child>(&self) -> Api<K> {
        Api::namespaced(self.context.client.clone(), &self.plan.namespace)
    }

    /// The key goes with the last claim of the pods.
    async fn remove_spool_key(&self, name: &str) -> Result<(), ApplyError> {
        let chosen = ListParams::default().labels(&sip_selector_text(&self.plan.name)).limit(1);
        let claims = self.api::<PersistentVolumeClaim>();
        let left = within_deadline("list the claims of the spool", claims.list(&chosen)).await?;
        match left.items.is_empty() {
            true => self.remove_named(&self.secrets(), Secret::KIND, name).await,
            false => Ok(()),
        }
    }

    /// Names an owner that isn't there: the garbage collector looks for it and takes the child.
    async fn give_up<K: Child>(&self, name: &str) -> Result<(), ApplyError> {
        let api = self.api::<K>();
        let Some(live) = within_deadline("read a child", api.get_opt(name)).await? else { return Ok(()) };
        let given = live.owner_references().iter().any(|owner| owner.kind == StatefulSet::KIND);
        if given || !is_owned(&live, &self.plan.name, &self.plan.uid) {
            return Ok(());
        }
        let owner = OwnerReference {
            api_version: StatefulSet::API_VERSION.into(),
            kind: StatefulSet::KIND.into(),
            name: name.into(),
            uid: foreign_uid(&live.uid().unwrap_or_default()),
            ..Default::default()
        };
        let owners = json!({ "ownerReferences": [owner] });
        match merge_metadata("give a child to the garbage collector", &api, &live, owners).await {
            Err(error) if !error.is_not_found() => Err(error.into()),
            _ => Ok(()),
        }
    }
}

/// A UID that no object has, made of one that one has.
fn foreign_uid(uid: &str) -> String {
    let hex = hex::encode(digest(&SHA256, uid.as_bytes()).as_ref());
    format!("{}-{}-4{}-8{}-{}", &hex[..8], &hex[8..12], &hex[13..16], &hex[17..20], &hex[20..32])
}

#[cfg(test)]
mod tests {
    use super::foreign_uid;

    #[test]
    fn an_owner_that_is_not_there_has_a_uid_of_the_right_form() {
        let uid = foreign_uid("a");
        let lengths: Vec<usize> = uid.split('-').map(str::len).collect();
        assert_eq!(lengths, [8, 4, 4, 4, 12]);
        assert_ne!(uid, foreign_uid("b"));
    }
}
