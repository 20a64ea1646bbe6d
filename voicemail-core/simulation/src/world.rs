//! Time and randomness of a simulation: one clock that the scheduler moves, seen a little wrong by each replica.

use super::waiting::Place;
use futures::future::BoxFuture;
use std::future::poll_fn;
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::time::Duration;
use voicemail_model::Time;
use voicemail_model::clock::Surroundings;

/// SplitMix64: small, seeded, good enough to draw schedules.
pub(super) struct Dice(u64);

impl Dice {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0xd1b5_4a32_d192_ed03)
    }

    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(super) fn below(&mut self, n: usize) -> usize {
        (self.next() % n.max(1) as u64) as usize
    }

    pub(super) fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }

    pub(super) fn chance(&mut self, p: f64) -> bool {
        self.unit() < p
    }

    pub(super) fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len())]
    }
}

pub(super) struct Shared {
    pub(super) now_ms: i64,
    pub(super) dice: Dice,
}

/// The simulation's clock and dice.
#[derive(Clone)]
pub(super) struct SimWorld {
    pub(super) shared: Arc<Mutex<Shared>>,
    /// How wrong this replica's clock is.
    pub(super) skew_ms: i64,
}

impl SimWorld {
    pub(super) fn new(seed: u64) -> Self {
        let shared = Shared { now_ms: 1_790_000_000_000, dice: Dice::new(seed) };
        Self { shared: Arc::new(Mutex::new(shared)), skew_ms: 0 }
    }

    pub(super) fn skewed(&self, skew_ms: i64) -> Self {
        Self { shared: Arc::clone(&self.shared), skew_ms }
    }

    pub(super) fn true_ms(&self) -> i64 {
        self.shared.lock().unwrap().now_ms
    }

    pub(super) fn advance(&self, by: Duration) {
        self.shared.lock().unwrap().now_ms += by.as_millis() as i64;
    }

    pub(super) fn dice<T>(&self, draw: impl FnOnce(&mut Dice) -> T) -> T {
        draw(&mut self.shared.lock().unwrap().dice)
    }
}

impl Surroundings for SimWorld {
    fn now(&self) -> Time {
        Time(self.true_ms() + self.skew_ms)
    }

    fn monotonic(&self) -> Duration {
        Duration::from_millis(self.true_ms() as u64)
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        let world = self.clone();
        let until = world.true_ms() + duration.as_millis() as i64;
        // The scheduler polls everything again and again; it moves the clock itself.
        let mut place: Option<Place> = None;
        Box::pin(poll_fn(move |context| {
            if world.true_ms() >= until {
                place = None;
                return Poll::Ready(());
            }
            place.get_or_insert_with(|| Place::take(true, context.waker())).remember(context.waker());
            Poll::Pending
        }))
    }

    fn fill_random(&self, buffer: &mut [u8]) {
        self.dice(|dice| buffer.iter_mut().for_each(|byte| *byte = dice.next() as u8));
    }
}
