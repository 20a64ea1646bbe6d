//! Objects of the former API version, stored by the CRDs of that version, are written anew by `voicemail-operator migrate`: none is lost,
//! none is replaced, and one that the present version refuses holds up everything before anything is changed.
//!
//! `fixture` holds the CRDs as the release of the former version had them. The objects are the frozen ones of the operator's own
//! tests, which prove that the children stay the same.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test's failure is a panic")]

use std::fmt::Debug;
use std::path::Path;

use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{DynamicObject, ListParams, Patch, PatchParams, PostParams};
use kube::core::{ApiResource, GroupVersionKind};
use kube::{Api, Client, Resource, ResourceExt};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use voicemail_migration::migrate::{Arguments, convert_cluster};
use voicemail_resources::conditions::{ConditionStatus, find_condition};
use voicemail_resources::{GdprRequest, VoicemailTenant};
use voicemail_test_cluster::Cluster;
use voicemail_test_cluster::foreign_operators::keep_out;
use voicemail_test_cluster::namespace::TestNamespace;
use voicemail_test_machine::command::run;
use voicemail_tests::operator_process::install_crds;

const FINALIZER: &str = "voicemail.dev/tenant";

struct Scene {
    cluster: Cluster,
    namespace: TestNamespace,
}

fn fixture(name: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/migration/fixture");
    std::fs::read_to_string(folder.join(name)).unwrap()
}

fn tenants() -> Vec<Value> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../operator/migration/fixture/tenants.json");
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

impl Scene {
    /// The CRDs are the former ones. Those of other suites go, and with them what they left: what a failed one left has a
    /// finalizer that no operator takes any more.
    async fn open() -> Self {
        voicemail_test_machine::install_crypto();
        let cluster = Cluster::ensure().await.unwrap();
        release_leftovers::<VoicemailTenant>(&cluster).await;
        release_leftovers::<GdprRequest>(&cluster).await;
        for (_, crd) in voicemail_resources::crds() {
            let name = format!("crd/{}", crd.name_any());
            run(cluster.kubectl().command().args(["delete", &name, "--ignore-not-found", "--timeout=60s"]))
                .unwrap();
        }
        for file in ["voicemail.dev_voicemailtenants.yaml", "voicemail.dev_gdprrequests.yaml"] {
            cluster.kubectl().apply(&fixture(file)).unwrap();
        }
        let crds = ["crd/voicemailtenants.voicemail.dev", "crd/gdprrequests.voicemail.dev"];
        let mut wait = cluster.kubectl().command();
        run(wait.args(["wait", "--for=condition=Established", "--timeout=30s"]).args(crds)).unwrap();
        let namespace = TestNamespace::create(cluster.config().await.unwrap(), "migration").await.unwrap();
        keep_out(&cluster, namespace.name()).unwrap();
        Self { cluster, namespace }
    }

    fn client(&self) -> Client {
        self.namespace.client()
    }

    fn former(&self, kind: &str) -> Api<DynamicObject> {
        let resource = ApiResource::from_gvk(&GroupVersionKind::gvk("voicemail.dev", "v1alpha1", kind));
        Api::namespaced_with(self.client(), self.namespace.name(), &resource)
    }

    /// Stores an object of the former version, with its status.
    async fn store(&self, object: &Value, status: Value) -> DynamicObject {
        let api = self.former(object["kind"].as_str().unwrap());
        let mut object = object.clone();
        let metadata = object["metadata"].as_object_mut().unwrap();
        metadata.insert("namespace".into(), json!(self.namespace.name()));
        metadata.remove("uid");
        metadata.remove("generation");
        let made: DynamicObject = serde_json::from_value(object).unwrap();
        let stored = api.create(&PostParams::default(), &made).await.unwrap();
        let patch = Patch::Merge(json!({ "status": status }));
        api.patch_status(&stored.name_any(), &PatchParams::default(), &patch).await.unwrap()
    }

    fn arguments(&self, dry_run: bool, originals: Option<std::path::PathBuf>) -> Arguments {
        let namespace = self.namespace.name().to_owned();
        Arguments { cluster: true, file: None, dry_run, namespace, originals }
    }

    async fn crd(&self) -> CustomResourceDefinition {
        Api::all(self.client()).get("voicemailtenants.voicemail.dev").await.unwrap()
    }
}

fn condition(type_: &str, status: &str, reason: &str) -> Value {
    json!({"type": type_, "status": status, "reason": reason, "message": "m", "observedGeneration": 1,
           "lastTransitionTime": "2026-01-31T10:00:00Z"})
}

fn request(name: &str) -> Value {
    json!({"apiVersion": "voicemail.dev/v1alpha1", "kind": "GdprRequest", "metadata": {"name": name},
           "spec": {"tenant": "acme", "operation": "ForgetMe", "caseId": "123456789", "requestedBy": "anna",
                    "consumers": {"secret": {"name": "c"}, "keep": true}, "ttlAfterFinished": "90d"}})
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_former_version_stored_is_written_anew_and_nothing_is_lost() {
    let scene = Scene::open().await;
    let mut stored = Vec::new();
    for (index, mut tenant) in tenants().into_iter().enumerate().filter(|(index, _)| index % 8 == 0) {
        tenant["metadata"]["finalizers"] = json!([FINALIZER]);
        let status = json!({"storeId": format!("s-{index}"), "replicas": 2, "readyReplicas": 2,
                            "observedGeneration": 1, "conditions": [condition("Ready", "True", "Available")]});
        stored.push(scene.store(&tenant, status).await);
    }
    let marked = json!({"phase": "Marked", "run": "r", "matched": 3, "observedGeneration": 1,
                        "conditions": [condition("Completed", "False", "Marked"), condition("Failed", "False", "NotFailed")]});
    scene.store(&request("open"), marked).await;
    let denied = json!({"phase": "Denied", "observedGeneration": 1, "conditions": [condition("Completed", "False", "Denied")]});
    scene.store(&request("denied"), denied).await;

    // One that the present version refuses: nothing is changed, and it is named with its field.
    let mut broken = tenants().remove(0);
    broken["metadata"]["name"] = json!("broken");
    broken["spec"]["gdpr"] = json!({"undoWindow": "99d"});
    scene.store(&broken, json!({})).await;
    let refused =
        convert_cluster(&scene.client(), &scene.arguments(false, None)).await.unwrap_err().to_string();
    assert!(
        refused.contains("/broken") && refused.contains("gdpr.undoWindow: write at most 720h"),
        "{refused}"
    );
    assert_eq!(scene.crd().await.spec.versions[0].name, "v1alpha1");
    let lists = scene.former("VoicemailTenant").list(&ListParams::default()).await.unwrap().items.len();
    assert_eq!(lists, stored.len() + 1);
    scene.former("VoicemailTenant").delete("broken", &Default::default()).await.unwrap();

    let told = convert_cluster(&scene.client(), &scene.arguments(true, None)).await.unwrap();
    assert!(told.contains("nothing was changed"), "{told}");
    assert_eq!(scene.crd().await.spec.versions[0].name, "v1alpha1");

    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("originals.json");
    let arguments = scene.arguments(false, Some(file.clone()));
    convert_cluster(&scene.client(), &arguments).await.unwrap();
    let crd = scene.crd().await;
    let versions: Vec<&str> = crd.spec.versions.iter().map(|version| version.name.as_str()).collect();
    assert_eq!(
        (versions, crd.status.unwrap().stored_versions.unwrap()),
        (vec!["v1beta1"], vec!["v1beta1".to_owned()])
    );

    let api: Api<VoicemailTenant> = scene.namespace.api();
    for former in &stored {
        let present = api.get(&former.name_any()).await.unwrap();
        assert_eq!((present.uid(), present.finalizers()), (former.uid(), [FINALIZER.to_owned()].as_slice()));
        assert!(present.has_known_store() && present.metadata.deletion_timestamp.is_none());
        assert_eq!(present.spec.tenant_id, former.data["spec"]["tenantId"]);
        let status = present.status.as_ref().unwrap();
        assert_eq!(status.observed_generation, present.metadata.generation, "it was looked at");
        let fields = serde_json::to_string(&present.metadata.managed_fields).unwrap();
        assert!(!fields.contains("tenantId") && !fields.contains("v1alpha1"), "{fields}");
    }
    let requests: Api<GdprRequest> = scene.namespace.api();
    for (name, finished, succeeded) in [
        ("open", ConditionStatus::False, ConditionStatus::Unknown),
        ("denied", ConditionStatus::True, ConditionStatus::False),
    ] {
        let request = requests.get(name).await.unwrap();
        let conditions = &request.status.as_ref().unwrap().conditions;
        let found = |type_: &str| find_condition(conditions, type_).unwrap().status;
        assert_eq!((found("Finished"), found("Succeeded")), (finished, succeeded), "{name}");
    }
    // A rule for new objects leaves what is stored alone, and what it is about stays as it is.
    let label = Patch::Merge(json!({"metadata": {"labels": {"seen": "yes"}}}));
    requests.patch("open", &PatchParams::default(), &label).await.unwrap();

    let kept: Vec<Value> = serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
    assert_eq!(kept.len(), stored.len() + 2);
    assert!(
        kept.iter()
            .all(|object| object["spec"]["tenantId"].is_string() || object["spec"]["tenant"].is_string())
    );
    let secrets: Api<Secret> = scene.namespace.api();
    let secret = secrets.get("voicemail-v1alpha1-originals-0").await.unwrap();
    let inside: Vec<Value> = serde_json::from_slice(&secret.data.unwrap()["objects.json"].0).unwrap();
    assert_eq!(inside.len(), kept.len());

    let again = convert_cluster(&scene.client(), &arguments).await.unwrap();
    assert!(again.contains("nothing is stored in the former version"), "{again}");
    scene.clear().await;
}

/// Takes the finalizers of all objects of a kind, if it is served.
async fn release_leftovers<K>(cluster: &Cluster)
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + DeserializeOwned + Debug,
{
    let client = cluster.client().await.unwrap();
    let Ok(left) = Api::<K>::all(client.clone()).list(&ListParams::default()).await else { return };
    for object in left {
        let api: Api<K> = Api::namespaced(client.clone(), &object.namespace().unwrap());
        let none = Patch::Merge(json!({"metadata": {"finalizers": null}}));
        api.patch(&object.name_any(), &PatchParams::default(), &none).await.unwrap();
    }
}

impl Scene {
    /// Without an operator nobody takes the finalizers.
    async fn clear(&self) {
        let api: Api<VoicemailTenant> = self.namespace.api();
        for tenant in api.list(&ListParams::default()).await.unwrap() {
            let none = Patch::Merge(json!({"metadata": {"finalizers": null}}));
            api.patch(&tenant.name_any(), &PatchParams::default(), &none).await.unwrap();
        }
        install_crds(&self.cluster).unwrap();
    }
}
