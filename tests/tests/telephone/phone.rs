//! A telephone as people have it on their desk, behind a proxy as offices have one: baresip registers with Kamailio, leaves a message,
//! dials 5555, and shows its MWI. What passed it isn't the same byte for byte, so sounds are compared by how alike they are.

use std::time::Duration;

use anyhow::ensure;
use audio_codec_algorithms::decode_ulaw;
use voicemail_test_machine::poll::poll;
use voicemail_test_machine::secrecy::is_told;
use voicemail_test_machine::servers::baresip::Baresip;
use voicemail_test_machine::servers::kamailio::Kamailio;
use voicemail_test_machine::speech::sound_of;

use crate::scene::{PATIENCE, PIN, Scene};

const RATE: usize = 8_000;
/// By so much a sound is the same one.
const ALIKE: f64 = 0.9;
const BETWEEN_KEYS: Duration = Duration::from_millis(200);
/// A caller speaks for so long.
const SPEAKS: Duration = Duration::from_secs(6);

/// Sound that is like no other part of itself: noise, which always comes out the same.
fn noise(seconds: usize) -> Vec<i16> {
    let mut state = 0x2545_f491_u32;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        i16::try_from(i64::from(state % 16_000) - 8_000).unwrap()
    };
    // Each value twice: most of it lies where a telephone carries sound.
    (0..seconds * RATE / 2).flat_map(|_| [next(); 2]).collect()
}

/// How alike two sounds of one length are: 1 for the same one, whatever its loudness.
fn likeness(one: &[i16], other: &[i16]) -> f64 {
    let product =
        |a: &[i16], b: &[i16]| -> f64 { a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum() };
    let power = product(one, one) * product(other, other);
    if power > 0.0 { product(one, other) / power.sqrt() } else { 0.0 }
}

/// How alike a sound is to that part of another one which is most like it.
fn best_likeness(part: &[i16], whole: &[i16]) -> f64 {
    let probe = &part[..RATE / 10];
    let places = whole.len().saturating_sub(part.len());
    let by_probe = |at: &usize| (likeness(probe, &whole[*at..at + probe.len()]) * 1e6) as i64;
    let best = (0..places).max_by_key(by_probe);
    best.map_or(0.0, |at| likeness(part, &whole[at..at + part.len()]))
}

#[test]
fn a_sound_is_found_within_another_one_and_not_in_a_third() {
    let whole = noise(4);
    let part: Vec<i16> = whole[RATE..2 * RATE].iter().map(|sample| sample / 2).collect();
    assert!(best_likeness(&part, &whole) > 0.999);
    let other: Vec<i16> = whole.iter().map(|sample| sample.wrapping_mul(7)).rev().collect();
    assert!(best_likeness(&part, &other) < 0.5);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_desk_phone_leaves_a_message_shows_its_mwi_and_its_owner_hears_the_message_by_5555() {
    let scene = Scene::open_speaking().await;
    let said = noise(20);
    let kamailio = Kamailio::start(scene.sip.sip()).unwrap();
    let mut desk = Baresip::register(kamailio.address(), "1001", true, &said).await.unwrap();
    desk.wait("MWI_NOTIFY", "Voice-Message: 0/0", PATIENCE).await.unwrap();
    let mut caller = Baresip::register(kamailio.address(), "2001", false, &said).await.unwrap();
    caller.call("1001", PATIENCE).await.unwrap();
    // The time of speaking is the caller's, not a wait for something to happen.
    tokio::time::sleep(SPEAKS).await;
    caller.hang_up().await.unwrap();
    let messages = scene.core.wait_messages("1001", 1, PATIENCE).await.unwrap();
    desk.wait("MWI_NOTIFY", "Voice-Message: 1/0", PATIENCE).await.unwrap();
    let stored = scene.core.audio("1001", &messages[0]).await.unwrap();
    let stored: Vec<i16> = sound_of(&stored).unwrap().iter().map(|sample| decode_ulaw(*sample)).collect();
    assert!(stored.len() > 2 * RATE, "only {} samples were recorded", stored.len());
    let alike = best_likeness(&stored[..2 * RATE], &said);
    assert!(alike > ALIKE, "what was said and what is stored: {alike}\n{}", caller.log());
    caller.stop().await.unwrap();

    desk.call("5555", PATIENCE).await.unwrap();
    desk.press(PIN, BETWEEN_KEYS).await.unwrap();
    desk.press("#1", BETWEEN_KEYS).await.unwrap();
    // It counts as heard after half of it.
    desk.wait("MWI_NOTIFY", "Voice-Message: 0/1", PATIENCE).await.unwrap();
    desk.hang_up().await.unwrap();
    let heard = async || {
        let heard = desk.heard()?;
        let alike = best_likeness(&stored[..RATE], &heard);
        ensure!(alike > ALIKE, "what is stored and what was heard, {} samples: {alike}", heard.len());
        Ok(())
    };
    poll(PATIENCE, heard).await.unwrap();
    let log = scene.sip.log();
    assert!(["1001", "2001", PIN].iter().all(|secret| !is_told(&log, secret)), "{log}");
}
