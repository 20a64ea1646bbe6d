//! The same finished objects by `kubectl apply --server-side`, and as a chart by `helm install`.
//!
//! The objects are those of the tenants that the operator made Ready, without what the API server or the operator's
//! own bookkeeping added; they go into as many namespaces of their own. Their labels name another manager, or the operator
//! would watch them.

use std::ops::Range;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use serde_json::Value;
use voicemail_resources::{MANAGED_BY_LABEL, MANAGER};
use voicemail_test_machine::command::run;
use voicemail_test_machine::progress::say;

use crate::figures::{Figures, machine_cpu_time};
use crate::idle::await_idle;
use crate::spread::Spread;
use crate::tenants::{Tenants, name};
use crate::{Arguments, Stage};

/// The manager that the peers' objects name.
const OTHER_MANAGER: &str = "somebody";
const KINDS: &str = "serviceaccount,configmap,secret,service,poddisruptionbudget,networkpolicy,deployment";
/// Tenants whose objects one file holds.
const BATCH: usize = 100;

pub(crate) async fn compare(
    stage: &Stage,
    arguments: &Arguments,
    tenants: &Tenants,
    figures: &mut Figures,
) -> Result<()> {
    let objects = read_objects(stage, tenants)?;
    say("the same objects by kubectl");
    (figures.kubectl, figures.kubectl_cpu) = apply_by_kubectl(stage, arguments.tenants, &objects).await?;
    figures.kubectl_tenants = arguments.tenants;
    say("the same objects by helm");
    install_by_helm(stage, arguments.helm, &objects, figures).await
}

async fn apply_by_kubectl(stage: &Stage, tenants: usize, objects: &[Value]) -> Result<(Duration, Duration)> {
    let spread = Spread::create(&stage.cluster, "scale-kubectl", tenants).await?;
    let folder = tempfile::tempdir()?;
    let numbers: Vec<usize> = (0..tenants).collect();
    for (index, batch) in numbers.chunks(BATCH).enumerate() {
        let mut of_batch = Vec::new();
        for number in batch {
            let namespace = spread.of(*number)?.name();
            of_batch.extend(of_tenant(objects, *number).map(|object| place(object, namespace)));
        }
        let list = serde_json::json!({"apiVersion": "v1", "kind": "List", "items": of_batch});
        std::fs::write(folder.path().join(format!("{index:03}.json")), list.to_string())?;
    }
    await_idle().await?;
    let (begin, before) = (Instant::now(), machine_cpu_time()?);
    let path = folder.path().display().to_string();
    stage.cluster.run_kubectl(&["apply", "--server-side", "-f", &path])?;
    let time = begin.elapsed();
    // Pods and endpoints follow the objects.
    await_idle().await?;
    let cpu = machine_cpu_time()?.saturating_sub(before);
    spread.remove().await?;
    Ok((time, cpu))
}

fn place(object: &Value, namespace: &str) -> Value {
    let mut object = object.clone();
    object["metadata"]["namespace"] = namespace.into();
    object
}

/// Some as they are by default, and a few until they are Ready, as the operator's are.
async fn install_by_helm(
    stage: &Stage,
    tenants: usize,
    objects: &[Value],
    figures: &mut Figures,
) -> Result<()> {
    let waited = tenants.div_ceil(10);
    let spread = Spread::create(&stage.cluster, "scale-helm", tenants + waited).await?;
    let chart = tempfile::tempdir()?;
    write_chart(chart.path(), &of_tenant(objects, 0).collect::<Vec<_>>())?;
    let install = |numbers: Range<usize>, more: &[&str]| -> Result<Duration> {
        let begin = Instant::now();
        for number in numbers {
            let mut command = stage.cluster.helm();
            let namespace = spread.of(number)?.name();
            command.args(["install", &name(number)]).arg(chart.path()).args(["-n", namespace]);
            run(command.args(more))?;
        }
        Ok(begin.elapsed())
    };
    await_idle().await?;
    (figures.helm, figures.helm_tenants) = (install(0..tenants, &[])?, tenants);
    (figures.helm_ready, figures.helm_ready_tenants) =
        (install(tenants..tenants + waited, &["--wait"])?, waited);
    spread.remove().await
}

fn read_objects(stage: &Stage, tenants: &Tenants) -> Result<Vec<Value>> {
    let selector = format!("{MANAGED_BY_LABEL}={MANAGER}");
    let arguments = ["get", KINDS, "-A", "-l", &selector, "-o", "json"];
    let list: Value = serde_json::from_str(&stage.cluster.run_kubectl(&arguments)?)?;
    let items = list["items"].as_array().context("kubectl listed nothing")?;
    let is_ours = |object: &&Value| {
        object["metadata"]["namespace"].as_str().is_some_and(|name| tenants.has_namespace(name))
    };
    items.iter().filter(is_ours).cloned().map(strip).map(rename_manager).collect()
}

/// The object as its author would write it.
fn strip(mut object: Value) -> Value {
    if let Some(fields) = object.as_object_mut() {
        fields.remove("status");
    }
    if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.retain(|key, _| ["name", "labels"].contains(&key.as_str()));
    }
    // By `get_mut`, for an index would add the field to those that have none.
    if let Some(spec) = object.get_mut("spec").and_then(Value::as_object_mut) {
        for field in ["clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy"] {
            spec.remove(field);
        }
    }
    object
}

/// In all labels and selectors.
fn rename_manager(object: Value) -> Result<Value> {
    let ours = format!(r#""{MANAGED_BY_LABEL}":"{MANAGER}""#);
    let other = format!(r#""{MANAGED_BY_LABEL}":"{OTHER_MANAGER}""#);
    Ok(serde_json::from_str(&object.to_string().replace(&ours, &other))?)
}

fn of_tenant(objects: &[Value], number: usize) -> impl Iterator<Item = &Value> {
    let tenant = name(number);
    objects
        .iter()
        .filter(move |object| object["metadata"]["labels"]["voicemail.dev/tenant"] == tenant.as_str())
}

/// A chart that makes these objects under the release's name.
fn write_chart(folder: &Path, objects: &[&Value]) -> Result<()> {
    let templates = folder.join("templates");
    std::fs::create_dir_all(&templates)?;
    std::fs::write(folder.join("Chart.yaml"), "apiVersion: v2\nname: tenant\nversion: 1.0.0\n")?;
    for (index, object) in objects.iter().enumerate() {
        let text = serde_yaml::to_string(object)?.replace(&name(0), "{{ .Release.Name }}");
        std::fs::write(templates.join(format!("{index:02}.yaml")), text)?;
    }
    Ok(())
}
