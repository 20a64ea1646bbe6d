//! Our side of a session: an answer in the places of the offer's streams, or an offer when the caller sent none.

use super::Offer;
use std::net::IpAddr;
use voicemail_api::telephony::Law;

/// Payload type of telephone events in offers of ours.
pub(super) const EVENTS: u8 = 101;

/// Our end of the stream.
#[derive(Clone, Copy, Debug)]
pub struct Local {
    /// Address that the peer reaches.
    pub address: IpAddr,
    /// RTP's port.
    pub port: u16,
    /// Of the whole session (RFC 3264: stays), and counting its descriptions (grows by one).
    pub session: u64,
    /// The number of this description.
    pub version: u64,
}

fn head(local: &Local) -> String {
    let kind = if local.address.is_ipv4() { "IP4" } else { "IP6" };
    let (address, session, version) = (local.address, local.session, local.version);
    format!(
        "v=0\r\no=voicemail {session} {version} IN {kind} {address}\r\ns=-\r\nc=IN {kind} {address}\r\nt=0 0\r\n"
    )
}

/// The answer to an offer: its audio taken, all else refused.
pub fn write_answer(offer: &Offer, local: &Local) -> String {
    let mut text = head(local);
    for (at, line) in offer.lines.iter().enumerate() {
        if at == offer.chosen {
            text.push_str(&chosen(offer, local));
        } else {
            text.push_str(&format!("m={} 0 {} {}\r\n", line.media, line.proto, line.fmt));
        }
    }
    text
}

fn chosen(offer: &Offer, local: &Local) -> String {
    let audio = &offer.audio;
    let number = audio.payload_type;
    let formats = audio.events.map_or(number.to_string(), |events| format!("{number} {events}"));
    let mut text = format!("m=audio {} RTP/AVP {formats}\r\n", local.port);
    text.push_str(&map(number, audio.law));
    if let Some(events) = audio.events {
        text.push_str(&map_events(events));
    }
    let direction = match (audio.listens, audio.talks) {
        (true, true) => "sendrecv",
        (true, false) => "sendonly",
        (false, true) => "recvonly",
        (false, false) => "inactive",
    };
    text.push_str(&format!("a=ptime:20\r\na={direction}\r\n"));
    text
}

/// An offer for a caller who sent none: it comes back with the ACK.
pub fn write_offer(local: &Local) -> String {
    let audio = format!("m=audio {} RTP/AVP 0 8 {EVENTS}\r\n", local.port);
    let maps = [map(0, Law::Mulaw), map(8, Law::Alaw), map_events(EVENTS)].concat();
    format!("{}{audio}{maps}a=ptime:20\r\na=sendrecv\r\n", head(local))
}

fn map(number: u8, law: Law) -> String {
    let name = match law {
        Law::Mulaw => "PCMU",
        Law::Alaw => "PCMA",
    };
    format!("a=rtpmap:{number} {name}/8000\r\n")
}

fn map_events(number: u8) -> String {
    format!("a=rtpmap:{number} telephone-event/8000\r\na=fmtp:{number} 0-15\r\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOCAL: Local =
        Local { address: IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), port: 20_000, session: 7, version: 1 };

    fn answer(media: &str) -> String {
        let text =
            format!("v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n{media}");
        write_answer(&Offer::parse(text.as_bytes()).unwrap(), &LOCAL)
    }

    #[test]
    fn other_streams_are_refused_in_their_places() {
        let text = answer("m=video 4002 RTP/AVP 99\r\nm=audio 4000 RTP/AVP 0\r\nm=audio 4004 RTP/AVP 8\r\n");
        let lines: Vec<&str> = text.lines().filter(|line| line.starts_with("m=")).collect();
        assert_eq!(lines, ["m=video 0 RTP/AVP 99", "m=audio 20000 RTP/AVP 0", "m=audio 0 RTP/AVP 8"]);
    }

    #[test]
    fn a_held_side_is_answered_by_its_counterpart() {
        assert!(answer("m=audio 4000 RTP/AVP 0\r\na=sendonly\r\n").contains("a=recvonly"));
        assert!(answer("m=audio 4000 RTP/AVP 0\r\na=inactive\r\n").contains("a=inactive"));
    }

    #[test]
    fn an_offer_of_ours_can_be_read_as_one() {
        let offer = Offer::parse(write_offer(&LOCAL).as_bytes()).unwrap();
        assert_eq!((offer.audio.law, offer.audio.events), (Law::Mulaw, Some(EVENTS)));
    }
}
