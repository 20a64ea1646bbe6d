//! `voicemail admin retire`: lets go of a tenant's stores, or removes all that the tenant has in them.
//!
//! Flow: [`examine`] counts what is there and finds what stands in the way of a removal: open requests, messages
//! under a legal hold, other clusters that use the store. [`deregister`] takes a cluster from the tenant document.
//! [`remove`] deletes region by region, the master last and in it the tenant document at the very end, so that a
//! removal that was interrupted is still a store of this tenant, and goes on when it is repeated; then it lists
//! again, which proves that nothing is left.
//!
//! No core may serve meanwhile: one that starts on an empty store claims it anew. On a volume empty folders and lock
//! files without content stay.

use super::{Access, CommandResult, open};
use crate::clock::World;
use crate::config::TenantConfig;
use crate::context::Context;
use crate::fsck::{AUDIO, DOCUMENTS, PREFIXES};
use crate::gdpr::find_open;
use crate::model::{Index, TenantDocument};
use crate::store::documents::Decision;
use crate::store::patience::delete;
use crate::store::{Key, StoreError, parse_index};
use futures::TryStreamExt;
use std::collections::BTreeMap;
use std::io::Write;

/// What is there, and what stands in the way of removing it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Standing {
    /// Data-subject requests that haven't ended, by their ids.
    pub open_runs: Vec<String>,
    /// Messages under a legal hold.
    pub held: u64,
    /// Other clusters that use the store.
    pub others: Vec<String>,
    /// Objects and documents by region.
    pub objects: BTreeMap<String, u64>,
}

impl Standing {
    /// What stands in the way, a sentence each.
    pub(super) fn obstacles(&self) -> Vec<String> {
        let mut obstacles = Vec::new();
        if !self.open_runs.is_empty() {
            let runs = self.open_runs.join(", ");
            obstacles.push(format!("data-subject requests haven't ended: {runs}"));
        }
        if self.held > 0 {
            obstacles.push(format!("{} messages are under a legal hold: end the holds first", self.held));
        }
        if !self.others.is_empty() {
            let names = self.others.join(", ");
            obstacles.push(format!(
                "other clusters use the store: {names}. Let them go first (retire --deregister --cluster NAME)"
            ));
        }
        obstacles
    }
}

/// Looks.
///
/// # Errors
/// The store's.
pub(super) async fn examine(context: &Context) -> Result<Standing, StoreError> {
    let own = context.config().cluster.clone();
    let tenant: Option<TenantDocument> = context.documents().load(&Key::tenant()).await?;
    let clusters = tenant.map(|tenant| tenant.clusters).unwrap_or_default();
    let runs = find_open(context).await?;
    Ok(Standing {
        open_runs: runs.iter().map(|run| run.id.to_string()).collect(),
        held: count_held(context).await?,
        others: clusters.into_keys().filter(|name| *name != own).collect(),
        objects: count_objects(context).await?,
    })
}

async fn count_held(context: &Context) -> Result<u64, StoreError> {
    let mut held = 0;
    let mut keys = context.store().list("mb/");
    while let Some(key) = keys.try_next().await? {
        let Some(mailbox) = parse_index(&key) else { continue };
        let index: Option<Index> = context.documents().load(&Key::index(&mailbox)).await?;
        let entries = index.unwrap_or_default().entries;
        held += entries.values().filter(|entry| entry.legal_hold.is_some()).count() as u64;
    }
    Ok(held)
}

async fn count_objects(context: &Context) -> Result<BTreeMap<String, u64>, StoreError> {
    let mut counts = BTreeMap::new();
    for (region, prefix) in places(context) {
        let count =
            context.region(&region)?.list(prefix).try_fold(0, |count, _| async move { Ok(count + 1) });
        *counts.entry(region.clone()).or_insert(0) += count.await?;
    }
    Ok(counts)
}

/// Every prefix of every region, the master's last.
fn places(context: &Context) -> Vec<(String, &'static str)> {
    let master = context.config().master().map(|region| region.name.clone()).unwrap_or_default();
    let others = context.regions().map(|(name, _)| name.clone()).filter(|name| *name != master);
    let audio = others.map(|name| (name, AUDIO)).chain([(master.clone(), AUDIO)]);
    audio.chain(PREFIXES.iter().map(|prefix| (master.clone(), *prefix))).collect()
}

/// Takes a cluster from the tenant document; its data stays. False if it wasn't there.
///
/// # Errors
/// The store's.
pub(super) async fn deregister(context: &Context, cluster: &str) -> Result<bool, StoreError> {
    let forget = |found: Option<TenantDocument>, _| {
        let mut tenant = found.unwrap_or_default();
        match tenant.clusters.remove(cluster) {
            Some(_) => Decision::Write(tenant, true),
            None => Decision::Keep(false),
        }
    };
    context.documents().update(&Key::tenant(), forget).await
}

/// Removes everything; `show` gets the region and how many went so far, every thousand. Returns what is left, which
/// is none unless somebody writes meanwhile.
///
/// # Errors
/// The store's: repeat it then.
pub(super) async fn remove(
    context: &Context,
    mut show: impl FnMut(&str, u64),
) -> Result<BTreeMap<String, u64>, StoreError> {
    let mut gone: BTreeMap<String, u64> = BTreeMap::new();
    for (region, prefix) in places(context) {
        let store = context.region(&region)?;
        let keys: Vec<String> = store.list(prefix).try_collect().await?;
        for key in keys.iter().filter_map(|key| Key::listed(key)) {
            delete(store.as_ref(), context.world(), &key).await?;
            let count = gone.entry(region.clone()).or_default();
            *count += 1;
            if count.is_multiple_of(1_000) {
                show(&region, *count);
            }
        }
    }
    let left = count_objects(context).await?;
    if left.values().all(|count| *count == 0) {
        // Last of all: until then the store says whose it is.
        for key in DOCUMENTS.iter().rev().filter_map(|key| Key::listed(key)) {
            delete(context.store(), context.world(), &key).await?;
        }
    }
    Ok(left)
}

/// What `voicemail admin retire` is to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Retirement {
    /// Say what is there and what stands in the way.
    Look,
    /// Let a cluster go.
    Deregister(String),
    /// Remove everything of the tenant of this id, typed once more.
    Remove(String),
}

/// `voicemail admin retire`. 0: done; 1: something stands in the way, or is left.
///
/// # Errors
/// The store can't be opened or fails, or the output can't be written: repeat it then.
pub async fn run_retire(
    config: &TenantConfig,
    world: &World,
    retirement: &Retirement,
    out: &mut (dyn Write + Send),
) -> CommandResult {
    let access = if *retirement == Retirement::Look { Access::Read } else { Access::Write };
    let context = open(config, access, world).await?;
    match retirement {
        Retirement::Look => look(&context, out).await,
        Retirement::Deregister(cluster) => {
            let was_there = deregister(&context, cluster).await?;
            let word = if was_there { "is registered no more" } else { "wasn't registered" };
            writeln!(out, "cluster {cluster} {word}; all data stays")?;
            Ok(0)
        }
        Retirement::Remove(confirmed) if *confirmed != config.tenant_id => {
            writeln!(out, "nothing was removed: --confirm takes the tenant's id, {}", config.tenant_id)?;
            Ok(1)
        }
        Retirement::Remove(_) => remove_unless_hindered(&context, out).await,
    }
}

async fn look(context: &Context, out: &mut (dyn Write + Send)) -> CommandResult {
    let standing = examine(context).await?;
    for (region, count) in &standing.objects {
        writeln!(out, "region {region}: {count} objects and documents")?;
    }
    report(&standing, out)?;
    Ok(u8::from(!standing.obstacles().is_empty()))
}

fn report(standing: &Standing, out: &mut (dyn Write + Send)) -> std::io::Result<()> {
    standing.obstacles().iter().try_for_each(|obstacle| writeln!(out, "in the way: {obstacle}"))
}

async fn remove_unless_hindered(context: &Context, out: &mut (dyn Write + Send)) -> CommandResult {
    let standing = examine(context).await?;
    if !standing.obstacles().is_empty() {
        report(&standing, out)?;
        writeln!(out, "nothing was removed")?;
        return Ok(1);
    }
    let mut written = Ok(());
    let show = |region: &str, count: u64| {
        if written.is_ok() {
            written = writeln!(out, "region {region}: {count} removed so far");
        }
    };
    let left = remove(context, show).await?;
    written?;
    for (region, count) in &left {
        writeln!(out, "region {region}: {count} left")?;
    }
    let clean = left.values().all(|count| *count == 0);
    writeln!(
        out,
        "{}",
        if clean { "everything is removed" } else { "somebody still writes: stop the cores, repeat" }
    )?;
    Ok(u8::from(!clean))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gdpr_api::HoldBody;
    use crate::model::Registration;
    use crate::testing::{CALLER, OTHER_CALLER, Site, body, mailbox};

    const BOX: &str = "1001";

    async fn write(site: &Site) -> Context {
        site.open(&site.config, Access::Write).await
    }

    #[tokio::test]
    async fn everything_of_a_tenant_goes_and_a_list_proves_it() {
        let site = Site::in_memory().await;
        site.deposit(BOX, CALLER).await;
        site.deposit(BOX, OTHER_CALLER).await;
        let context = write(&site).await;
        assert!(examine(&context).await.unwrap().obstacles().is_empty());
        let left = remove(&context, |_, _| {}).await.unwrap();
        assert!(left.values().all(|count| *count == 0), "{left:?}");
        assert!(site.store.load(&Key::tenant()).await.unwrap().is_none());
    }

    #[tokio::test]
    async fn an_open_request_a_hold_and_another_cluster_stand_in_the_way() {
        let site = Site::in_memory().await;
        let id = site.deposit(BOX, CALLER).await;
        let hold = HoldBody { reason: "court".into() };
        site.core.gdpr.hold(&mailbox(BOX), id, &hold, "officer").await.unwrap();
        site.core.gdpr.forget(body("1", Some(CALLER), 3_600)).await.unwrap();
        let context = write(&site).await;
        let add = |found: Option<TenantDocument>, now| {
            let mut tenant = found.unwrap_or_default();
            let registration =
                Registration { region: "main".into(), heartbeat: now, unknown: Default::default() };
            tenant.clusters.insert("elsewhere".into(), registration);
            Decision::Write(tenant, ())
        };
        context.documents().update(&Key::tenant(), add).await.unwrap();
        let standing = examine(&context).await.unwrap();
        assert_eq!((standing.held, standing.others.as_slice()), (1, ["elsewhere".to_owned()].as_slice()));
        assert_eq!(standing.obstacles().len(), 3, "{:?}", standing.obstacles());

        assert!(deregister(&context, "elsewhere").await.unwrap());
        assert!(!deregister(&context, "elsewhere").await.unwrap());
        assert!(examine(&context).await.unwrap().others.is_empty());
    }
}
