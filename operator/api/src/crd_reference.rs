//! `docs/crds.md`: every field of both kinds with its type, bounds, default and rules, from the CRDs' own schemas. Pure.
//!
//! Written and checked together with the CRD files, so it says what the API server enforces.

use crate::crds;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use serde_json::Value;
use std::fmt::Write;

const HEAD: &str = "<!-- Generated from operator/api by `cargo crds`. -->\n\n# Resources\n\n\
All fields of `voicemail.dev/v1beta1` with what the API server enforces. `[]` is an item of a list, `{}` a value of a map.\n\
Required fields are marked with *. The manifests in `examples/` show them in use, [conditions](conditions.md) what the\n\
statuses say. A date-time is of RFC 3339 in capitals, in the years 0000 to 9989, with at most nine digits of a second and an offset of\n\
less than a day: `2026-01-31T12:00:00.5+02:00`.\n";

/// The page.
pub fn write_reference() -> String {
    let mut page = HEAD.to_owned();
    for (_, crd) in crds() {
        describe(&crd, &mut page);
    }
    page
}

fn describe(crd: &CustomResourceDefinition, page: &mut String) {
    let names = &crd.spec.names;
    for version in &crd.spec.versions {
        let schema = version.schema.as_ref().and_then(|schema| schema.open_api_v3_schema.as_ref());
        let schema = serde_json::to_value(schema).unwrap_or_default();
        let short = names.short_names.clone().unwrap_or_default().join(", ");
        let _infallible = write!(
            page,
            "\n## {}\n\n`{}.{}/{}`, {}, short name `{short}`. {}\n",
            names.kind,
            names.plural,
            crd.spec.group,
            version.name,
            crd.spec.scope.to_lowercase(),
            words(&schema),
        );
        for part in ["spec", "status"] {
            let _infallible =
                write!(page, "\n### {part} of a {}\n\n| field | type | means |\n|---|---|---|\n", names.kind);
            let mut rules = Vec::new();
            visit(&schema["properties"][part], part, page, &mut rules);
            if !rules.is_empty() {
                let _infallible = write!(page, "\nRules:\n\n{}", rules.concat());
            }
        }
    }
}

/// A line for each field below that one, in the order of their names, and the rules on the way.
fn visit(schema: &Value, path: &str, page: &mut String, rules: &mut Vec<String>) {
    for rule in schema["x-kubernetes-validations"].as_array().into_iter().flatten() {
        let message = rule["message"].as_str().unwrap_or_default();
        let line = format!("- `{path}`: {message}\n");
        if !rules.contains(&line) {
            rules.push(line);
        }
    }
    let required: Vec<&str> =
        schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    for (name, field) in schema["properties"].as_object().into_iter().flatten() {
        let below = format!("{path}.{name}");
        let star = if required.contains(&name.as_str()) { "*" } else { "" };
        let _infallible =
            writeln!(page, "| `{below}`{star} | {} | {} |", type_of(field), escape(&meaning(field)));
        visit_inner(field, &below, page, rules);
    }
}

fn visit_inner(field: &Value, path: &str, page: &mut String, rules: &mut Vec<String>) {
    match field["type"].as_str() {
        Some("array") => visit(&field["items"], &format!("{path}[]"), page, rules),
        _ if field["additionalProperties"].is_object() => {
            visit(&field["additionalProperties"], &format!("{path}{{}}"), page, rules);
        }
        _ => visit(field, path, page, rules),
    }
}

fn type_of(field: &Value) -> String {
    if let Some(words) = choices(field) {
        return words;
    }
    match field["type"].as_str() {
        Some("array") => format!("list of {}", type_of(&field["items"])),
        Some("object") if field["additionalProperties"].is_object() => {
            format!("map to {}", type_of(&field["additionalProperties"]))
        }
        Some(plain) => {
            field["format"].as_str().filter(|format| *format == "date-time").unwrap_or(plain).into()
        }
        None => "any".into(),
    }
}

fn choices(field: &Value) -> Option<String> {
    let words: Vec<String> =
        field["enum"].as_array()?.iter().filter_map(Value::as_str).map(|word| format!("`{word}`")).collect();
    Some(words.join(", "))
}

/// The description, then what bounds it.
fn meaning(field: &Value) -> String {
    let mut parts = vec![words(field)];
    parts.extend(
        field.get("default").filter(|value| !value.is_object()).map(|value| format!("Default: `{value}`.")),
    );
    parts.extend(range(&field["minimum"], &field["maximum"], ""));
    parts.extend(range(&field["minLength"], &field["maxLength"], " characters"));
    parts.extend(range(&field["minItems"], &field["maxItems"], " items"));
    // Of times the pattern is the same everywhere: RFC 3339, as the page's head says.
    let pattern = field["pattern"].as_str().filter(|_| field["format"] != "date-time");
    parts.extend(pattern.map(|pattern| format!("Pattern: `{pattern}`.")));
    parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ")
}

fn range(least: &Value, most: &Value, unit: &str) -> Option<String> {
    let whole = |value: &Value| value.as_f64().map(|number| number.to_string());
    match (whole(least), whole(most)) {
        (Some(least), Some(most)) => Some(format!("{least} to {most}{unit}.")),
        (Some(least), None) => Some(format!("At least {least}{unit}.")),
        (None, Some(most)) => Some(format!("At most {most}{unit}.")),
        (None, None) => None,
    }
}

fn words(field: &Value) -> String {
    field["description"].as_str().unwrap_or_default().split_whitespace().collect::<Vec<_>>().join(" ")
}

/// A bar would begin another column, even in code.
fn escape(text: &str) -> String {
    text.replace('|', "\\|")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_field_of_both_kinds_is_on_the_page_with_its_bounds() {
        let page = write_reference();
        for line in [
            "| `spec.tenantID`* | string |",
            "| `spec.regions[].storage.volume.claim.size`",
            "| `spec.classesOfService[].maxMessages` | integer | Messages a mailbox may hold, trash not counted. Default: `10`. 1 to 1000. |",
            "| `spec.deletionPolicy` | `Retain`, `Delete` |",
            "| `status.conditions[].reason`*",
            "- `spec.tenantID`: tenantID can't be changed",
            "## GdprRequest",
        ] {
            assert!(page.contains(line), "{line:?} is not in\n{page}");
        }
    }
}
