//! The machine's own clock and randomness. Everything else is given a [`World`], so that tests can play clocks that are wrong and
//! schedules that are cruel; the few modules that read the machine's themselves say why, since a lint asks them.

#![allow(clippy::disallowed_methods, reason = "this is the machine's own")]

use futures::future::BoxFuture;
use std::time::Duration;
use voicemail_model::Time;
use voicemail_model::clock::{Surroundings, World};

/// The machine's own clock and randomness.
pub fn real_world() -> World {
    World::new(Real { start: std::time::Instant::now() })
}

struct Real {
    start: std::time::Instant,
}

impl Surroundings for Real {
    fn may_jump(&self) -> bool {
        true
    }

    fn now(&self) -> Time {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        Time(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
    }

    fn monotonic(&self) -> Duration {
        self.start.elapsed()
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        Box::pin(tokio::time::sleep(duration))
    }

    fn fill_random(&self, buffer: &mut [u8]) {
        // The only failure is a system without a random source; a core must not go on with zeros.
        if aws_lc_rs::rand::fill(buffer).is_err() {
            std::process::abort();
        }
    }
}
