//! The namespaces that tenants are spread over, as teams of one platform are.
//!
//! In one namespace, controllers of Kubernetes that look through all Services or budgets of a pod's namespace would take
//! longer with each tenant, whatever program makes it.

use std::time::Duration;

use anyhow::{Context, Result};
use futures::{StreamExt, TryStreamExt, stream};
use k8s_openapi::api::core::v1::Namespace;
use kube::{Api, Client};
use voicemail_test_cluster::Cluster;
use voicemail_test_cluster::namespace::TestNamespace;
use voicemail_test_cluster::wait::wait_gone;

const TENANTS_EACH: usize = 20;
const AT_A_TIME: usize = 8;
const GONE_WITHIN: Duration = Duration::from_secs(900);

/// Namespaces for numbered tenants.
pub(crate) struct Spread {
    client: Client,
    namespaces: Vec<TestNamespace>,
}

impl Spread {
    /// As many as so many tenants need.
    pub(crate) async fn create(cluster: &Cluster, prefix: &str, tenants: usize) -> Result<Self> {
        let config = cluster.config().await?;
        let making =
            (0..tenants.div_ceil(TENANTS_EACH)).map(|_| TestNamespace::create(config.clone(), prefix));
        let namespaces = stream::iter(making).buffered(AT_A_TIME).try_collect().await?;
        Ok(Self { client: Client::try_from(config)?, namespaces })
    }

    /// The namespace of the tenant with that number.
    pub(crate) fn of(&self, number: usize) -> Result<&TestNamespace> {
        self.namespaces
            .get(number / TENANTS_EACH)
            .with_context(|| format!("no namespace for tenant {number}"))
    }

    pub(crate) fn all(&self) -> &[TestNamespace] {
        &self.namespaces
    }

    pub(crate) fn client(&self) -> Client {
        self.client.clone()
    }

    /// Removes them and waits, so that nothing of them goes on beside what comes next.
    pub(crate) async fn remove(self) -> Result<()> {
        let Self { client, namespaces } = self;
        let names: Vec<String> = namespaces.iter().map(|namespace| namespace.name().to_owned()).collect();
        drop(namespaces);
        let api = Api::<Namespace>::all(client);
        for name in names {
            wait_gone(&api, &name, GONE_WITHIN).await?;
        }
        Ok(())
    }
}
