//! What people hear is what the program means to say: a recogniser of speech tells the words of the clips, and of calls that a telephone
//! has recorded.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::ensure;
use audio_codec_algorithms::decode_ulaw;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use reqwest::Method;
use serde_json::json;
use voicemail_telephony::prompts::Pack;
use voicemail_test_machine::poll::poll;
use voicemail_test_machine::prompts::english_prompts;
use voicemail_test_machine::servers::baresip::Baresip;
use voicemail_test_machine::servers::kamailio::Kamailio;
use voicemail_test_machine::servers::pocketsphinx::hear;
use voicemail_test_machine::servers::voicemail_core::VoicemailCore;
use voicemail_test_machine::servers::voicemail_sip::VoicemailSip;
use voicemail_test_machine::speech::wav_of;

use crate::english::{English, is_said};
use crate::scene::{PATIENCE, PIN, Scene};

/// Between two keys.
const KEY: Duration = Duration::from_millis(150);
/// All that is said at one time, on a machine that has much else to do.
const TALK: Duration = Duration::from_secs(60);
/// Samples without sound after which all is said: a voice pauses less between sentences.
const PAUSE: usize = 8_000;
/// From here on a sample is sound.
const LOUD: u16 = 100;
/// A sample of silence in µ-law.
const SILENCE: u8 = 0xff;

/// The English clips, as they are said.
struct Clips(Pack);

impl Clips {
    fn read() -> Self {
        Self(Pack::read(&english_prompts().unwrap()).unwrap())
    }

    fn samples(&self, names: &[String]) -> Vec<u8> {
        names.iter().flat_map(|name| self.0.clip(name).unwrap()).collect()
    }

    fn sound(&self, names: &[String]) -> Vec<i16> {
        self.samples(names).into_iter().map(decode_ulaw).collect()
    }
}

fn names(text: &str) -> Vec<String> {
    text.split_whitespace().map(str::to_owned).collect()
}

fn count(number: usize) -> String {
    match number {
        0 => "no".into(),
        100.. => "more-than-99".into(),
        _ => format!("number-{number}"),
    }
}

fn counts(new: usize, old: usize) -> Vec<String> {
    let form = |number| if number == 1 { "one" } else { "other" };
    let (some, more) = (count(new), count(old));
    names(&format!("you-have {some} new-message.{} and {more} old-message.{}", form(new), form(old)))
}

/// What is said of a message of that day, with other months, hours and callers each day.
fn envelope(day: usize) -> Vec<String> {
    let half = if day % 4 < 2 { "am" } else { "pm" };
    let oh = if !day.is_multiple_of(2) { format!("oh number-{}", day % 9 + 1) } else { String::new() };
    let digits = (0..10).map(|at| format!("number-{}", (day + at * 3) % 10)).collect::<Vec<_>>().join(" ");
    let caller = if day.is_multiple_of(3) { "unknown-caller".to_owned() } else { format!("plus {digits}") };
    let (month, hour) = ((day - 1) % 12 + 1, (day + 3) % 12 + 1);
    names(&format!("received month-{month} day-{day} at number-{hour} {oh} {half} from {caller}"))
}

/// Sentences that all clips are in.
fn all_sentences(english: &English) -> Vec<Vec<String>> {
    let alone = english.sentences().into_iter().map(|name| vec![name]);
    let counted = (0..=100).step_by(2).map(|number| counts(number, number + 1)).chain([counts(1, 0)]);
    let more = [
        "today at number-9 number-30 am",
        "yesterday at number-9 oclock number-30",
        "today at number-0 oclock",
    ];
    let more = more.map(|time| names(&format!("received {time} from unknown-caller")));
    alone.chain(counted).chain((1..=31).map(envelope)).chain(more).collect()
}

#[test]
fn every_english_clip_is_heard_as_its_text_and_other_clips_and_silence_are_not() {
    let (clips, english) = (Clips::read(), English::read());
    let sentences = all_sentences(&english);
    let used: BTreeSet<String> = sentences.iter().flatten().cloned().collect();
    assert_eq!(used, english.names(), "a clip isn't tried");
    // Last, what isn't to be taken for "you have two new messages and one old message".
    let others = [counts(3, 1), counts(2, 10), counts(1, 2), names("goodbye")];
    let mut sounds: Vec<Vec<i16>> = sentences.iter().chain(&others).map(|said| clips.sound(said)).collect();
    sounds.push(vec![0; 16_000]);
    let heard = hear(&english.grammar(""), &sounds).unwrap();
    let pairs = sentences.iter().map(|said| english.text(said)).zip(&heard);
    let wrong: Vec<_> = pairs.filter(|(said, heard)| !is_said(said, heard)).collect();
    assert!(wrong.is_empty(), "said, and heard: {wrong:#?}");
    let (expected, others) = (english.text(&counts(2, 1)), &heard[sentences.len()..]);
    assert!(others.iter().all(|heard| !is_said(&expected, heard)), "{others:#?}");
}

/// A zone in which it is about noon, and a quarter to ten of that day.
fn a_morning() -> (String, Timestamp) {
    let now = Timestamp::now();
    let before = i32::from(now.to_zoned(TimeZone::UTC).hour()) - 12;
    // Etc/GMT+1 is an hour behind.
    let zone = format!("Etc/GMT{before:+}");
    let today = now.in_tz(&zone).unwrap().date();
    (zone.clone(), today.at(9, 42, 0, 0).in_tz(&zone).unwrap().timestamp())
}

/// What a telephone heard in its last call, as words.
fn words_heard(english: &English, phone: &Baresip) -> String {
    hear(&english.grammar("+"), &[phone.heard().unwrap()]).unwrap().remove(0)
}

/// Waits until something was said after so many samples, and nothing more is.
async fn hear_out(phone: &Baresip, from: usize) {
    let said = async || {
        let heard = phone.heard()?;
        let is_loud = |sample: &i16| sample.unsigned_abs() > LOUD;
        let last = heard.iter().rposition(is_loud).unwrap_or_default();
        let heard = heard.len();
        ensure!(
            last > from && heard - last > PAUSE,
            "sample {last} of {heard} is the last loud one, after {from}"
        );
        Ok(())
    };
    poll(TALK, said).await.unwrap();
}

/// A scene in which mailbox 1001 has a message of this morning, left by 2001, which says that.
async fn scene_with_message(samples: &[u8]) -> Scene {
    let (zone, left) = a_morning();
    let core = VoicemailCore::start_with(&format!("reception: {{timeZone: {zone}}}\n")).await.unwrap();
    core.ask("alice", Method::PUT, "/mailboxes/1001/pin", Some(json!({ "pin": PIN }))).await.unwrap();
    core.deposit_left("1001", "2001", left, wav_of(samples)).await.unwrap();
    let dialogue = format!("dialogue: {{prompts: {}}}\n", english_prompts().unwrap().display());
    Scene { sip: VoicemailSip::start(&core, &dialogue).await.unwrap(), core }
}

/// Calls a mailbox and says nothing.
async fn hear_greeting(phone: &mut Baresip) {
    phone.call("1002", PATIENCE).await.unwrap();
    hear_out(phone, 0).await;
    phone.hang_up().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_caller_and_an_owner_hear_are_the_words_that_belong_there() {
    let (clips, english) = (Clips::read(), English::read());
    let message = names("pin-refused");
    let scene = scene_with_message(&[clips.samples(&message), vec![SILENCE; 3 * PAUSE]].concat()).await;
    let kamailio = Kamailio::start(scene.sip.sip()).unwrap();
    // A telephone that has nothing to say any more hangs up.
    let silence = vec![0; 90 * 8_000];
    let mut owner = Baresip::register(kamailio.address(), "1001", false, &silence).await.unwrap();
    let mut caller = Baresip::register(kamailio.address(), "2001", false, &silence).await.unwrap();
    let received =
        "received today at number-9 number-42 am from number-2 number-0 number-0 number-1 message-menu";
    let script = [
        ("", names("pin")),
        (&format!("{PIN}#1"), message),
        ("3", names(received)),
        ("*", [counts(0, 1), names("main-menu")].concat()),
    ];
    let listen = async {
        owner.call("5555", PATIENCE).await.unwrap();
        for (keys, _) in &script {
            let from = owner.heard().map_or(0, |heard| heard.len());
            owner.press(keys, KEY).await.unwrap();
            hear_out(&owner, from).await;
        }
        owner.press("*", KEY).await.unwrap();
        owner.wait("CALL_CLOSED", "", PATIENCE).await.unwrap();
    };
    tokio::join!(listen, hear_greeting(&mut caller));
    let heard = words_heard(&english, &caller);
    // The tone itself may be taken for a word.
    assert!(heard.starts_with("please leave a message after the tone"), "{heard}");
    let said: Vec<String> = script.into_iter().flat_map(|(_, said)| said).chain(names("goodbye")).collect();
    let (expected, heard) = (english.text(&said), words_heard(&english, &owner));
    assert!(is_said(&expected, &heard), "expected:\n{expected}\nheard:\n{heard}");
}
