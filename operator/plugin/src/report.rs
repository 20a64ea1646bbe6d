//! `kubectl voicemail report TENANT`: an archive for support, with what the cluster says about a tenant.
//!
//! ```text
//!  version.txt  status.txt  errors.txt          what couldn't be had, and why
//!  objects/KIND.yaml  events.yaml               the tenant, its requests, its children; never a Secret
//!  logs/POD.log  logs/POD.previous.log          cores and operator
//!  metrics/POD.txt
//! ```
//!
//! Everything goes through [`super::redact`]. What the caller has no right to, or what doesn't answer, is named in
//! `errors.txt`, and the rest goes on: a report is wanted most when things are broken.

use super::place::Place;
use super::redact::{clean_object, clean_text};
use super::{PluginError, status};
use flate2::Compression;
use flate2::write::GzEncoder;
use http::Request;
use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet};
use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use k8s_openapi::api::core::v1::{ConfigMap, Event, PersistentVolumeClaim, Pod, Service, ServiceAccount};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use k8s_openapi::{ListableResource, Metadata, NamespaceResourceScope};
use kube::api::{DynamicObject, ListParams, LogParams};
use kube::{Api, Resource, ResourceExt};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::fmt::Debug;
use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use voicemail_operator::tenant::build::deployment::CONTAINER;
use voicemail_operator::tenant::build::service::METRICS_PORT;
use voicemail_resources::TENANT_LABEL;
use voicemail_runtime::calls::{CallError, within_deadline};

const OPERATOR_LABEL: &str = "app.kubernetes.io/name=voicemail-operator";
const OPERATOR_CONTAINER: &str = "operator";
const OPERATOR_PORT: u16 = 8080;
/// The newest lines of each container.
const LOG_LINES: i64 = 5000;

/// Writes the archive and says what is in it.
pub(super) async fn write(
    place: &Place,
    tenant: &str,
    output: Option<&Path>,
    operator_namespace: &str,
) -> Result<String, PluginError> {
    let found = place.raw_tenant(tenant).await?;
    let mut report = Report::default();
    report.add_version(place).await;
    match status::describe(place, tenant).await {
        Ok(page) => report.add("status.txt", clean_text(&page)),
        Err(error) => report.miss("status.txt", &error),
    }
    report.add_objects(place, &found).await;
    report.add_pods(place, tenant).await;
    report.add_operator(place, operator_namespace).await;
    let name = format!("voicemail-report-{}-{tenant}", place.namespace);
    let path = output.map_or_else(|| PathBuf::from(format!("{name}.tar.gz")), Path::to_owned);
    write_private(&path, &report.pack(&name)?)?;
    Ok(report.summary(&path))
}

/// The files so far, and what couldn't be had.
#[derive(Default)]
struct Report {
    files: Vec<(String, String)>,
    errors: Vec<String>,
}

/// Where pods are read, and how.
struct Pods<'a> {
    api: &'a Api<Pod>,
    container: &'static str,
    port: u16,
}

impl Report {
    fn add(&mut self, name: &str, text: String) {
        self.files.push((name.to_owned(), text));
    }

    fn miss(&mut self, name: &str, error: &dyn std::error::Error) {
        self.errors.push(format!("{name}: {}\n", clean_text(&error.to_string())));
    }

    async fn add_version(&mut self, place: &Place) {
        let plugin = env!("CARGO_PKG_VERSION");
        match within_deadline("read the version", place.client.apiserver_version()).await {
            Ok(version) => {
                let text = format!("plugin {plugin}\nkubernetes {}\n", version.git_version);
                self.add("version.txt", text);
            }
            Err(error) => self.miss("version.txt", &error),
        }
    }

    async fn add_objects(&mut self, place: &Place, tenant: &DynamicObject) {
        let name = tenant.name_any();
        self.add_yaml("objects/voicemailtenant.yaml", serde_json::to_value(tenant).unwrap_or_default());
        match place.raw_requests(Some(&name)).await {
            Ok(requests) => self.add_list("objects/gdprrequests.yaml", &requests),
            Err(error) => self.miss("objects/gdprrequests.yaml", &error),
        }
        self.add_children::<Deployment>(place, &name).await;
        self.add_children::<ReplicaSet>(place, &name).await;
        self.add_children::<Pod>(place, &name).await;
        self.add_children::<Service>(place, &name).await;
        self.add_children::<ServiceAccount>(place, &name).await;
        self.add_children::<ConfigMap>(place, &name).await;
        self.add_children::<PersistentVolumeClaim>(place, &name).await;
        self.add_children::<PodDisruptionBudget>(place, &name).await;
        self.add_children::<NetworkPolicy>(place, &name).await;
        self.add_children::<HorizontalPodAutoscaler>(place, &name).await;
        self.add_events(place, &name).await;
    }

    async fn add_children<K>(&mut self, place: &Place, tenant: &str)
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()> + ListableResource,
        K: Metadata + Clone + Debug + DeserializeOwned + Serialize,
    {
        let file = format!("objects/{}s.yaml", <K as Resource>::kind(&()).to_lowercase());
        let parameters = ListParams::default().labels(&format!("{TENANT_LABEL}={tenant}"));
        match within_deadline("list a kind of objects", place.api::<K>().list(&parameters)).await {
            Ok(list) => self.add_list(&file, &list.items),
            Err(error) => self.miss(&file, &error),
        }
    }

    /// Of the tenant, its requests and whatever is named after it.
    async fn add_events(&mut self, place: &Place, tenant: &str) {
        let (api, parameters) = (place.api::<Event>(), ListParams::default());
        let requests: Vec<String> = match place.raw_requests(Some(tenant)).await {
            Ok(requests) => requests.iter().map(ResourceExt::name_any).collect(),
            Err(_) => Vec::new(),
        };
        match within_deadline("list the events", api.list(&parameters)).await {
            Ok(list) => {
                let about = |event: &Event| event.involved_object.name.clone().unwrap_or_default();
                let children = format!("{tenant}-voicemail");
                let ours = |event: &Event| {
                    let name = about(event);
                    name == tenant || name.starts_with(&children) || requests.contains(&name)
                };
                let events: Vec<Event> = list.items.into_iter().filter(ours).collect();
                self.add_list("events.yaml", &events);
            }
            Err(error) => self.miss("events.yaml", &error),
        }
    }

    fn add_list(&mut self, file: &str, items: &[impl Serialize]) {
        let items: Vec<Value> = items.iter().filter_map(|item| serde_json::to_value(item).ok()).collect();
        self.add_yaml(file, json!({"apiVersion": "v1", "kind": "List", "items": items}));
    }

    fn add_yaml(&mut self, file: &str, mut value: Value) {
        clean_object(&mut value);
        match serde_yaml::to_string(&value) {
            Ok(text) => self.add(file, text),
            Err(error) => self.miss(file, &error),
        }
    }

    async fn add_pods(&mut self, place: &Place, tenant: &str) {
        let pods = Pods { api: &place.api(), container: CONTAINER, port: METRICS_PORT };
        match place.pods(tenant).await {
            Ok(found) => {
                for pod in found {
                    self.add_pod(place, &pods, &pod).await;
                }
            }
            Err(error) => self.miss("logs", &error),
        }
    }

    async fn add_operator(&mut self, place: &Place, namespace: &str) {
        let api = Api::namespaced(place.client.clone(), namespace);
        let pods = Pods { api: &api, container: OPERATOR_CONTAINER, port: OPERATOR_PORT };
        let parameters = ListParams::default().labels(OPERATOR_LABEL);
        match within_deadline("list the operator's pods", api.list(&parameters)).await {
            Ok(list) if list.items.is_empty() => {
                self.errors.push(format!("operator: no pods with {OPERATOR_LABEL} in {namespace}\n"));
            }
            Ok(list) => {
                for pod in list.items {
                    self.add_pod(place, &pods, &pod).await;
                }
            }
            Err(error) => self.miss("operator", &error),
        }
    }

    async fn add_pod(&mut self, place: &Place, pods: &Pods<'_>, pod: &Pod) {
        let name = pod.name_any();
        self.add_log(pods, &name, false).await;
        let statuses = pod.status.as_ref().and_then(|status| status.container_statuses.as_ref());
        if statuses.into_iter().flatten().any(|container| container.restart_count > 0) {
            self.add_log(pods, &name, true).await;
        }
        let namespace = pods.api.namespace().unwrap_or_default();
        let path = format!("/api/v1/namespaces/{namespace}/pods/{name}:{}/proxy/metrics", pods.port);
        let file = format!("metrics/{name}.txt");
        let request = Request::get(path).body(Vec::new());
        let call = async {
            let request = request.map_err(|error| {
                kube::Error::BuildRequest(kube::core::request::Error::BuildRequest(error))
            })?;
            place.client.request_text(request).await
        };
        match within_deadline("read a pod's metrics", call).await {
            Ok(text) => self.add(&file, clean_labels(&text)),
            Err(error) => self.miss(&file, &error),
        }
    }

    async fn add_log(&mut self, pods: &Pods<'_>, pod: &str, previous: bool) {
        let file = format!("logs/{pod}{}.log", if previous { ".previous" } else { "" });
        let parameters = LogParams {
            container: Some(pods.container.into()),
            previous,
            tail_lines: Some(LOG_LINES),
            timestamps: true,
            ..LogParams::default()
        };
        let read: Result<String, CallError> =
            within_deadline("read a pod's log", pods.api.logs(pod, &parameters)).await;
        match read {
            Ok(text) => self.add(&file, clean_text(&text)),
            Err(error) => self.miss(&file, &error),
        }
    }

    /// All files below one folder.
    fn pack(&self, folder: &str) -> Result<Vec<u8>, PluginError> {
        let mut archive = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::default()));
        let errors = ("errors.txt".to_owned(), self.errors.concat());
        for (name, text) in self.files.iter().chain([&errors]) {
            let mut header = tar::Header::new_gnu();
            header.set_size(text.len() as u64);
            header.set_mode(0o600);
            archive.append_data(&mut header, format!("{folder}/{name}"), text.as_bytes())?;
        }
        Ok(archive.into_inner()?.finish()?)
    }

    fn summary(&self, path: &Path) -> String {
        let missing = match self.errors.is_empty() {
            true => String::new(),
            false => format!("{} parts couldn't be had: see errors.txt in it\n", self.errors.len()),
        };
        format!("{}: {} files\n{missing}", path.display(), self.files.len() + 1)
    }
}

/// Metrics without numbers in their labels; their values are no text.
fn clean_labels(text: &str) -> String {
    let clean =
        |(index, part): (usize, &str)| if index % 2 == 1 { clean_text(part) } else { part.to_owned() };
    text.split('"').enumerate().map(clean).collect::<Vec<_>>().join("\"")
}

/// Writes a file that nobody else may read.
pub(super) fn write_private(path: &Path, content: &[u8]) -> Result<(), PluginError> {
    let fault = |error| PluginError::Local(format!("{}: {error}", path.display()));
    let mut options = OpenOptions::new();
    let file = options.write(true).create(true).truncate(true).mode(0o600).open(path);
    file.and_then(|mut file| file.write_all(content)).map_err(fault)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_archive_has_all_files_below_one_folder_and_says_what_is_missing() {
        let mut report = Report::default();
        report.add("status.txt", "fine".into());
        report.miss("logs/a.log", &std::io::Error::other("the caller +441632960001 is refused"));
        let packed = report.pack("r").unwrap();
        let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(packed.as_slice()));
        let mut found = std::collections::BTreeMap::new();
        for entry in archive.entries().unwrap() {
            let mut entry = entry.unwrap();
            let name = entry.path().unwrap().display().to_string();
            let mut text = String::new();
            std::io::Read::read_to_string(&mut entry, &mut text).unwrap();
            found.insert(name, text);
        }
        assert_eq!(found["r/status.txt"], "fine");
        assert_eq!(found["r/errors.txt"], "logs/a.log: the caller [number] is refused\n");
        assert!(report.summary(Path::new("x")).contains("1 parts"));
    }

    #[test]
    fn values_of_metrics_stay_and_their_labels_are_looked_at() {
        let text = "a_total{caller=\"+441632960001\"} 1632960001\n";
        assert_eq!(clean_labels(text), "a_total{caller=\"[number]\"} 1632960001\n");
    }
}
