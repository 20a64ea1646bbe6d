//! A call's audio over sockets of loopback: what is sent when, and what was read when it ends.

use crate::config::PortBlock;
use crate::g711::FRAME;
use crate::media::ports::Ports;
use crate::media::rtp::Packet;
use crate::media::{Clip, Counters, Media, MediaEvent, RecordRules, Sink};
use crate::sdp::Audio;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::UdpSocket;
use voicemail_api::telephony::Law;

const LOCAL: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const PATIENCE: Duration = Duration::from_secs(10);

/// A call whose peer is a socket, and the call's port.
async fn call(block: PortBlock) -> (Media, UdpSocket, SocketAddr) {
    let peer = UdpSocket::bind((LOCAL, 0)).await.unwrap();
    let pair = Ports::new(block, LOCAL).take().await.unwrap();
    let port = pair.port();
    let media = Media::open(pair, Arc::new(Counters::default()));
    let to = Some((LOCAL, peer.local_addr().unwrap().port()));
    media.start(Audio {
        to,
        host: Some(LOCAL),
        law: Law::Mulaw,
        payload_type: 0,
        events: None,
        listens: true,
        talks: true,
        packet_millis: 20,
    });
    (media, peer, SocketAddr::new(LOCAL, port))
}

/// The next packet: its number, its time, and what it says.
async fn hear(peer: &UdpSocket) -> (u16, u32, Vec<u8>) {
    let mut datagram = [0; 2_048];
    let length = tokio::time::timeout(PATIENCE, peer.recv(&mut datagram)).await.unwrap().unwrap();
    let packet = Packet::parse(&datagram[..length]).unwrap();
    (packet.sequence, packet.timestamp, packet.payload.to_vec())
}

#[tokio::test]
async fn silence_goes_in_packets_for_two_and_sound_in_packets_of_twenty_milliseconds() {
    let (mut media, peer, _) = call(PortBlock { from: 28_200, to: 28_203 }).await;
    let mut heard = vec![hear(&peer).await, hear(&peer).await];
    assert!(heard.iter().all(|(_, _, payload)| *payload == [0xff; 2 * FRAME]), "{heard:?}");
    let clip: Vec<u8> = (0..3 * FRAME).map(|at| u8::try_from(at % 90).unwrap()).collect();
    media.play(vec![Clip::whole(Law::Mulaw, clip.clone())]);
    while !sound_of(&heard).ends_with(&clip) {
        heard.push(hear(&peer).await);
        assert!(heard.len() < 50, "the clip wasn't heard");
    }
    // Each packet begins where the one before ended.
    for ((number, time, payload), (next, begins, _)) in heard.iter().zip(&heard[1..]) {
        assert_eq!(*next, number.wrapping_add(1));
        assert_eq!(*begins, time.wrapping_add(u32::try_from(payload.len()).unwrap()));
    }
    let played = tokio::time::timeout(PATIENCE, media.event()).await.unwrap();
    assert!(matches!(played, Some(MediaEvent::Played)), "{played:?}");
}

/// The sound of packets of 20 ms.
fn sound_of(heard: &[(u16, u32, Vec<u8>)]) -> Vec<u8> {
    heard.iter().filter(|(_, _, payload)| payload.len() == FRAME).flat_map(|(_, _, it)| it.clone()).collect()
}

#[tokio::test]
async fn what_was_sent_before_the_end_is_in_the_recording_though_nobody_had_looked_yet() {
    let (media, peer, port) = call(PortBlock { from: 28_204, to: 28_207 }).await;
    let rules =
        RecordRules { longest: Duration::from_secs(60), silence: Duration::from_secs(30), keys: Vec::new() };
    media.record(Sink::Memory(Vec::new()), rules);
    // A second of speech at once: far more than comes between two looks.
    let mut bytes = Vec::new();
    for number in 0..50_u16 {
        let payload = [u8::try_from(number).unwrap(); FRAME];
        let timestamp = u32::from(number) * 160;
        let packet = Packet {
            payload_type: 0,
            marker: false,
            sequence: number,
            timestamp,
            ssrc: 7,
            payload: &payload,
        };
        packet.write(&mut bytes);
        peer.send_to(&bytes, port).await.unwrap();
    }
    let take = tokio::time::timeout(PATIENCE, media.finish_recording()).await.unwrap().unwrap();
    assert_eq!(take.length, Duration::from_secs(1));
    let Sink::Memory(samples) = take.sink else { panic!("it is elsewhere") };
    assert_eq!(samples, (0..50).flat_map(|number| [number; FRAME]).collect::<Vec<u8>>());
}
