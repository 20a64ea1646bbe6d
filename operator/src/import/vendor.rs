//! The vendor's files, as far as they mean something here.
//!
//! `tenants.json` is the ConfigMap's array; of the chart's values the storage, the replicas, the resources, the
//! monitor and the mail are looked at. Other keys are kept by name, so that a note can say that they were left.

use super::ImportError;
use serde::Deserialize;
use serde_json::{Map, Value};

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

/// Values of the vendor's chart.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Values {
    /// Pods.
    pub replica_count: Option<i32>,
    /// Most pods, where the chart scales.
    pub max_replicas: Option<i32>,
    /// Environment.
    pub context: Context,
    /// Volumes.
    pub volumes: Volumes,
    /// Secrets by purpose.
    pub secrets: Secrets,
    /// Requests and limits.
    pub resources: Option<Value>,
    /// Monitors.
    pub prometheus: Prometheus,
    /// E-mail.
    pub smtp: Switch,
    /// Fields that have no meaning here.
    #[serde(flatten)]
    pub others: Map<String, Value>,
}

/// The environment of the vendor's pods.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Context {
    /// Variables.
    pub envs: Envs,
}

/// Variables.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Envs {
    /// FileSystem, BlobStorage or S3.
    pub storage_interface: Option<String>,
    /// The region of the pods.
    pub current_region: Option<String>,
    /// The authorisation server.
    pub gws_base_url: Option<String>,
}

/// Volumes.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Volumes {
    /// The one with the messages.
    pub pvc_one: PvcOne,
}

/// The claim with the messages.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PvcOne {
    /// Its name.
    pub claim: Option<String>,
}

/// Secrets by purpose.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Secrets {
    /// Credentials of the object store.
    pub blob_storage: StoreSecret,
}

/// Credentials of the object store.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct StoreSecret {
    /// How they are mounted.
    pub general: StoreSecretGeneral,
}

/// How they are mounted.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct StoreSecretGeneral {
    /// k8s or csi.
    pub mode: Option<String>,
    /// Name of the Secret.
    pub secret_name: Option<String>,
}

/// Monitors.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Prometheus {
    /// The PodMonitor.
    pub pod_monitor: Switch,
}

/// Something that is on or off.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Switch {
    /// On.
    pub enabled: bool,
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
    serde_yaml::from_str(text).map_err(|error| ImportError::Malformed {
        file: file.to_owned(),
        expected: "the values of the vendor's chart",
        fault: error.to_string(),
    })
}
