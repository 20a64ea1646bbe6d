//! CEL rules of the schema: what each says, why it refuses, and the field that it is about.
//!
//! Every rule has a message that says what to write and a reason that programs read. A rule about one field of the
//! object at which it stands names it by [`Rule::field_path`]; one about the value at which it stands has no path of its
//! own, for the API server then tells the place of the rule. The same goes for a union, which is about the whole object.
//!
//! No rule has the reason `FieldValueDuplicate`: the API server leaves out the message of one that has.
//!
//! [`fix`] makes a field immutable: at the field for its value, and at its parent for whether it is there at all, since a
//! rule at a field isn't evaluated when the field is missing.

use kube::core::{Reason, Rule};
use serde_json::{Value, json};

/// The value can't be.
pub(crate) fn invalid(rule: &str, message: &str) -> Rule {
    Rule::new(rule).message(message).reason(Reason::FieldValueInvalid)
}

/// The value may not be, here or now.
pub(crate) fn forbidden(rule: &str, message: &str) -> Rule {
    Rule::new(rule).message(message).reason(Reason::FieldValueForbidden)
}

/// Something is missing.
pub(crate) fn required(rule: &str, message: &str) -> Rule {
    Rule::new(rule).message(message).reason(Reason::FieldValueRequired)
}

/// The text is as a regular expression says (RE2, the whole text), for people in words.
pub(crate) fn form(pattern: &str, message: &str) -> Rule {
    invalid(&format!("self.matches(r'''^({pattern})$''')"), message)
}

/// Each text of a list is as a regular expression says.
pub(crate) fn forms(pattern: &str, message: &str) -> Rule {
    invalid(&format!("self.all(text, text.matches(r'''^({pattern})$'''))"), message)
}

/// The origin of a web page, as a browser sends it.
pub(crate) const ORIGIN: &str = r"https?://[a-z0-9.:\[\]-]+";

/// A waiting time is one, and not above another.
pub(crate) fn wait(most: &str, message: &str) -> Rule {
    invalid(
        &format!("self.matches('{}') && duration(self) <= duration('{most}')", crate::waiting::FORM),
        message,
    )
}

/// A waiting time is one, and between two others.
pub(crate) fn wait_between(least: &str, most: &str, message: &str) -> Rule {
    let is_one = format!("self.matches('{}')", crate::waiting::FORM);
    let bounds = format!("duration(self) >= duration('{least}') && duration(self) <= duration('{most}')");
    invalid(&format!("{is_one} && {bounds}"), message)
}

/// An amount is one, and between two others.
pub(crate) fn amount(least: &str, most: &str, message: &str) -> Rule {
    let number = "quantity(string(self))";
    let least = format!("{number}.compareTo(quantity('{least}')) >= 0");
    let most = format!("{number}.compareTo(quantity('{most}')) <= 0");
    invalid(&format!("isQuantity(string(self)) && {least} && {most}"), message)
}

/// Makes a field immutable.
pub(crate) fn fix(parent: &mut Value, field: &str, why: &str) {
    let is_required = parent["required"]
        .as_array()
        .is_some_and(|names| names.iter().any(|name| name.as_str() == Some(field)));
    let Some(own) = parent.pointer_mut(&format!("/properties/{field}")) else { return };
    let rule = |rule: String, act: &str| {
        let message = format!("{field} can't be {act}: {why}");
        json!({"rule": rule, "message": message, "reason": "FieldValueForbidden"})
    };
    push(own, rule("self == oldSelf".into(), "changed"));
    // What has a default is always there.
    let has_default = own.get("default").is_some();
    if !is_required && !has_default {
        let mut presence = rule(format!("has(self.{field}) == has(oldSelf.{field})"), "added or removed");
        presence["fieldPath"] = json!(format!(".{field}"));
        push(parent, presence);
    }
}

fn push(schema: &mut Value, rule: Value) {
    match schema["x-kubernetes-validations"].as_array_mut() {
        Some(rules) => rules.push(rule),
        None => schema["x-kubernetes-validations"] = json!([rule]),
    }
}
