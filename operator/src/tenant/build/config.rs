//! The ConfigMap with the core's configuration, key `config.yaml`.

use super::super::validate::Plan;
use super::names::{child, child_name};
use k8s_openapi::api::core::v1::ConfigMap;
use std::collections::BTreeMap;
use voicemail_core::config::ConfigError;

/// Key in the ConfigMap and name of the mounted file.
pub const CONFIG_FILE: &str = "config.yaml";

/// Builds the ConfigMap.
///
/// # Errors
/// The configuration can't be written as YAML.
pub fn build_config_map(plan: &Plan) -> Result<ConfigMap, ConfigError> {
    let data = BTreeMap::from([(CONFIG_FILE.to_owned(), plan.config.to_yaml()?)]);
    Ok(ConfigMap { metadata: child(plan, child_name(&plan.name)), data: Some(data), ..Default::default() })
}
