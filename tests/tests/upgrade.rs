//! From an earlier chart, as it was packaged, to this one, with a tenant that serves and a case that is open: no pod of
//! the tenant starts anew, and the case goes on to its end under the new operator.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail their test")]

use std::path::Path;
use std::time::Duration;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use kube::api::ListParams;
use voicemail_resources::{Phase, VoicemailTenant};
use voicemail_test_cluster::foreign_operators::keep_out;
use voicemail_test_cluster::image::{ImageRef, alias_image};
use voicemail_test_cluster::wait::wait_until;
use voicemail_test_machine::command::run;
use voicemail_test_machine::speech::{Coding, Studio};
use voicemail_test_machine::workspace_path;
use voicemail_tests::stage::{
    Api, Deposit, People, Site, Tenant, TenantManifest, apply_request, follow_request,
};
use voicemail_tests::tenant_place::prepare_cluster;

const NAMESPACE: &str = "upgrade";
const RELEASE: &str = "vm";
/// The chart right before its version 0.2.0.
const EARLIER: &str = "tests/fixtures/voicemail-operator-0.1.0.tgz";
const CHART: &str = "charts/voicemail-operator";
const CALLER: &str = "+441632960001";
const OTHER: &str = "+441632960777";
const PATIENCE: Duration = Duration::from_secs(120);

/// The cluster, and the image that the tenants keep.
struct Scene {
    site: Site,
    image: ImageRef,
}

impl Scene {
    async fn open() -> Self {
        voicemail_test_machine::install_crypto();
        let (cluster, image) = prepare_cluster().await.unwrap();
        let site = Site::of_cluster(cluster).await.unwrap();
        Tenant::remove_leftovers(&site, NAMESPACE, &manifest()).await.unwrap();
        Tenant::create_namespace(&site, NAMESPACE).await.unwrap();
        keep_out(site.cluster().unwrap(), NAMESPACE).unwrap();
        Self { site, image }
    }

    /// Installs or upgrades the release, whose operator has that image.
    fn install(&self, chart: &Path, image: &ImageRef, more: &[&str]) {
        let mut helm = self.site.helm();
        helm.args(["upgrade", "--install", RELEASE]).arg(chart);
        helm.args(["--namespace", NAMESPACE, "--wait", "--timeout", "3m"]);
        for set in [
            format!("image.repository={}", image.repository()),
            format!("image.tag={}", image.tag()),
            format!("coreImage={}", self.image),
            format!("watchNamespaces={{{NAMESPACE}}},clusterName=upgrade,roles.create=false,replicas=1"),
        ] {
            helm.args(["--set", &set]);
        }
        run(helm.args(more)).unwrap();
    }

    async fn operator_image(&self) -> String {
        let deployment = self.site.api::<Deployment>(NAMESPACE).unwrap().get(RELEASE).await.unwrap();
        let value = serde_json::to_value(deployment.spec).unwrap();
        value["template"]["spec"]["containers"][0]["image"].as_str().unwrap().to_owned()
    }

    /// Uid and restarts of the tenant's pods.
    async fn lives(&self) -> Vec<(String, i32)> {
        let parameters = ListParams::default().labels("app.kubernetes.io/name=voicemail");
        let pods = self.site.api::<Pod>(NAMESPACE).unwrap().list(&parameters).await.unwrap();
        let restarts = |pod: &Pod| pod.status.clone().unwrap().container_statuses.unwrap()[0].restart_count;
        pods.iter().map(|pod| (pod.uid().unwrap(), restarts(pod))).collect()
    }

    /// The new operator has looked at the tenant.
    async fn wait_looked_at(&self, tenant: &str) {
        let word = format!("voicemail.dev/reconcile-at={}", self.operator_image().await.len());
        self.site.run_kubectl(&["annotate", "vmt", tenant, &word, "-n", NAMESPACE]).await.unwrap();
        let looked = |tenant: &VoicemailTenant| {
            tenant.status.as_ref().is_some_and(|status| status.last_handled_reconcile_at.is_some())
        };
        let api = self.site.api(NAMESPACE).unwrap();
        wait_until(&api, tenant, "the new operator has looked at it", PATIENCE, looked).await.unwrap();
    }

    async fn apply(&self, file: &str, phase: Phase) {
        let name = apply_request(&self.site, NAMESPACE, file).await.unwrap();
        self.follow(&name, phase).await;
    }

    async fn follow(&self, request: &str, phase: Phase) {
        follow_request(&self.site, NAMESPACE, request, phase, PATIENCE).await.unwrap();
    }
}

fn manifest() -> TenantManifest {
    TenantManifest::example().unwrap().in_namespace(NAMESPACE)
}

/// Two messages of the caller and one of somebody else, in one mailbox.
async fn leave_messages(people: &People) {
    people.provision(&["1001"]).await.unwrap();
    let audio = Studio::open().unwrap().speak("good morning", Coding::ALaw).unwrap();
    for caller in [CALLER, OTHER, CALLER] {
        people.media_server.deposit(&Deposit::new("1001", caller, &audio)).await.unwrap();
    }
}

async fn listed(agent: &Api) -> usize {
    agent.list("1001").await.unwrap().len()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upgrade_from_an_earlier_chart_restarts_no_tenant_and_an_open_case_goes_on() {
    let scene = Scene::open().await;
    // The CRDs are the cluster's, which other tests use: both charts find them there, and the new one adopts them.
    scene.install(&workspace_path(EARLIER), &scene.image, &["--set", "crds.enabled=false"]);
    let tenant = Tenant::apply(&scene.site, NAMESPACE, &manifest()).await.unwrap();
    tenant.wait_ready().await.unwrap();
    let people = People::meet(&scene.site, &tenant, &manifest()).await.unwrap();
    leave_messages(&people).await;
    let agent = people.agent;
    let consumers = workspace_path("examples/gdpr/consumers.yaml");
    scene.site.apply_file(NAMESPACE, &consumers).await.unwrap();
    scene.apply("forget.yaml", Phase::Marked).await;
    assert_eq!(listed(&agent).await, 1);
    let before = scene.lives().await;
    assert_eq!(before.len(), 2);

    // A newer operator has another image; the tenants' is pinned by coreImage.
    let newer = alias_image(scene.site.cluster().unwrap(), &scene.image, "newer").unwrap();
    let adopting = ["--reset-values", "--take-ownership", "--force-conflicts"];
    scene.install(&workspace_path(CHART), &newer, &adopting);
    assert_eq!(scene.operator_image().await, newer.as_str());
    scene.wait_looked_at(tenant.name()).await;
    tenant.wait_ready().await.unwrap();
    assert_eq!(scene.lives().await, before, "an upgrade of the operator touches no pod of a tenant");
    scene.follow("case-123456789-forget", Phase::Marked).await;
    assert_eq!(listed(&agent).await, 1);

    scene.apply("undo.yaml", Phase::Completed).await;
    scene.follow("case-123456789-forget", Phase::Undone).await;
    assert_eq!(listed(&agent).await, 3);
    scene.apply("forget-again.yaml", Phase::Completed).await;
    assert_eq!(listed(&agent).await, 1);
    assert_eq!(scene.lives().await, before);

    tenant.remove().await.unwrap();
}
