//! Waits for a state that nobody announces, such as a file's length or another process's counter, always with a deadline.
//!
//! A change that Kubernetes announces is waited for by its watch instead (`voicemail_test_cluster::wait`, one floor up).

use std::time::Duration;

use anyhow::{Context, Result};
use tokio::time::{Instant, sleep};

const PAUSE: Duration = Duration::from_millis(50);

/// Looks until that gives an answer. At the deadline the last error tells what there was instead.
pub async fn poll<T>(within: Duration, mut look: impl AsyncFnMut() -> Result<T>) -> Result<T> {
    let end = Instant::now() + within;
    loop {
        match look().await {
            Err(error) if Instant::now() >= end => {
                return Err(error).context(format!("not within {within:?}"));
            }
            Err(_) => sleep(PAUSE).await,
            found => return found,
        }
    }
}
