//! Acts of a mailbox's people, and of its provisioner, that were under way when it was closed and made again.

use super::{BOX, Case, Outcome, at_every_step, expect};
use crate::tenant::mailbox;
use futures::FutureExt;
use voicemail_engine::mailbox::{MailboxError, Precondition};
use voicemail_model::{Preferences, User, UserId};

/// Calls after which an operation has read which mailbox there is.
const LOOKED: usize = 1;

fn make_again(case: &Case) {
    let replica = case.tenant.replica(0);
    case.run(async move {
        replica.directory.delete_mailbox(&mailbox(BOX)).await.unwrap();
        replica.directory.put_mailbox(&mailbox(BOX), None, None).await.unwrap();
    });
}

fn language(case: &Case) -> Option<String> {
    let replica = case.tenant.replica(0);
    case.run(async move { replica.directory.preferences(&mailbox(BOX)).await.unwrap().language })
}

#[test]
fn a_preference_that_sleeps_across_a_closing_is_not_the_next_mailboxes() {
    let slept = at_every_step(|case, calls| {
        let replica = case.tenant.replica(0);
        let welsh = Preferences { language: Some("cy-GB".into()), ..Preferences::default() };
        let mut setting = async move {
            replica.directory.set_preferences(&mailbox(BOX), welsh, &Precondition::Always).await
        }
        .boxed_local();
        let early = case.advance(&mut setting, calls);
        let ended = early.is_some();
        make_again(case);
        let answer = case.finish(early, &mut setting);
        if calls >= LOOKED {
            expect(language(case).is_none(), "the next mailbox has it")?;
            expect(ended || answer == Err(MailboxError::UnknownMailbox), "it was said to be set")?;
        }
        Ok(ended)
    });
    assert_eq!(slept, Ok(()));
}

#[test]
fn a_closing_that_sleeps_closes_no_mailbox_that_was_made_since() {
    let slept = at_every_step(|case, calls| {
        let replica = case.tenant.replica(0);
        let mut closing = async move { replica.directory.delete_mailbox(&mailbox(BOX)).await }.boxed_local();
        let early = case.advance(&mut closing, calls);
        let ended = early.is_some();
        let replica = case.tenant.replica(0);
        case.run(async move {
            // It may be closed already.
            let _ = replica.directory.delete_mailbox(&mailbox(BOX)).await;
            replica.directory.put_mailbox(&mailbox(BOX), None, None).await.unwrap();
        });
        let _ = case.finish(early, &mut closing);
        let index = case.tenant.index(BOX);
        expect(calls < LOOKED || (!index.closed && index.generation == 2), "the next mailbox was closed")?;
        Ok(ended)
    });
    assert_eq!(slept, Ok(()));
}

/// A user who is put into a mailbox that is closed meanwhile isn't in the next mailbox of that name.
fn user_put_across_a_closing() -> Outcome {
    at_every_step(|case, calls| {
        let (replica, ann): (_, UserId) = (case.tenant.replica(0), "ann".parse().unwrap());
        let (user, name) = (User { mailboxes: vec![mailbox(BOX)], ..User::default() }, ann.clone());
        let mut putting = async move { replica.directory.put_user(&name, user).await }.boxed_local();
        let early = case.advance(&mut putting, calls);
        let ended = early.is_some();
        make_again(case);
        let _ = case.finish(early, &mut putting);
        let replica = case.tenant.replica(0);
        let rights = case.run(async move { replica.directory.rights(&ann, &mailbox(BOX)).await.unwrap() });
        expect(calls < LOOKED || rights.is_none(), "they are in a mailbox that they weren't put into")?;
        Ok(ended)
    })
}

#[test]
fn a_user_who_is_put_into_a_mailbox_is_in_no_later_one() {
    assert_eq!(user_put_across_a_closing(), Ok(()));
}

/// Dies anywhere, and is done again.
#[test]
fn a_mailbox_whose_maker_died_anywhere_is_made_once() {
    let died = at_every_step(|case, calls| {
        let replica = case.tenant.replica(0);
        case.run(async move { replica.directory.delete_mailbox(&mailbox(BOX)).await.unwrap() });
        let replica = case.tenant.replica(0);
        let mut making =
            async move { replica.directory.put_mailbox(&mailbox(BOX), None, None).await.is_ok() }
                .boxed_local();
        let ended = case.advance(&mut making, calls).is_some();
        drop(making);
        let replica = case.tenant.replica(0);
        case.run(async move { replica.directory.put_mailbox(&mailbox(BOX), None, None).await.unwrap() });
        let index = case.tenant.index(BOX);
        expect(!index.closed && index.generation == 2, &format!("generation {}", index.generation))?;
        Ok(ended)
    });
    assert_eq!(died, Ok(()));
}
