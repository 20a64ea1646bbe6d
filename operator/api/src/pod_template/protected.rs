//! Parts that a template may not have, since the operator depends on them or has a field of its own for them. Pure.
//!
//! Everything is refused that isn't named as allowed for the operator's own container: a field that Kubernetes adds later
//! is refused until somebody has thought about it.

use super::TemplateError;
use k8s_openapi::api::core::v1::{Container, EnvVar, Volume, VolumeMount};
use serde_json::{Map, Value};

/// Volumes that the operator makes, for the cores and for the telephone; those of regions begin with `region-`.
const VOLUMES: [&str; 19] = [
    "config",
    "keys",
    "tls",
    "ledger",
    "data",
    "tmp",
    "introspection",
    "basic",
    "smtp",
    "email-templates",
    "trust",
    "receivers",
    "customer-keys",
    "logins",
    "key",
    "core",
    "spool",
    "digest",
    "prompts",
];
const OF_REGIONS: &str = "region-";
/// Folders of the operator's own container.
const FOLDERS: [&str; 7] = [
    "/etc/voicemail",
    "/etc/voicemail-sip",
    "/var/lib/voicemail",
    "/var/lib/voicemail-sip",
    "/var/run/secrets",
    "/usr/local/bin",
    "/tmp",
];
/// Variables that the operator sets.
const VARIABLES: [&str; 2] = ["POD_NAME", "POD_ADDRESS"];
/// Fields of the own container that may be given, with its name.
const OF_OWN: [&str; 4] = ["name", "env", "envFrom", "volumeMounts"];
/// Fields that stand elsewhere in the spec.
const ELSEWHERE: [(&str, &str); 3] =
    [("image", "spec.image"), ("imagePullPolicy", "spec.imagePullPolicy"), ("resources", "spec.resources")];

fn protected(field: String, instead: impl Into<String>) -> TemplateError {
    TemplateError::Protected { field, instead: instead.into() }
}

/// The pods stay without rights on their node.
pub(super) fn check_security(given: &Map<String, Value>) -> Result<(), TemplateError> {
    let is_root = |field: &str| given.get(field).and_then(Value::as_i64) == Some(0);
    if given.get("runAsNonRoot").is_some_and(|value| value != &Value::Bool(true)) || is_root("runAsUser") {
        return Err(protected("securityContext".into(), "the pods never run as root: leave that out"));
    }
    if given.contains_key("windowsOptions") {
        return Err(protected(
            "securityContext.windowsOptions".into(),
            "the pods run on Linux: leave it out",
        ));
    }
    Ok(())
}

fn is_own_volume(name: &str) -> bool {
    VOLUMES.contains(&name) || name.starts_with(OF_REGIONS)
}

pub(super) fn check_volume(at: usize, volume: &Volume) -> Result<(), TemplateError> {
    let field = format!("volumes[{at}]");
    if is_own_volume(&volume.name) {
        return Err(protected(
            field,
            format!("the operator has a volume {}: give another name", volume.name),
        ));
    }
    if volume.host_path.is_some() {
        return Err(protected(
            field,
            "the pods have no rights on their node: use another kind than hostPath",
        ));
    }
    Ok(())
}

/// A container more. It reaches the operator's volumes no more than a pod of its own would.
pub(super) fn check_init(
    own: &str,
    at: usize,
    container: &Container,
    volumes: &[&str],
) -> Result<(), TemplateError> {
    let field = format!("initContainers[{at}]");
    if container.name == own {
        return Err(protected(field, format!("{own} is the operator's container: give another name")));
    }
    check_added(&field, container, volumes)
}

pub(super) fn check_container(
    own: &str,
    at: usize,
    container: &Container,
    volumes: &[&str],
) -> Result<(), TemplateError> {
    let field = format!("containers[{at}]");
    if container.name == own {
        return check_own(&field, container, volumes);
    }
    if container.image.is_none() {
        let words = format!("give it an image, or name it {own} to add to the operator's container");
        return Err(TemplateError::Invalid { field, fault: words });
    }
    check_added(&field, container, volumes)
}

fn check_added(field: &str, container: &Container, volumes: &[&str]) -> Result<(), TemplateError> {
    let mounts = container.volume_mounts.iter().flatten();
    match mounts.into_iter().find(|mount| !volumes.contains(&mount.name.as_str())) {
        Some(mount) => Err(protected(
            format!("{field}.volumeMounts"),
            format!("the volume {} isn't one of podTemplate.spec.volumes: add it there", mount.name),
        )),
        None => Ok(()),
    }
}

fn check_own(field: &str, container: &Container, volumes: &[&str]) -> Result<(), TemplateError> {
    let given = match serde_json::to_value(container) {
        Ok(Value::Object(given)) => given,
        _ => Map::new(),
    };
    if let Some(other) = given.keys().find(|name| !OF_OWN.contains(&name.as_str())) {
        let elsewhere = ELSEWHERE.iter().find(|(name, _)| name == other).map(|(_, place)| *place);
        let instead = elsewhere.map_or_else(
            || format!("the operator sets it: write {} alone", OF_OWN[1..].join(", ")),
            |place| format!("write {place} instead"),
        );
        return Err(protected(format!("{field}.{other}"), instead));
    }
    check_added(field, container, volumes)?;
    container.env.iter().flatten().try_for_each(|variable| check_variable(field, variable))?;
    container.volume_mounts.iter().flatten().try_for_each(|mount| check_mount(field, mount))
}

fn check_variable(field: &str, variable: &EnvVar) -> Result<(), TemplateError> {
    if VARIABLES.contains(&variable.name.as_str()) {
        return Err(protected(
            format!("{field}.env"),
            format!("the operator sets {}: leave it out", variable.name),
        ));
    }
    Ok(())
}

/// A mount may not hide what the program reads, nor stand within it.
fn check_mount(field: &str, mount: &VolumeMount) -> Result<(), TemplateError> {
    let path = mount.mount_path.trim_end_matches('/');
    let within = |inner: &str, outer: &str| {
        outer.is_empty()
            || inner == outer
            || inner.strip_prefix(outer).is_some_and(|rest| rest.starts_with('/'))
    };
    match FOLDERS.iter().find(|folder| within(path, folder) || within(folder, path)) {
        Some(folder) => Err(protected(
            format!("{field}.volumeMounts"),
            format!("{} covers {folder}, which the program uses: mount it elsewhere", mount.mount_path),
        )),
        None => Ok(()),
    }
}
