//! Whether the confirming annotation was written for this deletion. Pure.
//!
//! An annotation that stands in the manifest from the beginning confirms nothing: else a deletion by mistake
//! would destroy everything within seconds. So it counts only if it was written after the deletion began. Two witnesses
//! say so: the API server's record of who wrote which field when, whose times are whole seconds, and the condition
//! `ConfirmedEarly`, which is written as soon as the annotation is seen on a tenant that isn't being deleted, and stays
//! until it is gone: a manager that changes another field afterwards makes the record look new.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::ResourceExt;
use voicemail_resources::conditions::{CONFIRMED_EARLY, ConditionStatus, Finding, find_condition};
use voicemail_resources::{ABANDON_STORE, CONFIRM_DELETION, VoicemailTenant};

/// Reasons of the condition, by the annotations that stand.
const EARLY: [(&str, &[&str]); 3] = [
    ("DeletionConfirmedEarly", &[CONFIRM_DELETION]),
    ("StoreAbandonedEarly", &[ABANDON_STORE]),
    ("BothWrittenEarly", &[CONFIRM_DELETION, ABANDON_STORE]),
];

/// How an annotation stands that must have the tenant's name as its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Typed {
    /// It isn't there, or names something else.
    No,
    /// It was there before the deletion began.
    Early,
    /// It was written for this deletion.
    Yes,
}

/// How an annotation of a tenant stands that is being deleted.
pub fn read_typed(tenant: &VoicemailTenant, annotation: &str) -> Typed {
    if !names_tenant(tenant, annotation) {
        return Typed::No;
    }
    let begun = tenant.metadata.deletion_timestamp.as_ref();
    let late = match (begun, written_at(tenant, annotation)) {
        (Some(begun), Some(written)) => written.0 >= begun.0,
        _ => false,
    };
    if late && !was_early(tenant, annotation) { Typed::Yes } else { Typed::Early }
}

fn names_tenant(tenant: &VoicemailTenant, annotation: &str) -> bool {
    tenant.annotations().get(annotation) == Some(&tenant.name_any())
}

/// When the last of those wrote it who did.
fn written_at<'a>(tenant: &'a VoicemailTenant, annotation: &str) -> Option<&'a Time> {
    let field = format!("f:{annotation}");
    let wrote = |fields: &serde_json::Value| fields["f:metadata"]["f:annotations"].get(&field).is_some();
    let entries = tenant.managed_fields().iter();
    let writers = entries.filter(|entry| entry.fields_v1.as_ref().is_some_and(|fields| wrote(&fields.0)));
    writers.filter_map(|entry| entry.time.as_ref()).max_by_key(|time| time.0)
}

/// Whether it was seen before the deletion, and has stood since.
fn was_early(tenant: &VoicemailTenant, annotation: &str) -> bool {
    let conditions = tenant.status.as_ref().map(|status| status.conditions.as_slice()).unwrap_or_default();
    let known =
        find_condition(conditions, CONFIRMED_EARLY).filter(|found| found.status == ConditionStatus::True);
    let standing = known.and_then(|known| EARLY.iter().find(|(reason, _)| *reason == known.reason));
    standing.is_some_and(|(_, annotations)| annotations.contains(&annotation))
}

/// The warning: what stands too early. None when nothing does.
pub fn find_early(tenant: &VoicemailTenant) -> Option<Finding> {
    let early: Vec<&str> = [CONFIRM_DELETION, ABANDON_STORE]
        .into_iter()
        .filter(|annotation| match tenant.metadata.deletion_timestamp {
            None => names_tenant(tenant, annotation),
            Some(_) => read_typed(tenant, annotation) == Typed::Early,
        })
        .collect();
    let (reason, _) = EARLY.iter().find(|(_, annotations)| **annotations == early)?;
    let message = format!(
        "{} {} there before the tenant is deleted and won't count then: {}",
        early.join(" and "),
        if early.len() == 1 { "stands" } else { "stand" },
        early.iter().map(|annotation| take_away(tenant, annotation)).collect::<Vec<_>>().join("; ")
    );
    Some(Finding::new(CONFIRMED_EARLY, true, *reason, message))
}

/// The command that takes an annotation away.
pub fn take_away(tenant: &VoicemailTenant, annotation: &str) -> String {
    let (name, namespace) = (tenant.name_any(), tenant.namespace().unwrap_or_default());
    format!("kubectl annotate vmt {name} -n {namespace} {annotation}-")
}
