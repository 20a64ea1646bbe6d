//! Forget runs that were created and never opened: their maker died before it filed a due item. They
//! have done nothing, and end as undone after an hour unless their request is repeated before. Runs that somebody
//! approved, and exports, are taken up instead.

use super::Swept;
use crate::context::Context;
use crate::gdpr::{is_run, take_up};
use futures::TryStreamExt;
use std::time::Duration;
use voicemail_api::gdpr::RunState;
use voicemail_model::Run;
use voicemail_store::Family;
use voicemail_store::documents::Decision;
use voicemail_store::{Key, StoreError};

const PATIENCE: Duration = Duration::from_secs(3_600);

/// Ends every inert run that is older than an hour.
pub(super) async fn drop_stale(context: &Context, swept: &mut Swept) -> Result<(), StoreError> {
    let mut keys = context.store().list(Family::Run.prefix());
    while let Some(key) = keys.try_next().await? {
        let Some(key) = Key::listed(&key).filter(|key| is_run(key.as_str())) else { continue };
        let end = |run: Option<Run>, now| match run {
            // An export promises something from its start on.
            Some(run) if run.state == RunState::Collecting && run.created_at.plus(PATIENCE) < now => {
                Decision::Keep(Some(run))
            }
            Some(mut run) if run.state == RunState::Opening && run.created_at.plus(PATIENCE) < now => {
                if run.handling.approval.as_ref().is_some_and(|approval| approval.at.is_some()) {
                    return Decision::Keep(Some(run));
                }
                run.abandon(now);
                Decision::Write(run, None)
            }
            _ => Decision::Keep(None),
        };
        let settled = match context.documents().update(&key, end).await {
            // Somebody approved it, or waits for it: that must not be lost.
            Ok(Some(run)) => take_up(context, &run).await,
            other => other.map(drop),
        };
        // A run that can't be read must not stand in the way of all that come after it.
        if let Err(error) = settled {
            swept.skip_one(context, "a request that was never opened", error).await?;
        }
    }
    Ok(())
}
