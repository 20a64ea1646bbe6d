//! Erasures while a region is away, on a real cluster with a tenant in two regions, each with a store of its own:
//! `Blocked` where the tenant refuses, `PartiallyFailed` past the deadline where it goes on trying, and the end of
//! both once the region answers again.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test's failure is a panic")]

use k8s_openapi::api::core::v1::Secret;
use kube::api::DeleteParams;
use serde_json::{Value, json};
use std::time::Duration;
use voicemail_resources::conditions::{
    ConditionStatus, DEADLINE_AT_RISK, REGIONS_READY, SUCCEEDED, find_condition,
};
use voicemail_resources::references::SecretSource;
use voicemail_resources::voicemail_tenant::RegionDown;
use voicemail_resources::{GdprRequest, GdprRequestStatus, Phase, VoicemailTenant};
use voicemail_test_cluster::wait::{wait_gone, wait_until};
use voicemail_test_machine::servers::azure_admin::AzureEndpoint;
use voicemail_test_machine::servers::azurite::Azurite;
use voicemail_test_machine::speech::{Coding, Studio};
use voicemail_tests::served_tenant::{MAILBOX, serve};
use voicemail_tests::stage::{Api, Deposit, Site, follow_request};
use voicemail_tests::tenant_manifest::named_example;
use voicemail_tests::tenant_place::{DEADLINE, TenantPlace};
use voicemail_tests::tenant_stores::{secret, start_azurite};

const CALLER: &str = "+441632960001";
const PATIENCE: Duration = Duration::from_secs(300);

/// The same tenant as each of two clusters runs it, on the same two stores, and a message in each region.
struct Scene {
    place: TenantPlace,
    elsewhere: TenantPlace,
    site: Site,
    _master: Azurite,
    other: Azurite,
    agent: Api,
}

impl Scene {
    async fn open() -> Self {
        voicemail_test_machine::install_crypto();
        let place = TenantPlace::prepare("away").await.unwrap();
        let mut elsewhere = TenantPlace::prepare("away-there").await.unwrap();
        elsewhere.operator.set_cluster("elsewhere").restart().await.unwrap();
        let site = Site::of_cluster(place.cluster.clone()).await.unwrap();
        let (master, first) = start_azurite("acmevoiceeu").await.unwrap();
        let (other, second) = start_azurite("acmevoiceus").await.unwrap();
        for (name, endpoint) in [("acme-eu", &first), ("acme-us", &second)] {
            for cluster in [&place, &elsewhere] {
                cluster.create(&secret(name, &[("accountKey", &endpoint.account.key)])).await.unwrap();
            }
        }
        let here = serve(&place, tenant_in("eu-west", [&first, &second])).await.unwrap();
        let mut there = tenant_in("us-east", [&first, &second]);
        there.spec.keys = Some(copy_keys(&place, &elsewhere).await);
        let there = serve(&elsewhere, there).await.unwrap();
        let audio = Studio::open().unwrap().speak("call me back", Coding::ALaw).unwrap();
        for people in [&here, &there] {
            people.media_server.deposit(&Deposit::new(MAILBOX, CALLER, &audio)).await.unwrap();
        }
        Self { place, elsewhere, site, _master: master, other, agent: here.agent }
    }

    async fn request(&self, name: &str, more: Value) {
        let input = json!({ "caseid": name, "consumers": [{ "phone": [CALLER] }] }).to_string();
        let consumers: Secret = serde_json::from_value(json!({
            "metadata": { "name": name, "labels": { "voicemail.dev/gdpr-consumers": "true" } },
            "stringData": { "input.json": input },
        }))
        .unwrap();
        self.place.create(&consumers).await.unwrap();
        let mut spec = json!({ "tenantRef": { "name": "acme" }, "operation": "ForgetMe", "caseID": name, "undoWindow": "0s",
                               "consumers": { "secretRef": { "name": name } } });
        spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let request: GdprRequest = serde_json::from_value(json!({
            "apiVersion": "voicemail.dev/v1beta1", "kind": "GdprRequest",
            "metadata": { "name": name }, "spec": spec,
        }))
        .unwrap();
        self.place.create(&request).await.unwrap();
    }

    async fn follow(&self, name: &str, phase: Phase) -> GdprRequestStatus {
        follow_request(&self.site, self.place.namespace.name(), name, phase, PATIENCE).await.unwrap()
    }

    async fn erased_one(&self, name: &str) -> GdprRequestStatus {
        let requests = self.place.namespace.api::<GdprRequest>();
        let one =
            |request: &GdprRequest| request.status.as_ref().is_some_and(|status| status.erased == Some(1));
        let found = wait_until(&requests, name, "the message within reach is erased", PATIENCE, one).await;
        found.unwrap().status.unwrap()
    }

    async fn messages(&self) -> usize {
        self.agent.list(MAILBOX).await.unwrap().len()
    }
}

/// Both clusters' tenants have the same keys.
async fn copy_keys(from: &TenantPlace, to: &TenantPlace) -> SecretSource {
    let made = from.namespace.api::<Secret>().get("acme-voicemail-keys").await.unwrap();
    let mut copy = secret("acme-keys", &[]);
    copy.string_data = None;
    copy.data = made.data;
    to.create(&copy).await.unwrap();
    serde_json::from_value(json!({ "secretRef": { "name": "acme-keys" } })).unwrap()
}

fn tenant_in(region: &str, endpoints: [&AzureEndpoint; 2]) -> VoicemailTenant {
    let mut tenant = named_example("two-regions-tenant.yaml").unwrap();
    tenant.metadata.name = Some("acme".to_owned());
    tenant.spec.local_region = region.to_owned();
    tenant.spec.replicas = 1;
    tenant.spec.resources = None;
    tenant.spec.gdpr = Some(serde_json::from_value(json!({ "regionDown": "Refuse" })).unwrap());
    for (region, endpoint) in tenant.spec.regions.iter_mut().zip(endpoints) {
        region.storage.azure_blob.as_mut().unwrap().endpoint = Some(endpoint.url.clone());
    }
    tenant
}

fn reason<'a>(status: &'a GdprRequestStatus, type_: &str) -> (ConditionStatus, &'a str) {
    let found = find_condition(&status.conditions, type_).unwrap();
    (found.status, &found.reason)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_erasure_without_a_region_is_blocked_or_goes_on_past_its_deadline_until_the_region_is_back() {
    let mut scene = Scene::open().await;
    assert_eq!(scene.messages().await, 2);
    scene.other.stop().await.unwrap();

    scene.request("refused", json!({})).await;
    let blocked = scene.follow("refused", Phase::Blocked).await;
    assert_eq!(reason(&blocked, REGIONS_READY), (ConditionStatus::False, "RegionDown"));
    assert!(find_condition(&blocked.conditions, REGIONS_READY).unwrap().message.contains("us-east"));
    assert_eq!(scene.messages().await, 2, "nothing is hidden while a region is away");
    let requests = scene.place.namespace.api::<GdprRequest>();
    requests.delete("refused", &DeleteParams::default()).await.unwrap();
    wait_gone(&requests, "refused", DEADLINE).await.unwrap();

    try_on(&scene, RegionDown::MarkAndRetry).await;
    scene.request("late", json!({ "receivedAt": "2026-01-05T09:00:00Z" })).await;
    scene.follow("late", Phase::PartiallyFailed).await;
    assert_eq!(scene.messages().await, 0, "both are hidden");
    let partial = scene.erased_one("late").await;
    assert_eq!((partial.phase, partial.matched, partial.failed), (Phase::PartiallyFailed, Some(2), Some(1)));
    assert_eq!(reason(&partial, REGIONS_READY), (ConditionStatus::False, "RegionDown"));
    assert_eq!(reason(&partial, SUCCEEDED), (ConditionStatus::Unknown, "PartiallyFailed"));
    assert_eq!(reason(&partial, DEADLINE_AT_RISK), (ConditionStatus::True, "Overdue"));
    let away = partial.regions.iter().find(|region| region.name == "us-east").unwrap();
    assert!(away.blocked && away.attempts > 0 && away.last_error.is_some(), "{away:?}");

    scene.other.start_again().await.unwrap();
    let done = scene.follow("late", Phase::Completed).await;
    assert_eq!((done.erased, done.failed), (Some(2), Some(0)));
    assert!(done.regions.iter().all(|region| !region.blocked && region.erased == 1), "{:?}", done.regions);
    assert!(done.receipt.is_some());
}

/// Both clusters' tenants take the policy up without a restart.
async fn try_on(scene: &Scene, policy: RegionDown) {
    let patch = json!({ "spec": { "gdpr": { "regionDown": policy } } }).to_string();
    for place in [&scene.place, &scene.elsewhere] {
        place.kubectl(&["patch", "vmt", "acme", "--type=merge", "-p", &patch]).unwrap();
        place.wait_ready("acme").await.unwrap();
    }
}
