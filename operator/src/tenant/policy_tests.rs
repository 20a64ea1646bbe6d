//! A tenant under the platform team's policies, reconcile by reconcile.

use super::context::Context;
use super::fake_cluster::{Cluster, NAMESPACE, core, deployment};
use super::tests::tenant;
use serde_json::{Value, json};
use voicemail_api::config::{ApprovalRule, TenantConfig};

const POLICIES: &str = "/apis/voicemail.dev/v1beta1/voicemailpolicies";

fn write_policy(cluster: &Cluster, context: &Context, name: &str, spec: Value) {
    let object = json!({"apiVersion": "voicemail.dev/v1beta1", "kind": "VoicemailPolicy",
                        "metadata": {"name": name}, "spec": spec});
    cluster.put(&format!("{POLICIES}/{name}"), object);
    // As the watch tells.
    context.policies.note_change();
}

fn config(cluster: &Cluster) -> TenantConfig {
    let map = cluster.get(&core("configmaps", "acme-voicemail")).unwrap();
    TenantConfig::parse(map["data"]["config.yaml"].as_str().unwrap()).unwrap()
}

fn image(cluster: &Cluster) -> Value {
    cluster.get(&deployment()).unwrap()["spec"]["template"]["spec"]["containers"][0]["image"].clone()
}

fn issuers(cluster: &Cluster) -> Vec<String> {
    config(cluster).auth.issuers.into_iter().map(|issuer| issuer.issuer).collect()
}

fn with_issuers(urls: &[&str]) -> impl FnOnce(&mut Value) {
    let list: Vec<Value> =
        urls.iter().map(|url| json!({"issuer": url, "audience": "v", "roleMap": {}})).collect();
    move |tenant| {
        tenant["spec"]["auth"] = json!({ "issuers": list });
        tenant["spec"]["image"] = json!("a.example/core:1");
    }
}

#[tokio::test]
async fn floors_and_lists_hold_for_a_tenant_that_is_older_and_its_spec_stays_as_it_was_written() {
    let (cluster, context) =
        Cluster::start(&tenant(with_issuers(&["https://a.example", "https://b.example"])));
    cluster.reconcile(&context).await.unwrap();
    assert_eq!(issuers(&cluster).len(), 2);
    assert_eq!(cluster.condition("PolicyCompliant").unwrap().1, "PoliciesKept");
    let spec = cluster.tenant().unwrap().spec;

    let rules =
        json!({"issuers": ["https://b.example"], "floors": {"approval": "Always", "undoWindow": "48h"}});
    write_policy(&cluster, &context, "strict", rules);
    cluster.reconcile(&context).await.unwrap();
    assert_eq!(issuers(&cluster), ["https://b.example"]);
    let gdpr = config(&cluster).gdpr;
    assert_eq!(gdpr.approval.required, ApprovalRule::Always);
    assert_eq!((gdpr.undo_window, gdpr.least_undo_window.as_secs()), (gdpr.least_undo_window, 48 * 3_600));
    let (status, reason, words) = cluster.condition("PolicyCompliant").unwrap();
    assert_eq!((status.as_str(), reason.as_str()), ("False", "PolicyViolation"));
    assert!(words.contains("https://a.example is left out: policy strict"), "{words}");
    assert_ne!(cluster.condition("Stalled").unwrap().0, "True");
    assert_eq!(cluster.tenant().unwrap().spec, spec);

    cluster.lock().objects.remove(&format!("{POLICIES}/strict"));
    context.policies.note_change();
    cluster.reconcile(&context).await.unwrap();
    assert_eq!((issuers(&cluster).len(), config(&cluster).gdpr.least_undo_window.as_secs()), (2, 0));
}

#[tokio::test]
async fn a_refused_image_is_not_rolled_out_what_runs_goes_on_and_its_settings_are_narrowed() {
    let (cluster, context) =
        Cluster::start(&tenant(with_issuers(&["https://a.example", "https://b.example"])));
    cluster.reconcile(&context).await.unwrap();
    assert_eq!(image(&cluster), "a.example/core:1");

    let rules = json!({"images": {"prefixes": ["b.example/"]}, "issuers": ["https://b.example"]});
    write_policy(&cluster, &context, "strict", rules);
    cluster.change_tenant(|tenant| {
        tenant["spec"]["image"] = json!("evil.example/core:2");
        tenant["spec"]["replicas"] = json!(7);
    });
    for _ in 0..2 {
        cluster.reconcile(&context).await.unwrap();
        assert_eq!(image(&cluster), "a.example/core:1");
        assert_ne!(cluster.get(&deployment()).unwrap()["spec"]["replicas"], 7);
        assert_eq!(issuers(&cluster), ["https://b.example"]);
    }
    for type_ in ["Stalled", "PolicyCompliant", "Ready"] {
        let (_, reason, words) = cluster.condition(type_).unwrap();
        assert_eq!(reason, "PolicyViolation", "{type_}");
        assert!(words.contains("image: policy strict allows only: b.example/"), "{words}");
    }
    assert_eq!(cluster.condition("Stalled").unwrap().0, "True");

    cluster.change_tenant(|tenant| tenant["spec"]["image"] = json!("b.example/core:2"));
    cluster.reconcile(&context).await.unwrap();
    assert_eq!(image(&cluster), "b.example/core:2");
    assert_ne!(cluster.condition("Stalled").unwrap().0, "True");
}

#[tokio::test]
async fn a_new_tenant_that_is_refused_gets_no_pods() {
    let (cluster, context) = Cluster::start(&tenant(with_issuers(&[])));
    write_policy(&cluster, &context, "strict", json!({"images": {"digest": "Required"}}));
    cluster.reconcile(&context).await.unwrap();
    assert!(cluster.get(&deployment()).is_none());
    assert!(cluster.get(&core("configmaps", "acme-voicemail")).is_none());
    assert_eq!(cluster.condition("Stalled").unwrap().1, "PolicyViolation");
}

#[tokio::test]
async fn a_policy_counts_in_the_namespaces_that_it_is_for() {
    let (cluster, context) = Cluster::start(&tenant(with_issuers(&["https://a.example"])));
    let chosen = json!({"namespaceLabels": {"stage": "production"}, "issuers": []});
    write_policy(&cluster, &context, "production", chosen);
    cluster.reconcile(&context).await.unwrap();
    assert_eq!(issuers(&cluster).len(), 1);
    let labelled = json!({"metadata": {"name": NAMESPACE, "labels": {"stage": "production"}}});
    cluster.put("/api/v1/namespaces/voice", labelled);
    cluster.reconcile(&context).await.unwrap();
    assert_eq!(issuers(&cluster).len(), 0);
}

#[tokio::test]
async fn while_policies_cannot_be_read_nothing_is_rolled_out() {
    let (cluster, context) = Cluster::start(&tenant(with_issuers(&[])));
    cluster
        .put(&format!("{POLICIES}/broken"), json!({"metadata": {"name": "broken"}, "spec": {"issuers": 7}}));
    assert!(cluster.reconcile(&context).await.is_err());
    assert!(cluster.get(&deployment()).is_none());
}

#[tokio::test]
async fn where_a_policy_wants_it_a_secret_without_the_label_is_named_and_nothing_is_rolled_out_until_it_has_one()
 {
    let named = |tenant: &mut Value| {
        tenant["spec"]["auth"] = json!({"basic": {"secretRef": {"name": "people"}}});
    };
    let (cluster, context) = Cluster::start(&tenant(named));
    let people = core("secrets", "people");
    cluster.put(&people, json!({"metadata": {"name": "people"}, "data": {}}));
    write_policy(&cluster, &context, "strict", json!({"secrets": "Labelled"}));
    cluster.reconcile(&context).await.unwrap();
    assert!(cluster.get(&deployment()).is_none());
    for type_ in ["Stalled", "PolicyCompliant"] {
        let (_, reason, words) = cluster.condition(type_).unwrap();
        assert_eq!(reason, "SecretNotUsable", "{type_}");
        assert!(words.contains("voicemail.dev/tenant-usable: people."), "{words}");
    }
    for (value, usable) in [("another", false), ("acme", true), ("true", true)] {
        cluster.lock().objects.remove(&deployment());
        cluster.change(&people, |secret| {
            secret["metadata"]["labels"] = json!({"voicemail.dev/tenant-usable": value});
        });
        cluster.reconcile(&context).await.unwrap();
        assert_eq!(cluster.get(&deployment()).is_some(), usable, "{value}");
    }
}
