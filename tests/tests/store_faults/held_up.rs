//! A server that holds up one request in 25 for four seconds: deposits are answered as if it didn't, and each message is
//! there once.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use futures::TryStreamExt;
use voicemail_engine::mailbox::MessageFilter;
use voicemail_store::hedge::{Outcome, Watch};
use voicemail_test_machine::fault_proxy::{Fault, Rule};
use voicemail_test_machine::servers::{Minio, loopback};

use crate::life::{deposit, mailbox};
use crate::site::{Ground, Site};

const HELD_UP: Duration = Duration::from_secs(4);
/// A deposit of a server that answers takes some 20 ms, and a busy machine's ten times as long.
const FAST: Duration = Duration::from_secs(2);
const DEPOSITS: usize = 100;

/// Deposits one after the other; gives how many were slow.
async fn deposit_all(site: &Site, deposits: usize) -> usize {
    let mut slow = Vec::new();
    for number in 0..deposits {
        let begun = Instant::now();
        deposit(site, "+442079460001", u8::try_from(number % 50).unwrap()).await.unwrap();
        slow.extend(Some(begun.elapsed()).filter(|took| *took > FAST));
    }
    slow.len()
}

async fn listed(site: &Site) -> usize {
    let filter = MessageFilter { limit: 1_000, ..MessageFilter::default() };
    site.core.mailboxes.list(&mailbox(), filter).await.unwrap().messages.len()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_holds_up_one_request_in_25_keeps_no_deposit_waiting() {
    let server = Minio::start(loopback()).await.unwrap();
    let ground = Ground::s3(server.endpoint(), server.address()).await;
    let answered: Arc<AtomicUsize> = Arc::default();
    let counted = Arc::clone(&answered);
    let watch: Watch = Arc::new(move |_, outcome| {
        counted.fetch_add(usize::from(outcome == Outcome::Second), Ordering::SeqCst);
    });
    let site = Site::open_hedged(&ground, "held-up", &watch).await;
    site.core.directory.put_mailbox(&mailbox(), None, None).await.unwrap();
    deposit_all(&site, 60).await;
    site.proxy.push(Rule::new(Fault::AnsweredLate(HELD_UP)).one_in(50).forever());
    site.proxy.push(Rule::new(Fault::Delayed(HELD_UP)).after(25).one_in(50).forever());
    site.proxy.clear_seen();
    let slow = deposit_all(&site, DEPOSITS).await;
    let held_up = site.proxy.seen().iter().filter(|seen| seen.faulted).count();
    site.proxy.clear_rules();
    let second = answered.load(Ordering::SeqCst);
    println!(
        "{held_up} requests held up, {second} answered by second tries, {slow} slow deposits of {DEPOSITS}"
    );
    assert!(held_up >= DEPOSITS / 5, "only {held_up} requests were held up");
    assert!(second >= held_up / 2, "{second} second tries answered of {held_up}");
    assert!(slow * 8 <= held_up, "{slow} deposits were slow, by {held_up} requests that were held up");
    assert_eq!(listed(&site).await, 60 + DEPOSITS, "each is there once");
    let audio: Vec<String> = site.straight.list("au/").try_collect().await.unwrap();
    assert_eq!(audio.len(), 60 + DEPOSITS, "of no second try anything is left");
    site.clear().await;
}
