//! The tenant of the example in a namespace of a test's own, with the operator that all tests share.

use anyhow::Result;

use super::{People, SharedOperator, Site, Tenant, TenantManifest};

/// The tenant, and all that it stands on.
pub struct ExampleTenant {
    /// The local cluster.
    pub site: Site,
    /// Goes on running while this is there.
    pub operator: SharedOperator,
    /// The applied manifest.
    pub manifest: TenantManifest,
    /// Ready.
    pub tenant: Tenant,
}

impl ExampleTenant {
    /// Removes what an earlier run left in the namespace, applies the example there and waits until it is Ready.
    pub async fn open(namespace: &str) -> Result<Self> {
        Self::open_as(namespace, TenantManifest::example()?).await
    }

    /// As [`Self::open`], from another manifest.
    pub async fn open_as(namespace: &str, manifest: TenantManifest) -> Result<Self> {
        let (site, operator) = SharedOperator::local().await?;
        let manifest = manifest.in_namespace(namespace);
        Tenant::remove_leftovers(&site, namespace, &manifest).await?;
        let tenant = Tenant::apply(&site, namespace, &manifest).await?;
        tenant.wait_ready().await?;
        Ok(Self { site, operator, manifest, tenant })
    }

    /// Who uses it.
    pub async fn people(&self) -> Result<People> {
        People::meet(&self.site, &self.tenant, &self.manifest).await
    }

    /// The same, with mailboxes that are alice's.
    pub async fn serve(&self, mailboxes: &[&str]) -> Result<People> {
        let people = self.people().await?;
        people.provision(mailboxes).await?;
        Ok(people)
    }
}
