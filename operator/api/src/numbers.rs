//! How phone numbers are read, and how a message's caller is named to the store.

// The KubeSchema derive repeats each struct inside a function, where `pub` reaches nobody.
#![allow(unreachable_pub)]

use super::rules::form;
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How phone numbers are read.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Numbers {
    /// ISO 3166 region by which national numbers are read, such as GB.
    #[schemars(length(min = 2, max = 2))]
    #[x_kube(validation = form("[A-Z]{2}", "defaultRegion: write the two capitals of a country, such as GB"))]
    pub default_region: String,
    /// The tenant's own prefixes, read before the national plan; the first that fits applies.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32), extend("x-kubernetes-list-type" = "atomic"))]
    pub prefixes: Vec<NumberPrefix>,
    /// Words that this tenant's networks send for a caller without a number, beside those that are built in; digits, too,
    /// if they are in no numbering plan.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 100), inner(length(min = 1, max = 64)))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub withheld: Vec<String>,
    /// Content of the index tag caller_id of a message, on stores that have tags.
    #[serde(default)]
    pub caller_tag: CallerTag,
}

/// A prefix of a tenant's own, such as the digit for an outside line or a range of extensions.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NumberPrefix {
    /// Digits that the number begins with, such as 9.
    #[schemars(length(min = 1, max = 15))]
    #[x_kube(validation = form("[0-9]*", "prefix: write digits, such as 9"))]
    pub prefix: String,
    /// The replacement, such as nothing or +4420794600.
    #[serde(default)]
    #[schemars(length(max = 16))]
    #[x_kube(validation = form(r"\+?[0-9]{0,15}", "replaceWith: write digits, perhaps behind a +, such as +4420794600"))]
    pub replace_with: String,
    /// Only numbers of that many digits, the prefix counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 15))]
    pub digits: Option<i32>,
}

/// Content of an index tag.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum CallerTag {
    /// The number in E.164, and the hash for what a tag can't hold.
    #[default]
    E164,
    /// The hash, always.
    Hash,
}
