//! A trunk whose requests of ours go by a proxy: Kamailio stands there, and sends them on to phones that called and subscribed past it.

use std::time::Duration;

use voicemail_test_machine::caller::{Caller, wait};
use voicemail_test_machine::servers::find_free_port;
use voicemail_test_machine::servers::kamailio::Kamailio;
use voicemail_test_machine::servers::voicemail_core::VoicemailCore;
use voicemail_test_machine::servers::voicemail_sip::{Setup, VoicemailSip};
use voicemail_test_machine::speech::wav_of;

use crate::scene::{LOCAL, PATIENCE, sound};

#[tokio::test(flavor = "multi_thread")]
async fn a_phone_is_told_and_hung_up_on_by_way_of_the_outbound_proxy() {
    let core = VoicemailCore::start().await.unwrap();
    let address = find_free_port(LOCAL).unwrap();
    let trunk = format!("  outboundProxy: '{address}'");
    let sip = VoicemailSip::set_up(&core, Setup { trunk, ..Setup::default() }).await.unwrap();
    let kamailio = Kamailio::listen(address, sip.sip()).unwrap();
    let caller = Caller::open(sip.sip()).await.unwrap();
    let by_proxy = |text: &str| {
        let lines = text.lines().filter(|line| line.starts_with("Via:"));
        lines.take(1).any(|via| via.contains(&address.to_string()))
    };
    let mut phone = caller.subscribe("1001").await.unwrap();
    core.deposit("1001", "+442079460001", "Bob", wav_of(&sound(4, 5))).await.unwrap();
    let told = wait(&mut phone, |text| text.contains("Voice-Message: 1/0")).await;
    let told = told.unwrap_or_else(|error| panic!("{error}; Kamailio says {}", kamailio.log()));
    assert!(by_proxy(&told.text), "{}", told.text);
    // Five seconds of silence end a call.
    let mut call = caller.call("1002").await.unwrap();
    tokio::time::sleep(Duration::from_secs(3)).await;
    caller.fall_silent(&call);
    let bye = caller.ended(&mut call, PATIENCE).await.unwrap();
    assert!(by_proxy(&bye.text), "{}", bye.text);
}
