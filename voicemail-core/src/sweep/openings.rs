//! Forget runs that were created and never opened: their maker died before it filed a due item. They
//! have done nothing, and end as undone after an hour unless their request is repeated before.

use crate::context::Context;
use crate::gdpr::is_run;
use crate::gdpr_api::RunState;
use crate::model::Run;
use crate::store::documents::Decision;
use crate::store::{Key, StoreError};
use futures::TryStreamExt;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(3_600);

/// Ends every inert run that is older than an hour.
pub(super) async fn drop_stale(context: &Context) -> Result<(), StoreError> {
    let mut keys = context.store().list("gdpr/");
    while let Some(key) = keys.try_next().await? {
        let Some(key) = Key::listed(&key).filter(|key| is_run(key.as_str())) else { continue };
        let end = |run: Option<Run>, now| match run {
            Some(mut run) if run.state == RunState::Opening && run.created_at.plus(PATIENCE) < now => {
                run.abandon(now);
                Decision::Write(run, ())
            }
            _ => Decision::Keep(()),
        };
        context.documents().update(&key, end).await?;
    }
    Ok(())
}
