//! An API server for tests of a tenant's whole reconcile: objects in memory, with the rules that matter here.
//!
//! Flow: the test puts objects and reconciles the tenant as it is stored. Objects are created, applied, patched, listed by
//! label and deleted with preconditions and finalizers; after each call the garbage collector does what a real one would
//! do some time later. There is no kubelet: whether pods serve is what the test writes into the Deployment's status.

use super::context::Context;
use super::{TenantError, reconcile};
use http::{Method, Request, Response};
use kube::Client;
use kube::client::Body;
use kube::runtime::controller::Action;
use serde_json::{Value, json};
use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard};
use voicemail_resources::VoicemailTenant;
use voicemail_runtime::fence::Fence;
use voicemail_runtime::metrics::Metrics;

/// The namespace of all.
pub(crate) const NAMESPACE: &str = "voice";
const TENANT: &str = "/apis/voicemail.dev/v1beta1/namespaces/voice/voicemailtenants/acme";

/// Stored objects by path, and the calls that changed something.
#[derive(Default)]
pub(crate) struct Stored {
    pub(crate) objects: BTreeMap<String, Value>,
    pub(crate) writes: Vec<String>,
    /// Writes that didn't say who they are by.
    pub(crate) unnamed: Vec<String>,
    /// Reasons of the events, in their order.
    pub(crate) events: Vec<String>,
    /// How often something was asked for that the operator may not read.
    pub(crate) forbidden: usize,
    /// Lists of all namespaces.
    pub(crate) lists_of_all: usize,
    version: u64,
}

/// An API server of one namespace.
#[derive(Clone, Default)]
pub(crate) struct Cluster(Arc<Mutex<Stored>>);

/// The path of an object of the core group.
pub(crate) fn core(plural: &str, name: &str) -> String {
    format!("/api/v1/namespaces/{NAMESPACE}/{plural}/{name}")
}

/// The path of an object of another group.
pub(crate) fn of_group(group: &str, plural: &str, name: &str) -> String {
    format!("/apis/{group}/namespaces/{NAMESPACE}/{plural}/{name}")
}

/// The Deployment of the cores.
pub(crate) fn deployment() -> String {
    of_group("apps/v1", "deployments", "acme-voicemail")
}

impl Cluster {
    /// With the namespace and a tenant.
    pub(crate) fn start(tenant: &VoicemailTenant) -> (Self, Context) {
        let cluster = Self::default();
        cluster.put("/api/v1/namespaces/voice", json!({"metadata": {"name": NAMESPACE}}));
        cluster.put(TENANT, serde_json::to_value(tenant).unwrap());
        let context = cluster.context();
        (cluster, context)
    }

    fn context(&self) -> Context {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let cluster = self.clone();
        let serve = tower::service_fn(move |request: Request<Body>| {
            let cluster = cluster.clone();
            async move { Ok::<_, std::convert::Infallible>(cluster.answer(request).await) }
        });
        let http = reqwest::Client::builder().no_proxy().tls_certs_only([]).build().unwrap();
        let (client, metrics) = (Client::new(serve, NAMESPACE), Arc::new(Metrics::default()));
        Context::new(client, http, super::tests::settings(), "cluster-1".into(), metrics, Fence::default())
    }

    async fn answer(&self, request: Request<Body>) -> Response<Body> {
        let (parts, body) = request.into_parts();
        let bytes = body.collect_bytes().await.unwrap();
        let body: Value = serde_json::from_slice(&bytes).unwrap_or_default();
        let kind = parts.headers.get("content-type").and_then(|kind| kind.to_str().ok());
        let apply = kind == Some("application/apply-patch+yaml");
        let mut state = self.lock();
        if parts.method != Method::GET && !parts.uri.path().contains("/events") {
            state.writes.push(format!("{} {}", parts.method, parts.uri.path()));
        }
        let query = parts.uri.query().unwrap_or_default();
        let written = [Method::POST, Method::PATCH].contains(&parts.method);
        if written
            && !parts.uri.path().contains("/events")
            && !query.contains("fieldManager=voicemail-operator")
        {
            state.unnamed.push(format!("{} {}", parts.method, parts.uri.path()));
        }
        let (code, value) = state.answer(&parts.method, parts.uri.path(), query, apply, body);
        state.collect_garbage();
        let body = Body::from(value.to_string().into_bytes());
        Response::builder().status(code).body(body).unwrap()
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, Stored> {
        self.0.lock().unwrap()
    }

    /// Stores an object.
    pub(crate) fn put(&self, path: &str, object: Value) {
        self.lock().store(path, object);
    }

    /// An object as it is stored.
    pub(crate) fn get(&self, path: &str) -> Option<Value> {
        self.lock().objects.get(path).cloned()
    }

    /// Changes an object.
    pub(crate) fn change(&self, path: &str, change: impl FnOnce(&mut Value)) {
        let mut object = self.get(path).unwrap();
        change(&mut object);
        self.put(path, object);
    }

    /// Changes the tenant.
    pub(crate) fn change_tenant(&self, change: impl FnOnce(&mut Value)) {
        self.change(TENANT, change);
    }

    /// The tenant as it is stored.
    pub(crate) fn tenant(&self) -> Option<VoicemailTenant> {
        self.get(TENANT).map(|tenant| serde_json::from_value(tenant).unwrap())
    }

    /// Deletes the tenant, as `kubectl delete --cascade=POLICY` does.
    pub(crate) fn delete_tenant(&self, policy: &str) {
        let mut state = self.lock();
        let body = json!({ "propagationPolicy": policy });
        state.delete(TENANT, &body);
        state.collect_garbage();
    }

    /// Reconciles the tenant as it is stored.
    pub(crate) async fn reconcile(&self, context: &Context) -> Result<Action, TenantError> {
        let tenant = self.tenant().expect("there is a tenant");
        // Nothing is watched here, so that nothing tells of changes.
        context.memories.wake(NAMESPACE, "acme");
        reconcile(&tenant, context).await
    }

    /// All pods of the Deployment serve with its template.
    pub(crate) fn let_pods_serve(&self) {
        self.change(&deployment(), |deployment| {
            let (generation, replicas) =
                (deployment["metadata"]["generation"].clone(), deployment["spec"]["replicas"].clone());
            deployment["status"] = json!({"observedGeneration": generation, "replicas": replicas,
                                          "updatedReplicas": replicas, "readyReplicas": replicas,
                                          "availableReplicas": replicas});
        });
    }

    /// A condition's status, reason and message.
    pub(crate) fn condition(&self, type_: &str) -> Option<(String, String, String)> {
        let tenant = self.tenant()?;
        let conditions = tenant.status?.conditions;
        let found = conditions.into_iter().find(|condition| condition.type_ == type_)?;
        Some((format!("{:?}", found.status), found.reason, found.message))
    }
}

fn refuse(code: u16, reason: &str) -> (u16, Value) {
    let status = json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": reason,
                        "message": reason, "code": code});
    (code, status)
}

impl Stored {
    fn answer(&mut self, method: &Method, path: &str, query: &str, apply: bool, body: Value) -> (u16, Value) {
        if path.contains("/events") {
            self.events.extend(body["reason"].as_str().map(str::to_owned));
            return (201, body);
        }
        match *method {
            Method::POST => self.create(
                &body["metadata"]["name"].as_str().map_or_else(String::new, |name| format!("{path}/{name}")),
                body.clone(),
            ),
            Method::PATCH => self.patch(path, apply, &body),
            Method::DELETE => self.delete(path, &body),
            _ => match self.objects.get(path) {
                Some(object) => (200, object.clone()),
                None if path.rsplit('/').nth(1) == Some(NAMESPACE) => (200, self.list(path, query)),
                // All namespaces: there is one.
                None if path.ends_with("/voicemailtenants") => {
                    self.lists_of_all += 1;
                    let within = path
                        .rsplit_once('/')
                        .map(|(group, plural)| format!("{group}/namespaces/{NAMESPACE}/{plural}"));
                    (200, self.list(&within.unwrap_or_default(), query))
                }
                None if path.ends_with("/voicemailpolicies") => {
                    self.lists_of_all += 1;
                    (200, self.list(path, query))
                }
                None if path.contains("/persistentvolumes/") => {
                    self.forbidden += 1;
                    refuse(403, "Forbidden")
                }
                None => refuse(404, "NotFound"),
            },
        }
    }

    fn list(&self, path: &str, query: &str) -> Value {
        let decoded = query.replace("%3D", "=").replace("%2C", ",").replace("%2F", "/");
        let wanted: Vec<(String, String)> = decoded
            .split('&')
            .find_map(|part| part.strip_prefix("labelSelector="))
            .into_iter()
            .flat_map(|selector| selector.split(','))
            .filter_map(|pair| pair.split_once('='))
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .collect();
        let chosen = |object: &&Value| {
            wanted.iter().all(|(key, value)| object["metadata"]["labels"][key] == value.as_str())
        };
        let within = format!("{path}/");
        let items = self.objects.iter().filter(|(found, _)| found.starts_with(&within));
        let items: Vec<&Value> = items.map(|(_, object)| object).filter(chosen).collect();
        json!({ "metadata": {}, "items": items })
    }

    fn store(&mut self, path: &str, mut object: Value) -> Value {
        self.version += 1;
        let before = self.objects.get(path).cloned().unwrap_or_default();
        let metadata = &mut object["metadata"];
        metadata["resourceVersion"] = json!(self.version.to_string());
        if metadata["uid"].is_null() {
            metadata["uid"] = json!(format!("uid-of-{}", self.version));
        }
        if metadata["creationTimestamp"].is_null() {
            let now = jiff::Timestamp::from_second(jiff::Timestamp::now().as_second()).unwrap();
            metadata["creationTimestamp"] = json!(now.to_string());
        }
        let generation =
            before["metadata"]["generation"].as_u64().or(object["metadata"]["generation"].as_u64());
        let same = before["spec"] == object["spec"] || before.is_null();
        object["metadata"]["generation"] = json!(generation.unwrap_or(1) + u64::from(!same));
        let going = !object["metadata"]["deletionTimestamp"].is_null();
        let held = object["metadata"]["finalizers"].as_array().is_some_and(|held| !held.is_empty());
        match going && !held {
            true => drop(self.objects.remove(path)),
            false => drop(self.objects.insert(path.to_owned(), object.clone())),
        }
        object
    }

    fn create(&mut self, path: &str, object: Value) -> (u16, Value) {
        match self.objects.contains_key(path) {
            true => refuse(409, "AlreadyExists"),
            false => (201, self.store(path, object)),
        }
    }

    fn patch(&mut self, path: &str, apply: bool, body: &Value) -> (u16, Value) {
        let (path, of_status) = match path.strip_suffix("/status") {
            Some(path) => (path, true),
            None => (path, false),
        };
        let Some(mut object) = self.objects.get(path).cloned() else {
            return if apply && !of_status {
                self.create(path, body.clone())
            } else {
                refuse(404, "NotFound")
            };
        };
        let differs = |field: &str| {
            let wanted = &body["metadata"][field];
            !wanted.is_null() && *wanted != object["metadata"][field]
        };
        if differs("uid") || differs("resourceVersion") {
            return refuse(409, "Conflict");
        }
        if of_status {
            object["status"] = body["status"].clone();
            return (200, self.store(path, object));
        }
        if apply && !body["data"].is_null() {
            // What its only applier doesn't name any more goes.
            object["data"] = json!({});
            object["metadata"]["annotations"] = json!({});
        }
        merge(&mut object, body);
        (200, self.store(path, object))
    }

    fn delete(&mut self, path: &str, body: &Value) -> (u16, Value) {
        let Some(mut object) = self.objects.get(path).cloned() else { return refuse(404, "NotFound") };
        let wanted = &body["preconditions"];
        let differs = |field: &str| !wanted[field].is_null() && wanted[field] != object["metadata"][field];
        if differs("uid") || differs("resourceVersion") {
            return refuse(409, "Conflict");
        }
        let more = match body["propagationPolicy"].as_str() {
            Some("Foreground") => Some("foregroundDeletion"),
            Some("Orphan") => Some("orphan"),
            _ => None,
        };
        let mut held = object["metadata"]["finalizers"].as_array().cloned().unwrap_or_default();
        held.extend(more.map(|finalizer| json!(finalizer)));
        object["metadata"]["finalizers"] = json!(held);
        if object["metadata"]["deletionTimestamp"].is_null() {
            let now = jiff::Timestamp::from_second(jiff::Timestamp::now().as_second()).unwrap();
            object["metadata"]["deletionTimestamp"] = json!(now.to_string());
        }
        (200, self.store(path, object))
    }

    /// Takes what names an owner that is gone or goes in the foreground, lets go of the dependents of one that leaves them,
    /// and then of the owner.
    fn collect_garbage(&mut self) {
        let owners: Vec<(String, Value)> = self
            .objects
            .iter()
            .filter(|(_, object)| !object["metadata"]["deletionTimestamp"].is_null())
            .map(|(path, object)| (path.clone(), object.clone()))
            .collect();
        for (path, mut owner) in owners {
            let uid = owner["metadata"]["uid"].clone();
            let held = owner["metadata"]["finalizers"].as_array().cloned().unwrap_or_default();
            let foreground = held.contains(&json!("foregroundDeletion"));
            if !foreground && !held.contains(&json!("orphan")) {
                continue;
            }
            for dependent in self.dependents(&uid) {
                match foreground {
                    true => drop(self.delete(&dependent, &json!({}))),
                    false => {
                        let mut object = self.objects[&dependent].clone();
                        object["metadata"]["ownerReferences"] = json!([]);
                        self.store(&dependent, object);
                    }
                }
            }
            let collectors = ["foregroundDeletion", "orphan"].map(|name| json!(name));
            let left: Vec<Value> = held.into_iter().filter(|name| !collectors.contains(name)).collect();
            owner["metadata"]["finalizers"] = json!(left);
            self.store(&path, owner);
        }
        let alive: HashSet<Value> =
            self.objects.values().map(|object| object["metadata"]["uid"].clone()).collect();
        let ownerless = self.objects.iter().filter(|(_, object)| {
            let owners = object["metadata"]["ownerReferences"].as_array().cloned().unwrap_or_default();
            !owners.is_empty() && owners.iter().all(|owner| !alive.contains(&owner["uid"]))
        });
        let ownerless: Vec<String> = ownerless.map(|(path, _)| path.clone()).collect();
        for path in ownerless {
            self.delete(&path, &json!({}));
        }
    }

    fn dependents(&self, uid: &Value) -> Vec<String> {
        let owned = |object: &Value| {
            object["metadata"]["ownerReferences"]
                .as_array()
                .is_some_and(|owners| owners.iter().any(|owner| owner["uid"] == *uid))
        };
        self.objects.iter().filter(|(_, object)| owned(object)).map(|(path, _)| path.clone()).collect()
    }
}

/// As RFC 7386 says.
fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(fields) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = json!({});
    }
    for (key, value) in fields {
        match value {
            Value::Null => drop(target.as_object_mut().unwrap().remove(key)),
            value => merge(&mut target[key], value),
        }
    }
}
