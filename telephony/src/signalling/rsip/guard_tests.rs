//! Messages of a trunk that knows everything, and of the one whose call it is.

use super::super::wire::{OPEN, PATIENCE, Scene, answer_to, description, line_of, receive, send};
use crate::signalling::{LegEvent, SipError};
use std::time::Duration;

/// A datagram on loopback that was to change something has long done so.
const LONG: Duration = Duration::from_millis(300);

#[tokio::test]
async fn a_call_that_rings_is_taken_back_by_nobody_but_who_made_it() {
    let scene = Scene::open().await;
    let mut call = scene.ring(&description(4_000)).await;
    let cancel = scene.message("CANCEL", OPEN, "");
    // By another trunk that knows everything.
    send(&scene.forger, &cancel).await;
    receive(&scene.forger, "SIP/2.0 481").await;
    scene.forged(1).await;
    // By the trunk itself, of something else: each of these makes it another request.
    let own = scene.own.local_addr().unwrap().to_string();
    for (part, other) in [
        (format!("UDP {own}"), "UDP 127.0.0.2:9"),
        ("z9hG4bKfirst".into(), "z9hG4bKsecond"),
        ("call@pbx".into(), "other@pbx"),
        ("tag=theirs".into(), "tag=others"),
        ("CSeq: 7".into(), "CSeq: 8"),
    ] {
        send(&scene.own, &cancel.replacen(&part, other, 1)).await;
        receive(&scene.own, "SIP/2.0 481").await;
    }
    scene.forged(2).await;
    assert!(tokio::time::timeout(LONG, call.leg.event()).await.is_err(), "a forged CANCEL ended the call");
    send(&scene.own, &cancel).await;
    receive(&scene.own, "SIP/2.0 200").await;
    let ended = tokio::time::timeout(PATIENCE, call.leg.event()).await;
    assert!(matches!(ended, Ok(LegEvent::Ended)), "{ended:?}");
    scene.forged(2).await;
}

#[tokio::test]
async fn an_acknowledgement_of_another_trunk_neither_confirms_a_call_nor_describes_it() {
    let scene = Scene::open().await;
    let mut call = scene.ring("").await;
    let answering = tokio::spawn(async move { (call.leg.answer(&description(20_000)).await, call) });
    let answer = receive(&scene.own, "SIP/2.0 200").await;
    let ack =
        |port| scene.message("ACK", line_of(&answer, "To: "), &description(port)).replace("first", "ack");
    send(&scene.forger, &ack(4_444)).await;
    scene.forged(1).await;
    assert!(!answering.is_finished(), "a forged ACK confirmed the call");
    send(&scene.own, &ack(4_000)).await;
    let (offer, _call) = tokio::time::timeout(PATIENCE, answering).await.unwrap().unwrap();
    assert_eq!(offer.unwrap().unwrap().audio.to.unwrap().1, 4_000);
}

#[tokio::test]
async fn an_invite_that_another_trunk_sends_again_fetches_no_answer_of_ours() {
    let scene = Scene::open().await;
    let mut call = scene.ring(&description(4_000)).await;
    tokio::spawn(async move { (call.leg.answer(&description(20_000)).await, call) });
    receive(&scene.own, "SIP/2.0 200").await;
    let invite = scene.message("INVITE", OPEN, &description(4_000));
    send(&scene.forger, &invite).await;
    let answer = receive(&scene.forger, "SIP/2.0").await;
    assert!(answer.starts_with("SIP/2.0 482") && !line_of(&answer, "To: ").contains("tag="), "{answer}");
    send(&scene.own, &invite).await;
    receive(&scene.own, "SIP/2.0 200").await;
    scene.forged(1).await;
}

#[tokio::test]
async fn an_answer_to_our_request_counts_from_whom_was_asked() {
    let scene = Scene::open().await;
    let told = scene.give_notice();
    let asked = receive(&scene.own, "NOTIFY").await;
    let answer = |status: &str| answer_to(&asked, status);
    send(&scene.forger, &answer("200 OK")).await;
    scene.forged(1).await;
    assert!(!told.is_finished(), "a forged answer counted");
    send(&scene.own, &answer("480 Temporarily Unavailable")).await;
    assert_eq!(tokio::time::timeout(PATIENCE, told).await.unwrap().unwrap(), Err(SipError::Refused(480)));
    // And none after it.
    send(&scene.own, &answer("200 OK")).await;
    scene.forged(2).await;
}
