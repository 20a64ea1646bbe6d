//! Many messages at once on a store in another city: what expires or is erased is gone in time, and nobody who leaves a message waits for it. By virtual
//! time over the in-memory store, of which every call takes 30 ms and no more than 64 are under way.

#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "a test fails by panicking")]

use futures::stream::FuturesUnordered;
use futures::{StreamExt, TryStreamExt};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;
use voicemail_api::gdpr::RunState;
use voicemail_engine::sweep::Sweeper;
use voicemail_engine::testing::{CALLER, OTHER_CALLER, Requests, START, Site, TICK, body, mailbox};
use voicemail_store::Key;

const MESSAGES: usize = 20_000;
const BOXES: usize = 200;
const HOUR: Duration = Duration::from_secs(3_600);
/// Longer than messages are kept: ten years, and to the end of that day.
const KEPT: Duration = Duration::from_secs(3_652 * 86_400);
/// Twenty a second.
const BETWEEN_DEPOSITS: Duration = Duration::from_millis(50);

fn name_of(number: usize) -> String {
    format!("2{:04}", number % BOXES)
}

async fn site_with(messages: usize) -> (Site, Arc<Requests>) {
    let (site, requests) = Site::in_memory_and_slow().await;
    for number in 0..BOXES {
        site.core.directory.put_mailbox(&mailbox(&name_of(number)), None, None).await.unwrap();
    }
    for number in 0..messages {
        site.deposit(&name_of(number), CALLER).await;
    }
    (site, requests)
}

/// Leaves messages, twenty a second, until the other work is done. How long each took.
async fn leave_beside(site: &Site, work: impl Future<Output = ()>) -> Vec<Duration> {
    let (mut under_way, mut took, mut left) = (FuturesUnordered::new(), Vec::new(), 0);
    let mut next = tokio::time::interval(BETWEEN_DEPOSITS);
    let mut work = std::pin::pin!(work);
    loop {
        tokio::select! {
            () = &mut work => break,
            _ = next.tick() => {
                let (name, begun) = (name_of(left), Instant::now());
                left += 1;
                under_way.push(async move {
                    site.deposit(&name, OTHER_CALLER).await;
                    begun.elapsed()
                });
            }
            Some(one) = under_way.next() => took.push(one),
        }
    }
    took.extend(under_way.collect::<Vec<_>>().await);
    took
}

/// Until no audio of the first hour is left.
async fn wait_expired(site: &Site) {
    loop {
        tokio::time::sleep(Duration::from_secs(10)).await;
        let left = site.store.list(&Key::audio_of(START)).try_next().await.unwrap();
        if left.is_none() {
            return;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn twenty_thousand_messages_expire_within_the_hour_and_no_deposit_waits_for_them() {
    let (site, requests) = site_with(MESSAGES).await;
    site.pass_time(KEPT);
    site.let_time_go();
    requests.switch(true);
    let (begun, sweeper) = (Instant::now(), Sweeper::new(site.core.context.clone(), site.core.gdpr.clone()));
    let work = async {
        tokio::select! {
            () = sweeper.run() => unreachable!("it never ends"),
            () = wait_expired(&site) => {}
            () = tokio::time::sleep(HOUR) => {}
        }
    };
    let mut took = leave_beside(&site, work).await;
    requests.switch(false);
    let gone_within = begun.elapsed();
    took.sort();
    let (median, most) = (took[took.len() / 2], took[took.len() - 1]);
    println!("gone within {gone_within:?}; {} deposits, median {median:?}, at most {most:?}", took.len());
    assert!(gone_within < HOUR, "messages are left after an hour");
    assert!(took.len() >= gone_within.as_secs() as usize * 20 - 20, "only {} deposits", took.len());
    // Alone it takes 150 ms.
    assert!(median <= Duration::from_millis(400), "a deposit takes {median:?}");
    assert!(most <= Duration::from_secs(1), "a deposit takes {most:?}");
    for number in 0..BOXES {
        let index = site.index(&name_of(number)).await;
        assert!(index.entries.values().all(|entry| entry.received > START.plus(HOUR)), "{}", name_of(number));
    }
}

#[tokio::test(start_paused = true)]
async fn ten_thousand_messages_are_erased_within_a_minute() {
    let (site, requests) = site_with(10_000).await;
    site.core.gdpr.forget(body("c", Some(CALLER), 0)).await.unwrap();
    site.pass_time(Duration::from_secs(1));
    let (cost, ()) = requests.cost_of(site.sweep()).await;
    let case = site.core.gdpr.case(&"c".parse().unwrap()).await.unwrap();
    assert_eq!((case.runs[0].state, case.runs[0].erased), (RunState::Purged, 10_000));
    let took = TICK * u32::try_from(cost.round_trips).unwrap();
    println!("{cost:?}, {took:?}");
    // A third of the minute is left for the store's own work.
    assert!(took < Duration::from_secs(40), "{cost:?}: {took:?}");
}
