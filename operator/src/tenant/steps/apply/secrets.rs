//! Secrets that the operator makes: the keys, once; the authority and the serving certificate, when they are due; the copy
//! of a certificate that is brought; and taking away what a certificate was made by, once another one was brought.

use crate::tenant::build::certificate::{
    Authority, build_authority_secret, build_copy_secret, make_authority, make_serving_secret,
    renew_authority,
};
use crate::tenant::build::keys::{build_keys_secret, generate_keys};
use crate::tenant::build::names::{ca_name, tls_copy_name, tls_name};
use crate::tenant::facts::belonging::other_owners;
use crate::tenant::steps::apply::ApplyError;
use crate::tenant::steps::apply::applier::{Applier, NO_VERSION};
use crate::tenant::steps::dereference::Look;
use crate::tenant::steps::validate::TlsPlan;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Secret;
use kube::api::{Patch, PatchParams, PostParams};
use kube::{Api, ResourceExt};
use serde_json::json;
use voicemail_resources::{MANAGER, TENANT_UID_LABEL};
use voicemail_runtime::calls::{merge_metadata, within_deadline};

impl Applier<'_> {
    /// Creates the keys' Secret, when the plan says that there never was one. Never replaces.
    pub(super) async fn ensure_keys(&self) -> Result<(), ApplyError> {
        if !self.plan.keys.make {
            return Ok(());
        }
        let material = generate_keys().map_err(|error| ApplyError::Material(error.to_string()))?;
        let secret = build_keys_secret(self.plan, &material);
        let parameters = PostParams { field_manager: Some(MANAGER.into()), ..Default::default() };
        within_deadline("create the keys' Secret", self.secrets().create(&parameters, &secret)).await?;
        Ok(())
    }

    /// Makes what is due of authority and serving certificate, or copies the one that is brought. Returns the authority of a
    /// certificate that was made, as PEM.
    pub(super) async fn ensure_certificate(&self, now: Timestamp) -> Result<Option<String>, ApplyError> {
        let material = |error: crate::tenant::build::certificate::CertificateError| {
            ApplyError::Material(error.to_string())
        };
        let authority = match &self.plan.tls {
            TlsPlan::Keep => return Ok(None),
            TlsPlan::Copy(source, parts) => {
                self.apply_secret(build_copy_secret(self.plan, source, parts)).await?;
                return Ok(None);
            }
            TlsPlan::Renew(authority) => authority.clone(),
            // One whose key somebody broke can't be renewed.
            TlsPlan::Prolong(authority) => {
                let renewed = renew_authority(self.plan, authority, now);
                let renewed = renewed.or_else(|_| make_authority(self.plan, now));
                self.apply_authority(renewed.map_err(material)?).await?
            }
            TlsPlan::Start => {
                self.remove_copy().await?;
                self.apply_authority(make_authority(self.plan, now).map_err(material)?).await?
            }
        };
        self.apply_secret(make_serving_secret(self.plan, &authority, now).map_err(material)?).await?;
        Ok(Some(authority.certificate))
    }

    async fn apply_authority(&self, authority: Authority) -> Result<Authority, ApplyError> {
        self.apply_secret(build_authority_secret(self.plan, &authority)).await?;
        Ok(authority)
    }

    /// Gives the tenant's UID to Secrets that were made before there was that label, or for an earlier tenant of this
    /// name, and takes them from the garbage collector.
    pub(super) async fn mark_secrets(&self) -> Result<(), ApplyError> {
        for name in &self.plan.unmarked_secrets {
            let live = within_deadline("read a Secret", self.secrets().get_opt(name)).await?;
            let Some(live) = live else { continue };
            self.check_ours(&live, "Secret")?;
            let labels = json!({ TENANT_UID_LABEL: self.plan.uid });
            let marked = json!({ "labels": labels, "ownerReferences": other_owners(&live) });
            merge_metadata("mark a Secret", &self.secrets(), &live, marked).await?;
        }
        Ok(())
    }

    pub(super) async fn apply_secret(&self, mut secret: Secret) -> Result<(), ApplyError> {
        let name = secret.name_any();
        let live = match self.plan.made_secrets.get(&name) {
            Some(read) => read.clone(),
            None => within_deadline("read a Secret", self.secrets().get_metadata_opt(&name)).await?,
        };
        if let Some(live) = &live {
            self.check_ours(live, "Secret")?;
            secret.metadata.uid = live.uid();
        }
        if self.plan.look == Look::First && live.is_none() {
            secret.metadata.resource_version = Some(NO_VERSION.into());
        }
        tracing::info!(kind = "Secret", namespace = self.plan.namespace, name, "applying");
        // What wasn't there when it was looked for has no fields of others; if it has, somebody made it meanwhile.
        let parameters = PatchParams { force: live.is_some(), ..PatchParams::apply(MANAGER) };
        within_deadline("apply a Secret", self.secrets().patch(&name, &parameters, &Patch::Apply(&secret)))
            .await?;
        Ok(())
    }

    pub(super) fn secrets(&self) -> Api<Secret> {
        Api::namespaced(self.context.client.clone(), &self.plan.namespace)
    }

    /// A copy under a name of its own is left over once no certificate is brought any more. A new tenant never had one.
    async fn remove_copy(&self) -> Result<(), ApplyError> {
        let name = tls_copy_name(&self.plan.name);
        match name == self.plan.tls_secret || self.plan.look == Look::First {
            true => Ok(()),
            false => self.remove_named(&self.secrets(), "Secret", &name).await,
        }
    }

    /// Takes away what the certificate was made by, and that one if nothing mounts it any more. The authority goes last:
    /// while it is there, this is repeated.
    pub(super) async fn remove_unused_certificate(&self) -> Result<(), ApplyError> {
        if !self.plan.has_unused_certificate {
            return Ok(());
        }
        for name in [tls_name(&self.plan.name), ca_name(&self.plan.name)] {
            let brought = self.plan.brought_tls_secret.as_ref() == Some(&name);
            if name != self.plan.tls_secret && !brought {
                self.remove_named(&self.secrets(), "Secret", &name).await?;
            }
        }
        Ok(())
    }
}
