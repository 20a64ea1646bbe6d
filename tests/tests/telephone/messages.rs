//! Callers leave messages.

use anyhow::Context;
use reqwest::Method;
use voicemail_test_machine::poll::poll;
use voicemail_test_machine::secrecy::is_told;
use voicemail_test_machine::servers::sipp::Call;
use voicemail_test_machine::speech::sound_of;

use crate::scene::{PATIENCE, Scene, sound, spoken};

#[tokio::test(flavor = "multi_thread")]
async fn a_telephone_leaves_what_it_says_and_nothing_else() {
    let scene = Scene::open().await;
    let said = sound(2, 3);
    Call::message("1001", &said).make(scene.sip.sip()).await.unwrap();
    let messages = scene.core.wait_messages("1001", 1, PATIENCE).await.unwrap();
    assert_eq!(messages[0]["caller"], "+442079460001");
    assert_eq!(messages[0]["callerName"], "Bob");
    let stored = scene.core.audio("1001", &messages[0]).await.unwrap();
    assert_eq!(sound_of(&stored).unwrap(), said);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_left_while_the_core_is_away_comes_when_it_is_back() {
    let mut scene = Scene::open().await;
    scene.core.kill().unwrap();
    let said = sound(4, 5);
    Call::message("1001", &said).make(scene.sip.sip()).await.unwrap();
    assert_eq!(std::fs::read_dir(scene.sip.spool()).unwrap().count(), 1);
    scene.core.start_again().await.unwrap();
    let messages = scene.core.wait_messages("1001", 1, PATIENCE).await.unwrap();
    assert_eq!(sound_of(&scene.core.audio("1001", &messages[0]).await.unwrap()).unwrap(), said);
    assert_eq!(std::fs::read_dir(scene.sip.spool()).unwrap().count(), 0);
    for secret in ["1001", "42079460001", "Bob"] {
        assert!(!is_told(&scene.sip.log(), secret), "{secret} is in the log");
        assert!(!is_told(&scene.sip.metrics().await.unwrap(), secret), "{secret} is in the metrics");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_said_before_the_process_was_killed_is_there_once() {
    let mut scene = Scene::open().await;
    let said = sound(8, 5);
    let (_folder, mut phone) = Call::message("1002", &said).begin(scene.sip.sip()).unwrap();
    // Four seconds are on the disk; the fifth isn't full.
    let spool = scene.sip.spool();
    let written = || -> u64 {
        let files = std::fs::read_dir(&spool).into_iter().flatten().flatten();
        files.map(|file| file.metadata().map_or(0, |metadata| metadata.len())).sum()
    };
    let recorded = async || (written() >= 4 * 8_000).then_some(()).context("nothing is recorded");
    poll(PATIENCE, recorded).await.unwrap();
    scene.sip.kill().unwrap();
    phone.kill().await.unwrap();
    scene.sip.start_again().await.unwrap();
    let messages = scene.core.wait_messages("1002", 1, PATIENCE).await.unwrap();
    let stored = scene.core.audio("1002", &messages[0]).await.unwrap();
    let heard = sound_of(&stored).unwrap();
    assert!(heard.len() >= 4 * 8_000 && said.starts_with(heard), "{} samples", heard.len());
    // Once, and nothing is left to be sent again.
    assert_eq!(std::fs::read_dir(scene.sip.spool()).unwrap().count(), 0);
    assert_eq!(messages.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopping_process_lets_a_caller_finish() {
    let mut scene = Scene::open().await;
    let said = sound(3, 7);
    let (_folder, phone) = Call::message("1001", &said).begin(scene.sip.sip()).unwrap();
    tokio::time::sleep(std::time::Duration::from_millis(2_000)).await;
    let (stopped, phone) = tokio::join!(scene.sip.stop(), phone.wait_with_output());
    stopped.unwrap();
    assert!(phone.unwrap().status.success());
    let messages = scene.core.wait_messages("1001", 1, PATIENCE).await.unwrap();
    assert_eq!(sound_of(&scene.core.audio("1001", &messages[0]).await.unwrap()).unwrap(), said);
}

#[tokio::test(flavor = "multi_thread")]
async fn unknown_mailboxes_and_short_calls_leave_nothing() {
    let scene = Scene::open().await;
    let mut call = Call::message("4711", &[]);
    call.refused = Some(404);
    call.make(scene.sip.sip()).await.unwrap();
    Call::message("1001", &sound(1, 3)[..4_000]).make(scene.sip.sip()).await.unwrap();
    // The diverted number is the mailbox's, not the dialled one.
    let mut call = Call::message("4711", &sound(2, 3));
    call.headers = vec!["Diversion: <sip:1002@pbx>;reason=no-answer".into()];
    call.make(scene.sip.sip()).await.unwrap();
    scene.core.wait_messages("1002", 1, PATIENCE).await.unwrap();
    assert!(scene.core.messages("1001").await.unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn callers_of_a_full_mailbox_are_refused_and_what_filled_meanwhile_waits_for_room() {
    let most = 3;
    let class = format!("classesOfService: [{{name: standard, maxMessages: {most}, minSeconds: 1}}]\n");
    let scene = Scene::open_before(&class).await;
    for number in 1..most {
        let caller = format!("+4420794601{number:02}");
        scene.core.deposit("1002", &caller, "Carol", spoken(2, number)).await.unwrap();
    }
    // Two callers hear the beep while there is room for one of them.
    let (one, other) = (Call::message("1002", &sound(2, 3)), Call::message("1002", &sound(2, 5)));
    let (first, second) = tokio::join!(one.make(scene.sip.sip()), other.make(scene.sip.sip()));
    first.and(second).unwrap();
    let messages = scene.core.wait_messages("1002", most, PATIENCE).await.unwrap();
    let waiting = || std::fs::read_dir(scene.sip.spool()).unwrap().count();
    assert_eq!((messages.len(), waiting()), (most, 1));
    let mut refused = Call::message("1002", &[]);
    refused.refused = Some(480);
    refused.make(scene.sip.sip()).await.unwrap();
    let heard = format!("/mailboxes/1002/messages/{}", messages[0]["id"].as_str().unwrap());
    scene.core.ask("alice", Method::DELETE, &heard, None).await.unwrap();
    let come = async || (waiting() == 0).then_some(()).context("the recording waits");
    poll(PATIENCE, come).await.unwrap();
    assert_eq!(scene.core.messages("1002").await.unwrap().len(), most);
}
