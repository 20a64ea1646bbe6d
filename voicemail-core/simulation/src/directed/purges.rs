//! Purges that die anywhere, race with undos, or miss a copy.

use super::{A, B, BOX, Case, EVERY_STEP, HOUR, OTHER_BOX, Outcome, at_every_step, catches, expect};
use crate::tenant::{Replica, Tenant, body, hash, mailbox};
use bytes::Bytes;
use futures::FutureExt;
use futures::future::LocalBoxFuture;
use std::cell::Cell;
use std::collections::BTreeMap;
use voicemail_api::gdpr::RunState;
use voicemail_model::fault_injection::Broken;
use voicemail_model::{IndexOp, MessageId, NewEntry, Time};
use voicemail_store::Key;
use voicemail_store::codec::decode_envelope;

fn purge_dies_anywhere() -> Outcome {
    at_every_step(|case, calls| {
        case.deposit(A);
        case.deposit_to(OTHER_BOX, A);
        let kept = case.deposit(B);
        case.forget("c1", A, 5);
        case.pass_time(6);
        let mut sweeping = case.sweeping();
        let ended = case.advance(&mut sweeping, calls).is_some();
        drop(sweeping);
        case.rest()?;
        case.expect_no_traces(A)?;
        expect(case.tenant.index(BOX).visible(kept).is_some(), "another caller's message is gone")?;
        Ok(ended)
    })
}

#[test]
fn a_purge_without_a_manifest_is_caught() {
    catches(Broken::NoManifest, purge_dies_anywhere);
}

/// What the run says of three messages: never more than there are, and never less than it said before.
#[derive(Default)]
struct Said {
    erased: u64,
    /// Whether it said something before all were gone.
    halfway: bool,
}

impl Said {
    fn look(&mut self, case: &Case) -> Outcome {
        let erased = case.tenant.run("c1").map_or(0, |run| run.erased_so_far());
        expect(erased <= 3, &format!("{erased} of three messages are erased"))?;
        expect(erased >= self.erased, &format!("{erased} are erased, and {} were", self.erased))?;
        self.halfway |= (1..3).contains(&erased);
        self.erased = erased;
        Ok(())
    }

    /// Lets a sweep make that many calls, with time between them in which the run says how far it is. True if it ended.
    fn watch(
        &mut self,
        case: &Case,
        sweeping: &mut LocalBoxFuture<'static, ()>,
        calls: usize,
    ) -> Result<bool, String> {
        for _ in 0..calls {
            if case.advance(sweeping, 1).is_some() {
                return Ok(true);
            }
            case.pass_time(2);
            self.look(case)?;
        }
        Ok(false)
    }

    fn end(mut self, case: &mut Case) -> Outcome {
        for _ in 0..3 {
            case.sweep_after(60);
            self.look(case)?;
        }
        let run = case.tenant.run("c1").ok_or("no run")?;
        expect(run.state == RunState::Purged, &format!("the run is {:?}", run.state))?;
        let counted = (run.erased, run.erased_so_far());
        expect(counted == (3, 3), &format!("three were erased, and {counted:?} are counted"))?;
        case.rest()?;
        case.expect_no_traces(A)
    }
}

fn three_to_erase(case: &mut Case) {
    for name in [BOX, OTHER_BOX, BOX] {
        case.deposit_to(name, A);
    }
    case.forget("c1", A, 5);
    case.pass_time(6);
}

/// The worker dies, and another one begins its round again.
fn progress_is_counted_once() -> Outcome {
    let halfway = Cell::new(false);
    at_every_step(|case, calls| {
        three_to_erase(case);
        let mut said = Said::default();
        let mut sweeping = case.sweeping();
        let ended = said.watch(case, &mut sweeping, calls)?;
        drop(sweeping);
        said.watch(case, &mut case.sweeping(), EVERY_STEP)?;
        halfway.set(halfway.get() || said.halfway);
        said.end(case)?;
        Ok(ended)
    })?;
    expect(halfway.get(), "nothing was said before the end of a round")
}

/// The worker freezes, another one ends its round, and the first one goes on to say how far it is.
fn late_progress_is_not_counted() -> Outcome {
    at_every_step(|case, calls| {
        three_to_erase(case);
        let mut said = Said::default();
        let mut frozen = case.sweeping();
        let ended = said.watch(case, &mut frozen, calls)?;
        if !ended {
            said.watch(case, &mut case.sweeping(), EVERY_STEP)?;
            said.watch(case, &mut frozen, EVERY_STEP)?;
        }
        said.end(case)?;
        Ok(ended)
    })
}

/// A worker looks for more while it notes that a round is done, and freezes. What it found, which had been out of sight, another
/// one erases meanwhile in a round of its own, and freezes before the end.
fn search_that_a_round_overtakes() -> Outcome {
    at_every_step(|case, calls| {
        case.deposit(A);
        let envelope = |key: &String| key.starts_with("ca/");
        let key = case.traces(A).into_iter().find(envelope).ok_or("no envelope")?;
        let bytes = case.tenant.dump().remove(&key).ok_or("no envelope")?;
        case.run(delete(case.tenant.clone(), key.clone()));
        three_to_erase(case);
        let mut worker = case.sweeping();
        while case.has(A, "ca/") {
            let ended = case.advance_newest_first(&mut worker, 1).is_some();
            expect(!ended, "the worker left messages")?;
        }
        case.run(create(case.tenant.clone(), key, bytes));
        let ended = case.advance_newest_first(&mut worker, calls).is_some();
        let (mut other, mut other_ended) = (case.sweeping(), false);
        while !other_ended && case.tenant.run("c1").is_some_and(|run| run.round_done < 2) {
            other_ended = case.advance(&mut other, 1).is_some();
        }
        if !ended {
            case.advance(&mut worker, usize::MAX);
        }
        if !other_ended {
            case.advance(&mut other, usize::MAX);
        }
        case.sweep_after(60);
        case.sweep_after(60);
        let erased = case.tenant.run("c1").map(|run| run.erased);
        expect(erased == Some(4), &format!("four were erased, and {erased:?} are counted"))?;
        case.rest()?;
        case.expect_no_traces(A)?;
        Ok(ended)
    })
}

#[test]
fn a_search_that_another_workers_round_overtook_is_caught() {
    catches(Broken::SearchOfAnotherRound, search_that_a_round_overtakes);
}

#[test]
fn a_purge_that_adds_up_what_its_workers_say_is_caught() {
    catches(Broken::ProgressAdded, progress_is_counted_once);
}

#[test]
fn a_worker_that_says_how_far_a_round_of_before_was_is_caught() {
    catches(Broken::ProgressOfAnyRound, late_progress_is_not_counted);
}

#[test]
fn undo_and_purge_never_both_succeed() {
    let raced = at_every_step(|case, calls| {
        case.deposit(A);
        case.forget("c1", A, 60);
        case.pass_time(59);
        let replica = case.tenant.replica(0);
        let mut undoing = async move { replica.gdpr.undo(body("c1", None, 0)).await.is_ok() }.boxed_local();
        let early = case.advance(&mut undoing, calls);
        let ended = early.is_some();
        case.sweep_after(2);
        case.sweep_after(40);
        let undone = case.finish(early, &mut undoing);
        let state = case.tenant.run("c1").map(|run| run.state);
        expect(undone == (state == Some(RunState::Undone)), &format!("undone: {undone}, and {state:?}"))?;
        case.rest()?;
        expect(case.listed() == usize::from(undone), "the list doesn't show it")?;
        Ok(ended)
    });
    assert_eq!(raced, Ok(()));
}

/// A copy that was out of sight during the whole purge appears after the end, as one would that a worker
/// writes who looked at the mark before the forget and froze.
fn late_copy_after_the_end() -> Outcome {
    let mut case = Case::new();
    let id = case.id();
    let mut depositing = case.depositing(id, A);
    case.advance_until(&mut depositing, A, "ca/");
    drop(depositing);
    let copy: BTreeMap<String, Bytes> = case
        .traces(A)
        .into_iter()
        .filter_map(|key| Some((key.clone(), case.tenant.dump().remove(&key)?)))
        .collect();
    for key in copy.keys() {
        case.run(delete(case.tenant.clone(), key.clone()));
    }
    case.purge("c1", A);
    for (key, bytes) in &copy {
        case.run(create(case.tenant.clone(), key.clone(), bytes.clone()));
    }
    case.run(insert_late(case.tenant.replica(0), id, copy));
    case.rest()
}

async fn delete(tenant: Tenant, key: String) {
    tenant.ground.delete(&Key::listed(&key).unwrap()).await.unwrap();
}

async fn create(tenant: Tenant, key: String, bytes: Bytes) {
    tenant.ground.create(&Key::listed(&key).unwrap(), bytes).await.unwrap();
}

async fn insert_late(replica: Replica, id: MessageId, copy: BTreeMap<String, Bytes>) {
    let (_, envelope) = copy.iter().find(|(key, _)| key.starts_with("ca/")).unwrap();
    let envelope = decode_envelope(envelope).unwrap();
    let entry = envelope.entry(hash(A), BTreeMap::new(), Time(0));
    let new = NewEntry { id, entry, generation: envelope.generation, quota: None };
    replica.context.indexes().apply(&mailbox(BOX), IndexOp::Insert(Box::new(new))).await.unwrap();
}

#[test]
fn no_passes_after_the_end_is_caught() {
    catches(Broken::NoPassesAfterEnd, late_copy_after_the_end);
}

/// A second worker of the same purge is frozen after every possible call while another one carries it out.
#[test]
fn two_workers_of_one_purge_enter_it_in_the_ledger_once() {
    let raced = at_every_step(|case, calls| {
        case.deposit(A);
        case.forget("c1", A, 0);
        case.pass_time(1);
        let mut frozen = case.sweeping();
        let early = case.advance(&mut frozen, calls);
        let ended = early.is_some();
        case.sweep_after(0);
        case.finish(early, &mut frozen);
        let entries = case.tenant.dump().into_keys().filter(|key| key.starts_with("ledger/0")).count();
        expect(entries == 1, &format!("{entries} entries of one erasure"))?;
        case.rest()?;
        case.expect_no_traces(A)?;
        Ok(ended)
    });
    assert_eq!(raced, Ok(()));
}

#[test]
fn a_purge_ends_the_exports_of_its_case_and_nothing_holds_the_subject() {
    let mut case = Case::new();
    case.deposit(A);
    let replica = case.tenant.replica(0);
    let exported = case.run(async move { replica.gdpr.export(body("c1", Some(A), 0)).await.unwrap().run });
    assert_eq!((exported.state, exported.exported), (RunState::Ready, 1));
    case.purge("c1", A);
    let holders: Vec<String> = case
        .tenant
        .dump()
        .into_iter()
        .filter(|(key, bytes)| {
            key.starts_with("gdpr/") && String::from_utf8_lossy(bytes).contains(hash(A).as_str())
        })
        .map(|(key, _)| key)
        .collect();
    assert_eq!(holders, Vec::<String>::new());
    assert_eq!(case.tenant.run("c1").map(|run| run.state), Some(RunState::Purged));
}

#[test]
fn a_replica_whose_clock_is_a_year_ahead_destroys_nothing() {
    let mut case = Case::new();
    case.deposit(A);
    case.forget("c1", A, HOUR);
    let ahead = case.tenant.replica(365 * 86_400 * 1_000);
    let sweeper = ahead.clone();
    case.run(async move { sweeper.sweep().await });
    assert_eq!(case.tenant.run("c1").map(|run| run.state), Some(RunState::Marked));
    assert_eq!(case.undo("c1"), Ok(RunState::Undone));
    assert_eq!(case.listed(), 1);
    let id = case.id();
    let refused = case.run(async move { ahead.deposit(BOX, A, id, 1).await });
    assert!(refused.is_err(), "a deposit was stamped by a clock that is a year ahead");
}
