//! Namespaces that the stage made, and may remove again.
//!
//! On a cluster of the user's own a namespace of the same name may hold real tenants. So every namespace is
//! marked when it is made here, and one without the mark is neither used nor removed. The local cluster is
//! ours as a whole.

use anyhow::{Context, Result, ensure};
use k8s_openapi::api::core::v1::Namespace;
use kube::Api;
use kube::api::{DeleteParams, Patch, PatchParams};
use serde_json::json;
use std::time::Duration;

use super::Site;
use super::tenant::absent_is_none;
use voicemail_test_cluster::wait::wait_gone;

const MARK: &str = "voicemail-tests/stage";
const PATIENCE: Duration = Duration::from_secs(120);

/// Makes a namespace under the restricted Pod Security profile, unless one of ours is there.
pub(super) async fn make(site: &Site, name: &str) -> Result<()> {
    is_there(site, name).await?;
    let labels = json!({"pod-security.kubernetes.io/enforce": "restricted", MARK: "true"});
    let object =
        json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}});
    let parameters = PatchParams::apply("voicemail-tests").force();
    let api: Api<Namespace> = Api::all(site.client()?);
    let applied = api.patch(name, &parameters, &Patch::Apply(object)).await;
    applied.map(drop).with_context(|| format!("creating namespace {name}"))
}

/// Whether there is such a namespace of ours.
///
/// # Errors
/// When there is one that somebody else made.
pub(super) async fn is_there(site: &Site, name: &str) -> Result<bool> {
    let api: Api<Namespace> = Api::all(site.client()?);
    let Some(found) = api.get_opt(name).await? else { return Ok(false) };
    let marked = found.metadata.labels.is_some_and(|labels| labels.contains_key(MARK));
    ensure!(
        marked || site.cluster().is_some(),
        "the namespace {name} is there already and wasn't made by an earlier run: nothing was touched; \
         use another cluster, or remove that namespace yourself if you can do without it"
    );
    Ok(true)
}

/// Deletes a namespace of ours with everything in it and waits until it is gone; an absent one is no error.
pub(super) async fn remove(site: &Site, name: &str) -> Result<()> {
    if !is_there(site, name).await? {
        return Ok(());
    }
    let api: Api<Namespace> = Api::all(site.client()?);
    let deleted = absent_is_none(api.delete(name, &DeleteParams::background()).await);
    deleted.with_context(|| format!("deleting namespace {name}"))?;
    wait_gone(&api, name, PATIENCE).await
}
