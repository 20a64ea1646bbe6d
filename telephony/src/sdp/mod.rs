//! Sessions' descriptions (RFC 4566, RFC 3264): an offer is read, an answer or an offer of ours is written. Pure.
//!
//! One stream of audio in G.711 with telephone events is taken; every other stream of an offer is refused with port 0, in
//! its place. Hold in all its forms (port 0, `sendonly`, `inactive`, `0.0.0.0`) is read as a direction.
//!
//! What can go wrong: [`SdpError`], for which a call is answered 488.

mod write;

pub use write::{Local, write_answer, write_offer};

use sdp_types::{Media, Session};
use std::net::IpAddr;
use voicemail_api::ErrorClass;
use voicemail_api::telephony::Law;

/// The longest description that is read, in bytes.
pub const LONGEST: usize = 4 * 1_024;
/// The most streams.
const MOST_MEDIA: usize = 8;

/// Why an offer can't be answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SdpError {
    /// It isn't one.
    #[error("the description of the session can't be read")]
    Malformed,
    /// It is longer than is read.
    #[error("the description of the session is too long")]
    TooLong,
    /// No stream of audio in G.711 over RTP.
    #[error("the session offers no audio in PCMU or PCMA")]
    NoCommonCodec,
}

impl SdpError {
    /// The same offer gets the same answer.
    pub const fn class(self) -> ErrorClass {
        ErrorClass::Permanent
    }
}

/// A stream of audio that is offered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Audio {
    /// Where the peer wants packets; none while it holds.
    pub to: Option<(IpAddr, u16)>,
    /// Where packets come from: as `to`, hold or not.
    pub host: Option<IpAddr>,
    /// The coding that both know, first of the peer's.
    pub law: Law,
    /// Its payload type.
    pub payload_type: u8,
    /// Payload type of telephone events, if they are sent.
    pub events: Option<u8>,
    /// Whether the peer listens.
    pub listens: bool,
    /// Whether the peer talks.
    pub talks: bool,
    /// Milliseconds a packet that the peer wants, 20 to 60.
    pub packet_millis: u32,
}

/// What is offered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offer {
    /// The stream that is taken.
    pub audio: Audio,
    /// All streams in their order: kind, protocol, formats; which of them is the one.
    pub(crate) lines: Vec<Line>,
    pub(crate) chosen: usize,
}

/// A stream's line, to be answered in its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Line {
    pub(crate) media: String,
    pub(crate) proto: String,
    pub(crate) fmt: String,
}

impl Offer {
    /// Reads a body of type `application/sdp`.
    ///
    /// # Errors
    /// [`SdpError`].
    pub fn parse(body: &[u8]) -> Result<Self, SdpError> {
        if body.len() > LONGEST {
            return Err(SdpError::TooLong);
        }
        let session = Session::parse(body).map_err(|_| SdpError::Malformed)?;
        if session.medias.len() > MOST_MEDIA {
            return Err(SdpError::TooLong);
        }
        let lines = session.medias.iter().map(|media| Line {
            media: media.media.clone(),
            proto: media.proto.clone(),
            fmt: media.fmt.clone(),
        });
        let found = session.medias.iter().enumerate();
        let found = found.filter(|(_, media)| media.media == "audio" && media.proto == "RTP/AVP");
        let (chosen, audio) = found
            .filter_map(|(at, media)| Some((at, read_audio(&session, media)?)))
            .next()
            .ok_or(SdpError::NoCommonCodec)?;
        Ok(Self { audio, lines: lines.collect(), chosen })
    }
}

fn read_audio(session: &Session, media: &Media) -> Option<Audio> {
    let (payload_type, law) = media.fmt.split_whitespace().find_map(|fmt| {
        let number: u8 = fmt.parse().ok()?;
        Some((number, law_of(media, number)?))
    })?;
    let events = media.fmt.split_whitespace().filter_map(|fmt| fmt.parse::<u8>().ok());
    let events = events.clone().find(|number| encoding(media, *number) == Some("telephone-event/8000"));
    let connection = media.connections.first().or(session.connection.as_ref());
    let host: Option<IpAddr> =
        connection.and_then(|connection| connection.connection_address.split('/').next()?.parse().ok());
    let host = host.filter(|host| !host.is_unspecified());
    let direction =
        direction(&media.attributes).or_else(|| direction(&session.attributes)).unwrap_or("sendrecv");
    let open = media.port != 0 && host.is_some();
    let packet = attribute(&media.attributes, "ptime").and_then(|text| text.trim().parse().ok());
    Some(Audio {
        to: host.filter(|_| open).map(|host| (host, media.port)),
        host,
        law,
        payload_type,
        events,
        listens: open && matches!(direction, "sendrecv" | "recvonly"),
        talks: open && matches!(direction, "sendrecv" | "sendonly"),
        packet_millis: packet.filter(|millis| matches!(millis, 20 | 30 | 40 | 60)).unwrap_or(20),
    })
}

/// The coding of a payload type: by its map, or by its static number (RFC 3551).
fn law_of(media: &Media, number: u8) -> Option<Law> {
    match encoding(media, number) {
        Some(name) if name.eq_ignore_ascii_case("PCMU/8000") => Some(Law::Mulaw),
        Some(name) if name.eq_ignore_ascii_case("PCMA/8000") => Some(Law::Alaw),
        Some(_) => None,
        None if number == 0 => Some(Law::Mulaw),
        None if number == 8 => Some(Law::Alaw),
        None => None,
    }
}

fn encoding(media: &Media, number: u8) -> Option<&str> {
    let maps = media.attributes.iter().filter(|attribute| attribute.attribute == "rtpmap");
    maps.filter_map(|map| map.value.as_deref()?.trim().split_once(' '))
        .find(|(known, _)| known.parse() == Ok(number))
        .map(|(_, name)| name.trim().trim_end_matches("/1"))
}

fn direction(attributes: &[sdp_types::Attribute]) -> Option<&'static str> {
    ["sendrecv", "sendonly", "recvonly", "inactive"]
        .into_iter()
        .find(|name| attributes.iter().any(|attribute| attribute.attribute == *name))
}

fn attribute<'a>(attributes: &'a [sdp_types::Attribute], name: &str) -> Option<&'a str> {
    attributes.iter().find(|attribute| attribute.attribute == name)?.value.as_deref()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn offer(media: &str) -> Result<Offer, SdpError> {
        let text =
            format!("v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n{media}");
        Offer::parse(text.as_bytes())
    }

    #[test]
    fn the_first_common_coding_and_its_events_are_chosen() {
        let media = "m=audio 4000 RTP/AVP 96 8 0 101\r\na=rtpmap:96 opus/48000/2\r\na=rtpmap:101 telephone-event/8000\r\n";
        let audio = offer(media).unwrap().audio;
        assert_eq!((audio.law, audio.payload_type, audio.events), (Law::Alaw, 8, Some(101)));
        assert_eq!(audio.to, Some(("192.0.2.1".parse().unwrap(), 4_000)));
        let mapped = offer("m=audio 4000 RTP/AVP 97\r\na=rtpmap:97 PCMU/8000/1\r\n").unwrap().audio;
        assert_eq!((mapped.law, mapped.payload_type), (Law::Mulaw, 97));
        assert_eq!(offer("m=audio 4000 RTP/AVP 0\r\na=rtpmap:0 G729/8000\r\n"), Err(SdpError::NoCommonCodec));
        assert_eq!(offer("m=audio 4000 RTP/SAVP 0\r\n"), Err(SdpError::NoCommonCodec));
    }

    #[test]
    fn every_form_of_hold_is_one() {
        for (media, listens, talks) in [
            ("m=audio 4000 RTP/AVP 0\r\n", true, true),
            ("m=audio 0 RTP/AVP 0\r\n", false, false),
            ("m=audio 4000 RTP/AVP 0\r\na=sendonly\r\n", false, true),
            ("m=audio 4000 RTP/AVP 0\r\na=recvonly\r\n", true, false),
            ("m=audio 4000 RTP/AVP 0\r\na=inactive\r\n", false, false),
            ("m=audio 4000 RTP/AVP 0\r\nc=IN IP4 0.0.0.0\r\n", false, false),
        ] {
            let audio = offer(media).unwrap().audio;
            assert_eq!((audio.listens, audio.talks), (listens, talks), "{media}");
        }
    }

    #[test]
    fn what_is_too_long_or_no_description_is_refused() {
        assert_eq!(Offer::parse(b"hello"), Err(SdpError::Malformed));
        assert_eq!(Offer::parse(&[b'v'; LONGEST + 1]), Err(SdpError::TooLong));
        assert_eq!(offer(&"m=audio 4000 RTP/AVP 0\r\n".repeat(9)), Err(SdpError::TooLong));
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_fail(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = Offer::parse(&bytes);
        }
    }
}
