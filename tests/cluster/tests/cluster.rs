//! Proves that the local cluster is a real Kubernetes: pods under the restricted profile, shared volumes, names,
//! Services, logs, audit. Each test has a namespace of its own and leaves the cluster running.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail their test")]

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::time::Duration;

use k8s_openapi::api::core::v1::{ConfigMap, PersistentVolumeClaim, Pod, Service};
use kube::api::PostParams;
use serde_json::{Value, json};
use voicemail_test_cluster::image::{PROGRAMS, PROMPTS, build_from};
use voicemail_test_cluster::namespace::TestNamespace;
use voicemail_test_cluster::wait::{wait_for, wait_gone, wait_until};
use voicemail_test_cluster::{Cluster, HostVolume, STORAGE_CLASS};

const DEADLINE: Duration = Duration::from_secs(60);
const USER: u32 = 10001;

struct Place {
    cluster: Cluster,
    namespace: TestNamespace,
    image: String,
}

impl Place {
    async fn prepare() -> Self {
        voicemail_test_machine::install_crypto();
        let cluster = Cluster::ensure().await.unwrap();
        let namespace = TestNamespace::create(cluster.config().await.unwrap(), "cluster").await.unwrap();
        let image = cluster.shell_image().await.unwrap();
        Self { cluster, namespace, image }
    }

    fn pod(&self, name: &str, command: &[&str]) -> Value {
        json!({
            "metadata": {"name": name, "labels": {"app": name}},
            "spec": {
                "restartPolicy": "Never",
                "terminationGracePeriodSeconds": 0,
                "securityContext": {
                    "runAsNonRoot": true, "runAsUser": USER, "runAsGroup": USER,
                    "seccompProfile": {"type": "RuntimeDefault"},
                },
                "containers": [{
                    "name": "main", "image": self.image, "imagePullPolicy": "Never", "command": command,
                    "securityContext": {
                        "allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true,
                        "capabilities": {"drop": ["ALL"]},
                    },
                }],
            },
        })
    }

    async fn create<K>(&self, object: Value) -> K
    where
        K: kube::Resource<Scope = k8s_openapi::NamespaceResourceScope, DynamicType = ()>,
        K: serde::Serialize + serde::de::DeserializeOwned + Clone + std::fmt::Debug,
    {
        let typed: K = serde_json::from_value(object).unwrap();
        self.namespace.api::<K>().create(&PostParams::default(), &typed).await.unwrap()
    }

    async fn wait_for_phase(&self, pod: &str, phase: &str) -> Pod {
        let wanted =
            |pod: &Pod| pod.status.as_ref().is_some_and(|status| status.phase.as_deref() == Some(phase));
        let api = self.namespace.api::<Pod>();
        wait_until(&api, pod, &format!("its phase is {phase}"), DEADLINE, wanted).await.unwrap()
    }

    async fn wait_for_readiness(&self, pod: &str) -> Pod {
        let api = self.namespace.api::<Pod>();
        wait_until(&api, pod, "it is ready", DEADLINE, is_ready).await.unwrap()
    }

    fn kubectl(&self, arguments: &[&str]) -> anyhow::Result<String> {
        let mut all = vec!["--namespace", self.namespace.name()];
        all.extend(arguments);
        self.cluster.run_kubectl(&all)
    }
}

fn is_ready(pod: &Pod) -> bool {
    let conditions = pod.status.iter().flat_map(|status| status.conditions.iter().flatten());
    conditions.into_iter().any(|condition| condition.type_ == "Ready" && condition.status == "True")
}

fn ask_http(address: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(DEADLINE))?;
    stream.write_all(b"GET /greeting HTTP/1.0\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_cluster_is_found_and_not_started_again() {
    let first = Cluster::ensure().await.unwrap();
    let second = Cluster::ensure().await.unwrap();
    assert_eq!(first.instance_id(), second.instance_id());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_component_that_crashed_is_started_again() {
    let place = Place::prepare().await;
    place.cluster.kill_component("kube-scheduler").await.unwrap();
    let repaired = Cluster::ensure().await.unwrap();
    assert_eq!(repaired.instance_id(), place.cluster.instance_id());
    place.create::<Pod>(place.pod("scheduled", &["true"])).await;
    place.wait_for_phase("scheduled", "Succeeded").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restricted_pod_writes_to_a_shared_volume_that_this_machine_sees() {
    let place = Place::prepare().await;
    let volume_name = format!("{}-shared", place.namespace.name());
    let labels = BTreeMap::from([("for".to_owned(), volume_name.clone())]);
    let volume =
        HostVolume { name: &volume_name, size: "1Gi", labels, access_modes: &["ReadWriteMany"], uid: USER };
    let folder = place.cluster.create_host_volume(&volume).await.unwrap();
    let claim = json!({
        "metadata": {"name": "shared"},
        "spec": {
            "accessModes": ["ReadWriteMany"], "storageClassName": STORAGE_CLASS,
            "selector": {"matchLabels": {"for": volume_name}},
            "resources": {"requests": {"storage": "1Gi"}},
        },
    });
    place.create::<PersistentVolumeClaim>(claim).await;
    let mut pod = place.pod("writer", &["sh", "-c", "echo kept > /data/message && id -u"]);
    pod["spec"]["volumes"] = json!([{"name": "data", "persistentVolumeClaim": {"claimName": "shared"}}]);
    pod["spec"]["containers"][0]["volumeMounts"] = json!([{"name": "data", "mountPath": "/data"}]);
    place.create::<Pod>(pod).await;
    place.wait_for_phase("writer", "Succeeded").await;
    assert_eq!(std::fs::read_to_string(folder.join("message")).unwrap(), "kept\n");
    assert_eq!(place.kubectl(&["logs", "writer"]).unwrap(), "10001\n");
    place.cluster.delete_host_volume(&volume_name).await.unwrap();
    assert!(!folder.exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pod_that_wants_root_is_refused() {
    let place = Place::prepare().await;
    let mut pod = place.pod("root", &["true"]);
    pod["spec"]["securityContext"] = json!({"runAsUser": 0});
    let pod: Pod = serde_json::from_value(pod).unwrap();
    let refused = place.namespace.api::<Pod>().create(&PostParams::default(), &pod).await.unwrap_err();
    assert!(refused.to_string().contains("PodSecurity"), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn names_and_services_are_reached_from_pods_and_from_this_machine() {
    let place = Place::prepare().await;
    let serve = "mkdir /tmp/www && echo hello > /tmp/www/greeting && exec httpd -f -p 8080 -h /tmp/www";
    let mut pod = place.pod("web", &["sh", "-c", serve]);
    pod["spec"]["volumes"] = json!([{"name": "tmp", "emptyDir": {}}]);
    pod["spec"]["containers"][0]["volumeMounts"] = json!([{"name": "tmp", "mountPath": "/tmp"}]);
    let probe = json!({"httpGet": {"path": "/greeting", "port": 8080}, "periodSeconds": 1});
    pod["spec"]["containers"][0]["readinessProbe"] = probe;
    place.create::<Pod>(pod).await;
    let service = json!({
        "metadata": {"name": "web"},
        "spec": {"selector": {"app": "web"}, "ports": [{"port": 80, "targetPort": 8080}]},
    });
    let service: Service = place.create(service).await;
    let ready = place.wait_for_readiness("web").await;

    let pod_ip = ready.status.unwrap().pod_ip.unwrap();
    assert!(ask_http(&format!("{pod_ip}:8080")).unwrap().ends_with("hello\n"));

    let url = format!("http://web.{}.svc.cluster.local/greeting", place.namespace.name());
    let script = format!("until curl --fail --silent --max-time 2 {url}; do :; done");
    place.create::<Pod>(place.pod("client", &["timeout", "40", "sh", "-c", &script])).await;
    place.wait_for_phase("client", "Succeeded").await;
    assert!(place.kubectl(&["logs", "client"]).unwrap().ends_with("hello\n"));

    let service_ip = service.spec.unwrap().cluster_ip.unwrap();
    assert!(ask_http(&format!("{service_ip}:80")).unwrap().ends_with("hello\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_run_in_pods_and_logs_come_back() {
    let place = Place::prepare().await;
    let mut pod = place.pod("shell", &["sh", "-c", "echo started; exec sleep 600"]);
    let probe = json!({"exec": {"command": ["true"]}, "periodSeconds": 1});
    pod["spec"]["containers"][0]["readinessProbe"] = probe;
    place.create::<Pod>(pod).await;
    place.wait_for_readiness("shell").await;
    assert_eq!(place.kubectl(&["exec", "shell", "--", "sh", "-c", "echo $((6 * 7))"]).unwrap(), "42\n");
    assert_eq!(place.kubectl(&["logs", "shell"]).unwrap(), "started\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_audit_log_names_who_asked_for_what() {
    let place = Place::prepare().await;
    let log = place.cluster.audit_log().unwrap();
    place.create::<ConfigMap>(json!({"metadata": {"name": "audited"}, "data": {"secret": "unseen"}})).await;
    let ours = |record: &Value| {
        let object = &record["objectRef"];
        object["namespace"] == place.namespace.name()
            && object["name"] == "audited"
            && record["verb"] == "create"
    };
    let record = log.wait_for("the creation of a ConfigMap", DEADLINE, ours).await.unwrap();
    assert_eq!(record["user"]["username"], "voicemail-admin");
    assert_eq!(record["responseStatus"]["code"], 201);
    assert!(!record.to_string().contains("unseen"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pod_reads_the_token_issuers_keys_with_its_ordinary_token() {
    let place = Place::prepare().await;
    let script = r#"
        api=https://kubernetes.default.svc account=/var/run/secrets/kubernetes.io/serviceaccount
        get() { curl --fail --silent --cacert $account/ca.crt -H "Authorization: Bearer $(cat $account/token)" "$1"; }
        until discovery=$(get $api/.well-known/openid-configuration); do sleep 0.2; done
        until keys=$(get $api/openid/v1/jwks); do sleep 0.2; done
        echo "$discovery"; echo "$keys"
    "#;
    // A node that has just been started again may not carry Services yet.
    place.create::<Pod>(place.pod("reader", &["timeout", "40", "sh", "-c", script])).await;
    place.wait_for_phase("reader", "Succeeded").await;
    let log = place.kubectl(&["logs", "reader"]).unwrap();
    let (discovery, keys) = log.split_once('\n').unwrap();
    let discovery: Value = serde_json::from_str(discovery).unwrap();
    assert_eq!(discovery["issuer"], "https://kubernetes.default.svc");
    assert_eq!(discovery["jwks_uri"], "https://kubernetes.default.svc/openid/v1/jwks");
    let keys: Value = serde_json::from_str(keys).unwrap();
    assert_eq!(keys["keys"][0]["alg"], "RS256");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_of_the_containerfile_runs_under_its_numeric_user() {
    let place = Place::prepare().await;
    let any_program = PathBuf::from(env!("CARGO_BIN_EXE_cluster"));
    let names = PROGRAMS.into_iter().chain([PROMPTS]);
    let programs: Vec<_> = names.map(|name| (name.to_owned(), any_program.clone())).collect();
    let image = build_from(&place.cluster, "localhost/voicemail-containerfile-test", &programs).unwrap();
    let again = build_from(&place.cluster, "localhost/voicemail-containerfile-test", &programs).unwrap();
    assert_eq!(image, again);

    let mut pod = place.pod("help", &["voicemail", "--help"]);
    pod["spec"]["containers"][0]["image"] = json!(image.as_str());
    pod["spec"]["securityContext"] =
        json!({"runAsNonRoot": true, "seccompProfile": {"type": "RuntimeDefault"}});
    place.create::<Pod>(pod).await;
    place.wait_for_phase("help", "Succeeded").await;
    assert!(place.kubectl(&["logs", "help"]).unwrap().contains("cargo cluster"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missed_deadline_shows_the_object_its_events_and_its_log() {
    let place = Place::prepare().await;
    place.create::<Pod>(place.pod("talker", &["sh", "-c", "echo last words"])).await;
    place.wait_for_phase("talker", "Succeeded").await;
    let api = place.namespace.api::<Pod>();
    let missed = wait_for(&api, "talker", "pigs fly", Duration::from_millis(200), |_| false).await;
    let text = missed.unwrap_err().to_string();
    for part in ["until pigs fly", "phase: Succeeded", "Pod/talker Normal Scheduled", "last words"] {
        assert!(text.contains(part), "{part:?} is not in {text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tests_namespace_goes_when_the_test_ends() {
    let Place { cluster, namespace, .. } = Place::prepare().await;
    let name = namespace.name().to_owned();
    drop(namespace);
    let api = kube::Api::<k8s_openapi::api::core::v1::Namespace>::all(cluster.client().await.unwrap());
    wait_gone(&api, &name, DEADLINE).await.unwrap();
}
