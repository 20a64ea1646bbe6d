//! A namespace for each test, under the restricted Pod Security profile, deleted when the test ends.
//!
//! Deleting is asked for but not waited for. `VOICEMAIL_KEEP_NAMESPACES=1` keeps them for a look afterwards.

use anyhow::{Context, Result};
use k8s_openapi::api::core::v1::{Namespace, ServiceAccount};
use kube::api::{DeleteParams, PostParams};
use kube::{Api, Client, Config};
use serde_json::json;
use std::time::Duration;

use crate::wait::wait_until;

const DEADLINE: Duration = Duration::from_secs(60);

/// A namespace that lives as long as this value.
pub struct TestNamespace {
    name: String,
    client: Client,
    config: Config,
}

impl TestNamespace {
    /// Makes a namespace called `prefix` and a random suffix.
    pub async fn create(config: Config, prefix: &str) -> Result<Self> {
        let client = Client::try_from(config.clone())?;
        let suffix = uuid::Uuid::new_v4().simple().to_string();
        let name = format!("{prefix}-{}", &suffix[..8]);
        let object: Namespace = serde_json::from_value(json!({
            "metadata": {"name": name, "labels": {
                "pod-security.kubernetes.io/enforce": "restricted",
                "app.kubernetes.io/managed-by": "voicemail-tests",
            }},
        }))?;
        let api = Api::<Namespace>::all(client.clone());
        api.create(&PostParams::default(), &object)
            .await
            .with_context(|| format!("creating namespace {name}"))?;
        let namespace = Self { name, client, config };
        // Pods are refused until the namespace's account is there, which a busy controller manager makes late.
        wait_until(&namespace.api::<ServiceAccount>(), "default", "it is there", DEADLINE, |_| true).await?;
        Ok(namespace)
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// A client of the cluster.
    pub fn client(&self) -> Client {
        self.client.clone()
    }

    /// The API of one kind within this namespace.
    pub fn api<K>(&self) -> Api<K>
    where
        K: kube::Resource<Scope = k8s_openapi::NamespaceResourceScope, DynamicType = ()>,
    {
        Api::namespaced(self.client(), &self.name)
    }
}

impl Drop for TestNamespace {
    fn drop(&mut self) {
        if std::env::var_os("VOICEMAIL_KEEP_NAMESPACES").is_some() {
            return;
        }
        let (name, config) = (self.name.clone(), self.config.clone());
        // The test's runtime is about to end and so can't finish a request; another one can.
        let deleting = std::thread::spawn(move || delete(&name, config));
        if !matches!(deleting.join(), Ok(Ok(()))) {
            eprintln!("namespace {} stays, deleting it failed", self.name);
        }
    }
}

fn delete(name: &str, config: Config) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let api = Api::<Namespace>::all(Client::try_from(config)?);
        api.delete(name, &DeleteParams::background()).await?;
        Ok(())
    })
}
