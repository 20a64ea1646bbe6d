//! The part of a request's work that its sender waits for. What isn't done after some seconds goes on by itself.
//!
//! The work is dropped where it stands, as a crash would leave it, and the run's due item is filed for now: the sweeper,
//! of this replica or another, takes it up from there. So a request about millions of messages is answered like one about
//! two, and a replica that dies after the answer leaves nothing undone.

use super::GdprError;
use super::runs::schedule;
use super::target::Target;
use crate::context::Context;
use voicemail_model::{Run, RunStage};
use voicemail_store::StoreError;

/// The result of a run's work, if it is there in time.
///
/// # Errors
/// The work's, or the store's.
pub(super) async fn in_time<T>(
    context: &Context,
    run: &Run,
    work: impl Future<Output = Result<T, GdprError>>,
) -> Result<Option<T>, GdprError> {
    let done = context.in_time(work).await?;
    if done.is_none() {
        take_up_now(context, run).await?;
    }
    Ok(done)
}

/// Files a look at the run for now, under a name that no other look has.
async fn take_up_now(context: &Context, run: &Run) -> Result<(), StoreError> {
    let now = context.world().now();
    let cutoff = run.cutoff.unwrap_or(run.created_at);
    schedule(context, &run.id, RunStage::History(now.0), now, &Target::of(run), cutoff).await
}
