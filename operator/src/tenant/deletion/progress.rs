//! How far the Jobs of a deletion are, what comes next, and how to say it. Pure.

use crate::tenant::build::retire_job::{Ending, Stage};
use crate::tenant::deletion::decide::way_out;
use jiff::{SignedDuration, Timestamp};
use voicemail_api::readiness::Readiness;
use voicemail_api::reasons::{ASKING_STORE, REMOVING_OBJECTS};
use voicemail_cores::pods::PodSeen;
use voicemail_resources::VoicemailTenant;
use voicemail_resources::conditions::{DELETION_BLOCKED, Finding};

/// How long a Job's pod may take to start before somebody is told.
const START: SignedDuration = SignedDuration::from_secs(120);
/// Exit status of a command that something stands in the way of.
const HINDERED: i32 = 1;

/// A Job as it is now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct JobSeen {
    /// Whether it is what would be made now; a Job can't be changed.
    pub current: bool,
    /// It has done its work.
    pub succeeded: bool,
    /// It won't be tried again.
    pub failed: bool,
    /// When it was made.
    pub created: Option<Timestamp>,
    /// Its pod.
    pub pod: Option<PodSeen>,
    /// With which status the command ended last.
    pub exit_code: Option<i32>,
}

/// Both Jobs and the cores.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// The Job that waits beside the cores.
    pub check: Option<JobSeen>,
    /// The Job that lets go.
    pub end: Option<JobSeen>,
    /// Pods of the cores that are still there.
    pub cores: usize,
}

/// The next step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Make a Job. The cores serve for the first one and are gone for the other.
    Start(Stage),
    /// Wait for a Job.
    Await(Stage),
    /// Stop the cores.
    StopCores,
    /// Take the Jobs away and begin again: something came between, or the spec was changed.
    StartOver,
    /// The store is let go.
    Done,
}

/// Finds the next step.
pub fn find_next(seen: &Seen) -> Next {
    // Also one that has succeeded: what it did may not be what is wanted now.
    let spoilt = |job: &JobSeen| !job.current || job.failed;
    match (&seen.end, &seen.check) {
        (Some(end), _) if spoilt(end) => Next::StartOver,
        (Some(end), _) if end.succeeded => Next::Done,
        (Some(end), _) if end.exit_code == Some(HINDERED) => Next::StartOver,
        (Some(_), _) => Next::Await(Stage::End),
        (None, None) => Next::Start(Stage::Check),
        (None, Some(check)) if spoilt(check) => Next::StartOver,
        (None, Some(check)) if !check.succeeded => Next::Await(Stage::Check),
        (None, Some(_)) if seen.cores > 0 => Next::StopCores,
        (None, Some(_)) => Next::Start(Stage::End),
    }
}

/// The report about a deletion under way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// Stable word.
    pub reason: String,
    /// In a sentence.
    pub message: String,
    /// Whether it waits for something that doesn't come by itself within moments.
    pub blocked: bool,
}

impl Report {
    /// Nothing stands in the way.
    pub fn going(reason: &str, message: impl Into<String>) -> Self {
        Self { reason: reason.into(), message: message.into(), blocked: false }
    }

    /// The condition.
    pub fn finding(&self) -> Finding {
        Finding::new(DELETION_BLOCKED, self.blocked, self.reason.as_str(), self.message.as_str())
    }

    /// Something stands in the way.
    pub fn blocked(reason: &str, message: impl Into<String>) -> Self {
        Self { reason: reason.into(), message: message.into(), blocked: true }
    }
}

/// The report while a Job hasn't ended.
pub fn describe_job(
    tenant: &VoicemailTenant,
    stage: Stage,
    ending: Ending,
    job: &JobSeen,
    now: Timestamp,
) -> Report {
    let stuck =
        |reason: &str, words: String| Report::blocked(reason, format!("{words}. {}", way_out(tenant)));
    let pod = job.pod.clone().unwrap_or_default();
    if let Some(Readiness { reason: Some(reason), message, .. }) = pod.core {
        let message = message.unwrap_or_default();
        let going = [REMOVING_OBJECTS, ASKING_STORE].contains(&reason.as_str());
        return Report { reason, message, blocked: !going };
    }
    let what = describe_stage(stage, ending);
    if job.exit_code.is_some_and(|code| code != 0) {
        let words = pod.cannot_start.map_or_else(String::new, |(_, words)| format!(": {words}"));
        return stuck("StoreNotReached", format!("{what} and fails again and again{words}"));
    }
    let obstacle = pod.cannot_start.map(|(reason, words)| format!("{reason}: {words}")).or(pod.unschedulable);
    let late = job.created.is_some_and(|created| now.duration_since(created) > START);
    match obstacle {
        Some(words) => stuck("RetireJobCannotStart", format!("a Job that {what} can't start: {words}")),
        None if late => stuck(
            "RetireJobCannotStart",
            format!("a Job that {what} hasn't started for two minutes: kubectl describe says why"),
        ),
        None => Report::going(ASKING_STORE, format!("a Job {what}")),
    }
}

fn describe_stage(stage: Stage, ending: Ending) -> &'static str {
    match (stage, ending) {
        (Stage::Check, _) => "looks for open requests, legal holds and other clusters in the store",
        (Stage::End, Ending::Deregister) => "takes this cluster out of the store",
        (Stage::End, Ending::Remove) => "removes everything of this tenant from the store",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tenant::tests::{example, now};

    fn job(change: impl FnOnce(&mut JobSeen)) -> Option<JobSeen> {
        let mut job = JobSeen { current: true, created: Some(now()), ..JobSeen::default() };
        change(&mut job);
        Some(job)
    }

    fn next(check: Option<JobSeen>, end: Option<JobSeen>, cores: usize) -> Next {
        find_next(&Seen { check, end, cores })
    }

    #[test]
    fn the_cores_serve_until_nothing_stands_in_the_way_and_are_gone_before_the_end() {
        assert_eq!(next(None, None, 2), Next::Start(Stage::Check));
        assert_eq!(next(job(|_| {}), None, 2), Next::Await(Stage::Check));
        let clear = || job(|check| check.succeeded = true);
        assert_eq!(next(clear(), None, 2), Next::StopCores);
        assert_eq!(next(clear(), None, 0), Next::Start(Stage::End));
        assert_eq!(next(clear(), job(|_| {}), 0), Next::Await(Stage::End));
        assert_eq!(next(clear(), job(|end| end.succeeded = true), 0), Next::Done);
    }

    #[test]
    fn what_comes_between_begins_it_all_again() {
        let clear = || job(|check| check.succeeded = true);
        assert_eq!(next(clear(), job(|end| end.exit_code = Some(1)), 0), Next::StartOver);
        assert_eq!(next(job(|check| check.current = false), None, 2), Next::StartOver);
        assert_eq!(next(clear(), job(|end| end.failed = true), 0), Next::StartOver);
        // A cluster that was let go isn't a store that was emptied: the policy was changed meanwhile.
        let other = |job: &mut JobSeen| (job.succeeded, job.current) = (true, false);
        assert_eq!(next(clear(), job(other), 0), Next::StartOver);
        assert_eq!(next(job(other), None, 2), Next::StartOver);
        // A store that can't be reached for a while is asked again by the Job itself.
        assert_eq!(next(clear(), job(|end| end.exit_code = Some(2)), 0), Next::Await(Stage::End));
    }

    #[test]
    fn a_store_that_is_gone_or_a_job_that_can_not_start_is_said_with_the_way_out() {
        let tenant: VoicemailTenant = serde_json::from_value(example()).unwrap();
        let later = now() + SignedDuration::from_secs(121);
        let failing = job(|job| job.exit_code = Some(2)).unwrap();
        let waiting = job(|_| {}).unwrap();
        let say = |job: &JobSeen, now| describe_job(&tenant, Stage::Check, Ending::Remove, job, now);
        assert!(!say(&waiting, now()).blocked);
        for (job, reason) in [(&failing, "StoreNotReached"), (&waiting, "RetireJobCannotStart")] {
            let report = say(job, later);
            assert_eq!((report.reason.as_str(), report.blocked), (reason, true));
            let command = "kubectl annotate vmt acme -n voice voicemail.dev/abandon-store=acme";
            assert!(report.message.contains(command), "{}", report.message);
        }
    }

    #[test]
    fn what_the_job_says_is_passed_on() {
        let tenant: VoicemailTenant = serde_json::from_value(example()).unwrap();
        let saying = |reason: &str| {
            let core =
                Readiness { reason: Some(reason.into()), message: Some("m".into()), ..Default::default() };
            let job = job(|job| job.pod = Some(PodSeen { core: Some(core), ..PodSeen::default() })).unwrap();
            describe_job(&tenant, Stage::End, Ending::Remove, &job, now())
        };
        assert_eq!(saying("LegalHold"), Report::blocked("LegalHold", "m"));
        assert_eq!(saying("RemovingObjects"), Report::going("RemovingObjects", "m"));
    }
}
