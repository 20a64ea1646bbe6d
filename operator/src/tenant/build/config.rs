//! The ConfigMap with the core's configuration, key `config.yaml`, and beside it which tenant of the cluster the core serves
//! for, key `holder.json`, which a core of a former release doesn't read.

use super::super::validate::Plan;
use super::names::{child, child_name};
use k8s_openapi::api::core::v1::ConfigMap;
use serde_json::json;
use std::collections::BTreeMap;
use voicemail_api::config::{ConfigError, HOLDER_FILE};

/// Key in the ConfigMap and name of the mounted file.
pub const CONFIG_FILE: &str = "config.yaml";

/// Builds the ConfigMap.
///
/// # Errors
/// The configuration can't be written as YAML.
pub fn build_config_map(plan: &Plan) -> Result<ConfigMap, ConfigError> {
    let Plan { namespace, name, uid, .. } = plan;
    let holder = json!({"namespace": namespace, "name": name, "uid": uid}).to_string();
    let data =
        BTreeMap::from([(CONFIG_FILE.to_owned(), plan.config.to_yaml()?), (HOLDER_FILE.to_owned(), holder)]);
    Ok(ConfigMap { metadata: child(plan, child_name(&plan.name)), data: Some(data), ..Default::default() })
}
