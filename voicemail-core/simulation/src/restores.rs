//! Random schedules with a restore: at some moment both regions are backed up, and later, whatever is under way, put
//! back. Erasures in between are replayed by workers that die and whose calls are lost, until one has done it; only
//! then does anything else go on, as a core that is `RestoreDetected` serves nobody.
//!
//! Promises to clients of after the backup are lost with it, but for requests that wait and legal holds, which are kept
//! outside the store. Promises of before the backup aren't lost, and the erased stay erased: the invariants are those
//! of any schedule.

use super::check::Ledger;
use super::play::{Play, seeds};
use super::scheduler::{CRUEL, KIND};
use super::tenant::Tenant;
use std::cell::Cell;
use std::collections::BTreeMap;
use std::rc::Rc;
use voicemail_api::gdpr::LedgerView;
use voicemail_store::Family;

/// Both regions' objects, and what clients knew.
type Backup = ([BTreeMap<String, bytes::Bytes>; 2], Ledger);

const MOST_ATTEMPTS: usize = 200;
/// Rounds between a backup and its restore.
const MOST_ROUNDS: usize = 4;

/// Plays one seed to the end. Gives how many erasures its restore had to replay.
fn play(seed: u64) -> Result<u64, String> {
    let mut play = Play::on(Tenant::new(seed));
    play.busy()?;
    let backup: Backup = (play.tenant.snapshot(), play.ledger.borrow().clone());
    go_on(&mut play, erasures(&backup.0))?;
    let replayed = restore(&mut play, &backup)?;
    play.busy()?;
    play.quieten()?;
    Ok(replayed)
}

/// Goes on until something was erased since the backup, which most often takes one or two rounds.
fn go_on(play: &mut Play, before: usize) -> Result<(), String> {
    for _ in 0..MOST_ROUNDS {
        play.busy()?;
        if erasures(&play.tenant.snapshot()) > before {
            break;
        }
    }
    Ok(())
}

/// Links of the ledger of erasures.
fn erasures(regions: &[BTreeMap<String, bytes::Bytes>]) -> usize {
    regions.iter().flat_map(BTreeMap::keys).filter(|key| key.starts_with(Family::Ledger.prefix())).count()
}

fn restore(play: &mut Play, (snapshot, known): &Backup) -> Result<u64, String> {
    // All cores are gone. The operator's copy outside is as new as the last erasure.
    play.scheduler.tasks.clear();
    play.tenant.set_outage(false);
    let outside = read_ledger(play)?;
    let (promised, waiting) = (play.ledger.borrow().clone(), waiting(play));
    play.tenant.restore(snapshot);
    play.provisioning.borrow_mut().restored = true;
    *play.ledger.borrow_mut() = known.clone();
    let asked = promised.cases.clone();
    keep_holds(play, known, promised);
    play.renew_common();
    play.ledger.borrow_mut().receipts.clone_from(&outside.head.receipts);
    let replayed = replay(play, &outside)?;
    keep_cases(play, asked);
    match waiting.iter().find(|case| play.tenant.run(case).is_none()) {
        Some(case) => Err(format!("{case} waited for its erasure and is lost")),
        None => Ok(replayed),
    }
}

/// Cases that wait for their erasure, as far as that is known outside the store.
fn waiting(play: &Play) -> Vec<String> {
    let ledger = play.ledger.borrow();
    let promised =
        |case: &&String| play.tenant.run(case).is_some_and(|run| run.promised.is_some() && !run.has_ended());
    ledger.cases.keys().filter(promised).cloned().collect()
}

/// Requests that came after the backup and are there again, carried out or waiting, are somebody's wish as before.
fn keep_cases(play: &Play, asked: BTreeMap<String, (String, bool)>) {
    let there = asked.into_iter().filter(|(case, _)| play.tenant.run(case).is_some());
    let mut ledger = play.ledger.borrow_mut();
    for (case, (caller, _)) in there {
        // Whether its marking was reported since isn't known any more.
        ledger.cases.entry(case).or_insert((caller, false));
    }
}

/// Legal holds aren't lost with the store: those on messages of the backup hold again, and ended ones don't.
fn keep_holds(play: &Play, known: &Ledger, promised: Ledger) {
    let mut ledger = play.ledger.borrow_mut();
    let there = |id: &voicemail_model::MessageId| known.acknowledged.contains_key(id);
    ledger.held = promised.held.into_iter().filter(|(id, _)| there(id)).collect();
    ledger.released.extend(promised.released);
}

fn read_ledger(play: &Play) -> Result<LedgerView, String> {
    let replica = play.tenant.replica(0);
    let read = async move { replica.gdpr.ledger(0).await };
    super::scheduler::complete(&play.tenant.world, read).map_err(|error| error.to_string())
}

fn replay(play: &mut Play, outside: &LedgerView) -> Result<u64, String> {
    let replayed: Rc<Cell<Option<u64>>> = Rc::default();
    for attempt in 0..MOST_ATTEMPTS {
        play.scheduler.cruelty = if attempt < MOST_ATTEMPTS / 2 { CRUEL } else { KIND };
        // Now and then two of them at once.
        for _ in 0..1 + play.draw(|dice| dice.below(2)) {
            let (replica, outside, replayed) =
                (play.tenant.replica(0), outside.clone(), Rc::clone(&replayed));
            play.scheduler.spawn("replay", async move {
                if let Ok(done) = replica.gdpr.replay(&outside).await {
                    replayed.set(Some(replayed.get().unwrap_or(0).max(done.runs)));
                }
            });
        }
        play.scheduler.finish_all(1_000_000);
        if let Some(runs) = replayed.get() {
            return Ok(runs);
        }
    }
    Err("the replay is never done".into())
}

#[test]
fn the_erased_stay_erased_in_random_schedules_of_a_restore() {
    let (mut failed, mut replayed) = (Vec::new(), 0);
    for seed in seeds(0..40) {
        match play(seed) {
            Ok(runs) => replayed += runs,
            Err(violation) => failed.push((seed, violation)),
        }
    }
    assert!(failed.is_empty(), "replay with SEED=n: {failed:#?}");
    assert!(replayed > 0 || std::env::var("SEED").is_ok(), "no restore lost an erasure");
}
