//! `TelephonyReady`: whether the telephone's pods take calls, and why not; and whether they can say the tenant's own prompts, which
//! they tell themselves. Pure but for the list of pods.
//!
//! A Secret that is missing or can't be used is told before what follows from it.

use crate::tenant::facts::access_secrets::{AccessFact, find_telephony_secrets};
use crate::tenant::steps::apply::TelephonyFact;
use crate::tenant::steps::validate::Plan;
use k8s_openapi::api::apps::v1::{StatefulSet, StatefulSetStatus};
use kube::Client;
use voicemail_cores::pods::{PodSeen, observe_telephones};
use voicemail_resources::conditions::{Finding, TELEPHONY_READY};
use voicemail_resources::voicemail_tenant::TelephonyStatus;
use voicemail_runtime::calls::CallError;

/// Whether all pods of the set are of the newest template and take calls, and their number is as wanted.
pub fn has_settled(set: &StatefulSet) -> bool {
    let (wanted, status) = (wanted(set), status_of(set));
    let seen = status.observed_generation >= set.metadata.generation;
    let updated = status.update_revision.is_none() || status.update_revision == status.current_revision;
    seen && updated && status.replicas == wanted && status.ready_replicas.unwrap_or(0) == wanted
}

fn wanted(set: &StatefulSet) -> i32 {
    set.spec.as_ref().and_then(|spec| spec.replicas).unwrap_or(0)
}

fn status_of(set: &StatefulSet) -> StatefulSetStatus {
    set.status.clone().unwrap_or_default()
}

/// A pod's word for prompts of the tenant's own that it can't say.
pub const PROMPTS_INCOMPLETE: &str = "PromptsIncomplete";

/// Looks at the pods; at none while all of them take calls and there are no prompts to ask them about.
///
/// # Errors
/// The API server refuses or doesn't answer.
pub async fn observe_telephony(
    client: &Client,
    http: &reqwest::Client,
    plan: &Plan,
    fact: &TelephonyFact,
) -> Result<Vec<PodSeen>, CallError> {
    let telephony = plan.telephony.as_ref();
    let have_prompts = telephony.is_some_and(|telephony| telephony.given.dialogue.prompts.is_some());
    match fact {
        TelephonyFact::Applied(set) if have_prompts || !has_settled(set) => {}
        _ => return Ok(Vec::new()),
    }
    observe_telephones(client, http, &plan.namespace, &plan.name, have_prompts).await
}

/// The condition; none where the tenant has no telephone.
pub fn find_telephony(fact: &TelephonyFact, pods: &[PodSeen], secrets: &[AccessFact]) -> Option<Finding> {
    let finding =
        |holds: bool, reason: &str, message: String| Finding::new(TELEPHONY_READY, holds, reason, message);
    let set = match fact {
        TelephonyFact::Unwanted => return None,
        TelephonyFact::Refused(reason, message) => return Some(finding(false, reason, message.clone())),
        TelephonyFact::Applied(set) => set,
    };
    let (wanted, ready) = (wanted(set), status_of(set).ready_replicas.unwrap_or(0));
    if wanted == 0 {
        return Some(finding(false, "ScaledToZero", "spec.telephony.replicas is 0: no call is taken".into()));
    }
    if let Some(fault) = find_telephony_secrets(secrets) {
        return Some(fault);
    }
    if has_settled(set) {
        if let Some(fault) = find_fault_of_prompts(pods) {
            let message = format!("all pods take calls; spec.telephony.dialogue.prompts: {fault}");
            return Some(finding(true, PROMPTS_INCOMPLETE, message));
        }
        return Some(finding(true, "Serving", "all pods take calls".into()));
    }
    let progress = format!("{ready} of {wanted} pods take calls");
    let (reason, cause) = match find_cause(pods) {
        Some((reason, cause)) => (reason, format!("{progress}: {cause}")),
        None => ("RolloutInProgress", progress),
    };
    // A roll-out under which all wanted pods take calls keeps no caller away.
    Some(finding(ready >= wanted, reason, cause))
}

/// The same wherever it is told: pods read the same files, one a little earlier than another.
fn find_fault_of_prompts(pods: &[PodSeen]) -> Option<&str> {
    let told = pods.iter().filter_map(|pod| pod.core.as_ref());
    told.filter(|told| told.reason.as_deref() == Some(PROMPTS_INCOMPLETE))
        .find_map(|told| told.message.as_deref())
}

fn find_cause(pods: &[PodSeen]) -> Option<(&'static str, String)> {
    let live = || pods.iter().filter(|pod| !pod.terminating);
    let stuck = live().find_map(|pod| Some((pod, pod.cannot_start.as_ref()?)));
    if let Some((pod, (reason, message))) = stuck {
        return Some(("ImageCannotStart", format!("pod {}: {reason}: {message}", pod.name)));
    }
    let (pod, words) = live().find_map(|pod| Some((pod, pod.unschedulable.as_ref()?)))?;
    Some(("PodsUnschedulable", format!("pod {}: {words}", pod.name)))
}

/// Counts for the status; none where the tenant has no telephone, and what was known where nothing was seen.
pub fn count_telephony(fact: &TelephonyFact, known: Option<TelephonyStatus>) -> Option<TelephonyStatus> {
    match fact {
        TelephonyFact::Unwanted => None,
        TelephonyFact::Refused(..) => known,
        TelephonyFact::Applied(set) => {
            let status = status_of(set);
            let ready_replicas = status.ready_replicas.unwrap_or(0);
            Some(TelephonyStatus { replicas: status.replicas, ready_replicas })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tenant::facts::access_secrets::AccessSecret;
    use crate::tenant::facts::telephony_secrets::list_telephony;
    use serde_json::json;
    use voicemail_resources::conditions::ConditionStatus;

    fn set(wanted: i32, replicas: i32, ready: i32, updated: bool) -> TelephonyFact {
        let revision = if updated { "a" } else { "b" };
        let set = json!({
            "metadata": {"generation": 2},
            "spec": {"replicas": wanted, "selector": {}, "serviceName": "s", "template": {}},
            "status": {"observedGeneration": 2, "replicas": replicas, "readyReplicas": ready,
                       "currentRevision": "a", "updateRevision": revision},
        });
        TelephonyFact::Applied(Box::new(serde_json::from_value(set).unwrap()))
    }

    fn read(fact: &TelephonyFact, pods: &[PodSeen]) -> (ConditionStatus, String) {
        let finding = find_telephony(fact, pods, &[]).unwrap();
        (finding.status, finding.reason)
    }

    #[test]
    fn the_condition_says_whether_calls_are_taken_and_why_not() {
        use ConditionStatus::{False, True};
        assert!(find_telephony(&TelephonyFact::Unwanted, &[], &[]).is_none());
        assert_eq!(read(&set(2, 2, 2, true), &[]), (True, "Serving".into()));
        assert_eq!(read(&set(2, 2, 2, false), &[]), (True, "RolloutInProgress".into()));
        assert_eq!(read(&set(2, 2, 1, true), &[]), (False, "RolloutInProgress".into()));
        assert_eq!(read(&set(0, 0, 0, true), &[]), (False, "ScaledToZero".into()));
        let refused = TelephonyFact::Refused("NameTaken", "m".into());
        assert_eq!(read(&refused, &[]), (False, "NameTaken".into()));
    }

    #[test]
    fn prompts_that_cannot_be_said_are_told_while_calls_are_taken() {
        let answer =
            json!({"ready": true, "reason": "PromptsIncomplete", "message": "pin.wav: it is no WAV file"});
        let told = PodSeen { core: serde_json::from_value(answer).unwrap(), ..PodSeen::default() };
        let found = find_telephony(&set(2, 2, 2, true), &[PodSeen::default(), told.clone()], &[]).unwrap();
        assert_eq!((found.status, found.reason.as_str()), (ConditionStatus::True, "PromptsIncomplete"));
        assert!(found.message.ends_with("spec.telephony.dialogue.prompts: pin.wav: it is no WAV file"));
        assert_eq!(read(&set(2, 2, 1, true), &[told]).1, "RolloutInProgress");
    }

    #[test]
    fn a_secret_that_is_missing_is_told_before_the_pods_that_wait_for_it() {
        let named = json!({
            "domain": "pbx", "tls": {"secretRef": {"name": "sip-tls"}},
            "trunks": [{"name": "pbx", "addresses": ["10.0.0.0/8"]}],
        });
        let named = list_telephony(&serde_json::from_value(named).unwrap());
        let look = |fact: &TelephonyFact, lacks: Option<Vec<&'static str>>| {
            let seen = |secret: &AccessSecret| AccessFact {
                secret: secret.clone(),
                lacks: lacks.clone(),
                unusable: None,
            };
            let facts: Vec<AccessFact> = named.iter().map(seen).collect();
            find_telephony(fact, &[], &facts).unwrap()
        };
        let missing = look(&set(2, 0, 0, true), None);
        assert_eq!(
            (missing.status, missing.reason.as_str()),
            (ConditionStatus::False, "TelephonySecretNotFound")
        );
        assert!(missing.message.contains("there is no Secret sip-tls"), "{}", missing.message);
        assert_eq!(look(&set(2, 2, 2, true), None).reason, "TelephonySecretNotFound");
        assert_eq!(look(&set(2, 2, 2, true), Some(Vec::new())).reason, "Serving");
        assert_eq!(look(&set(0, 0, 0, true), None).reason, "ScaledToZero");
    }

    #[test]
    fn a_pod_that_does_not_come_up_is_named_with_its_cause() {
        let crash = ("CrashLoopBackOff".into(), "it keeps ending".into());
        let ending = PodSeen { name: "sip-1".into(), cannot_start: Some(crash), ..PodSeen::default() };
        assert_eq!(read(&set(2, 2, 1, true), std::slice::from_ref(&ending)).1, "ImageCannotStart");
        let nowhere = PodSeen { unschedulable: Some("no node".into()), ..PodSeen::default() };
        assert_eq!(read(&set(2, 2, 1, true), &[nowhere]).1, "PodsUnschedulable");
        let going = PodSeen { terminating: true, ..ending };
        assert_eq!(read(&set(2, 2, 1, true), &[going]).1, "RolloutInProgress");
    }
}
