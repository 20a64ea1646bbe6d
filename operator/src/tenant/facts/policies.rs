//! The platform team's policies, and a tenant as those that apply let it be.
//!
//! Flow: the objects are listed once and known until their watch tells of a change; beside them are those of a file, for an
//! operator that may not read cluster-wide objects. [`Policies::bind`] is asked before each reconcile, and works on a copy:
//! the object stays as it was written.
//!
//! What can go wrong: a policy can't be read. Then nothing is reconciled, for it might forbid just that.

use crate::tenant::context::Context;
use crate::tenant::steps::refusal::Refusal;
use k8s_openapi::api::core::v1::{Namespace, Secret};
use kube::api::ListParams;
use kube::{Api, Client, ResourceExt};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use voicemail_resources::policy::{Bound, applies, bind, is_usable, named_secrets};
use voicemail_resources::{VoicemailPolicy, VoicemailPolicySpec, VoicemailTenant};
use voicemail_runtime::calls::{CallError, within_deadline};

/// Why the file with policies is of no use.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PolicyFileError {
    /// It can't be read.
    #[error("{0}: {1}")]
    Read(String, std::io::Error),
    /// It holds something else.
    #[error("{0}: write specs of VoicemailPolicies by their names: {1}")]
    Parse(String, serde_yaml::Error),
}

/// Objects as they were listed, and how often they have changed.
#[derive(Debug, Default)]
struct Known {
    changes: u64,
    objects: Option<Arc<Vec<VoicemailPolicy>>>,
}

/// All policies.
#[derive(Debug, Default)]
pub struct Policies {
    of_file: Vec<VoicemailPolicy>,
    /// None where cluster-wide objects can't be read.
    known: Option<Mutex<Known>>,
    /// Held by the look that lists the policies: other looks wait for what it finds.
    listing: tokio::sync::Mutex<()>,
}

impl Policies {
    /// The cluster's, if they can be read.
    pub fn new(cluster_wide: bool) -> Self {
        Self { known: cluster_wide.then(Mutex::default), ..Self::default() }
    }

    /// The same beside those of a file.
    pub fn with_file(self, of_file: Vec<VoicemailPolicy>) -> Self {
        Self { of_file, ..self }
    }

    /// A policy came, changed or went.
    pub fn note_change(&self) {
        if let Some(mut known) = self.lock() {
            *known = Known { changes: known.changes.wrapping_add(1), objects: None };
        }
    }

    /// The tenant as its policies let it be.
    ///
    /// # Errors
    /// The policies or the namespace can't be read.
    pub async fn bind(&self, client: &Client, tenant: &VoicemailTenant) -> Result<Bound, CallError> {
        let objects = self.list(client).await?;
        let mut all: Vec<VoicemailPolicy> = self.of_file.iter().chain(objects.iter()).cloned().collect();
        if all.iter().any(|policy| !policy.spec.namespace_labels.is_empty()) {
            let labels = read_labels(client, &tenant.namespace().unwrap_or_default()).await?;
            all.retain(|policy| applies(policy, &labels));
        }
        Ok(bind(&all, &tenant.spec))
    }

    /// What is listed while something changes isn't kept.
    async fn list(&self, client: &Client) -> Result<Arc<Vec<VoicemailPolicy>>, CallError> {
        let _turn = self.listing.lock().await;
        let (changes, objects) = match self.lock() {
            Some(known) => (known.changes, known.objects.clone()),
            None => return Ok(Arc::default()),
        };
        if let Some(objects) = objects {
            return Ok(objects);
        }
        let api: Api<VoicemailPolicy> = Api::all(client.clone());
        let listed = match within_deadline("list the policies", api.list(&ListParams::default())).await {
            Ok(list) => Arc::new(list.items),
            // Where the kind isn't served there is no object of it.
            Err(error) if error.is_not_found() || error.is_unknown_kind() => return Ok(Arc::default()),
            Err(error) => return Err(error),
        };
        if let Some(mut known) = self.lock().filter(|known| known.changes == changes) {
            known.objects = Some(listed.clone());
        }
        Ok(listed)
    }

    fn lock(&self) -> Option<MutexGuard<'_, Known>> {
        self.known.as_ref().map(|known| known.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// What policies don't let be rolled out.
///
/// # Errors
/// A Secret can't be read.
pub async fn find_refusal(
    client: &Client,
    tenant: &VoicemailTenant,
    bound: &Bound,
) -> Result<Option<Refusal>, CallError> {
    if !bound.refused.is_empty() {
        return Ok(Some(Refusal::PolicyViolation(bound.words())));
    }
    if !bound.labelled_secrets {
        return Ok(None);
    }
    let api: Api<Secret> = Api::namespaced(client.clone(), &tenant.namespace().unwrap_or_default());
    let mut lacking = Vec::new();
    for name in named_secrets(&tenant.spec) {
        let read = within_deadline("read a Secret's labels", api.get_metadata_opt(&name)).await?;
        // What isn't there is told of by what needs it.
        if read.is_some_and(|secret| !is_usable(secret.labels(), &tenant.name_any())) {
            lacking.push(name);
        }
    }
    Ok((!lacking.is_empty()).then(|| Refusal::SecretNotUsable(lacking.join(", "))))
}

/// A namespace that is gone has no labels.
async fn read_labels(client: &Client, name: &str) -> Result<BTreeMap<String, String>, CallError> {
    let api: Api<Namespace> = Api::all(client.clone());
    let read = within_deadline("read the namespace's labels", api.get_opt(name)).await?;
    Ok(read.map(|namespace| namespace.labels().clone()).unwrap_or_default())
}

/// Reads a file of specs by their names.
///
/// # Errors
/// See [`PolicyFileError`].
pub fn read_file(path: &Path) -> Result<Vec<VoicemailPolicy>, PolicyFileError> {
    let name = || path.display().to_string();
    let text = std::fs::read_to_string(path).map_err(|error| PolicyFileError::Read(name(), error))?;
    let specs: BTreeMap<String, VoicemailPolicySpec> =
        serde_yaml::from_str(&text).map_err(|error| PolicyFileError::Parse(name(), error))?;
    Ok(specs.into_iter().map(|(name, spec)| VoicemailPolicy::new(&name, spec)).collect())
}

/// The tenant with the spec that is carried out, and what its policies say.
///
/// # Errors
/// The policies can't be read.
pub async fn bind_tenant(
    context: &Context,
    tenant: &VoicemailTenant,
) -> Result<(VoicemailTenant, Bound), CallError> {
    let bound = context.policies.bind(&context.client, tenant).await?;
    let held = VoicemailTenant { spec: bound.spec.clone(), ..tenant.clone() };
    Ok((held, bound))
}
