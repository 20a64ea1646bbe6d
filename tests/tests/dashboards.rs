//! The chart's dashboards: every query of every panel is asked of a real Prometheus that scrapes a live core and a live
//! operator, and finds something; and every metric of both programs' tables is on a dashboard.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail their test")]

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::Pod;
use kube::api::ListParams;
use serde_json::Value;
use voicemail_resources::Phase;
use voicemail_test_cluster::Cluster;
use voicemail_test_machine::command::run;
use voicemail_test_machine::servers::{Prometheus, Target};
use voicemail_test_machine::speech::{Coding, Studio};
use voicemail_test_machine::workspace_path;
use voicemail_tests::dashboards::{chart, metrics_of, queries, read};
use voicemail_tests::stage::{
    Deposit, ExampleTenant, People, SharedOperator, Site, Tenant, apply_request, follow_request,
};

const NAMESPACE: &str = "dashboards";
/// Those that are about a core and an operator; telephones have one of their own, which `telephone` asks.
const FILES: [&str; 2] = ["operator.json", "tenants.json"];
const ALL: [&str; 3] = ["operator.json", "telephony.json", "tenants.json"];
const METRICS_PORT: u16 = 9090;
const HEALTH_PORT: u16 = 8080;
const PATIENCE: Duration = Duration::from_secs(120);
/// Counters that have no series until something goes wrong, or is configured: not in a scrape before.
const OF_FAULTS: [&str; 9] = [
    "voicemail_watch_failures_total",
    "voicemail_store_call_failures_total",
    "voicemail_store_hedges_total",
    "voicemail_store_errors_total",
    "voicemail_mwi_drift_total",
    "voicemail_mwi_webhook_deliveries_total",
    "voicemail_emails_total",
    "voicemail_index_conflicts_total",
    "voicemail_config_reloads_total",
];

/// A live operator with a live tenant, whose callers and privacy officers have been busy.
struct Scene {
    site: Site,
    _operator: SharedOperator,
    tenant: Tenant,
    prometheus: Prometheus,
}

impl Scene {
    async fn open() -> Self {
        let example = ExampleTenant::open(NAMESPACE).await.unwrap();
        let people = example.serve(&["1001"]).await.unwrap();
        let ExampleTenant { site, operator, tenant, .. } = example;
        let mut targets = find_targets(&site, NAMESPACE, "voicemail", METRICS_PORT).await;
        let system = operator.installation().namespace().to_owned();
        targets.extend(find_targets(&site, &system, "voicemail-operator", HEALTH_PORT).await);
        let prometheus = Prometheus::start(&targets).await.unwrap();
        let scene = Self { site, _operator: operator, tenant, prometheus };
        scene.make_traffic(&people).await;
        scene
    }

    /// A message in and out, something refused, an export and an erasure that is open.
    async fn make_traffic(&self, people: &People) {
        let audio = Studio::open().unwrap().speak("good evening", Coding::ALaw).unwrap();
        people.media_server.deposit(&Deposit::new("1001", "+441632960001", &audio)).await.unwrap();
        people.agent.list("1001").await.unwrap();
        assert!(people.agent.list("9999").await.is_err());
        self.site.apply_file(NAMESPACE, &workspace_path("examples/gdpr/consumers.yaml")).await.unwrap();
        for (file, phase) in [("export.yaml", Phase::Completed), ("forget.yaml", Phase::Marked)] {
            let name = apply_request(&self.site, NAMESPACE, file).await.unwrap();
            follow_request(&self.site, NAMESPACE, &name, phase, PATIENCE).await.unwrap();
        }
    }

    async fn has_answer(&self, query: &str) -> bool {
        let series = self.prometheus.query(query).await.unwrap_or_else(|error| panic!("{error:#}"));
        !series.is_empty()
    }

    /// Series; or all of it counts what only happens when something fails.
    async fn resolves(&self, query: &str) -> bool {
        let metrics = metrics_of(query);
        let only_faults =
            !metrics.is_empty() && metrics.iter().all(|name| OF_FAULTS.contains(&name.as_str()));
        self.has_answer(query).await || only_faults
    }

    /// An open request would hold the tenant back.
    async fn close(self) {
        apply_request(&self.site, NAMESPACE, "undo.yaml").await.unwrap();
        follow_request(&self.site, NAMESPACE, "case-123456789-forget", Phase::Undone, PATIENCE)
            .await
            .unwrap();
        self.tenant.remove().await.unwrap();
    }
}

/// The pods that run under that name.
async fn find_targets(site: &Site, namespace: &str, name: &str, port: u16) -> Vec<Target> {
    let parameters = ListParams::default().labels(&format!("app.kubernetes.io/name={name}"));
    let pods = site.api::<Pod>(namespace).unwrap().list(&parameters).await.unwrap();
    let live = pods.iter().filter(|pod| pod.metadata.deletion_timestamp.is_none());
    let address = |pod: &Pod| pod.status.as_ref()?.pod_ip.as_ref()?.parse().ok();
    live.filter_map(address)
        .map(|address| Target {
            address: SocketAddr::new(address, port),
            namespace: namespace.to_owned(),
            job: name.to_owned(),
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_query_of_every_panel_finds_something_in_a_live_scrape() {
    let scene = Scene::open().await;
    let (world, start) = (voicemail_store::real_world(), Instant::now());
    let mut left: Vec<_> = FILES.iter().flat_map(|file| queries(file).unwrap()).collect();
    assert!(left.len() > 60, "{}", left.len());
    // Replicas reach one another by the headless Service.
    let heeded = "sum(voicemail_mwi_hints_total{direction=\"in\",outcome=\"heeded\"}) > 0";
    left.push(("hints between replicas".to_owned(), heeded.to_owned()));
    while !left.is_empty() {
        let mut unresolved = Vec::new();
        for (panel, query) in left {
            if !scene.resolves(&query).await {
                unresolved.push((panel, query));
            }
        }
        left = unresolved;
        assert!(start.elapsed() < PATIENCE, "these find nothing: {left:#?}");
        world.sleep(Duration::from_millis(500)).await;
    }
    // The objects of this very place are counted.
    for query in [
        "sum(voicemail_tenants) >= 1",
        "sum(voicemail_gdpr_open_requests{phase=\"Marked\"}) >= 1",
        "sum(rest_client_requests_total{code=\"200\",method=\"GET\"}) > 0",
        "sum(workqueue_queue_duration_seconds_count{controller=\"gdprrequest\"}) > 0",
        "sum(leader_election_master_status) == 1",
    ] {
        assert!(scene.has_answer(query).await, "{query} finds nothing");
    }
    scene.close().await;
}

/// Series that these lists leave out are in the programs' tables, which their own tests compare with their output.
#[test]
fn metrics_of_faults_are_in_the_tables() {
    let tables = ["docs/metrics.md", "docs/operator-metrics.md"]
        .map(|table| std::fs::read_to_string(workspace_path(table)).unwrap())
        .concat();
    for name in OF_FAULTS {
        assert!(tables.contains(&format!("| `{}` | counter", name.trim_end_matches("_total"))), "{name}");
    }
}

#[test]
fn every_metric_of_both_tables_is_on_a_dashboard() {
    let shown: BTreeSet<String> = FILES
        .iter()
        .flat_map(|file| queries(file).unwrap())
        .flat_map(|(_, query)| metrics_of(&query))
        .collect();
    for table in ["docs/metrics.md", "docs/operator-metrics.md"] {
        let text = std::fs::read_to_string(chart().join("../..").join(table)).unwrap();
        let names = text.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next());
        for name in names {
            let endings = ["", "_total", "_bucket"];
            let is_shown = endings.iter().any(|ending| shown.contains(&format!("{name}{ending}")));
            assert!(is_shown, "{table}: {name} is on no dashboard");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_chart_makes_config_maps_of_them_with_the_sidecars_label() {
    voicemail_test_machine::install_crypto();
    let cluster = Cluster::ensure().await.unwrap();
    let mut helm = cluster.helm();
    helm.arg("template").arg("vm").arg(chart()).args(["--show-only", "templates/dashboards.yaml"]);
    let rendered = run(helm.args(["--set", "monitoring.dashboards.enabled=true"])).unwrap();
    let mut seen = BTreeSet::new();
    for document in rendered.split("---\n").filter(|text| text.contains("kind: ConfigMap")) {
        let map: Value = serde_yaml::from_str(document).unwrap();
        assert_eq!(map["metadata"]["labels"]["grafana_dashboard"], "1");
        for (file, text) in map["data"].as_object().unwrap() {
            assert_eq!(serde_json::from_str::<Value>(text.as_str().unwrap()).unwrap(), read(file).unwrap());
            seen.insert(file.clone());
        }
    }
    assert_eq!(seen, ALL.map(str::to_owned).into());
}
