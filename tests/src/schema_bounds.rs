//! Every bound of a CRD's schema, each with an object just within it and one just beyond it.
//!
//! The bounds are read from the schema itself, so that none can be forgotten. Objects are made from a valid
//! base in which every field is present: only the bounded value is replaced.

use anyhow::{Context, Result, bail};
use serde_json::{Map, Value, json};

/// One bound at one place.
#[derive(Clone, Debug)]
pub struct Bound {
    path: Vec<Step>,
    keyword: String,
    limit: Value,
    schema: Value,
}

#[derive(Clone, Debug, PartialEq)]
enum Step {
    Field(String),
    /// The items of a list.
    Item,
    /// The values of a map.
    Entry,
}

const KEYWORDS: [&str; 10] = [
    "minLength",
    "maxLength",
    "pattern",
    "minimum",
    "maximum",
    "minItems",
    "maxItems",
    "maxProperties",
    "enum",
    "x-kubernetes-list-type",
];

/// All bounds below `part` (`spec` or `status`) of the schema.
pub fn find_bounds(schema: &Value, part: &str) -> Vec<Bound> {
    let mut bounds = Vec::new();
    visit(&schema["properties"][part], &mut vec![Step::Field(part.to_owned())], &mut bounds);
    bounds
}

fn visit(schema: &Value, path: &mut Vec<Step>, bounds: &mut Vec<Bound>) {
    let mut add = |keyword: &str, limit: &Value| {
        let (path, schema) = (path.clone(), schema.clone());
        bounds.push(Bound { path, keyword: keyword.to_owned(), limit: limit.clone(), schema });
    };
    for keyword in KEYWORDS {
        // An atomic list may hold anything; that it is replaced as a whole is no bound.
        let bound = schema.get(keyword).filter(|limit| **limit != json!("atomic"));
        bound.into_iter().for_each(|limit| add(keyword, limit));
    }
    let required = schema["required"].as_array().into_iter().flatten();
    required.for_each(|field| add("required", field));
    for (name, inner) in schema["properties"].as_object().into_iter().flatten() {
        descend(inner, Step::Field(name.clone()), path, bounds);
    }
    descend(&schema["items"], Step::Item, path, bounds);
    descend(&schema["additionalProperties"], Step::Entry, path, bounds);
}

fn descend(schema: &Value, step: Step, path: &mut Vec<Step>, bounds: &mut Vec<Bound>) {
    if schema.is_object() {
        path.push(step);
        visit(schema, path, bounds);
        path.pop();
    }
}

impl Bound {
    /// Where and what, as `spec.regions[].name maxLength`; with the field's name if one is required.
    pub fn name(&self) -> String {
        let mut text = String::new();
        for step in &self.path {
            match step {
                Step::Field(name) if text.is_empty() => text.push_str(name),
                Step::Field(name) => text.push_str(&format!(".{name}")),
                Step::Item => text.push_str("[]"),
                Step::Entry => text.push_str("{}"),
            }
        }
        let detail = self.limit.as_str().filter(|_| self.keyword == "required");
        format!("{text} {}{}", self.keyword, detail.map(|name| format!(" {name}")).unwrap_or_default())
    }

    /// Part of what the API server says about a value beyond the bound.
    pub fn message(&self) -> String {
        let limit = self.number().unwrap_or_default();
        match self.keyword.as_str() {
            "minLength" => format!("should be at least {limit} chars long"),
            "maxLength" => format!("Too long: may not be more than {limit} bytes"),
            "pattern" => "should match".to_owned(),
            "minimum" => format!("should be greater than or equal to {limit}"),
            "maximum" => format!("should be less than or equal to {limit}"),
            "minItems" => format!("should have at least {limit} items"),
            "maxItems" | "maxProperties" => format!("must have at most {limit} items"),
            "enum" => "Unsupported value".to_owned(),
            "required" => "Required value".to_owned(),
            _ => "Duplicate value".to_owned(),
        }
    }

    /// Whether `base` has a value at the bound's place.
    pub fn fits(&self, base: &Value) -> bool {
        let found = self.pointer(base).ok().and_then(|pointer| base.pointer(&pointer).cloned());
        match (found, self.limit.as_str().filter(|_| self.keyword == "required")) {
            (Some(value), Some(field)) => value.get(field).is_some(),
            (found, _) => found.is_some(),
        }
    }

    /// The base with a value just beyond the bound.
    pub fn beyond(&self, base: &Value) -> Result<Value> {
        let at = |change: i64| self.number().map(|number| number + change);
        let present = self.present(base)?;
        let value = match self.keyword.as_str() {
            "minLength" => json!(self.text(at(-1)?)?),
            "maxLength" => json!(self.text(at(1)?)?),
            // A space is in none of the patterns.
            "pattern" => json!(" ".repeat(self.shortest())),
            "minimum" => json!(at(-1)?),
            "maximum" => json!(at(1)?),
            "minItems" => self.list(&present, at(-1)?)?,
            "maxItems" => self.list(&present, at(1)?)?,
            "maxProperties" => map_of(&present, at(1)?)?,
            "enum" => json!("Nonsense"),
            "required" => without(present, self.limit.as_str().unwrap_or_default()),
            "x-kubernetes-list-type" => json!([present[0], present[0]]),
            other => bail!("no value is known beyond {other}"),
        };
        self.replaced(base, value)
    }

    /// The base with values just within the bound: one, or each of an enumeration.
    pub fn within(&self, base: &Value) -> Result<Vec<Value>> {
        let present = self.present(base)?;
        let values = match self.keyword.as_str() {
            "minLength" | "maxLength" => vec![json!(self.text(self.number()?)?)],
            "minimum" | "maximum" => vec![json!(self.number()?)],
            "minItems" | "maxItems" => vec![self.list(&present, self.number()?)?],
            "maxProperties" => vec![map_of(&present, self.number()?)?],
            "enum" => self.limit.as_array().cloned().unwrap_or_default(),
            _ => vec![present],
        };
        values.into_iter().map(|value| self.replaced(base, value)).collect()
    }

    fn pointer(&self, base: &Value) -> Result<String> {
        let mut pointer = String::new();
        for step in &self.path {
            let key = match step {
                Step::Field(name) => name.clone(),
                Step::Item => "0".to_owned(),
                Step::Entry => first_key(base, &pointer)?,
            };
            pointer.push_str(&format!("/{}", key.replace('~', "~0").replace('/', "~1")));
        }
        Ok(pointer)
    }

    fn present(&self, base: &Value) -> Result<Value> {
        let found = base.pointer(&self.pointer(base)?).cloned();
        found.with_context(|| format!("the base has no value for {}", self.name()))
    }

    fn replaced(&self, base: &Value, value: Value) -> Result<Value> {
        let (pointer, mut object) = (self.pointer(base)?, base.clone());
        *object.pointer_mut(&pointer).with_context(|| format!("the base has no {pointer}"))? = value;
        Ok(object)
    }

    /// Length of a text that no other bound refuses.
    fn shortest(&self) -> usize {
        let least = self.schema["minLength"].as_u64().unwrap_or_default();
        usize::try_from(least).unwrap_or_default().max(2)
    }

    fn number(&self) -> Result<i64> {
        let number = self.limit.as_f64().with_context(|| format!("{} has no number", self.name()))?;
        Ok(number as i64)
    }

    /// A text of that length; the patterns of texts whose length is bounded take letters.
    fn text(&self, length: i64) -> Result<String> {
        Ok("a".repeat(usize::try_from(length)?))
    }

    /// A list of that many items like the first one, with keys that differ.
    fn list(&self, present: &Value, count: i64) -> Result<Value> {
        let key = self.schema["x-kubernetes-list-map-keys"][0].as_str();
        let choices = self.schema["items"]["enum"].as_array();
        let item = |index: usize| match (key, choices) {
            (_, Some(choices)) => choices[index % choices.len().max(1)].clone(),
            (Some(key), _) => numbered(&present[0], key, index),
            _ => distinct(&present[0], index),
        };
        Ok((0..usize::try_from(count)?).map(item).collect())
    }
}

fn first_key(base: &Value, pointer: &str) -> Result<String> {
    let map = base.pointer(pointer).and_then(Value::as_object);
    map.and_then(|map| map.keys().next().cloned()).with_context(|| format!("the base has no map {pointer}"))
}

fn numbered(item: &Value, key: &str, index: usize) -> Value {
    let mut item = item.clone();
    if index > 0 {
        item[key] = json!(format!("{}{index}", item[key].as_str().unwrap_or_default()));
    }
    item
}

/// Another text for each index, since items of a set differ; anything else is repeated.
fn distinct(item: &Value, index: usize) -> Value {
    match item.as_str().filter(|_| index > 0) {
        Some(text) => json!(format!("{text}{index}")),
        None => item.clone(),
    }
}

fn without(mut value: Value, field: &str) -> Value {
    value.as_object_mut().map(|fields| fields.remove(field));
    value
}

fn map_of(present: &Value, count: i64) -> Result<Value> {
    let first = present.as_object().and_then(|map| map.values().next()).context("the base's map is empty")?;
    let entries = (0..count).map(|index| (format!("key{index}"), first.clone()));
    Ok(Value::Object(entries.collect::<Map<_, _>>()))
}
