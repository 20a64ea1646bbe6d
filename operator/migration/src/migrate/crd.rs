//! The CRDs on the way: a temporary one that only checks, and one that takes both forms while objects are written anew. Pure.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, CustomResourceDefinitionVersion,
};
use serde_json::{Value, json};

/// The group of the temporary CRDs.
pub(super) const CHECK_GROUP: &str = "migration.voicemail.dev";
/// The version that is.
pub(super) const PRESENT_VERSION: &str = "v1beta1";
/// The former one.
pub(super) const FORMER_VERSION: &str = "v1alpha1";
/// The kinds that the former version had: the Job has no right to others.
const FORMER_KINDS: [&str; 2] = ["VoicemailTenant", "GdprRequest"];
/// Rules for what is made anew: what is stored already is left alone by the API server, as long as it doesn't change.
const FOR_NEW_ONES: [&str; 1] = ["caseID: seven digits"];

/// The present CRDs of kinds that the former version had.
pub(super) fn former_kinds() -> impl Iterator<Item = CustomResourceDefinition> {
    let crds = voicemail_resources::crds().into_iter().map(|(_, crd)| crd);
    crds.filter(|crd| FORMER_KINDS.contains(&crd.spec.names.kind.as_str()))
}

/// The present CRD in a group of its own, by which objects are checked and nothing is stored.
pub(super) fn check_crd(present: &CustomResourceDefinition) -> CustomResourceDefinition {
    let mut crd = present.clone();
    crd.spec.group = CHECK_GROUP.into();
    let names = &mut crd.spec.names;
    (names.categories, names.short_names) = (None, None);
    crd.metadata.name = Some(format!("{}.{CHECK_GROUP}", names.plural));
    let Ok(mut value) = serde_json::to_value(&crd) else { return crd };
    let spec = "/spec/versions/0/schema/openAPIV3Schema/properties/spec/x-kubernetes-validations";
    if let Some(rules) = value.pointer_mut(spec).and_then(Value::as_array_mut) {
        let is_for_new = |rule: &Value| {
            let message = rule["message"].as_str().unwrap_or_default();
            FOR_NEW_ONES.iter().any(|beginning| message.starts_with(beginning))
        };
        rules.retain(|rule| !is_for_new(rule));
    }
    serde_json::from_value(value).unwrap_or(crd)
}

/// Both versions with open schemas: what is stored is read as it is, nothing is pruned, and only the present version is
/// served. Without a subresource for the status, spec and status are written at once.
pub(super) fn transitional_versions() -> Vec<CustomResourceDefinitionVersion> {
    let open = |name: &str, present: bool| {
        let schema = json!({ "type": "object", "x-kubernetes-preserve-unknown-fields": true });
        let version = json!({ "name": name, "served": present, "storage": present,
                              "schema": { "openAPIV3Schema": schema } });
        serde_json::from_value(version).unwrap_or_default()
    };
    vec![open(PRESENT_VERSION, true), open(FORMER_VERSION, false)]
}

/// Whether objects may be stored in the former version.
pub(super) fn is_former(crd: &CustomResourceDefinition) -> bool {
    let stored = crd.status.as_ref().and_then(|status| status.stored_versions.clone()).unwrap_or_default();
    stored.iter().any(|version| version == FORMER_VERSION)
        || crd.spec.versions.iter().any(|version| version.name == FORMER_VERSION)
}

/// Whether the API server serves the former version.
pub(super) fn serves_former(crd: &CustomResourceDefinition) -> bool {
    crd.spec.versions.iter().any(|version| version.name == FORMER_VERSION && version.served)
}

#[cfg(test)]
mod tests {
    use super::*;
    use kube::ResourceExt;

    const ROLE: &str = include_str!("../../../../charts/voicemail-operator/templates/migration.yaml");

    #[test]
    fn the_job_may_read_every_crd_that_it_reads() {
        assert_eq!(former_kinds().count(), FORMER_KINDS.len());
        for crd in former_kinds() {
            for name in [crd.name_any(), check_crd(&crd).name_any()] {
                assert!(ROLE.contains(&format!("  - {name}\n")), "{name}");
            }
        }
    }
}
