//! Memory for bodies on their way into an object store, shared by all uploads of a process.
//!
//! An object store takes a body in parts of some megabytes, which must be in memory as a whole. An upload
//! takes as much of the budget as it has gathered, and waits when there is none: its sender's bytes then wait
//! in the network. Uploads that all wait for one another can't happen: one at a time may go beyond the
//! budget, by less than a part, until its part is sent.

use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Permits are counted in KiB.
const UNIT: usize = 1024;
/// Memory that an upload holds beside its part, from its connection's buffers to the parser's: as measured, in KiB.
const STANDING: usize = 160;

/// The memory that all uploads share.
#[derive(Clone, Debug)]
pub struct UploadBudget {
    memory: Arc<Semaphore>,
    beyond: Arc<Semaphore>,
}

impl UploadBudget {
    /// A budget of that many MiB.
    pub fn new(mib: u32) -> Self {
        let units = mib as usize * (1024 * 1024 / UNIT);
        Self { memory: Arc::new(Semaphore::new(units)), beyond: Arc::new(Semaphore::new(1)) }
    }

    /// A share with what an upload needs as such; waits until that is there.
    pub(super) async fn share(&self) -> Share {
        let mut share = Share { budget: self.clone(), held: None, beyond: None };
        share.take(STANDING).await;
        share
    }
}

/// One upload's part of the budget; given back when dropped.
pub(super) struct Share {
    budget: UploadBudget,
    held: Option<OwnedSemaphorePermit>,
    beyond: Option<OwnedSemaphorePermit>,
}

impl Share {
    /// Waits until that many bytes more may be gathered. They count for half as much more: what the allocator and the
    /// request that sends them add, as measured.
    pub(super) async fn grow(&mut self, bytes: usize) {
        if self.beyond.is_none() {
            self.take((bytes + bytes / 2).div_ceil(UNIT)).await;
        }
    }

    async fn take(&mut self, units: usize) {
        let units = u32::try_from(units).unwrap_or(u32::MAX);
        tokio::select! {
            biased;
            more = Arc::clone(&self.budget.memory).acquire_many_owned(units) => {
                // The semaphores are never closed.
                if let Ok(more) = more {
                    match &mut self.held {
                        Some(held) => held.merge(more),
                        None => self.held = Some(more),
                    }
                }
            }
            beyond = Arc::clone(&self.budget.beyond).acquire_owned(), if self.held.is_some() => {
                self.beyond = beyond.ok();
            }
        }
    }

    /// Gives back what the part took: it is sent.
    pub(super) fn release(&mut self) {
        self.held = self.held.take().and_then(|mut held| held.split(STANDING));
        self.beyond = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::future::join_all;
    use std::time::Duration;

    const MIB: usize = 1024 * 1024;

    #[tokio::test]
    async fn uploads_that_all_want_more_than_there_is_come_to_an_end() {
        let budget = UploadBudget::new(16);
        let uploads = (0..40).map(|_| async {
            let mut share = budget.share().await;
            for _ in 0..10 {
                share.grow(MIB / 2).await;
                tokio::task::yield_now().await;
            }
            share.release();
            share.grow(MIB).await;
        });
        tokio::time::timeout(Duration::from_secs(10), join_all(uploads))
            .await
            .expect("uploads wait for ever");
        assert_eq!(budget.memory.available_permits(), 16 * 1024);
    }

    #[tokio::test]
    async fn what_is_released_lets_the_next_one_in() {
        let budget = UploadBudget::new(16);
        let (mut first, mut second) = (budget.share().await, budget.share().await);
        first.take(16 * 1024 - 2 * STANDING).await;
        let mut third = Box::pin(budget.share());
        let none = tokio::time::timeout(Duration::from_millis(50), &mut third).await;
        assert!(none.is_err(), "a third began beyond the budget");
        second.grow(1).await;
        first.release();
        drop(third.await);
    }
}
