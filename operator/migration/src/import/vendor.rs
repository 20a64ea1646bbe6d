//! The vendor's files, as far as they mean something here.
//!
//! `tenants.json` is the ConfigMap's array. The chart's values are a tree of keys that differs between its releases and the
//! examples that were published: a value is found under any of the names that it has had ([`Values::find`]), and every key that
//! nothing here reads is told by its path ([`Values::left_over`]).
//!
//! What can go wrong: a value of another form than its key has, which is told with the key.

use super::ImportError;
use serde::Deserialize;
use serde_json::Value;

/// One entry of the list of tenants.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Tenant {
    /// Short name, such as t2026.
    pub name: String,
    /// Number or word that the vendor's other services use.
    #[serde(default)]
    pub tenant_id: Value,
    /// The contact-centre id.
    pub tenant_uuid: String,
}

/// The paths of one value: `[]` stands for the items of a list, the first that has it counts.
pub(super) type Paths = &'static [&'static str];

pub(super) const REPLICAS: Paths = &["deployment.replicaCount", "replicaCount"];
pub(super) const MOST_REPLICAS: Paths = &["deployment.maxReplicas", "maxReplicas"];
pub(super) const NAMESPACE: Paths = &["deployment.namespace", "namespace"];
pub(super) const PULL_SECRETS: Paths = &["image.imagePullSecrets", "imagePullSecrets"];
pub(super) const PULL_POLICY: Paths = &["image.pullPolicy"];
pub(super) const STORAGE: Paths = &["context.envs.storageInterface"];
pub(super) const REGION: Paths = &["context.envs.currentRegion"];
pub(super) const GATEWAY: Paths = &["context.envs.gwsBaseUrl"];
pub(super) const CLAIM: Paths = &["volumes.pvcOne.claim"];
pub(super) const STORE_SECRET: Paths =
    &["secrets.blobStorage.general.secretName", "secrets.blobStorage.volumes[].secret.secretName"];
pub(super) const STORE_SECRET_MODE: Paths = &["secrets.blobStorage.general.mode"];
pub(super) const STORE_CSI: Paths = &["secrets.blobStorage.volumes[].csi"];
pub(super) const POD_MONITOR: Paths = &["prometheus.podMonitor.enabled"];
pub(super) const SMTP: Paths = &["smtp.enabled"];
pub(super) const RESOURCES: Paths = &["resources"];

/// All that is read, or that a note of its own is about.
const READ: [Paths; 15] = [
    REPLICAS,
    MOST_REPLICAS,
    NAMESPACE,
    PULL_SECRETS,
    PULL_POLICY,
    STORAGE,
    REGION,
    GATEWAY,
    CLAIM,
    STORE_SECRET,
    STORE_SECRET_MODE,
    STORE_CSI,
    POD_MONITOR,
    SMTP,
    RESOURCES,
];

/// Values of the vendor's chart.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Values(Value);

impl Values {
    /// The value under the first of these paths that has one; an empty text is none.
    pub(super) fn find(&self, paths: Paths) -> Option<&Value> {
        paths.iter().find_map(|path| at(&self.0, path)).filter(|value| value.as_str() != Some(""))
    }

    /// A text.
    pub(super) fn text(&self, paths: Paths) -> Result<Option<String>, ImportError> {
        let read = |value: &Value| value.as_str().map(str::to_owned);
        self.find(paths).map(|value| read(value).ok_or_else(|| malformed(paths, "a text"))).transpose()
    }

    /// What was given, else a text of the values.
    pub(super) fn given_or_text(
        &self,
        given: Option<&String>,
        paths: Paths,
    ) -> Result<Option<String>, ImportError> {
        given.map_or_else(|| self.text(paths), |given| Ok(Some(given.clone())))
    }

    /// A number, in quotes or not.
    pub(super) fn number(&self, paths: Paths) -> Result<Option<i32>, ImportError> {
        let number = |value: &Value| value.as_i64().or_else(|| value.as_str()?.trim().parse().ok());
        let read = |value: &Value| number(value).and_then(|number| i32::try_from(number).ok());
        self.find(paths)
            .map(|value| read(value).ok_or_else(|| malformed(paths, "a whole number")))
            .transpose()
    }

    /// Whether something is on.
    pub(super) fn is_on(&self, paths: Paths) -> bool {
        matches!(self.find(paths), Some(Value::Bool(true)))
            || self.find(paths).is_some_and(|value| value == "true")
    }

    /// Names, as a text, a list of texts, or a list of objects with a name.
    pub(super) fn names(&self, paths: Paths) -> Result<Vec<String>, ImportError> {
        let name = |value: &Value| value.as_str().or_else(|| value["name"].as_str()).map(str::to_owned);
        let found = match self.find(paths) {
            None => Some(Vec::new()),
            Some(Value::Array(items)) => items.iter().map(name).collect(),
            Some(one) => name(one).map(|name| vec![name]),
        };
        found.ok_or_else(|| malformed(paths, "a name or a list of names"))
    }

    /// Paths of the keys that nothing here reads, sorted.
    pub(super) fn left_over(&self) -> Vec<String> {
        let mut found = Vec::new();
        collect(&self.0, String::new(), &mut found);
        found.retain(|path| !READ.iter().flat_map(|paths| paths.iter()).any(|read| is_within(path, read)));
        found.sort();
        found.dedup();
        found
    }
}

fn malformed(paths: Paths, expected: &'static str) -> ImportError {
    let fault = "it has another form".to_owned();
    ImportError::Malformed { file: paths.join(" or "), expected, fault }
}

/// A path is the read one, or lies below it.
fn is_within(path: &str, read: &str) -> bool {
    path.strip_prefix(read).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
}

fn at<'a>(tree: &'a Value, path: &str) -> Option<&'a Value> {
    let (first, rest) = path.split_once('.').map_or((path, None), |(first, rest)| (first, Some(rest)));
    let below =
        |value: &'a Value| rest.map_or(Some(value), |rest| at(value, rest)).filter(|value| !value.is_null());
    match first.strip_suffix("[]") {
        Some(list) => tree.get(list)?.as_array()?.iter().find_map(below),
        None => below(tree.get(first)?),
    }
}

/// Paths of all leaves.
fn collect(tree: &Value, path: String, found: &mut Vec<String>) {
    match tree {
        Value::Object(fields) if !fields.is_empty() => {
            for (name, value) in fields {
                let below = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                collect(value, below, found);
            }
        }
        Value::Array(items) if items.iter().any(|item| item.is_object() || item.is_array()) => {
            items.iter().for_each(|item| collect(item, format!("{path}[]"), found));
        }
        _ if path.is_empty() => {}
        _ => found.push(path),
    }
}

/// Reads the list of tenants.
pub(super) fn parse_tenants(text: &str, file: &str) -> Result<Vec<Tenant>, ImportError> {
    serde_json::from_str(text).map_err(|error| ImportError::Malformed {
        file: file.to_owned(),
        expected: "a JSON array of tenants with name and tenant_uuid",
        fault: error.to_string(),
    })
}

/// Reads the chart's values.
pub(super) fn parse_values(text: &str, file: &str) -> Result<Values, ImportError> {
    let malformed = |fault: String| ImportError::Malformed {
        file: file.to_owned(),
        expected: "the values of the vendor's chart",
        fault,
    };
    match serde_yaml::from_str(text).map_err(|error| malformed(error.to_string()))? {
        Value::Null => Ok(Values::default()),
        tree @ Value::Object(_) => Ok(Values(tree)),
        _ => Err(malformed("it has no keys".into())),
    }
}
