//! The condition `WebReady` as the cores see it: whether people can sign in to the pages. Pure.
//!
//! A Secret that is missing is told first; it is the cause of what the cores then say.

use std::collections::BTreeSet;
use voicemail_api::readiness::Readiness;
use voicemail_cores::pods::PodSeen;
use voicemail_resources::conditions::{ConditionStatus, Finding, WEB_READY, find_condition};
use voicemail_resources::voicemail_tenant::VoicemailTenantStatus;

const SERVED: &str = "PagesServed";
const UNREACHABLE: &str = "IssuerUnreachable";

/// Puts what the cores say over what is known of the Secrets. `wanted`: the tenant has pages.
pub(crate) fn add_web(
    findings: &mut Vec<Finding>,
    wanted: bool,
    pods: Option<&[PodSeen]>,
    previous: &VoicemailTenantStatus,
) {
    let of_secrets = findings.iter().position(|finding| finding.type_ == WEB_READY);
    if of_secrets.is_some_and(|at| findings[at].status == ConditionStatus::False) {
        return;
    }
    if let Some(at) = of_secrets {
        findings.remove(at);
    }
    if wanted {
        findings.extend(pods.map_or_else(|| find_known(previous), find_said));
    }
}

/// The issuers that any of these cores can't ask; none if no core has asked yet.
fn find_unreachable<'a>(cores: impl Iterator<Item = &'a Readiness>) -> Option<BTreeSet<&'a str>> {
    let said = cores.filter_map(|core| core.web.as_ref()).filter(|web| web.asked);
    said.fold(None, |found: Option<BTreeSet<&str>>, web| {
        let mut found = found.unwrap_or_default();
        found.extend(web.unreachable.iter().map(String::as_str));
        Some(found)
    })
}

fn find_said(pods: &[PodSeen]) -> Option<Finding> {
    let cores = pods.iter().filter(|pod| !pod.terminating).filter_map(|pod| pod.core.as_ref());
    let unreachable = find_unreachable(cores)?;
    if unreachable.is_empty() {
        return Some(Finding::new(WEB_READY, true, SERVED, "the pages are served, and all issuers answer"));
    }
    let names: Vec<&str> = unreachable.into_iter().collect();
    let message = format!(
        "the cores can't ask {}: until they can, nobody signs in there, and sessions of there end within ten minutes; \
         a core's log says what is wrong",
        names.join(" and ")
    );
    Some(Finding::new(WEB_READY, false, UNREACHABLE, message))
}

/// What the cores said when they were last asked.
fn find_known(previous: &VoicemailTenantStatus) -> Option<Finding> {
    let said = |known: &Finding| [SERVED, UNREACHABLE].contains(&known.reason.as_str());
    Finding::known(WEB_READY, &previous.conditions).filter(said)
}

/// Whether the cores say of the issuers what the status says.
pub(crate) fn says_as_much_of_web(answers: &[Readiness], status: Option<&VoicemailTenantStatus>) -> bool {
    let shown = status.and_then(|status| find_condition(&status.conditions, WEB_READY));
    let reason = shown.map(|shown| shown.reason.as_str()).unwrap_or_default();
    match find_unreachable(answers.iter()) {
        None => true,
        // A status that says nothing yet was written before the cores had asked.
        Some(unreachable) if unreachable.is_empty() => {
            reason != UNREACHABLE && shown.is_none_or(|shown| shown.status != ConditionStatus::Unknown)
        }
        // A Secret that is missing is the cause, and told already.
        Some(_) => shown.is_some_and(|shown| shown.status == ConditionStatus::False),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use voicemail_api::readiness::IssuersHealth;
    use voicemail_resources::conditions::merge_conditions;

    fn pod(asked: bool, unreachable: &[&str]) -> PodSeen {
        let unreachable = unreachable.iter().map(|issuer| (*issuer).to_owned()).collect();
        let core = Readiness { web: Some(IssuersHealth { asked, unreachable }), ..Readiness::default() };
        PodSeen { core: Some(core), ..PodSeen::default() }
    }

    fn found(mut findings: Vec<Finding>, pods: &[PodSeen]) -> Vec<(ConditionStatus, String)> {
        add_web(&mut findings, true, Some(pods), &VoicemailTenantStatus::default());
        findings.into_iter().map(|finding| (finding.status, finding.reason)).collect()
    }

    #[test]
    fn pages_are_ready_once_a_core_has_asked_the_issuers() {
        let secrets = || vec![Finding::new(WEB_READY, true, "SecretsComplete", "")];
        let (no, yes) = (ConditionStatus::False, ConditionStatus::True);
        assert_eq!(found(secrets(), &[pod(false, &[])]), [], "nothing is known yet");
        assert_eq!(found(secrets(), &[pod(false, &[]), pod(true, &[])]), [(yes, SERVED.to_owned())]);
        let one = [pod(true, &[]), pod(true, &["https://id.example"])];
        assert_eq!(found(secrets(), &one), [(no, UNREACHABLE.to_owned())]);
        let missing = vec![Finding::new(WEB_READY, false, "WebSecretNotFound", "")];
        assert_eq!(found(missing, &one), [(no, "WebSecretNotFound".to_owned())]);
    }

    #[test]
    fn a_tenant_without_pages_has_no_such_condition() {
        let mut findings = Vec::new();
        add_web(&mut findings, false, Some(&[pod(true, &[])]), &VoicemailTenantStatus::default());
        assert_eq!(findings, []);
    }

    #[test]
    fn an_issuer_that_goes_or_comes_back_is_news() {
        let core = |unreachable: &[&str]| pod(true, unreachable).core.unwrap();
        let mut findings = Vec::new();
        let mut status = VoicemailTenantStatus::default();
        assert!(says_as_much_of_web(&[core(&[])], None) && !says_as_much_of_web(&[core(&["i"])], None));
        add_web(&mut findings, true, Some(&[pod(true, &["i"])]), &status);
        let now = "2026-11-23T10:00:00Z".parse().unwrap();
        status.conditions = merge_conditions(&[], findings, Some(1), now);
        assert!(says_as_much_of_web(&[core(&["i"])], Some(&status)));
        assert!(!says_as_much_of_web(&[core(&[])], Some(&status)));
        let unknown = vec![Finding::new(WEB_READY, ConditionStatus::Unknown, "NotKnown", "")];
        status.conditions = merge_conditions(&[], unknown, Some(1), now);
        assert!(!says_as_much_of_web(&[core(&[])], Some(&status)), "it is known now");
    }
}
