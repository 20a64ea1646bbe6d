//! The contents of a tenant's stores, and the obstacles to letting them go.

use super::Purpose;
use futures::TryStreamExt;
use std::collections::BTreeMap;
use voicemail_engine::context::Context;
use voicemail_engine::gdpr::find_open;
use voicemail_model::{Index, TenantDocument};
use voicemail_store::Family;
use voicemail_store::{Key, StoreError, parse_index};

/// The obstacles to letting the stores go.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::admin) struct RetireBlockers {
    /// Data-subject requests that haven't ended, by their ids. A purge that is due is one of them.
    pub open_runs: Vec<String>,
    /// Messages under a legal hold.
    pub held: u64,
    /// Other clusters that use the store.
    pub others: Vec<String>,
    /// Another tenant of this cluster that uses it, by namespace and name.
    pub other_tenant: Option<String>,
}

impl RetireBlockers {
    /// The obstacles, as a stable word and a sentence each.
    pub(in crate::admin) fn obstacles(&self, purpose: Purpose) -> Vec<(&'static str, String)> {
        let mut obstacles = Vec::new();
        if !self.open_runs.is_empty() {
            let runs = self.open_runs.join(", ");
            obstacles.push(("OpenGdprRuns", format!("data-subject requests haven't ended: {runs}")));
        }
        if self.held > 0 {
            let words = format!("{} messages are under a legal hold: end the holds first", self.held);
            obstacles.push(("LegalHold", words));
        }
        if !self.others.is_empty() && purpose == Purpose::Remove {
            let names = self.others.join(", ");
            let words = format!(
                "other clusters use the store: {names}. Let them go first (delete their tenants, or, where a cluster \
                 is no more, retire --deregister --cluster NAME)"
            );
            obstacles.push(("OtherClusters", words));
        }
        if let Some(name) = self.other_tenant.as_ref().filter(|_| purpose == Purpose::Remove) {
            let words = format!(
                "tenant {name} of this cluster uses the store: delete that one, and write Retain here, which takes \
                 nothing from it"
            );
            obstacles.push(("OtherTenant", words));
        }
        obstacles
    }
}

/// Looks for what stands in the way.
///
/// # Errors
/// The store's.
pub(in crate::admin) async fn examine(context: &Context) -> Result<RetireBlockers, StoreError> {
    let own = context.config().cluster.clone();
    let tenant: Option<TenantDocument> = context.documents().load(&Key::tenant()).await?;
    let tenant = tenant.unwrap_or_default();
    let other_tenant = tenant.other_holder(&own, context.config().holder.as_ref()).map(ToString::to_string);
    let clusters = tenant.clusters;
    let runs = find_open(context).await?;
    Ok(RetireBlockers {
        open_runs: runs.iter().map(|run| run.id.to_string()).collect(),
        held: count_held(context).await?,
        others: clusters.into_keys().filter(|name| *name != own).collect(),
        other_tenant,
    })
}

async fn count_held(context: &Context) -> Result<u64, StoreError> {
    let mut held = 0;
    let mut keys = context.store().list(Family::Mailbox.prefix());
    while let Some(key) = keys.try_next().await? {
        let Some(mailbox) = parse_index(&key) else { continue };
        let index: Option<Index> = context.documents().load(&Key::index(&mailbox)).await?;
        let entries = index.unwrap_or_default().entries;
        held += entries.values().filter(|entry| entry.legal_hold.is_some()).count() as u64;
    }
    Ok(held)
}

/// Objects and documents by region: all that stands below each region's bare root.
///
/// # Errors
/// The store's.
pub(in crate::admin) async fn count_objects(context: &Context) -> Result<BTreeMap<String, u64>, StoreError> {
    let mut counts = BTreeMap::new();
    for (region, store) in context.regions() {
        let ours = store.list("").try_filter(|key| std::future::ready(!is_own(key)));
        let count = ours.try_fold(0, |count, _| async move { Ok(count + 1) });
        counts.insert(region.clone(), count.await?);
    }
    Ok(counts)
}

/// A volume's own files: temporary files, its clock, its reserve. They go when all else has gone.
pub(super) fn is_own(key: &str) -> bool {
    key.starts_with("tmp/")
}

/// Every folder of every region, the master's last.
pub(super) fn places(context: &Context) -> Vec<(String, &'static str)> {
    let master = context.master();
    let others = context.regions().map(|(name, _)| name.clone()).filter(|name| *name != master);
    let folders = |name: String| {
        let families = Family::in_region(name == master).filter(|family| !family.is_single());
        families.map(move |family| (name.clone(), family.prefix()))
    };
    others.chain([master.clone()]).flat_map(folders).collect()
}
