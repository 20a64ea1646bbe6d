//! Copies that may exist after the end are reported, with a date.

use super::{DAY, run};
use crate::testing::{CALLER, Site};
use std::time::Duration;

#[tokio::test]
async fn backups_are_cleared_when_the_last_of_them_is_and_not_before() {
    let site = Site::in_memory().await;
    site.deposit("1001", CALLER).await;
    site.purge("c", CALLER).await;
    let ended = run(&site, "c").await;
    let after = site.now().plus(Duration::from_secs(35 * DAY));
    assert_eq!((ended.backups_cleared, ended.backups_clear_after), (Some(false), Some(after.rfc3339())));
    assert_eq!(
        (ended.residual_copies[0].kind.as_str(), ended.residual_copies[0].days),
        ("backups", Some(35))
    );
    site.pass_time(Duration::from_secs(35 * DAY));
    assert_eq!(run(&site, "c").await.backups_cleared, Some(true));
}

#[tokio::test]
async fn without_backups_they_are_cleared_at_the_end() {
    let site = Site::in_memory().await;
    site.configure(|gdpr| gdpr.backup_retention = Duration::ZERO);
    site.deposit("1001", CALLER).await;
    site.purge("c", CALLER).await;
    assert_eq!(run(&site, "c").await.backups_cleared, Some(true));
}
