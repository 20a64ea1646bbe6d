//! The operator dies in mid-reconcile, or another takes over: the tenant gets Ready all the same, and there is
//! never a second keys Secret.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail their test")]

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Secret, Service};
use kube::ResourceExt;
use serde_json::Value;
use voicemail_resources::conditions::{ConditionStatus, READY};
use voicemail_runtime::leader::LEASE;
use voicemail_test_cluster::AuditLog;
use voicemail_test_cluster::operator_audit::{describe, is_mutation, mutations, settle};
use voicemail_test_cluster::wait::wait_until;
use voicemail_tests::operator_process::OperatorProcess;
use voicemail_tests::tenant_manifest::tenant_on;
use voicemail_tests::tenant_place::TenantPlace;

const MOMENTS: usize = 8;
const SOON: Duration = Duration::from_secs(30);
/// A lease is free 15 s after its holder's last sign, and a standby looks every 2 s.
const TAKEOVER: Duration = Duration::from_secs(25);

async fn prepare(prefix: &str) -> TenantPlace {
    voicemail_test_machine::install_crypto();
    TenantPlace::prepare(prefix).await.unwrap()
}

/// Kills the operator as soon as `count` of its mutating requests about that tenant and its children are in the
/// log; returns what it had done.
async fn kill_after(place: &mut TenantPlace, log: &AuditLog, tenant: &str, count: usize) -> Vec<String> {
    let (username, end) = (place.identity.username(), Instant::now() + SOON);
    let child = format!("{tenant}-");
    let about_tenant = |record: &&Value| {
        let name = record["objectRef"]["name"].as_str().unwrap_or_default();
        is_mutation(record, &username) && (name == tenant || name.starts_with(&child))
    };
    loop {
        let records = log.records().unwrap();
        let done: Vec<&Value> = records.iter().filter(about_tenant).collect();
        if done.len() >= count {
            place.operator.kill().unwrap();
            return done.into_iter().map(describe).collect();
        }
        assert!(Instant::now() < end, "only {} mutating requests within {SOON:?}", done.len());
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

fn keys_name(tenant: &str) -> String {
    format!("{tenant}-voicemail-keys")
}

/// A tenant whose creation is cut short by the death of the operator after `moment` mutating requests.
async fn create_under_fire(place: &mut TenantPlace, moment: usize) -> String {
    let name = format!("acme-{moment}");
    let (volume, _) = place.create_volume().await.unwrap();
    let mut tenant = tenant_on(&name, &volume).unwrap();
    tenant.spec.replicas = 1;
    let log = place.cluster.audit_log().unwrap();
    place.create(&tenant).await.unwrap();
    let done = kill_after(place, &log, &name, moment).await;
    println!("{name}: killed after {}", done.join(", "));
    name
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_killed_in_mid_reconcile_goes_on_where_it_was() {
    let mut place = prepare("killed").await;
    let log = place.cluster.audit_log().unwrap();
    let secrets = place.namespace.api::<Secret>();
    let mut keys = BTreeMap::new();
    for moment in 1..=MOMENTS {
        let name = create_under_fire(&mut place, moment).await;
        // As the killed operator left it; where there is none yet, the next one makes it.
        keys.insert(name.clone(), secrets.get_opt(&keys_name(&name)).await.unwrap());
        place.operator.restart().await.unwrap();
        let made = |lease: &Lease| holder(lease) == Some("operator-0");
        wait_until(&place.namespace.api::<Lease>(), LEASE, "operator-0 leads", SOON, made).await.unwrap();
        let finished = |_: &PersistentVolumeClaim| true;
        let claims = place.namespace.api::<PersistentVolumeClaim>();
        let claim = format!("{name}-voicemail");
        wait_until(&claims, &claim, "the next operator made it", SOON, finished).await.unwrap();
    }
    for (name, before) in &keys {
        place.wait_ready(name).await.unwrap();
        let after = secrets.get(&keys_name(name)).await.unwrap();
        if let Some(before) = before {
            assert_eq!((before.uid(), &before.data), (after.uid(), &after.data), "{name}");
        }
    }
    let left: Vec<bool> = keys.values().map(Option::is_some).collect();
    assert!(left.contains(&true) && left.contains(&false), "every kill came at the same step: {left:?}");
    check_keys_were_written_once(&place, &log, keys.keys()).await;
}

/// One creation of each keys Secret, and no other write to it. The API server records a request whose sender was
/// killed before the answer with 504, whether it was carried out or not.
async fn check_keys_were_written_once(
    place: &TenantPlace,
    log: &AuditLog,
    tenants: impl Iterator<Item = &String>,
) {
    settle(&place.cluster, log, place.namespace.name()).await.unwrap();
    let username = place.identity.username();
    let records = log.records().unwrap();
    for tenant in tenants {
        let name = keys_name(tenant);
        let about_keys = |record: &&Value| {
            let object = &record["objectRef"];
            object["resource"] == "secrets"
                && object["namespace"] == place.namespace.name()
                && is_mutation(record, &username)
                && object["name"] == name.as_str()
        };
        let written: Vec<String> = records.iter().filter(about_keys).map(describe).collect();
        let (cut, answered): (Vec<_>, Vec<_>) = written.iter().partition(|write| write.ends_with(" 504"));
        assert!(cut.iter().all(|write| write.starts_with("create ")), "{written:?}");
        let once = answered == [&format!("create secrets/{name} 201")];
        assert!(once || (answered.is_empty() && !cut.is_empty()), "{written:?}");
    }
}

fn holder(lease: &Lease) -> Option<&str> {
    lease.spec.as_ref()?.holder_identity.as_deref()
}

fn leads(operator: &OperatorProcess) -> bool {
    operator.metric("leader_election_master_status", "").unwrap() > 0.0
}

#[tokio::test(flavor = "multi_thread")]
async fn when_the_leader_is_killed_the_standby_takes_over() {
    let mut place = prepare("standby").await;
    let leases = place.namespace.api::<Lease>();
    let first = |lease: &Lease| holder(lease) == Some("operator-0");
    wait_until(&leases, LEASE, "operator-0 leads", SOON, first).await.unwrap();
    let standby = OperatorProcess::start(place.identity.clone(), "operator-1", &place.image).await.unwrap();
    create_unserved(&place, "one").await;
    assert!(leads(&place.operator) && !leads(&standby));
    assert_eq!(standby.tenant_reconciles().unwrap(), 0.0);

    place.operator.kill().unwrap();
    let second = |lease: &Lease| holder(lease) == Some("operator-1");
    wait_until(&leases, LEASE, "operator-1 leads", TAKEOVER, second).await.unwrap();
    create_unserved(&place, "two").await;
    assert!(leads(&standby));

    place.operator.restart().await.unwrap();
    create_unserved(&place, "three").await;
    assert!(leads(&standby) && !leads(&place.operator));
    drop(standby);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_that_is_told_to_stop_hands_over_at_once() {
    let mut place = prepare("handover").await;
    let leases = place.namespace.api::<Lease>();
    let first = |lease: &Lease| holder(lease) == Some("operator-0");
    wait_until(&leases, LEASE, "operator-0 leads", SOON, first).await.unwrap();
    let standby = OperatorProcess::start(place.identity.clone(), "operator-1", &place.image).await.unwrap();
    // At once after it began to lead, before it has listed anything, or a moment later.
    let begin = Instant::now();
    place.operator.stop().await.unwrap();
    let second = |lease: &Lease| holder(lease) == Some("operator-1");
    wait_until(&leases, LEASE, "operator-1 leads", SOON, second).await.unwrap();
    assert!(begin.elapsed() < Duration::from_secs(10), "the standby waited {:?}", begin.elapsed());
    create_unserved(&place, "one").await;

    place.operator.restart().await.unwrap();
    let (begin, mut standby) = (Instant::now(), standby);
    standby.stop().await.unwrap();
    wait_until(&leases, LEASE, "operator-0 leads", SOON, first).await.unwrap();
    assert!(begin.elapsed() < Duration::from_secs(10), "the standby waited {:?}", begin.elapsed());
    create_unserved(&place, "two").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_that_was_frozen_beyond_its_lease_writes_nothing_when_it_goes_on_and_ends() {
    let mut place = prepare("frozen").await;
    let leases = place.namespace.api::<Lease>();
    let first = |lease: &Lease| holder(lease) == Some("operator-0");
    wait_until(&leases, LEASE, "operator-0 leads", SOON, first).await.unwrap();
    let standby = OperatorProcess::start(place.identity.clone(), "operator-1", &place.image).await.unwrap();
    create_unserved(&place, "one").await;

    place.operator.freeze().unwrap();
    let begin = Instant::now();
    let second = |lease: &Lease| holder(lease) == Some("operator-1");
    wait_until(&leases, LEASE, "operator-1 leads", TAKEOVER, second).await.unwrap();
    println!("the standby took over {:?} after the leader froze", begin.elapsed());
    // Work for the leader, which the frozen one finds in its watches when it goes on.
    let services = place.namespace.api::<Service>();
    let old = services.get("one-voicemail").await.unwrap().uid();
    place.kubectl(&["delete", "service", "one-voicemail"]).unwrap();
    let mended = |service: &Service| service.uid() != old;
    wait_until(&services, "one-voicemail", "the standby made it anew", SOON, mended).await.unwrap();
    place.kubectl(&["label", "vmt", "one", "look=again"]).unwrap();
    standby.wait_for_reconcile(0.0, SOON).await.unwrap();
    settle(&place.cluster, &place.cluster.audit_log().unwrap(), place.namespace.name()).await.unwrap();

    let log = place.cluster.audit_log().unwrap();
    place.operator.thaw().unwrap();
    let end = place.operator.wait_end(SOON).await.unwrap();
    assert!(!end.success(), "it must say that the lease is lost");
    settle(&place.cluster, &log, place.namespace.name()).await.unwrap();
    assert_eq!(mutations(&log, &place.identity.username()).unwrap(), Vec::<String>::new());
    assert!(leads(&standby));
}

/// A tenant whose volume there isn't: it needs no pods, and its status tells that somebody looked.
async fn create_unserved(place: &TenantPlace, name: &str) {
    let mut tenant = tenant_on(name, "no-such-volume").unwrap();
    tenant.spec.replicas = 1;
    place.create(&tenant).await.unwrap();
    place.wait_condition(name, READY, ConditionStatus::False, "ClaimPending").await.unwrap();
}
