//! Time and randomness, injected so that tests can play clocks that are wrong and schedules that are cruel.
//!
//! [`World`] is what services hold: a clock, a source of random bytes, and waiting in terms of both.

use crate::Time;
use futures::future::BoxFuture;
use std::sync::Arc;
use std::time::Duration;

/// A source of time and randomness.
pub trait Surroundings: Send + Sync + 'static {
    /// The wall clock.
    fn now(&self) -> Time;
    /// A clock that never goes back, for intervals within this process.
    fn monotonic(&self) -> Duration;
    /// Waits.
    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()>;
    /// Fills a buffer with random bytes.
    fn fill_random(&self, buffer: &mut [u8]);
    /// Whether the wall clock may be wrong, so that a jump of it needs a witness. A test's clock is what the test says.
    fn may_jump(&self) -> bool {
        false
    }
}

/// The clock and randomness in use.
#[derive(Clone)]
pub struct World(Arc<dyn Surroundings>);

impl World {
    /// Wraps a source.
    pub fn new(surroundings: impl Surroundings) -> Self {
        Self(Arc::new(surroundings))
    }

    /// The wall clock.
    pub fn now(&self) -> Time {
        self.0.now()
    }

    /// Time since some fixed moment of this process; never goes back.
    pub fn monotonic(&self) -> Duration {
        self.0.monotonic()
    }

    /// Whether the wall clock may be wrong.
    pub fn may_jump(&self) -> bool {
        self.0.may_jump()
    }

    /// Waits.
    pub async fn sleep(&self, duration: Duration) {
        self.0.sleep(duration).await;
    }

    /// Random bytes.
    pub fn random<const N: usize>(&self) -> [u8; N] {
        let mut bytes = [0; N];
        self.0.fill_random(&mut bytes);
        bytes
    }

    /// 64 random bits in hex: a nonce or the name of an attempt.
    pub fn random_hex(&self) -> String {
        hex::encode(self.random::<8>())
    }

    /// Waits after a conflict: 2 ms doubling to 250 ms, with full jitter.
    pub async fn back_off(&self, attempt: u32) {
        let ceiling = (2_000u64 << attempt.min(7)).min(250_000);
        let random = u64::from(u32::from_le_bytes(self.random()));
        self.sleep(Duration::from_micros(random % ceiling + 500)).await;
    }
}
