//! JSON schemas of Kubernetes' kinds, one file each, from the OpenAPI document of a version's own module.
//!
//! Changes to the schemas: references become copies, so that each file stands alone; an object with listed
//! fields refuses others; texts that may be numbers (`int-or-string`, quantities) accept both.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde_json::{Map, Value, json};

use super::install_schemas;
use voicemail_test_machine::command::{find_program, run};

/// The versions, each with the checksum of its module.
pub const VERSIONS: [(&str, &str); 5] = [
    ("v1.33.13", "h1:bmH31xUdSzeA5vk0wZAK9MZp11mdLuzUSeKk0qN3hPQ="),
    ("v1.34.4", "h1:Yy6R4QB8C9kJPp25GFqEvX5XQwY5qzKeqD0Xx6oAcmk="),
    ("v1.35.4", "h1:o/8dBC/pHVpYoGV4OAIytAlNPZbdYVTXJHoYvXC4qzM="),
    ("v1.36.3", "h1:qDQdoMiluAE2Eab6Fa52YV+WjiGz9mZFFoagEA6cI+o="),
    ("v1.37.2", "h1:A2VDEiObzkYqFTKhSsn0ZEb0RlLEXpHWj93gi2HqEwE="),
];

const PREFIX: &str = "#/definitions/";

/// The folder with the schemas of a version, made when there is none.
pub(super) fn folder(version: &str) -> Result<PathBuf> {
    let known = VERSIONS.iter().find(|(known, _)| *known == version);
    let (_, sum) = known.with_context(|| format!("{version} is not pinned"))?;
    install_schemas(version, sum, |folder| write_schemas(version, sum, folder))
}

fn write_schemas(version: &str, sum: &str, folder: &Path) -> Result<()> {
    let document = std::fs::read(download(version, sum)?.join("api/openapi-spec/swagger.json"))?;
    let document: Value = serde_json::from_slice(&document)?;
    let definitions = document["definitions"].as_object().context("the document has no definitions")?;
    let strict: Map<String, Value> =
        definitions.iter().map(|(name, value)| (name.clone(), harden(name, value))).collect();
    for (name, definition) in definitions {
        for kind in definition["x-kubernetes-group-version-kind"].as_array().into_iter().flatten() {
            let schema = stand_alone(name, &strict);
            std::fs::write(folder.join(file_name(kind)), serde_json::to_vec(&schema)?)?;
        }
    }
    Ok(())
}

/// The module's source as Go keeps it, checked against the pinned sum.
fn download(version: &str, sum: &str) -> Result<PathBuf> {
    let go = find_program("go").context("Go is not installed")?;
    let module = format!("k8s.io/kubernetes@{version}");
    let mut command = Command::new(go);
    // Outside of any module, so that none of ours takes part.
    command.args(["mod", "download", "-json", &module]).current_dir(std::env::temp_dir());
    let answer: Value = serde_json::from_str(&run(&mut command)?)?;
    ensure!(answer["Sum"] == sum, "{module} has the checksum {}, not {sum}", answer["Sum"]);
    Ok(PathBuf::from(answer["Dir"].as_str().context("Go names no folder")?))
}

/// As kubeconform looks for it: `deployment-apps-v1.json`, `service-v1.json`.
fn file_name(kind: &Value) -> String {
    let text = |field: &str| kind[field].as_str().unwrap_or_default().to_ascii_lowercase();
    let group = text("group").split('.').next().unwrap_or_default().to_owned();
    let group = if group.is_empty() { group } else { format!("-{group}") };
    format!("{}{group}-{}.json", text("kind"), text("version"))
}

fn harden(name: &str, value: &Value) -> Value {
    if name.ends_with("api.resource.Quantity") {
        return json!({"type": ["string", "number"]});
    }
    harden_value(value)
}

fn harden_value(value: &Value) -> Value {
    match value {
        Value::Object(fields) if fields.get("format") == Some(&json!("int-or-string")) => {
            json!({"type": ["string", "integer"]})
        }
        Value::Object(fields) => {
            let mut fields: Map<String, Value> =
                fields.iter().map(|(key, value)| (key.clone(), harden_value(value))).collect();
            let listed = fields.get("properties").is_some_and(Value::is_object);
            if listed
                && fields.get("type") == Some(&json!("object"))
                && !fields.contains_key("additionalProperties")
            {
                fields.insert("additionalProperties".into(), json!(false));
            }
            Value::Object(fields)
        }
        Value::Array(items) => Value::Array(items.iter().map(harden_value).collect()),
        other => other.clone(),
    }
}

/// The definition with all that it refers to.
fn stand_alone(name: &str, definitions: &Map<String, Value>) -> Value {
    let mut needed = BTreeSet::new();
    collect(&json!({"$ref": format!("{PREFIX}{name}")}), definitions, &mut needed);
    let copies: Map<String, Value> =
        needed.iter().map(|name| (name.clone(), definitions[name].clone())).collect();
    json!({"$ref": format!("{PREFIX}{name}"), "definitions": copies})
}

fn collect(value: &Value, definitions: &Map<String, Value>, needed: &mut BTreeSet<String>) {
    match value {
        Value::Object(fields) => {
            let name = fields.get("$ref").and_then(Value::as_str).and_then(|text| text.strip_prefix(PREFIX));
            if let Some(definition) = name.and_then(|name| definitions.get(name))
                && needed.insert(name.unwrap_or_default().to_owned())
            {
                collect(definition, definitions, needed);
            }
            fields.values().for_each(|value| collect(value, definitions, needed));
        }
        Value::Array(items) => items.iter().for_each(|value| collect(value, definitions, needed)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_has_the_name_that_kubeconform_looks_for() {
        let kind =
            |group: &str, kind: &str| file_name(&json!({"group": group, "version": "v1", "kind": kind}));
        assert_eq!(kind("", "Service"), "service-v1.json");
        assert_eq!(kind("rbac.authorization.k8s.io", "ClusterRole"), "clusterrole-rbac-v1.json");
    }

    #[test]
    fn a_schema_stands_alone_and_refuses_unknown_fields() {
        let definitions = json!({
            "A": {"type": "object", "properties": {"port": {"type": "string", "format": "int-or-string"},
                                                   "b": {"$ref": "#/definitions/B"}}},
            "B": {"type": "object", "properties": {"a": {"$ref": "#/definitions/A"}}},
            "C": {"type": "string"},
        });
        let strict =
            definitions.as_object().unwrap().iter().map(|(k, v)| (k.clone(), harden(k, v))).collect();
        let schema = stand_alone("A", &strict);
        assert_eq!(schema["definitions"]["A"]["additionalProperties"], false);
        assert_eq!(schema["definitions"]["A"]["properties"]["port"]["type"], json!(["string", "integer"]));
        assert!(schema["definitions"].get("B").is_some() && schema["definitions"].get("C").is_none());
    }
}
