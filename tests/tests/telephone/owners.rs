//! Owners dial 5555 and work with their mailbox by keys.

use std::time::Duration;

use anyhow::Context;
use voicemail_test_machine::poll::poll;
use voicemail_test_machine::secrecy::is_told;
use voicemail_test_machine::servers::listener::Listener;
use voicemail_test_machine::servers::sipp::{Call, Step};

use crate::scene::{LOCAL, PATIENCE, PIN, Scene, sound};

pub(crate) fn wait(millis: u64) -> Step {
    Step::Wait(Duration::from_millis(millis))
}

/// A call of 1001's owner, who presses these keys after the PIN's.
pub(crate) fn owner(keys: &str, listener: &Listener) -> Call {
    let mut call = Call::message("5555", &[]);
    call.from = "1001".into();
    call.listener = Some(listener.port);
    call.steps = vec![wait(300)];
    for key in PIN.chars().chain("#".chars()).chain(keys.chars()) {
        call.steps.extend([Step::Press(key), wait(50)]);
    }
    call
}

#[tokio::test(flavor = "multi_thread")]
async fn an_owner_hears_exactly_what_was_said_and_it_counts_as_heard() {
    let scene = Scene::open_speaking().await;
    let said = sound(2, 3);
    // The prompt comes before the beep.
    let mut call = Call::message("1001", &said);
    call.steps.insert(0, wait(3_000));
    call.make(scene.sip.sip()).await.unwrap();
    let messages = scene.core.wait_messages("1001", 1, PATIENCE).await.unwrap();
    assert_eq!(messages[0]["state"], "new");
    let listener = Listener::open(LOCAL).await.unwrap();
    let mut call = owner("1", &listener);
    call.steps.push(wait(4_000));
    call.make(scene.sip.sip()).await.unwrap();
    assert!(listener.heard(&said), "something else was heard");
    let read = async || {
        let messages = scene.core.messages("1001").await?;
        (messages[0]["state"] == "read").then_some(()).context("it doesn't count as heard")
    };
    poll(PATIENCE, read).await.unwrap();
    // It is an old one now, and goes by the key 7.
    let mut call = owner("27", &listener);
    call.steps.push(wait(1_000));
    call.make(scene.sip.sip()).await.unwrap();
    scene.core.wait_messages("1001", 0, PATIENCE).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_greeting_recorded_by_telephone_is_what_callers_hear() {
    let scene = Scene::open_speaking().await;
    let greeting = sound(2, 5);
    let listener = Listener::open(LOCAL).await.unwrap();
    let mut call = owner("01", &listener);
    // Said over and over: whenever the tone comes, it is there as a whole behind it.
    let spoken = greeting.repeat(6);
    call.steps.extend([Step::Say(spoken), Step::Press('#'), wait(1_000)]);
    call.make(scene.sip.sip()).await.unwrap();
    let mut call = Call::message("1001", &sound(1, 3));
    call.listener = Some(listener.port);
    call.steps.insert(0, wait(6_000));
    call.make(scene.sip.sip()).await.unwrap();
    assert!(listener.heard(&greeting), "something else was heard");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_owner_who_changes_the_pin_goes_on_with_the_call() {
    let scene = Scene::open_speaking().await;
    let mut call = Call::message("1001", &sound(2, 3));
    call.steps.insert(0, wait(3_000));
    call.make(scene.sip.sip()).await.unwrap();
    scene.core.wait_messages("1001", 1, PATIENCE).await.unwrap();
    // The new PIN twice, then the main menu, the new message, and its deletion.
    let mut call = owner("05918273#918273#", &Listener::open(LOCAL).await.unwrap());
    call.steps.push(wait(2_000));
    for key in ['*', '1', '7'] {
        call.steps.extend([Step::Press(key), wait(500)]);
    }
    call.make(scene.sip.sip()).await.unwrap();
    scene.core.wait_messages("1001", 0, PATIENCE).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_pin_opens_nothing_and_is_told_nowhere() {
    let scene = Scene::open_speaking().await;
    let listener = Listener::open(LOCAL).await.unwrap();
    let mut call = owner("", &listener);
    call.steps = vec![wait(300)];
    for key in "864209#864209#864209#".chars() {
        call.steps.extend([Step::Press(key), wait(30)]);
    }
    call.steps.push(Step::AwaitBye);
    call.make(scene.sip.sip()).await.unwrap();
    let (log, metrics) = (scene.sip.log(), scene.sip.metrics().await.unwrap());
    assert!(metrics.contains("voicemail_sip_logins_total{outcome=\"refused\"} 3"), "{metrics}");
    for secret in ["864209", "1001"] {
        assert!(!is_told(&log, secret) && !is_told(&metrics, secret), "{secret} is told");
    }
}
