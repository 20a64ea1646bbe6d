//! Decisions about a run: whether a second person must approve it, approval, denial, extension, cancellation.
//!
//! Each is decided on the run's document alone, so that of two decisions at once exactly one stands. Repeating
//! one that stands changes nothing and is no error.
//!
//! An approval counts only where it is known that two people stand behind a run: who asked is known, and both names come
//! from one authority, or the tenant's list of people says that they are two. One person has one name at the cluster's API
//! server and another one at each issuer of tokens, so names of two authorities differ whether or not the people do.

use super::{Denial, Extension, Handling, Run};
use crate::Time;
use voicemail_api::gdpr::{Operation, RunState};

/// Why a decision can't be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecisionError {
    /// It is past that.
    #[error("the run has been marked or has ended: only an undo takes it back, within its window")]
    TooLate,
    /// Nobody waits for an approval.
    #[error("the run doesn't wait for an approval")]
    NotAwaited,
    /// Four eyes.
    #[error("who asked for it can't approve it: a second person must")]
    SamePerson,
    /// Nobody knows who the first person was.
    #[error(
        "nobody knows who asked for it, so nobody is known to be a second person: cancel or deny it, and make the request \
         again under another name, with requestedBy"
    )]
    RequesterUnknown,
    /// Asked for by an object, and approved by a token.
    #[error(
        "it was asked for by a GdprRequest, and a token's name can't be compared with the name that the cluster knows: \
         approve it in that object, in spec.approval"
    )]
    AskedByObject,
    /// Asked for by a token, and approved by an object.
    #[error(
        "it was asked for by a token, and the name that the cluster knows can't be compared with a token's: approve it \
         through the API, with a token"
    )]
    AskedByToken,
    /// Asked for and approved by tokens of two issuers, or by a token and a password.
    #[error(
        "it was asked for by an identity of another issuer, which may be the same person's: approve it by an identity of that \
         issuer, or map both identities to their people in auth.people"
    )]
    AskedElsewhere,
    /// The first deadline is over.
    #[error("a deadline can be extended only before its first month is over")]
    DeadlinePassed,
    /// It was extended by more.
    #[error("the deadline was extended by that much or more already")]
    AlreadyExtended,
}

/// Months of Art. 12(3).
const MONTHS: u32 = 1;

/// The authority that vouches for the names of people who ask and decide.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Door {
    /// The API server of a cluster, whose operator passes on what an object says.
    Object,
    /// The issuer of the tokens that the core accepts: requests by API and by command.
    Token,
}

/// The person who approves, and what is known of the person who asked.
#[derive(Clone, Copy, Debug)]
pub struct Approver<'a> {
    /// Their name.
    pub name: &'a str,
    /// The kind of authority that vouches for it.
    pub door: Door,
    /// The authority itself.
    pub authority: &'a str,
    /// The person whom the tenant's list of people knows under that name.
    pub person: Option<&'a str>,
    /// The kind of authority that vouches for the name of the person who asked.
    pub asked_through: Door,
    /// The person whom the list knows under that name.
    pub asked_by: Option<&'a str>,
}

impl Handling {
    /// Whether the approver is known to be somebody else than who asked.
    fn check_second_person(&self, by: Approver<'_>) -> Result<(), DecisionError> {
        let (said, sent) = (self.requested_by.as_deref(), self.requester.as_deref());
        // An object is sent by an operator, whoever wrote it.
        let asked = if by.asked_through == Door::Object { said } else { sent };
        match (by.asked_through, by.door) {
            _ if [said, sent].contains(&Some(by.name)) => Err(DecisionError::SamePerson),
            _ if asked.is_none() => Err(DecisionError::RequesterUnknown),
            _ if by.person.is_some() && by.person == by.asked_by => Err(DecisionError::SamePerson),
            _ if by.person.is_some() && by.asked_by.is_some() => Ok(()),
            (Door::Object, Door::Token) => Err(DecisionError::AskedByObject),
            (Door::Token, Door::Object) => Err(DecisionError::AskedByToken),
            (Door::Object, Door::Object) => Ok(()),
            // Runs of former releases don't say which issuer vouched for the name.
            (Door::Token, Door::Token) if self.authority.as_deref() == Some(by.authority) => Ok(()),
            (Door::Token, Door::Token) => Err(DecisionError::AskedElsewhere),
        }
    }
}

impl Run {
    /// When the person's request was received.
    pub fn received_at(&self) -> Time {
        self.handling.received_at.unwrap_or(self.created_at)
    }

    /// Until when it must be carried out: one calendar month from its receipt, or as extended.
    pub fn due_at(&self) -> Time {
        let more = self.handling.extension.as_ref().map_or(0, |extension| u32::from(extension.months));
        self.received_at().plus_months(MONTHS + more)
    }

    /// After the search: whether a second person must approve. `Some` when that changed the run.
    pub fn await_approval(&mut self, matched: u64) -> bool {
        let Some(approval) = &mut self.handling.approval else { return false };
        let searched = matches!(self.state, RunState::Opening | RunState::Collecting);
        if !searched || approval.waived || approval.at.is_some() {
            return false;
        }
        if matched < approval.from {
            approval.waived = true;
        } else {
            self.state = RunState::AwaitingApproval;
        }
        self.matched = matched;
        true
    }

    /// A second person says yes: an erasure goes on from opening, and an export from collecting, for its whole lifetime.
    /// True if this changed anything.
    ///
    /// # Errors
    /// Nothing waits, or they aren't known to be a second person.
    pub fn approve(&mut self, by: Approver<'_>, now: Time) -> Result<bool, DecisionError> {
        let waiting = self.state == RunState::AwaitingApproval;
        let approval = self.handling.approval.as_ref().ok_or(DecisionError::NotAwaited)?;
        if approval.at.is_some() && approval.by.as_deref() == Some(by.name) {
            return Ok(false);
        }
        if !waiting {
            return Err(DecisionError::NotAwaited);
        }
        self.handling.check_second_person(by)?;
        if let Some(approval) = &mut self.handling.approval {
            (approval.by, approval.at) = (Some(by.name.to_owned()), Some(now));
        }
        if self.operation == Operation::ExportMe {
            self.state = RunState::Collecting;
            self.expires_at = Some(now.plus(self.window));
        } else {
            self.state = RunState::Opening;
        }
        Ok(true)
    }

    /// Denied, or without a ground cancelled: only before anything was hidden. True if this changed anything.
    ///
    /// # Errors
    /// It is past that.
    pub fn deny(&mut self, denial: Denial) -> Result<bool, DecisionError> {
        let ended = if denial.ground.is_some() { RunState::Denied } else { RunState::Cancelled };
        if self.state == ended {
            return Ok(false);
        }
        let export = self.operation == Operation::ExportMe;
        let open = match self.state {
            RunState::Opening | RunState::AwaitingApproval => true,
            RunState::Collecting | RunState::Ready => export,
            _ => false,
        };
        if !open {
            return Err(DecisionError::TooLate);
        }
        let at = denial.at;
        self.handling.denial = Some(denial);
        Ok(self.end(self.state, ended, at))
    }

    /// A later deadline. True if this changed anything.
    ///
    /// # Errors
    /// The first month is over, or the run is.
    pub fn extend(&mut self, extension: Extension) -> Result<bool, DecisionError> {
        let same = |known: &Extension| known.months == extension.months && known.reason == extension.reason;
        if self.handling.extension.as_ref().is_some_and(same) {
            return Ok(false);
        }
        if self.has_ended() {
            return Err(DecisionError::TooLate);
        }
        if extension.at >= self.received_at().plus_months(MONTHS) {
            return Err(DecisionError::DeadlinePassed);
        }
        if self.handling.extension.as_ref().is_some_and(|known| known.months >= extension.months) {
            return Err(DecisionError::AlreadyExtended);
        }
        self.handling.extension = Some(extension);
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Approval, ApprovalReason, StartRun};
    use super::*;
    use crate::{RequestName, RunId};
    use serde_json::Map;
    use std::time::Duration;

    const RECEIVED: Time = Time(1_769_860_800_000); // 2026-01-31T12:00:00Z

    fn run(approval: Option<Approval>) -> Run {
        let case: crate::CaseId = "c".parse().unwrap();
        let handling = Handling {
            received_at: Some(RECEIVED),
            requested_by: Some("ann".into()),
            requester: Some("operator".into()),
            authority: Some("https://id".into()),
            approval,
            ..Handling::default()
        };
        Run::start(StartRun {
            id: RunId::new(&case, Operation::ForgetMe, 1),
            case,
            operation: Operation::ForgetMe,
            now: RECEIVED,
            window: Duration::from_secs(86_400),
            callers: Vec::new(),
            doubtful: None,
            messages: Vec::new(),
            handling,
            subject: String::new(),
            subject_digest: None,
            sealed: String::new(),
            name: RequestName::default(),
        })
    }

    fn by(name: &str) -> Approver<'_> {
        approver(name, Door::Token, Door::Token)
    }

    fn approver(name: &str, door: Door, asked_through: Door) -> Approver<'_> {
        Approver { name, door, authority: "https://id", person: None, asked_through, asked_by: None }
    }

    #[test]
    fn identities_of_two_issuers_are_one_person_unless_the_list_of_people_says_two() {
        use DecisionError::{AskedElsewhere, SamePerson};
        let decide = |authority, person, asked_by, door| {
            let mut run = run(Some(Approval::needed(ApprovalReason::Always, 0)));
            run.await_approval(1);
            run.approve(
                Approver { authority, person, asked_by, ..approver("ben", door, Door::Token) },
                RECEIVED,
            )
        };
        let (here, there, token) = ("https://id", "basic", Door::Token);
        assert_eq!(decide(here, None, None, token), Ok(true));
        assert_eq!(decide(there, None, None, token), Err(AskedElsewhere));
        assert_eq!(decide(there, Some("Ben"), None, token), Err(AskedElsewhere));
        assert_eq!(decide(there, None, Some("Ann"), token), Err(AskedElsewhere));
        assert_eq!(decide(there, Some("Ann"), Some("Ann"), token), Err(SamePerson));
        assert_eq!(
            decide(here, Some("Ann"), Some("Ann"), token),
            Err(SamePerson),
            "two accounts of one person"
        );
        assert_eq!(decide(there, Some("Ben"), Some("Ann"), token), Ok(true));
        assert_eq!(decide(there, Some("Ben"), Some("Ann"), Door::Object), Ok(true));
        assert_eq!(decide(there, Some("Ann"), Some("Ann"), Door::Object), Err(SamePerson));
        let mut former = run(Some(Approval::needed(ApprovalReason::Always, 0)));
        former.handling.authority = None;
        former.await_approval(1);
        assert_eq!(
            former.approve(by("ben"), RECEIVED),
            Err(AskedElsewhere),
            "nobody knows which issuer it was"
        );
    }

    #[test]
    fn an_export_that_takes_a_second_person_is_collected_again_and_lives_its_whole_life_from_then() {
        let mut export = run(Some(Approval::needed(ApprovalReason::Always, 0)));
        (export.operation, export.state) = (Operation::ExportMe, RunState::Collecting);
        assert!(!export.finish_collecting(3) && export.state == RunState::Collecting, "nobody has said yes");
        assert!(export.await_approval(3));
        assert!(!export.finish_collecting(3) && !export.expire(RECEIVED));
        assert_eq!(export.approve(by("ann"), RECEIVED), Err(DecisionError::SamePerson));
        let later = RECEIVED.plus(Duration::from_secs(3_600));
        assert_eq!(export.approve(by("ben"), later), Ok(true));
        assert_eq!(
            (export.state, export.expires_at),
            (RunState::Collecting, Some(later.plus(export.window)))
        );
        assert!(export.finish_collecting(3) && export.state == RunState::Ready);
    }

    fn extension(months: u8, at: Time) -> Extension {
        Extension { months, reason: "many requests".into(), by: None, at, unknown: Map::new() }
    }

    fn denial(ground: Option<voicemail_api::gdpr::DenialGround>) -> Denial {
        Denial { ground, text: None, by: None, at: RECEIVED, unknown: Map::new() }
    }

    #[test]
    fn the_deadline_is_a_calendar_month_and_an_extension_moves_it_by_months() {
        let mut run = run(None);
        assert_eq!(run.due_at().rfc3339(), "2026-02-28T12:00:00.000Z");
        let before = Time(RECEIVED.0 + 27 * 86_400_000);
        assert_eq!(run.extend(extension(2, before)), Ok(true));
        assert_eq!(run.extend(extension(2, before)), Ok(false));
        assert_eq!(run.due_at().rfc3339(), "2026-04-30T12:00:00.000Z");
        assert_eq!(run.extend(extension(1, before)), Err(DecisionError::AlreadyExtended));
    }

    #[test]
    fn a_deadline_is_not_extended_once_its_first_month_is_over() {
        let late = Time(RECEIVED.0 + 28 * 86_400_000);
        assert_eq!(run(None).extend(extension(1, late)), Err(DecisionError::DeadlinePassed));
    }

    #[test]
    fn nobody_approves_what_they_asked_for_and_nothing_opens_without_approval() {
        let mut run = run(Some(Approval::needed(ApprovalReason::Always, 0)));
        assert!(!run.open(RECEIVED), "not before the search");
        assert!(run.await_approval(3));
        assert_eq!(run.state, RunState::AwaitingApproval);
        assert!(!run.open(RECEIVED));
        assert_eq!(run.approve(by("ann"), RECEIVED), Err(DecisionError::SamePerson));
        assert_eq!(run.approve(by("operator"), RECEIVED), Err(DecisionError::SamePerson));
        assert_eq!(run.approve(by("ben"), RECEIVED), Ok(true));
        assert_eq!(run.approve(by("ben"), RECEIVED), Ok(false), "a reply was lost");
        assert!(run.open(RECEIVED));
    }

    #[test]
    fn one_person_never_approves_alone_whatever_the_doors_and_what_is_known_of_who_asked() {
        use DecisionError::{AskedByObject, AskedByToken, RequesterUnknown, SamePerson};
        let decide = |sent: Option<&str>, said: Option<&str>, asked_through, name, door| {
            let mut run = run(Some(Approval::needed(ApprovalReason::Always, 0)));
            (run.handling.requester, run.handling.requested_by) =
                (sent.map(str::to_owned), said.map(str::to_owned));
            run.await_approval(1);
            let outcome = run.approve(approver(name, door, asked_through), RECEIVED);
            assert_eq!(outcome.is_ok(), run.state == RunState::Opening, "{sent:?} {said:?} {name}");
            outcome
        };
        let (object, token) = (Door::Object, Door::Token);
        let operator = Some("operator");
        // The person is both in the cluster, and subject:1 in a token.
        for (sent, said, asked_through, name, door, expected) in [
            (operator, Some("both"), object, "both", object, Err(SamePerson)),
            (operator, Some("both"), object, "subject:1", token, Err(AskedByObject)),
            (operator, None, object, "both", object, Err(RequesterUnknown)),
            (operator, None, object, "subject:1", token, Err(RequesterUnknown)),
            (Some("subject:1"), None, token, "subject:1", token, Err(SamePerson)),
            (Some("subject:1"), None, token, "both", object, Err(AskedByToken)),
            (Some("subject:1"), Some("ann"), token, "both", object, Err(AskedByToken)),
            (Some("subject:2"), Some("both"), token, "both", token, Err(SamePerson)),
            (None, None, token, "subject:1", token, Err(RequesterUnknown)),
            (None, Some("ann"), token, "subject:1", token, Err(RequesterUnknown)),
            (operator, Some("ann"), object, "both", object, Ok(true)),
            (Some("subject:2"), None, token, "subject:1", token, Ok(true)),
            (Some("subject:2"), Some("ann"), token, "subject:1", token, Ok(true)),
        ] {
            let outcome = decide(sent, said, asked_through, name, door);
            assert_eq!(outcome, expected, "{sent:?} {said:?} through {asked_through:?}, {name} by {door:?}");
        }
    }

    #[test]
    fn an_approval_for_many_matches_is_waived_for_few() {
        let mut run = run(Some(Approval::needed(ApprovalReason::Large, 100)));
        assert!(run.await_approval(99));
        assert!(run.open(RECEIVED));
    }

    #[test]
    fn an_approval_that_took_long_shortens_the_window_to_the_deadline() {
        let mut run = run(Some(Approval::needed(ApprovalReason::Always, 0)));
        run.await_approval(1);
        let late = run.due_at().minus(Duration::from_secs(60));
        run.approve(by("ben"), late).unwrap();
        assert!(run.open(late));
        assert_eq!(run.purge_at, Some(run.due_at()));
    }

    #[test]
    fn a_run_is_denied_or_cancelled_only_before_it_is_marked() {
        let ground = Some(voicemail_api::gdpr::DenialGround::LegalClaims);
        let mut waiting = run(Some(Approval::needed(ApprovalReason::Always, 0)));
        waiting.await_approval(1);
        assert_eq!(waiting.deny(denial(ground)), Ok(true));
        assert_eq!((waiting.state, waiting.deny(denial(ground))), (RunState::Denied, Ok(false)));
        let mut opening = run(None);
        assert_eq!(opening.deny(denial(None)), Ok(true));
        assert_eq!(opening.state, RunState::Cancelled);
        let mut marking = run(None);
        marking.open(RECEIVED);
        assert_eq!(marking.deny(denial(ground)), Err(DecisionError::TooLate));
    }
}
