//! Audio of all calls by one socket: a packet of 20 ms for each call in each round, by a thread of its own; and how many packets come.

use std::collections::HashMap;
use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};

use super::lock;

const ROUND: Duration = Duration::from_millis(20);
const SAMPLES: u32 = 160;
/// The payload type of keys.
const EVENT: u8 = 101;

struct Stream {
    to: SocketAddr,
    number: u32,
    silent: bool,
}

/// The socket, and what goes by it.
pub struct Voice {
    socket: UdpSocket,
    port: u16,
    streams: Mutex<HashMap<String, Stream>>,
    sent: AtomicU64,
    heard: AtomicU64,
    /// The latest that a round began behind its time, in microseconds.
    late: AtomicU64,
}

impl Voice {
    pub(super) fn open() -> Result<Arc<Self>> {
        let socket = UdpSocket::bind("127.0.0.1:0")?;
        let port = socket.local_addr()?.port();
        let (sent, heard, late) = (AtomicU64::new(0), AtomicU64::new(0), AtomicU64::new(0));
        let voice = Arc::new(Self { socket, port, streams: Mutex::default(), sent, heard, late });
        let (speaking, hearing) = (voice.clone(), voice.clone());
        std::thread::spawn(move || speaking.run());
        std::thread::spawn(move || hearing.hear());
        Ok(voice)
    }

    /// Where audio for it goes.
    pub fn port(&self) -> u16 {
        self.port
    }

    pub(super) fn speak(&self, call: &str, to: SocketAddr) {
        lock(&self.streams).insert(call.to_owned(), Stream { to, number: 0, silent: false });
    }

    pub(super) fn fall_silent(&self, call: &str) {
        lock(&self.streams).entry(call.to_owned()).and_modify(|stream| stream.silent = true);
    }

    pub(super) fn hush(&self, call: &str) {
        lock(&self.streams).remove(call);
    }

    pub(super) fn storm(&self, call: &str, presses: u32) -> Result<()> {
        let to = lock(&self.streams).get(call).context("the call says nothing")?.to;
        for press in 0..presses {
            let mut packet = vec![0x80, 0x80 | EVENT];
            packet.extend((press as u16).to_be_bytes());
            packet.extend((press * SAMPLES).to_be_bytes());
            packet.extend(8_u32.to_be_bytes());
            // The end of the key 5.
            packet.extend([5, 0x8a, 3, 32]);
            self.socket.send_to(&packet, to)?;
        }
        Ok(())
    }

    /// Packets that were sent, and that came.
    pub fn counts(&self) -> (u64, u64) {
        (self.sent.load(Ordering::Relaxed), self.heard.load(Ordering::Relaxed))
    }

    /// How late the latest round was since this was asked last.
    pub fn take_lateness(&self) -> Duration {
        Duration::from_micros(self.late.swap(0, Ordering::Relaxed))
    }

    fn run(&self) {
        let mut next = Instant::now();
        loop {
            next += ROUND;
            std::thread::sleep(next.saturating_duration_since(Instant::now()));
            let late = u64::try_from(next.elapsed().as_micros()).unwrap_or(u64::MAX);
            self.late.fetch_max(late, Ordering::Relaxed);
            for stream in lock(&self.streams).values_mut() {
                let packet = packet(stream);
                stream.number += 1;
                if self.socket.send_to(&packet, stream.to).is_ok() {
                    self.sent.fetch_add(1, Ordering::Relaxed);
                }
            }
        }
    }

    fn hear(&self) {
        let mut packet = [0; 2_048];
        while self.socket.recv_from(&mut packet).is_ok() {
            self.heard.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// A packet of sound in µ-law, or of none.
fn packet(stream: &Stream) -> Vec<u8> {
    let number = stream.number;
    let mut packet = vec![0x80, 0];
    packet.extend((number as u16).to_be_bytes());
    packet.extend((number.wrapping_mul(SAMPLES)).to_be_bytes());
    packet.extend(7_u32.to_be_bytes());
    let sound = |at: u32| if stream.silent { 0xff } else { ((number * 7 + at * 3) % 96) as u8 };
    packet.extend((0..SAMPLES).map(sound));
    packet
}
