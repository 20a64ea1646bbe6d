//! A stream of SIP in pieces of any size: messages are the same however it was cut, and whatever a message says, reading it
//! ends, in the stack as in what reads its headers.
#![no_main]

use libfuzzer_sys::fuzz_target;
use rsipstack::sip::{SipMessage, Transport};
use rsipstack::transport::SipConnection;
use std::net::SocketAddr;
use std::sync::LazyLock;
use std::time::Duration;
use voicemail_telephony::config::Algorithm;
use voicemail_telephony::signalling::address::Address;
use voicemail_telephony::signalling::digest::{Nonces, Question};
use voicemail_telephony::signalling::evidence::Evidence;
use voicemail_telephony::signalling::identity::Identity;
use voicemail_telephony::transport::frame::{Frame, FrameError, Splitter};

static NONCES: LazyLock<Nonces> = LazyLock::new(|| Nonces::new().expect("randomness"));
const PEER: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 5_060);

fn split(stream: &[u8], piece: usize) -> Result<Vec<Frame>, FrameError> {
    let (mut splitter, mut frames) = (Splitter::default(), Vec::new());
    for bytes in stream.chunks(piece) {
        splitter.push(bytes);
        while let Some(frame) = splitter.cut()? {
            frames.push(frame);
        }
    }
    Ok(frames)
}

/// As a datagram or a message of a stream is read.
fn read(message: &[u8]) {
    let Ok(message) = SipMessage::try_from(message) else { return };
    let Ok(SipMessage::Request(request)) = SipConnection::update_msg_received(message, PEER, Transport::Tcp)
    else {
        return;
    };
    let headers: Vec<(String, String)> = request
        .headers
        .iter()
        .filter_map(|header| {
            let text = header.to_string();
            let (name, value) = text.split_once(':')?;
            Some((name.trim().to_owned(), value.trim().to_owned()))
        })
        .collect();
    let (uri, method) = (request.uri.to_string(), request.method.to_string());
    let _ = Evidence::read(&uri, &headers);
    let identity = Identity::read(&headers, true);
    assert!(identity.caller.is_none_or(|caller| !caller.is_empty()));
    let _ = Address::parse_uri(&uri);
    let question = Question { method: &method, uri: &uri, realm: "r", algorithms: &[Algorithm::Sha256] };
    let answers = headers.iter().map(|(_, value)| value.as_str());
    assert!(question.check(answers, "anna:secret\n", &NONCES, Duration::ZERO).is_err(), "a guess was taken");
}

fuzz_target!(|data: &[u8]| {
    let Some((piece, stream)) = data.split_first() else { return };
    let whole = split(stream, stream.len().max(1));
    assert_eq!(whole, split(stream, usize::from(*piece).max(1)), "cuts change what is read");
    for frame in whole.into_iter().flatten() {
        if let Frame::Message(message) = frame {
            read(&message);
        }
    }
    read(stream);
});
