//! What media servers and agents wait for.

use crate::Row;
use crate::bare;
use crate::scene::{Scene, Way, median, ms, names, speech};
use anyhow::{Context as _, Result};
use bytes::Bytes;
use futures::future::try_join_all;
use reqwest::Method;
use serde_json::json;
use std::time::{Duration, Instant};
use voicemail_test_machine::servers::voicemail_core::PASSWORD;

const PAIRS: usize = 15;
const CALLERS: usize = 16;
const ROUNDS: usize = 3;
/// Deposits of each caller in a round.
const EACH: usize = 8;
const CALLER: &str = "+441632960001";
/// Of a message.
const SECONDS: usize = 10;

/// All of it at that distance.
pub(crate) async fn measure(scene: &Scene, round_trip: Duration) -> Result<()> {
    let prefix = format!("4{:03}", round_trip.as_millis());
    let boxes = names(&prefix, CALLERS);
    scene.open_mailboxes(&boxes).await?;
    for name in &boxes {
        bare::open_mailbox(scene.bare.as_ref(), name).await?;
    }
    let heard = scene.leave(&boxes[..1], CALLER, (PAIRS, SECONDS)).await?;
    let mine = json!({ "mailboxes": &boxes[..10] });
    scene.core.ask("root", Method::PUT, "/users/alice", Some(mine)).await?;
    scene.bare.replace(&bare::key("user/bare")?, None, Bytes::from_static(b"alice")).await.ok();
    scene.go_far(round_trip)?;
    deposits_one_by_one(scene, &boxes[0]).await?.print();
    deposits_at_once(scene, &boxes).await?.print();
    let receive = format!("/mailboxes/{}/reception", boxes[1]);
    let receive = async |_| scene.core.ask("front", Method::GET, &receive, None).await.map(drop);
    let bares = async |_| bare::receive(scene.bare.as_ref(), &boxes[1]).await;
    in_turn(scene, "reception", receive, bares).await?.print();
    let count = async |_| scene.core.ask("alice", Method::GET, "/me/mailboxes", None).await.map(drop);
    let bares = async |_| bare::count(scene.bare.as_ref(), &boxes[..10]).await;
    in_turn(scene, "`me/mailboxes`, ten boxes", count, bares).await?.print();
    let http = reqwest::Client::builder().no_proxy().build()?;
    let play = async |number: usize| play(scene, &http, &boxes[0], &heard[number]).await;
    let bares = async |number| bare::play(scene.bare.as_ref(), &boxes[0], number).await;
    in_turn(scene, "audio, first byte, of a message not heard before", play, bares).await?.print();
    scene.go_far(Duration::ZERO)?;
    Ok(())
}

/// Requests that a way carried during some work.
async fn counted<T>(way: &Way, work: impl Future<Output = Result<T>>) -> Result<(f64, T)> {
    let before = way.requests()?;
    let answer = work.await?;
    // Fewer than 2^52.
    #[allow(clippy::cast_precision_loss, reason = "a count")]
    let made = (way.requests()? - before) as f64;
    Ok((made, answer))
}

/// Pairs of an operation and what it is made of.
async fn in_turn(
    scene: &Scene,
    what: &str,
    ours: impl AsyncFn(usize) -> Result<()>,
    bares: impl AsyncFn(usize) -> Result<()>,
) -> Result<Row> {
    let (mut with, mut without, mut requests) = (Vec::new(), Vec::new(), (Vec::new(), Vec::new()));
    for pair in 0..PAIRS {
        let begun = Instant::now();
        requests.1.push(counted(&scene.bares, bares(pair)).await?.0);
        without.push(ms(begun));
        let begun = Instant::now();
        requests.0.push(counted(&scene.ours, ours(pair)).await?.0);
        with.push(ms(begun));
    }
    let requests = (median(requests.0), median(requests.1));
    Ok(Row { what: what.into(), unit: "ms", ours: median(with), bare: median(without), requests })
}

async fn deposits_one_by_one(scene: &Scene, mailbox: &str) -> Result<Row> {
    let wav = speech(SECONDS);
    let audio = Bytes::from(wav.clone());
    let ours = async |_| scene.core.deposit(mailbox, CALLER, "Ann", wav.clone()).await.map(drop);
    let bares = async |number| bare::deposit(scene.bare.as_ref(), mailbox, number, &audio).await;
    in_turn(scene, "deposit, one caller", ours, bares).await
}

/// Each caller has a mailbox of its own.
async fn deposits_at_once(scene: &Scene, boxes: &[String]) -> Result<Row> {
    let wav = speech(SECONDS);
    let audio = Bytes::from(wav.clone());
    let (mut with, mut without, mut requests) = (Vec::new(), Vec::new(), (Vec::new(), Vec::new()));
    for round in 0..ROUNDS {
        let bares = async |name: &String| {
            for number in 0..EACH {
                bare::deposit(scene.bare.as_ref(), name, PAIRS + round * EACH + number, &audio).await?;
            }
            Ok(())
        };
        let (rate, made) = rate(&scene.bares, try_join_all(boxes.iter().map(bares))).await?;
        without.push(rate);
        requests.1.push(made);
        let ours = async |name: &String| {
            for _ in 0..EACH {
                scene.core.deposit(name, CALLER, "Ann", wav.clone()).await?;
            }
            Ok(())
        };
        let (rate, made) = self::rate(&scene.ours, try_join_all(boxes.iter().map(ours))).await?;
        with.push(rate);
        requests.0.push(made);
    }
    let requests = (median(requests.0), median(requests.1));
    Ok(Row {
        what: "deposits, 16 callers".into(),
        unit: "/s",
        ours: median(with),
        bare: median(without),
        requests,
    })
}

/// Deposits a second, and requests of each.
async fn rate(way: &Way, work: impl Future<Output = Result<Vec<()>>>) -> Result<(f64, f64)> {
    let deposits = f64::from(u32::try_from(CALLERS * EACH)?);
    let begun = Instant::now();
    let (made, _) = counted(way, work).await?;
    Ok((deposits / begun.elapsed().as_secs_f64(), made / deposits))
}

async fn play(scene: &Scene, http: &reqwest::Client, mailbox: &str, id: &str) -> Result<()> {
    let url = format!("{}/mailboxes/{mailbox}/messages/{id}/audio", scene.core.url());
    let mut answer = http.get(url).basic_auth("alice", Some(PASSWORD)).send().await?.error_for_status()?;
    answer.chunk().await?.context("no audio")?;
    Ok(())
}
