//! Opens the store, again and again until it works, saying each time why it didn't.

use super::State;
use crate::auth::KeySources;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use voicemail_engine::core::Core;

const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// The pause after that many failures.
pub(super) fn pause_after(failures: u32) -> Duration {
    FIRST_PAUSE.saturating_mul(1 << failures.min(5)).min(LONGEST_PAUSE)
}

/// A result, unless it is time to stop first.
pub(super) async fn until<T>(stop: &CancellationToken, future: impl Future<Output = T>) -> Option<T> {
    tokio::select! {
        result = future => Some(result),
        () = stop.cancelled() => None,
    }
}

/// Opens the store and puts the services into force.
pub(super) async fn open(state: &State) -> Arc<Core> {
    let mut failures = 0;
    loop {
        match Core::open(&state.config(), state.world.clone(), state.metrics()).await {
            Ok(core) => return announce(state, core),
            Err(error) => state.explain(error.reason(), error.to_string()),
        }
        state.world.sleep(pause_after(failures)).await;
        failures += 1;
    }
}

fn announce(state: &State, core: Core) -> Arc<Core> {
    let core = Arc::new(core);
    core.context.ask_about_time(KeySources);
    core.context.mwi().count_in(state.metrics());
    state.announce(&core);
    // The file may have changed while the store was being opened.
    core.context.reload(state.config().as_ref().clone());
    tracing::info!(store_id = core.context.identity().store_id, "open");
    core
}
