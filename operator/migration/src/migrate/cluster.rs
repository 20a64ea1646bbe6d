//! The walk through a cluster.
//!
//! ```text
//!  read ─▶ convert ─▶ check by a temporary CRD ─▶ keep originals │ open CRD ─▶ write each ─▶ storedVersions ─▶ closed CRD
//!                        nothing has changed so far              │ a run that ends in between is taken up by the next
//! ```
//!
//! Two versions with closed schemas side by side would lose every renamed field at the first write, so between the two there
//! is a CRD whose schemas are open. It serves the present version alone: the former operator sees nothing and can't act.

use super::convert::{convert, is_present};
use super::crd::{
    CHECK_GROUP, FORMER_VERSION, PRESENT_VERSION, check_crd, former_kinds, is_former, serves_former,
    transitional_versions,
};
use super::{Arguments, MigrateError, originals};
use jiff::Timestamp;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{DeleteParams, DynamicObject, ListParams, Patch, PatchParams, PostParams};
use kube::core::{ApiResource, GroupVersionKind};
use kube::{Api, Client, ResourceExt};
use serde_json::{Value, json};
use std::time::Duration;
use voicemail_runtime::calls::{CallError, Classified, ErrorClass, within_deadline};

const GROUP: &str = "voicemail.dev";
const PATIENCE: Duration = Duration::from_secs(30);
const PAUSE: Duration = Duration::from_millis(250);
const ATTEMPTS: usize = 5;

type Crds = Api<CustomResourceDefinition>;

/// A kind on its way.
struct Kind {
    present: CustomResourceDefinition,
    found: CustomResourceDefinition,
    objects: Vec<Value>,
}

pub(super) async fn migrate(client: &Client, arguments: &Arguments) -> Result<String, MigrateError> {
    let mut said = Vec::new();
    let kinds = read(client).await?;
    if kinds.is_empty() {
        return Ok("nothing is stored in the former version\n".into());
    }
    let former: Vec<Value> =
        kinds.iter().flat_map(|kind| &kind.objects).filter(|object| !is_present(object)).cloned().collect();
    check(client, &kinds, &mut said).await?;
    said.push(format!(
        "{} objects are in the former form, and the present version takes all of them",
        former.len()
    ));
    if arguments.dry_run {
        said.push("nothing was changed".into());
        return Ok(said.join("\n") + "\n");
    }
    let file = arguments.originals.as_ref();
    let kept = originals::keep(client, &arguments.namespace, file, &former).await?;
    if !kept.is_empty() {
        said.push(format!("the originals are in Secret {} of {}", kept.join(", "), arguments.namespace));
    }
    for kind in &kinds {
        let count = carry(client, kind).await?;
        said.push(format!("{}: {count} objects were written anew", kind.found.name_any()));
    }
    Ok(said.join("\n") + "\n")
}

/// The kinds that are stored in the former version, with their objects.
async fn read(client: &Client) -> Result<Vec<Kind>, MigrateError> {
    let crds: Crds = Api::all(client.clone());
    let mut kinds = Vec::new();
    for present in former_kinds() {
        let found = within_deadline("read a CRD", crds.get_opt(&present.name_any())).await?;
        let Some(found) = found.filter(is_former) else { continue };
        let version = if serves_former(&found) { FORMER_VERSION } else { PRESENT_VERSION };
        let api: Api<DynamicObject> = Api::all_with(client.clone(), &resource(&present, GROUP, version));
        let list = within_deadline("list the objects", api.list(&ListParams::default())).await?;
        let objects = list.items.iter().map(|object| as_value(object, &present)).collect();
        kinds.push(Kind { present, found, objects });
    }
    Ok(kinds)
}

fn resource(crd: &CustomResourceDefinition, group: &str, version: &str) -> ApiResource {
    let kind = GroupVersionKind::gvk(group, version, &crd.spec.names.kind);
    ApiResource::from_gvk_with_plural(&kind, &crd.spec.names.plural)
}

/// Items of a list don't say their kind.
fn as_value(object: &DynamicObject, crd: &CustomResourceDefinition) -> Value {
    let mut value = serde_json::to_value(object).unwrap_or_default();
    value["kind"] = json!(crd.spec.names.kind);
    if value.get("apiVersion").is_none() {
        value["apiVersion"] = json!(format!("{GROUP}/{FORMER_VERSION}"));
    }
    value
}

fn place(object: &Value) -> String {
    let text = |field: &str| object["metadata"][field].as_str().unwrap_or_default();
    format!("{} {}/{}", object["kind"].as_str().unwrap_or_default(), text("namespace"), text("name"))
}

/// Converts everything in memory and lets the API server judge it; what it refuses is told, all at once.
async fn check(client: &Client, kinds: &[Kind], said: &mut Vec<String>) -> Result<(), MigrateError> {
    let crds: Crds = Api::all(client.clone());
    let mut faults = Vec::new();
    for kind in kinds {
        let crd = check_crd(&kind.present);
        let name = crd.name_any();
        let (manager, applied) = (PatchParams::apply("voicemail-migrate").force(), Patch::Apply(&crd));
        within_deadline("make the temporary CRD", crds.patch(&name, &manager, &applied)).await?;
        let judged = judge(client, kind, said).await;
        let removed =
            within_deadline("remove the temporary CRD", crds.delete(&name, &DeleteParams::default())).await;
        faults.extend(judged?);
        removed?;
    }
    if faults.is_empty() { Ok(()) } else { Err(MigrateError::Refused(faults)) }
}

async fn judge(client: &Client, kind: &Kind, said: &mut Vec<String>) -> Result<Vec<String>, MigrateError> {
    let resource = resource(&kind.present, CHECK_GROUP, PRESENT_VERSION);
    wait_served(client, &resource).await?;
    let dry = PostParams { dry_run: true, ..PostParams::default() };
    let mut faults = Vec::new();
    for object in &kind.objects {
        let converted = match convert(object, Timestamp::now()) {
            Ok(converted) => converted,
            Err(fault) => {
                faults.push(format!("{}: {fault}", place(object)));
                continue;
            }
        };
        said.extend(converted.notes.iter().map(|note| format!("{}: {note}", place(object))));
        let mut tried = converted.object;
        tried["apiVersion"] = json!(format!("{CHECK_GROUP}/{PRESENT_VERSION}"));
        let metadata =
            json!({ "name": tried["metadata"]["name"], "namespace": tried["metadata"]["namespace"] });
        tried["metadata"] = metadata;
        let namespace = object["metadata"]["namespace"].as_str().unwrap_or_default();
        let api: Api<DynamicObject> = Api::namespaced_with(client.clone(), namespace, &resource);
        let Ok(tried) = serde_json::from_value(tried) else { continue };
        match within_deadline("check an object", api.create(&dry, &tried)).await {
            Ok(_) => {}
            Err(error) if error.class() == ErrorClass::Permanent => {
                faults.push(format!("{}: {error}", place(object)));
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(faults)
}

/// Waits until a list is answered: a CRD that was just made or changed is served a little later.
async fn wait_served(client: &Client, resource: &ApiResource) -> Result<(), MigrateError> {
    let api: Api<DynamicObject> = Api::all_with(client.clone(), resource);
    let until = tokio::time::Instant::now() + PATIENCE;
    loop {
        match within_deadline("wait for a CRD", api.list(&ListParams::default().limit(1))).await {
            Ok(_) => return Ok(()),
            Err(error) if tokio::time::Instant::now() < until && error.is_unknown_kind() => {
                tokio::time::sleep(PAUSE).await;
            }
            Err(error) if error.is_unknown_kind() => {
                return Err(MigrateError::NotServed(resource.api_version.clone()));
            }
            Err(error) => return Err(error.into()),
        }
    }
}

/// Opens the CRD, writes each object in its new form, and closes the CRD.
async fn carry(client: &Client, kind: &Kind) -> Result<usize, MigrateError> {
    let crds: Crds = Api::all(client.clone());
    let name = kind.found.name_any();
    let replace = |versions: Value| Patch::Merge(json!({ "spec": { "versions": versions } }));
    let open = replace(json!(transitional_versions()));
    within_deadline("open the CRD", crds.patch(&name, &PatchParams::default(), &open)).await?;
    let present = resource(&kind.present, GROUP, PRESENT_VERSION);
    wait_served(client, &present).await?;
    // Listed anew: what was made or changed since the check has been written by the former operator, or by somebody.
    let all: Api<DynamicObject> = Api::all_with(client.clone(), &present);
    let list = within_deadline("list the objects", all.list(&ListParams::default())).await?;
    for object in &list.items {
        write(client, kind, &present, object).await?;
    }
    let stored = Patch::Merge(json!({ "status": { "storedVersions": [PRESENT_VERSION] } }));
    within_deadline("say what is stored", crds.patch_status(&name, &PatchParams::default(), &stored)).await?;
    let mut spec = json!(kind.present.spec);
    spec["conversion"] = json!({ "strategy": "None" });
    let closed = Patch::Merge(json!({ "spec": spec }));
    within_deadline("close the CRD", crds.patch(&name, &PatchParams::default(), &closed)).await?;
    Ok(list.items.len())
}

/// Writes one object. The managers of its fields are forgotten: the former version's would own fields that are gone.
async fn write(
    client: &Client,
    kind: &Kind,
    resource: &ApiResource,
    object: &DynamicObject,
) -> Result<(), MigrateError> {
    let (namespace, name) = (object.namespace().unwrap_or_default(), object.name_any());
    let api: Api<DynamicObject> = Api::namespaced_with(client.clone(), &namespace, resource);
    let mut last = None;
    for _ in 0..ATTEMPTS {
        let Some(found) = within_deadline("read an object", api.get_opt(&name)).await? else { return Ok(()) };
        let value = as_value(&found, &kind.present);
        let mut present = match convert(&value, Timestamp::now()) {
            Ok(converted) => converted.object,
            Err(fault) => return Err(MigrateError::Refused(vec![format!("{}: {fault}", place(&value))])),
        };
        present["metadata"]["managedFields"] = json!([{}]);
        let Ok(present) = serde_json::from_value::<DynamicObject>(present) else { return Ok(()) };
        let written =
            within_deadline("write an object", api.replace(&name, &PostParams::default(), &present)).await;
        match written {
            Ok(_) => return Ok(()),
            // Somebody wrote it meanwhile: it is read anew.
            Err(error) if error.is_conflict() => last = Some(error),
            Err(error) => return Err(error.into()),
        }
    }
    Err(last.unwrap_or(CallError::Changed { what: "write an object" }).into())
}
