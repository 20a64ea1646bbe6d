//! The task of a call's audio: sockets and clock around the pure parts.
//!
//! Packets that came are read when the next one is due, not when they come: a call wakes once for what it sends and all that it was sent
//! meanwhile, and the kernel tells nobody of packets. While nothing is played the silence of two packets goes in one
//! (RFC 3551, 4.2: any receiver takes up to 200 ms), so that a recording costs a wakeup in 40 ms.

use super::player::{Frame, Player};
use super::ports::{Pair, random};
use super::recorder::{RecordEnd, Recorder};
use super::reorder::Reorder;
use super::rtp::Packet;
use super::telephone_event::{Events, Presses};
use super::{Command, MediaEvent};
use crate::g711::{FRAME, silence};
use crate::sdp::Audio;
use bytes::Bytes;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender};
use tokio::time::{Instant, sleep_until};

const TICK: Duration = Duration::from_millis(20);
/// Packets' times of silence that go in one packet.
const SILENT: usize = 2;
/// Packets that are read at once: as many as the kernel keeps for a socket, and more. Beyond them it is a flood, which waits.
const MOST_AT_ONCE: usize = 512;
/// Packets that are sent at once after the process was held up.
const MOST_BEHIND: u32 = 5;
/// Longest that is sent without a sign of life.
const ALONE: Duration = Duration::from_secs(10);
/// Then the call is over.
const LOST: Duration = Duration::from_secs(30);
const LARGEST: usize = 2_048;

/// What all streams count.
#[derive(Debug, Default)]
pub struct Counters {
    /// Packets that never came, or too late, while a message was recorded.
    pub lost: AtomicU64,
    /// Keys that came too fast to count.
    pub keys: AtomicU64,
}

struct Stream {
    pair: Pair,
    tell: UnboundedSender<MediaEvent>,
    counters: Arc<Counters>,
    began: Instant,
    audio: Option<Audio>,
    player: Player,
    recorder: Option<Recorder>,
    reorder: Reorder,
    events: Events,
    presses: Presses,
    heard: Instant,
    next: Instant,
    sequence: u16,
    timestamp: u32,
    ssrc: u32,
    packet: Vec<u8>,
}

/// Serves a call until its commands end.
pub(super) async fn run(
    pair: Pair,
    mut commands: UnboundedReceiver<Command>,
    tell: UnboundedSender<MediaEvent>,
    counters: Arc<Counters>,
) {
    let mut stream = Stream::new(pair, tell, counters);
    let mut rtcp = [0; LARGEST];
    let mut due = std::pin::pin!(sleep_until(stream.next));
    loop {
        tokio::select! {
            biased;
            command = commands.recv() => match command {
                Some(command) => stream.obey(command),
                None => return,
            },
            () = &mut due => if !stream.tick() { return },
            Ok((_, from)) = stream.pair.rtcp.recv_from(&mut rtcp) => stream.note_life(from),
        }
        due.as_mut().reset(stream.next);
    }
}

impl Stream {
    fn new(pair: Pair, tell: UnboundedSender<MediaEvent>, counters: Arc<Counters>) -> Self {
        let now = Instant::now();
        let random = random();
        Self {
            pair,
            tell,
            counters,
            began: now,
            audio: None,
            player: Player::default(),
            recorder: None,
            reorder: Reorder::default(),
            events: Events::default(),
            presses: Presses::default(),
            heard: now,
            next: now,
            #[allow(clippy::cast_possible_truncation, reason = "any 16 bits will do")]
            sequence: random as u16,
            timestamp: random.rotate_left(7),
            ssrc: random.rotate_left(16) ^ 0x5bd1_e995,
            packet: Vec::with_capacity(FRAME * SILENT + 12),
        }
    }

    fn obey(&mut self, command: Command) {
        match command {
            Command::Start(audio) => {
                self.heard = Instant::now();
                if self.audio.is_none() {
                    self.next = self.heard;
                }
                self.audio = Some(audio);
            }
            Command::Play(clips) => self.player.play(clips),
            Command::Stop => self.player.stop(),
            Command::Record(sink, rules) => {
                let Some(audio) = &self.audio else { return };
                self.reorder = Reorder::default();
                self.recorder = Some(Recorder::new(sink, rules, audio.law, self.now()));
            }
            Command::Press(key) => self.press(key),
            Command::Finish(answer) => {
                self.listen();
                let take = self.end_recording(RecordEnd::Cut);
                // Whoever asked may be gone; the recording is kept by being dropped.
                let _ = answer.send(take);
            }
        }
    }

    fn now(&self) -> Duration {
        self.began.elapsed()
    }

    /// Whether the peer holds: then nobody talks and nothing is missed.
    fn on_hold(&self) -> bool {
        self.audio.as_ref().is_none_or(|audio| !audio.talks)
    }

    fn counts(&self, from: SocketAddr) -> bool {
        self.audio.as_ref().is_some_and(|audio| audio.host == Some(from.ip().to_canonical()))
    }

    fn note_life(&mut self, from: SocketAddr) {
        if self.counts(from) {
            self.heard = Instant::now();
        }
    }

    fn hear(&mut self, bytes: &[u8], from: SocketAddr) {
        let Some(packet) = Packet::parse(bytes).filter(|_| self.counts(from)) else { return };
        let Some(audio) = &self.audio else { return };
        self.heard = Instant::now();
        let now = self.now();
        if Some(packet.payload_type) == audio.events {
            self.reorder.push(packet.ssrc, packet.sequence, packet.timestamp, None, now);
            if let Some(key) = self.events.take(packet.ssrc, packet.timestamp, packet.payload) {
                self.press(key);
            }
        } else if packet.payload_type == audio.payload_type && self.recorder.is_some() {
            let sound = Some(Bytes::copy_from_slice(packet.payload));
            self.reorder.push(packet.ssrc, packet.sequence, packet.timestamp, sound, now);
        }
    }

    fn press(&mut self, key: super::telephone_event::Key) {
        if self.recorder.as_ref().is_some_and(|recorder| recorder.ends_by(key)) {
            // It has done its work.
            return self.tell_recorded(RecordEnd::Key);
        }
        if !self.presses.take(self.now()) {
            self.counters.keys.fetch_add(1, Ordering::Relaxed);
            return;
        }
        self.tell(MediaEvent::Digit(key));
    }

    /// Gives the recording what is in order.
    fn record(&mut self) {
        let now = self.now();
        let pieces = self.reorder.take(now);
        let on_hold = self.on_hold();
        let Some(recorder) = &mut self.recorder else { return };
        if on_hold {
            recorder.wait_until(now);
        }
        if let Some(end) = recorder.take(pieces, now) {
            self.tell_recorded(end);
        }
    }

    fn tell_recorded(&mut self, end: RecordEnd) {
        if let Some(take) = self.end_recording(end) {
            self.tell(MediaEvent::Recorded(take));
        }
    }

    fn end_recording(&mut self, end: RecordEnd) -> Option<super::Take> {
        let mut recorder = self.recorder.take()?;
        let pieces = self.reorder.finish();
        let now = self.now();
        let end = match recorder.take(pieces, now) {
            Some(RecordEnd::Failed) => RecordEnd::Failed,
            _ => end,
        };
        self.counters.lost.fetch_add(self.reorder.take_lost(), Ordering::Relaxed);
        Some(recorder.finish(end))
    }

    /// Takes what the kernel holds: when a call ends, a BYE overtakes no packet that was sent before it.
    fn listen(&mut self) {
        let mut buffer = [0; LARGEST];
        for _ in 0..MOST_AT_ONCE {
            let Ok((length, from)) = self.pair.rtp.recv_from(&mut buffer) else { return };
            self.hear(&buffer[..length], from);
        }
    }

    fn tell(&self, event: MediaEvent) {
        // A call that doesn't listen any more ends this task by dropping its commands.
        let _ = self.tell.send(event);
    }

    /// One packet's time; false when the call is lost.
    fn tick(&mut self) -> bool {
        self.listen();
        self.record();
        let now = Instant::now();
        if self.audio.is_none() || self.on_hold() {
            self.heard = now;
        }
        let alone = now - self.heard;
        if alone > LOST {
            self.tell_recorded(RecordEnd::Cut);
            self.tell(MediaEvent::Lost);
            self.audio = None;
            return false;
        }
        let frames = if self.player.is_playing() { 1 } else { SILENT };
        let time = TICK * u32::try_from(frames).unwrap_or(1);
        self.next = match now.checked_duration_since(self.next + TICK * MOST_BEHIND) {
            Some(_) => now + time,
            None => self.next + time,
        };
        if alone < ALONE {
            self.send(frames);
        }
        true
    }

    fn send(&mut self, frames: usize) {
        let Some(audio) = &self.audio else { return };
        let Some((host, port)) = audio.to.filter(|_| audio.listens) else { return };
        let frame = self.player.next(audio.law);
        if matches!(frame, Frame::Last(_)) {
            self.tell(MediaEvent::Played);
        }
        let silence = [silence(audio.law); FRAME * SILENT];
        let payload = match &frame {
            Frame::Sound(samples) | Frame::Last(samples) => samples,
            Frame::Silence => &silence[..FRAME * frames],
        };
        let (sequence, timestamp, ssrc) = (self.sequence, self.timestamp, self.ssrc);
        let payload_type = audio.payload_type;
        let packet = Packet { payload_type, marker: false, sequence, timestamp, ssrc, payload };
        packet.write(&mut self.packet);
        self.sequence = self.sequence.wrapping_add(1);
        self.timestamp = self.timestamp.wrapping_add(u32::try_from(payload.len()).unwrap_or_default());
        // A port that nobody listens on is known by the silence that comes back; what the kernel has no room for is late anyway.
        let _ = self.pair.rtp.send_to(&self.packet, self.pair.reach(SocketAddr::new(host, port)));
    }
}

#[cfg(test)]
#[path = "stream_tests.rs"]
mod tests;
