//! `voicemail admin retire`: lets go of a tenant's stores, or removes all that the tenant has in them.
//!
//! Flow: [`blockers`] counts what is there and finds what stands in the way: open requests, messages under a legal
//! hold, other clusters that use the store. [`removal`] takes a cluster from the tenant document, or deletes region by
//! region, the master last and in it the tenant document at the very end, so that a removal that was interrupted is
//! still a store of this tenant, and goes on when it is repeated; then it lists again, which proves that nothing is
//! left: the bare root of every region is listed, by no name that the deletion goes by. A store that holds nothing any
//! more is done already.
//!
//! No core may serve meanwhile: one that starts on an empty store claims it anew, and one that serves registers its
//! cluster again. So the operator first waits beside serving cores until nothing stands in the way, then stops them,
//! and then lets go, which looks once more.

mod blockers;
mod removal;

use super::{CommandResult, Progress};
use blockers::{RetireBlockers, count_objects, examine};
use removal::{deregister, remove};
use std::io::Write;
use std::time::Duration;
use voicemail_api::config::TenantConfig;
use voicemail_api::reasons::REMOVING_OBJECTS;
use voicemail_engine::context::Context;
use voicemail_engine::core::tool::{Access, open};
use voicemail_model::clock::World;
use voicemail_store::StoreError;

/// First and longest pause between two looks at what stands in the way.
const PAUSE: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(60));

/// The purpose of a retirement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// This cluster goes, the data stays.
    Deregister,
    /// Everything goes.
    Remove,
}

/// The mode of `voicemail admin retire`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Retirement {
    /// Say what is there and what stands in the way.
    Look,
    /// Wait until nothing stands in the way.
    Await(Purpose),
    /// Let a cluster go.
    Deregister {
        /// Which.
        cluster: String,
        /// Refuse while there are obstacles.
        unless_hindered: bool,
    },
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
    progress: &Progress,
    out: &mut (dyn Write + Send),
) -> CommandResult {
    let access = if *retirement == Retirement::Look { Access::Read } else { Access::Retire };
    let context = open(config, access, world).await?;
    match retirement {
        Retirement::Look => look(&context, out).await,
        Retirement::Await(purpose) => {
            wait_until_clear(&context, *purpose, progress).await?;
            writeln!(out, "nothing stands in the way")?;
            Ok(0)
        }
        Retirement::Deregister { cluster, unless_hindered } => {
            if *unless_hindered && is_hindered(&context, Purpose::Deregister, out).await? {
                return Ok(1);
            }
            // A person's command removes the cluster whichever tenant registered it; a deletion only its own tenant's entry.
            let was_there = deregister(&context, cluster, !*unless_hindered).await?;
            let word = if was_there { "is registered no more" } else { "wasn't registered" };
            writeln!(out, "cluster {cluster} {word}; all data stays")?;
            Ok(0)
        }
        Retirement::Remove(confirmed) if *confirmed != config.tenant_id => {
            writeln!(out, "nothing was removed: --confirm takes the tenant's id, {}", config.tenant_id)?;
            Ok(1)
        }
        Retirement::Remove(_) => remove_unless_hindered(&context, progress, out).await,
    }
}

async fn look(context: &Context, out: &mut (dyn Write + Send)) -> CommandResult {
    let blockers = examine(context).await?;
    for (region, count) in count_objects(context).await? {
        writeln!(out, "region {region}: {count} objects and documents")?;
    }
    report(&blockers, Purpose::Remove, out)?;
    Ok(u8::from(!blockers.obstacles(Purpose::Remove).is_empty()))
}

fn report(blockers: &RetireBlockers, purpose: Purpose, out: &mut (dyn Write + Send)) -> std::io::Result<()> {
    blockers.obstacles(purpose).iter().try_for_each(|(_, words)| writeln!(out, "in the way: {words}"))
}

/// Looks again and again, at first often.
async fn wait_until_clear(
    context: &Context,
    purpose: Purpose,
    progress: &Progress,
) -> Result<(), StoreError> {
    let mut pause = PAUSE.0;
    loop {
        let obstacles = examine(context).await?.obstacles(purpose);
        let Some((reason, _)) = obstacles.first() else { return Ok(()) };
        let words: Vec<&str> = obstacles.iter().map(|(_, words)| words.as_str()).collect();
        progress.tell(reason, words.join("; "));
        context.world().sleep(pause).await;
        pause = (2 * pause).min(PAUSE.1);
    }
}

async fn is_hindered(
    context: &Context,
    purpose: Purpose,
    out: &mut (dyn Write + Send),
) -> Result<bool, Box<dyn std::error::Error>> {
    let blockers = examine(context).await?;
    report(&blockers, purpose, out)?;
    let hindered = !blockers.obstacles(purpose).is_empty();
    if hindered {
        writeln!(out, "nothing was done")?;
    }
    Ok(hindered)
}

async fn remove_unless_hindered(
    context: &Context,
    progress: &Progress,
    out: &mut (dyn Write + Send),
) -> CommandResult {
    if is_hindered(context, Purpose::Remove, out).await? {
        return Ok(1);
    }
    let mut written = Ok(());
    let show = |region: &str, count: u64| {
        let line = format!("region {region}: {count} removed so far");
        if written.is_ok() {
            written = writeln!(out, "{line}");
        }
        progress.tell(REMOVING_OBJECTS, line);
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
        if clean {
            "everything is removed"
        } else {
            "somebody still writes, or something foreign is there: stop the cores, look below the tenant's folder, repeat"
        }
    )?;
    Ok(u8::from(!clean))
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::TryStreamExt;
    use voicemail_api::config::Holder;
    use voicemail_api::gdpr::HoldBody;
    use voicemail_engine::testing::{CALLER, OTHER_CALLER, Site, body, mailbox};
    use voicemail_model::Registration;
    use voicemail_model::TenantDocument;
    use voicemail_store::Key;
    use voicemail_store::documents::Decision;

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
        assert!(examine(&context).await.unwrap().obstacles(Purpose::Remove).is_empty());
        let left = remove(&context, |_, _| {}).await.unwrap();
        assert!(left.values().all(|count| *count == 0), "{left:?}");
        assert!(site.store.load(&Key::tenant()).await.unwrap().is_none());
    }

    #[tokio::test]
    async fn nothing_is_left_in_any_region_and_the_tenant_can_be_made_again() {
        let mut site = Site::in_memory().await;
        let (there, _) = site.with_region().await;
        site.deposit(BOX, CALLER).await;
        let context = there.context.clone();
        let stray = Key::listed("of-a-newer-version/x").unwrap();
        context.region("s").unwrap().create(&stray, "x".into()).await.unwrap();
        let left = remove(&context, |_, _| {}).await.unwrap();
        assert_eq!(left.into_iter().collect::<Vec<_>>(), [("r".to_owned(), 0), ("s".to_owned(), 0)]);
        for region in ["r", "s"] {
            let keys: Vec<String> = context.region(region).unwrap().list("").try_collect().await.unwrap();
            assert_eq!(keys, Vec::<String>::new(), "{region}");
        }
        let before = context.identity().store_id.clone();
        assert_ne!(site.open_anew(&context).await.context.identity().store_id, before);
    }

    #[tokio::test]
    async fn what_is_left_is_counted_by_no_name_that_the_deletion_goes_by() {
        let site = Site::in_memory().await;
        let context = write(&site).await;
        let stray = Key::listed("of-a-newer-version/x").unwrap();
        site.store.create(&stray, "x".into()).await.unwrap();
        let before: u64 = blockers::count_objects(&context).await.unwrap().values().sum();
        site.store.delete(&stray).await.unwrap();
        let after: u64 = blockers::count_objects(&context).await.unwrap().values().sum();
        assert_eq!(before, after + 1);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn of_a_volume_not_even_a_folder_is_left() {
        let folder = tempfile::tempdir().unwrap();
        let site = Site::on_volume(folder.path()).await;
        site.deposit(BOX, CALLER).await;
        let left = remove(&write(&site).await, |_, _| {}).await.unwrap();
        assert!(left.values().all(|count| *count == 0), "{left:?}");
        assert_eq!(std::fs::read_dir(folder.path().join("v1")).unwrap().count(), 0);
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
            let registration = Registration {
                region: "main".into(),
                heartbeat: now,
                holder: None,
                unknown: Default::default(),
            };
            tenant.clusters.insert("elsewhere".into(), registration);
            Decision::Write(tenant, ())
        };
        context.documents().update(&Key::tenant(), add).await.unwrap();
        let blockers = examine(&context).await.unwrap();
        assert_eq!((blockers.held, blockers.others.as_slice()), (1, ["elsewhere".to_owned()].as_slice()));
        assert_eq!(blockers.obstacles(Purpose::Remove).len(), 3, "{blockers:?}");

        let words: Vec<_> = blockers.obstacles(Purpose::Deregister).iter().map(|(word, _)| *word).collect();
        assert_eq!(words, ["OpenGdprRuns", "LegalHold"], "another cluster needs the data, not this one");

        assert!(deregister(&context, "elsewhere", false).await.unwrap());
        assert!(!deregister(&context, "elsewhere", false).await.unwrap());
        assert!(examine(&context).await.unwrap().others.is_empty());
    }

    #[tokio::test]
    async fn a_removal_that_was_cut_off_at_its_very_end_is_done_when_it_is_repeated() {
        let site = Site::in_memory().await;
        site.deposit(BOX, CALLER).await;
        remove(&write(&site).await, |_, _| {}).await.unwrap();
        let context = site.open(&site.config, Access::Retire).await;
        let (progress, mut out) = (Progress::silent(), Vec::new());
        assert_eq!(remove_unless_hindered(&context, &progress, &mut out).await.unwrap(), 0);
        assert!(!deregister(&context, &site.config.cluster, false).await.unwrap());
        assert!(site.store.load(&Key::tenant()).await.unwrap().is_none(), "an empty store stays empty");
    }

    #[tokio::test(start_paused = true)]
    async fn waiting_ends_when_the_last_hold_does_and_says_meanwhile_what_it_waits_for() {
        let site = Site::in_memory().await;
        let id = site.deposit(BOX, CALLER).await;
        let hold = HoldBody { reason: "court".into() };
        site.core.gdpr.hold(&mailbox(BOX), id, &hold, "officer").await.unwrap();
        let context = site.open(&site.config, Access::Retire).await;
        let progress = Progress::silent();
        let waiting = wait_until_clear(&context, Purpose::Deregister, &progress);
        let end_hold = async {
            tokio::time::sleep(Duration::from_secs(7)).await;
            assert_eq!(progress.seen().reason.as_deref(), Some("LegalHold"));
            site.core.gdpr.release(&mailbox(BOX), id).await.unwrap();
        };
        let (waited, ()) = tokio::join!(waiting, end_hold);
        waited.unwrap();
    }

    #[tokio::test]
    async fn a_cluster_is_not_let_go_while_a_message_is_held() {
        let site = Site::in_memory().await;
        let id = site.deposit(BOX, CALLER).await;
        let hold = HoldBody { reason: "court".into() };
        site.core.gdpr.hold(&mailbox(BOX), id, &hold, "officer").await.unwrap();
        let context = site.open(&site.config, Access::Retire).await;
        let mut out = Vec::new();
        assert!(is_hindered(&context, Purpose::Deregister, &mut out).await.unwrap());
        let said = String::from_utf8(out).unwrap();
        assert!(
            said.contains("1 messages are under a legal hold") && said.contains("nothing was done"),
            "{said}"
        );
    }

    #[tokio::test]
    async fn deleting_one_of_two_tenants_on_a_store_takes_nothing_from_the_other() {
        let site = Site::in_memory().await;
        let holder = |namespace: &str| {
            Some(Holder { namespace: namespace.into(), name: "acme".into(), uid: namespace.into() })
        };
        let context = write(&site).await;
        let cluster = site.config.cluster.clone();
        let add = |found: Option<TenantDocument>, now| {
            let mut tenant = found.unwrap_or_default();
            let registration = Registration {
                region: "main".into(),
                heartbeat: now,
                holder: holder("first"),
                unknown: Default::default(),
            };
            tenant.clusters.insert(cluster.clone(), registration);
            Decision::Write(tenant, ())
        };
        context.documents().update(&Key::tenant(), add).await.unwrap();
        let as_holder = async |namespace: &str| {
            let config = TenantConfig { holder: holder(namespace), ..site.config.clone() };
            site.open(&config, Access::Retire).await
        };
        let second = as_holder("second").await;
        let words = examine(&second).await.unwrap().obstacles(Purpose::Remove);
        assert!(
            words.iter().any(|(reason, words)| *reason == "OtherTenant" && words.contains("first/acme")),
            "{words:?}"
        );
        assert!(examine(&second).await.unwrap().obstacles(Purpose::Deregister).is_empty());
        assert!(!deregister(&second, &cluster, false).await.unwrap(), "the other's registration went");
        let first = as_holder("first").await;
        assert!(examine(&first).await.unwrap().obstacles(Purpose::Remove).is_empty());
        assert!(deregister(&first, &cluster, false).await.unwrap());
    }

    #[tokio::test]
    async fn a_core_whose_tenant_document_is_gone_is_not_ready_and_makes_none() {
        let site = Site::in_memory().await;
        site.core.check_ownership().await;
        assert!(site.core.readiness().await.ready);
        site.store.delete(&Key::tenant()).await.unwrap();
        site.core.check_ownership().await;
        let readiness = site.core.readiness().await;
        assert_eq!((readiness.ready, readiness.reason.as_deref()), (false, Some("StoreGone")));
        assert!(site.store.load(&Key::tenant()).await.unwrap().is_none());
    }
}
