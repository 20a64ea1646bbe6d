//! The people of the examples: the tenant's service accounts, each with its way to the API.

use anyhow::Result;

use super::{Accounts, Api, Site, Tenant, TenantManifest};

/// Who uses a tenant.
#[derive(Clone)]
pub struct People {
    /// Makes mailboxes and says whose they are.
    pub admin: Api,
    /// Leaves messages.
    pub media_server: Api,
    /// Reads and plays them: alice.
    pub agent: Api,
    /// Holds, exports and erases them.
    pub officer: Api,
}

impl People {
    /// Makes the accounts that the manifest names, with tokens for the tenant.
    pub async fn meet(site: &Site, tenant: &Tenant, manifest: &TenantManifest) -> Result<Self> {
        let accounts = Accounts::create(site, manifest).await?;
        let api = tenant.connect().await?;
        api.wait_answer().await?;
        let as_account = |name: &str| anyhow::Ok(api.with_token(accounts.token(name)?));
        Ok(Self {
            admin: as_account("provisioner")?,
            media_server: as_account("media-server")?,
            agent: as_account("alice")?,
            officer: as_account("privacy-officer")?,
        })
    }

    /// Makes mailboxes, which are alice's.
    pub async fn provision(&self, mailboxes: &[&str]) -> Result<()> {
        for mailbox in mailboxes {
            self.admin.put_mailbox(mailbox, "standard", "test").await?;
        }
        self.admin.put_user("alice", mailboxes, &[]).await.map(drop)
    }
}
