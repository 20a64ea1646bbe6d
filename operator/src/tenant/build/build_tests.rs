//! The objects that are built from a plan, field by field.

use crate::tenant::build::certificate::{
    CA_CERTIFICATE, TLS_CERTIFICATE, TLS_KEY, make_authority, make_serving_secret, serving_names,
};
use crate::tenant::build::retire_job::{Ending, Stage, build_retire_job};
use crate::tenant::build::{Built, BuiltStorage, build};
use crate::tenant::steps::validate::Plan;
use crate::tenant::tests::{facts, now, plan, plan_with, tenant};
use k8s_openapi::api::core::v1::PersistentVolumeClaim;
use serde_json::{Value, json};
use voicemail_api::config::{Holder, TenantConfig};
use voicemail_resources::VoicemailTenant;

fn built() -> Built {
    build(&plan()).unwrap()
}

#[test]
fn configuration_is_what_the_core_reads() {
    let data = built().config.data.unwrap();
    let config = TenantConfig::parse(&data["config.yaml"]).unwrap();
    assert_eq!(config, plan().config);
    // Beside it: a core of a former release refuses a configuration with fields that it doesn't know.
    let holder: Holder = serde_json::from_str(&data["holder.json"]).unwrap();
    assert_eq!((holder.to_string().as_str(), holder.uid.as_str()), ("voice/acme", "uid-1"));
    let kubernetes = config.auth.kubernetes.unwrap();
    assert_eq!(kubernetes.audiences, ["2c5ea4c0-4067-11e9-8bad-9b1deb4d3b7d", "uid-1"]);
    let operator = kubernetes.service_accounts.last().unwrap();
    assert_eq!((operator.namespace.as_str(), operator.name.as_str()), ("ops", "op"));
    assert_eq!(operator.audience.as_deref(), Some("uid-1"));
    assert_eq!((config.default_number_region.as_str(), config.cluster.as_str()), ("GB", "cluster-1"));
}

#[test]
fn replicas_find_one_another_by_the_addresses_of_the_headless_service() {
    let built = built();
    let headless = serde_json::to_value(&built.services[1]).unwrap();
    assert_eq!(headless["metadata"]["name"], "acme-voicemail-headless");
    let spec = &headless["spec"];
    // Also of pods that aren't ready: they may still hold event streams.
    assert_eq!((&spec["clusterIP"], &spec["publishNotReadyAddresses"]), (&json!("None"), &json!(true)));
    let config = plan().config.peers.unwrap();
    assert_eq!((config.service.as_str(), config.listen.port()), ("acme-voicemail-headless:9091", 9091));
}

fn built_claim(tenant: &VoicemailTenant) -> PersistentVolumeClaim {
    match build(&plan_with(tenant, &facts()).unwrap()).unwrap().storage {
        BuiltStorage::Claim(claim) => *claim,
        other => panic!("{other:?}"),
    }
}

#[test]
fn claim_is_the_vendors_sample_field_by_field() {
    let claim = serde_json::to_value(built_claim(&tenant(|_| {}))).unwrap();
    assert_eq!(claim["metadata"]["labels"]["servicename"], "voice-voicemail");
    let expected = json!({
        "storageClassName": "voice-voicemail",
        "volumeMode": "Filesystem",
        "accessModes": ["ReadWriteMany"],
        "resources": {"requests": {"storage": "20Gi"}},
    });
    assert_eq!(claim["spec"], expected);
    assert!(claim["metadata"].get("ownerReferences").is_none(), "garbage collection would take the messages");
}

#[test]
fn claim_can_name_or_select_its_volume() {
    for (field, given) in [("volumeName", json!("pv-1")), ("selector", json!({"matchLabels": {"a": "b"}}))] {
        let tenant = tenant(|value| {
            value["spec"]["regions"][0]["storage"]["volume"]["claim"][field] = given.clone();
        });
        let claim = built_claim(&tenant);
        assert_eq!(serde_json::to_value(claim).unwrap()["spec"][field], given);
    }
}

#[test]
fn pods_are_restricted_and_mount_what_the_configuration_names() {
    let deployment = serde_json::to_value(built().deployment).unwrap();
    let pod = &deployment["spec"]["template"]["spec"];
    assert_eq!(pod["securityContext"]["runAsNonRoot"], true);
    assert_eq!(pod["securityContext"]["seccompProfile"]["type"], "RuntimeDefault");
    let container = &pod["containers"][0];
    assert_eq!(container["image"], "core:1");
    assert_eq!(container["securityContext"]["capabilities"]["drop"], json!(["ALL"]));
    assert_eq!(container["securityContext"]["readOnlyRootFilesystem"], true);
    let mounts: Vec<&str> = container["volumeMounts"]
        .as_array()
        .unwrap()
        .iter()
        .map(|m| m["mountPath"].as_str().unwrap())
        .collect();
    let config = plan().config;
    let tls = config.listen.tls.unwrap();
    let head = config.gdpr.expected_head.unwrap();
    for path in [&config.keys_dir, &tls.certificate, &tls.key, &head] {
        assert!(mounts.iter().any(|mount| path.starts_with(mount)), "{path:?} in {mounts:?}");
    }
    assert!(pod.get("automountServiceAccountToken").is_none(), "the core needs its token for discovery");
}

#[test]
fn a_new_operator_version_or_configuration_rolls_no_pod() {
    let template = |tenant: &VoicemailTenant| {
        let deployment = build(&plan_with(tenant, &facts()).unwrap()).unwrap().deployment;
        serde_json::to_string(&deployment.spec.unwrap().template).unwrap()
    };
    let text = template(&tenant(|_| {}));
    assert!(!text.contains(env!("CARGO_PKG_VERSION")));
    let changed = tenant(|value| value["spec"]["classesOfService"][0]["maxMessages"] = json!(99));
    assert_eq!(template(&changed), text);
}

#[test]
fn every_child_bears_its_tenants_uid_and_names_no_owner_and_the_pods_templates_do_not_change() {
    let built = built();
    let marked = |value: Value| {
        let metadata = &value["metadata"];
        assert_eq!(metadata["labels"]["voicemail.dev/tenant-uid"], "uid-1", "{value}");
        assert!(metadata.get("ownerReferences").is_none(), "a foreground deletion would take it: {value}");
    };
    let BuiltStorage::Claim(claim) = built.storage else { panic!() };
    marked(serde_json::to_value(claim).unwrap());
    marked(serde_json::to_value(&built.config).unwrap());
    marked(serde_json::to_value(&built.service_account).unwrap());
    marked(serde_json::to_value(&built.disruption_budget).unwrap());
    marked(serde_json::to_value(&built.network_policy).unwrap());
    built.services.iter().for_each(|service| marked(serde_json::to_value(service).unwrap()));
    let template = serde_json::to_string(&built.deployment.spec.clone().unwrap().template).unwrap();
    assert!(!template.contains("tenant-uid"), "every pod would be restarted");
    marked(serde_json::to_value(&built.deployment).unwrap());
}

#[test]
fn serving_certificate_is_for_the_services_and_signed_by_the_authority() {
    let authority = make_authority(&plan(), now()).unwrap();
    let secret = make_serving_secret(&plan(), &authority, now()).unwrap();
    let data = secret.data.unwrap();
    assert_eq!(data[CA_CERTIFICATE].0, authority.certificate.as_bytes());
    for key in [TLS_CERTIFICATE, TLS_KEY] {
        assert!(data[key].0.starts_with(b"-----BEGIN"), "{key}");
    }
    assert!(!data.contains_key("ca.key"), "pods must not see the authority's key");
    let names = serving_names("acme", "voice", "cluster.local");
    for name in
        ["acme-voicemail", "acme-voicemail.voice.svc", "acme-voicemail.voice.svc.cluster.local", "localhost"]
    {
        assert!(names.iter().any(|n| n == name), "{name}");
    }
}

#[test]
fn pods_go_where_the_tenant_says_and_tolerate_what_it_names() {
    let tenant = tenant(|value| {
        value["spec"]["podTemplate"] = json!({"metadata": {"labels": {"team": "voice"}}, "spec": {
            "nodeSelector": {"pool": "voice"}, "priorityClassName": "high", "runtimeClassName": "gvisor",
            "tolerations": [{"key": "voice", "operator": "Equal", "value": "only", "effect": "NoSchedule"},
                            {"key": "gpu", "operator": "Exists"}],
        }});
    });
    let deployment = build(&plan_with(&tenant, &facts()).unwrap()).unwrap().deployment;
    let pod = serde_json::to_value(deployment.spec.unwrap().template.spec).unwrap();
    assert_eq!(pod["nodeSelector"], json!({"pool": "voice"}));
    assert_eq!(pod["priorityClassName"], "high");
    assert_eq!(
        pod["tolerations"],
        json!([{"key": "voice", "operator": "Equal", "value": "only", "effect": "NoSchedule"},
               {"key": "gpu", "operator": "Exists"}])
    );
}

#[test]
fn what_lets_go_of_the_store_runs_as_the_cores_do_and_is_never_taken_for_one() {
    let job = serde_json::to_value(build_retire_job(&plan(), Stage::End, Ending::Remove)).unwrap();
    let cores = serde_json::to_value(built().deployment).unwrap();
    let (pod, core) = (&job["spec"]["template"]["spec"], &cores["spec"]["template"]["spec"]);
    for field in ["securityContext", "serviceAccountName", "volumes"] {
        assert_eq!(pod[field], core[field], "{field}");
    }
    for field in ["image", "command", "volumeMounts", "securityContext", "resources"] {
        assert_eq!(pod["containers"][0][field], core["containers"][0][field], "{field}");
    }
    let arguments = serde_json::to_string(&pod["containers"][0]["args"]).unwrap();
    assert!(
        arguments.ends_with(r#""--remove","--confirm","2c5ea4c0-4067-11e9-8bad-9b1deb4d3b7d"]"#),
        "{arguments}"
    );
    let name = |value: &Value| value["metadata"]["labels"]["app.kubernetes.io/name"].clone();
    assert_eq!(cores["spec"]["selector"]["matchLabels"]["app.kubernetes.io/name"], "voicemail");
    assert_eq!(name(&job["spec"]["template"]), "voicemail-retire");
    assert_eq!(job["spec"]["template"]["metadata"]["labels"]["voicemail.dev/tenant"], "acme");
}

#[test]
fn alert_rules_come_with_the_monitor_unless_they_are_installed_for_all() {
    assert!(built().prometheus_rule.is_some() && built().pod_monitor.is_some());
    let elsewhere = build(&Plan { tenant_rules: false, ..plan() }).unwrap();
    assert!(elsewhere.prometheus_rule.is_none() && elsewhere.pod_monitor.is_some());
    let off = tenant(|value| value["spec"]["monitoring"] = json!({"mode": "Disabled"}));
    let off = build(&plan_with(&off, &facts()).unwrap()).unwrap();
    assert!(off.prometheus_rule.is_none() && off.pod_monitor.is_none());
}
