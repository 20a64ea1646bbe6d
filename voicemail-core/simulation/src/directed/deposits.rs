//! Deposits that die or freeze, ids that are used twice, mailboxes that close meanwhile.

use super::{A, B, BOX, Case, DAY, Depositing, HOUR, Outcome, at_every_step, catches, expect};
use crate::tenant::mailbox;
use futures::FutureExt;
use futures::future::LocalBoxFuture;
use voicemail_engine::mailbox::MailboxError;
use voicemail_model::MessageId;
use voicemail_model::fault_injection::Broken;

#[test]
fn a_deposit_that_dies_anywhere_is_completed_or_leaves_nothing() {
    let dies = at_every_step(|case, calls| {
        let mut depositing = case.depositing(case.id(), A);
        let ended = case.advance(&mut depositing, calls).is_some();
        drop(depositing);
        case.rest()?;
        expect(!ended || case.listed() == 1, "an acknowledged message is lost")?;
        Ok(ended)
    });
    assert_eq!(dies, Ok(()));
}

fn retry_after_a_delete() -> Outcome {
    let mut case = Case::new();
    let id = case.deposit(A);
    let deleting = case.deleting(id);
    expect(case.run(deleting), "the deletion was refused")?;
    let again = case.run(case.depositing(id, A));
    expect(matches!(again, Err(MailboxError::Gone)), "a deleted message was accepted again")?;
    expect(case.listed() == 0, "a deleted message came back")?;
    case.rest()
}

#[test]
fn an_insertion_without_the_presence_check_is_caught() {
    catches(Broken::NoPresenceCheck, retry_after_a_delete);
}

/// One key with two callers, the second of them erased: the first one's message stays.
fn one_key_with_two_callers() -> Outcome {
    at_every_step(|case, calls| {
        let id = case.deposit(A);
        let second = case.run(case.depositing(id, B));
        expect(matches!(second, Err(MailboxError::IdReused)), "the second caller was accepted")?;
        let mut third = case.depositing(id, B);
        let ended = case.advance(&mut third, calls).is_some();
        drop(third);
        case.purge("c1", B);
        case.rest()?;
        expect(case.tenant.index(BOX).visible(id).is_some(), "the first caller's message is gone")?;
        case.expect_no_traces(B)?;
        Ok(ended)
    })
}

#[test]
fn an_id_used_by_two_callers_stays_with_the_first() {
    assert_eq!(one_key_with_two_callers(), Ok(()));
}

/// The second caller is purged while their retry of the first one's id is frozen.
fn purge_covers_a_reused_id() -> Outcome {
    at_every_step(|case, calls| {
        let id = case.deposit(A);
        let mut depositing = case.depositing(id, B);
        let early = case.advance(&mut depositing, calls);
        let ended = early.is_some();
        case.purge("c1", B);
        let late = case.finish(early, &mut depositing);
        expect(late.is_err(), "a reused id was accepted")?;
        case.rest()?;
        Ok(ended)
    })
}

#[test]
fn a_deletion_of_any_entry_of_the_id_is_caught() {
    catches(Broken::DeleteAnyEntry, purge_covers_a_reused_id);
}

fn mailbox_closed_during_a_deposit() -> Outcome {
    at_every_step(|case, calls| {
        let mut depositing = case.depositing(case.id(), A);
        let early = case.advance(&mut depositing, calls);
        let ended = early.is_some();
        case.close();
        // Acknowledged before the closing or refused after it: the closing deletes it either way.
        let _ = case.finish(early, &mut depositing);
        case.rest()?;
        case.expect_no_traces(A)?;
        Ok(ended)
    })
}

#[test]
fn a_mailbox_closed_during_a_deposit_leaves_nothing() {
    assert_eq!(mailbox_closed_during_a_deposit(), Ok(()));
}

/// A deposit is refused by a closed mailbox and dies anywhere while it cleans up.
fn refused_deposit_dies() -> Outcome {
    at_every_step(|case, calls| {
        let mut depositing = case.depositing(case.id(), A);
        case.advance_until(&mut depositing, A, "ca/");
        case.close();
        let ended = case.advance(&mut depositing, calls).is_some();
        drop(depositing);
        case.rest()?;
        Ok(ended)
    })
}

#[test]
fn audio_before_envelope_on_refusal_is_caught() {
    catches(Broken::AudioBeforeEnvelope, refused_deposit_dies);
}

/// A retry into a closed mailbox of a message that is there still, because its run isn't decided.
fn retry_into_a_closed_mailbox() -> Outcome {
    let mut case = Case::new();
    let id = case.deposit(A);
    case.forget("c1", A, 2 * HOUR);
    case.close();
    let again = case.run(case.depositing(id, A));
    expect(again.is_ok(), "a retry of a message that is there was refused")?;
    case.expect_undo("c1")?;
    case.rest()
}

#[test]
fn closed_before_present_is_caught() {
    catches(Broken::ClosedBeforePresent, retry_into_a_closed_mailbox);
}

#[test]
fn a_mailbox_opened_again_refuses_a_deposit_to_the_old_one() {
    let mut case = Case::new();
    let mut depositing = case.depositing(case.id(), A);
    case.advance_until(&mut depositing, A, "ca/");
    case.close();
    let replica = case.replica.clone();
    case.run(async move { replica.directory.put_mailbox(&mailbox(BOX), None, None).await.unwrap() });
    let late = case.finish(None, &mut depositing);
    assert!(matches!(late, Err(MailboxError::Gone)), "{late:?}");
    assert_eq!((case.listed(), case.rest()), (0, Ok(())));
}

/// Frozen for two hours between the check of its own time limit and its envelope.
fn frozen_before_its_envelope() -> Outcome {
    let mut case = Case::new();
    let id = case.id();
    let mut depositing = case.depositing(id, A);
    case.advance_until(&mut depositing, A, "au/");
    // Without leave for a call it passes its own check and stands before the envelope.
    case.advance(&mut depositing, 0);
    case.sweep_after(2 * HOUR);
    if case.finish(None, &mut depositing).is_ok() {
        case.promise(id, BOX, A);
    }
    case.rest()
}

#[test]
fn an_orphan_grace_of_an_hour_is_caught() {
    catches(Broken::ShortGrace, frozen_before_its_envelope);
}

#[test]
fn an_upload_that_takes_longer_than_an_attempt_may_leaves_nothing() {
    let case = Case::new();
    let mut depositing = case.depositing(case.id(), A);
    // Admitted, then silent for longer than an attempt's life before its audio ends.
    case.advance(&mut depositing, 2);
    case.pass_time(HOUR);
    let late = case.finish(None, &mut depositing);
    assert!(matches!(late, Err(MailboxError::TooSlow)), "{late:?}");
    assert_eq!(case.traces(A), Vec::<String>::new());
}

type DepositingByKey = LocalBoxFuture<'static, Result<MessageId, MailboxError>>;

fn by_key(case: &Case, caller: &'static str) -> DepositingByKey {
    let replica = case.depositor();
    async move { replica.deposit_by_key(caller, "call 7").await }.boxed_local()
}

/// A deposit by a key dies or freezes anywhere, while it is repeated by another replica.
fn one_key_of_any_form() -> Outcome {
    let play = |frozen: bool| {
        at_every_step(move |case, calls| {
            let mut first = by_key(case, A);
            let early = case.advance(&mut first, calls);
            let ended = early.is_some();
            let second =
                case.run(by_key(case, A)).map_err(|error| format!("a repetition failed: {error}"))?;
            if frozen {
                let first =
                    case.finish(early, &mut first).map_err(|error| format!("the first failed: {error}"))?;
                expect(first == second, "one key has two ids")?;
            }
            drop(first);
            case.promise(second, BOX, A);
            expect(case.listed() == 1, "one key made two messages, or none")?;
            case.rest()?;
            expect(case.listed() == 1, "a message came or went")?;
            let left = case.tenant.dump().into_keys().find(|key| key.starts_with("deposit/"));
            expect(left.is_none(), "a key is remembered for ever")?;
            Ok(ended)
        })
    };
    play(false).and_then(|()| play(true))
}

#[test]
fn a_key_of_any_form_makes_one_message_whoever_dies_or_freezes() {
    assert_eq!(one_key_of_any_form(), Ok(()));
}

#[test]
fn an_id_of_ones_own_after_a_lost_race_is_caught() {
    catches(Broken::OwnIdAfterRace, one_key_of_any_form);
}

#[test]
fn a_key_that_names_another_callers_message_is_refused() {
    let mut case = Case::new();
    let id = case.run(by_key(&case, A)).unwrap();
    case.promise(id, BOX, A);
    let other = case.run(by_key(&case, B));
    assert!(matches!(other, Err(MailboxError::IdReused)), "{other:?}");
    assert_eq!(case.rest(), Ok(()));
}

/// A message that was left before a request to forget its caller, and is deposited while that comes or afterwards.
fn deposited_late(purged: bool) -> Outcome {
    at_every_step(|case, calls| {
        let (id, left, replica) = (case.id(), case.now(), case.depositor());
        case.pass_time(HOUR);
        let mut depositing =
            async move { replica.deposit_late(BOX, A, id, 1, Some(left)).await }.boxed_local();
        let early = case.advance(&mut depositing, calls);
        let ended = early.is_some();
        if purged {
            case.purge("c1", A);
        } else {
            case.forget("c1", A, 20 * DAY);
        }
        let late = case.finish(early, &mut depositing);
        expect(case.listed() == 0, "a message of a forgotten caller is listed")?;
        expect(!purged || ended || late.is_err(), "a message of an erased caller was accepted")?;
        if !purged {
            case.expect_undo("c1")?;
            expect(late.is_err() || case.listed() == 1, "an undo doesn't bring the message back")?;
            return Ok(ended);
        }
        case.rest()?;
        case.expect_no_traces(A)?;
        Ok(ended)
    })
}

#[test]
fn a_message_that_is_deposited_late_is_covered_on_arrival() {
    assert_eq!(deposited_late(false), Ok(()));
    assert_eq!(deposited_late(true), Ok(()));
}

/// A deposit by a replica whose class has room for one message.
fn depositing_one(case: &Case, id: MessageId, caller: &'static str) -> Depositing {
    let replica = case.depositor();
    let mut config = replica.context.config().as_ref().clone();
    config.classes_of_service[0].max_messages = 1;
    replica.context.reload(config);
    async move { replica.deposit(BOX, caller, id, 1).await }.boxed_local()
}

/// A deposit is frozen after every possible call while another one fills the mailbox.
fn deposit_frozen_while_the_mailbox_fills() -> Outcome {
    at_every_step(|case, calls| {
        let (id, other) = (case.id(), case.id());
        let mut depositing = depositing_one(case, id, A);
        let early = case.advance(&mut depositing, calls);
        let ended = early.is_some();
        let second = case.run(depositing_one(case, other, B));
        let first = case.finish(early, &mut depositing);
        for (id, caller, answer) in [(id, A, &first), (other, B, &second)] {
            match answer {
                Ok(()) => case.promise(id, BOX, caller),
                Err(error) => {
                    expect(*error == MailboxError::Full { limit: 1 }, &format!("refused: {error}"))?
                }
            }
        }
        expect(first.is_ok() != second.is_ok(), "not one of the two was taken")?;
        expect(case.listed() == 1, "the mailbox holds more than it may")?;
        case.rest()?;
        expect(case.listed() == 1, "what was refused came back")?;
        Ok(ended)
    })
}

#[test]
fn a_quota_that_is_asked_at_admission_alone_is_caught() {
    catches(Broken::NoQuotaAtInsertion, deposit_frozen_while_the_mailbox_fills);
}

/// Two attempts of one deposit: the first finds no room and cleans up, the second goes on when there is some.
fn attempts_of_which_one_found_no_room() -> Outcome {
    for calls_of_second in [4, 8, 12, 16, 20] {
        at_every_step(|case, calls| {
            let (id, other) = (case.id(), case.id());
            let (mut first, mut second) = (depositing_one(case, id, A), depositing_one(case, id, A));
            let mut of_first = case.advance(&mut first, calls);
            let ended = of_first.is_some();
            let of_second = case.advance(&mut second, calls_of_second);
            if of_first.is_some() || of_second.is_some() {
                return Ok(ended);
            }
            let filled = case.run(depositing_one(case, other, B)).is_ok();
            of_first = Some(case.finish(of_first, &mut first));
            if filled {
                let mut deleting = case.deleting(other);
                case.finish(None, &mut deleting);
            }
            let of_second = case.finish(of_second, &mut second);
            if of_first.is_some_and(|answer| answer.is_ok()) || of_second.is_ok() {
                case.promise(id, BOX, A);
            }
            case.rest()?;
            Ok(ended)
        })?;
    }
    Ok(())
}

#[test]
fn an_attempt_that_found_no_room_and_is_taken_later_is_caught() {
    catches(Broken::RefusedAttemptForgotten, attempts_of_which_one_found_no_room);
}
