//! Messages that are left while pods are replaced: through a roll-out, evictions and an upgrade of the operator nothing
//! that was acknowledged is lost, and an upgrade of the operator replaces no pod.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail their test")]

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use kube::api::{EvictParams, ListParams};
use serde_json::json;
use voicemail_test_cluster::image::alias_image;
use voicemail_test_cluster::wait::{wait_gone, wait_until};
use voicemail_test_machine::speech::{Coding, Studio};
use voicemail_tests::served_tenant::{MAILBOX, serve};
use voicemail_tests::stage::{Deposits, check_promises};
use voicemail_tests::tenant_manifest::tenant_on;
use voicemail_tests::tenant_place::TenantPlace;

const CHILD: &str = "acme-voicemail";
const CLIENTS: usize = 3;
const AT_MOST: usize = 300;
/// Messages that must get through after each event.
const MORE: u32 = 6;
const PATIENT: Duration = Duration::from_secs(240);

async fn pods(place: &TenantPlace) -> BTreeSet<String> {
    let chosen = ListParams::default().labels("app.kubernetes.io/name=voicemail");
    let all = place.namespace.api::<Pod>().list(&chosen).await.unwrap();
    all.iter().filter(|pod| pod.metadata.deletion_timestamp.is_none()).map(ResourceExt::name_any).collect()
}

/// Waits until all pods are of this image and serve.
async fn wait_rolled(place: &TenantPlace, image: &str) {
    let rolled = |deployment: &Deployment| {
        let value = serde_json::to_value(deployment).unwrap();
        let status = &value["status"];
        value["spec"]["template"]["spec"]["containers"][0]["image"] == image
            && status["observedGeneration"] == value["metadata"]["generation"]
            && ["replicas", "updatedReplicas", "availableReplicas"].iter().all(|field| status[field] == 2)
    };
    let api = place.namespace.api::<Deployment>();
    wait_until(&api, CHILD, "the roll-out is over", PATIENT, rolled).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_that_was_acknowledged_is_lost_through_a_roll_out_evictions_and_an_operator_upgrade() {
    voicemail_test_machine::install_crypto();
    let mut place = TenantPlace::prepare("underload").await.unwrap();
    let (volume, _) = place.create_volume().await.unwrap();
    let served = serve(&place, tenant_on("acme", &volume).unwrap()).await.unwrap();
    let spoken = Studio::open().unwrap().speak("please call me back", Coding::ALaw).unwrap();
    let deposits = Deposits::start(&served.media_server, MAILBOX, &spoken, CLIENTS, AT_MOST);
    deposits.wait_for_more(MORE).await.unwrap();

    let (first, begin) = (pods(&place).await, Instant::now());
    let newer = alias_image(&place.cluster, &place.image, "rolled").unwrap();
    let patch = json!({"spec": {"image": newer.as_str()}}).to_string();
    place.kubectl(&["patch", "vmt", "acme", "--type=merge", "-p", &patch]).unwrap();
    wait_rolled(&place, newer.as_str()).await;
    let second = pods(&place).await;
    println!("rolled out within {:?}, {} messages so far", begin.elapsed(), deposits.acknowledged());
    assert!(first.is_disjoint(&second), "{first:?} {second:?}");
    deposits.wait_for_more(MORE).await.unwrap();

    let api = place.namespace.api::<Pod>();
    for pod in &second {
        let begin = Instant::now();
        api.evict(pod, &EvictParams::default()).await.unwrap();
        wait_gone(&api, pod, PATIENT).await.unwrap();
        wait_rolled(&place, newer.as_str()).await;
        println!("evicted and replaced within {:?}", begin.elapsed());
        deposits.wait_for_more(MORE).await.unwrap();
    }

    // A newer operator of the same core: it ends, another one begins, and no pod is touched.
    let third = pods(&place).await;
    place.operator.stop().await.unwrap();
    deposits.wait_for_more(MORE).await.unwrap();
    place.operator.restart().await.unwrap();
    place.operator.wait_for_reconcile(0.0, PATIENT).await.unwrap();
    place.wait_ready("acme").await.unwrap();
    deposits.wait_for_more(MORE).await.unwrap();
    assert_eq!(pods(&place).await, third, "an upgrade of the operator replaced pods");

    let report = deposits.stop().await.unwrap();
    println!(
        "{} messages acknowledged, {} attempts failed and were repeated, the longest took {:?}",
        report.promises.len(),
        report.failed,
        report.longest
    );
    check_promises(&served.agent, &report.promises).await.unwrap();
}
