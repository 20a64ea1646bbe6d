//! What the chart's admission policies make of VoicemailPolicies: refused on the way in by the real API server is what the
//! operator would refuse, raise or leave out, by one table for both.

use std::time::Duration;

use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use kube::core::object::HasSpec;
use kube::{Api, ResourceExt};
use serde_json::{Value, json};
use voicemail_resources::policy::bind;
use voicemail_resources::{VoicemailPolicy, VoicemailTenant};
use voicemail_test_machine::command::{run, run_with_input};
use voicemail_test_machine::workspace_path;

use crate::objects::{CLIENT, Edits, Kind, apply, azure, full_request, full_tenant, role, s3, vault};
use crate::store_tables::secret;
use crate::tables::{edit, on_storage};
use crate::{Answer, Place, assert_none, dry, say};

/// The chart's admission policies in force in one namespace, and the VoicemailPolicies of a test.
struct Policies<'a> {
    place: &'a Place,
    manifests: String,
    made: Vec<String>,
}

impl<'a> Policies<'a> {
    fn install(place: &'a Place) -> Self {
        let name = place.namespace.name();
        let chart = workspace_path("charts/voicemail-operator");
        let selector = json!({ "matchLabels": { "kubernetes.io/metadata.name": name } });
        let mut helm = place.cluster.helm();
        helm.arg("template").arg(name).arg(chart).args(["--namespace", name]);
        helm.args(["--set-json", &format!("admissionPolicy.namespaceSelector={selector}")]);
        helm.args(["--show-only", "templates/platform-policy.yaml"]);
        let manifests = run(&mut helm).unwrap();
        place.cluster.kubectl().apply(&manifests).unwrap();
        Self { place, manifests, made: Vec::new() }
    }

    fn api(&self) -> Api<VoicemailPolicy> {
        Api::all(self.place.namespace.client())
    }

    /// Makes a policy for the test's namespace, and none other.
    async fn make(&mut self, name: &str, mut spec: Value) -> VoicemailPolicy {
        let name = format!("{}-{name}", self.place.namespace.name());
        if spec.get("namespaceLabels").is_none() {
            spec["namespaceLabels"] = json!({"kubernetes.io/metadata.name": self.place.namespace.name()});
        }
        let policy = VoicemailPolicy::new(&name, serde_json::from_value(spec).unwrap());
        self.made.push(name);
        self.api().create(&PostParams::default(), &policy).await.unwrap()
    }

    async fn change(&self, name: &str, spec: &Value) {
        let name = format!("{}-{name}", self.place.namespace.name());
        let patch = Patch::Merge(json!({ "spec": spec }));
        self.api().patch(&name, &PatchParams::default(), &patch).await.unwrap();
    }

    async fn remove(&self, name: &str) {
        let name = format!("{}-{name}", self.place.namespace.name());
        self.api().delete(&name, &DeleteParams::default()).await.unwrap();
    }

    /// A policy counts a moment after it was written.
    async fn wait(&self, what: &str, holds: impl AsyncFn() -> bool) {
        let world = voicemail_store::real_world();
        for _ in 0..120 {
            if holds().await {
                return;
            }
            world.sleep(Duration::from_millis(250)).await;
        }
        panic!("after 30 s still not: {what}");
    }
}

impl Drop for Policies<'_> {
    fn drop(&mut self) {
        let mut kubectl = self.place.cluster.kubectl().command();
        kubectl.args(["delete", "--ignore-not-found", "--wait=false", "-f", "-"]);
        let mut failed = run_with_input(&mut kubectl, &self.manifests).err();
        let mut kubectl = self.place.cluster.kubectl().command();
        kubectl.args(["delete", "vmp", "--ignore-not-found"]).args(&self.made);
        if !self.made.is_empty() {
            failed = run(&mut kubectl).err().or(failed);
        }
        if let Some(error) = failed {
            eprintln!("policies stay: {error:#}");
        }
    }
}

/// A rule of a policy, and what it allows and refuses: the beginning of the refusal.
struct Case {
    rules: Value,
    words: &'static str,
    allowed: Vec<Edits>,
    refused: Vec<Edits>,
}

fn case(rules: Value, words: &'static str, allowed: Vec<Edits>, refused: Vec<Edits>) -> Case {
    Case { rules, words, allowed, refused }
}

/// Without what a rule of another line would speak about.
fn plain() -> Value {
    let mut tenant = full_tenant();
    let spec = tenant["spec"].as_object_mut().unwrap();
    for field in [
        "image",
        "auth",
        "mwi",
        "telemetry",
        "email",
        "podTemplate",
        "proxy",
        "gdpr",
        "audit",
        "telephony",
        "web",
        "deletionPolicy",
    ] {
        spec.remove(field);
    }
    spec.get_mut("regions").unwrap().as_array_mut().unwrap().truncate(1);
    tenant
}

fn issuer(url: &str, keys: Option<&str>) -> Value {
    let mut issuer = json!({"issuer": url, "audience": "v", "roleMap": {"a": "Agent"}});
    if let Some(keys) = keys {
        issuer["jwksURI"] = json!(keys);
    }
    json!({ "issuers": [issuer] })
}

fn cases() -> Vec<Case> {
    let image = |image: &str| edit("/spec/image", json!(image));
    let digest = "a".repeat(64);
    let auth = |auth: Value| edit("/spec/auth", auth);
    let account =
        |name: &str| auth(json!({"serviceAccounts": [{"namespace": name, "name": "a", "roles": ["Admin"]}]}));
    let asked = |url: &str| {
        auth(json!({"introspection": {"endpoint": url, "secretRef": {"name": "s"}, "audience": "v",
                                      "roleMap": {"a": "Agent"}}}))
    };
    let at = |storage: Value, pointer: &str, value: Value| {
        let mut storage = storage;
        let (parent, field) = pointer.rsplit_once('/').unwrap();
        let parent = storage.pointer_mut(parent).unwrap().as_object_mut().unwrap();
        if value.is_null() {
            parent.remove(field)
        } else {
            parent.insert(field.into(), value)
        };
        on_storage(storage)
    };
    let blob = |endpoint: Value| at(azure(secret("s")), "/azureBlob/endpoint", endpoint);
    let bucket = |endpoint: Value, region: &str| {
        let mut storage = s3(secret("s"));
        storage["s3"]["region"] = json!(region);
        storage["s3"].as_object_mut().unwrap().remove("stsEndpoint");
        at(storage, "/s3/endpoint", endpoint)
    };
    let mwi = |url: &str| {
        edit("/spec/mwi", json!({"webhooks": [{"name": "w", "url": url, "secretRef": {"name": "s"}}]}))
    };
    let otlp = |url: &str| edit("/spec/telemetry", json!({"otlp": {"endpoint": url}}));
    let mail =
        |host: &str| edit("/spec/email", json!({"smtp": {"host": host}, "from": "voicemail@evil.example"}));
    let mut node = vault();
    node["keyVault"].as_object_mut().unwrap().remove("clientID");
    let gdpr = |gdpr: Value| edit("/spec/gdpr", gdpr);
    let approval = |required: &str, exports: &str, large: i32| {
        gdpr(json!({"approval": {"required": required, "exports": exports, "largeMatches": large}}))
    };
    let hosts = json!({"endpoints": [".blob.core.windows.net", "minio", ".amazonaws.com", "good.example"]});
    vec![
        case(
            json!({"images": {"prefixes": ["registry.example/voicemail/"]}}),
            "image: policy",
            vec![vec![], image("registry.example/voicemail/core:1")],
            vec![image("registry.example/voicemail-evil/core:1"), image("core:1")],
        ),
        case(
            json!({"images": {"digest": "Required"}}),
            "image: policy",
            vec![vec![], image(&format!("core@sha256:{digest}"))],
            vec![image("core:1"), image(&format!("core@sha256:{digest}0")), image("core@sha256:abc")],
        ),
        case(
            json!({"issuers": ["https://id.example"]}),
            "auth.issuers: policy",
            vec![vec![], auth(issuer("https://id.example", Some("https://id.example/keys")))],
            vec![
                auth(issuer("https://id.example/", None)),
                auth(issuer("https://id.example", Some("https://id.example.evil/keys"))),
            ],
        ),
        case(
            json!({"issuers": ["https://id.example/realms/"]}),
            "auth.introspection: policy",
            vec![asked("https://id.example/realms/introspect")],
            vec![asked("https://id.example/other"), asked("https://id.example.evil/realms/")],
        ),
        case(
            json!({"serviceAccountNamespaces": ["voice"]}),
            "auth.serviceAccounts: policy",
            vec![vec![], account("voice")],
            vec![account("other")],
        ),
        case(
            hosts,
            "endpoints: policy",
            vec![
                vec![],
                blob(Value::Null),
                blob(json!("https://ACME.blob.core.windows.net/x")),
                bucket(Value::Null, "eu-west-1"),
                bucket(json!("http://minio:9000"), "eu-west-1"),
                mwi("https://good.example:8443/mwi"),
                otlp("http://good.example:4318"),
                mail("Good.example"),
            ],
            vec![
                blob(json!("https://evil.example")),
                bucket(Value::Null, "cn-north-1"),
                bucket(json!("http://minio.evil.example"), "eu-west-1"),
                at(s3(secret("s")), "/s3/stsEndpoint", json!("https://evil.example")),
                mwi("https://good.example.evil/mwi"),
                otlp("http://evil.example:4318"),
                mail("good.example.evil"),
                edit("/spec/proxy", json!({"httpsProxy": "http://evil.example:3128"})),
            ],
        ),
        case(
            json!({"identities": ["Secret", "KeyVaultWorkload"]}),
            "credentials: policy",
            vec![vec![], blob(Value::Null), on_storage(azure(vault()))],
            vec![
                on_storage(azure(node)),
                on_storage(azure(json!({"workloadIdentity": {"clientID": CLIENT}}))),
                on_storage(s3(role("voicemail"))),
            ],
        ),
        case(
            json!({"podTemplate": "None"}),
            "podTemplate: policy",
            vec![vec![]],
            vec![edit("/spec/podTemplate", json!({"spec": {"priorityClassName": "high"}}))],
        ),
        case(
            json!({"podTemplate": "Placement"}),
            "podTemplate: policy",
            vec![vec![], edit("/spec/podTemplate", json!({"spec": {"priorityClassName": "high"}}))],
            vec![
                edit("/spec/podTemplate", json!({"spec": {"containers": [{"name": "spy", "image": "spy"}]}})),
                edit("/spec/podTemplate", json!({"spec": {"volumes": [{"name": "x", "emptyDir": {}}]}})),
                edit("/spec/podTemplate", json!({"spec": {"securityContext": {"fsGroup": 5}}})),
            ],
        ),
        case(
            json!({"floors": {"undoWindow": "36h"}}),
            "gdpr.undoWindow: policy",
            vec![gdpr(json!({"undoWindow": "36h"})), gdpr(json!({"undoWindow": "720h"}))],
            vec![vec![], gdpr(json!({})), gdpr(json!({"undoWindow": "0s"}))],
        ),
        case(
            json!({"floors": {"approval": "LargeMatches", "largeMatchesAtMost": 100}}),
            "gdpr.approval.",
            vec![approval("LargeMatches", "Never", 100), approval("Always", "Never", 5)],
            vec![vec![], approval("Never", "Always", 5), approval("Always", "Never", 101)],
        ),
        case(
            json!({"floors": {"exports": "Always"}}),
            "gdpr.approval.exports: policy",
            vec![approval("Never", "Always", 100)],
            vec![gdpr(json!({})), approval("Always", "LargeMatches", 100)],
        ),
        case(
            json!({"floors": {"auditRetentionDays": 200, "deletion": "RetainOnly"}}),
            "audit.retentionDays: policy",
            vec![edit("/spec/audit", json!({"retentionDays": 200}))],
            vec![vec![], edit("/spec/audit", json!({"retentionDays": 199}))],
        ),
        case(
            json!({"floors": {"deletion": "RetainOnly"}}),
            "deletionPolicy: policy",
            vec![vec![], edit("/spec/deletionPolicy", json!("Retain"))],
            vec![edit("/spec/deletionPolicy", json!("Delete"))],
        ),
    ]
}

/// What the operator would say of the tenant as the API server gives it back, with its defaults.
fn operator_allows(policy: &VoicemailPolicy, tenant: &VoicemailTenant) -> bool {
    bind(std::slice::from_ref(policy), tenant.spec()).words().is_empty()
}

async fn try_tenant(place: &Place, object: &Value) -> Result<VoicemailTenant, String> {
    let api: Api<VoicemailTenant> = place.namespace.api();
    let object: VoicemailTenant = serde_json::from_value(object.clone()).unwrap();
    api.create(&dry(), &object).await.map_err(|error| say(error).words)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_policy_refuses_is_refused_on_the_way_in_and_by_the_operator_alike() {
    let place = Place::prepare().await;
    let mut policies = Policies::install(&place);
    let mut complaints = Vec::new();
    for (index, case) in cases().into_iter().enumerate() {
        let name = format!("case-{index}");
        let policy = policies.make(&name, case.rules.clone()).await;
        let first = apply(&plain(), &case.refused[0]);
        policies.wait("in force", async || try_tenant(&place, &first).await.is_err()).await;
        for (edits, allowed) in case
            .allowed
            .iter()
            .map(|edits| (edits, true))
            .chain(case.refused.iter().map(|edits| (edits, false)))
        {
            let object = apply(&plain(), edits);
            let what = format!("{} of {edits:?}", case.rules);
            match try_tenant(&place, &object).await {
                Ok(_) if !allowed => complaints.push(format!("{what}: admitted")),
                Err(words) if allowed => complaints.push(format!("{what}: refused: {words}")),
                Err(words) if !words.contains(case.words) || !words.contains(&policy.name_any()) => {
                    complaints.push(format!("{what}: {words}"));
                }
                _ => {}
            }
            let tenant: VoicemailTenant = serde_json::from_value(object).unwrap();
            if operator_allows(&policy, &tenant) != allowed {
                complaints.push(format!("{what}: the operator says otherwise"));
            }
        }
        policies.remove(&name).await;
        policies.wait("away", async || try_tenant(&place, &first).await.is_ok()).await;
    }
    assert_none(&complaints);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_policy_that_applies_counts_and_what_was_there_before_stays_and_can_go() {
    let place = Place::prepare().await;
    let mut policies = Policies::install(&place);
    // Nothing is refused where there is no policy.
    let with = |image: &str| apply(&plain(), &edit("/spec/image", json!(image)));
    try_tenant(&place, &with("a.example/x/core:1")).await.unwrap();
    let mut before = with("a.example/x/core:1");
    before["metadata"]["finalizers"] = json!(["voicemail.dev/tenant"]);
    place.store(Kind::Tenant, "before", &before).await;

    policies.make("one", json!({"images": {"prefixes": ["a.example/", "b.example/"]}})).await;
    policies.make("two", json!({"images": {"prefixes": ["b.example/", "c.example/"]}})).await;
    let elsewhere = json!({"namespaceLabels": {"stage": "elsewhere"}, "images": {"prefixes": []}});
    policies.make("elsewhere", elsewhere).await;
    let tried = async |image: &str| {
        try_tenant(&place, &with(image)).await.map_err(|words| words.contains("image: policy"))
    };
    policies
        .wait("both in force", async || {
            tried("a.example/x:1").await == Err(true) && tried("c.example/x:1").await.is_err()
        })
        .await;
    assert!(tried("b.example/x:1").await.is_ok(), "a policy of other namespaces counts");

    // Labels and the end of one that breaks them aren't held up; its spec is.
    place.kubectl(&["label", "vmt", "before", "seen=yes"]).unwrap();
    let changed =
        place.kubectl(&["patch", "vmt", "before", "--type=merge", "-p", r#"{"spec":{"replicas":3}}"#]);
    assert!(format!("{:#}", changed.unwrap_err()).contains("image: policy"));
    place.kubectl(&["delete", "vmt", "before", "--wait=false"]).unwrap();
    place
        .kubectl(&[
            "patch",
            "vmt",
            "before",
            "--type=merge",
            "-p",
            r#"{"spec":{"replicas":3},"metadata":{"finalizers":null}}"#,
        ])
        .unwrap();

    policies.change("two", &json!({"images": {"prefixes": ["a.example/"]}})).await;
    policies.wait("the change counts", async || tried("a.example/x:1").await.is_ok()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_asks_for_no_shorter_window_than_the_floor() {
    let place = Place::prepare().await;
    let mut policies = Policies::install(&place);
    policies.make("floor", json!({"floors": {"undoWindow": "24h"}})).await;
    let with = |window: Value| apply(&full_request(), &edit("/spec/undoWindow", window));
    let tried = async |window: Value| -> Answer { place.try_create(Kind::Request, &with(window)).await };
    let refused = async || {
        let words = tried(json!("0s")).await.map_err(|refused| refused.words);
        words.is_err_and(|words| words.contains("undoWindow: policy") && words.contains("at least 24h"))
    };
    policies.wait("in force", refused).await;
    for window in [json!("24h"), json!("48h"), Value::Null] {
        assert!(tried(window.clone()).await.is_ok(), "{window}");
    }
    assert!(tried(json!("23h59m")).await.is_err());
}
