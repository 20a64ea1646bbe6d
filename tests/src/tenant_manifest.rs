//! Tenants for tests, made from the example that users start with.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use kube::Api;
use voicemail_resources::VoicemailTenant;
use voicemail_resources::conditions::{Condition, ConditionStatus, find_condition};
use voicemail_resources::quantity::Amount;
use voicemail_resources::references::Reference;
use voicemail_resources::voicemail_tenant::{Claim, Volume};

use voicemail_test_cluster::wait::wait_until;

/// Capacity of the tests' volumes; nothing enforces it.
pub const SIZE: &str = "16Mi";

/// The tenant of `examples/volume-tenant.yaml`, as it is there.
pub fn example_tenant() -> Result<VoicemailTenant> {
    named_example("volume-tenant.yaml")
}

/// The tenant of a file in `examples/`, as it is there.
pub fn named_example(file: &str) -> Result<VoicemailTenant> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples").join(file);
    let text = std::fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
    Ok(serde_yaml::from_str(&text)?)
}

/// The same under another name, on that volume and no other.
pub fn tenant_on(name: &str, volume: &str) -> Result<VoicemailTenant> {
    let mut tenant = example_tenant()?;
    tenant.metadata.name = Some(name.to_owned());
    let claim = claim_mut(&mut tenant)?;
    claim.size = Amount(SIZE.to_owned());
    claim.volume_name = Some(volume.to_owned());
    Ok(tenant)
}

/// The same on somebody else's claim.
pub fn tenant_on_existing_claim(name: &str, claim: &str) -> Result<VoicemailTenant> {
    let mut tenant = example_tenant()?;
    tenant.metadata.name = Some(name.to_owned());
    let volume = volume_mut(&mut tenant)?;
    volume.claim = None;
    volume.existing_claim_ref = Some(Reference { name: claim.to_owned() });
    Ok(tenant)
}

/// Its claim.
pub fn claim_mut(tenant: &mut VoicemailTenant) -> Result<&mut Claim> {
    volume_mut(tenant)?.claim.as_mut().context("the tenant makes no claim")
}

fn volume_mut(tenant: &mut VoicemailTenant) -> Result<&mut Volume> {
    let region = tenant.spec.regions.first_mut().context("the tenant has no region")?;
    region.storage.volume.as_mut().context("the tenant has no volume")
}

/// The condition of that type, if the tenant's status has it.
pub fn condition<'a>(tenant: &'a VoicemailTenant, type_: &str) -> Option<&'a Condition> {
    find_condition(&tenant.status.as_ref()?.conditions, type_)
}

/// Waits until a condition (type, status, reason) holds for the tenant's present spec.
pub async fn wait_condition(
    tenants: &Api<VoicemailTenant>,
    name: &str,
    (type_, status, reason): (&str, ConditionStatus, &str),
    deadline: Duration,
) -> Result<VoicemailTenant> {
    let holds = |tenant: &VoicemailTenant| {
        condition(tenant, type_).is_some_and(|found| {
            let present = found.observed_generation == tenant.metadata.generation;
            found.status == status && found.reason == reason && present
        })
    };
    let description = format!("its condition {type_} is {status:?} because of {reason}");
    wait_until(tenants, name, &description, deadline, holds).await
}

/// The id of the store, once known.
pub fn store_id(tenant: &VoicemailTenant) -> Option<&str> {
    tenant.status.as_ref()?.store_id.as_deref()
}
