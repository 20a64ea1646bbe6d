//! Every rule and every bound of both CRDs, accepted and refused by the real API server, and what kubectl
//! shows of both kinds.
//!
//! Bounds are read from the schema (`schema_bounds`), rules are in the tables below; a rule without a row
//! fails a test. All but the objects that an update needs are dry runs.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test's failure is a panic")]

mod objects;
mod request_tables;
mod store_tables;
mod tables;

use std::collections::BTreeSet;

use futures::{StreamExt, stream};
use kube::Api;
use kube::api::{DynamicObject, GroupVersionKind, Patch, PatchParams, PostParams};
use kube::core::ApiResource;
use serde_json::{Value, json};
use voicemail_tests::cluster::Cluster;
use voicemail_tests::foreign_operators::keep_out;
use voicemail_tests::namespace::TestNamespace;
use voicemail_tests::schema_bounds::{Bound, find_bounds};
use voicemail_tests::tenant_place::prepare_cluster;

use objects::{Kind, apply, edited, full_request, full_tenant};
use request_tables::{request_rules, request_transitions};
use tables::{Row, tenant_rules, tenant_transitions};

const AT_A_TIME: usize = 6;

struct Place {
    cluster: Cluster,
    namespace: TestNamespace,
}

impl Place {
    async fn prepare() -> Self {
        voicemail_tests::install_crypto();
        let (cluster, _) = prepare_cluster().await.unwrap();
        let namespace = TestNamespace::create(cluster.config().await.unwrap(), "rules").await.unwrap();
        keep_out(&cluster, namespace.name()).unwrap();
        Self { cluster, namespace }
    }

    fn api(&self, kind: Kind) -> Api<DynamicObject> {
        let kind = GroupVersionKind::gvk("voicemail.dev", "v1alpha1", kind.name());
        let resource = ApiResource::from_gvk(&kind);
        Api::namespaced_with(self.namespace.client(), self.namespace.name(), &resource)
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

    async fn store(&self, kind: Kind, name: &str, object: &Value) -> DynamicObject {
        let object = edited(object, &[("/metadata/name", json!(name))]);
        let object = serde_json::from_value(object).unwrap();
        self.api(kind).create(&PostParams::default(), &object).await.unwrap_or_else(|e| panic!("{name}: {e}"))
    }
}

type Answer = Result<(), String>;

/// The API server's own words.
fn say(error: kube::Error) -> String {
    match error {
        kube::Error::Api(status) => status.message.clone(),
        other => other.to_string(),
    }
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
async fn every_example_of_a_tenant_is_accepted_without_an_unknown_field() {
    let place = Place::prepare().await;
    let examples = examples();
    assert!(examples.len() >= 5, "{examples:?}");
    for (name, example) in examples {
        place.try_create(Kind::Tenant, &example).await.unwrap_or_else(|error| panic!("{name}: {error}"));
        // kubectl asks for strict validation, which refuses fields that the schema doesn't know.
        let path = format!("{}/../examples/{name}", env!("CARGO_MANIFEST_DIR"));
        place.kubectl(&["apply", "--dry-run=server", "--validate=strict", "-f", &path]).unwrap();
    }
}

fn dry() -> PostParams {
    PostParams { dry_run: true, ..PostParams::default() }
}

/// A complaint, unless the answer is as it should be.
fn judge(what: String, answer: Answer, refused_with: Option<&str>) -> Option<String> {
    match (answer, refused_with) {
        (Ok(()), None) => None,
        (Err(text), Some(part)) if text.contains(part) => None,
        (Ok(()), Some(part)) => Some(format!("{what}: accepted instead of {part:?}")),
        (Err(text), None) => Some(format!("{what}: refused: {text}")),
        (Err(text), Some(part)) => Some(format!("{what}: {part:?} is not in {text}")),
    }
}

fn assert_none(complaints: &[String]) {
    assert!(complaints.is_empty(), "{} faults:\n{}", complaints.len(), complaints.join("\n"));
}

/// Bounds that a stricter rule makes unreachable: the value just within them is refused by the other.
const UNREACHABLE: [&str; 7] = [
    // The pattern asks for 8 characters.
    "spec.auth.issuers[].issuer minLength",
    "spec.auth.introspection.endpoint minLength",
    "spec.telemetry.otlp.endpoint minLength",
    // A tenant on a volume has one region only.
    "spec.regions maxItems",
    // The longest addresses have fewer characters.
    "spec.networkAccess.apiFrom[].cidr maxLength",
    "spec.networkAccess.metricsFrom[].cidr maxLength",
    // The pattern allows 17 characters.
    "spec.regions[].storage.volume.claim.size maxLength",
];

/// Makes the rest of the object follow the value that was replaced.
fn keep_rules(bound: &str, object: &mut Value) {
    let name = bound.split(' ').next().unwrap();
    match name {
        "spec.region" => object["spec"]["regions"][0]["name"] = object["spec"]["region"].clone(),
        "spec.regions[].name" => object["spec"]["region"] = object["spec"]["regions"][0]["name"].clone(),
        "spec.auth.serviceAccounts[].roles" | "spec.auth.serviceAccounts[].roles[]" => {
            let account = object["spec"]["auth"]["serviceAccounts"][0].as_object_mut().unwrap();
            account.remove("user");
        }
        "spec.classesOfService[].quotaSeconds" => {
            object["spec"]["classesOfService"][0]["maxSeconds"] = json!(1)
        }
        "spec.deletionPolicy" => {
            object["spec"]["regions"][0]["storage"] = full_tenant()["spec"]["regions"][0]["storage"].clone()
        }
        "spec.limits.connections" => object["spec"]["limits"]["connectionsPerAddress"] = json!(1),
        "spec.limits.connectionsPerAddress" => object["spec"]["limits"]["connections"] = json!(65_536),
        "spec.autoscaling.max" => object["spec"]["autoscaling"]["min"] = json!(1),
        "spec.autoscaling.min" => object["spec"]["autoscaling"]["max"] = json!(50),
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
    let within = if UNREACHABLE.contains(&name.as_str()) { vec![] } else { bound.within(base).unwrap() };
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
    let bounds = [find_bounds(&schema, "spec"), find_bounds(&schema, "status")].concat();
    assert!(bounds.len() >= least, "only {} bounds were found", bounds.len());
    let checks = bounds.iter().map(|bound| check_bound(&place, kind, bound, &bases));
    let complaints: Vec<Vec<String>> = stream::iter(checks).buffer_unordered(AT_A_TIME).collect().await;
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

/// All messages of rules, each with whether it is about a change.
fn rules_of(schema: &Value, found: &mut BTreeSet<(String, bool)>) {
    for rule in schema["x-kubernetes-validations"].as_array().into_iter().flatten() {
        let about_change = rule["rule"].as_str().unwrap().contains("oldSelf");
        found.insert((rule["message"].as_str().unwrap().to_owned(), about_change));
    }
    let fields = schema["properties"].as_object().into_iter().flatten().map(|(_, inner)| inner);
    let inner = [&schema["items"], &schema["additionalProperties"]];
    fields
        .chain(inner.into_iter().filter(|inner| inner.is_object()))
        .for_each(|inner| rules_of(inner, found));
}

fn full_message(kind: Kind, row: &Row) -> String {
    let mut rules = BTreeSet::new();
    rules_of(&kind.schema(), &mut rules);
    let mut found = rules.into_iter().map(|(message, _)| message).filter(|text| text.starts_with(row.rule));
    let message = found.next().unwrap_or_else(|| panic!("no rule says {:?}", row.rule));
    assert!(found.next().is_none(), "several rules say {:?}", row.rule);
    message
}

#[test]
fn every_rule_has_a_row() {
    let tables = [
        (Kind::Tenant, tenant_rules(), tenant_transitions()),
        (Kind::Request, request_rules(), request_transitions()),
    ];
    for (kind, rules, transitions) in tables {
        let mut expected = BTreeSet::new();
        rules_of(&kind.schema(), &mut expected);
        let messages = |rows: &[Row], about_change: bool| {
            rows.iter().map(|row| (full_message(kind, row), about_change)).collect::<BTreeSet<_>>()
        };
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
        let message = full_message(kind, row);
        for edits in &row.accepted {
            let answer = place.try_create(kind, &apply(base, edits)).await;
            complaints.extend(judge(format!("{}: created {edits:?}", row.rule), answer, None));
        }
        for edits in &row.refused {
            let answer = place.try_create(kind, &apply(base, edits)).await;
            complaints.extend(judge(format!("{}: created {edits:?}", row.rule), answer, Some(&message)));
            if edits.iter().any(|(pointer, _)| pointer == "/metadata/name") {
                continue;
            }
            let answer = place.try_update(kind, &stored, &apply(base, edits)).await;
            complaints.extend(judge(format!("{}: updated {edits:?}", row.rule), answer, Some(&message)));
        }
    }
    assert_none(&complaints);
}

async fn check_transitions(kind: Kind, rows: Vec<Row>) {
    let place = Place::prepare().await;
    let mut complaints = Vec::new();
    for (index, row) in rows.iter().enumerate() {
        let message = full_message(kind, row);
        let base = apply(&kind.bases()[0], &row.before);
        let stored = place.store(kind, &format!("stored-{index}"), &base).await;
        let accepted = row.accepted.iter().map(|edits| (edits, None));
        let refused = row.refused.iter().map(|edits| (edits, Some(message.as_str())));
        for (edits, expected) in accepted.chain(refused) {
            let answer = place.try_update(kind, &stored, &apply(&base, edits)).await;
            complaints.extend(judge(format!("{}: updated {edits:?}", row.rule), answer, expected));
        }
    }
    assert_none(&complaints);
}

#[tokio::test(flavor = "multi_thread")]
async fn each_rule_about_a_tenant_is_kept_on_create_and_on_update() {
    check_rules(Kind::Tenant, tenant_rules()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_rule_about_changing_a_tenant_is_kept() {
    check_transitions(Kind::Tenant, tenant_transitions()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_rule_about_a_request_is_kept_on_create() {
    check_rules(Kind::Request, request_rules()).await;
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
    assert_eq!(tenants[0], ["NAME", "READY", "REASON", "REGION", "STORAGE", "REPLICAS", "AGE"]);
    assert_eq!(tenants[1][..6], ["acme", "True", "Available", "eu", "volume", "1"]);
    let wide = cells(&place.kubectl(&["get", "vmt", "-o", "wide"]).unwrap());
    assert_eq!((wide[0][5].as_str(), wide[1][5].as_str()), ("UNREACHABLE", "us"));
    let requests = cells(&place.kubectl(&["get", "gdpr"]).unwrap());
    assert_eq!(requests[0], ["NAME", "TENANT", "OPERATION", "CASE", "PHASE", "MATCHED", "DUE", "AGE"]);
    let expected = ["case-1", "acme", "ForgetMe", "1", "Marked", "3", "2026-02-01T00:00:00Z"];
    assert_eq!(requests[1][..7], expected);
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
    let smuggled = r#"{"spec":{"replicas":9},"status":{"storeId":"new"}}"#;
    place.kubectl(&["patch", "vmt", "acme", "--type=merge", "--subresource=status", "-p", smuggled]).unwrap();
    assert_eq!(read("{.spec.replicas} {.status.storeId}"), "2 new");
    place.kubectl(&["patch", "vmt", "acme", "--type=merge", "-p", r#"{"status":{"storeId":"x"}}"#]).unwrap();
    assert_eq!(read("{.status.storeId}"), "new");
    place.kubectl(&["scale", "vmt", "acme", "--current-replicas=2", "--replicas=3"]).unwrap();
    assert_eq!(read("{.spec.replicas}"), "3");
    let scale = place.kubectl(&["get", "vmt", "acme", "--subresource=scale", "-o", "json"]).unwrap();
    let scale: Value = serde_json::from_str(&scale).unwrap();
    assert_eq!(scale["status"], json!({"replicas": 1, "selector": "a=b"}));
    assert!(place.kubectl(&["scale", "vmt", "acme", "--replicas=51"]).is_err());
}
