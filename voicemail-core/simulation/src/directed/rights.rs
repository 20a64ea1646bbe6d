//! Named messages, legal holds, approvals, a second region, and a restore, each dying or sleeping anywhere.

use super::{A, B, BOX, Case, HOUR, OTHER_BOX, Outcome, at_every_step, at_every_step_in, catches, expect};
use crate::tenant::{body, mailbox};
use futures::FutureExt;
use futures::future::LocalBoxFuture;
use voicemail_api::gdpr::{ApproveBody, CancelBody, GdprBody, HoldBody, MessageRef, RunState};
use voicemail_engine::mailbox::MailboxError;
use voicemail_engine::testing::officer;
use voicemail_model::fault_injection::Broken;
use voicemail_model::{AudioKey, MessageId};

const WITHHELD: &str = "anonymous";

fn naming(case: &str, id: MessageId, window: u64) -> GdprBody {
    let messages = vec![MessageRef { mailbox: BOX.into(), id: id.to_string() }];
    GdprBody { messages, ..body(case, None, window) }
}

fn deposit_withheld(case: &Case) -> MessageId {
    let (id, replica) = (case.id(), case.tenant.replica(0));
    case.run(async move { replica.deposit(BOX, WITHHELD, id, 1).await }).expect("deposited");
    id
}

fn forget_named(case: &Case, name: &'static str, id: MessageId, window: u64) -> RunState {
    let replica = case.tenant.replica(0);
    case.run(async move { replica.gdpr.forget(naming(name, id, window)).await.expect("accepted").run.state })
}

fn audio_of_withheld(case: &Case) -> Vec<String> {
    let withheld = |key: &String| AudioKey::parse(key).is_some_and(|(_, parts)| parts.caller.is_withheld());
    case.tenant.dump().into_keys().filter(withheld).collect()
}

/// Nothing is left of the message or its copy, wherever the purge dies.
fn purge_by_name_dies_anywhere() -> Outcome {
    at_every_step(|case, calls| {
        let id = deposit_withheld(case);
        let (replica, key) = (case.tenant.replica(0), case.replica.mailboxes.new_id());
        case.run(async move { replica.forward(BOX, id, OTHER_BOX, key).await }).expect("forwarded");
        let kept = case.deposit(B);
        assert_eq!(forget_named(case, "c1", id, 5), RunState::Marked);
        case.pass_time(6);
        let mut sweeping = case.sweeping();
        let ended = case.advance(&mut sweeping, calls).is_some();
        drop(sweeping);
        case.rest()?;
        expect(audio_of_withheld(case).is_empty(), "audio is left")?;
        expect(case.tenant.index(BOX).visible(kept).is_some(), "another message is gone")?;
        Ok(ended)
    })
}

#[test]
fn a_resumed_purge_that_believes_its_due_item_alone_is_caught() {
    catches(Broken::NarrowDueItem, purge_by_name_dies_anywhere);
}

/// A forward dies anywhere and is completed or not; then its original is forgotten by name.
fn forward_dies_before_a_forget_by_name() -> Outcome {
    at_every_step(|case, calls| {
        let id = deposit_withheld(case);
        let mut forward = forwarding(case, id);
        let ended = case.advance(&mut forward, calls).is_some();
        drop(forward);
        case.sweep_after(HOUR);
        forget_named(case, "c1", id, 0);
        case.sweep_after(1);
        case.rest()?;
        expect(audio_of_withheld(case).is_empty(), "a copy is left")?;
        Ok(ended)
    })
}

#[test]
fn a_forward_that_dies_before_a_forget_by_name_leaves_no_copy() {
    assert_eq!(forward_dies_before_a_forget_by_name(), Ok(()));
}

/// A copy of a copy, of which all that it comes from was deleted, goes when the first is named, wherever the purge dies.
fn purge_by_name_of_a_chain_whose_links_are_gone() -> Outcome {
    at_every_step(|case, calls| {
        let first = deposit_withheld(case);
        let mut name_of = (BOX, first);
        let mut gone = Vec::new();
        for to in [OTHER_BOX, BOX] {
            let (replica, key) = (case.tenant.replica(0), case.replica.mailboxes.new_id());
            let (from, id) = name_of;
            gone.push(name_of);
            let copied = case.run(async move { replica.forward(from, id, to, key).await });
            name_of = (to, copied.expect("forwarded"));
        }
        for (name, id) in gone {
            let replica = case.tenant.replica(0);
            case.run(async move { replica.mailboxes.trash(&mailbox(name), id).await }).expect("deleted");
        }
        assert_eq!(forget_named(case, "c1", first, 5), RunState::Marked);
        case.pass_time(6);
        let mut sweeping = case.sweeping();
        let ended = case.advance(&mut sweeping, calls).is_some();
        drop(sweeping);
        case.rest()?;
        expect(audio_of_withheld(case).is_empty(), "a copy of a copy is left")?;
        Ok(ended)
    })
}

#[test]
fn a_copy_that_forgets_its_origin_is_caught() {
    catches(Broken::CopyForgetsItsOrigin, purge_by_name_of_a_chain_whose_links_are_gone);
}

fn forwarding(case: &Case, id: MessageId) -> LocalBoxFuture<'static, Result<MessageId, MailboxError>> {
    let (replica, key) = (case.tenant.replica(0), case.replica.mailboxes.new_id());
    async move { replica.forward(BOX, id, OTHER_BOX, key).await }.boxed_local()
}

fn forward_frozen_across_a_whole_purge_by_name() -> Outcome {
    at_every_step(|case, calls| {
        let id = deposit_withheld(case);
        let mut forward = forwarding(case, id);
        let early = case.advance(&mut forward, calls);
        let ended = early.is_some();
        forget_named(case, "c1", id, 0);
        case.sweep_after(1);
        case.sweep_after(40);
        let _ = case.finish(early, &mut forward);
        expect(case.tenant.index(OTHER_BOX).listed() == 0, "a copy of an erased message is listed")?;
        case.rest()?;
        expect(audio_of_withheld(case).is_empty(), "audio is left")?;
        Ok(ended)
    })
}

#[test]
fn a_copy_without_a_look_at_the_marks_of_its_origins_is_caught() {
    catches(Broken::NoLookAtOrigins, forward_frozen_across_a_whole_purge_by_name);
}

#[test]
fn a_forward_frozen_across_an_undone_forget_by_name_is_listed() {
    let frozen = at_every_step(|case, calls| {
        let id = deposit_withheld(case);
        let mut forward = forwarding(case, id);
        let early = case.advance(&mut forward, calls);
        let ended = early.is_some();
        forget_named(case, "c1", id, HOUR);
        case.expect_undo("c1")?;
        let copied = case.finish(early, &mut forward).is_ok();
        case.rest()?;
        let copies = case.tenant.index(OTHER_BOX).listed();
        expect(case.listed() == 1 && copies == usize::from(copied), "not as before")?;
        Ok(ended)
    });
    assert_eq!(frozen, Ok(()));
}

fn holding(case: &Case, id: MessageId) -> LocalBoxFuture<'static, bool> {
    let (replica, reason) = (case.tenant.replica(0), HoldBody { reason: "claim".into() });
    async move { replica.gdpr.hold(&mailbox(BOX), id, &reason, "counsel").await.is_ok() }.boxed_local()
}

fn release(case: &mut Case, id: MessageId) -> LocalBoxFuture<'static, bool> {
    case.ledger.held.clear();
    let replica = case.tenant.replica(0);
    async move { replica.gdpr.release(&mailbox(BOX), id).await.is_ok() }.boxed_local()
}

/// A hold that comes anywhere in a purge keeps the message whole or is refused.
fn hold_against_a_purge() -> Outcome {
    at_every_step(|case, calls| {
        let id = case.deposit(A);
        case.deposit_to(OTHER_BOX, A);
        case.forget("c1", A, 5);
        case.pass_time(6);
        let mut sweeping = case.sweeping();
        let early = case.advance(&mut sweeping, calls);
        let ended = early.is_some();
        let hold = holding(case, id);
        if case.run(hold) {
            case.ledger.held.insert(id, BOX.into());
        }
        case.finish(early, &mut sweeping);
        for _ in 0..3 {
            case.sweep_after(40);
            case.check_visible()?;
        }
        let releasing = release(case, id);
        case.run(releasing);
        case.rest()?;
        case.expect_no_traces(A)?;
        Ok(ended)
    })
}

#[test]
fn a_round_that_ignores_a_hold_is_caught() {
    catches(Broken::HoldIgnored, hold_against_a_purge);
}

#[test]
fn the_end_of_a_hold_that_dies_anywhere_runs_the_erasure_again() {
    let died = at_every_step(|case, calls| {
        let id = case.deposit(A);
        let hold = holding(case, id);
        assert!(case.run(hold));
        case.purge("c1", A);
        expect(case.tenant.index(BOX).entries.contains_key(&id), "a held message went")?;
        let mut releasing = release(case, id);
        let ended = case.advance(&mut releasing, calls).is_some();
        drop(releasing);
        let again = release(case, id);
        case.run(again);
        case.rest()?;
        case.expect_no_traces(A)?;
        Ok(ended)
    });
    assert_eq!(died, Ok(()));
}

#[test]
fn an_approval_that_dies_anywhere_hides_all_or_nothing_and_can_be_repeated() {
    let died = at_every_step(|case, calls| {
        case.deposit(A);
        case.ledger.cases.insert("c1".into(), (A.into(), false));
        let replica = case.tenant.replica(0);
        let request = GdprBody { require_approval: true, ..body("c1", Some(A), 5) };
        let state = case.run(async move { replica.gdpr.forget(request).await.expect("accepted").run.state });
        assert_eq!(state, RunState::AwaitingApproval);
        case.sweep_after(120);
        expect(case.listed() == 1, "hidden without an approval")?;
        let replica = case.tenant.replica(0);
        let approve = move || {
            let replica = replica.clone();
            async move {
                replica
                    .gdpr
                    .approve(&"c1".parse().unwrap(), &ApproveBody::default(), &officer("ben"))
                    .await
                    .is_ok()
            }
        };
        let mut approving = approve().boxed_local();
        let ended = case.advance(&mut approving, calls).is_some();
        drop(approving);
        case.run(approve());
        case.rest()?;
        case.expect_no_traces(A)?;
        Ok(ended)
    });
    assert_eq!(died, Ok(()));
}

#[test]
fn of_an_approval_and_a_cancellation_exactly_one_stands() {
    let raced = at_every_step(|case, calls| {
        case.deposit(A);
        let replica = case.tenant.replica(0);
        let request = GdprBody { require_approval: true, ..body("c1", Some(A), HOUR) };
        case.run(async move { replica.gdpr.forget(request).await.expect("accepted") });
        let replica = case.tenant.replica(0);
        let mut approving = async move {
            replica
                .gdpr
                .approve(&"c1".parse().unwrap(), &ApproveBody::default(), &officer("ben"))
                .await
                .is_ok()
        }
        .boxed_local();
        let early = case.advance(&mut approving, calls);
        let ended = early.is_some();
        let replica = case.tenant.replica(0);
        let cancelled = case.run(async move {
            replica.gdpr.cancel(&"c1".parse().unwrap(), &CancelBody::default(), "ann").await.is_ok()
        });
        case.finish(early, &mut approving);
        let state = case.tenant.run("c1").map(|run| run.state);
        let stands = if cancelled { RunState::Cancelled } else { RunState::Marked };
        expect(state == Some(stands), &format!("cancelled: {cancelled}, and {state:?}"))?;
        expect(case.listed() == usize::from(cancelled), "the list doesn't show it")?;
        Ok(ended)
    });
    assert_eq!(raced, Ok(()));
}

/// Audio in both regions; the other region goes away after every possible call of the purge.
#[test]
fn a_region_that_goes_away_anywhere_in_a_purge_is_erased_when_it_comes_back() {
    let away = at_every_step_in("r", |case, calls| {
        case.deposit(A);
        let (id, replica) = (case.id(), case.tenant.replica_in("s", 0));
        case.run(async move { replica.deposit(OTHER_BOX, A, id, 1).await }).expect("deposited");
        case.forget("c1", A, 5);
        case.pass_time(6);
        let mut sweeping = case.sweeping();
        let early = case.advance(&mut sweeping, calls);
        let ended = early.is_some();
        case.tenant.set_outage(true);
        case.finish(early, &mut sweeping);
        case.sweep_after(60);
        case.check_visible()?;
        let here = case.traces(A).into_iter().filter(|key| key.contains("/1001/")).count();
        expect(here == 0, "what is in the master region waits for the other one")?;
        case.tenant.set_outage(false);
        case.rest()?;
        case.expect_no_traces(A)?;
        Ok(ended)
    });
    assert_eq!(away, Ok(()));
}

/// A replay that dies anywhere is repeated; the erased go, and nothing else does.
#[test]
fn a_replay_after_a_restore_that_dies_anywhere_can_be_repeated() {
    let mut lost = Case::new();
    lost.deposit(A);
    let backup = lost.tenant.snapshot();
    lost.purge("c1", A);
    let replica = lost.tenant.replica(0);
    let ledger = lost.run(async move { replica.gdpr.ledger(0).await.expect("a ledger") });
    let audio = lost.tenant.index(BOX);
    assert!(audio.entries.is_empty());
    let died = at_every_step(|case, calls| {
        case.tenant.restore(&backup);
        case.ledger.receipts.clone_from(&ledger.head.receipts);
        // Ids are drawn from the same dice.
        case.pass_time(60);
        let kept = case.deposit(B);
        let (replica, given) = (case.tenant.replica(0), ledger.clone());
        let mut replaying = async move { replica.gdpr.replay(&given).await.is_ok() }.boxed_local();
        let ended = case.advance(&mut replaying, calls).is_some();
        drop(replaying);
        let (replica, given) = (case.tenant.replica(0), ledger.clone());
        let replayed = case.run(async move { replica.gdpr.replay(&given).await });
        expect(replayed.is_ok_and(|replayed| replayed.head == ledger.head), "the replay was refused")?;
        case.rest()?;
        case.expect_no_traces(A)?;
        expect(case.tenant.index(BOX).visible(kept).is_some(), "another caller's message is gone")?;
        Ok(ended)
    });
    assert_eq!(died, Ok(()));
}
