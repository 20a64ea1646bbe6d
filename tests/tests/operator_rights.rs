//! The operator's rights, and those of people, asked of the real API server: every verb that the chart grants is allowed
//! where it should be and nowhere else, is used, and what matters is refused.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail their test")]

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use futures::{StreamExt, stream};
use k8s_openapi::api::authorization::v1::{ResourceAttributes, SubjectAccessReview, SubjectAccessReviewSpec};
use k8s_openapi::api::rbac::v1::{ClusterRole, PolicyRule, Role};
use kube::api::{DeleteParams, PostParams};
use kube::{Api, Client};
use serde_json::{Value, json};
use voicemail_core::clock::World;
use voicemail_operator::api::CONFIRM_DELETION;
use voicemail_operator::api::voicemail_tenant::DeletionPolicy;
use voicemail_operator::leader::LEASE;
use voicemail_tests::cluster::{AuditLog, Cluster};
use voicemail_tests::command::{run, run_with_input};
use voicemail_tests::namespace::TestNamespace;
use voicemail_tests::operator_audit::settle;
use voicemail_tests::operator_process::ACCOUNT;
use voicemail_tests::tenant_manifest::tenant_on;
use voicemail_tests::tenant_place::{TenantPlace, prepare_cluster};
use voicemail_tests::wait::wait_gone;

const SOON: Duration = Duration::from_secs(60);
const AT_A_TIME: usize = 16;
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
const ELSEWHERE: [(&str, &str); 13] = [
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
    ("delete poddisruptionbudgets", "orphans.rs"),
    ("delete networkpolicies", "orphans.rs"),
];
/// Granted by the verb with which server-side apply creates; the API server asks for it beside `patch`.
const APPLIED: &str = "create";

/// One question.
#[derive(Clone, Debug)]
struct Question {
    user: String,
    verb: String,
    group: String,
    resource: String,
    name: String,
    namespace: String,
}

async fn may(client: &Client, question: Question) -> bool {
    let (resource, subresource) = question.resource.split_once('/').unwrap_or((&question.resource, ""));
    let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    let attributes = ResourceAttributes {
        verb: some(&question.verb),
        group: some(&question.group),
        resource: some(resource),
        subresource: some(subresource),
        name: some(&question.name),
        namespace: some(&question.namespace),
        ..ResourceAttributes::default()
    };
    let spec = SubjectAccessReviewSpec {
        user: Some(question.user.clone()),
        resource_attributes: Some(attributes),
        ..SubjectAccessReviewSpec::default()
    };
    let review = SubjectAccessReview { spec, ..SubjectAccessReview::default() };
    let api: Api<SubjectAccessReview> = Api::all(client.clone());
    api.create(&PostParams::default(), &review).await.unwrap().status.unwrap().allowed
}

/// Asks all; returns those whose answer isn't the expected one.
async fn unexpected(client: &Client, questions: Vec<Question>, expected: bool) -> Vec<String> {
    let asked = stream::iter(questions).map(|question| async move {
        let answer = may(client, question.clone()).await;
        (answer != expected).then(|| format!("{question:?}"))
    });
    asked.buffer_unordered(AT_A_TIME).filter_map(|wrong| async move { wrong }).collect().await
}

/// Every verb on every resource of these rules.
fn questions(user: &str, namespace: &str, rules: &[PolicyRule]) -> Vec<Question> {
    let mut all = Vec::new();
    for rule in rules {
        for group in rule.api_groups.iter().flatten() {
            for resource in rule.resources.iter().flatten() {
                for verb in &rule.verbs {
                    let name = rule.resource_names.iter().flatten().next().cloned().unwrap_or_default();
                    let (user, namespace) = (user.to_owned(), namespace.to_owned());
                    let (verb, group, resource) = (verb.clone(), group.clone(), resource.clone());
                    all.push(Question { user, verb, group, resource, name, namespace });
                }
            }
        }
    }
    all
}

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
    voicemail_tests::install_crypto();
    let place = TenantPlace::prepare("rights").await.unwrap();
    let (client, user) = (place.namespace.client(), place.identity.username());
    let rules = rules_of(&place, ACCOUNT).await;
    let own = rules_of(&place, &format!("{ACCOUNT}-self")).await;
    let granted =
        |namespace: &str| [questions(&user, namespace, &rules), questions(&user, namespace, &own)].concat();
    assert!(granted("x").len() > 60, "{rules:?}");
    let none: Vec<String> = Vec::new();
    assert_eq!(unexpected(&client, granted(place.namespace.name()), true).await, none);
    assert_eq!(unexpected(&client, granted("default"), false).await, none);
    assert_eq!(unexpected(&client, granted(""), false).await, none, "cluster-wide");
    for namespace in [place.namespace.name(), "default", ""] {
        assert_eq!(unexpected(&client, refused(&user, namespace), false).await, none);
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
    assert!(may(&client, token(ACCOUNT)).await && !may(&client, token("acme-voicemail")).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn cluster_wide_the_operator_reads_secrets_by_name_everywhere_and_lists_them_nowhere() {
    voicemail_tests::install_crypto();
    let (cluster, _) = prepare_cluster().await.unwrap();
    let namespace = TestNamespace::create(cluster.config().await.unwrap(), "wide").await.unwrap();
    let _rendered = Rendered::apply(&cluster, namespace.name(), "templates/rbac.yaml");
    let role = format!("{}-{}", namespace.name(), namespace.name());
    let client = namespace.client();
    let rules = Api::<ClusterRole>::all(client.clone()).get(&role).await.unwrap().rules.unwrap();
    let user = format!("system:serviceaccount:{0}:{0}", namespace.name());
    let none: Vec<String> = Vec::new();
    for place in [namespace.name(), "default"] {
        assert_eq!(unexpected(&client, questions(&user, place, &rules), true).await, none);
        assert_eq!(unexpected(&client, refused(&user, place), false).await, none);
    }
    assert_eq!(unexpected(&client, refused(&user, ""), false).await, none);
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
async fn every_right_is_used_in_a_tenants_life_or_named_with_its_use_and_nothing_more_is_asked_for() {
    voicemail_tests::install_crypto();
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
    tenant.spec.autoscaling = serde_json::from_value(json!({"min": 1, "max": 2})).unwrap();
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
    patch(json!({"autoscaling": null, "monitoring": {"enabled": false}}));
    let scalers = place.namespace.api::<k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler>();
    wait_gone(&scalers, "acme-voicemail", SOON).await.unwrap();
    // Something to say in an event, and something to begin again.
    place.tenants().delete("acme", &DeleteParams::default()).await.unwrap();
    let blocked = voicemail_operator::api::conditions::ConditionStatus::True;
    place.wait_condition("acme", "DeletionBlocked", blocked, "ConfirmationMissing").await.unwrap();
    place.kubectl(&["annotate", "vmt", "acme", &format!("{CONFIRM_DELETION}=acme")]).unwrap();
    let jobs = place.namespace.api::<k8s_openapi::api::batch::v1::Job>();
    let check = "acme-voicemail-retire-check";
    voicemail_tests::wait::wait_until(&jobs, check, "it is made", SOON, |_| true).await.unwrap();
    place.kubectl(&["annotate", "vmt", "acme", &format!("{CONFIRM_DELETION}-")]).unwrap();
    place.wait_condition("acme", "DeletionBlocked", blocked, "ConfirmationMissing").await.unwrap();
    wait_gone(&jobs, check, SOON).await.unwrap();
    place.kubectl(&["annotate", "vmt", "acme", &format!("{CONFIRM_DELETION}=acme")]).unwrap();
    wait_gone(&place.tenants(), "acme", Duration::from_secs(180)).await.unwrap();
}

/// What a user asked for and got, and what was forbidden, as `verb resource`.
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

/// Objects of the chart, under the namespace's name as release; they go with this.
struct Rendered {
    cluster: Cluster,
    manifests: String,
}

impl Rendered {
    fn apply(cluster: &Cluster, release: &str, template: &str) -> Self {
        let chart = Path::new(env!("CARGO_MANIFEST_DIR")).join("../charts/voicemail-operator");
        let mut helm = cluster.helm();
        helm.arg("template").arg(release).arg(chart).args(["--namespace", release, "--show-only", template]);
        let manifests = run(&mut helm).unwrap();
        cluster.kubectl().apply(&manifests).unwrap();
        Self { cluster: cluster.clone(), manifests }
    }
}

impl Drop for Rendered {
    fn drop(&mut self) {
        let mut kubectl = self.cluster.kubectl().command();
        kubectl.args(["delete", "--ignore-not-found", "--wait=false", "-f", "-"]);
        if let Err(error) = run_with_input(&mut kubectl, &self.manifests) {
            eprintln!("objects of the chart stay: {error:#}");
        }
    }
}

/// A person with one role in a namespace, and what it lets them do and not: (verb, resource of voicemail.dev).
type Person =
    (&'static str, &'static [(&'static str, &'static str)], &'static [(&'static str, &'static str)]);

const PEOPLE: [Person; 3] = [
    (
        "view",
        &[("get", "voicemailtenants"), ("watch", "voicemailtenants/status")],
        &[("patch", "voicemailtenants"), ("get", "gdprrequests"), ("create", "gdprrequests")],
    ),
    (
        "edit",
        &[
            ("create", "voicemailtenants"),
            ("delete", "voicemailtenants"),
            ("patch", "voicemailtenants/scale"),
        ],
        &[("create", "gdprrequests"), ("get", "gdprrequests"), ("patch", "voicemailtenants/status")],
    ),
    (
        "admin",
        &[("create", "voicemailtenants"), ("update", "voicemailtenants/scale"), ("list", "voicemailtenants")],
        &[("create", "gdprrequests"), ("patch", "gdprrequests"), ("approve", "gdprrequests")],
    ),
];

#[tokio::test(flavor = "multi_thread")]
async fn people_with_the_clusters_own_roles_handle_tenants_and_privacy_officers_alone_handle_requests() {
    voicemail_tests::install_crypto();
    let (cluster, _) = prepare_cluster().await.unwrap();
    let namespace = TestNamespace::create(cluster.config().await.unwrap(), "people").await.unwrap();
    let release = namespace.name().to_owned();
    let _rendered = Rendered::apply(&cluster, &release, "templates/roles.yaml");
    let bind = |user: &str, role: &str| {
        let (user, name) = (format!("--user={user}"), format!("{user}-bound"));
        let role = format!("--clusterrole={role}");
        cluster.run_kubectl(&["create", "rolebinding", &name, &role, &user, "-n", &release]).unwrap();
    };
    let client = namespace.client();
    let ask = |user: &str, verb: &str, group: &str, resource: &str| {
        let (user, verb, namespace) = (user.to_owned(), verb.to_owned(), release.clone());
        let (group, resource) = (group.to_owned(), resource.to_owned());
        let client = client.clone();
        async move { may(&client, Question { user, verb, group, resource, name: String::new(), namespace }).await }
    };
    for (role, allowed, refused) in PEOPLE {
        bind(role, role);
        wait_in_force(&client, role, &release, allowed[0]).await;
        for (verb, resource) in allowed {
            assert!(ask(role, verb, "voicemail.dev", resource).await, "{role} can't {verb} {resource}");
        }
        for (verb, resource) in refused {
            assert!(!ask(role, verb, "voicemail.dev", resource).await, "{role} can {verb} {resource}");
        }
    }
    bind("officer", &format!("{release}-privacy"));
    wait_in_force(&client, "officer", &release, ("get", "gdprrequests")).await;
    for verb in ["get", "list", "watch", "create", "update", "patch", "delete"] {
        assert!(ask("officer", verb, "voicemail.dev", "gdprrequests").await, "{verb}");
    }
    assert!(ask("officer", "create", "", "secrets").await, "the Secret with the identifiers");
    for (verb, group, resource) in [
        ("get", "", "secrets"),
        ("list", "", "secrets"),
        ("approve", "voicemail.dev", "gdprrequests"),
        ("patch", "voicemail.dev", "voicemailtenants"),
        ("patch", "voicemail.dev", "gdprrequests/status"),
        ("create", "", "pods/exec"),
    ] {
        assert!(!ask("officer", verb, group, resource).await, "an officer can {verb} {resource}");
    }
    bind("approver", &format!("{release}-approver"));
    wait_in_force(&client, "approver", &release, ("approve", "gdprrequests")).await;
    for verb in ["create", "delete"] {
        assert!(!ask("approver", verb, "voicemail.dev", "gdprrequests").await, "an approver can {verb}");
    }
}

/// A binding counts a moment after it was written, and the cluster's own roles take ours in as late.
async fn wait_in_force(client: &Client, role: &str, namespace: &str, right: (&str, &str)) {
    let (world, question) = (
        World::real(),
        Question {
            user: role.into(),
            verb: right.0.into(),
            group: "voicemail.dev".into(),
            resource: right.1.into(),
            name: String::new(),
            namespace: namespace.into(),
        },
    );
    for _ in 0..60 {
        if may(client, question.clone()).await {
            return;
        }
        world.sleep(Duration::from_millis(500)).await;
    }
    panic!("{role} never got the right to {right:?}");
}
