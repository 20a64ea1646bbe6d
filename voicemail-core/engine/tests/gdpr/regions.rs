//! A region that is away: refused with its name, or marked now and tried until it answers.

use super::{DAY, run, state};
use std::time::Duration;
use voicemail_api::config::RegionDown;
use voicemail_api::gdpr::RunState;
use voicemail_engine::gdpr::GdprError;
use voicemail_engine::testing::{CALLER, Site, body, deposit_at, mailbox};

#[tokio::test]
async fn by_default_nothing_changes_while_a_region_is_away() {
    let mut site = Site::in_memory().await;
    let (there, switch) = site.with_region().await;
    site.deposit("1001", CALLER).await;
    deposit_at(&there, "1001", CALLER).await.unwrap();
    switch.turn(false);
    let refused = site.core.gdpr.forget(body("c", Some(CALLER), 0)).await;
    assert_eq!(refused.err(), Some(GdprError::RegionDown { region: "s".into() }));
    assert_eq!(site.core.mailboxes.mwi(&mailbox("1001")).await.unwrap().new, 2);
    assert!(matches!(site.core.gdpr.case(&"c".parse().unwrap()).await, Err(GdprError::UnknownCase)));
}

#[tokio::test]
async fn marked_now_and_erased_there_as_soon_as_the_region_answers() {
    let mut site = Site::in_memory().await;
    let (there, switch) = site.with_region().await;
    site.configure(|gdpr| gdpr.region_down = RegionDown::MarkAndRetry);
    let (here, away) =
        (site.deposit("1001", CALLER).await, deposit_at(&there, "1001", CALLER).await.unwrap());
    switch.turn(false);
    let marked = site.core.gdpr.forget(body("c", Some(CALLER), 0)).await.unwrap().run;
    assert_eq!((marked.state, marked.matched), (RunState::Marked, 2));
    assert!(marked.regions.iter().any(|region| region.name == "s" && region.blocked));
    assert_eq!(site.core.mailboxes.mwi(&mailbox("1001")).await.unwrap().new, 0);

    site.try_sweep_after(1).await;
    let waiting = run(&site, "c").await;
    assert_eq!((waiting.state, waiting.erased, waiting.failed), (RunState::Purging, 1, 1));
    let index = site.index("1001").await;
    assert!(!index.entries.contains_key(&here) && index.entries.contains_key(&away));
    let blocked = waiting.regions.iter().find(|region| region.name == "s").unwrap();
    assert!(blocked.blocked && blocked.attempts > 0 && blocked.last_error.is_some());

    site.try_sweep_after(32 * DAY).await;
    assert_eq!(state(&site, "c").await, RunState::PartiallyFailed, "past its deadline");
    switch.turn(true);
    site.sweep_after(1).await;
    let ended = run(&site, "c").await;
    assert_eq!((ended.state, ended.erased, ended.failed), (RunState::Purged, 2, 0));
    assert!(ended.regions.iter().all(|region| !region.blocked && region.erased == 1));
    assert!(site.index("1001").await.entries.is_empty());
}

#[tokio::test]
async fn a_region_that_goes_away_after_the_mark_holds_nothing_else_up() {
    let mut site = Site::in_memory().await;
    let (there, switch) = site.with_region().await;
    let (here, away) =
        (site.deposit("1001", CALLER).await, deposit_at(&there, "1002", CALLER).await.unwrap());
    site.core.gdpr.forget(body("c", Some(CALLER), 60)).await.unwrap();
    switch.turn(false);
    site.try_sweep_after(60).await;
    assert!(!site.index("1001").await.entries.contains_key(&here));
    switch.turn(true);
    site.pass_time(Duration::from_secs(1));
    site.sweep().await;
    assert_eq!(state(&site, "c").await, RunState::Purged);
    assert!(!site.index("1002").await.entries.contains_key(&away));
}

#[tokio::test]
async fn an_export_is_never_made_without_a_region() {
    let mut site = Site::in_memory().await;
    let (_, switch) = site.with_region().await;
    site.configure(|gdpr| gdpr.region_down = RegionDown::MarkAndRetry);
    switch.turn(false);
    let refused = site.core.gdpr.export(body("c", Some(CALLER), 0)).await;
    assert_eq!(refused.err(), Some(GdprError::RegionDown { region: "s".into() }));
}
