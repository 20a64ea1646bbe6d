//! Deletions that die, meet, or are resumed.

use super::{A, BOX, Case, DAY, HOUR, Outcome, at_every_step, catches, expect};
use crate::tenant::mailbox;
use futures::FutureExt;
use futures::future::LocalBoxFuture;
use voicemail_engine::mailbox::{Only, Remover};
use voicemail_model::fault_injection::Broken;
use voicemail_model::{Entry, IndexOp, MessageId, PurgeItem};

/// A deletion dies after every possible call, and the roll-forward comes before its due item. The message
/// is a week old: its id is no longer remembered as gone, and its audio's hour is still walked.
fn deletion_dies_anywhere() -> Outcome {
    at_every_step(|case, calls| {
        let id = case.deposit(A);
        case.pass_time(7 * DAY + HOUR);
        let mut deleting = case.deleting(id);
        let ended = case.advance(&mut deleting, calls).is_some();
        drop(deleting);
        let was_listed = case.listed();
        case.sweep_after(10);
        case.rest()?;
        expect(case.listed() == was_listed, "a deleted message came back")?;
        Ok(ended)
    })
}

#[test]
fn an_entry_removed_before_its_audio_is_caught() {
    catches(Broken::EntryBeforeAudio, deletion_dies_anywhere);
}

#[test]
fn of_two_deletions_that_die_half_way_nothing_is_left() {
    let both_die = at_every_step(|case, calls| {
        let id = case.deposit(A);
        let mut first = case.deleting(id);
        let ended = case.advance(&mut first, calls).is_some();
        let mut second = case.deleting(id);
        case.advance(&mut second, 4);
        drop((first, second));
        case.rest()?;
        Ok(ended)
    });
    assert_eq!(both_die, Ok(()));
}

/// Deletes an entry as it was when it was read.
fn removing(case: &Case, id: MessageId, entry: &Entry, only: Only) -> LocalBoxFuture<'static, bool> {
    let (context, message) = (case.tenant.replica(0).context.clone(), PurgeItem::of_entry(id, entry));
    async move { Remover::new(&context).remove_if(&mailbox(BOX), &message, only).await.is_ok() }.boxed_local()
}

/// A retried deletion finds its entry being deleted, because its own reply was lost.
fn deletion_resumed_by_its_maker() -> Outcome {
    let mut case = Case::new();
    let id = case.deposit(A);
    case.ledger.deletions.insert(id);
    let entry = case.tenant.index(BOX).entries[&id].clone();
    let (caller, audio) = (entry.caller_hash.clone(), entry.audio.clone());
    let begin = IndexOp::BeginDelete { id, caller, audio, only_expired: false, only_visible: false };
    let replica = case.replica.clone();
    case.run(async move { replica.context.indexes().apply(&mailbox(BOX), begin).await.map(|_| ()).unwrap() });
    expect(case.run(removing(&case, id, &entry, Only::default())), "the deletion failed")?;
    case.expect_no_traces(A)?;
    case.rest()
}

#[test]
fn a_refusal_on_deleting_is_caught() {
    catches(Broken::RefuseDeleting, deletion_resumed_by_its_maker);
}

/// A retention that comes too early is refused, frozen anywhere while a real deletion begins and dies.
fn refused_deletion_beside_one_that_died() -> Outcome {
    at_every_step(|case, calls| {
        let id = case.deposit(A);
        case.ledger.deletions.insert(id);
        let entry = case.tenant.index(BOX).entries[&id].clone();
        let mut refused = removing(case, id, &entry, Only { expired: true, visible: true });
        let early = case.advance(&mut refused, calls);
        let ended = early.is_some();
        let mut real = removing(case, id, &entry, Only::default());
        case.advance(&mut real, 1);
        case.finish(early, &mut refused);
        case.advance(&mut real, 3);
        drop(real);
        case.rest()?;
        Ok(ended)
    })
}

#[test]
fn one_due_name_for_two_attempts_is_caught() {
    catches(Broken::SharedDueName, refused_deletion_beside_one_that_died);
}

/// The closing of a mailbox is frozen anywhere while sweepers look, goes on a little, and dies.
#[test]
fn a_closing_that_goes_on_late_and_dies_leaves_no_message_in_a_closed_mailbox() {
    for by in [1, 2, 3] {
        let died = at_every_step(|case, calls| {
            case.deposit(A);
            case.ledger.closings.insert(BOX.into());
            let replica = case.tenant.replica(0);
            let closing = async move { replica.directory.delete_mailbox(&mailbox(BOX)).await.is_ok() };
            let mut closing = closing.boxed_local();
            let ended = case.advance(&mut closing, calls).is_some();
            case.sweep_after(600);
            if !ended {
                case.advance(&mut closing, by);
            }
            drop(closing);
            case.rest()?;
            Ok(ended)
        });
        assert_eq!(died, Ok(()), "{by} calls later");
    }
}
