//! `cargo asterisk`: an Asterisk of Debian unstable as the PBX, with the configuration that `docs/telephony.md` shows: a caller
//! whom nobody answers leaves a message, the owner dials 5555 and hears it, and the PBX tells the owner's phone that it waits.
//!
//! It stands outside of the tests, since unstable moves and may not be had: then it fails, and says when it last passed.

use std::net::SocketAddr;

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use reqwest::Method;
use serde_json::json;
use voicemail_test_machine::poll::poll;
use voicemail_test_machine::prompts::english_prompts;
use voicemail_test_machine::servers::asterisk::{Asterisk, ensure_root, version};
use voicemail_test_machine::servers::listener::Listener;
use voicemail_test_machine::servers::loopback;
use voicemail_test_machine::servers::sipp::{Call, MwiPhone, Step};
use voicemail_test_machine::servers::voicemail_core::VoicemailCore;
use voicemail_test_machine::servers::voicemail_sip::{Setup, VoicemailSip};
use voicemail_test_machine::speech::sound_of;

/// When this passed last, and with what: to be written anew after a pass.
const LAST_PASS: &str = "30 November 2026, Asterisk 22.10.1";
const PIN: &str = "739154";
const PATIENCE: Duration = Duration::from_secs(20);

#[tokio::main]
async fn main() -> Result<()> {
    voicemail_test_machine::install_crypto();
    let root = ensure_root().with_context(|| format!("Asterisk can't be had; last pass: {LAST_PASS}"))?;
    let version = version(&root)?;
    println!("{version}");
    let core = VoicemailCore::start().await?;
    core.ask("alice", Method::PUT, "/mailboxes/1001/pin", Some(json!({ "pin": PIN }))).await?;
    let address = Asterisk::free_address()?;
    let sip = VoicemailSip::set_up(&core, setup(address)?).await?;
    let asterisk = Asterisk::start(&root, address, sip.sip()).await?;
    let passed = call(&core, &sip, &asterisk).await;
    passed.with_context(|| format!("the PBX says {}; the telephone {}", asterisk.log(), sip.log()))?;
    println!("a message, 5555 and MWI passed {version}");
    Ok(())
}

fn setup(asterisk: SocketAddr) -> Result<Setup> {
    let trunk = format!(
        "  notify: {{proxy: '{asterisk}', uri: 'sip:{{mailbox}}@{asterisk}', mailboxes: [{{first: '1001'}}]}}"
    );
    let more = format!("dialogue: {{prompts: {}}}\n", english_prompts()?.display());
    Ok(Setup { trunk, more, ..Setup::default() })
}

async fn call(core: &VoicemailCore, sip: &VoicemailSip, asterisk: &Asterisk) -> Result<()> {
    // Asterisk tells its phone what it is told, so first that there is nothing.
    let told = "voicemail_sip_unsolicited_total{trunk=\"lab\",outcome=\"told\"} 1";
    let taken = async || {
        let metrics = sip.metrics().await?;
        ensure!(metrics.contains(told), "Asterisk took no NOTIFY: {metrics}");
        Ok(())
    };
    poll(PATIENCE, taken).await?;
    let said: Vec<u8> = (0..24_000_u32)
        .map(|at| u8::try_from((at / 160 * 7 + at % 160 * 3) % 96))
        .collect::<Result<_, _>>()?;
    let phone = MwiPhone {
        from: "alice".into(),
        ..MwiPhone::own("1001", &["Messages-Waiting: no", "Messages-Waiting: yes"])
    };
    let (told, left) = tokio::join!(phone.watch(asterisk.address()), leave(core, asterisk, &said));
    told.context("the owner's phone wasn't told")?;
    let stored = left?;
    ensure!(contains(&stored, &said), "something else was stored: {} samples", stored.len());
    println!("the caller's message is stored as it was said, and the phone shows it");
    let listener = Listener::open(loopback()).await?;
    listen(asterisk, &listener).await?;
    ensure!(listener.heard(&said), "the owner heard something else: {} samples", listener.count());
    println!("the owner heard it by 5555");
    Ok(())
}

/// Calls 1001, where nobody answers, and says something after the beep; what is stored of it.
async fn leave(core: &VoicemailCore, asterisk: &Asterisk, said: &[u8]) -> Result<Vec<u8>> {
    let mut call = Call::message("1001", said);
    call.from = "outside".into();
    call.steps.insert(0, Step::Wait(Duration::from_secs(4)));
    call.make(asterisk.address()).await?;
    let messages = core.wait_messages("1001", 1, PATIENCE).await?;
    ensure!(messages[0]["caller"] == "+442079460001", "another caller: {}", messages[0]);
    Ok(sound_of(&core.audio("1001", &messages[0]).await?)?.to_vec())
}

/// Dials 5555 and presses the PIN, and 1 for the new message.
async fn listen(asterisk: &Asterisk, listener: &Listener) -> Result<()> {
    let mut call = Call::message("5555", &[]);
    (call.from, call.listener) = ("alice".into(), Some(listener.port));
    call.steps = vec![Step::Wait(Duration::from_secs(1))];
    for key in format!("{PIN}#1").chars() {
        call.steps.extend([Step::Press(key), Step::Wait(Duration::from_millis(400))]);
    }
    call.steps.push(Step::Wait(Duration::from_secs(6)));
    call.make(asterisk.address()).await
}

fn contains(whole: &[u8], part: &[u8]) -> bool {
    whole.windows(part.len()).any(|window| window == part)
}
