//! Fields that the documents name by their path, such as `spec.numbers.prefixes` or `gdpr.approval`, are fields of a resource
//! or values of the chart: a name that only the configuration of a core has helps nobody who writes a tenant.

use std::path::PathBuf;

use serde_json::Value;
use voicemail_test_machine::workspace_path;

use crate::pages::{pages, without_blocks};

const CRDS: [&str; 3] = [
    "crds/voicemail.dev_voicemailtenants.yaml",
    "crds/voicemail.dev_gdprrequests.yaml",
    "crds/voicemail.dev_voicemailpolicies.yaml",
];
const VALUES: &str = "charts/voicemail-operator/values.yaml";
/// Fields that are none of ours, those that a core has without Kubernetes, where the page says so, and API groups.
const OTHERS: [&str; 6] = [
    "gdpr.expectedHead",
    "gdpr.leastUndoWindow",
    "workspace.package.version",
    "migration.voicemail.dev",
    // Of a webhook's request.
    "id.timestamp.body",
    "mwi.gone",
];
/// The page of a program with a configuration file of its own, whose crate compares the two.
const TELEPHONY: &str = "docs/telephony.md";
/// Endings of files.
const FILES: [&str; 12] = ["rs", "md", "yaml", "json", "toml", "txt", "html", "crt", "key", "gz", "sh", "js"];

/// Where fields may be.
struct Known {
    schemas: Vec<Value>,
    values: Value,
}

impl Known {
    fn read() -> Self {
        let yaml = |path: &str| -> Value {
            serde_yaml::from_str(&std::fs::read_to_string(workspace_path(path)).unwrap()).unwrap()
        };
        let schemas = CRDS.map(|path| yaml(path)["spec"]["versions"][0]["schema"]["openAPIV3Schema"].clone());
        let parts = ["/properties/spec", "/properties/status"];
        let within =
            schemas.iter().flat_map(|schema| parts.iter().filter_map(|part| schema.pointer(part).cloned()));
        Self { schemas: within.chain(schemas.iter().cloned()).collect(), values: yaml(VALUES) }
    }

    fn has(&self, path: &[&str]) -> bool {
        self.schemas.iter().any(|schema| in_schema(schema, path)) || in_values(&self.values, path)
    }
}

fn in_schema(schema: &Value, path: &[&str]) -> bool {
    let Some((name, rest)) = path.split_first() else { return true };
    if let Some(items) = schema.get("items") {
        return in_schema(items, path);
    }
    let named = schema.get("properties").and_then(|fields| fields.get(name));
    named.or_else(|| schema.get("additionalProperties")).is_some_and(|field| in_schema(field, rest))
}

fn in_values(values: &Value, path: &[&str]) -> bool {
    let Some((name, rest)) = path.split_first() else { return true };
    values.get(name).is_some_and(|value| in_values(value, rest))
}

/// The path at the beginning of a piece of code: two or more names with dots between, then an end, a colon or an equals sign.
fn path(code: &str) -> Option<Vec<&str>> {
    let end = code.find([' ', ':', '=']).unwrap_or(code.len());
    let names: Vec<&str> = code[..end].split('.').map(|name| name.trim_end_matches("[]")).collect();
    let is_name = |name: &&str| {
        name.starts_with(|c: char| c.is_ascii_lowercase()) && name.chars().all(|c| c.is_ascii_alphanumeric())
    };
    let is_path = names.len() > 1 && names.iter().all(is_name);
    let is_file = names.last().is_some_and(|name| FILES.contains(name));
    (is_path && !is_file).then_some(names)
}

#[test]
fn every_field_that_a_page_names_by_its_path_is_there() {
    let known = Known::read();
    let mut seen = 0;
    let mut unknown = Vec::new();
    // The changes and the decisions tell of their time.
    let is_of_today =
        |page: &PathBuf| !page.ends_with("CHANGELOG.md") && !page.starts_with(workspace_path("docs/adr"));
    let is_of_the_cluster = |page: &PathBuf| is_of_today(page) && *page != workspace_path(TELEPHONY);
    for page in pages().into_iter().filter(is_of_the_cluster) {
        let text = without_blocks(&std::fs::read_to_string(&page).unwrap());
        for names in text.split('`').skip(1).step_by(2).filter_map(path) {
            seen += 1;
            if !known.has(&names) && !OTHERS.contains(&names.join(".").as_str()) {
                unknown.push(format!("{}: {}", page.display(), names.join(".")));
            }
        }
    }
    assert!(seen > 60, "{seen}");
    assert!(unknown.is_empty(), "no field of a resource and no value of the chart: {unknown:#?}");
}

#[test]
fn a_path_is_names_with_dots_between() {
    assert_eq!(path("spec.regions[].name: x"), Some(vec!["spec", "regions", "name"]));
    assert_eq!(path("ledger.json.gz"), None);
    assert_eq!(path("replicas"), None);
    assert_eq!(path("voicemail.dev/paused"), None);
}
