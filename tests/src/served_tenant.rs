//! A tenant of a [`TenantPlace`] that people use: its accounts, a mailbox and the ways to its API.

use anyhow::Result;
use voicemail_resources::VoicemailTenant;

use crate::stage::{People, Site, Tenant, TenantManifest};
use crate::tenant_place::TenantPlace;

/// The mailbox that all of them use.
pub const MAILBOX: &str = "1001";
const MANY: i32 = 1_000;

/// Creates the tenant with its accounts in the place's namespace, waits until it is Ready, and makes the mailbox.
pub async fn serve(place: &TenantPlace, mut tenant: VoicemailTenant) -> Result<People> {
    let namespace = place.namespace.name();
    let accounts = tenant.spec.auth.service_accounts.iter_mut();
    accounts.for_each(|account| account.namespace = namespace.to_owned());
    tenant.spec.classes_of_service.iter_mut().for_each(|class| class.max_messages = MANY);
    let name = tenant.metadata.name.clone().unwrap_or_default();
    place.create(&tenant).await?;
    place.wait_ready(&name).await?;
    let site = Site::of_cluster(place.cluster.clone()).await?;
    let existing = Tenant::existing(&site, namespace, &tenant);
    let people = People::meet(&site, &existing, &TenantManifest::of(&tenant)?).await?;
    people.provision(&[MAILBOX]).await?;
    Ok(people)
}
