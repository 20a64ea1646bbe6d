//! The socket by which kubelet finds the driver.
//!
//! kubelet names the socket's path as authority there, which Rust's HTTP/2 rightly refuses, so Node.js answers,
//! which Azurite needs anyway. On the driver's own socket kubelet says `localhost`.

use std::path::Path;
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result};
use prost::Message;

use super::DRIVER;
use super::messages::PluginInfo;

const SCRIPT: &str = include_str!("registration.js");

/// The answering process; it ends with this value.
pub(super) struct Registration(Child);

impl Registration {
    /// Offers the driver that listens on `endpoint` to kubelet on `socket`.
    pub(super) fn start(socket: &Path, endpoint: &Path) -> Result<Self> {
        let info = PluginInfo {
            kind: "CSIPlugin".into(),
            name: DRIVER.into(),
            endpoint: endpoint.display().to_string(),
            supported_versions: vec!["1.0.0".into()],
        };
        // One of a driver that was killed.
        let _absent = std::fs::remove_file(socket);
        let mut command = Command::new("node");
        command.arg("-e").arg(SCRIPT).arg(socket).arg(hex::encode(info.encode_to_vec()));
        let child =
            command.stdin(Stdio::null()).spawn().context("cannot start Node.js (Debian package nodejs)")?;
        Ok(Self(child))
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        if let Err(error) = self.0.kill().and_then(|()| self.0.wait()) {
            eprintln!("the CSI driver's registration may still run: {error}");
        }
    }
}
