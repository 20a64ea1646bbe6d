//! Faults of the control plane itself: the API server is restarted, etcd stands still for 20 s. Callers notice nothing, and
//! the operator works again afterwards; one whose lease ran out meanwhile ends, and is started again as kubelet does.
//!
//! They disturb everybody who uses the cluster, so there is one test, which holds the cluster's lock during each.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail their test")]

use std::time::Duration;

use voicemail_tests::fault_scene::Scene;
use voicemail_tests::stage::Deposits;

const PAUSE: Duration = Duration::from_secs(20);

#[tokio::test(flavor = "multi_thread")]
async fn callers_notice_nothing_of_an_api_server_restarted_and_an_etcd_that_stands_still() {
    let mut scene = Scene::on_volume("control", 1).await.unwrap();
    let cluster = scene.place.cluster.clone();
    let fault = scene.begin("API server killed and started again").await.unwrap();
    let deposits = scene.leave_messages(1, 50);
    cluster.restart_component("kube-apiserver").await.unwrap();
    finish(&mut scene, deposits).await;
    scene.end(fault).await.unwrap();

    let fault = scene.begin("etcd paused for 20 s (SIGSTOP)").await.unwrap();
    let deposits = scene.leave_messages(1, 50);
    cluster.pause_component("etcd", PAUSE).await.unwrap();
    finish(&mut scene, deposits).await;
    scene.end(fault).await.unwrap();
    scene.print();
}

async fn finish(scene: &mut Scene, deposits: Deposits) {
    let report = deposits.stop().await.unwrap();
    assert!(report.promises.len() > 1, "callers were held up");
    println!("{} messages meanwhile, {} attempts failed", report.promises.len(), report.failed);
    scene.promises.extend(report.promises);
    if scene.place.operator.revive().await.unwrap() {
        println!("the operator had ended, since its lease ran out, and was started again");
    }
}
