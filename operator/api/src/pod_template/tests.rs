//! What a template adds, and what it may not.

use super::*;
use k8s_openapi::api::core::v1::{Container, EnvVar, PodSecurityContext, PodSpec, Volume, VolumeMount};
use serde_json::json;

fn template(spec: Value) -> Result<Additions, TemplateError> {
    let template: PodTemplate = serde_json::from_value(json!({ "spec": spec })).unwrap();
    read(Some(&template), "core")
}

/// A pod as the operator builds it.
fn built() -> PodSpec {
    let mount =
        VolumeMount { name: "keys".into(), mount_path: "/etc/voicemail/keys".into(), ..Default::default() };
    let own = Container {
        name: "core".into(),
        image: Some("voicemail:1".into()),
        env: Some(vec![EnvVar { name: "NO_PROXY".into(), value: Some("ours".into()), ..Default::default() }]),
        volume_mounts: Some(vec![mount]),
        ..Default::default()
    };
    let security = PodSecurityContext {
        run_as_non_root: Some(true),
        run_as_user: Some(10_001),
        fs_group: Some(10_001),
        ..Default::default()
    };
    PodSpec {
        containers: vec![own],
        volumes: Some(vec![Volume { name: "keys".into(), ..Default::default() }]),
        security_context: Some(security),
        ..Default::default()
    }
}

#[test]
fn affinity_and_spread_are_kubernetes_own() {
    let terms = json!([{"topologyKey": "zone", "labelSelector": {"matchLabels": {"a": "b"}}}]);
    let affinity = json!({"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": terms}});
    let spread = json!([{"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "DoNotSchedule"}]);
    let planned = template(json!({"affinity": affinity, "topologySpreadConstraints": spread})).unwrap();
    assert_eq!(serde_json::to_value(planned.affinity).unwrap(), affinity);
    assert_eq!(serde_json::to_value(planned.spread).unwrap(), spread);
}

#[test]
fn what_core_v1_does_not_know_is_refused_by_name() {
    for (spec, words) in [
        (
            json!({"affinity": {"podAntiAfinity": {}}}),
            "podTemplate.spec.affinity: there is no field podAntiAfinity",
        ),
        (json!({"affinity": {"nodeAffinity": {"required": {}}}}), "there is no field required"),
        (
            json!({"topologySpreadConstraints": [{"maxSkew": "one"}]}),
            "topologySpreadConstraints[0]: invalid type",
        ),
        (json!({"containers": [{"name": "core", "envs": []}]}), "containers[0]: there is no field envs"),
        (
            json!({"volumes": [{"name": "x", "configmap": {"name": "y"}}]}),
            "volumes[0]: there is no field configmap",
        ),
        (json!({"securityContext": {"runAsUser": "1"}}), "securityContext: invalid type"),
        (
            json!({"volumes": [{"name": "x", "emptyDir": {}}, {"name": "x", "emptyDir": {}}]}),
            "the name x is given twice",
        ),
        (json!({"containers": [{"name": "envoy"}]}), "give it an image, or name it core"),
    ] {
        let error = template(spec).unwrap_err();
        assert!(matches!(error, TemplateError::Invalid { .. }), "{error}");
        assert!(error.to_string().contains(words), "{error}");
    }
}

#[test]
fn what_the_operator_depends_on_is_protected_by_name() {
    let own = |part: Value| {
        let mut container = json!({"name": "core"});
        container.as_object_mut().unwrap().extend(part.as_object().unwrap().clone());
        json!({"containers": [container], "volumes": [{"name": "extra", "emptyDir": {}}]})
    };
    let mount = |path: &str| own(json!({"volumeMounts": [{"name": "extra", "mountPath": path}]}));
    for (spec, words) in [
        (own(json!({"image": "other"})), "containers[0].image: write spec.image instead"),
        (own(json!({"resources": {}})), "containers[0].resources: write spec.resources instead"),
        (own(json!({"command": ["sh"]})), "containers[0].command: the operator sets it"),
        (own(json!({"securityContext": {"privileged": true}})), "containers[0].securityContext"),
        (own(json!({"livenessProbe": {}})), "containers[0].livenessProbe"),
        (own(json!({"env": [{"name": "POD_NAME", "value": "x"}]})), "the operator sets POD_NAME"),
        (mount("/etc/voicemail/keys"), "covers /etc/voicemail"),
        (mount("/etc"), "covers /etc/voicemail"),
        (mount("/"), "covers /etc/voicemail"),
        (mount("/tmp/"), "covers /tmp"),
        (json!({"volumes": [{"name": "keys", "emptyDir": {}}]}), "the operator has a volume keys"),
        (json!({"volumes": [{"name": "region-eu", "emptyDir": {}}]}), "the operator has a volume region-eu"),
        (json!({"volumes": [{"name": "node", "hostPath": {"path": "/"}}]}), "no rights on their node"),
        (json!({"securityContext": {"runAsNonRoot": false}}), "never run as root"),
        (json!({"securityContext": {"runAsUser": 0}}), "never run as root"),
        (
            json!({"containers": [{"name": "spy", "image": "spy", "volumeMounts": [{"name": "keys", "mountPath": "/keys"}]}]}),
            "the volume keys isn't one of podTemplate.spec.volumes",
        ),
        (
            json!({"initContainers": [{"name": "core", "image": "other"}]}),
            "core is the operator's container: give another name",
        ),
    ] {
        let error = template(spec.clone()).unwrap_err();
        assert!(matches!(error, TemplateError::Protected { .. }), "{spec}: {error}");
        assert!(error.to_string().contains(words), "{error}");
    }
}

#[test]
fn parts_are_added_and_what_is_built_stays() {
    let additions = template(json!({
        "volumes": [{"name": "plugins", "configMap": {"name": "plugins"}}],
        "initContainers": [{"name": "fetch", "image": "fetch:1"}],
        "containers": [
            {"name": "envoy", "image": "envoy:1", "volumeMounts": [{"name": "plugins", "mountPath": "/plugins"}]},
            {
                "name": "core",
                "env": [{"name": "NO_PROXY", "value": "theirs"}, {"name": "TZ", "value": "UTC"}],
                "envFrom": [{"secretRef": {"name": "proxy"}}],
                "volumeMounts": [{"name": "plugins", "mountPath": "/plugins", "readOnly": true}],
            },
        ],
        "securityContext": {"supplementalGroups": [7], "fsGroup": 5},
        "hostAliases": [{"ip": "192.0.2.1", "hostnames": ["store"]}],
        "dnsConfig": {"searches": ["corp.example"]},
    }))
    .unwrap();
    let pod = serde_json::to_value(additions.complete(built())).unwrap();
    assert_eq!(pod["containers"][0]["image"], "voicemail:1");
    assert_eq!(
        pod["containers"][0]["env"],
        json!([{"name": "NO_PROXY", "value": "theirs"}, {"name": "TZ", "value": "UTC"}])
    );
    assert_eq!(pod["containers"][0]["envFrom"][0]["secretRef"]["name"], "proxy");
    assert_eq!(pod["containers"][0]["volumeMounts"].as_array().unwrap().len(), 2);
    assert_eq!(pod["containers"][1]["name"], "envoy");
    assert_eq!(pod["initContainers"][0]["name"], "fetch");
    assert_eq!(pod["volumes"].as_array().unwrap().len(), 2);
    assert_eq!(
        pod["securityContext"],
        json!({"runAsNonRoot": true, "runAsUser": 10001, "fsGroup": 5, "supplementalGroups": [7]})
    );
    assert_eq!(pod["hostAliases"][0]["hostnames"][0], "store");
    assert_eq!(pod["dnsConfig"]["searches"][0], "corp.example");
}

#[test]
fn a_pod_that_works_once_gets_no_other_container() {
    let additions = template(json!({
        "containers": [{"name": "envoy", "image": "envoy:1"}, {"name": "core", "env": [{"name": "TZ", "value": "UTC"}]}],
        "initContainers": [{"name": "fetch", "image": "fetch:1"}],
    }))
    .unwrap();
    let pod = additions.complete_own(built());
    assert_eq!(pod.containers.len(), 1);
    assert!(pod.init_containers.is_none());
    assert!(pod.containers[0].env.iter().flatten().any(|variable| variable.name == "TZ"));
}

#[test]
fn a_pod_without_a_template_is_as_it_was_built() {
    let plain = read(None, "core").unwrap();
    assert_eq!(plain.complete(built()), built());
}

#[test]
fn what_goes_beyond_placement_is_named() {
    let parts = |spec: Value| serde_json::from_value::<PodParts>(spec).unwrap();
    assert_eq!(
        parts(json!({"nodeSelector": {"a": "b"}, "runtimeClassName": "gvisor"})).beyond_placement(),
        None
    );
    assert_eq!(parts(json!({"volumes": [{"name": "x"}]})).beyond_placement(), Some("volumes"));
    assert_eq!(parts(json!({"containers": [{"name": "x"}]})).beyond_placement(), Some("containers"));
}
