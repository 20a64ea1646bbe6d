//! Every rule and every bound of the CRDs, accepted and refused by the real API server, what kubectl shows of them, and what the
//! chart's admission policies make of VoicemailPolicies.
//!
//! Bounds are read from the schema (`schema_bounds`), rules are in the tables below; a rule without a row
//! fails a test. All but the objects that an update needs are dry runs.

#![recursion_limit = "256"]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test's failure is a panic")]

mod admission;
mod forms;
mod objects;
mod policy_tables;
mod request_tables;
mod store_tables;
mod tables;
mod telephony_tables;
mod web_tables;

use std::collections::BTreeSet;

use futures::{StreamExt, stream};
use kube::Api;
use kube::api::{DynamicObject, GroupVersionKind, Patch, PatchParams, PostParams};
use kube::core::ApiResource;
use serde_json::{Value, json};
use tokio::sync::OnceCell;
use voicemail_test_cluster::Cluster;
use voicemail_test_cluster::foreign_operators::keep_out;
use voicemail_test_cluster::namespace::TestNamespace;
use voicemail_tests::operator_process::install_crds;
use voicemail_tests::schema_bounds::{Bound, find_bounds};

use forms::{request_forms, tenant_forms};
use objects::{Kind, apply, edited, full_request, full_tenant};
use policy_tables::policy_rules;
use request_tables::{request_rules, request_transitions};
use tables::{Row, tenant_rules, tenant_transitions};

const AT_A_TIME: usize = 6;
/// The API server alone is needed, and no image.
static INSTALLED: OnceCell<()> = OnceCell::const_new();

struct Place {
    cluster: Cluster,
    namespace: TestNamespace,
}

impl Place {
    async fn prepare() -> Self {
        voicemail_test_machine::install_crypto();
        let cluster = Cluster::ensure().await.unwrap();
        INSTALLED.get_or_init(|| async { install_crds(&cluster).unwrap() }).await;
        let namespace = TestNamespace::create(cluster.config().await.unwrap(), "rules").await.unwrap();
        keep_out(&cluster, namespace.name()).unwrap();
        Self { cluster, namespace }
    }

    fn api(&self, kind: Kind) -> Api<DynamicObject> {
        let gvk = GroupVersionKind::gvk("voicemail.dev", "v1beta1", kind.name());
        let resource = ApiResource::from_gvk(&gvk);
        match kind {
            Kind::Policy => Api::all_with(self.namespace.client(), &resource),
            Kind::Tenant | Kind::Request => {
                Api::namespaced_with(self.namespace.client(), self.namespace.name(), &resource)
            }
        }
    }

    async fn try_create(&self, kind: Kind, object: &Value) -> Answer {
        let object = serde_json::from_value(object.clone()).unwrap();
        self.api(kind).create(&dry(), &object).await.map(drop).map_err(say)
    }

    /// Puts the object in the place of the stored one.
    async fn try_update(&self, kind: Kind, stored: &DynamicObject, object: &Value) -> Answer {
        let mut object: DynamicObject = serde_json::from_value(object.clone()).unwrap();
        object.metadata.resource_version = stored.metadata.resource_version.clone();
        object.metadata.name = stored.metadata.name.clone();
        let name = object.metadata.name.clone().unwrap();
        self.api(kind).replace(&name, &dry(), &object).await.map(drop).map_err(say)
    }

    async fn try_status(&self, kind: Kind, stored: &DynamicObject, object: &Value) -> Answer {
        let mut object = object.clone();
        object["metadata"] = json!({
            "name": stored.metadata.name, "namespace": stored.metadata.namespace,
            "resourceVersion": stored.metadata.resource_version,
        });
        let name = stored.metadata.name.clone().unwrap();
        let object = serde_json::from_value(object).unwrap();
        let written = self.api(kind).replace_status(&name, &dry(), &object).await;
        written.map(drop).map_err(say)
    }

    /// Takes away what doesn't end with the namespace.
    fn clear(&self, kind: Kind) {
        if kind != Kind::Policy {
            return;
        }
        let all = self.kubectl(&["get", "vmp", "-o", "name"]).unwrap();
        let of_test = format!("/{}-", self.namespace.name());
        for policy in all.lines().filter(|name| name.contains(&of_test)) {
            self.kubectl(&["delete", policy]).unwrap();
        }
    }

    async fn store(&self, kind: Kind, name: &str, object: &Value) -> DynamicObject {
        // Names of policies are the whole cluster's.
        let name = match kind {
            Kind::Policy => format!("{}-{name}", self.namespace.name()),
            Kind::Tenant | Kind::Request => name.to_owned(),
        };
        let object = edited(object, &[("/metadata/name", json!(name))]);
        let object = serde_json::from_value(object).unwrap();
        self.api(kind).create(&PostParams::default(), &object).await.unwrap_or_else(|e| panic!("{name}: {e}"))
    }
}

type Answer = Result<(), Refused>;

/// What the API server says: in words, and for programs.
#[derive(Debug)]
struct Refused {
    words: String,
    causes: Vec<Cause>,
}

/// One of its causes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Cause {
    reason: String,
    message: String,
    /// The field, with `[]` for every index and key.
    path: String,
}

fn say(error: kube::Error) -> Refused {
    match error {
        kube::Error::Api(status) => Refused {
            words: status.message.clone(),
            causes: status.details.iter().flat_map(|details| &details.causes).map(read_cause).collect(),
        },
        other => Refused { words: other.to_string(), causes: Vec::new() },
    }
}

fn read_cause(cause: &kube::core::response::StatusCause) -> Cause {
    let mut path = String::new();
    let mut rest = cause.field.as_str();
    while let Some((before, after)) = rest.split_once('[') {
        path.push_str(before);
        path.push_str("[]");
        rest = after.split_once(']').map(|(_, after)| after).unwrap_or_default();
    }
    path.push_str(rest);
    Cause { reason: cause.reason.clone(), message: cause.message.clone(), path }
}

/// The examples of tenants, as users apply them.
fn examples() -> Vec<(String, Value)> {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples");
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let tenants = entries.filter(|path| path.to_string_lossy().ends_with("-tenant.yaml"));
    let read = |path: std::path::PathBuf| {
        let text = std::fs::read_to_string(&path).unwrap();
        (path.file_name().unwrap().to_string_lossy().into_owned(), serde_yaml::from_str(&text).unwrap())
    };
    tenants.map(read).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_example_of_a_tenant_or_policy_is_accepted_without_an_unknown_field() {
    let place = Place::prepare().await;
    let examples = examples();
    assert!(examples.len() >= 5, "{examples:?}");
    for (name, example) in examples {
        place
            .try_create(Kind::Tenant, &example)
            .await
            .unwrap_or_else(|error| panic!("{name}: {}", error.words));
        // kubectl asks for strict validation, which refuses fields that the schema doesn't know.
        let path = format!("{}/../examples/{name}", env!("CARGO_MANIFEST_DIR"));
        place.kubectl(&["apply", "--dry-run=server", "--validate=strict", "-f", &path]).unwrap();
    }
    let policy = format!("{}/../examples/policy.yaml", env!("CARGO_MANIFEST_DIR"));
    place.kubectl(&["apply", "--dry-run=server", "--validate=strict", "-f", &policy]).unwrap();
}

fn dry() -> PostParams {
    PostParams { dry_run: true, ..PostParams::default() }
}

/// A complaint, unless the answer is as it should be.
fn judge(what: String, answer: Answer, refused_with: Option<&str>) -> Option<String> {
    match (answer, refused_with) {
        (Ok(()), None) => None,
        (Err(refused), Some(part)) if refused.words.contains(part) => None,
        (Ok(()), Some(part)) => Some(format!("{what}: accepted instead of {part:?}")),
        (Err(refused), None) => Some(format!("{what}: refused: {}", refused.words)),
        (Err(refused), Some(part)) => Some(format!("{what}: {part:?} is not in {}", refused.words)),
    }
}

fn assert_none(complaints: &[String]) {
    assert!(complaints.is_empty(), "{} faults:\n{}", complaints.len(), complaints.join("\n"));
}

/// Bounds that a stricter rule makes unreachable: the value just within them is refused by the other.
const UNREACHABLE: &[&str] = &[
    // A tenant on a volume has one region only.
    "spec.regions maxItems",
];

/// Whether a rule about the form of the value refuses what is made for a bound of its length.
fn has_form(bound: &Bound, kind: Kind) -> bool {
    let (path, keyword) =
        bound.name().rsplit_once(' ').map(|(path, word)| (path.to_owned(), word.to_owned())).unwrap();
    let path = path.replace("{}", "[]");
    let list = path.trim_end_matches("[]");
    let is_about = |rule: &Rule| {
        rule.path == path
            || rule.path == list
            || rule.path.ends_with(".ipBlock") && list.starts_with(&rule.path)
    };
    ["minLength", "maxLength", "maxItems"].contains(&keyword.as_str())
        && all_rules(kind)
            .iter()
            .any(|rule| !rule.about_change && rule.message.contains(": write") && is_about(rule))
}

/// Makes the rest of the object follow the value that was replaced.
fn keep_rules(bound: &str, object: &mut Value) {
    let name = bound.split(' ').next().unwrap();
    match name {
        "spec.localRegion" | "spec.primaryRegion" => {
            let field = name.trim_start_matches("spec.");
            let other = if field == "localRegion" { "primaryRegion" } else { "localRegion" };
            object["spec"]["regions"][0]["name"] = object["spec"][field].clone();
            object["spec"][other] = object["spec"][field].clone();
        }
        "spec.regions[].storage.s3.encryption.algorithm" => {
            let encryption = &mut object["spec"]["regions"][0]["storage"]["s3"]["encryption"];
            if encryption["algorithm"] != "KMS" {
                encryption.as_object_mut().unwrap().remove("kmsKeyID");
            }
        }
        "spec.auth.serviceAccounts[].roles" | "spec.auth.serviceAccounts[].roles[]" => {
            let account = object["spec"]["auth"]["serviceAccounts"][0].as_object_mut().unwrap();
            account.remove("user");
        }
        "spec.classesOfService[].quotaSeconds" | "spec.classesOfService[].maxSeconds" => {
            let class = &mut object["spec"]["classesOfService"][0];
            if name.ends_with("quotaSeconds") {
                class["maxSeconds"] = json!(1);
            } else {
                class.as_object_mut().unwrap().remove("quotaSeconds");
            }
        }
        "spec.clientLimits.connections" => object["spec"]["clientLimits"]["connectionsPerAddress"] = json!(1),
        "spec.clientLimits.connectionsPerAddress" => {
            object["spec"]["clientLimits"]["connections"] = json!(65_536)
        }
        "spec.autoscaling.maxReplicas" => object["spec"]["autoscaling"]["minReplicas"] = json!(1),
        "spec.autoscaling.minReplicas" => object["spec"]["autoscaling"]["maxReplicas"] = json!(50),
        "spec.telephony.replicas" => {
            object["spec"]["telephony"]["network"].as_object_mut().unwrap().remove("advertised");
        }
        "spec.telephony.network.advertised.addresses" | "spec.telephony.network.advertised.addresses[]" => {
            object["spec"]["telephony"]["replicas"] = json!(1);
        }
        "spec.telephony.network.ports.rtp.from" | "spec.telephony.network.ports.rtp.to" => {
            let telephony = &mut object["spec"]["telephony"];
            let block = &mut telephony["network"]["ports"]["rtp"];
            if name.ends_with("from") {
                block["to"] = json!(block["from"].as_i64().unwrap() + 1);
            } else {
                block["from"] = json!(block["to"].as_i64().unwrap() - 1);
            }
            telephony["trunks"][0]["limits"]["calls"] = json!(1);
        }
        "spec.telephony.trunks[].transports" | "spec.telephony.trunks[].transports[]" => {
            let trunk = object["spec"]["telephony"]["trunks"][0].as_object_mut().unwrap();
            trunk.remove("clientCertificates");
            trunk.remove("notify");
        }
        "spec.telephony.trunks[].notify.transport" => {
            let trunk = object["spec"]["telephony"]["trunks"][0].as_object_mut().unwrap();
            trunk.remove("clientCertificates");
            trunk.insert("transports".into(), json!(["UDP", "TCP", "TLS"]));
        }
        "spec.telephony.trunks[].limits.calls" => {
            object["spec"]["telephony"]["network"]["ports"]["rtp"] = json!({"from": 40_000, "to": 59_999});
        }
        // Pages name issuers of the tenant.
        name if name.starts_with("spec.web.login") => {
            let logins = object["spec"]["web"]["login"].as_array().cloned().unwrap_or_default();
            let issuer = |login: &Value| json!({"issuer": login["issuer"], "audience": "v", "roleMap": {}});
            object["spec"]["auth"]["issuers"] = logins.iter().map(issuer).collect();
        }
        "spec.service.type" => {
            object["spec"]["service"] = json!({"type": object["spec"]["service"]["type"]});
        }
        "spec.operation" => keep_operation_rules(object),
        "spec.approval.decision" | "spec.approval.ground" => {
            let approval = object["spec"]["approval"].as_object_mut().unwrap();
            if approval["decision"] == "Approve" {
                approval.remove("ground");
            }
        }
        _ => {}
    }
}

fn keep_operation_rules(object: &mut Value) {
    let operation = object["spec"]["operation"].as_str().unwrap().to_owned();
    let spec = object["spec"].as_object_mut().unwrap();
    if operation != "ForgetMe" {
        spec.remove("undoWindow");
        spec.remove("requireApproval");
    }
    if operation == "UndoForgetMe" {
        spec.remove("consumers");
    }
}

async fn check_bound(
    place: &Place,
    kind: Kind,
    bound: &Bound,
    bases: &[(Value, DynamicObject)],
) -> Vec<String> {
    let name = bound.name();
    let Some((base, stored)) = bases.iter().find(|(base, _)| bound.fits(base)) else {
        return vec![format!("no base has a value for {name}")];
    };
    let is_status = name.starts_with("status");
    let (message, beyond) = (bound.message(), bound.beyond(base).unwrap());
    let mut complaints = Vec::new();
    if is_status {
        let answer = place.try_status(kind, stored, &beyond).await;
        complaints.extend(judge(format!("{name}, beyond"), answer, Some(&message)));
    } else {
        let answer = place.try_create(kind, &beyond).await;
        complaints.extend(judge(format!("{name}, created beyond"), answer, Some(&message)));
        let answer = place.try_update(kind, stored, &beyond).await;
        complaints.extend(judge(format!("{name}, updated beyond"), answer, Some(&message)));
    }
    let skipped = UNREACHABLE.contains(&name.as_str()) || has_form(bound, kind);
    let within = if skipped { vec![] } else { bound.within(base).unwrap() };
    for mut object in within {
        keep_rules(&name, &mut object);
        let answer = match is_status {
            true => place.try_status(kind, stored, &object).await,
            false => place.try_create(kind, &object).await,
        };
        complaints.extend(judge(format!("{name}, within"), answer, None));
    }
    complaints
}

async fn check_bounds(kind: Kind, least: usize) {
    let place = Place::prepare().await;
    let mut bases = Vec::new();
    for (index, base) in kind.bases().into_iter().enumerate() {
        let stored = place.store(kind, &format!("base-{index}"), &base).await;
        bases.push((base, stored));
    }
    let schema = kind.schema();
    let parts = ["spec", "status"].into_iter().filter(|part| schema["properties"].get(part).is_some());
    let bounds: Vec<Bound> = parts.flat_map(|part| find_bounds(&schema, part)).collect();
    assert!(bounds.len() >= least, "only {} bounds were found", bounds.len());
    let checks = bounds.iter().map(|bound| check_bound(&place, kind, bound, &bases));
    let complaints: Vec<Vec<String>> = stream::iter(checks).buffer_unordered(AT_A_TIME).collect().await;
    place.clear(kind);
    assert_none(&complaints.concat());
}

#[tokio::test(flavor = "multi_thread")]
async fn every_bound_of_a_tenant_is_kept_by_the_api_server() {
    check_bounds(Kind::Tenant, 130).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_bound_of_a_request_is_kept_by_the_api_server() {
    check_bounds(Kind::Request, 30).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_bound_of_a_policy_is_kept_by_the_api_server() {
    check_bounds(Kind::Policy, 30).await;
}

/// The format of a time admits what nothing reads; the pattern is as strict as what does.
#[tokio::test(flavor = "multi_thread")]
async fn times_that_nothing_reads_are_refused_and_the_strangest_that_are_read_are_taken() {
    let place = Place::prepare().await;
    let mut complaints = Vec::new();
    for field in ["/spec/receivedAt", "/spec/verification/at"] {
        for (time, refused_with) in [
            ("9999-12-31T23:59:59Z", Some("should match")),
            ("2026-01-31T10:00:00+26:00", Some("should match")),
            ("2026-01-31T10:00:00.1234567890123Z", Some("should match")),
            ("2026-01-31t10:00:00z", Some("should match")),
            ("2026-01-31T10:00:00z", Some("should match")),
            ("2026-01-31T10:00:00,5Z", Some("should match")),
            ("2026-02-31T10:00:00Z", Some("date-time")),
            ("9989-12-31T23:59:59.999999999-23:59", None),
            ("0000-01-01T00:00:00+23:59", None),
            ("2024-02-29T10:00:00.5Z", None),
        ] {
            let object = edited(&full_request(), &[(field, json!(time))]);
            let answer = place.try_create(Kind::Request, &object).await;
            complaints.extend(judge(format!("{field} {time}"), answer, refused_with));
            let read = serde_json::from_value::<voicemail_resources::GdprRequest>(object);
            if refused_with.is_none() && read.is_err() {
                complaints.push(format!("{field} {time} is taken, and not read"));
            }
        }
    }
    assert_none(&complaints);
}

/// A rule of a schema, and how the API server tells of it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Rule {
    message: String,
    reason: String,
    /// The field that it is about.
    path: String,
    about_change: bool,
}

fn rules_of(path: &str, schema: &Value, found: &mut BTreeSet<Rule>) {
    let text = |rule: &Value, field: &str| rule[field].as_str().unwrap_or_default().to_owned();
    for rule in schema["x-kubernetes-validations"].as_array().into_iter().flatten() {
        found.insert(Rule {
            message: text(rule, "message"),
            reason: text(rule, "reason"),
            path: format!("{path}{}", text(rule, "fieldPath")).trim_start_matches('.').to_owned(),
            about_change: text(rule, "rule").contains("oldSelf"),
        });
    }
    for (name, inner) in schema["properties"].as_object().into_iter().flatten() {
        let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        rules_of(&path, inner, found);
    }
    for inner in [&schema["items"], &schema["additionalProperties"]] {
        if inner.is_object() {
            rules_of(&format!("{path}[]"), inner, found);
        }
    }
}

fn all_rules(kind: Kind) -> BTreeSet<Rule> {
    let mut rules = BTreeSet::new();
    rules_of("", &kind.schema(), &mut rules);
    rules
}

/// The rules that a row is about: a type that stands in several places has each there.
fn rules_for(kind: Kind, row: &Row) -> Vec<Rule> {
    let found: Vec<Rule> =
        all_rules(kind).into_iter().filter(|rule| rule.message.starts_with(row.rule)).collect();
    let messages: BTreeSet<&str> = found.iter().map(|rule| rule.message.as_str()).collect();
    assert_eq!(messages.len(), 1, "{:?} is said by {messages:?}", row.rule);
    found
}

/// A complaint, unless one of the causes is the rule's: its words, its reason and its field.
fn judge_rule(what: String, answer: Answer, rules: &[Rule]) -> Option<String> {
    let Err(refused) = answer else { return Some(format!("{what}: accepted")) };
    // The root has no path.
    let place = |rule: &Rule| if rule.path.is_empty() { "<nil>".to_owned() } else { rule.path.clone() };
    let tells = |cause: &Cause| {
        rules.iter().any(|rule| {
            cause.message.ends_with(&rule.message) && cause.reason == rule.reason && cause.path == place(rule)
        })
    };
    let told = refused.causes.iter().any(tells);
    (!told).then(|| format!("{what}: {rules:?} is not among {:?}: {}", refused.causes, refused.words))
}

#[test]
fn every_rule_has_a_row() {
    let tables = [
        (Kind::Tenant, [tenant_rules(), tenant_forms()].concat(), tenant_transitions()),
        (Kind::Request, [request_rules(), request_forms()].concat(), request_transitions()),
        (Kind::Policy, policy_rules(), Vec::new()),
    ];
    for (kind, rules, transitions) in tables {
        let messages = |rows: &[Row], about_change: bool| {
            let of_row =
                |row: &Row| rules_for(kind, row).into_iter().map(|rule| rule.message).collect::<Vec<_>>();
            rows.iter().flat_map(of_row).map(|message| (message, about_change)).collect::<BTreeSet<_>>()
        };
        let expected: BTreeSet<_> =
            all_rules(kind).into_iter().map(|rule| (rule.message, rule.about_change)).collect();
        let covered: BTreeSet<_> =
            messages(&rules, false).union(&messages(&transitions, true)).cloned().collect();
        assert_eq!(covered, expected);
    }
}

async fn check_rules(kind: Kind, rows: Vec<Row>) {
    let place = Place::prepare().await;
    let base = &kind.bases()[0];
    let stored = place.store(kind, "stored", base).await;
    let mut complaints = Vec::new();
    for row in &rows {
        let rules = rules_for(kind, row);
        for edits in &row.accepted {
            let answer = place.try_create(kind, &apply(base, edits)).await;
            complaints.extend(judge(format!("{}: created {edits:?}", row.rule), answer, None));
        }
        for edits in &row.refused {
            let answer = place.try_create(kind, &apply(base, edits)).await;
            complaints.extend(judge_rule(format!("{}: created {edits:?}", row.rule), answer, &rules));
            if edits.iter().any(|(pointer, _)| pointer == "/metadata/name") {
                continue;
            }
            let answer = place.try_update(kind, &stored, &apply(base, edits)).await;
            complaints.extend(judge_rule(format!("{}: updated {edits:?}", row.rule), answer, &rules));
        }
    }
    place.clear(kind);
    assert_none(&complaints);
}

async fn check_transitions(kind: Kind, rows: Vec<Row>) {
    let place = Place::prepare().await;
    let mut complaints = Vec::new();
    for (index, row) in rows.iter().enumerate() {
        let rules = rules_for(kind, row);
        let base = apply(&kind.bases()[0], &row.before);
        let stored = place.store(kind, &format!("stored-{index}"), &base).await;
        for edits in &row.accepted {
            let answer = place.try_update(kind, &stored, &apply(&base, edits)).await;
            complaints.extend(judge(format!("{}: updated {edits:?}", row.rule), answer, None));
        }
        for edits in &row.refused {
            let answer = place.try_update(kind, &stored, &apply(&base, edits)).await;
            complaints.extend(judge_rule(format!("{}: updated {edits:?}", row.rule), answer, &rules));
        }
    }
    assert_none(&complaints);
}

#[tokio::test(flavor = "multi_thread")]
async fn each_rule_about_a_tenant_is_kept_on_create_and_on_update() {
    check_rules(Kind::Tenant, [tenant_rules(), tenant_forms()].concat()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_rule_about_changing_a_tenant_is_kept() {
    check_transitions(Kind::Tenant, tenant_transitions()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_rule_about_a_request_is_kept_on_create() {
    check_rules(Kind::Request, [request_rules(), request_forms()].concat()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_rule_about_a_policy_is_kept() {
    check_rules(Kind::Policy, policy_rules()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_spec_of_a_request_never_changes() {
    check_transitions(Kind::Request, request_transitions()).await;
}

/// Cells of the table that kubectl prints, without the age.
fn cells(table: &str) -> Vec<Vec<String>> {
    let words = |line: &str| line.split_whitespace().map(str::to_owned).collect();
    table.lines().map(words).collect()
}

impl Place {
    fn kubectl(&self, arguments: &[&str]) -> anyhow::Result<String> {
        let mut all = vec!["--namespace", self.namespace.name()];
        all.extend(arguments);
        self.cluster.run_kubectl(&all)
    }

    async fn store_with_status(&self, kind: Kind, object: &Value) {
        let name = object["metadata"]["name"].as_str().unwrap().to_owned();
        self.store(kind, &name, object).await;
        let status = Patch::Merge(json!({"status": object["status"]}));
        self.api(kind).patch_status(&name, &PatchParams::default(), &status).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn kubectl_shows_the_columns_of_both_kinds() {
    let place = Place::prepare().await;
    place.store_with_status(Kind::Tenant, &full_tenant()).await;
    place.store_with_status(Kind::Request, &full_request()).await;
    let tenants = cells(&place.kubectl(&["get", "vmt"]).unwrap());
    assert_eq!(tenants[0], ["NAME", "READY", "REASON", "REGION", "REPLICAS", "SERVING", "AGE"]);
    assert_eq!(tenants[1][..6], ["acme", "True", "Available", "eu", "1", "1"]);
    let wide = cells(&place.kubectl(&["get", "vmt", "-o", "wide"]).unwrap());
    assert_eq!(wide[0][7..11], ["STORAGE", "UNREACHABLE", "IMAGE", "ENDPOINT"]);
    let endpoint = "https://acme-voicemail.voice.svc:8081";
    assert_eq!(wide[1][7..11], ["volume", "us", "localhost/voicemail:none", endpoint]);
    let requests = cells(&place.kubectl(&["get", "gdpr"]).unwrap());
    let columns =
        ["NAME", "TENANT", "OPERATION", "CASE", "PHASE", "MATCHED", "ERASED", "DUE", "FINISHED", "AGE"];
    assert_eq!(requests[0], columns);
    let expected = ["case-1", "acme", "ForgetMe", "1", "Marked", "3", "2", "2026-02-01T00:00:00Z"];
    assert_eq!(requests[1][..8], expected);
    for (selector, found) in [
        ("spec.tenantRef.name=acme,status.phase=Marked", "gdprrequest.voicemail.dev/case-1\n"),
        ("spec.operation=ExportMe", ""),
        ("spec.caseID=1", "gdprrequest.voicemail.dev/case-1\n"),
    ] {
        assert_eq!(
            place.kubectl(&["get", "gdpr", "-o", "name", "--field-selector", selector]).unwrap(),
            found
        );
    }
    for selector in ["spec.tenantID=acme-1", "spec.localRegion=eu", "spec.deletionPolicy=Retain"] {
        let found = place.kubectl(&["get", "vmt", "-o", "name", "--field-selector", selector]).unwrap();
        assert_eq!(found, "voicemailtenant.voicemail.dev/acme\n", "{selector}");
    }
    let both = place.kubectl(&["get", "voicemail", "-o", "name"]).unwrap();
    assert_eq!(
        both.lines().collect::<BTreeSet<_>>(),
        BTreeSet::from(["gdprrequest.voicemail.dev/case-1", "voicemailtenant.voicemail.dev/acme",])
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn spec_and_status_are_written_apart_and_replicas_are_scaled() {
    let place = Place::prepare().await;
    place.store_with_status(Kind::Tenant, &full_tenant()).await;
    let read =
        |path: &str| place.kubectl(&["get", "vmt", "acme", "-o", &format!("jsonpath={path}")]).unwrap();
    let smuggled = r#"{"spec":{"replicas":9},"status":{"storeID":"new"}}"#;
    place.kubectl(&["patch", "vmt", "acme", "--type=merge", "--subresource=status", "-p", smuggled]).unwrap();
    assert_eq!(read("{.spec.replicas} {.status.storeID}"), "2 new");
    place.kubectl(&["patch", "vmt", "acme", "--type=merge", "-p", r#"{"status":{"storeID":"x"}}"#]).unwrap();
    assert_eq!(read("{.status.storeID}"), "new");
    place.kubectl(&["scale", "vmt", "acme", "--current-replicas=2", "--replicas=3"]).unwrap();
    assert_eq!(read("{.spec.replicas}"), "3");
    let scale = place.kubectl(&["get", "vmt", "acme", "--subresource=scale", "-o", "json"]).unwrap();
    let scale: Value = serde_json::from_str(&scale).unwrap();
    assert_eq!(scale["status"], json!({"replicas": 1, "selector": "a=b"}));
    assert!(place.kubectl(&["scale", "vmt", "acme", "--replicas=51"]).is_err());
}
