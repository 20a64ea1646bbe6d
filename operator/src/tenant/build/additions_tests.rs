//! What a spec adds to what is built: templates of pods, proxies, authorities, ranges of users; and what clients find.

use crate::tenant::build::build;
use crate::tenant::build::certificate::{make_authority, make_serving_secret};
use crate::tenant::build::retire_job::{Ending, Stage, build_retire_job};
use crate::tenant::steps::dereference::{Facts, TlsFact};
use crate::tenant::tests::{facts, now, parts_of, plan, plan_with, tenant};
use k8s_openapi::api::apps::v1::Deployment;
use serde_json::{Value, json};
use voicemail_runtime::calls::Classified;

fn pod_of(deployment: &Deployment) -> Value {
    serde_json::to_value(deployment).unwrap()["spec"]["template"]["spec"].take()
}

#[test]
fn a_proxy_and_trusted_authorities_are_variables_of_the_core() {
    let spec = |value: &mut Value| {
        value["spec"]["proxy"] =
            json!({"httpsProxy": "http://proxy.example:3128", "noProxy": [".corp.example"]});
        value["spec"]["trustedCARef"] = json!({"name": "company-ca"});
    };
    let plan = plan_with(&tenant(spec), &facts()).unwrap();
    let pod = pod_of(&build(&plan).unwrap().deployment);
    assert_eq!(
        pod["containers"][0]["env"],
        json!([
            {"name": "HTTPS_PROXY", "value": "http://proxy.example:3128"},
            {"name": "NO_PROXY", "value": ".corp.example,localhost,127.0.0.0/8,::1,.svc,.cluster.local"},
            {"name": "SSL_CERT_DIR", "value": "/etc/ssl/certs:/etc/voicemail/trust/configMap/company-ca"},
        ])
    );
    let trust = pod["volumes"].as_array().unwrap().iter().find(|volume| volume["name"] == "trust").unwrap();
    assert_eq!(trust["projected"]["sources"][0]["configMap"]["name"], "company-ca");
}

#[test]
fn pods_ask_for_no_user_where_the_namespace_has_a_range() {
    let ranged = Facts { has_user_range: true, ..facts() };
    let telephony = |value: &mut Value| {
        value["spec"]["telephony"] =
            json!({"domain": "pbx.example.com", "trunks": [{"name": "pbx", "addresses": ["192.0.2.0/24"]}]});
    };
    let built = build(&plan_with(&tenant(telephony), &ranged).unwrap()).unwrap();
    let telephone = serde_json::to_value(&built.telephony.unwrap().stateful_set).unwrap();
    for pod in [pod_of(&built.deployment), telephone["spec"]["template"]["spec"].clone()] {
        let security = &pod["securityContext"];
        assert_eq!(security["runAsNonRoot"], true);
        assert!(security.get("runAsUser").is_none() && security.get("fsGroup").is_none(), "{security}");
    }
    let fixed = pod_of(&build(&plan()).unwrap().deployment);
    assert_eq!(fixed["securityContext"]["runAsUser"], 10_001);
}

#[test]
fn a_job_that_lets_go_of_the_store_has_the_variables_and_no_other_container() {
    let spec = |value: &mut Value| {
        value["spec"]["podTemplate"] = json!({"spec": {"containers": [
            {"name": "voicemail", "env": [{"name": "TZ", "value": "UTC"}]}, {"name": "envoy", "image": "envoy:1"},
        ]}});
    };
    let plan = plan_with(&tenant(spec), &facts()).unwrap();
    assert_eq!(pod_of(&build(&plan).unwrap().deployment)["containers"][1]["name"], "envoy");
    let job = serde_json::to_value(build_retire_job(&plan, Stage::End, Ending::Deregister)).unwrap();
    let containers = job["spec"]["template"]["spec"]["containers"].as_array().unwrap();
    assert_eq!(containers.len(), 1);
    assert_eq!(containers[0]["env"], json!([{"name": "TZ", "value": "UTC"}]));
}

#[test]
fn a_template_that_cannot_be_carried_out_is_refused_by_its_field() {
    let refused = |spec: Value| {
        let change = move |value: &mut Value| value["spec"]["podTemplate"] = json!({ "spec": spec });
        let refusal = plan_with(&tenant(change), &facts()).unwrap_err();
        (refusal.reason(), refusal.to_string())
    };
    let (reason, words) = refused(json!({"affinity": {"x": {}}}));
    assert_eq!(
        (reason, words.as_str()),
        ("PodTemplateInvalid", "spec.podTemplate.spec.affinity: there is no field x")
    );
    let (reason, words) = refused(json!({"containers": [{"name": "voicemail", "image": "other"}]}));
    assert_eq!(reason, "PodTemplateProtected");
    assert!(words.contains("write spec.image instead"), "{words}");
}

#[test]
fn clients_find_the_authority_and_the_binding() {
    let authority = make_authority(&plan(), now()).unwrap();
    let served = make_serving_secret(&plan(), &authority, now()).unwrap();
    let parts = parts_of(served);
    let tls = TlsFact {
        parts: Some(parts),
        renew_at: Some(now() + jiff::Span::new().hours(24)),
        ..TlsFact::default()
    };
    let facts = Facts { tls: Some(tls), authority: Some(authority.clone()), ..facts() };
    let built = build(&plan_with(&tenant(|_| {}), &facts).unwrap()).unwrap();
    assert_eq!(built.authority.metadata.name.as_deref(), Some("acme-voicemail-ca"));
    assert_eq!(built.authority.data.unwrap()["ca.crt"], authority.certificate);
    let text = |key: &str| String::from_utf8(built.binding.data.as_ref().unwrap()[key].0.clone()).unwrap();
    assert_eq!(built.binding.type_.as_deref(), Some("servicebinding.io/voicemail"));
    assert_eq!((text("type").as_str(), text("port").as_str()), ("voicemail", "8081"));
    assert_eq!(text("uri"), "https://acme-voicemail.voice.svc:8081");
    assert_eq!(text("certificates"), authority.certificate);
    assert_eq!(text("audience"), plan().config.tenant_id);
}

/// A volume of the operator's that a template could give anew would be somebody else's content under our name.
#[test]
fn every_volume_of_ours_is_protected() {
    let telephony = |value: &mut Value| {
        value["spec"]["telephony"] = json!({"domain": "pbx.example.com", "tls": {"secretRef": {"name": "sip"}, "peerCARef": {"name": "ca"}},
            "trunks": [{"name": "pbx", "addresses": ["192.0.2.0/24"], "digest": {"secretRef": {"name": "users"}}}]});
        value["spec"]["trustedCARef"] = json!({"name": "company-ca"});
        value["spec"]["auth"]["basic"] = json!({"secretRef": {"name": "people"}});
    };
    let built = build(&plan_with(&tenant(telephony), &facts()).unwrap()).unwrap();
    let telephone = serde_json::to_value(&built.telephony.unwrap().stateful_set).unwrap();
    let pods = [pod_of(&built.deployment), telephone["spec"]["template"]["spec"].clone()];
    let names: Vec<&str> = pods
        .iter()
        .flat_map(|pod| pod["volumes"].as_array().unwrap())
        .map(|volume| volume["name"].as_str().unwrap())
        .collect();
    assert!(names.len() >= 10 && names.contains(&"digest") && names.contains(&"basic"), "{names:?}");
    for name in names {
        let given = json!({"spec": {"volumes": [{"name": name, "emptyDir": {}}]}});
        let template = serde_json::from_value(given).unwrap();
        let refused = voicemail_resources::pod_template::read(Some(&template), "voicemail");
        assert!(
            refused.is_err_and(|error| error.to_string().contains("the operator has a volume")),
            "{name}"
        );
    }
}
