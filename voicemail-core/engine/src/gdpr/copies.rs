//! Copies of erased data that may still exist: in the backups that the tenant says it keeps, and in each region's
//! store, as far as its settings can be read; and at telephones.

use super::spooled;
use crate::context::Context;
use std::time::Duration;
use voicemail_model::{CopyKeeper, Residual, Time};

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
    let clear_after = clear_after(&copies, backups, context.world().now());
    Residual { copies, clear_after, ..Residual::default() }
}

/// When the last copy is gone; none if one of them has no known end.
fn clear_after(copies: &[CopyKeeper], backups: Duration, now: Time) -> Option<Time> {
    let mut longest = backups;
    for copy in copies {
        longest = longest.max(Duration::from_secs(u64::from(copy.days?) * DAY));
    }
    Some(now.plus(longest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn copy(kind: &str, days: Option<u32>) -> CopyKeeper {
        CopyKeeper::new("r", kind, days)
    }

    #[test]
    fn copies_are_gone_with_the_last_of_them_and_never_if_nobody_knows() {
        let copies = [copy("backups", Some(35)), copy("softDelete", Some(60))];
        let days = |n: u64| Duration::from_secs(n * DAY);
        assert_eq!(clear_after(&copies, days(35), Time(0)), Some(Time(0).plus(days(60))));
        assert_eq!(clear_after(&[], Duration::ZERO, Time(7)), Some(Time(7)));
        assert_eq!(clear_after(&[copy("replication", None)], days(35), Time(0)), None);
    }
}
