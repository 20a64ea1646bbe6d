//! Which annotations confirm a deletion, by the time at which they were written.

use crate::tenant::deletion::confirmation::{Typed, find_early, read_typed};
use crate::tenant::tests::tenant;
use kube::ResourceExt;
use serde_json::json;
use voicemail_resources::{ABANDON_STORE, CONFIRM_DELETION, VoicemailTenant};

const BEGUN: &str = "2026-11-23T10:00:00Z";

/// A tenant whose deletion began then, with an annotation that was written at that time.
pub(super) fn deleting(annotation: &str, value: &str, written: &str) -> VoicemailTenant {
    tenant(|object| {
        object["metadata"]["deletionTimestamp"] = json!(BEGUN);
        object["metadata"]["annotations"] = json!({ annotation: value });
        object["metadata"]["managedFields"] = json!([{
            "manager": "kubectl", "operation": "Update", "time": written,
            "fieldsV1": {"f:metadata": {"f:annotations": {format!("f:{annotation}"): {}}}},
        }]);
    })
}

#[test]
fn only_what_was_written_after_the_deletion_began_counts() {
    let typed = |value: &str, written: &str| {
        read_typed(&deleting(CONFIRM_DELETION, value, written), CONFIRM_DELETION)
    };
    assert_eq!(typed("acme", "2026-11-23T10:00:05Z"), Typed::Yes);
    assert_eq!(typed("acme", "2026-11-23T09:59:59Z"), Typed::Early);
    assert_eq!(typed("other", "2026-11-23T10:00:05Z"), Typed::No);
    let mut unknown = deleting(CONFIRM_DELETION, "acme", BEGUN);
    unknown.metadata.managed_fields = None;
    assert_eq!(read_typed(&unknown, CONFIRM_DELETION), Typed::Early, "nobody knows when");
}

#[test]
fn a_manifest_that_is_changed_later_makes_an_early_confirmation_no_younger() {
    let warned = tenant(|object| {
        object["metadata"]["annotations"] = json!({CONFIRM_DELETION: "acme"});
    });
    let warning = find_early(&warned).unwrap();
    assert!(warning.message.contains("kubectl annotate vmt acme -n voice voicemail.dev/confirm-deletion-"));
    let mut later = deleting(CONFIRM_DELETION, "acme", "2026-11-23T11:00:00Z");
    let known = voicemail_resources::conditions::merge_conditions(
        &[],
        vec![warning],
        None,
        crate::tenant::tests::now(),
    );
    later.status.get_or_insert_default().conditions = known;
    assert_eq!(read_typed(&later, CONFIRM_DELETION), Typed::Early);
    assert_eq!(find_early(&later).unwrap().reason, "DeletionConfirmedEarly", "it is remembered");
    later.annotations_mut().clear();
    assert_eq!(find_early(&later), None, "once it is gone it may be written anew");
}

#[test]
fn each_annotation_is_warned_of_by_itself() {
    assert_eq!(find_early(&tenant(|_| {})), None);
    let both = tenant(|object| {
        object["metadata"]["annotations"] = json!({CONFIRM_DELETION: "acme", ABANDON_STORE: "acme"});
    });
    assert_eq!(find_early(&both).unwrap().reason, "BothWrittenEarly");
    let late = deleting(ABANDON_STORE, "acme", "2026-11-23T10:00:05Z");
    assert_eq!((find_early(&late), read_typed(&late, ABANDON_STORE)), (None, Typed::Yes));
}
