//! The chart's README: every value with its type, default and meaning, from `values.yaml` and `values.schema.json`.

use serde_json::Value;
use voicemail_test_machine::workspace_path;

use crate::pages::compare_or_write;

const CHART: &str = "charts/voicemail-operator";
const INTRODUCTION: &str = "\
# voicemail-operator

Installs the operator that runs voicemail for contact centres: a `VoicemailTenant` is a tenant with its store, a `GdprRequest` a
data-subject right with its deadline and its proof.

```sh
helm install voicemail-operator oci://ghcr.io/voicemail-dev/charts/voicemail-operator \\
  --namespace voicemail-system --create-namespace
```

Kubernetes 1.33 or newer, Helm 3.17 or newer. The package has profiles, each a set of values for `--values`: `gateway`, `ha`, `hardened`,
`ingress`, `monitoring`, `namespaced`, `openshift`. Before you uninstall, delete the tenants: only a running operator removes their finalizers. The
CRDs stay, and with them every tenant and request, unless `crds.keep` is false.

## Values

`values.schema.json` refuses a value that isn't here.

| value | type | default | meaning |
|---|---|---|---|
";

fn yaml(path: &str) -> Value {
    serde_yaml::from_str(&std::fs::read_to_string(workspace_path(CHART).join(path)).unwrap()).unwrap()
}

/// A line for each value of the schema that has no named values below it, by name; `around` describes what it is a part of.
fn rows(path: &str, around: &str, schema: &Value, default: Option<&Value>, found: &mut Vec<String>) {
    let named = schema["properties"].as_object().filter(|fields| !fields.is_empty());
    let Some(fields) = named else {
        found.push(row(path, around, schema, default));
        return;
    };
    let around = schema["description"].as_str().unwrap_or_default();
    for (name, field) in fields {
        let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        rows(&path, around, field, default.and_then(|value| value.get(name)), found);
    }
}

fn row(path: &str, around: &str, schema: &Value, default: Option<&Value>) -> String {
    let description =
        schema["description"].as_str().unwrap_or_else(|| panic!("{path} has no description in the schema"));
    if let Some(value) = default {
        assert_eq!(&schema["default"], value, "{path}: the schema's default isn't that of values.yaml");
    }
    let default = default.map_or("–".to_owned(), |value| format!("`{value}`"));
    format!(
        "| `{path}` | {} | {default} | {} |\n",
        type_of(path, schema),
        format!("{around} {description}").trim()
    )
}

fn type_of(path: &str, schema: &Value) -> String {
    if let Some(values) = schema["enum"].as_array() {
        return values
            .iter()
            .map(|value| format!("`{}`", value.as_str().unwrap_or_default()))
            .collect::<Vec<_>>()
            .join(", ");
    }
    match &schema["type"] {
        Value::String(name) => name.clone(),
        Value::Array(names) => names.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(" or "),
        _ => panic!("{path} has neither type nor enum in the schema"),
    }
}

#[test]
fn the_readme_of_the_chart_has_every_value() {
    let mut lines = Vec::new();
    rows("", "", &yaml("values.schema.json"), Some(&yaml("values.yaml")), &mut lines);
    assert!(lines.len() > 40, "{}", lines.len());
    compare_or_write(&workspace_path(CHART).join("README.md"), &format!("{INTRODUCTION}{}", lines.concat()));
}

/// A value without a default isn't in `values.yaml`, and then nobody finds it there.
#[test]
fn every_value_of_the_schema_has_a_default() {
    let (schema, values) = (yaml("values.schema.json"), yaml("values.yaml"));
    let names = schema["properties"].as_object().unwrap().keys();
    let missing: Vec<&String> =
        names.filter(|name| *name != "global" && values.get(name).is_none()).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn examples_of_the_package_are_those_of_the_resources() {
    let chart = yaml("Chart.yaml");
    let listed = |name: &str| -> Vec<Value> {
        serde_yaml::from_str(chart["annotations"][name].as_str().unwrap()).unwrap()
    };
    let kinds =
        |objects: Vec<Value>| -> Vec<Value> { objects.iter().map(|object| object["kind"].clone()).collect() };
    assert_eq!(kinds(listed("artifacthub.io/crds")), kinds(listed("artifacthub.io/crdsExamples")));
    assert!(workspace_path(CHART).join(chart["icon"].as_str().unwrap().rsplit('/').next().unwrap()).exists());
}
