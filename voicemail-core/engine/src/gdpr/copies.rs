//! Copies of erased data that may still exist: in the backups that the tenant says it keeps, and in each region's
//! store, as far as its settings can be read; and at telephones.

use super::spooled;
use crate::context::Context;
use voicemail_model::{CopyKeeper, Residual};

const DAY: u64 = 86_400;

/// Looks at every region's settings now. A region that can't be asked is `unknown`.
pub(super) async fn find_residual(context: &Context) -> Residual {
    let mut copies = Vec::new();
    let backups = context.config().gdpr.backup_retention;
    if !backups.is_zero() {
        let days = u32::try_from(backups.as_secs().div_ceil(DAY)).unwrap_or(u32::MAX);
        copies.push(CopyKeeper::new(&context.master(), "backups", Some(days)));
    }
    let asked = context.regions().map(|(name, store)| async move { (name, store.keeps().await) });
    for (name, kept) in futures::future::join_all(asked).await {
        match kept {
            Ok(kept) => {
                copies.extend(kept.into_iter().map(|keeper| CopyKeeper::new(name, keeper.kind, keeper.days)));
            }
            Err(_) => copies.push(CopyKeeper::new(name, "unknown", None)),
        }
    }
    copies.extend(spooled::keeper(context).await);
    Residual::of(copies, backups, context.world().now())
}
