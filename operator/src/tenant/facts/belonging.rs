//! Which objects are a tenant's own, and which were made by the operator. Pure.
//!
//! A child bears its tenant's name and UID in labels. Children of releases before there was that label name the tenant
//! as their owner, or, if they outlive it, bear the name alone. Labels of the name alone may have been copied, and a
//! name may have been given again: what is removed is compared with the UID.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::{Resource, ResourceExt};
use voicemail_resources::{MANAGED_BY_LABEL, MANAGER, TENANT_LABEL, TENANT_UID_LABEL, VoicemailTenant};

fn has_label<K: Resource>(live: &K, label: &str, value: &str) -> bool {
    live.labels().get(label).is_some_and(|found| found == value)
}

/// Whether an object is a child of the tenant of that name and UID.
pub fn is_owned<K: Resource>(live: &K, tenant: &str, uid: &str) -> bool {
    let named = has_label(live, TENANT_LABEL, tenant);
    let owner = || live.owner_references().iter().any(|reference| reference.uid == uid);
    named && (has_label(live, TENANT_UID_LABEL, uid) || owner())
}

/// Whether the operator made an object that outlives its tenant, for the tenant of that name and UID. Without a UID it is
/// of a former release.
pub fn is_made_for<K: Resource>(live: &K, tenant: &str, uid: &str) -> bool {
    let made = has_label(live, MANAGED_BY_LABEL, MANAGER) && has_label(live, TENANT_LABEL, tenant);
    made && live.labels().get(TENANT_UID_LABEL).is_none_or(|found| found == uid)
}

/// Whether the operator made an object for a tenant of this name, and it lacks this tenant's UID, or is still given to
/// the garbage collector: one that outlives its tenant is taken over by the next of that name.
pub fn is_unmarked<K: Resource>(live: &K, tenant: &VoicemailTenant) -> bool {
    let made =
        has_label(live, MANAGED_BY_LABEL, MANAGER) && has_label(live, TENANT_LABEL, &tenant.name_any());
    let marked = has_label(live, TENANT_UID_LABEL, &tenant.uid().unwrap_or_default());
    made && (!marked || is_collectable(live))
}

/// Whether the garbage collector takes an object together with a tenant.
pub fn is_collectable<K: Resource>(live: &K) -> bool {
    live.owner_references().iter().any(is_tenant)
}

/// An object's owners, without tenants.
pub fn other_owners<K: Resource>(live: &K) -> Vec<OwnerReference> {
    live.owner_references().iter().filter(|owner| !is_tenant(owner)).cloned().collect()
}

fn is_tenant(owner: &OwnerReference) -> bool {
    owner.kind == VoicemailTenant::kind(&()) && owner.api_version.starts_with("voicemail.dev/")
}

/// The reference by which the garbage collector takes a child as soon as the tenant is gone. It holds up nothing.
pub fn reference(tenant: &str, uid: &str) -> OwnerReference {
    OwnerReference {
        api_version: VoicemailTenant::api_version(&()).into_owned(),
        kind: VoicemailTenant::kind(&()).into_owned(),
        name: tenant.to_owned(),
        uid: uid.to_owned(),
        block_owner_deletion: None,
        controller: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tenant::tests::tenant;
    use k8s_openapi::api::core::v1::Secret;
    use serde_json::{Value, json};

    fn secret(labels: Value, owner: Option<&str>) -> Secret {
        let owners: Vec<_> = owner.iter().map(|uid| reference("acme", uid)).collect();
        serde_json::from_value(
            json!({"metadata": {"name": "s", "labels": labels, "ownerReferences": owners}}),
        )
        .unwrap()
    }

    fn labels(uid: Option<&str>) -> Value {
        let mut labels =
            json!({"app.kubernetes.io/managed-by": "voicemail-operator", "voicemail.dev/tenant": "acme"});
        uid.into_iter().for_each(|uid| labels["voicemail.dev/tenant-uid"] = json!(uid));
        labels
    }

    #[test]
    fn a_child_is_known_by_name_and_uid_or_by_the_owner_that_former_releases_wrote() {
        assert!(is_owned(&secret(labels(Some("uid-1")), None), "acme", "uid-1"));
        assert!(is_owned(&secret(labels(None), Some("uid-1")), "acme", "uid-1"));
        for other in [
            secret(labels(None), None),
            secret(labels(Some("uid-2")), None),
            secret(labels(None), Some("uid-2")),
            secret(json!({"voicemail.dev/tenant": "beta", "voicemail.dev/tenant-uid": "uid-1"}), None),
        ] {
            assert!(!is_owned(&other, "acme", "uid-1"), "{other:?}");
        }
    }

    #[test]
    fn what_the_operator_did_not_make_or_made_for_another_is_not_ours_to_delete() {
        assert!(is_made_for(&secret(labels(Some("uid-1")), None), "acme", "uid-1"));
        assert!(is_made_for(&secret(labels(None), None), "acme", "uid-1"), "of a former release");
        for other in [
            secret(json!({}), None),
            secret(json!({"voicemail.dev/tenant": "acme"}), None),
            secret(labels(Some("uid-2")), None),
        ] {
            assert!(!is_made_for(&other, "acme", "uid-1"), "{other:?}");
        }
    }

    #[test]
    fn what_the_operator_made_gets_the_uid_and_leaves_the_garbage_collector() {
        let acme = tenant(|_| {});
        assert!(!is_unmarked(&secret(labels(Some("uid-1")), None), &acme));
        assert!(!is_unmarked(&secret(json!({"voicemail.dev/tenant": "acme"}), None), &acme));
        for unmarked in [
            secret(labels(None), Some("uid-1")),
            secret(labels(Some("uid-2")), None),
            secret(labels(Some("uid-1")), Some("uid-1")),
        ] {
            assert!(is_unmarked(&unmarked, &acme), "{unmarked:?}");
        }
    }
}
