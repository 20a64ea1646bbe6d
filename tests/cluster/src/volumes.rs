//! Volumes on the node's own disk that several pods may write at once.
//!
//! A hostPath volume serves ReadWriteMany on one node. kubelet doesn't apply fsGroup to it, so the folder is
//! given to the pods' user when it is made.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use k8s_openapi::api::core::v1::PersistentVolume;
use kube::api::{DeleteParams, PostParams};
use kube::{Api, Client};
use serde_json::json;

use crate::addons::STORAGE_CLASS;

/// The description of a volume.
#[derive(Clone, Debug)]
pub struct HostVolume<'a> {
    /// Name of the PersistentVolume and of its folder.
    pub name: &'a str,
    /// Capacity that claims see, as `1Gi`; nothing enforces it.
    pub size: &'a str,
    /// Labels that a claim's selector may ask for.
    pub labels: BTreeMap<String, String>,
    /// Access modes, as `ReadWriteMany`.
    pub access_modes: &'a [&'a str],
    /// User and group that own the folder.
    pub uid: u32,
}

/// Makes the folder and the PersistentVolume; returns the folder.
pub async fn create(client: Client, root: PathBuf, volume: &HostVolume<'_>) -> Result<PathBuf> {
    let name = volume.name;
    ensure!(!name.is_empty() && !name.contains(['/', '.']), "{name:?} can't name a volume's folder");
    let folder = root.join(name);
    std::fs::create_dir_all(&folder).with_context(|| format!("creating {}", folder.display()))?;
    std::os::unix::fs::chown(&folder, Some(volume.uid), Some(volume.uid))?;
    let object: PersistentVolume = serde_json::from_value(json!({
        "apiVersion": "v1", "kind": "PersistentVolume",
        "metadata": {"name": name, "labels": volume.labels},
        "spec": {
            "capacity": {"storage": volume.size},
            "accessModes": volume.access_modes,
            "persistentVolumeReclaimPolicy": "Retain",
            "storageClassName": STORAGE_CLASS,
            "hostPath": {"path": folder, "type": "Directory"},
        },
    }))?;
    let api = Api::<PersistentVolume>::all(client);
    api.create(&PostParams::default(), &object).await.with_context(|| format!("creating volume {name}"))?;
    Ok(folder)
}

/// Deletes the PersistentVolume and its folder with everything in it; absent ones are no error.
pub async fn delete(client: Client, root: PathBuf, name: &str) -> Result<()> {
    ensure!(!name.is_empty() && !name.contains(['/', '.']), "{name:?} can't name a volume's folder");
    match Api::<PersistentVolume>::all(client).delete(name, &DeleteParams::default()).await {
        Ok(_) => {}
        Err(kube::Error::Api(status)) if status.code == 404 => {}
        Err(error) => return Err(error).with_context(|| format!("deleting volume {name}")),
    }
    match std::fs::remove_dir_all(root.join(name)) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).context("deleting its folder")
        }
        _ => Ok(()),
    }
}
