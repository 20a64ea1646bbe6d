//! How long whoever asks for something waits for work that may take long.
//!
//! Work that isn't done by then is dropped where it stands, as a crash would leave it; whoever began it files a due item, by
//! which the sweeper of any replica takes it up.

use crate::context::Context;
use std::future::Future;
use std::time::Duration;

/// How long somebody waits for the work itself; before and after it stand some round trips.
const PATIENCE: Duration = Duration::from_secs(8);

impl Context {
    /// The result of some work, if it is there in time.
    ///
    /// # Errors
    /// The work's.
    pub(crate) async fn in_time<T, E>(
        &self,
        work: impl Future<Output = Result<T, E>>,
    ) -> Result<Option<T>, E> {
        tokio::select! {
            biased;
            done = work => done.map(Some),
            () = self.world().sleep(PATIENCE) => Ok(None),
        }
    }
}
