//! Telephones that don't do as telephones should, and processes that end while many call: no message is lost, nobody else is hurt, and
//! what happened is counted.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use reqwest::Method;
use serde_json::json;
use voicemail_test_machine::caller::{Call as Ringing, Caller};
use voicemail_test_machine::poll::poll;
use voicemail_test_machine::process_facts::memory;
use voicemail_test_machine::secrecy::is_told;
use voicemail_test_machine::servers::find_free_port;
use voicemail_test_machine::servers::sipp::{Call, Step};
use voicemail_test_machine::servers::voicemail_core::VoicemailCore;
use voicemail_test_machine::servers::voicemail_sip::{Setup, VoicemailSip};
use voicemail_test_machine::speech::sound_of;

use crate::connections::MEMORY_OF_A_FLOOD;
use crate::owners::wait;
use crate::scene::{LOCAL, PATIENCE, Scene, sound};

/// Calls when the process is to stop: as many hang up as don't.
const MANY: usize = 200;
/// Mailboxes that they call, none of which gets full: it holds thirty messages.
const CALLED: usize = 8;
/// Calls that begin in a second while the core is away; for how long is shortened, unless CORE_AWAY_SECONDS says how many.
const CALLS_A_SECOND: usize = 10;
/// Messages of one mailbox: no more are on the first page of a list.
const IN_EACH: usize = 25;
/// The shortest time that calls may have after SIGTERM, and then what is needed to bring their messages away.
const DRAIN: &str = "1m";
const ENDS_WITHIN: Duration = Duration::from_secs(90);

async fn counted(scene: &Scene, lines: &[&str]) {
    let seen = async || {
        let metrics = scene.sip.metrics().await?;
        for line in lines {
            ensure!(metrics.contains(line), "{line} isn't in {metrics}");
        }
        Ok(())
    };
    poll(PATIENCE, seen).await.unwrap();
}

fn called(number: usize) -> String {
    (3_001 + number % CALLED).to_string()
}

/// Calls the mailboxes in turn, twenty a second.
async fn call_many(caller: &Arc<Caller>) -> Vec<Ringing> {
    let mut pace = tokio::time::interval(Duration::from_millis(50));
    let mut calls = Vec::new();
    for number in 0..MANY {
        pace.tick().await;
        let caller = caller.clone();
        calls.push(tokio::spawn(async move { caller.call(&called(number)).await }));
    }
    let mut begun = Vec::new();
    for call in calls {
        begun.push(call.await.unwrap().unwrap());
    }
    begun
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_stops_amid_many_calls_loses_no_message() {
    let core = core_with(CALLED).await;
    let setup = Setup { more: format!("drain: {DRAIN}\n"), calls: Some(MANY), ..Setup::default() };
    let mut sip = VoicemailSip::set_up(&core, setup).await.unwrap();
    let caller = Arc::new(Caller::open(sip.sip()).await.unwrap());
    let mut hanging_up = call_many(&caller).await;
    let mut going_on = hanging_up.split_off(MANY / 2);
    // Long enough to be kept.
    tokio::time::sleep(Duration::from_secs(5)).await;
    let ending = tokio::spawn(async move { sip.stop_within(ENDS_WITHIN).await.map(|()| sip) });
    let refusing = async || {
        let refusal = caller.call("1001").await.map(drop).unwrap_err().to_string();
        ensure!(refusal.contains("503"), "{refusal}");
        Ok(())
    };
    poll(PATIENCE, refusing).await.unwrap();
    for call in hanging_up.drain(..) {
        caller.hang_up(call).await.unwrap();
    }
    // Those who go on are cut off in the end, and told so.
    for call in &mut going_on {
        caller.ended(call, ENDS_WITHIN).await.unwrap();
    }
    let sip = ending.await.unwrap().unwrap();
    wait_for_all(&core, CALLED, MANY).await;
    assert_eq!(std::fs::read_dir(sip.spool()).unwrap().count(), 0, "recordings are left");
}

/// A core with so many mailboxes beside its own.
async fn core_with(mailboxes: usize) -> VoicemailCore {
    let core = VoicemailCore::start().await.unwrap();
    for number in 0..mailboxes {
        let path = format!("/mailboxes/{}", 3_001 + number);
        core.ask("root", Method::PUT, &path, Some(json!({}))).await.unwrap();
    }
    core
}

/// Waits until these of them hold as many messages as were left in turn. A user has ten mailboxes at most, so that they are Alice's
/// one after the other.
async fn wait_for_all(core: &VoicemailCore, mailboxes: usize, messages: usize) {
    for number in 0..mailboxes {
        let mailbox = (3_001 + number).to_string();
        core.ask("root", Method::PUT, "/users/alice", Some(json!({ "mailboxes": [mailbox] }))).await.unwrap();
        let own = (number..messages).step_by(mailboxes).count();
        core.wait_messages(&mailbox, own, PATIENCE).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_many_left_while_the_core_was_away_is_there_within_a_minute_after_it_is_back() {
    let away = std::env::var("CORE_AWAY_SECONDS").map_or(15, |text| text.parse::<usize>().unwrap());
    let messages = away * CALLS_A_SECOND;
    let mailboxes = messages.div_ceil(IN_EACH);
    let mut core = core_with(mailboxes).await;
    let sip = VoicemailSip::set_up(&core, Setup { calls: Some(CALLS_A_SECOND * 10), ..Setup::default() });
    let sip = sip.await.unwrap();
    let caller = Arc::new(Caller::open(sip.sip()).await.unwrap());
    core.kill().unwrap();
    let mut pace = tokio::time::interval(Duration::from_secs(1) / u32::try_from(CALLS_A_SECOND).unwrap());
    let mut calls = tokio::task::JoinSet::new();
    for number in 0..messages {
        pace.tick().await;
        let caller = caller.clone();
        calls.spawn(async move {
            let call = caller.call(&(3_001 + number % mailboxes).to_string()).await.unwrap();
            // Long enough to be kept.
            tokio::time::sleep(Duration::from_secs(5)).await;
            caller.hang_up(call).await.unwrap();
        });
    }
    while let Some(call) = calls.join_next().await {
        call.unwrap();
    }
    let waiting = || std::fs::read_dir(sip.spool()).unwrap().count();
    assert_eq!(waiting(), messages, "recordings in the spool");
    core.start_again_as_it_is().await.unwrap();
    let brought = async || {
        let waiting = waiting();
        ensure!(waiting == 0, "{waiting} of {messages} wait");
        Ok(())
    };
    poll(Duration::from_secs(60), brought).await.unwrap();
    wait_for_all(&core, mailboxes, messages).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_storm_of_keys_hurts_no_call_and_takes_no_memory() {
    let scene = Scene::open_speaking().await;
    let caller = Caller::open(scene.sip.sip()).await.unwrap();
    let owner = caller.call("5555").await.unwrap();
    let said = sound(4, 5);
    let mut call = Call::message("1001", &said);
    // The prompt and the beep take three seconds; the storm may hold them up.
    call.steps[0] = wait(6_000);
    let (_folder, phone) = call.begin(scene.sip.sip()).unwrap();
    counted(&scene, &["voicemail_sip_calls_active{kind=\"deposit\"} 1"]).await;
    let before = memory(scene.sip.pid().unwrap()).unwrap();
    for _ in 0..40 {
        caller.storm(&owner, 500).unwrap();
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let grown = memory(scene.sip.pid().unwrap()).unwrap().saturating_sub(before);
    assert!(grown < MEMORY_OF_A_FLOOD, "the process has grown by {grown} KiB");
    let metrics = scene.sip.metrics().await.unwrap();
    let dropped = metrics.lines().find_map(|line| line.strip_prefix("voicemail_sip_keys_dropped_total "));
    assert!(dropped.unwrap().parse::<u32>().unwrap() > 1_000, "{metrics}");
    caller.hang_up(owner).await.unwrap();
    assert!(phone.wait_with_output().await.unwrap().status.success());
    let messages = scene.core.wait_messages("1001", 1, PATIENCE).await.unwrap();
    assert_eq!(sound_of(&scene.core.audio("1001", &messages[0]).await.unwrap()).unwrap(), said);
    assert!(!is_told(&scene.sip.log(), "555555"), "keys are in the log");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_of_whom_nothing_is_heard_is_hung_up_on_and_leaves_nothing() {
    let scene = Scene::open().await;
    let mut call = Call::message("1001", &[]);
    call.steps = vec![Step::AwaitBye];
    call.make(scene.sip.sip()).await.unwrap();
    counted(
        &scene,
        &[
            "voicemail_sip_calls_total{trunk=\"lab\",kind=\"deposit\",outcome=\"empty\"} 1",
            "voicemail_sip_recordings_total{end=\"silence\"} 1",
            "voicemail_sip_spool_files 0",
        ],
    )
    .await;
    assert!(scene.core.messages("1001").await.unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_who_hears_nothing_of_us_leaves_a_message_all_the_same() {
    let scene = Scene::open().await;
    let said = sound(3, 5);
    let mut call = Call::message("1001", &said);
    // Nobody listens there, and the kernel says so.
    call.listener = Some(find_free_port(LOCAL).unwrap().port());
    call.make(scene.sip.sip()).await.unwrap();
    let messages = scene.core.wait_messages("1001", 1, PATIENCE).await.unwrap();
    assert_eq!(sound_of(&scene.core.audio("1001", &messages[0]).await.unwrap()).unwrap(), said);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_ends_with_the_silence_after_it() {
    let scene = Scene::open().await;
    let caller = Caller::open(scene.sip.sip()).await.unwrap();
    let mut call = caller.call("1001").await.unwrap();
    let begun = || std::fs::read_dir(scene.sip.spool()).is_ok_and(|mut files| files.next().is_some());
    poll(PATIENCE, async || begun().then_some(()).context("nothing is recorded")).await.unwrap();
    // The time of speaking is the caller's, not a wait for something to happen.
    tokio::time::sleep(Duration::from_secs(5)).await;
    caller.fall_silent(&call);
    caller.ended(&mut call, PATIENCE).await.unwrap();
    counted(&scene, &["voicemail_sip_recordings_total{end=\"silence\"} 1"]).await;
    let messages = scene.core.wait_messages("1001", 1, PATIENCE).await.unwrap();
    let stored = scene.core.audio("1001", &messages[0]).await.unwrap();
    // What was said, and the five seconds that ended it.
    let (stored, quiet) = (sound_of(&stored).unwrap(), vec![0xff; 4 * 8_000]);
    assert!(stored.ends_with(&quiet) && stored.len() > 8 * 8_000, "{} samples", stored.len());
}
