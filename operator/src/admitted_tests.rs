//! Objects that the CRDs' schemas admit are read: objects made from the schemas at random, and the strangest ones, decode, and a
//! request among them gets a status.
//!
//! The schema is taken as the API server takes it: a pattern and bounds count, and of a format only what it checks (a day
//! that the month has). The CEL rules, which refuse more, are left out.

use crate::gdpr::plan::{Seen, decide, next_step};
use jiff::Timestamp;
use jiff::civil::Date;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::string::string_regex;
use serde_json::{Map, Value, json};
use voicemail_resources::{GdprRequest, VoicemailTenant, crds};

/// The schema of one of the CRDs.
fn schema(file: &str) -> Value {
    let (_, crd) = crds().into_iter().find(|(name, _)| name.contains(file)).unwrap();
    let version = crd.spec.versions.into_iter().next().unwrap();
    serde_json::to_value(version.schema.unwrap().open_api_v3_schema.unwrap()).unwrap()
}

fn number(schema: &Value, field: &str) -> Option<i64> {
    let number = &schema[field];
    number.as_i64().or_else(|| number.as_f64().map(|number| number as i64))
}

/// Values that the schema admits.
fn admitted(schema: &Value) -> BoxedStrategy<Value> {
    if let Some(words) = schema["enum"].as_array() {
        return prop::sample::select(words.clone()).boxed();
    }
    if schema["x-kubernetes-int-or-string"] == true {
        return prop_oneof![any::<i64>().prop_map(Value::from), text(schema)].boxed();
    }
    match schema["type"].as_str() {
        Some("object") => object(schema),
        Some("array") => {
            let size = |field: &str| number(schema, field).and_then(|size| usize::try_from(size).ok());
            let least = size("minItems").unwrap_or_default();
            let most = size("maxItems").unwrap_or(3).clamp(least, least + 2);
            vec(admitted(&schema["items"]), least..=most).prop_map(Value::from).boxed()
        }
        Some("string") => text(schema),
        Some("boolean") => any::<bool>().prop_map(Value::from).boxed(),
        Some("integer") => {
            let least = number(schema, "minimum").unwrap_or(i64::MIN);
            let most = number(schema, "maximum").unwrap_or(i64::MAX);
            prop_oneof![Just(least), Just(most), least..=most].prop_map(Value::from).boxed()
        }
        Some("number") => any::<f64>().prop_filter("finite", |n| n.is_finite()).prop_map(Value::from).boxed(),
        other => panic!("a schema of type {other:?}: {schema}"),
    }
}

fn object(schema: &Value) -> BoxedStrategy<Value> {
    let required = schema["required"].as_array().cloned().unwrap_or_default();
    let mut fields: BoxedStrategy<Map<String, Value>> = Just(Map::new()).boxed();
    for (name, of_field) in schema["properties"].as_object().into_iter().flatten() {
        let (name, needed) = (name.clone(), required.contains(&json!(name)));
        let value = (prop::bool::weighted(0.6), admitted(of_field));
        let with = move |(mut fields, (given, value)): (Map<String, Value>, (bool, Value))| {
            if given || needed {
                fields.insert(name.clone(), value);
            }
            fields
        };
        fields = (fields, value).prop_map(with).boxed();
    }
    let more = &schema["additionalProperties"];
    if more.is_object() {
        let entries = vec(("[a-z]{1,8}", admitted(more)), 0..3);
        return (fields, entries)
            .prop_map(|(mut fields, entries)| {
                fields.extend(entries);
                Value::Object(fields)
            })
            .boxed();
    }
    fields.prop_map(Value::Object).boxed()
}

fn text(schema: &Value) -> BoxedStrategy<Value> {
    let least = number(schema, "minLength").unwrap_or_default();
    let most = number(schema, "maxLength").unwrap_or(i64::MAX);
    let fits = move |text: &String| {
        i64::try_from(text.chars().count()).is_ok_and(|count| count >= least && count <= most)
    };
    let given = match schema["pattern"].as_str() {
        Some(pattern) => {
            let begun = pattern.strip_prefix('^').unwrap_or_else(|| panic!("{pattern} has no beginning"));
            let whole = begun.strip_suffix('$').map_or_else(|| format!("{begun}.{{0,20}}"), str::to_owned);
            string_regex(&whole).unwrap().boxed()
        }
        // Without a pattern a format admits what its types don't read.
        None if schema["format"].is_string() => {
            prop::sample::select(STRANGE.to_vec()).prop_map(str::to_owned).boxed()
        }
        None => string_regex(&format!(".{{{least},{}}}", most.min(least + 20))).unwrap().boxed(),
    };
    let time = schema["format"] == "date-time";
    given
        .prop_filter("its length", fits)
        .prop_filter("a day of the calendar", move |text| !time || text[..10].parse::<Date>().is_ok())
        .prop_map(Value::from)
        .boxed()
}

/// Times that the format admits and that are no instants of ours.
const STRANGE: [&str; 4] = [
    "9999-12-31T23:59:59Z",
    "2026-01-31T10:00:00+26:00",
    "2026-01-31T10:00:00.1234567890123Z",
    "2026-01-31t10:00:00z",
];

/// A whole object: spec and status as the schema says.
fn whole(file: &str, kind: &'static str) -> impl Strategy<Value = Value> {
    let schema = schema(file);
    let parts =
        (admitted(&schema["properties"]["spec"]), admitted(&schema["properties"]["status"]), any::<bool>());
    parts.prop_map(move |(spec, status, begun)| {
        let mut object = json!({
            "apiVersion": "voicemail.dev/v1beta1", "kind": kind, "spec": spec,
            "metadata": { "name": "n", "namespace": "n", "uid": "u", "generation": 1,
                          "creationTimestamp": "2026-01-31T10:00:00Z" },
        });
        if begun {
            object["status"] = status;
        }
        object
    })
}

#[test]
fn every_time_and_number_says_what_can_be_read_of_it() {
    fn visit(value: &Value, seen: &mut usize) {
        if let Some(format) = value["format"].as_str() {
            *seen += 1;
            let bound = match format {
                "date-time" => value["pattern"].is_string(),
                "int64" | "double" => true,
                _ => !value["minimum"].is_null() && !value["maximum"].is_null(),
            };
            assert!(bound, "{value}");
        }
        match value {
            Value::Object(fields) => fields.values().for_each(|value| visit(value, seen)),
            Value::Array(items) => items.iter().for_each(|value| visit(value, seen)),
            _ => {}
        }
    }
    for file in ["gdprrequests", "voicemailtenants"] {
        let mut seen = 0;
        visit(&schema(file), &mut seen);
        assert!(seen > 3, "{file}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_request_that_the_schema_admits_is_read_and_gets_a_status(object in whole("gdprrequests", "GdprRequest")) {
        let request: GdprRequest = match serde_json::from_value(object.clone()) {
            Ok(request) => request,
            Err(error) => panic!("{error} in {object}"),
        };
        let _ = next_step(&request);
        let now: Timestamp = "2026-01-31T10:00:00Z".parse().unwrap();
        let decided = decide(&request, &Seen::Missing("R".into(), "m".into()), now);
        let again = GdprRequest { status: Some(decided.status), ..request };
        let stored = serde_json::to_value(&again).unwrap();
        prop_assert!(serde_json::from_value::<GdprRequest>(stored).is_ok(), "what is written is read again");
    }

    #[test]
    fn every_tenant_that_the_schema_admits_is_read(object in whole("voicemailtenants", "VoicemailTenant")) {
        if let Err(error) = serde_json::from_value::<VoicemailTenant>(object.clone()) {
            panic!("{error} in {object}");
        }
    }
}
