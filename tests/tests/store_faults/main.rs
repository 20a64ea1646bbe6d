//! The services' promises on a faulty connection to an object store: a life of a tenant is played again and again,
//! and each time another one of its requests meets a fault, so that every store call of a deposit, a deletion, an
//! erasure and an undo meets each of them.
//!
//! A client of these lives does what clients should: it repeats a request until it is answered. The promises are
//! then looked at over a way without faults, by `fsck` and by the store's own listing.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test's failure is a panic")]

mod costs;
mod held_up;
mod life;
mod site;

use std::time::Duration;

use futures::{StreamExt, TryStreamExt, stream};
use http::{Method, StatusCode};
use life::live;
use site::{Ground, Site};
use voicemail_test_machine::fault_proxy::{Denial, Fault, Rule};
use voicemail_test_machine::servers::s3s::{Oddity, S3sServer};
use voicemail_test_machine::servers::{AzureAccount, Azurite, Minio, loopback};

const ACCOUNT: &str = "faultyaccount";
/// Lives beside each other: each waits for its store most of the time.
const TOGETHER: usize = 4;

/// The faults that a request of this method can meet, of which one is played at a time.
fn faults(method: &Method) -> Vec<(&'static str, Fault)> {
    let wait = Duration::from_secs(1);
    let any = vec![
        ("reply lost", Fault::AppliedThenClosed),
        ("500 after apply", Fault::AppliedThenAnswered(StatusCode::INTERNAL_SERVER_ERROR)),
        ("503 after apply", Fault::AppliedThenAnswered(StatusCode::SERVICE_UNAVAILABLE)),
        ("throttled", Fault::Throttled { status: StatusCode::SERVICE_UNAVAILABLE, retry_after: wait }),
        ("hung after apply", Fault::Hung { applied: true }),
        ("expired credentials", Fault::Denied(Denial::Expired)),
        ("hung", Fault::Hung { applied: false }),
        ("an hour ahead", Fault::SkewedClock { seconds: 3_600 }),
    ];
    let slow = Fault::Trickled { chunk: 100, every: Duration::from_millis(20) };
    let own = match *method {
        Method::GET => vec![("half a body", Fault::HalfBody), ("slow", slow)],
        Method::PUT => vec![("409, not applied", Fault::Conflict)],
        _ => Vec::new(),
    };
    own.into_iter().chain(any).collect()
}

/// Every `stride`th request of a life meets the fault whose turn it is. `FAULT_PASSES=n` plays n faults on every
/// request; with 12, all of them.
async fn play_all(ground: &Ground, stride: usize) {
    let given = std::env::var("FAULT_PASSES").ok().and_then(|text| text.parse().ok());
    let (passes, stride) = given.map_or((1, stride), |passes: usize| (passes, 1));
    let methods = list_methods(ground).await;
    assert!(methods.len() > 40, "a life of only {} requests was played", methods.len());
    let plan: Vec<_> =
        (0..passes).flat_map(|pass| (0..methods.len()).step_by(stride).map(move |nth| (pass, nth))).collect();
    let play = |(pass, nth): (usize, usize)| {
        let faults = faults(&methods[nth]);
        let (name, fault) = faults[(nth + pass) % faults.len()].clone();
        async move {
            let site = Site::open(ground, &format!("p{pass}-n{nth}")).await;
            site.proxy.push(Rule::new(fault).after(nth));
            let met = live(&site).await.map_err(|broken| format!("request {nth}, {name}: {broken}"));
            site.clear().await;
            met
        }
    };
    let done: Result<Vec<()>, String> =
        stream::iter(plan).map(play).buffer_unordered(TOGETHER).try_collect().await;
    if let Err(broken) = done {
        panic!("{broken}");
    }
}

/// The requests of a life without a fault.
async fn list_methods(ground: &Ground) -> Vec<Method> {
    let site = Site::open(ground, "whole").await;
    live(&site).await.unwrap();
    let methods = site.proxy.seen().into_iter().map(|seen| seen.method).collect();
    site.clear().await;
    methods
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_promised_is_broken_by_a_fault_at_any_request_to_an_s3_server() {
    let server = S3sServer::start(loopback(), Oddity::None).await.unwrap();
    play_all(&Ground::s3(server.endpoint(), server.address()).await, 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_promised_is_broken_by_faults_between_us_and_minio() {
    let server = Minio::start(loopback()).await.unwrap();
    play_all(&Ground::s3(server.endpoint(), server.address()).await, 5).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_promised_is_broken_by_faults_between_us_and_azurite() {
    let server = Azurite::start(loopback(), &[AzureAccount::random(ACCOUNT)]).await.unwrap();
    play_all(&Ground::azure(server.endpoint(ACCOUNT).unwrap(), server.address()).await, 5).await;
}
