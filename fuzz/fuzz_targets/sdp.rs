//! Descriptions of sessions: read or refused, and the answer to one that is read is a description itself.
#![no_main]

use libfuzzer_sys::fuzz_target;
use std::net::{IpAddr, Ipv4Addr};
use voicemail_telephony::sdp::{Local, Offer, write_answer};

fuzz_target!(|data: &[u8]| {
    let Ok(offer) = Offer::parse(data) else { return };
    let local = Local { address: IpAddr::V4(Ipv4Addr::LOCALHOST), port: 20_000, session: 1, version: 1 };
    let answer = write_answer(&offer, &local);
    assert!(Offer::parse(answer.as_bytes()).is_ok(), "our answer to it can't be read: {answer}");
});
