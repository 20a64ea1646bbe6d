//! What the courier brings, when, and how often it asks.

use super::super::seal::Ending;
use super::super::tests::{description, spool};
use super::*;
use crate::core::tests::MemoryCore;
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};

struct Scene {
    _folder: tempfile::TempDir,
    spool: Arc<Spool>,
    core: Arc<MemoryCore>,
    courier: Arc<Courier>,
}

fn scene() -> Scene {
    scene_counting(|_| ())
}

fn scene_counting(count: impl Fn(&'static str) + Send + Sync + 'static) -> Scene {
    let folder = tempfile::tempdir().unwrap();
    let spool = Arc::new(spool(folder.path()));
    let core = Arc::new(MemoryCore::default());
    let (tell, _) = mpsc::unbounded_channel();
    let courier = Courier::new(spool.clone(), core.clone(), Duration::from_secs(3_600), tell, count);
    Scene { _folder: folder, spool, core, courier }
}

impl Scene {
    fn leave(&self, id: &str, samples: usize, left: Timestamp) {
        let described = super::super::seal::Description { left: left.to_string(), ..description(id) };
        let mut writer = self.spool.begin(&described).unwrap();
        writer.write(&vec![5; samples]).unwrap();
        writer.commit(Ending::default()).unwrap();
    }
}

fn ago(seconds: i64) -> Timestamp {
    Timestamp::now() - jiff::SignedDuration::from_secs(seconds)
}

#[tokio::test(start_paused = true)]
async fn what_the_core_has_is_gone_from_here_and_what_is_nothing_too() {
    let scene = scene();
    scene.leave("a", 8_000, ago(1));
    scene.leave("b", 80, ago(1));
    scene.courier.carry_all().await;
    assert_eq!(scene.core.deposits(), [("1001".to_owned(), "a".to_owned(), false)]);
    assert_eq!(scene.spool.count_waiting(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_core_that_is_away_is_asked_again_after_growing_pauses() {
    let scene = scene();
    scene.core.fail(Some(CoreError::Away("no answer".into())));
    scene.leave("a", 8_000, ago(120));
    let (mut now, mut pauses) = (Instant::now(), Vec::new());
    for _ in 0..4 {
        let next = scene.courier.carry_all().await;
        pauses.push((next - now).as_secs());
        tokio::time::sleep_until(next).await;
        now = next;
    }
    assert_eq!(pauses, [1, 2, 4, 8]);
    scene.core.fail(None);
    scene.courier.carry_all().await;
    // It was left two minutes ago, and says so.
    assert_eq!(scene.core.deposits(), [("1001".to_owned(), "a".to_owned(), true)]);
    assert_eq!(scene.spool.count_waiting(), 0);
}

/// Twenty calls a second for ten minutes of the test's own clock.
#[tokio::test(start_paused = true)]
async fn what_was_left_in_ten_minutes_without_a_core_is_there_within_a_minute_and_the_core_is_not_besieged() {
    let (asked, seen) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (attempts, stored) = (asked.clone(), seen.clone());
    let scene = scene_counting(move |outcome| {
        let of = if outcome == "stored" { &stored } else { &attempts };
        of.fetch_add(1, Ordering::Relaxed);
    });
    scene.core.fail(Some(CoreError::Away("no answer".into())));
    let carrying = tokio::spawn(scene.courier.clone().run());
    for number in 0..20 * 600 {
        scene.leave(&format!("{number:05}"), 4_000, Timestamp::now());
        scene.courier.wake();
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let (back, asked) = (Instant::now(), asked.load(Ordering::Relaxed));
    assert!(asked < 60, "{asked} attempts");
    scene.core.fail(None);
    let all = async {
        while seen.load(Ordering::Relaxed) < 20 * 600 {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    let all = tokio::time::timeout(Duration::from_secs(60), all).await;
    let (there, waiting) = (seen.load(Ordering::Relaxed), scene.spool.count_waiting());
    assert!(all.is_ok(), "after a minute {there} messages are there, and {waiting} wait");
    assert!(back.elapsed() <= LONGEST_ABSENCE + Duration::from_secs(5), "{:?}", back.elapsed());
    let stored: BTreeSet<String> = scene.core.deposits().into_iter().map(|(_, id, _)| id).collect();
    assert_eq!((stored.len(), scene.spool.count_waiting()), (20 * 600, 0));
    carrying.abort();
}

#[tokio::test(start_paused = true)]
async fn a_mailbox_that_takes_nothing_keeps_no_other_ones_messages_waiting() {
    let scene = scene();
    scene.core.fail(Some(CoreError::Refused { status: 507 }));
    scene.leave("a", 8_000, ago(1));
    scene.courier.carry_all().await;
    scene.core.fail(None);
    scene.leave("b", 8_000, ago(1));
    scene.courier.carry_all().await;
    assert_eq!(scene.core.deposits(), [("1001".to_owned(), "b".to_owned(), false)]);
}

#[tokio::test(start_paused = true)]
async fn refused_for_good_or_too_old_it_is_destroyed() {
    let scene = scene();
    scene.core.fail(Some(CoreError::Refused { status: 422 }));
    scene.leave("a", 8_000, ago(1));
    scene.courier.carry_all().await;
    assert_eq!(scene.spool.count_waiting(), 0);
    scene.core.fail(Some(CoreError::Refused { status: 507 }));
    scene.leave("b", 8_000, ago(1));
    scene.leave("c", 8_000, ago(3_700));
    scene.courier.carry_all().await;
    assert_eq!(scene.spool.count_waiting(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_refusal_that_a_wrong_clock_makes_destroys_nothing() {
    let scene = scene();
    scene.core.fail(Some(CoreError::Refused { status: 400 }));
    scene.leave("a", 8_000, ago(120));
    scene.courier.carry_all().await;
    assert_eq!(scene.spool.count_waiting(), 1);
    scene.core.fail(None);
    tokio::time::sleep(FIRST_PAUSE).await;
    scene.courier.carry_all().await;
    assert_eq!(scene.core.deposits().len(), 1);
}
