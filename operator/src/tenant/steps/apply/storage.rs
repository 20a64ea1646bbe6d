//! The claim, or the SecretProviderClasses of regions whose credentials are in a vault.

use crate::tenant::build::BuiltStorage;
use crate::tenant::build::names::child_name;
use crate::tenant::build::secret_provider_class::provider_class_resource;
use crate::tenant::facts::storage::StoragePlan;
use crate::tenant::memory::child_versions::Version;
use crate::tenant::steps::apply::applier::{Applier, stamp};
use crate::tenant::steps::apply::{AppliedStorage, ApplyError};
use k8s_openapi::Resource;
use k8s_openapi::api::core::v1::PersistentVolumeClaim;
use kube::api::{DeleteParams, DynamicObject};
use kube::{Api, ResourceExt};
use voicemail_runtime::calls::{Classified, ErrorClass, within_deadline};

impl Applier<'_> {
    /// Brings the claim, which was just read, or the SecretProviderClasses, to what they should be.
    pub(super) async fn ensure_storage(
        &self,
        storage: BuiltStorage,
        live: Option<&PersistentVolumeClaim>,
    ) -> Result<AppliedStorage, ApplyError> {
        match storage {
            BuiltStorage::Claim(claim) => self.ensure_claim(*claim, live).await,
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
    pub(super) async fn ensure_claim(
        &self,
        claim: PersistentVolumeClaim,
        live: Option<&PersistentVolumeClaim>,
    ) -> Result<AppliedStorage, ApplyError> {
        let refused = match self.converge_claim(claim, live).await {
            Ok(claim) => {
                self.note_claim(&claim);
                return Ok(AppliedStorage::Claim { claim: Box::new(claim), refused: None });
            }
            Err(ApplyError::Call(error))
                if error.is_forbidden() || error.class() == ErrorClass::Permanent =>
            {
                error
            }
            Err(error) => return Err(error),
        };
        let api: Api<PersistentVolumeClaim> =
            Api::namespaced(self.context.client.clone(), &self.plan.namespace);
        let live = within_deadline("read the data claim", api.get_opt(&child_name(&self.plan.name))).await?;
        match live {
            Some(claim) => {
                self.note_claim(&claim);
                Ok(AppliedStorage::Claim { claim: Box::new(claim), refused: Some(refused.to_string()) })
            }
            None => Err(refused.into()),
        }
    }

    /// One that goes in this very moment isn't made anew, if the store is known.
    async fn converge_claim(
        &self,
        claim: PersistentVolumeClaim,
        live: Option<&PersistentVolumeClaim>,
    ) -> Result<PersistentVolumeClaim, ApplyError> {
        let client = self.context.client.clone();
        let api: Api<PersistentVolumeClaim> = Api::namespaced(client, &self.plan.namespace);
        if live.is_none() && self.plan.is_store_known {
            return Err(ApplyError::ClaimGone(claim.name_any()));
        }
        let kind = PersistentVolumeClaim::KIND;
        let desired = stamp(&claim, PersistentVolumeClaim::API_VERSION, kind)?;
        Box::pin(self.converge_from(&api, kind, live.cloned(), desired)).await
    }

    /// It is read each time; what is remembered is that it has been seen like this.
    fn note_claim(&self, claim: &PersistentVolumeClaim) {
        let version = Version::of(&claim.metadata);
        self.remember(PersistentVolumeClaim::KIND, &claim.name_any(), version, String::new());
    }

    /// Deletes SecretProviderClasses of regions that get their credentials elsewhere now.
    pub(super) async fn delete_unused_classes(&self) -> Result<(), ApplyError> {
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

    pub(super) fn provider_classes(&self) -> Api<DynamicObject> {
        Api::namespaced_with(self.context.client.clone(), &self.plan.namespace, &provider_class_resource())
    }
}
