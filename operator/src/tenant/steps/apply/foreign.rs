//! Fields that nobody else may add to a tenant's children, since they change whom the tenant trusts or whether it serves. Pure.
//!
//! Server-side apply leaves alone what others add, and most of that is theirs to add: labels, annotations, a class of load
//! balancer, what a mesh or an injector writes into templates and pods. The fields listed here are not: with them a
//! child would be reached by others, run with other rights, take in foreign settings, or stand still. They are taken away
//! again, and an event says so.

use serde_json::{Value, json};

/// By kind: paths of fields; `*` is every item of a list.
const FORBIDDEN: [(&str, &[&str]); 6] = [
    (
        "Service",
        &["spec.externalIPs", "spec.publishNotReadyAddresses", "spec.externalName", "spec.loadBalancerIP"],
    ),
    ("NetworkPolicy", &["spec.egress"]),
    ("ServiceAccount", &["automountServiceAccountToken"]),
    ("StatefulSet", OF_PODS),
    ("Deployment", OF_PODS),
    ("Deployment", &["spec.paused"]),
];

/// Of whatever makes pods.
const OF_PODS: &[&str] = &[
    "spec.template.spec.hostNetwork",
    "spec.template.spec.hostPID",
    "spec.template.spec.hostIPC",
    "spec.template.spec.hostAliases",
    "spec.template.spec.shareProcessNamespace",
    "spec.template.spec.automountServiceAccountToken",
    "spec.template.spec.initContainers",
    "spec.template.spec.nodeName",
    "spec.template.spec.containers.*.envFrom",
    "spec.template.spec.containers.*.lifecycle.postStart",
    "spec.template.spec.containers.*.securityContext.privileged",
    "spec.template.spec.containers.*.securityContext.runAsUser",
    "spec.template.spec.containers.*.securityContext.capabilities.add",
];

/// The paths of forbidden fields that `live` has and `desired`, which has its kind, hasn't.
pub(super) fn find_foreign(desired: &Value, live: &Value) -> Vec<&'static str> {
    let kind = desired["kind"].as_str().unwrap_or_default();
    let paths = FORBIDDEN.iter().filter(|(of, _)| *of == kind).flat_map(|(_, paths)| paths.iter().copied());
    paths.filter(|path| adds(desired, live, path)).collect()
}

fn adds(desired: &Value, live: &Value, path: &str) -> bool {
    let (step, rest) = path.split_once('.').map_or((path, None), |(step, rest)| (step, Some(rest)));
    if step == "*" {
        let items = live.as_array().into_iter().flatten().enumerate();
        return rest.is_some_and(|rest| {
            items
                .into_iter()
                .any(|(place, item)| adds(desired.get(place).unwrap_or(&Value::Null), item, rest))
        });
    }
    let (wanted, found) = (desired.get(step).unwrap_or(&Value::Null), live.get(step).unwrap_or(&Value::Null));
    match rest {
        Some(rest) => adds(wanted, found, rest),
        None => wanted.is_null() && means_something(step, found),
    }
}

/// An empty or switched-off value equals the absence of the field; but a token that isn't mounted is missed.
fn means_something(field: &str, value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(on) => *on || field == "automountServiceAccountToken",
        Value::Array(items) => !items.is_empty(),
        Value::String(text) => !text.is_empty(),
        _ => true,
    }
}

/// A merge patch that brings the live object to what is desired, and takes these fields from it. Lists are replaced whole.
pub(super) fn without_foreign(desired: &Value, foreign: &[&str]) -> Value {
    let mut patch = desired.clone();
    for path in foreign.iter().filter(|path| !path.contains('*')) {
        let mut place = &mut patch;
        for step in path.split('.') {
            place = &mut place[step];
        }
        *place = json!(null);
    }
    patch
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tenant::build::build;
    use crate::tenant::tests::plan;

    fn object(kind: &str, object: impl serde::Serialize) -> Value {
        let mut value = serde_json::to_value(object).unwrap();
        value["kind"] = json!(kind);
        value
    }

    fn set(value: &mut Value, path: &str, to: Value) {
        let pointer = format!("/{}", path.replace('.', "/"));
        let (parent, field) = pointer.rsplit_once('/').unwrap();
        value.pointer_mut(parent).unwrap()[field] = to;
    }

    #[test]
    fn what_changes_whom_a_tenant_trusts_or_whether_it_serves_is_found_and_taken_away() {
        let built = build(&plan()).unwrap();
        let deployment = object("Deployment", &built.deployment);
        let container = "spec.template.spec.containers.0";
        let [service, ..] = &built.services;
        for (desired, path, value) in [
            (object("Service", service), "spec.externalIPs", json!(["192.0.2.1"])),
            (object("Service", service), "spec.publishNotReadyAddresses", json!(true)),
            (object("NetworkPolicy", &built.network_policy), "spec.egress", json!([{}])),
            (object("ServiceAccount", &built.service_account), "automountServiceAccountToken", json!(false)),
            (deployment.clone(), "spec.paused", json!(true)),
            (deployment.clone(), "spec.template.spec.hostNetwork", json!(true)),
            (deployment.clone(), "spec.template.spec.initContainers", json!([{"name": "foreign"}])),
            (deployment.clone(), &format!("{container}.envFrom"), json!([{"secretRef": {"name": "x"}}])),
            (deployment.clone(), &format!("{container}.securityContext.privileged"), json!(true)),
        ] {
            let mut live = desired.clone();
            assert!(find_foreign(&desired, &live).is_empty());
            set(&mut live, path, value);
            let found = find_foreign(&desired, &live);
            assert_eq!(found.len(), 1, "{path}: {found:?}");
            let patch = without_foreign(&desired, &found);
            let cleared = patch.pointer(&format!("/{}", path.replace('.', "/"))).is_none_or(Value::is_null);
            assert!(cleared, "{path}: {patch}");
        }
    }

    #[test]
    fn what_injectors_and_the_server_add_stays() {
        let desired = object("Deployment", build(&plan()).unwrap().deployment);
        let mut live = desired.clone();
        set(&mut live, "spec.template.metadata.annotations", json!({"linkerd.io/inject": "enabled"}));
        set(&mut live, "spec.template.spec.containers.0.env", json!([{"name": "OTEL_RESOURCE_ATTRIBUTES"}]));
        set(&mut live, "spec.template.spec.dnsPolicy", json!("ClusterFirst"));
        set(&mut live, "spec.template.spec.hostNetwork", json!(false));
        assert!(find_foreign(&desired, &live).is_empty());
        let headless = object("Service", &build(&plan()).unwrap().services[1]);
        assert!(find_foreign(&headless, &headless).is_empty(), "what we want ourselves isn't foreign");
    }
}
