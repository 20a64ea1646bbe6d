//! MWI across replicas: processes on one volume, clients on event streams, and hints that come or don't.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use crate::served;

use bytes::Bytes;
use futures::StreamExt;
use futures::stream::BoxStream;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use served::replica::{CALLER, Replica, free_port};
use std::net::UdpSocket;
use std::time::Duration;
use tempfile::TempDir;
use tokio::time::{Instant, timeout};

const DEADLINE: Duration = Duration::from_secs(20);

/// A stream of events.
struct Stream {
    chunks: BoxStream<'static, reqwest::Result<Bytes>>,
    text: String,
}

struct Event {
    name: String,
    id: String,
    data: Value,
}

impl Stream {
    /// The next event, or that the stream ended.
    async fn try_next(&mut self) -> Option<Event> {
        loop {
            if let Some((block, rest)) = self.text.split_once("\n\n") {
                let (block, rest) = (block.to_owned(), rest.to_owned());
                self.text = rest;
                let field = |name: &str| {
                    block
                        .lines()
                        .find_map(|line| line.strip_prefix(name))
                        .map(|value| value.trim().to_owned())
                };
                let Some(name) = field("event:") else { continue };
                let data = serde_json::from_str(&field("data:").unwrap()).unwrap();
                return Some(Event { name, id: field("id:").unwrap(), data });
            }
            let chunk = timeout(DEADLINE, self.chunks.next()).await;
            let chunk = chunk.unwrap_or_else(|_| panic!("no event within {DEADLINE:?}"))?;
            self.text.push_str(std::str::from_utf8(&chunk.unwrap()).unwrap());
        }
    }

    async fn next(&mut self, name: &str) -> Event {
        let event = self.try_next().await.expect("the stream ended");
        assert_eq!(event.name, name, "{}", event.data);
        event
    }

    /// Waits until the mailbox's MWI state is `counts`.
    async fn mwi(&mut self, mailbox: &str, counts: &str) -> String {
        loop {
            let event = self.next("mwi").await;
            if event.data["Mailbox"] == mailbox && event.data["Voice-Message"] == counts {
                return event.id;
            }
        }
    }
}

async fn listen(replica: &Replica, last: Option<&str>) -> Stream {
    let mut get = replica.request(Method::GET, "mwi/events");
    if let Some(last) = last {
        get = get.header("last-event-id", last);
    }
    let answer = get.send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(answer.headers()["content-type"], "text/event-stream");
    Stream { chunks: answer.bytes_stream().boxed(), text: String::new() }
}

/// Two replicas that hear each other; only a hint can be quick, since their timers take an hour.
async fn pair(volume: &TempDir) -> [Replica; 2] {
    let (here, there) = (free_port(), free_port());
    let pair = [
        Replica::start(volume.path(), here, there, &json!({ "reconcileEvery": "1h" })),
        Replica::start(volume.path(), there, here, &json!({ "reconcileEvery": "1h" })),
    ];
    pair[0].provision().await;
    pair
}

#[tokio::test]
async fn a_change_on_one_replica_is_seen_on_the_other_within_a_second() {
    let volume = tempfile::tempdir().unwrap();
    let [here, there] = pair(&volume).await;
    let mut stream = listen(&there, None).await;
    assert_eq!(stream.next("state").await.data["Mailboxes"][0]["Voice-Message"], "0/0 (0/0)");
    let begun = Instant::now();
    here.deposit("1001").await;
    let acknowledged = begun.elapsed();
    stream.mwi("1001", "1/0 (0/0)").await;
    let after = begun.elapsed() - acknowledged;
    println!("the MWI state came {after:?} after the acknowledgement");
    assert!(after < Duration::from_secs(1), "{after:?}");

    here.send(Method::PUT, "users/alice", json!({ "mailboxes": ["1001"], "groups": ["sales"] })).await;
    stream.mwi("2000", "0/0 (0/0)").await;
    here.deposit("2000").await;
    stream.mwi("2000", "1/0 (0/0)").await;
    let case = json!({ "caseid": "7", "consumers": [{ "phone": [CALLER] }] });
    here.send(Method::POST, "gdpr/forgetme", case.clone()).await;
    let dark = [stream.next("mwi").await, stream.next("mwi").await];
    assert!(dark.iter().all(|event| event.data["Messages-Waiting"] == "False"));
    here.send(Method::POST, "gdpr/undoforget", case).await;
    let lit = [stream.next("mwi").await, stream.next("mwi").await];
    assert!(lit.iter().all(|event| event.data["Messages-Waiting"] == "True"));
    here.send(Method::PUT, "groups/sales", json!({ "mailbox": "1001" })).await;
    assert_eq!(stream.next("gone").await.data, json!({ "Mailbox": "2000" }));
    assert!(there.metric("voicemail_mwi_hints_total{direction=\"in\",outcome=\"heeded\"}").await >= 5.0);
    assert_eq!(there.metric("voicemail_mwi_drift_total").await, 0.0);
    assert_eq!(there.metric("voicemail_mwi_subscribers").await, 1.0);
}

#[tokio::test]
async fn when_every_hint_is_lost_the_timer_makes_mwi_right() {
    let volume = tempfile::tempdir().unwrap();
    let hole = UdpSocket::bind("127.0.0.1:0").unwrap();
    hole.set_read_timeout(Some(DEADLINE)).unwrap();
    let here = Replica::start(
        volume.path(),
        free_port(),
        hole.local_addr().unwrap(),
        &json!({ "reconcileEvery": "1h" }),
    );
    let there = Replica::start(
        volume.path(),
        free_port(),
        hole.local_addr().unwrap(),
        &json!({ "reconcileEvery": "1s" }),
    );
    here.provision().await;
    let mut stream = listen(&there, None).await;
    stream.next("state").await;
    here.deposit("1001").await;
    stream.mwi("1001", "1/0 (0/0)").await;
    assert_eq!(there.metric("voicemail_mwi_drift_total").await, 1.0);
    assert_eq!(there.metric("voicemail_mwi_hints_total{direction=\"in\",outcome=\"heeded\"}").await, 0.0);
    here.send(Method::PUT, "users/alice", json!({ "mailboxes": [] })).await;
    assert_eq!(stream.next("gone").await.data["Mailbox"], "1001");
    let mut datagram = [0; 2_048];
    let (length, _) = hole.recv_from(&mut datagram).expect("no hint was sent");
    assert!(!datagram[..length].windows(4).any(|bytes| bytes == b"1001" || bytes == b"2000"));
}

#[tokio::test]
async fn a_client_of_a_replica_that_stops_goes_on_at_another_without_being_told_twice() {
    let volume = tempfile::tempdir().unwrap();
    let [here, there] = pair(&volume).await;
    let mut stream = listen(&here, None).await;
    stream.next("state").await;
    there.deposit("1001").await;
    let last = stream.mwi("1001", "1/0 (0/0)").await;
    let Replica { process, setup, .. } = here;
    process.stop();
    assert!(stream.try_next().await.is_none());
    let mut stream = listen(&there, Some(&last)).await;
    let comment = timeout(DEADLINE, stream.chunks.next()).await.unwrap().unwrap().unwrap();
    assert!(comment.ends_with(b": unchanged\n\n"), "{comment:?}");
    there.deposit("1001").await;
    stream.mwi("1001", "2/0 (0/0)").await;
    drop(setup);
}
