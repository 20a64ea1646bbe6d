//! Three replicas whose processes are killed at random, while people use them: nothing that was acknowledged is lost,
//! nothing is there twice, and nothing that was erased comes back.
//!
//! ```text
//! actors ──HTTP──▶ one of three replicas ──▶ MinIO, 30 ms away, or a volume
//!    │                  ▲ SIGKILL, start
//!    ▼                  │
//!  book ◀── judge    killer
//! ```
//!
//! Actors deposit, listen, list, delete, forward, forget, undo and erase, all at once, and repeat a request until it is answered, as
//! clients do. Each act is written into a [`book`] with the moment when it began and the one when it was acknowledged; the
//! [`judge`] says from the book alone what must be there and what must be gone, while it goes on and at the end, and looks for the recordings
//! of what was erased in the files of the store itself. Neither shares any code with the product, which is asked over HTTP alone.
//!
//! Whether the judge finds anything at all is tested by a [`liar`] between people and replicas, which tells one kind of [`lies`] at a time.
//!
//! `PROOF_SECONDS=1800` makes it the long run, of 200 kills to each store; `PROOF_SEED=n` draws the same acts again (not the same moments:
//! these are the machine's). What can go wrong is printed with the acts that it is about.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod actors;
mod attempts;
mod book;
mod client;
mod judge;
mod liar;
mod lies;
mod random;
mod replicas;
mod sounds;

use actors::{Actor, Scene};
use futures::future::join_all;
use liar::Liar;
use lies::Lie;
use random::Random;
use replicas::{Ground, Replicas};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// People who act at a time.
const ACTORS: u64 = 8;
/// Of the shorter run that is part of all tests.
const SECONDS: u64 = 20;

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name} is no number")))
}

/// 200 kills in half an hour; more often in a short run.
fn between_kills(length: Duration) -> Duration {
    (length / 200).clamp(Duration::from_secs(3), Duration::from_secs(9))
}

async fn prove(ground: Ground) {
    let length = Duration::from_secs(number("PROOF_SECONDS").unwrap_or(SECONDS));
    let seed = number("PROOF_SEED").unwrap_or_else(Random::any_seed);
    println!("{ground}: seed {seed}, {length:?}");
    let mut replicas = Replicas::start(ground).await.unwrap();
    Scene::provision(&replicas, 0).await.unwrap();
    let scene = Arc::new(Scene::new(0, replicas.urls(), actors::USUAL).unwrap());
    let end = Instant::now() + length;
    let actors = (0..ACTORS).map(|number| {
        let actor = Actor::new(Arc::clone(&scene), Random::of(seed, number));
        tokio::spawn(actor.act_until(end))
    });
    let actors: Vec<_> = actors.collect();
    let note = |kill| scene.book().kills.push(kill);
    let kills =
        replicas.kill_until(end, between_kills(length), Random::of(seed, ACTORS), note).await.unwrap();
    for actor in join_all(actors).await {
        actor.unwrap();
    }
    judge::judge_end(&scene, &replicas, judge::ERASED_WITHIN).await;
    println!("{}: {kills} kills; {}", replicas.ground(), scene.counts());
    let findings = scene.findings();
    assert!(findings.is_empty(), "seed {seed}: {} findings\n{}", findings.len(), findings.join("\n"));
    assert!(kills > 0 && scene.covers_all_acts(), "too little happened: {}", scene.counts());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_or_twice_or_back_when_replicas_die_on_an_object_store_in_another_city() {
    prove(Ground::far_store().await.unwrap()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_or_twice_or_back_when_replicas_die_on_a_volume() {
    prove(Ground::volume().unwrap()).await;
}

/// What was erased is looked for that long where it is known to stay.
const KNOWN_TO_STAY: Duration = Duration::from_secs(5);
/// People act that long before a liar, and again until something is found.
const LIED_TO: Duration = Duration::from_secs(3);
/// At most so often.
const ROUNDS: u64 = 6;

/// What one kind of lie has led to.
struct Judged {
    findings: Vec<String>,
    lied_about: Vec<String>,
}

impl Judged {
    fn count_found(&self) -> usize {
        let names_a_lie = |finding: &&String| self.lied_about.iter().any(|name| finding.contains(name));
        self.findings.iter().filter(names_a_lie).count()
    }
}

fn judged(scene: &Scene, liar: &Liar) -> Judged {
    Judged { findings: scene.findings(), lied_about: liar.lied_about() }
}

async fn judge_lies(number: usize, lie: Lie, replicas: &Replicas) -> Judged {
    let number = u64::try_from(number).unwrap();
    Scene::provision(replicas, number).await.unwrap();
    let liar = Liar::start(lie, replicas.urls()).await.unwrap();
    let scene = Arc::new(Scene::new(number, vec![liar.url()], actors::EVEN).unwrap());
    let patience = if lie == Lie::None { judge::ERASED_WITHIN } else { KNOWN_TO_STAY };
    for round in 0..ROUNDS {
        let end = Instant::now() + LIED_TO;
        let act =
            |actor| Actor::new(Arc::clone(&scene), Random::of(number, 10 * round + actor)).act_until(end);
        join_all((0..3).map(act)).await;
        // Most is found by those who act; what is left in files alone takes a look at them.
        if judged(&scene, &liar).count_found() == 0 {
            judge::judge_end(&scene, replicas, patience).await;
        }
        if lie == Lie::None || judged(&scene, &liar).count_found() > 0 {
            break;
        }
    }
    judged(&scene, &liar)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_kind_of_lie_is_found_and_an_honest_service_is_not_accused() {
    let replicas = Replicas::start(Ground::volume().unwrap()).await.unwrap();
    let judged = Lie::ALL.iter().enumerate().map(|(number, lie)| judge_lies(number, *lie, &replicas));
    for (lie, judged) in Lie::ALL.iter().zip(join_all(judged).await) {
        let (found, text) = (judged.count_found(), judged.findings.join("\n"));
        let (lies, findings) = (judged.lied_about.len(), judged.findings.len());
        println!("{lie:?}: {lies} lies, {findings} findings, {found} of them about a lie");
        if *lie == Lie::None {
            assert!(findings == 0, "an honest service is accused:\n{text}");
        } else {
            assert!(found > 0, "{lie:?} isn't found, of {:?}; what was found:\n{text}", judged.lied_about);
        }
    }
}
