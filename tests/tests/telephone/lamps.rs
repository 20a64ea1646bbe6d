//! Desk phones show whether messages wait.

use std::time::Duration;

use voicemail_tests::servers::sipp::{Call, Lamp};

use crate::listener::Listener;
use crate::owners::{owner, wait};
use crate::scene::{PATIENCE, Scene, sound};

#[tokio::test(flavor = "multi_thread")]
async fn the_lamp_goes_on_with_a_message_and_out_when_it_was_heard() {
    let scene = Scene::open_speaking().await;
    let lamp = Lamp::own("1001", &["Voice-Message: 0/0", "Voice-Message: 1/0", "Voice-Message: 0/1"]);
    let front = scene.sip.sip();
    let watching = tokio::spawn(async move { lamp.watch(front).await });
    let end = tokio::time::Instant::now() + PATIENCE;
    while !scene.sip.metrics().await.unwrap().contains("voicemail_sip_notify_total{outcome=\"sent\"} 1") {
        assert!(tokio::time::Instant::now() < end, "the phone wasn't told the first state");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let mut call = Call::message("1001", &sound(2, 3));
    call.steps.insert(0, wait(3_000));
    call.make(front).await.unwrap();
    scene.core.wait_messages("1001", 1, PATIENCE).await.unwrap();
    let mut call = owner("1", &Listener::open().await);
    call.steps.push(wait(4_000));
    call.make(front).await.unwrap();
    watching.await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_watched_is_refused_with_a_reason() {
    let scene = Scene::open().await;
    let own = Lamp::own("1001", &[]);
    for (lamp, answer) in [
        (Lamp { event: "presence".into(), ..own.clone() }, 489),
        (Lamp { expires: 30, ..own.clone() }, 423),
        (Lamp { of: "1002".into(), ..own.clone() }, 403),
        (Lamp { of: "4711".into(), from: "4711".into(), ..own.clone() }, 404),
    ] {
        Lamp { answer, ..lamp }.watch(scene.sip.sip()).await.unwrap();
    }
    // Who asks once is told once.
    Lamp::own("1001", &["Voice-Message: 0/0"]).watch(scene.sip.sip()).await.unwrap();
}
