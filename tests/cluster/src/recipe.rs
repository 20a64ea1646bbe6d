//! Everything that makes one cluster like another: programs, arguments, files and add-ons.
//!
//! Pure: rendered from the folders alone, so its digest tells whether a running cluster is the one that this
//! version of the code would start.

use crate::families::Families;
use crate::layout::{HOST_IP, Layout, NODE_IP, SERVICE_CIDR};
use crate::processes::Component;
use crate::programs::Programs;
use crate::{addons, control_plane, node};
use voicemail_test_machine::digest::Digest;

/// Raise it when certificates, network or start order change, which the rendered text doesn't show.
const REVISION: &str = "3";

/// The processes to start and the files to write.
pub(super) struct Recipe {
    /// etcd and the API server.
    pub storage_and_api: Vec<Component>,
    /// Controller manager and scheduler.
    pub controllers: Vec<Component>,
    /// containerd.
    pub runtime: Vec<Component>,
    /// kubelet and kube-proxy.
    pub agents: Vec<Component>,
    /// (name below the cluster's folder, content)
    pub files: Vec<(String, String)>,
    /// Objects of a new cluster.
    pub manifests: String,
}

impl Recipe {
    /// Renders the recipe for these folders.
    pub(super) fn render(layout: &Layout, programs: &Programs, families: Families) -> Self {
        let mut files = control_plane::files();
        files.extend(node::files(layout, programs, families));
        Self {
            storage_and_api: control_plane::storage_and_api(layout, programs, families),
            controllers: control_plane::controllers(layout, programs, families),
            runtime: node::runtime(layout, programs),
            agents: node::agents(layout, programs, families),
            files,
            manifests: addons::manifests(programs, families),
        }
    }

    /// Names this recipe.
    pub(super) fn digest(&self) -> String {
        let groups = [&self.storage_and_api, &self.controllers, &self.runtime, &self.agents];
        let arguments = groups.into_iter().flatten().flat_map(|component| &component.argv);
        let texts = self.files.iter().flat_map(|(name, content)| [name, content]);
        let fixed = Digest::default()
            .with(REVISION)
            .with(HOST_IP)
            .with(NODE_IP)
            .with(SERVICE_CIDR)
            .with(&self.manifests);
        arguments.chain(texts).fold(fixed, Digest::with).short()
    }
}
