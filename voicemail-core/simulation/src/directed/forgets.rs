//! Forgets and undos against deposits and each other.

use super::{A, B, BOX, Case, EVERY_STEP, HOUR, Outcome, at_every_step, catches, expect};
use crate::tenant::{body, mailbox};
use futures::FutureExt;
use voicemail_api::gdpr::RunState;
use voicemail_engine::gdpr::GdprError;
use voicemail_model::fault_injection::Broken;
use voicemail_model::{MessageChange, MessageState, Run};
use voicemail_store::Key;

/// Calls that admit a deposit, so that it is received before what comes next.
const ADMITTED: usize = 3;

/// Audio and envelope are stored, the replica dies, forget, purge, then the sweeper would complete the deposit.
#[test]
fn a_deposit_that_died_anywhere_is_erased_by_the_forget_that_follows() {
    let erased = at_every_step(|case, calls| {
        let mut depositing = case.depositing(case.id(), A);
        let ended = case.advance(&mut depositing, calls).is_some();
        drop(depositing);
        case.forget("c1", A, 5);
        case.sweep_after(10);
        case.sweep_after(60);
        case.rest()?;
        case.expect_no_traces(A)?;
        Ok(ended)
    });
    assert_eq!(erased, Ok(()));
}

/// A deposit is frozen after every possible call while something runs to its end, then goes on.
fn deposit_frozen_across(meanwhile: fn(&mut Case)) -> Outcome {
    at_every_step(|case, calls| {
        let id = case.id();
        let mut depositing = case.depositing(id, A);
        let early = case.advance(&mut depositing, calls);
        let ended = early.is_some();
        meanwhile(case);
        if case.finish(early, &mut depositing).is_ok() {
            case.promise_early(id);
        }
        case.check_visible()?;
        case.rest()?;
        Ok(ended)
    })
}

fn marked(case: &mut Case) {
    case.forget("c1", A, HOUR);
}

#[test]
fn a_deposit_frozen_across_an_undone_forget_is_listed() {
    let undone = deposit_frozen_across(|case| {
        case.forget("c1", A, HOUR);
        assert_eq!(case.undo("c1"), Ok(RunState::Undone));
    });
    assert_eq!(undone, Ok(()));
}

#[test]
fn a_deposit_frozen_across_a_whole_purge_leaves_nothing() {
    assert_eq!(deposit_frozen_across(|case| case.purge("c1", A)), Ok(()));
}

#[test]
fn no_look_after_the_insertion_is_caught() {
    catches(Broken::NoLookAfterInsertion, || deposit_frozen_across(marked));
}

#[test]
fn a_second_look_beside_the_insertion_is_caught() {
    catches(Broken::LookBesideInsertion, || deposit_frozen_across(marked));
}

/// The deposit was received before the mark and goes on after it: it must not be visible for a moment.
fn covered_deposit_is_never_visible() -> Outcome {
    at_every_step(|case, calls| {
        let mut depositing = case.depositing(case.id(), A);
        case.advance(&mut depositing, ADMITTED);
        case.forget("c1", A, HOUR);
        let ended = case.advance(&mut depositing, calls).is_some();
        expect(case.listed() == 0, "a covered message was visible")?;
        Ok(ended)
    })
}

#[test]
fn no_first_look_is_caught() {
    catches(Broken::NoFirstLook, covered_deposit_is_never_visible);
}

/// The deposit runs to its end while the forget is frozen after every possible call.
fn forget_frozen_across_a_deposit() -> Outcome {
    at_every_step(|case, calls| {
        let id = case.id();
        let mut depositing = case.depositing(id, A);
        case.advance(&mut depositing, ADMITTED);
        let mut forgetting = case.forgetting("c1", A, HOUR);
        let early = case.advance(&mut forgetting, calls);
        let ended = early.is_some();
        if case.finish(None, &mut depositing).is_ok() {
            case.promise_early(id);
        }
        case.finish(early, &mut forgetting);
        case.ledger.cases.insert("c1".into(), (A.into(), true));
        case.check_visible()?;
        case.rest()?;
        Ok(ended)
    })
}

#[test]
fn a_mark_after_the_list_is_caught() {
    catches(Broken::MarkAfterList, forget_frozen_across_a_deposit);
}

#[test]
fn a_list_beside_the_mark_is_caught() {
    catches(Broken::MarkBesideList, forget_frozen_across_a_deposit);
}

/// A depositor that flags late: the forget comes before any of its calls, the undo before any later one.
fn undo_against_a_late_flagger() -> Outcome {
    for before in ADMITTED..EVERY_STEP {
        if !deposits_after(before) {
            return Ok(());
        }
        at_every_step(|case, calls| {
            let mut depositing = case.depositing(case.id(), A);
            case.advance(&mut depositing, before);
            case.forget("c1", A, HOUR);
            let early = case.advance(&mut depositing, calls);
            let ended = early.is_some();
            case.expect_undo("c1")?;
            expect(case.finish(early, &mut depositing).is_ok(), "the deposit was refused")?;
            expect(case.listed() == 1, &format!("hidden although undone, forgotten after {before} calls"))?;
            Ok(ended)
        })?;
    }
    Ok(())
}

/// Whether a deposit has more calls to make after that many.
fn deposits_after(calls: usize) -> bool {
    let case = Case::new();
    case.advance(&mut case.depositing(case.id(), A), calls).is_none()
}

/// A second worker of the same forget is frozen anywhere while the run is undone, then goes on.
fn forget_worker_frozen_across_an_undo() -> Outcome {
    at_every_step(|case, calls| {
        case.deposit(A);
        case.forget("c1", A, HOUR);
        let mut again = case.forgetting("c1", A, HOUR);
        let early = case.advance(&mut again, calls);
        let ended = early.is_some();
        case.expect_undo("c1")?;
        case.finish(early, &mut again);
        // A request that was frozen before it found the run is a new request, with a run of its own.
        let second = Key::listed("gdpr/c1/forgetme.2").and_then(|key| case.tenant.document::<Run>(&key));
        expect(second.is_some() || case.listed() == 1, "the message is hidden although undone")?;
        Ok(ended)
    })
}

#[test]
fn no_look_after_flagging_is_caught() {
    catches(Broken::NoLookAfterFlagging, undo_against_a_late_flagger);
    catches(Broken::NoLookAfterFlagging, forget_worker_frozen_across_an_undo);
}

/// A forget is frozen anywhere while a sweeper looks, and dies a little later.
fn forget_dies_anywhere() -> Outcome {
    [3, 4, 6, 9].into_iter().try_for_each(forget_dies_later)
}

fn forget_dies_later(by: usize) -> Outcome {
    at_every_step(|case, calls| {
        case.deposit(A);
        let mut forgetting = case.forgetting("c1", A, 30);
        let ended = case.advance(&mut forgetting, calls).is_some();
        case.sweep_after(70);
        if !ended {
            case.advance(&mut forgetting, by);
        }
        drop(forgetting);
        case.rest()?;
        Ok(ended)
    })
}

#[test]
fn a_due_item_before_its_run_is_caught() {
    catches(Broken::DueBeforeRun, forget_dies_anywhere);
}

fn undo_after_the_window() -> Outcome {
    let mut case = Case::new();
    case.deposit(A);
    case.forget("c1", A, 60);
    case.pass_time(61);
    let late = case.undo("c1");
    expect(matches!(late, Err(GdprError::TooLateToUndo)), "an undo after its window was accepted")?;
    case.rest()
}

#[test]
fn a_late_undo_is_caught() {
    catches(Broken::LateUndo, undo_after_the_window);
}

#[test]
fn of_two_cases_over_one_caller_each_has_its_own_flags() {
    let mut case = Case::new();
    case.deposit(A);
    let other = case.deposit(B);
    case.forget("c1", A, HOUR);
    case.forget("c2", A, 2 * HOUR);
    assert_eq!(case.undo("c1"), Ok(RunState::Undone));
    assert_eq!(case.listed(), 1, "the second case hides it still");
    case.sweep_after(2 * HOUR + 60);
    assert_eq!(case.rest(), Ok(()));
    assert_eq!(case.expect_no_traces(A), Ok(()));
    assert!(case.tenant.index(BOX).visible(other).is_some());
}

#[test]
fn an_undo_brings_state_order_and_clocks_back() {
    let mut case = Case::new();
    let (first, second) = (case.deposit(A), case.deposit(A));
    let replica = case.replica.clone();
    case.run(async move {
        let change = MessageChange {
            state: Some(MessageState::Saved),
            urgent: Some(true),
            ..MessageChange::default()
        };
        replica.mailboxes.change(&mailbox(BOX), first, change, None).await.map(|_| ()).unwrap();
    });
    let before = case.tenant.index(BOX);
    case.forget("c1", A, 2 * HOUR);
    case.pass_time(HOUR);
    assert_eq!(case.undo("c1"), Ok(RunState::Undone));
    let after = case.tenant.index(BOX);
    for id in [first, second] {
        let (old, new) = (&before.entries[&id], &after.entries[&id]);
        assert_eq!((old.state, old.urgent, old.received), (new.state, new.urgent, new.received));
        let pause = new.expires.since(old.expires).as_secs();
        assert!((HOUR - 5..HOUR + 5).contains(&pause), "the clock stood still for {pause} s");
    }
}

#[test]
fn an_undo_of_a_request_whose_maker_died_may_die_anywhere_too() {
    let played = at_every_step(|case, calls| {
        case.deposit(A);
        let mut forgetting = case.forgetting("c1", A, 600);
        while case.tenant.run("c1").is_none() {
            assert!(case.advance(&mut forgetting, 1).is_none(), "it ends without a run");
        }
        drop(forgetting);
        let replica = case.tenant.replica(0);
        let mut undoing = async move { replica.gdpr.undo(body("c1", None, 0)).await.is_ok() }.boxed_local();
        let ended = case.advance(&mut undoing, calls).is_some();
        drop(undoing);
        case.rest()?;
        Ok(ended)
    });
    assert_eq!(played, Ok(()));
}

/// A sweeper that drops the mark of a run that is over sleeps anywhere, while the caller is forgotten again. What was left
/// before that and comes in later must find the new mark.
fn mark_dropped_across_a_newer_forget() -> Outcome {
    at_every_step(|case, calls| {
        case.deposit(A);
        case.forget("c1", A, HOUR);
        case.expect_undo("c1")?;
        for hours in [2, 24, 8 * 24] {
            case.sweep_after(hours * HOUR);
        }
        case.pass_time(60 * 24 * HOUR);
        let mut dropping = case.sweeping();
        let early = case.advance(&mut dropping, calls);
        let ended = early.is_some();
        let (late, left) = (case.id(), case.now());
        case.pass_time(5);
        case.forget("c2", A, 20 * 24 * HOUR);
        case.finish(early, &mut dropping);
        let replica = case.depositor();
        case.run(async move { replica.deposit_late(BOX, A, late, 1, Some(left)).await }).expect("deposited");
        expect(case.listed() == 0, "a message that the request covers is shown")?;
        Ok(ended)
    })
}

#[test]
fn a_mark_that_is_dropped_takes_no_newer_one_with_it() {
    catches(Broken::LostMarkForgotten, mark_dropped_across_a_newer_forget);
}
