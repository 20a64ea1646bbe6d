//! Greetings whose recording dies or freezes anywhere, meets another, or a mailbox that closes.

use super::{BOX, Case, DAY, HOUR, Outcome, at_every_step, expect};
use crate::tenant::{mailbox, recording};
use futures::FutureExt;
use futures::future::LocalBoxFuture;
use voicemail_engine::mailbox::MailboxError;
use voicemail_model::{GreetingPlace, MailboxGreeting, MailboxSettings, TenantGreeting, TenantGreetings};
use voicemail_store::Key;

type Recording = LocalBoxFuture<'static, Result<(), MailboxError>>;

fn place() -> GreetingPlace {
    GreetingPlace::Mailbox(mailbox(BOX), MailboxGreeting::Standard)
}

impl Case {
    fn recording(&self, place: GreetingPlace, audio: u8) -> Recording {
        let replica = self.tenant.replica(0);
        async move { replica.directory.put_greeting(&place, recording(audio)).await.map(drop) }.boxed_local()
    }

    fn record(&self, place: GreetingPlace, audio: u8) {
        let recording = self.recording(place, audio);
        self.run(recording).expect("recorded");
    }

    fn removing(&self, place: GreetingPlace) -> Recording {
        let replica = self.tenant.replica(0);
        async move { replica.directory.remove_greeting(&place).await }.boxed_local()
    }

    /// Which recording callers hear, by its digest's last digit.
    fn heard(&self, place: &GreetingPlace) -> Option<char> {
        let named = match place {
            GreetingPlace::Mailbox(mailbox, kind) => {
                let settings: MailboxSettings = self.tenant.document(&Key::settings(mailbox))?;
                settings.greetings.get(*kind).cloned()
            }
            GreetingPlace::Tenant(kind) => {
                let greetings: TenantGreetings = self.tenant.document(&Key::tenant_greetings())?;
                greetings.get(*kind).cloned()
            }
        }?;
        assert!(self.audio().contains(&named.audio.as_str().to_owned()), "what is in force is there");
        named.digest.0.chars().last()
    }

    fn audio(&self) -> Vec<String> {
        self.tenant.ground.dump().into_keys().filter(|key| key.starts_with("greeting/")).collect()
    }

    /// Days of sweeping, during which what is in force stays.
    fn rest_with_greetings(&self, places: &[GreetingPlace]) -> Outcome {
        self.rest()?;
        let in_force = places.iter().filter(|place| self.heard(place).is_some()).count();
        expect(self.audio().len() == in_force, &format!("orphans: {:?}", self.audio()))
    }
}

#[test]
fn a_replacement_that_dies_anywhere_leaves_the_old_greeting_or_the_new_and_nothing_else() {
    for place in [place(), GreetingPlace::Tenant(TenantGreeting::Disclaimer)] {
        let dies = at_every_step(|case, calls| {
            case.record(place.clone(), 1);
            case.pass_time(DAY);
            let mut recording = case.recording(place.clone(), 2);
            let ended = case.advance(&mut recording, calls).is_some();
            drop(recording);
            let heard = case.heard(&place);
            expect(
                heard == Some('2') || (heard == Some('1') && !ended),
                "neither the old nor the new is heard",
            )?;
            case.rest_with_greetings(std::slice::from_ref(&place))?;
            expect(case.heard(&place) == heard, "sweeping changed what is heard")?;
            Ok(ended)
        });
        assert_eq!(dies, Ok(()), "{place:?}");
    }
}

#[test]
fn a_first_recording_that_dies_anywhere_is_in_force_or_leaves_nothing() {
    let dies = at_every_step(|case, calls| {
        let mut recording = case.recording(place(), 1);
        let ended = case.advance(&mut recording, calls).is_some();
        drop(recording);
        case.rest_with_greetings(&[place()])?;
        expect(!ended || case.heard(&place()) == Some('1'), "an acknowledged greeting is lost")?;
        Ok(ended)
    });
    assert_eq!(dies, Ok(()));
}

#[test]
fn a_removal_that_dies_anywhere_removes_it_wholly_or_not() {
    let dies = at_every_step(|case, calls| {
        case.record(place(), 1);
        let mut removing = case.removing(place());
        let ended = case.advance(&mut removing, calls).is_some();
        drop(removing);
        case.rest_with_greetings(&[place()])?;
        expect(!ended || case.heard(&place()).is_none(), "a removed greeting is heard")?;
        Ok(ended)
    });
    assert_eq!(dies, Ok(()));
}

/// Frozen for hours: due items have long looked at both by then.
#[test]
fn a_replacement_that_freezes_anywhere_loses_neither_greeting_while_it_is_needed() {
    let freezes = at_every_step(|case, calls| {
        case.record(place(), 1);
        case.pass_time(DAY);
        let mut recording = case.recording(place(), 2);
        let early = case.advance(&mut recording, calls);
        let ended = early.is_some();
        case.sweep_after(5 * HOUR);
        let answer = case.finish(early, &mut recording);
        let heard = case.heard(&place());
        expect(heard == Some(if answer.is_ok() { '2' } else { '1' }), "what was answered isn't heard")?;
        case.rest_with_greetings(&[place()])?;
        Ok(ended)
    });
    assert_eq!(freezes, Ok(()));
}

#[test]
fn of_two_recordings_at_once_one_is_heard_and_the_other_goes() {
    let both = at_every_step(|case, calls| {
        let mut first = case.recording(place(), 1);
        let early = case.advance(&mut first, calls);
        let ended = early.is_some();
        case.record(place(), 2);
        expect(case.finish(early, &mut first).is_ok(), "the first was refused")?;
        case.rest_with_greetings(&[place()])?;
        expect(case.heard(&place()).is_some(), "neither is heard")?;
        Ok(ended)
    });
    assert_eq!(both, Ok(()));
}

#[test]
fn a_mailbox_that_closes_during_a_recording_keeps_no_greeting() {
    for dies in [false, true] {
        let closes = at_every_step(|case, calls| {
            case.record(place(), 1);
            let mut recording = case.recording(place(), 2);
            let early = case.advance(&mut recording, calls);
            let ended = early.is_some();
            case.close();
            if dies {
                drop(recording);
            } else {
                let late = case.finish(early, &mut recording);
                expect(ended || late.is_err(), "a closed mailbox was given a greeting")?;
            }
            case.rest()?;
            expect(case.audio().is_empty(), "a closed mailbox has a greeting")?;
            Ok(ended)
        });
        assert_eq!(closes, Ok(()));
    }
}
