//! Every rule and every bound of the CRDs, accepted and refused by the real API server, what kubectl shows of them, and what the
//! chart's admission policies make of VoicemailPolicies.
//!
//! Bounds are read from the schema (`schema_bounds`), rules are in the tables below; a rule without a row
//! fails a test. All but the objects that an update needs are dry runs.

#![recursion_limit = "256"]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test's failure is a panic")]

mod admission;
mod bounds;
mod forms;
mod objects;
mod policy_tables;
mod request_tables;
mod rules;
mod store_tables;
mod tables;
mod telephony_tables;
mod web_tables;

use std::collections::BTreeSet;

use kube::Api;
use kube::api::{DynamicObject, GroupVersionKind, Patch, PatchParams, PostParams};
use kube::core::ApiResource;
use serde_json::{Value, json};
use tokio::sync::OnceCell;
use voicemail_test_cluster::Cluster;
use voicemail_test_cluster::foreign_operators::keep_out;
use voicemail_test_cluster::namespace::TestNamespace;
use voicemail_tests::operator_process::install_crds;

use objects::{Kind, edited, full_request, full_tenant};

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
