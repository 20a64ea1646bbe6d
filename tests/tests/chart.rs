//! The chart: every profile renders and is valid for every supported Kubernetes, unknown values are refused, and a
//! release is installed, upgraded, rolled back and uninstalled on the real cluster, unless tenants still need it.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail their test")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Namespace;
use kube::Api;
use kube::api::DeleteParams;
use voicemail_resources::VoicemailTenant;
use voicemail_resources::conditions::{ConditionStatus, READY, find_condition};
use voicemail_test_cluster::Cluster;
use voicemail_test_cluster::foreign_operators::keep_out;
use voicemail_test_cluster::helm3::helm3;
use voicemail_test_cluster::image::ImageRef;
use voicemail_test_cluster::kubeconform::{VERSIONS, validate};
use voicemail_test_cluster::namespace::TestNamespace;
use voicemail_test_cluster::wait::{wait_gone, wait_until};
use voicemail_test_machine::command::run;
use voicemail_tests::tenant_manifest::tenant_on;
use voicemail_tests::tenant_place::prepare_cluster;

const RELEASE: &str = "vm";
const DEADLINE: Duration = Duration::from_secs(120);
/// Kinds of others, which kubeconform has no schemas for.
const FOREIGN: [&str; 5] =
    ["PodMonitor", "ServiceMonitor", "PrometheusRule", "HTTPRoute", "BackendTLSPolicy"];

fn chart() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../charts/voicemail-operator")
}

/// The values of each profile; the first is the chart's own.
fn profiles() -> Vec<Option<PathBuf>> {
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(chart().join("profiles")).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(files.len() >= 4, "{files:?}");
    std::iter::once(None).chain(files.into_iter().map(Some)).collect()
}

fn render(cluster: &Cluster, values: Option<&Path>, kubernetes: &str) -> Command {
    let mut helm = cluster.helm();
    helm.args(["template", RELEASE]).arg(chart()).args(["--namespace", "ops", "--kube-version", kubernetes]);
    if let Some(values) = values {
        helm.arg("--values").arg(values);
    }
    helm
}

#[tokio::test(flavor = "multi_thread")]
async fn every_profile_is_valid_for_every_supported_kubernetes() {
    voicemail_test_machine::install_crypto();
    let cluster = Cluster::ensure().await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    for (version, _) in VERSIONS {
        for values in profiles() {
            let name =
                values.as_deref().and_then(Path::file_stem).map_or("default".into(), |s| s.to_string_lossy());
            let rendered = run(&mut render(&cluster, values.as_deref(), version)).unwrap();
            let file = folder.path().join(format!("{name}-{version}.yaml"));
            std::fs::write(&file, rendered).unwrap();
            validate(version, &file, &FOREIGN).unwrap_or_else(|error| panic!("{name}: {error:#}"));
        }
    }
}

/// Where the operator's pods run, and with what labels, the check before its removal runs too: on nodes that are all
/// tainted it could run nowhere, and the removal would hang.
#[tokio::test(flavor = "multi_thread")]
async fn jobs_of_the_chart_run_where_the_operator_does_under_the_longest_name() {
    voicemail_test_machine::install_crypto();
    let cluster = Cluster::ensure().await.unwrap();
    let values = serde_json::json!({
        "priorityClassName": "system-cluster-critical", "nodeSelector": {"pool": "operators"},
        "tolerations": [{"key": "operators", "operator": "Exists"}],
        "affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [
            {"matchExpressions": [{"key": "pool", "operator": "Exists"}]}]}}},
        "podLabels": {"team": "telephony"}, "podAnnotations": {"sidecar.istio.io/inject": "false"},
    });
    let folder = tempfile::tempdir().unwrap();
    let (given, rendered) = (folder.path().join("values.yaml"), folder.path().join("rendered.yaml"));
    std::fs::write(&given, values.to_string()).unwrap();
    let release = "a".repeat(52) + "z";
    let mut helm = cluster.helm();
    helm.args(["template", &release]).arg(chart()).args(["--namespace", "ops"]).arg("--values").arg(&given);
    let text = run(&mut helm).unwrap();
    std::fs::write(&rendered, &text).unwrap();
    for (version, _) in VERSIONS {
        validate(version, &rendered, &FOREIGN).unwrap();
    }
    let objects: Vec<serde_json::Value> = text
        .split("\n---\n")
        .filter_map(|object| serde_yaml::from_str(object).ok())
        .filter(|object: &serde_json::Value| object.is_object())
        .collect();
    let templates = |kind: &'static str| objects.iter().filter(move |object| object["kind"] == kind);
    let deployment = &templates("Deployment").next().unwrap()["spec"]["template"];
    let mut ends: BTreeSet<&str> = BTreeSet::new();
    for found in templates("Job") {
        let (name, job) = (found["metadata"]["name"].as_str().unwrap(), &found["spec"]["template"]);
        assert!(name.len() <= 63, "{name}");
        ends.extend(["-pre-delete", "-migrate"].into_iter().find(|end| name.ends_with(end)));
        for field in ["priorityClassName", "nodeSelector", "tolerations", "affinity"] {
            assert_eq!(job["spec"][field], values[field], "{name}: {field}");
            assert_eq!(deployment["spec"][field], values[field], "{field}");
        }
        assert_eq!(job["metadata"]["labels"]["team"], "telephony", "{name}");
        assert_eq!(job["metadata"]["annotations"], values["podAnnotations"], "{name}");
        assert_ne!(job["metadata"]["labels"]["app.kubernetes.io/name"], "voicemail-operator", "{name}");
    }
    assert_eq!(ends.len(), 2, "{ends:?}");
}

/// What a platform wants of every object of every chart.
#[tokio::test(flavor = "multi_thread")]
async fn names_registries_annotations_variables_and_users_follow_the_values() {
    voicemail_test_machine::install_crypto();
    let cluster = Cluster::ensure().await.unwrap();
    let values = serde_json::json!({
        "global": {"imageRegistry": "registry.example:5000/mirror"}, "coreImage": "ghcr.io/voicemail-dev/voicemail:9",
        "fullnameOverride": "mailbox", "nameOverride": "voice", "extraAnnotations": {"example.com/owner": "voice"},
        "extraEnv": [{"name": "HTTPS_PROXY", "value": "http://proxy.example:3128"}], "clusterDomain": "corp.example",
        "strategy": {"type": "Recreate"}, "revisionHistoryLimit": 3,
        "topologySpreadConstraints": [{"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "DoNotSchedule"}],
        "securityContext": {"privileged": false}, "monitoring": {"serviceMonitor": {"enabled": true}},
    });
    let file = tempfile::Builder::new().suffix(".yaml").tempfile().unwrap();
    std::fs::write(file.path(), values.to_string()).unwrap();
    let objects = |more: &[&str]| {
        let mut helm = render(&cluster, Some(file.path()), "v1.37.0");
        let text = run(helm.args(more)).unwrap();
        let read = |object: &str| serde_yaml::from_str::<serde_json::Value>(object).ok();
        text.split("\n---\n").filter_map(read).filter(serde_json::Value::is_object).collect::<Vec<_>>()
    };
    let plain = objects(&[]);
    for object in &plain {
        let name = format!("{} {}", object["kind"], object["metadata"]["name"]);
        assert_eq!(object["metadata"]["annotations"]["example.com/owner"], "voice", "{name}");
        assert_eq!(object["metadata"]["labels"]["app.kubernetes.io/name"], "voice", "{name}");
    }
    let deployment = plain.iter().find(|object| object["kind"] == "Deployment").unwrap();
    assert_eq!(deployment["metadata"]["name"], "mailbox");
    assert_eq!(deployment["spec"]["strategy"]["type"], "Recreate");
    let pod = &deployment["spec"]["template"]["spec"];
    assert_eq!(pod["topologySpreadConstraints"], values["topologySpreadConstraints"]);
    let container = &pod["containers"][0];
    let image = container["image"].as_str().unwrap();
    assert!(image.starts_with("registry.example:5000/mirror/voicemail-dev/voicemail:"), "{image}");
    assert_eq!(container["securityContext"]["privileged"], false);
    let variable = |name: &str| {
        let all = container["env"].as_array().unwrap().iter();
        all.clone().find(|variable| variable["name"] == name).map(|variable| variable["value"].clone())
    };
    assert_eq!(
        variable("VOICEMAIL_IMAGE").unwrap(),
        "registry.example:5000/mirror/voicemail-dev/voicemail:9"
    );
    assert_eq!(variable("HTTPS_PROXY").unwrap(), "http://proxy.example:3128");
    assert_eq!(variable("CLUSTER_DOMAIN").unwrap(), "corp.example");
    assert!(plain.iter().any(|object| object["kind"] == "ServiceMonitor"));
    let users = |objects: &[serde_json::Value]| {
        let pods = objects.iter().filter(|object| object["spec"]["template"]["spec"].is_object());
        pods.map(|object| object["spec"]["template"]["spec"]["securityContext"]["runAsUser"].clone())
            .collect::<Vec<_>>()
    };
    assert!(users(&plain).iter().all(|user| user == 10_001) && users(&plain).len() >= 3);
    let ranged = objects(&["--api-versions", "security.openshift.io/v1"]);
    assert!(users(&ranged).iter().all(serde_json::Value::is_null), "the namespace says whom they run as");
    let given = objects(&["--set", "podSecurityContext.runAsUser=null"]);
    assert!(users(&given).iter().all(serde_json::Value::is_null));
}

fn lint(mut helm: Command, values: Option<&Path>) {
    helm.args(["lint", "--strict"]).arg(chart());
    if let Some(values) = values {
        helm.arg("--values").arg(values);
    }
    run(&mut helm).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_chart_is_linted_without_a_warning_for_every_profile() {
    voicemail_test_machine::install_crypto();
    let cluster = Cluster::ensure().await.unwrap();
    for values in profiles() {
        lint(cluster.helm(), values.as_deref());
    }
}

/// The objects of a rendered chart, by kind and name.
fn objects_of(rendered: &str) -> BTreeMap<String, serde_json::Value> {
    let objects =
        rendered.split("\n---\n").filter_map(|text| serde_yaml::from_str::<serde_json::Value>(text).ok());
    let named = |object: serde_json::Value| {
        let (namespace, name) = (&object["metadata"]["namespace"], &object["metadata"]["name"]);
        (format!("{} {namespace} {name}", object["kind"]), object)
    };
    objects.filter(serde_json::Value::is_object).map(named).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn helm_3_gives_every_profile_the_objects_that_helm_4_gives() {
    voicemail_test_machine::install_crypto();
    let cluster = Cluster::ensure().await.unwrap();
    let helm3 = helm3().unwrap();
    for values in profiles() {
        let by_4 = render(&cluster, values.as_deref(), "v1.37.0");
        let mut by_3 = Command::new(&helm3);
        by_3.args(by_4.get_args());
        let (mut by_4, name) = (by_4, format!("{values:?}"));
        let (found, expected) = (objects_of(&run(&mut by_3).unwrap()), objects_of(&run(&mut by_4).unwrap()));
        assert!(expected.len() > 10, "{name}");
        assert_eq!(found, expected, "{name}");
        lint(Command::new(&helm3), values.as_deref());
    }
}

/// Browsers reach the pages by the same host as the API, whose cookie they share.
#[tokio::test(flavor = "multi_thread")]
async fn a_way_in_leads_to_the_api_and_to_the_pages() {
    voicemail_test_machine::install_crypto();
    let cluster = Cluster::ensure().await.unwrap();
    for (profile, kind) in [("ingress", "Ingress"), ("gateway", "HTTPRoute")] {
        let values = chart().join(format!("profiles/{profile}.yaml"));
        let rendered = run(&mut render(&cluster, Some(&values), "v1.37.0")).unwrap();
        let objects = rendered
            .split("\n---\n")
            .filter_map(|object| serde_yaml::from_str::<serde_json::Value>(object).ok());
        let routes: Vec<_> = objects.filter(|object| object["kind"] == kind).collect();
        assert_eq!(routes.len(), 1, "{kind}");
        let rule = &routes[0]["spec"]["rules"][0];
        let paths: Vec<_> = match kind {
            "Ingress" => rule["http"]["paths"].as_array().unwrap().iter().map(|path| &path["path"]).collect(),
            _ => rule["matches"].as_array().unwrap().iter().map(|one| &one["path"]["value"]).collect(),
        };
        assert_eq!(paths, ["/api/", "/ui"], "{kind}");
    }
}

/// For those without Helm; docs/releasing.md says how it is written.
#[tokio::test(flavor = "multi_thread")]
async fn the_plain_manifests_are_what_the_chart_renders_and_are_accepted() {
    voicemail_test_machine::install_crypto();
    let cluster = Cluster::ensure().await.unwrap();
    let mut helm = cluster.helm();
    helm.args(["template", "voicemail-operator"]).arg(chart());
    let rendered = run(helm.args(["--namespace", "voicemail-system", "--no-hooks"])).unwrap();
    let file = chart().join("../../deploy/voicemail-operator.yaml");
    let stands = std::fs::read_to_string(&file).unwrap();
    assert!(stands == rendered, "deploy/voicemail-operator.yaml is out of date: see docs/releasing.md");
    for (version, _) in VERSIONS {
        validate(version, &file, &FOREIGN).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn unknown_and_impossible_values_are_refused_by_name() {
    voicemail_test_machine::install_crypto();
    let cluster = Cluster::ensure().await.unwrap();
    for (value, part) in [
        ("replica=2", "replica"),
        ("image.tags=1", "tags"),
        ("monitoring.podMonitor.enable=true", "enable"),
        ("replicas=0", "replicas"),
        ("image.digest=latest", "digest"),
        ("watchNamespaces={voice}", "clusterName"),
    ] {
        let mut helm = render(&cluster, None, "v1.37.0");
        let error = run(helm.args(["--set", value])).unwrap_err();
        assert!(format!("{error:#}").contains(part), "{value}: {error:#}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_cluster_wide_rights_nothing_cluster_wide_is_rendered() {
    voicemail_test_machine::install_crypto();
    let cluster = Cluster::ensure().await.unwrap();
    let values = chart().join("profiles/namespaced.yaml");
    let rendered = run(&mut render(&cluster, Some(&values), "v1.37.0")).unwrap();
    let kinds: Vec<&str> = rendered.lines().filter_map(|line| line.strip_prefix("kind: ")).collect();
    assert!(kinds.contains(&"Role") && !kinds.iter().any(|kind| kind.starts_with("Cluster")), "{kinds:?}");
    assert!(!kinds.contains(&"CustomResourceDefinition"), "{kinds:?}");
    // Whatever namespace it is, Secrets are read by name alone.
    for document in rendered.split("---\n").filter(|text| text.contains("secrets")) {
        let role: serde_json::Value = serde_yaml::from_str(document).unwrap();
        for rule in role["rules"].as_array().into_iter().flatten() {
            let of_secrets = rule["resources"].as_array().unwrap().iter().any(|name| name == "secrets");
            let verbs = rule["verbs"].as_array().unwrap();
            let lists = verbs.iter().any(|verb| verb == "list" || verb == "watch");
            assert!(!(of_secrets && lists), "{rule}");
        }
    }
}

/// A release in a namespace of its own, which watches that namespace and a second one.
struct Release {
    cluster: Cluster,
    image: ImageRef,
    namespace: TestNamespace,
    second: String,
}

impl Release {
    /// And the second namespace, to be removed.
    async fn prepare() -> (Self, TestNamespace) {
        voicemail_test_machine::install_crypto();
        let (cluster, image) = prepare_cluster().await.unwrap();
        let namespace = TestNamespace::create(cluster.config().await.unwrap(), "chart").await.unwrap();
        keep_out(&cluster, namespace.name()).unwrap();
        let second = TestNamespace::create(cluster.config().await.unwrap(), "chart-too").await.unwrap();
        (Self { cluster, image, namespace, second: second.name().to_owned() }, second)
    }

    fn helm(&self, arguments: &[&str]) -> anyhow::Result<String> {
        let mut helm = self.cluster.helm();
        run(helm.args(arguments).args(["--namespace", self.namespace.name()]))
    }

    fn upgrade(&self, more: &[&str]) -> anyhow::Result<String> {
        let chart = chart().display().to_string();
        let sets = [
            format!("image.repository={}", self.image.repository()),
            format!("image.tag={}", self.image.tag()),
            format!("watchNamespaces={{{},{}}}", self.namespace.name(), self.second),
            "clusterName=chart,roles.create=false,replicas=1".to_owned(),
        ];
        let mut arguments = vec!["upgrade", "--install", RELEASE, &chart, "--wait", "--timeout", "2m"];
        // The CRDs are there already, from tests that need them too.
        arguments.extend(["--take-ownership", "--force-conflicts"]);
        sets.iter().for_each(|set| arguments.extend(["--set", set]));
        arguments.extend(more);
        self.helm(&arguments)
    }

    async fn log_level(&self) -> String {
        let deployment = self.namespace.api::<Deployment>().get(RELEASE).await.unwrap();
        let value = serde_json::to_value(deployment).unwrap();
        let env = value["spec"]["template"]["spec"]["containers"][0]["env"].as_array().unwrap().clone();
        let level = env.iter().find(|variable| variable["name"] == "RUST_LOG").unwrap();
        level["value"].as_str().unwrap().to_owned()
    }

    fn crds(&self) -> String {
        self.cluster.run_kubectl(&["get", "crd", "voicemailtenants.voicemail.dev", "-o", "yaml"]).unwrap()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_release_is_installed_upgraded_rolled_back_and_uninstalled_once_no_tenant_needs_it() {
    let (release, second) = Release::prepare().await;
    let notes = release.upgrade(&[]).unwrap();
    assert!(notes.contains("Back up first") && notes.contains(release.namespace.name()), "{notes}");
    assert!(release.crds().contains("helm.sh/resource-policy: keep"));

    // It works: a tenant without a volume is looked at.
    let tenants = release.namespace.api::<VoicemailTenant>();
    let tenant = tenant_on("acme", "no-such-volume").unwrap();
    tenants.create(&Default::default(), &tenant).await.unwrap();
    let seen = |tenant: &VoicemailTenant| {
        let conditions = tenant.status.as_ref().map(|status| status.conditions.clone()).unwrap_or_default();
        find_condition(&conditions, READY).is_some_and(|ready| ready.status == ConditionStatus::False)
    };
    wait_until(&tenants, "acme", "the operator looked at it", DEADLINE, seen).await.unwrap();

    release.upgrade(&["--set", "logLevel=debug"]).unwrap();
    assert_eq!(release.log_level().await, "debug");
    release.helm(&["rollback", RELEASE, "1", "--wait", "--timeout", "2m"]).unwrap();
    assert_eq!(release.log_level().await, "info");

    drop(second);
    let refused = release.helm(&["uninstall", RELEASE, "--wait", "--timeout", "2m"]);
    assert!(refused.is_err(), "uninstalled although a tenant needs the operator");
    assert!(release.namespace.api::<Deployment>().get_opt(RELEASE).await.unwrap().is_some());
    let said = release
        .cluster
        .run_kubectl(&["logs", "-n", release.namespace.name(), &format!("job/{RELEASE}-pre-delete")])
        .unwrap();
    assert!(said.contains("1 tenants still need the operator") && said.contains("/acme"), "{said}");

    tenants.delete("acme", &DeleteParams::default()).await.unwrap();
    wait_gone(&tenants, "acme", DEADLINE).await.unwrap();
    // A watched namespace that is gone holds nothing up.
    let namespaces = Api::<Namespace>::all(release.namespace.client());
    wait_gone(&namespaces, &release.second, DEADLINE).await.unwrap();
    release.helm(&["uninstall", RELEASE, "--wait", "--timeout", "2m"]).unwrap();
    wait_gone(&release.namespace.api::<Deployment>(), RELEASE, DEADLINE).await.unwrap();
    assert!(
        release.crds().contains("name: voicemailtenants.voicemail.dev"),
        "the CRDs, and so all tenants, are gone"
    );
}
