//! The condition `EmailReady` as the cores see it: whether the mail server takes what they send. Pure.
//!
//! A Secret that is missing is told first; it is the cause of what the cores then say.

use voicemail_api::readiness::Readiness;
use voicemail_cores::pods::PodSeen;
use voicemail_resources::conditions::{ConditionStatus, EMAIL_READY, Finding, find_condition};
use voicemail_resources::voicemail_tenant::VoicemailTenantStatus;

const SENDS: &str = "Sending";
const FAILS: &str = "MailServerFails";
const UNUSABLE: &str = "EmailTemplatesUnusable";
/// The word of a core whose mails go out.
const SENDING: &str = "sending";
/// That, and the word of one that had nothing to send yet.
const WELL: [&str; 2] = ["unknown", SENDING];

/// The core's words for templates that it can't use begin so.
const TEMPLATES: &str = "Templates";

/// The core's word for why no mail goes out, or none as the tenant would have it.
fn said_failure(core: &Readiness) -> Option<&str> {
    core.email.as_deref().filter(|word| !WELL.contains(word))
}

/// Puts what the cores say over what is known of the Secrets.
pub(crate) fn add_email(
    findings: &mut Vec<Finding>,
    pods: Option<&[PodSeen]>,
    previous: &VoicemailTenantStatus,
) {
    let of_secrets = findings.iter().position(|finding| finding.type_ == EMAIL_READY);
    if of_secrets.is_some_and(|at| findings[at].status == ConditionStatus::False) {
        return;
    }
    let Some(found) = pods.map_or_else(|| find_known(previous), find_said) else { return };
    if let Some(at) = of_secrets {
        findings.remove(at);
    }
    findings.push(found);
}

fn find_said(pods: &[PodSeen]) -> Option<Finding> {
    let cores = || pods.iter().filter(|pod| !pod.terminating).filter_map(|pod| pod.core.as_ref());
    if let Some(word) = cores().find_map(said_failure) {
        return Some(find_failure(word));
    }
    let sends = cores().any(|core| core.email.as_deref() == Some(SENDING));
    sends.then(|| Finding::new(EMAIL_READY, true, SENDS, "the mail server takes e-mails"))
}

fn find_failure(word: &str) -> Finding {
    if word.starts_with(TEMPLATES) {
        let message = format!(
            "the words in spec.email.templatesRef can't be used ({word}): the log of the cores names the file, the word and the \
             rule; until then e-mails have the words that were right last"
        );
        return Finding::new(EMAIL_READY, false, UNUSABLE, message);
    }
    let message = format!("the mail server takes no e-mails now ({word}); they wait, and are sent later");
    Finding::new(EMAIL_READY, false, FAILS, message)
}

/// What the cores said when they were last asked.
fn find_known(previous: &VoicemailTenantStatus) -> Option<Finding> {
    let said = |known: &Finding| [SENDS, FAILS, UNUSABLE].contains(&known.reason.as_str());
    Finding::known(EMAIL_READY, &previous.conditions).filter(said)
}

/// Whether the cores say of the mail server what the status says.
pub(crate) fn says_as_much_of_mail(answers: &[Readiness], status: Option<&VoicemailTenantStatus>) -> bool {
    let shown = status.and_then(|status| find_condition(&status.conditions, EMAIL_READY));
    match answers.iter().any(|core| said_failure(core).is_some()) {
        true => shown.is_some_and(|shown| shown.status == ConditionStatus::False),
        false => shown.is_none_or(|shown| ![FAILS, UNUSABLE].contains(&shown.reason.as_str())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pod(email: &str) -> PodSeen {
        let core = Readiness { email: Some(email.into()), ..Readiness::default() };
        PodSeen { core: Some(core), ..PodSeen::default() }
    }

    fn found(mut findings: Vec<Finding>, pods: &[PodSeen]) -> Vec<(ConditionStatus, String)> {
        add_email(&mut findings, Some(pods), &VoicemailTenantStatus::default());
        findings.into_iter().map(|finding| (finding.status, finding.reason)).collect()
    }

    #[test]
    fn one_core_whose_mails_wait_is_enough_and_its_word_is_told() {
        let secrets = || vec![Finding::new(EMAIL_READY, true, "SecretsComplete", "")];
        let (no, yes) = (ConditionStatus::False, ConditionStatus::True);
        assert_eq!(found(secrets(), &[pod("sending"), pod("Login")]), [(no, FAILS.to_owned())]);
        assert_eq!(found(Vec::new(), &[pod("unknown"), pod("sending")]), [(yes, SENDS.to_owned())]);
        let words = found(Vec::new(), &[pod("TemplatesInvalid")]);
        assert_eq!(words, [(no, UNUSABLE.to_owned())]);
        assert_eq!(found(secrets(), &[pod("unknown")]), [(yes, "SecretsComplete".to_owned())]);
        assert_eq!(found(Vec::new(), &[]), []);
    }

    #[test]
    fn a_missing_secret_is_told_before_what_follows_from_it() {
        let missing = vec![Finding::new(EMAIL_READY, false, "EmailSecretNotFound", "")];
        assert_eq!(
            found(missing, &[pod("Setup")]),
            [(ConditionStatus::False, "EmailSecretNotFound".to_owned())]
        );
    }

    #[test]
    fn a_mail_server_that_fails_or_recovers_is_news() {
        let core = |word: &str| pod(word).core.unwrap();
        assert!(
            says_as_much_of_mail(&[core("unknown")], None) && !says_as_much_of_mail(&[core("Login")], None)
        );
        let mut status = VoicemailTenantStatus::default();
        let mut findings = Vec::new();
        add_email(&mut findings, Some(&[pod("Login")]), &status);
        status.conditions = voicemail_resources::conditions::merge_conditions(
            &[],
            findings,
            Some(1),
            "2026-11-23T10:00:00Z".parse().unwrap(),
        );
        assert!(says_as_much_of_mail(&[core("Login")], Some(&status)));
        assert!(!says_as_much_of_mail(&[core("sending")], Some(&status)));
    }
}
