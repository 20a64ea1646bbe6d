//! A tenant of a [`TenantPlace`] that people use: its accounts, a mailbox and the ways to its API.

use anyhow::Result;
use voicemail_operator::api::VoicemailTenant;

use crate::stage::{Accounts, Api, Site, Tenant, TenantManifest};
use crate::tenant_place::TenantPlace;

/// The mailbox that all of them use.
pub const MAILBOX: &str = "1001";
const MANY: i32 = 1_000;

/// Who uses the tenant.
pub struct ServedTenant {
    /// Leaves messages.
    pub caller: Api,
    /// Reads and plays them.
    pub agent: Api,
    /// Holds and erases them.
    pub officer: Api,
}

impl ServedTenant {
    /// Creates the tenant with its accounts in the place's namespace, waits until it is Ready, and makes the mailbox.
    pub async fn create(place: &TenantPlace, mut tenant: VoicemailTenant) -> Result<Self> {
        let namespace = place.namespace.name();
        let accounts = tenant.spec.auth.service_accounts.iter_mut();
        accounts.for_each(|account| account.namespace = namespace.to_owned());
        tenant.spec.classes_of_service.iter_mut().for_each(|class| class.max_messages = MANY);
        let name = tenant.metadata.name.clone().unwrap_or_default();
        place.create(&tenant).await?;
        place.wait_ready(&name).await?;
        let site = Site::of_cluster(place.cluster.clone()).await?;
        let accounts = Accounts::create(&site, &TenantManifest::of(&tenant)?).await?;
        let api = Tenant::existing(&site, namespace, &tenant).connect().await?;
        let admin = api.with_token(accounts.token("provisioner")?);
        admin.put_mailbox(MAILBOX, "standard", "test").await?;
        admin.put_user("alice", &[MAILBOX], &[]).await?;
        Ok(Self {
            caller: api.with_token(accounts.token("media-server")?),
            agent: api.with_token(accounts.token("alice")?),
            officer: api.with_token(accounts.token("privacy-officer")?),
        })
    }
}
