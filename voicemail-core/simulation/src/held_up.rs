//! Writes that a hang holds up: whoever made them learns nothing clear, and they arrive later, beside whatever is made
//! since.
//!
//! How late they may be is bounded, as a connection's life is: a write whose time is over arrives before the next call.

use super::world::SimWorld;
use futures::future::BoxFuture;
use std::sync::{Arc, Mutex};

/// How long a write may be on its way.
const LATEST_MS: i64 = 120_000;
/// How probably it arrives before a call that is made meanwhile.
const ARRIVES: f64 = 0.1;

struct Write {
    latest: i64,
    arrive: BoxFuture<'static, ()>,
}

/// All such writes of a tenant.
#[derive(Clone)]
pub(super) struct HeldUp {
    world: SimWorld,
    writes: Arc<Mutex<Vec<Write>>>,
}

impl HeldUp {
    pub(super) fn new(world: SimWorld) -> Self {
        Self { world, writes: Arc::default() }
    }

    /// From now on this write is on its way.
    pub(super) fn add(&self, arrive: BoxFuture<'static, ()>) {
        let latest = self.world.true_ms() + LATEST_MS;
        self.writes.lock().unwrap().push(Write { latest, arrive });
    }

    /// Lets those arrive whose turn it is.
    pub(super) async fn arrive(&self) {
        let now = self.world.true_ms();
        let arriving: Vec<Write> = {
            let mut writes = self.writes.lock().unwrap();
            let turn =
                |write: &mut Write| write.latest <= now || self.world.dice(|dice| dice.chance(ARRIVES));
            writes.extract_if(.., turn).collect()
        };
        for write in arriving {
            write.arrive.await;
        }
    }

    /// None of them arrives any more: their machines are gone.
    pub(super) fn forget(&self) {
        self.writes.lock().unwrap().clear();
    }
}
