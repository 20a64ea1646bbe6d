//! Desk phones show whether messages wait.

use anyhow::Context;
use reqwest::Method;
use serde_json::json;
use voicemail_test_machine::poll::poll;
use voicemail_test_machine::secrecy::is_told;
use voicemail_test_machine::servers::listener::Listener;
use voicemail_test_machine::servers::sipp::{Call, MwiPhone};

use crate::owners::{owner, wait};
use crate::scene::{LOCAL, PATIENCE, Scene, sound, spoken};

#[tokio::test(flavor = "multi_thread")]
async fn a_phones_mwi_goes_on_with_a_message_and_out_when_it_was_heard() {
    let scene = Scene::open_speaking().await;
    let phone_mwi =
        MwiPhone::own("1001", &["Voice-Message: 0/0", "Voice-Message: 1/0", "Voice-Message: 0/1"]);
    let front = scene.sip.sip();
    let watching = tokio::spawn(async move { phone_mwi.watch(front).await });
    let told = "voicemail_sip_notify_total{outcome=\"sent\"} 1";
    let first = async || {
        scene
            .sip
            .metrics()
            .await?
            .contains(told)
            .then_some(())
            .context("the phone wasn't told the first state")
    };
    poll(PATIENCE, first).await.unwrap();
    let mut call = Call::message("1001", &sound(2, 3));
    call.steps.insert(0, wait(3_000));
    call.make(front).await.unwrap();
    scene.core.wait_messages("1001", 1, PATIENCE).await.unwrap();
    let mut call = owner("1", &Listener::open(LOCAL).await.unwrap());
    call.steps.push(wait(4_000));
    call.make(front).await.unwrap();
    watching.await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_others_change_is_pushed_to_phones_also_behind_a_core_that_was_replaced() {
    let mut scene = Scene::open().await;
    let told = ["Voice-Message: 0/0", "Voice-Message: 1/0", "Voice-Message: 0/1", "Voice-Message: 1/1"];
    let (phone, front) = (MwiPhone::own("1001", &told), scene.sip.sip());
    let watching = tokio::spawn(async move { phone.watch(front).await });
    let said = async |scene: &Scene, times: u32| {
        let sent = format!("voicemail_sip_notify_total{{outcome=\"sent\"}} {times}\n");
        let told = async || scene.sip.metrics().await?.contains(&sent).then_some(()).context("no NOTIFY");
        poll(PATIENCE, told).await.unwrap();
    };
    said(&scene, 1).await;
    // Another media server leaves a message, and its owner listens to it at a desk.
    let id = scene.core.deposit("1001", "+442079460123", "Bob", spoken(2, 3)).await.unwrap();
    said(&scene, 2).await;
    let path = format!("/mailboxes/1001/messages/{id}");
    let read = json!({ "state": "read" });
    scene.core.ask("alice", Method::PATCH, &path, Some(read)).await.unwrap();
    said(&scene, 3).await;
    scene.core.kill().unwrap();
    scene.core.start_again_as_it_is().await.unwrap();
    // Before the telephone is there again, or after.
    scene.core.deposit("1001", "+442079460123", "Bob", spoken(2, 3)).await.unwrap();
    watching.await.unwrap().unwrap();
    assert!(!is_told(&scene.sip.log(), "1001"), "a mailbox is told in {}", scene.sip.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_watched_is_refused_with_a_reason() {
    let scene = Scene::open().await;
    let own = MwiPhone::own("1001", &[]);
    for (phone_mwi, answer) in [
        (MwiPhone { event: "presence".into(), ..own.clone() }, 489),
        (MwiPhone { expires: 30, ..own.clone() }, 423),
        (MwiPhone { of: "1002".into(), ..own.clone() }, 403),
        (MwiPhone { of: "4711".into(), from: "4711".into(), ..own.clone() }, 404),
    ] {
        MwiPhone { answer, ..phone_mwi }.watch(scene.sip.sip()).await.unwrap();
    }
    // Who asks once is told once.
    MwiPhone::own("1001", &["Voice-Message: 0/0"]).watch(scene.sip.sip()).await.unwrap();
}
