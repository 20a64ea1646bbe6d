//! Deposits whose every call has a second try beside the first, of which each in turn loses its reply, is held up or is
//! never made.

use super::{A, BOX, Case, EVERY_STEP, Outcome, catches, expect};
use crate::scheduler::{Fate, complete_by};
use voicemail_model::fault_injection::Broken;

/// The `nth` call of a deposit meets the fate; the client repeats the deposit until it is answered.
fn deposit_under(fate: Fate, nth: usize) -> Result<bool, String> {
    let mut case = Case::new();
    case.tenant.hedge(100);
    let id = case.id();
    let meets = |number: usize| if number == nth { fate } else { Fate::Apply };
    let (made, answer) = complete_by(&case.tenant.world, case.depositing(id, A), meets);
    if answer.is_err() {
        let again = case.run(case.depositing(id, A));
        expect(again.is_ok(), &format!("a repetition failed: {again:?}"))?;
    }
    case.promise(id, BOX, A);
    expect(case.listed() == 1, "an acknowledged message isn't listed once")?;
    case.tenant.hedge(0);
    case.rest()?;
    expect(case.listed() == 1, "a message came or went")?;
    Ok(nth >= made)
}

fn every_call_meets_every_fate() -> Outcome {
    for fate in [Fate::LoseReply { as_conflict: false }, Fate::HoldUp, Fate::Drop] {
        let mut ended = false;
        for nth in 0..EVERY_STEP {
            ended =
                deposit_under(fate, nth).map_err(|violation| format!("call {nth}, {fate:?}: {violation}"))?;
            if ended {
                break;
            }
        }
        expect(ended, "a deposit makes more calls than any operation")?;
    }
    Ok(())
}

#[test]
fn a_deposit_of_second_tries_is_stored_once_whatever_its_calls_meet() {
    assert_eq!(every_call_meets_every_fate(), Ok(()));
}

#[test]
fn an_own_write_that_counts_as_anothers_is_caught() {
    catches(Broken::OwnWriteTakenForAnothers, every_call_meets_every_fate);
}

#[test]
fn two_tries_to_store_a_recording_under_one_name_are_caught() {
    catches(Broken::AttemptsShareAName, every_call_meets_every_fate);
}
