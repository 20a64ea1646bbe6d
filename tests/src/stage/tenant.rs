//! A tenant from its manifest: applied, waited for, reached over HTTPS, and removed again.
//!
//! On the local cluster a tenant's data claim needs a volume that somebody made. It is reserved for this
//! claim, so that claims of others can't take it; its folder can be read from here.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use k8s_openapi::api::core::v1::{PersistentVolume, Secret};
use kube::Api;
use kube::api::{DeleteParams, Patch, PatchParams};
use serde_json::{Value, json};
use voicemail_model::{CallerHash, CallerId, RuleSet, TenantKey};
use voicemail_operator::tenant::build::certificate::CA_CERTIFICATE;
use voicemail_operator::tenant::build::keys::TENANT_KEY;
use voicemail_operator::tenant::build::names::{child_name, keys_name, ledger_name, tls_name};
use voicemail_resources::conditions::{ConditionStatus, READY, find_condition};
use voicemail_resources::{GdprRequest, VoicemailTenant};

use super::{Api as HttpApi, Endpoint, Site, own_namespace};
use voicemail_test_cluster::HostVolume;
use voicemail_test_cluster::wait::{wait_gone, wait_until};
use voicemail_test_machine::workspace_path;

/// User of the core's pods.
const USER: u32 = 10_001;
const PATIENCE: Duration = Duration::from_secs(120);

/// The manifest of a tenant.
#[derive(Clone, Debug)]
pub struct TenantManifest(Value);

impl TenantManifest {
    /// `examples/volume-tenant.yaml`.
    pub fn example() -> Result<Self> {
        let path = workspace_path("examples/volume-tenant.yaml");
        let text = std::fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
        Ok(Self(serde_yaml::from_str(&text)?))
    }

    /// That tenant's.
    pub fn of(tenant: &VoicemailTenant) -> Result<Self> {
        Ok(Self(serde_json::to_value(tenant)?))
    }

    /// The whole document.
    pub fn document(&mut self) -> &mut Value {
        &mut self.0
    }

    /// The same tenant, with its service accounts in that namespace.
    #[must_use]
    pub fn in_namespace(mut self, namespace: &str) -> Self {
        if let Some(accounts) = self.0["spec"]["auth"]["serviceAccounts"].as_array_mut() {
            accounts.iter_mut().for_each(|account| account["namespace"] = namespace.into());
        }
        self
    }

    /// The same tenant, with its data on a class of the cluster.
    #[must_use]
    pub fn on_storage_class(mut self, class: &str) -> Self {
        self.claim()["storageClassName"] = class.into();
        self
    }

    /// Its name.
    pub fn name(&self) -> &str {
        self.0["metadata"]["name"].as_str().unwrap_or_default()
    }

    /// The contact-centre id, which is also the audience of tokens.
    pub fn tenant_id(&self) -> &str {
        self.0["spec"]["tenantID"].as_str().unwrap_or_default()
    }

    /// Namespace and name of each service account that it trusts.
    pub fn accounts(&self) -> impl Iterator<Item = (&str, &str)> {
        let accounts = self.0["spec"]["auth"]["serviceAccounts"].as_array();
        accounts
            .into_iter()
            .flatten()
            .filter_map(|account| Some((account["namespace"].as_str()?, account["name"].as_str()?)))
    }

    fn claim(&mut self) -> &mut Value {
        &mut self.0["spec"]["regions"][0]["storage"]["volume"]["claim"]
    }
}

/// A tenant in a cluster.
#[derive(Clone, Debug)]
pub struct Tenant {
    site: Site,
    namespace: String,
    name: String,
    tenant_id: String,
    volume: Option<(String, PathBuf)>,
}

impl Tenant {
    /// Makes the namespace and, on the local cluster, the volume, and applies the manifest.
    pub async fn apply(site: &Site, namespace: &str, manifest: &TenantManifest) -> Result<Self> {
        Self::create_namespace(site, namespace).await?;
        let (name, tenant_id) = (manifest.name().to_owned(), manifest.tenant_id().to_owned());
        let volume = match site.cluster() {
            Some(_) => Some(create_volume(site, namespace, &name).await?),
            None => None,
        };
        site.apply_text(namespace, manifest.0.to_string()).await.context("applying the tenant")?;
        Ok(Self { site: site.clone(), namespace: namespace.to_owned(), name, tenant_id, volume })
    }

    /// One that somebody else has made.
    pub fn existing(site: &Site, namespace: &str, tenant: &VoicemailTenant) -> Self {
        Self {
            site: site.clone(),
            namespace: namespace.to_owned(),
            name: tenant.metadata.name.clone().unwrap_or_default(),
            tenant_id: tenant.spec.tenant_id.clone(),
            volume: None,
        }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its namespace.
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// Waits until all its replicas serve.
    pub async fn wait_ready(&self) -> Result<VoicemailTenant> {
        let api: Api<VoicemailTenant> = self.site.api(&self.namespace)?;
        wait_until(&api, &self.name, "the tenant is Ready", PATIENCE, is_ready).await
    }

    /// Opens the way to its API, for callers who bring a token.
    pub async fn connect(&self) -> Result<HttpApi> {
        HttpApi::new(self.open_way().await?, &self.authority().await?)
    }

    /// Opens the way to its Service.
    pub async fn open_way(&self) -> Result<Endpoint> {
        Endpoint::open(&self.site, &self.namespace, &child_name(&self.name)).await
    }

    /// The authority of its certificate, in PEM.
    pub async fn authority(&self) -> Result<Vec<u8>> {
        self.read_secret(&tls_name(&self.name), CA_CERTIFICATE).await
    }

    /// The folder of its volume, with everything that is stored; on the local cluster only.
    pub fn volume_folder(&self) -> Option<&Path> {
        self.volume.as_ref().map(|(_, folder)| folder.as_path())
    }

    /// Where its keys begin, below the volume's folder.
    pub fn prefix(&self) -> String {
        format!("v1/{}/", self.tenant_id)
    }

    /// The keyed hash of a caller's number, computed with the tenant key.
    pub async fn hash_caller(&self, number: &str, region: &str) -> Result<CallerHash> {
        let bytes = self.read_secret(&keys_name(&self.name), TENANT_KEY).await?;
        let key = TenantKey::new(bytes.trim_ascii()).context("the tenant key is too short")?;
        let rules = RuleSet::new(1, region, &[], &[]);
        let caller = CallerId::new(number).context("a withheld caller has no hash")?;
        let normalised = rules.normalise(&caller).context("a withheld caller has no hash")?;
        Ok(key.hash(&normalised))
    }

    async fn read_secret(&self, name: &str, key: &str) -> Result<Vec<u8>> {
        let api: Api<Secret> = self.site.api(&self.namespace)?;
        let found = api.get(name).await.with_context(|| format!("reading Secret {name}"))?;
        let bytes = found.data.unwrap_or_default().remove(key);
        Ok(bytes.with_context(|| format!("Secret {name} has no {key}"))?.0)
    }

    /// Its keys and, if there is one, its ledger, as somebody keeps them who backs up a namespace.
    pub async fn keep_secrets(&self) -> Result<Vec<Value>> {
        let api: Api<Secret> = self.site.api(&self.namespace)?;
        let mut kept = Vec::new();
        for name in [keys_name(&self.name), ledger_name(&self.name)] {
            let Some(found) = api.get_opt(&name).await? else { continue };
            let metadata = json!({"name": name, "labels": found.metadata.labels});
            kept.push(
                json!({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "data": found.data}),
            );
        }
        Ok(kept)
    }

    /// Deletes the tenant through its operator, which must run, and then its namespace and volume.
    pub async fn remove(&self) -> Result<()> {
        let api: Api<VoicemailTenant> = self.site.api(&self.namespace)?;
        delete(&api, &self.name).await?;
        wait_gone(&api, &self.name, PATIENCE).await?;
        own_namespace::remove(&self.site, &self.namespace).await?;
        self.remove_volume().await
    }

    async fn remove_volume(&self) -> Result<()> {
        match (self.site.cluster(), &self.volume) {
            (Some(cluster), Some((volume, _))) => cluster.delete_host_volume(volume).await,
            _ => Ok(()),
        }
    }

    /// Removes what an earlier run left in a namespace, whether or not an operator runs there.
    pub async fn remove_leftovers(site: &Site, namespace: &str, manifest: &TenantManifest) -> Result<bool> {
        let found = own_namespace::is_there(site, namespace).await?;
        if found {
            free_tenants(site, namespace).await?;
            own_namespace::remove(site, namespace).await?;
        }
        if let Some(cluster) = site.cluster() {
            cluster.delete_host_volume(&volume_name(namespace, manifest.name())).await?;
        }
        Ok(found)
    }

    /// Makes a tenant's namespace under the restricted Pod Security profile, unless it is there.
    pub async fn create_namespace(site: &Site, name: &str) -> Result<()> {
        own_namespace::make(site, name).await
    }

    /// Refuses a cluster that has tenants elsewhere: they are somebody's, and share the CRDs.
    pub async fn refuse_foreign_tenants(site: &Site, namespace: &str) -> Result<()> {
        let api: Api<VoicemailTenant> = Api::all(site.client()?);
        let Some(tenants) = absent_is_none(api.list(&Default::default()).await)? else { return Ok(()) };
        let foreign = tenants.iter().find(|tenant| tenant.metadata.namespace.as_deref() != Some(namespace));
        ensure!(
            site.cluster().is_some() || foreign.is_none(),
            "this cluster has voicemail tenants already: nothing was touched; use a cluster without"
        );
        Ok(())
    }
}

fn is_ready(tenant: &VoicemailTenant) -> bool {
    let Some(status) = &tenant.status else { return false };
    let ready = find_condition(&status.conditions, READY);
    status.observed_generation == tenant.metadata.generation
        && ready.is_some_and(|condition| condition.status == ConditionStatus::True)
}

fn volume_name(namespace: &str, tenant: &str) -> String {
    format!("{namespace}-{tenant}")
}

/// Makes the volume and keeps it for the tenant's claim alone.
async fn create_volume(site: &Site, namespace: &str, tenant: &str) -> Result<(String, PathBuf)> {
    let name = volume_name(namespace, tenant);
    let cluster = site.cluster().context("only the local cluster has volumes of this kind")?;
    let volume = HostVolume {
        name: &name,
        size: "20Gi",
        labels: BTreeMap::new(),
        access_modes: &["ReadWriteMany"],
        uid: USER,
    };
    let folder = cluster.create_host_volume(&volume).await?;
    let claim = json!({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "namespace": namespace, "name": child_name(tenant)});
    let patch = Patch::Merge(json!({"spec": {"claimRef": claim}}));
    let api: Api<PersistentVolume> = Api::all(site.client()?);
    api.patch(&name, &PatchParams::default(), &patch).await.context("reserving the volume")?;
    Ok((name, folder))
}

/// Takes the finalizers off a namespace's tenants, which nobody else does when their operator is gone.
async fn free_tenants(site: &Site, namespace: &str) -> Result<()> {
    let api: Api<VoicemailTenant> = site.api(namespace)?;
    let Some(tenants) = absent_is_none(api.list(&Default::default()).await)? else { return Ok(()) };
    for tenant in tenants {
        let name = tenant.metadata.name.unwrap_or_default();
        delete(&api, &name).await?;
        let free = Patch::Merge(json!({"metadata": {"finalizers": null}}));
        absent_is_none(api.patch(&name, &PatchParams::default(), &free).await)?;
    }
    let requests: Api<GdprRequest> = site.api(namespace)?;
    absent_is_none(requests.delete_collection(&DeleteParams::default(), &Default::default()).await).map(drop)
}

async fn delete<K>(api: &Api<K>, name: &str) -> Result<()>
where
    K: kube::Resource + Clone + serde::de::DeserializeOwned + std::fmt::Debug,
{
    absent_is_none(api.delete(name, &DeleteParams::background()).await)
        .map(drop)
        .with_context(|| format!("deleting {name}"))
}

/// `None` when the object or its whole kind isn't there.
pub(super) fn absent_is_none<T>(result: kube::Result<T>) -> Result<Option<T>> {
    match result {
        Ok(found) => Ok(Some(found)),
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(None),
        Err(error) => Err(error.into()),
    }
}
