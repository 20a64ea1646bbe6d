//! The driver's answers to kubelet: identity, publishing and unpublishing of volumes.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use futures::FutureExt;
use futures::future::BoxFuture;
use kube::api::DynamicObject;
use kube::{Api, Client};
use prost::Message;
use serde::Deserialize;
use voicemail_operator::tenant::build::secret_provider_class::provider_class_resource;

use super::DRIVER;
use super::grpc::{Failure, Service};
use super::messages::{DriverInfo, NodeInfo, PublishRequest, UnpublishRequest};
use voicemail_test_cluster::layout::NODE_NAME;

const CLASS: &str = "secretProviderClass";
const NAMESPACE: &str = "csi.storage.k8s.io/pod.namespace";

/// The driver.
pub(super) struct NodePlugin {
    client: Client,
    vaults: PathBuf,
}

/// A list in YAML whose items are again texts of YAML.
#[derive(Deserialize)]
struct Objects {
    array: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct VaultObject {
    object_name: String,
    object_type: String,
    object_alias: String,
}

impl NodePlugin {
    pub(super) fn new(client: Client, vaults: PathBuf) -> Self {
        Self { client, vaults }
    }

    async fn answer(&self, method: &str, message: Bytes) -> Result<Vec<u8>, Failure> {
        let internal = |error: anyhow::Error| Failure::internal(&error);
        match method {
            "/csi.v1.Identity/GetPluginInfo" => {
                Ok(DriverInfo { name: DRIVER.into(), vendor_version: "1".into() }.encode_to_vec())
            }
            "/csi.v1.Node/NodeGetInfo" => Ok(NodeInfo { node_id: NODE_NAME.into() }.encode_to_vec()),
            // No capability, and ready: empty messages.
            "/csi.v1.Identity/GetPluginCapabilities"
            | "/csi.v1.Identity/Probe"
            | "/csi.v1.Node/NodeGetCapabilities" => Ok(Vec::new()),
            "/csi.v1.Node/NodePublishVolume" => self.publish(message).await.map_err(internal),
            "/csi.v1.Node/NodeUnpublishVolume" => unpublish(message).map_err(internal),
            other => Err(Failure::unimplemented(other)),
        }
    }

    async fn publish(&self, message: Bytes) -> Result<Vec<u8>> {
        let request = PublishRequest::decode(message)?;
        let attribute = |key: &str| {
            request.volume_context.get(key).with_context(|| format!("the volume has no attribute {key}"))
        };
        let files = self.read_class(attribute(NAMESPACE)?, attribute(CLASS)?).await?;
        let target = Path::new(&request.target_path);
        std::fs::create_dir_all(target)?;
        for (name, content) in files {
            let path = target.join(name);
            std::fs::write(&path, content)?;
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644))?;
        }
        Ok(Vec::new())
    }

    /// The files that a SecretProviderClass asks for.
    async fn read_class(&self, namespace: &str, name: &str) -> Result<Vec<(String, Vec<u8>)>> {
        let api: Api<DynamicObject> =
            Api::namespaced_with(self.client.clone(), namespace, &provider_class_resource());
        let class = api.get(name).await.with_context(|| format!("reading SecretProviderClass {name}"))?;
        let spec = &class.data["spec"];
        ensure!(spec["provider"] == "azure", "the provider is {}", spec["provider"]);
        let text = |key: &str| {
            spec["parameters"][key].as_str().with_context(|| format!("the class has no parameter {key}"))
        };
        ensure!(!text("tenantId")?.is_empty(), "tenantId is empty");
        let vault = self.vaults.join(text("keyvaultName")?);
        let objects: Objects = serde_yaml::from_str(text("objects")?)?;
        objects.array.iter().map(|object| read_object(&vault, object)).collect()
    }
}

fn read_object(vault: &Path, object: &str) -> Result<(String, Vec<u8>)> {
    let object: VaultObject = serde_yaml::from_str(object)?;
    ensure!(object.object_type == "secret", "objectType is {}", object.object_type);
    let content = std::fs::read(vault.join(&object.object_name));
    let content = content.with_context(|| format!("the vault has no secret {}", object.object_name))?;
    Ok((object.object_alias, content))
}

fn unpublish(message: Bytes) -> Result<Vec<u8>> {
    let request = UnpublishRequest::decode(message)?;
    match std::fs::remove_dir_all(&request.target_path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error.into()),
        _ => Ok(Vec::new()),
    }
}

impl Service for NodePlugin {
    fn call<'a>(&'a self, method: &'a str, message: Bytes) -> BoxFuture<'a, Result<Vec<u8>, Failure>> {
        self.answer(method, message).boxed()
    }
}
