//! The rest of a pass goes on while one thing fails for ever.

use super::Sweeper;
use crate::testing::{Broken, CALLER, OTHER_CALLER, Site, Switch, body, mailbox};
use std::sync::Arc;
use std::time::Duration;
use voicemail_api::gdpr::RunState;
use voicemail_model::{Due, RunId, Time};
use voicemail_store::Key;

/// A tenant with a due item of long ago, and a message that is to be erased at once.
async fn site_with_work() -> (Site, Arc<Switch>, Key) {
    let (site, switch) = Site::in_memory_with_switch().await;
    let item = Due::Retain { mailbox: mailbox("1001") }.at(site.now().minus(Duration::from_secs(600)));
    let key = Key::due(&item);
    site.store.create(&key, serde_json::to_vec(&item).unwrap().into()).await.unwrap();
    site.deposit("1001", CALLER).await;
    site.core.gdpr.forget(body("c", Some(CALLER), 0)).await.unwrap();
    site.pass_time(Duration::from_secs(1));
    (site, switch, key)
}

async fn state(site: &Site) -> RunState {
    site.core.gdpr.case(&"c".parse().unwrap()).await.unwrap().runs[0].state
}

fn sweeper(site: &Site) -> Sweeper {
    Sweeper::new(site.core.context.clone(), site.core.gdpr.clone())
}

#[tokio::test]
async fn one_thing_that_fails_for_ever_holds_nothing_else_up_and_is_counted() {
    for broken in [
        |key: Key| Broken::Reading(key),
        |key: Key| Broken::Removing(key),
        |_| Broken::Listing("due/".into()),
        |_| Broken::Listing("probe/".into()),
        |_| Broken::Listing("greeting/".into()),
        |_| Broken::Listing("audit/".into()),
    ] {
        let (site, switch, key) = site_with_work().await;
        let broken = broken(key);
        switch.break_one(Some(broken.clone()));
        let mut sweeper = sweeper(&site);
        for _ in 0..2 {
            match sweeper.pass().await {
                Ok(swept) => {
                    assert!(swept.failed > 0 || state(&site).await == RunState::Purged, "{broken:?}")
                }
                Err(error) => assert!(matches!(broken, Broken::Listing(_)), "{broken:?}: {error}"),
            }
        }
        assert_eq!(state(&site).await, RunState::Purged, "{broken:?}");
    }
}

#[tokio::test]
async fn an_item_that_fails_shows_how_late_it_is() {
    let (site, switch, key) = site_with_work().await;
    switch.break_one(Some(Broken::Reading(key)));
    let swept = sweeper(&site).pass().await.unwrap();
    assert_eq!(swept.failed, 1);
    assert!(swept.lag >= Duration::from_secs(600), "{:?}", swept.lag);
}

#[tokio::test]
async fn lateness_is_counted_from_the_requests_while_nothing_can_be_swept() {
    let (site, switch, _) = site_with_work().await;
    switch.break_one(Some(Broken::Clock));
    site.pass_time(Duration::from_secs(90));
    assert!(sweeper(&site).pass().await.is_err(), "without the store's clock nothing is destroyed");
    let measured = site.core.gdpr.measure();
    assert!(measured.late >= 90.0 && measured.waiting == 1, "{measured:?}");
}

#[tokio::test]
async fn a_request_that_can_not_be_read_is_counted_and_the_others_are_still_shown() {
    let (site, switch, _) = site_with_work().await;
    site.deposit("1001", OTHER_CALLER).await;
    site.core.gdpr.forget(body("d", Some(OTHER_CALLER), 3_600)).await.unwrap();
    let id = RunId::new(&"c".parse().unwrap(), voicemail_api::gdpr::Operation::ForgetMe, 1);
    switch.break_one(Some(Broken::Reading(Key::run(&id))));
    sweeper(&site).pass().await.unwrap();
    let measured = site.core.gdpr.measure();
    assert_eq!((measured.unreadable, measured.phases[&RunState::Marked]), (1, 1), "{measured:?}");
    assert_ne!(measured.waiting, 0);
}

#[tokio::test]
async fn a_case_id_with_dots_is_found_by_its_due_item() {
    let site = Site::in_memory().await;
    site.core.gdpr.forget(body("2026.11.DSR-7", Some(CALLER), 3_600)).await.unwrap();
    site.core.gdpr.look_up_open_runs().await.unwrap();
    assert_eq!(site.core.gdpr.measure().phases.values().sum::<u64>(), 1);
    assert!(site.now() > Time(0));
}

/// Beyond every undo window.
const AHEAD: i64 = 400 * 86_400_000;

#[tokio::test]
async fn a_machine_whose_clock_jumps_ahead_destroys_nothing_before_somebody_agrees() {
    let site = Site::in_memory().await;
    site.jump(0);
    let kept = site.deposit("1001", OTHER_CALLER).await;
    site.deposit("1001", CALLER).await;
    site.core.gdpr.forget(body("c", Some(CALLER), 86_400)).await.unwrap();
    let mut sweeper = sweeper(&site);
    assert_eq!(sweeper.pass().await.unwrap().failed, 0);
    // The store's files have the same kernel's times: the two agree.
    site.jump(AHEAD);
    for _ in 0..3 {
        site.pass_time(Duration::from_secs(600));
        assert_eq!(sweeper.pass().await.unwrap().failed, 1, "and that is told");
        assert!(site.index("1001").await.entries.contains_key(&kept));
    }
    site.jump(0);
    assert_eq!(sweeper.pass().await.unwrap().failed, 0, "it is right again");
    assert_eq!(state(&site).await, RunState::Marked);
    assert_eq!(site.core.gdpr.undo(body("c", None, 0)).await.unwrap().run.state, RunState::Undone);
}

#[tokio::test(start_paused = true)]
async fn while_nothing_may_be_destroyed_the_sweeper_rests_between_its_looks() {
    let (site, requests) = Site::in_memory_and_slow().await;
    requests.come_near();
    site.jump(0);
    site.let_time_go();
    site.deposit("1001", CALLER).await;
    site.core.gdpr.forget(body("c", Some(CALLER), 20)).await.unwrap();
    let mut running = Box::pin(sweeper(&site).run());
    let wait = Duration::from_secs;
    assert!(tokio::time::timeout(wait(2), &mut running).await.is_err(), "the erasure is known to come");
    site.jump(AHEAD);
    let (cost, ended) = requests.cost_of(tokio::time::timeout(wait(60), &mut running)).await;
    assert!(ended.is_err());
    // A look each five seconds; without rests there would be one after another, for 2,000 round trips.
    assert!(cost.requests < 200, "{cost:?}");
    assert_eq!(state(&site).await, RunState::Marked);
}

#[tokio::test]
async fn a_service_that_agreed_before_the_clock_jumped_is_asked_again() {
    let (site, switch) = Site::in_memory_with_switch().await;
    site.jump(0);
    site.deposit("1001", CALLER).await;
    site.core.gdpr.forget(body("c", Some(CALLER), 86_400)).await.unwrap();
    switch.is_elsewhere_at(site.now());
    let mut sweeper = sweeper(&site);
    assert_eq!(sweeper.pass().await.unwrap().failed, 0);
    site.jump(AHEAD);
    site.pass_time(Duration::from_secs(1));
    assert_eq!(sweeper.pass().await.unwrap().failed, 1);
    assert_eq!(
        state(&site).await,
        RunState::Marked,
        "an answer of before the jump was taken for one of after it"
    );
    switch.is_elsewhere_at(site.now());
    assert_eq!(
        sweeper.pass().await.unwrap().failed,
        0,
        "the service's clock is another machine's, and agrees"
    );
    assert_eq!(state(&site).await, RunState::Purged);
}

#[tokio::test]
async fn a_start_with_a_clock_that_is_ahead_is_doubted_again_after_each_start_and_for_an_hour() {
    let site = Site::in_memory().await;
    site.deposit("1001", CALLER).await;
    site.core.gdpr.forget(body("c", Some(CALLER), 86_400)).await.unwrap();
    site.jump(AHEAD);
    for _ in 0..3 {
        let core = site.replica().await;
        let mut sweeper = Sweeper::new(core.context.clone(), core.gdpr.clone());
        assert_eq!(sweeper.pass().await.unwrap().failed, 1);
        assert_eq!(state(&site).await, RunState::Marked, "a start took its own time for right");
    }
    let core = site.replica().await;
    site.pass_time(Duration::from_secs(3_601));
    let mut sweeper = Sweeper::new(core.context.clone(), core.gdpr.clone());
    assert_eq!(sweeper.pass().await.unwrap().failed, 0, "nobody could be asked for an hour");
    assert_eq!(state(&site).await, RunState::Purged);
}

#[tokio::test]
async fn a_clock_that_nobody_confirmed_expires_messages_slowly_for_a_day() {
    let site = Site::in_memory().await;
    site.jump(0);
    for _ in 0..620 {
        site.deposit("1001", OTHER_CALLER).await;
    }
    let mut sweeper = sweeper(&site);
    assert_eq!(sweeper.pass().await.unwrap().failed, 0);
    site.jump(10 * AHEAD);
    assert_eq!(sweeper.pass().await.unwrap().failed, 1);
    let left = async || site.index("1001").await.entries.len();
    // Ten times that is beyond every retention.
    for (seconds, expected) in [(3_601, 120), (60, 120), (3_601, 0)] {
        site.pass_time(Duration::from_secs(seconds));
        assert_eq!(sweeper.pass().await.unwrap().failed, 0);
        assert_eq!(left().await, expected, "after {seconds} s more");
    }
}
