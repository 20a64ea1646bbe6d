//! The operator's rights, asked of the real API server: every verb that the chart grants is allowed
//! where it should be and nowhere else, is used, and what matters is refused.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail their test")]

use std::collections::BTreeSet;
use std::time::Duration;

use k8s_openapi::api::core::v1::ConfigMap;
use k8s_openapi::api::rbac::v1::{ClusterRole, PolicyRule, Role};
use kube::Api;
use kube::api::{DeleteParams, PostParams};
use serde_json::{Value, json};
use voicemail_api::config::TenantConfig;
use voicemail_resources::conditions::ConditionStatus;
use voicemail_resources::voicemail_tenant::DeletionPolicy;
use voicemail_resources::{CONFIRM_DELETION, VoicemailPolicy};
use voicemail_runtime::leader::LEASE;
use voicemail_test_cluster::AuditLog;
use voicemail_test_cluster::namespace::TestNamespace;
use voicemail_test_cluster::operator_audit::settle;
use voicemail_test_cluster::wait::wait_gone;
use voicemail_tests::access_review::{Question, may, questions, unexpected};
use voicemail_tests::chart_objects::ChartObjects;
use voicemail_tests::operator_process::ACCOUNT;
use voicemail_tests::tenant_manifest::{example_tenant, tenant_on};
use voicemail_tests::tenant_place::{TenantPlace, prepare_cluster};

const SOON: Duration = Duration::from_secs(60);
/// Neither scope may do any of these, in the namespace of a tenant or elsewhere: (verb, group, resource).
const REFUSED: [(&str, &str, &str); 22] = [
    ("list", "", "secrets"),
    ("watch", "", "secrets"),
    ("update", "", "secrets"),
    ("deletecollection", "", "secrets"),
    ("create", "", "pods/exec"),
    ("create", "", "pods/attach"),
    ("create", "", "pods/portforward"),
    ("get", "", "pods/log"),
    ("create", "", "pods"),
    ("delete", "", "pods"),
    ("get", "", "nodes"),
    ("list", "", "nodes"),
    ("get", "", "nodes/proxy"),
    ("create", "rbac.authorization.k8s.io", "roles"),
    ("create", "rbac.authorization.k8s.io", "rolebindings"),
    ("escalate", "rbac.authorization.k8s.io", "clusterroles"),
    ("bind", "rbac.authorization.k8s.io", "clusterroles"),
    ("impersonate", "", "serviceaccounts"),
    ("delete", "apps", "deployments"),
    ("delete", "voicemail.dev", "voicemailtenants"),
    ("create", "voicemail.dev", "voicemailtenants"),
    ("approve", "voicemail.dev", "gdprrequests"),
];
/// Granted, and not asked for in the life of the tenant below: where it is.
const ELSEWHERE: [(&str, &str); 16] = [
    ("create gdprrequests", "gdpr_phases.rs: what was asked for by the API is shown as an object"),
    ("delete gdprrequests", "gdpr_phases.rs: such an object goes with its run"),
    ("get gdprrequests", "data_subject_rights.rs"),
    ("patch gdprrequests/status", "data_subject_rights.rs"),
    ("update voicemailtenants/finalizers", "clusters with OwnerReferencesPermissionEnforcement ask for it"),
    ("create serviceaccounts/token", "data_subject_rights.rs: a token for the tenant's core"),
    ("get secretproviderclasses", "object_store_tenants.rs"),
    ("list secretproviderclasses", "object_store_tenants.rs"),
    ("create secretproviderclasses", "object_store_tenants.rs"),
    ("patch secretproviderclasses", "object_store_tenants.rs"),
    ("delete secretproviderclasses", "object_store_tenants.rs"),
    ("create statefulsets", "examples/telephony.rs: a tenant with a telephone"),
    ("patch statefulsets", "examples/telephony.rs"),
    ("delete statefulsets", "examples/telephony.rs: the telephone goes with its field"),
    ("delete poddisruptionbudgets", "orphans.rs"),
    ("delete networkpolicies", "orphans.rs"),
];
/// Granted by the verb with which server-side apply creates; the API server asks for it beside `patch`.
const APPLIED: &str = "create";

fn refused(user: &str, namespace: &str) -> Vec<Question> {
    let question = |(verb, group, resource): (&str, &str, &str)| Question {
        user: user.into(),
        verb: verb.into(),
        group: group.into(),
        resource: resource.into(),
        name: String::new(),
        namespace: namespace.into(),
    };
    REFUSED.into_iter().map(question).collect()
}

async fn rules_of(place: &TenantPlace, role: &str) -> Vec<PolicyRule> {
    place.namespace.api::<Role>().get(role).await.unwrap().rules.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn with_a_list_of_namespaces_the_operator_may_do_what_its_roles_say_there_and_nothing_elsewhere() {
    voicemail_test_machine::install_crypto();
    let place = TenantPlace::prepare("rights").await.unwrap();
    let (client, user) = (place.namespace.client(), place.identity.username());
    let rules = rules_of(&place, ACCOUNT).await;
    let own = rules_of(&place, &format!("{ACCOUNT}-self")).await;
    let granted =
        |namespace: &str| [questions(&user, namespace, &rules), questions(&user, namespace, &own)].concat();
    assert!(granted("x").len() > 60, "{rules:?}");
    let none: Vec<String> = Vec::new();
    assert_eq!(unexpected(&client, granted(place.namespace.name()), true).await.unwrap(), none);
    assert_eq!(unexpected(&client, granted("default"), false).await.unwrap(), none);
    assert_eq!(unexpected(&client, granted(""), false).await.unwrap(), none, "cluster-wide");
    for namespace in [place.namespace.name(), "default", ""] {
        assert_eq!(unexpected(&client, refused(&user, namespace), false).await.unwrap(), none);
    }
    // Tokens of its own account alone.
    let token = |name: &str| Question {
        user: user.clone(),
        verb: "create".into(),
        group: String::new(),
        resource: "serviceaccounts/token".into(),
        name: name.into(),
        namespace: place.namespace.name().into(),
    };
    assert!(may(&client, token(ACCOUNT)).await.unwrap());
    assert!(!may(&client, token("acme-voicemail")).await.unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn cluster_wide_the_operator_reads_secrets_by_name_everywhere_and_lists_them_nowhere() {
    voicemail_test_machine::install_crypto();
    let (cluster, _) = prepare_cluster().await.unwrap();
    let namespace = TestNamespace::create(cluster.config().await.unwrap(), "wide").await.unwrap();
    let _rendered = ChartObjects::apply(&cluster, namespace.name(), "templates/rbac.yaml").unwrap();
    let role = format!("{}-{}", namespace.name(), namespace.name());
    let client = namespace.client();
    let rules = Api::<ClusterRole>::all(client.clone()).get(&role).await.unwrap().rules.unwrap();
    let user = format!("system:serviceaccount:{0}:{0}", namespace.name());
    let none: Vec<String> = Vec::new();
    for place in [namespace.name(), "default"] {
        assert_eq!(unexpected(&client, questions(&user, place, &rules), true).await.unwrap(), none);
        assert_eq!(unexpected(&client, refused(&user, place), false).await.unwrap(), none);
    }
    assert_eq!(unexpected(&client, refused(&user, ""), false).await.unwrap(), none);
    let verbs: BTreeSet<&String> = rules
        .iter()
        .filter(|rule| rule.resources.iter().flatten().any(|resource| resource == "secrets"))
        .flat_map(|rule| &rule.verbs)
        .collect();
    assert_eq!(
        verbs.into_iter().map(String::as_str).collect::<Vec<_>>(),
        ["create", "delete", "get", "patch"]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn cluster_wide_the_operator_keeps_tenants_to_policies_as_they_come_and_go() {
    voicemail_test_machine::install_crypto();
    let place = TenantPlace::prepare_for_all("policies").await.unwrap();
    let name = place.namespace.name().to_owned();
    let mut tenant = example_tenant().unwrap();
    tenant.metadata.name = Some("acme".into());
    tenant.spec.replicas = 0;
    tenant.spec.audit = serde_json::from_value(json!({"retentionDays": 1})).unwrap();
    place.create(&tenant).await.unwrap();
    let kept = async |days: u64| {
        let map = place.namespace.api::<ConfigMap>().get("acme-voicemail").await.unwrap();
        let config = TenantConfig::parse(&map.data.unwrap()["config.yaml"]).unwrap();
        assert_eq!(config.audit.retention, Duration::from_secs(days * 86_400));
    };
    let [yes, no] = [ConditionStatus::True, ConditionStatus::False];
    place.wait_condition("acme", "PolicyCompliant", yes, "PoliciesKept").await.unwrap();
    kept(1).await;

    let spec = json!({"namespaceLabels": {"kubernetes.io/metadata.name": name}, "floors": {"auditRetentionDays": 90}});
    let policy = VoicemailPolicy::new(&name, serde_json::from_value(spec).unwrap());
    let policies: Api<VoicemailPolicy> = Api::all(place.namespace.client());
    policies.create(&PostParams::default(), &policy).await.unwrap();
    let told = place.wait_condition("acme", "PolicyCompliant", no, "PolicyViolation").await;
    if told.is_ok() {
        kept(90).await;
    }
    // The policy is the whole cluster's: it goes whatever came of it.
    policies.delete(&name, &DeleteParams::default()).await.unwrap();
    told.unwrap();
    place.wait_condition("acme", "PolicyCompliant", yes, "PoliciesKept").await.unwrap();
    kept(1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_right_is_used_in_a_tenants_life_or_named_with_its_use_and_nothing_more_is_asked_for() {
    voicemail_test_machine::install_crypto();
    let mut place = TenantPlace::prepare("used").await.unwrap();
    for manifest in [
        include_str!("tenant_operation/pod_monitor.yaml"),
        include_str!("tenant_operation/prometheus_rule.yaml"),
    ] {
        place.cluster.kubectl().apply(manifest).unwrap();
    }
    // As in a namespace without an operator so far.
    place.operator.stop().await.unwrap();
    place.kubectl(&["delete", "lease", LEASE]).unwrap();
    let log = place.cluster.audit_log().unwrap();
    place.operator.restart().await.unwrap();
    live(&mut place).await;
    settle(&place.cluster, &log, place.namespace.name()).await.unwrap();
    let (used, forbidden) = asked(&log, &place.identity.username());
    // Volumes are cluster-wide; without the right the condition says that nobody looked.
    assert!(forbidden.iter().all(|right| right == "get persistentvolumes"), "{forbidden:?}");

    let rules =
        [rules_of(&place, ACCOUNT).await, rules_of(&place, &format!("{ACCOUNT}-self")).await].concat();
    let granted: BTreeSet<String> = questions("", "", &rules)
        .into_iter()
        .map(|question| format!("{} {}", question.verb, question.resource))
        .collect();
    let elsewhere: BTreeSet<String> = ELSEWHERE.iter().map(|(right, _)| (*right).to_owned()).collect();
    let applied = |right: &&String| {
        right.strip_prefix(APPLIED).is_some_and(|resource| used.contains(&format!("patch{resource}")))
    };
    let unused: Vec<&String> = granted
        .iter()
        .filter(|right| !used.contains(*right) && !elsewhere.contains(*right) && !applied(right))
        .collect();
    assert!(unused.is_empty(), "granted and never used: {unused:?}");
    let unknown: Vec<&String> = elsewhere.iter().filter(|right| !granted.contains(*right)).collect();
    assert!(unknown.is_empty(), "not granted any more: {unknown:?}");
}

/// Comes, is scaled by load and back, loses a child, is monitored and not, and goes with its data.
async fn live(place: &mut TenantPlace) {
    let (volume, _) = place.create_volume().await.unwrap();
    let mut tenant = tenant_on("acme", &volume).unwrap();
    tenant.spec.replicas = 1;
    tenant.spec.deletion_policy = DeletionPolicy::Delete;
    tenant.spec.autoscaling = serde_json::from_value(json!({"minReplicas": 1, "maxReplicas": 2})).unwrap();
    place.create(&tenant).await.unwrap();
    place.wait_ready("acme").await.unwrap();
    let patch = |spec: Value| {
        let body = json!({ "spec": spec }).to_string();
        place.kubectl(&["patch", "vmt", "acme", "--type=merge", "-p", &body]).unwrap();
    };
    for (kind, changed) in [
        ("service", json!({"spec": {"publishNotReadyAddresses": true}})),
        ("pdb", json!({"spec": {"maxUnavailable": 2}})),
        ("networkpolicy", json!({"spec": {"policyTypes": ["Ingress", "Egress"]}})),
    ] {
        place
            .kubectl(&["patch", kind, "acme-voicemail", "--type=merge", "-p", &changed.to_string()])
            .unwrap();
    }
    patch(json!({"autoscaling": null, "monitoring": {"mode": "Disabled"}}));
    let scalers = place.namespace.api::<k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler>();
    wait_gone(&scalers, "acme-voicemail", SOON).await.unwrap();
    // Something to say in an event, and something to begin again.
    place.tenants().delete("acme", &DeleteParams::default()).await.unwrap();
    let blocked = voicemail_resources::conditions::ConditionStatus::True;
    place.wait_condition("acme", "DeletionBlocked", blocked, "ConfirmationMissing").await.unwrap();
    place.kubectl(&["annotate", "vmt", "acme", &format!("{CONFIRM_DELETION}=acme")]).unwrap();
    let jobs = place.namespace.api::<k8s_openapi::api::batch::v1::Job>();
    let check = "acme-voicemail-retire-check";
    voicemail_test_cluster::wait::wait_until(&jobs, check, "it is made", SOON, |_| true).await.unwrap();
    place.kubectl(&["annotate", "vmt", "acme", &format!("{CONFIRM_DELETION}-")]).unwrap();
    place.wait_condition("acme", "DeletionBlocked", blocked, "ConfirmationMissing").await.unwrap();
    wait_gone(&jobs, check, SOON).await.unwrap();
    place.kubectl(&["annotate", "vmt", "acme", &format!("{CONFIRM_DELETION}=acme")]).unwrap();
    wait_gone(&place.tenants(), "acme", Duration::from_secs(180)).await.unwrap();
}

/// The requests of a user, those that succeeded and those that were forbidden, as `verb resource`.
fn asked(log: &AuditLog, username: &str) -> (BTreeSet<String>, BTreeSet<String>) {
    let (mut used, mut forbidden) = (BTreeSet::new(), BTreeSet::new());
    for record in log.records().unwrap().iter().filter(|record| record["user"]["username"] == username) {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let object = &record["objectRef"];
        let part = object["subresource"].as_str().map(|name| format!("/{name}")).unwrap_or_default();
        let right = format!("{} {}{part}", text(&record["verb"]), text(&object["resource"]));
        match record["responseStatus"]["code"].as_u64() {
            Some(403) => drop(forbidden.insert(right)),
            _ => drop(used.insert(right)),
        }
    }
    (used, forbidden)
}
