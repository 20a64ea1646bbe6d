//! Calls to the store that don't depend on one another, side by side.
//!
//! A store in another city answers in tens of milliseconds, so that what stands one behind the other is what people wait
//! for. Which calls may overlap is the protocol's to say (see `docs/storage-protocol.md`); how many, the tenant's
//! configuration: half of `storeCalls`, so that the work of one operation leaves the other half to all others.
//!
//! What can go wrong: the first call that fails ends the whole. The others are dropped where they stand, as a crash would
//! leave them, and whoever resumes finds what they did.

use crate::context::Context;
use futures::future::BoxFuture;
use futures::{FutureExt, StreamExt, TryStreamExt, stream};
use std::future::Future;

impl Context {
    /// Calls that one operation makes at a time.
    pub(crate) fn abreast(&self) -> usize {
        usize::try_from(self.config().store_calls / 2).unwrap_or(1).max(1)
    }

    /// The results of a call for each item, in their order. The first that fails is the result.
    pub(crate) fn all<'a, I, T, E, F>(
        &self,
        items: impl IntoIterator<Item = I>,
        call: impl Fn(I) -> F + Send + 'a,
    ) -> BoxFuture<'a, Result<Vec<T>, E>>
    where
        I: Send + 'a,
        T: Send + 'a,
        E: Send + 'a,
        F: Future<Output = Result<T, E>> + Send + 'a,
    {
        let items: Vec<I> = items.into_iter().collect();
        stream::iter(items).map(call).buffered(self.abreast()).try_collect().boxed()
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::{Site, TICK};
    use std::sync::atomic::{AtomicU32, Ordering};
    use tokio::time::Instant;
    use voicemail_store::StoreError;

    #[tokio::test(start_paused = true)]
    async fn no_more_than_half_of_the_calls_are_one_operations() {
        let site = Site::in_memory().await;
        let (under_way, most) = (AtomicU32::new(0), AtomicU32::new(0));
        let one = |number: u32| {
            let (under_way, most, world) = (&under_way, &most, site.core.context.world());
            async move {
                most.fetch_max(under_way.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                world.sleep(TICK).await;
                under_way.fetch_sub(1, Ordering::SeqCst);
                Ok::<_, StoreError>(number)
            }
        };
        let begun = Instant::now();
        let answers = site.core.context.all(0..100, one).await.unwrap();
        assert_eq!(answers, (0..100).collect::<Vec<_>>(), "in their order");
        assert_eq!((most.into_inner(), begun.elapsed()), (32, TICK * 4));
    }
}
