//! Audio packets, each behind a byte with its length: whatever comes in whatever order, a recording holds no more than came
//! and than the gaps that may be filled.
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use std::time::Duration;
use voicemail_telephony::media::reorder::{Piece, Reorder};
use voicemail_telephony::media::rtp::Packet;
use voicemail_telephony::media::telephone_event::{Events, Key};

const EVENT: u8 = 101;

fuzz_target!(|data: &[u8]| {
    let (mut reorder, mut events, mut came, mut taken) = (Reorder::default(), Events::default(), 0, 0);
    let mut rest = data;
    let mut packets = 0_u64;
    while let Some((length, after)) = rest.split_first() {
        let (packet, after) = after.split_at(usize::from(*length).min(after.len()));
        rest = after;
        let Some(packet) = Packet::parse(packet) else { continue };
        packets += 1;
        let audio = (packet.payload_type != EVENT).then(|| Bytes::copy_from_slice(packet.payload));
        if audio.is_none() {
            let _ = events.take(packet.ssrc, packet.timestamp, packet.payload);
        }
        let _ = Key::of_info("application/dtmf-relay", packet.payload);
        came += audio.as_ref().map_or(0, Bytes::len);
        let now = Duration::from_millis(20 * packets);
        reorder.push(packet.ssrc, packet.sequence, packet.timestamp, audio, now);
        taken += samples(reorder.take(now));
    }
    taken += samples(reorder.finish());
    assert!(taken <= came, "{taken} samples of {came}");
});

fn samples(pieces: Vec<Piece>) -> usize {
    pieces.iter().map(|piece| if let Piece::Audio(audio) = piece { audio.len() } else { 0 }).sum()
}
