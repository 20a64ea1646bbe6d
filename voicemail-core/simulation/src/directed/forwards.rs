//! Forwards that die anywhere, or sleep while the caller's messages are forgotten.

use super::{A, BOX, Case, EVERY_STEP, HOUR, OTHER_BOX, Outcome, at_every_step, catches, expect};
use futures::FutureExt;
use futures::future::LocalBoxFuture;
use voicemail_engine::mailbox::MailboxError;
use voicemail_model::MessageId;
use voicemail_model::fault_injection::Broken;

fn forwarding(case: &Case, id: MessageId) -> LocalBoxFuture<'static, Result<MessageId, MailboxError>> {
    let (replica, key) = (case.tenant.replica(0), case.replica.mailboxes.new_id());
    async move { replica.forward(BOX, id, OTHER_BOX, key).await }.boxed_local()
}

fn copies(case: &Case) -> usize {
    case.tenant.index(OTHER_BOX).listed()
}

#[test]
fn a_forward_that_dies_anywhere_leaves_a_whole_copy_or_none() {
    let died = at_every_step(|case, calls| {
        let id = case.deposit(A);
        let mut forward = forwarding(case, id);
        let ended = case.advance(&mut forward, calls).is_some();
        drop(forward);
        case.rest()?;
        expect(case.listed() == 1, "the original is lost")?;
        expect(!ended || copies(case) == 1, "an acknowledged copy is lost")?;
        Ok(ended)
    });
    assert_eq!(died, Ok(()));
}

/// The key of one request makes one copy, whether its replies are lost or not, and one line of history.
#[test]
fn a_forward_that_is_repeated_makes_no_second_copy() {
    let repeated = at_every_step(|case, calls| {
        let id = case.deposit(A);
        let key = case.replica.mailboxes.new_id();
        let replica = case.tenant.replica(0);
        let mut first = async move { replica.forward(BOX, id, OTHER_BOX, key).await }.boxed_local();
        let ended = case.advance(&mut first, calls).is_some();
        drop(first);
        let replica = case.tenant.replica(0);
        let copy =
            case.run(async move { replica.forward(BOX, id, OTHER_BOX, key).await }).expect("forwarded");
        expect(copies(case) == 1, "a second copy was made")?;
        let history = case.tenant.index(BOX).entries[&id].forwarded_to.clone();
        expect(history.len() == 1 && history[0].id == copy, &format!("the history is {history:?}"))?;
        let origin = case.tenant.index(OTHER_BOX).entries[&copy].forwarded_from.clone();
        expect(origin.is_some_and(|origin| origin.id == id), "the copy doesn't know its origin")?;
        case.rest()?;
        Ok(ended)
    });
    assert_eq!(repeated, Ok(()));
}

fn forward_frozen_across_a_purge() -> Outcome {
    at_every_step(|case, calls| {
        let id = case.deposit(A);
        let mut forward = forwarding(case, id);
        let early = case.advance(&mut forward, calls);
        let ended = early.is_some();
        case.purge("c1", A);
        let _ = case.finish(early, &mut forward);
        case.check_visible()?;
        case.rest()?;
        case.expect_no_traces(A)?;
        Ok(ended)
    })
}

#[test]
fn a_forward_frozen_across_a_whole_purge_leaves_no_trace() {
    assert_eq!(forward_frozen_across_a_purge(), Ok(()));
}

#[test]
fn a_missing_look_after_a_forwards_insertion_is_caught() {
    catches(Broken::NoLookAfterInsertion, forward_frozen_before_a_mark);
}

fn forward_frozen_before_a_mark() -> Outcome {
    at_every_step(|case, calls| {
        let id = case.deposit(A);
        let mut forward = forwarding(case, id);
        let early = case.advance(&mut forward, calls);
        let ended = early.is_some();
        case.forget("c1", A, HOUR);
        let _ = case.finish(early, &mut forward);
        expect(copies(case) == 0, "a copy is visible although its caller is forgotten")?;
        case.expect_undo("c1")?;
        expect(case.listed() == 1, "the original isn't back")?;
        case.rest()?;
        Ok(ended)
    })
}

/// A copy that was inserted hidden, by a forward that died before its second look, after its run was undone.
#[test]
fn a_copy_that_was_hidden_for_an_undone_run_is_shown_again() {
    let mut hidden = 0;
    for before in 0..EVERY_STEP {
        let mut ended = false;
        for (meanwhile, after) in (0..6).flat_map(|meanwhile| (0..4).map(move |after| (meanwhile, after))) {
            let mut case = Case::new();
            let id = case.deposit(A);
            let mut forward = forwarding(&case, id);
            ended |= case.advance(&mut forward, before).is_some();
            if ended {
                break;
            }
            case.forget("c1", A, HOUR);
            let done = case.advance(&mut forward, meanwhile).is_some();
            assert_eq!(case.expect_undo("c1"), Ok(()));
            if !done {
                case.advance(&mut forward, after);
            }
            drop(forward);
            let copy = case.tenant.index(OTHER_BOX);
            if copy.entries.values().all(|entry| entry.forget.is_empty()) {
                continue;
            }
            hidden += 1;
            assert_eq!(case.rest(), Ok(()));
            let copy = case.tenant.index(OTHER_BOX);
            let flagged = copy.entries.values().filter(|entry| !entry.forget.is_empty()).count();
            assert_eq!(flagged, 0, "flagged for ever after {before}, {meanwhile} and {after} calls");
        }
        if ended {
            break;
        }
    }
    assert!(hidden > 0, "the schedule that this is about was played");
}
