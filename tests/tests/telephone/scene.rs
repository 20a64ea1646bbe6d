//! A core, the telephone side before it, and sounds to say.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use reqwest::Method;
use serde_json::json;
use voicemail_test_machine::prompts::english_prompts;
use voicemail_test_machine::servers::voicemail_core::VoicemailCore;
use voicemail_test_machine::servers::voicemail_sip::VoicemailSip;
use voicemail_test_machine::speech::wav_of;

pub(crate) const LOCAL: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
pub(crate) const PIN: &str = "739154";
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) struct Scene {
    pub(crate) core: VoicemailCore,
    pub(crate) sip: VoicemailSip,
}

impl Scene {
    pub(crate) async fn open() -> Self {
        Self::open_before("").await
    }

    /// Before a core with these further lines of its configuration.
    pub(crate) async fn open_before(more: &str) -> Self {
        let core = VoicemailCore::start_with(more).await.unwrap();
        let sip = VoicemailSip::start(&core, "").await.unwrap();
        Self { core, sip }
    }

    /// With prompts, and a PIN of alice's mailbox.
    pub(crate) async fn open_speaking() -> Self {
        Self::open_saying(&format!("dialogue: {{prompts: {}}}\n", english_prompts().unwrap().display())).await
    }

    /// The same with this in the telephone's configuration.
    pub(crate) async fn open_saying(dialogue: &str) -> Self {
        let core = VoicemailCore::start().await.unwrap();
        core.ask("alice", Method::PUT, "/mailboxes/1001/pin", Some(json!({ "pin": PIN }))).await.unwrap();
        let sip = VoicemailSip::start(&core, dialogue).await.unwrap();
        Self { core, sip }
    }
}

/// µ-law samples that differ in every packet and are never silent: whole packets of 20 ms.
pub(crate) fn sound(seconds: usize, seed: usize) -> Vec<u8> {
    (0..seconds * 8_000).map(|at| u8::try_from((at / 160 * 7 + at % 160 * seed) % 96).unwrap()).collect()
}

/// A WAV file with [`sound`].
pub(crate) fn spoken(seconds: usize, seed: usize) -> Vec<u8> {
    wav_of(&sound(seconds, seed))
}
