//! Decides the next step for a tenant that is being deleted. Pure.

use crate::tenant::build::retire_job::Ending;
use crate::tenant::deletion::confirmation::{Typed, read_typed, take_away};
use kube::ResourceExt;
use voicemail_resources::voicemail_tenant::DeletionPolicy;
use voicemail_resources::{ABANDON_STORE, CONFIRM_DELETION, VoicemailTenant};

/// The decision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Wait, for this reason: (reason, message).
    Wait(&'static str, String),
    /// Let the tenant go with its namespace, which takes everything.
    LetGo,
    /// Let the tenant go without a word to its store, because a person said so.
    Abandon,
    /// Let go of the store, then of the tenant.
    Retire(Ending),
}

/// Decides. `open` are the data-subject requests that haven't ended, by their names.
pub fn decide(tenant: &VoicemailTenant, namespace_ends: bool, open: &[String]) -> Decision {
    let (name, namespace) = (tenant.name_any(), tenant.namespace().unwrap_or_default());
    if namespace_ends {
        return Decision::LetGo;
    }
    if read_typed(tenant, ABANDON_STORE) == Typed::Yes {
        return Decision::Abandon;
    }
    if !open.is_empty() {
        let message = format!("waits for open data-subject requests: {}", open.join(", "));
        return Decision::Wait("OpenGdprRequests", message);
    }
    if tenant.spec.deletion_policy == DeletionPolicy::Retain {
        return Decision::Retire(Ending::Deregister);
    }
    let command = format!("kubectl annotate vmt {name} -n {namespace} {CONFIRM_DELETION}={name}");
    match read_typed(tenant, CONFIRM_DELETION) {
        Typed::No => {
            let message = format!(
                "deletionPolicy is Delete: to delete all messages and keys for ever, type: {command}"
            );
            Decision::Wait("ConfirmationMissing", message)
        }
        Typed::Early => {
            let away = take_away(tenant, CONFIRM_DELETION);
            let message = format!(
                "deletionPolicy is Delete, and {CONFIRM_DELETION} was there before the deletion began, which confirms \
                 nothing: to delete all messages and keys for ever, type: {away} && {command}"
            );
            Decision::Wait("ConfirmationTooEarly", message)
        }
        Typed::Yes => Decision::Retire(Ending::Remove),
    }
}

/// How a person lets the tenant go whose store can't be asked any more.
pub fn way_out(tenant: &VoicemailTenant) -> String {
    let (name, namespace) = (tenant.name_any(), tenant.namespace().unwrap_or_default());
    format!(
        "If the store is gone for good: kubectl annotate vmt {name} -n {namespace} {ABANDON_STORE}={name} lets the \
         tenant go and leaves store, claim and Secrets as they are"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tenant::deletion::confirmation_tests::deleting as written;
    use serde_json::json;

    const LATER: &str = "2026-11-23T10:00:05Z";

    fn deleting(policy: &str, confirmed: &str) -> VoicemailTenant {
        let mut tenant = written(CONFIRM_DELETION, confirmed, LATER);
        tenant.spec.deletion_policy = serde_json::from_value(json!(policy)).unwrap();
        tenant
    }

    #[test]
    fn retain_takes_the_cluster_out_of_the_store_and_nothing_else() {
        let decision = decide(&deleting("Retain", "acme"), false, &[]);
        assert_eq!(decision, Decision::Retire(Ending::Deregister));
    }

    #[test]
    fn delete_needs_the_typed_name_and_says_what_to_type() {
        let Decision::Wait(reason, message) = decide(&deleting("Delete", "other"), false, &[]) else {
            panic!()
        };
        assert_eq!(reason, "ConfirmationMissing");
        assert!(
            message.contains("kubectl annotate vmt acme -n voice voicemail.dev/confirm-deletion=acme"),
            "{message}"
        );
        let confirmed = decide(&deleting("Delete", "acme"), false, &[]);
        assert_eq!(confirmed, Decision::Retire(Ending::Remove));
    }

    #[test]
    fn open_requests_block_deletion_under_either_policy() {
        for policy in ["Retain", "Delete"] {
            let decision = decide(&deleting(policy, "acme"), false, &["forget".into()]);
            assert!(matches!(decision, Decision::Wait("OpenGdprRequests", _)), "{decision:?}");
        }
    }

    #[test]
    fn a_terminating_namespace_is_never_held_up() {
        assert_eq!(decide(&deleting("Delete", ""), true, &["forget".into()]), Decision::LetGo);
    }

    #[test]
    fn a_person_can_let_a_tenant_go_whose_store_is_gone() {
        let abandoning = |name: &str| {
            let tenant = written(ABANDON_STORE, name, LATER);
            decide(&tenant, false, &["forget".into()])
        };
        assert_eq!(abandoning("acme"), Decision::Abandon);
        assert!(matches!(abandoning("other"), Decision::Wait("OpenGdprRequests", _)));
    }

    #[test]
    fn what_stood_in_the_manifest_from_the_beginning_destroys_nothing() {
        let mut early = written(CONFIRM_DELETION, "acme", "2026-11-01T10:00:00Z");
        early.spec.deletion_policy = DeletionPolicy::Delete;
        let Decision::Wait(reason, message) = decide(&early, false, &[]) else { panic!() };
        assert_eq!(reason, "ConfirmationTooEarly");
        let commands = "voicemail.dev/confirm-deletion- && kubectl annotate vmt acme -n voice \
                        voicemail.dev/confirm-deletion=acme";
        assert!(message.contains(commands), "{message}");
        let abandoned = written(ABANDON_STORE, "acme", "2026-11-01T10:00:00Z");
        assert_eq!(decide(&abandoned, false, &[]), Decision::Retire(Ending::Deregister));
    }
}
