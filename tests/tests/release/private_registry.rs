//! The image of a release's programs in a private registry: by digest, for whoever has the pull secret alone.

use std::path::{Path, PathBuf};
use std::process::Command;

use voicemail_test_cluster::Cluster;
use voicemail_test_cluster::image::{ImageRef, Program, archive_of};
use voicemail_test_cluster::layout::HOST_IP;
use voicemail_test_machine::command::run;
use voicemail_test_machine::servers::registry::{FETCHES, Registry};

/// The pull secret's name in the profile for private registries.
pub(crate) const PULL_SECRET: &str = "registry";
const REPOSITORY: &str = "voice/voicemail";

/// The image there, which the node has never seen.
pub(crate) struct PrivateImage {
    registry: Registry,
    cluster: Cluster,
    pub(crate) digest: String,
}

impl PrivateImage {
    /// Starts a registry that the node trusts, and brings an image of these programs to it.
    pub(crate) async fn bring(cluster: &Cluster, programs: &[Program]) -> Self {
        let registry = Registry::start(HOST_IP.parse().unwrap()).await.unwrap();
        cluster.trust_registry(registry.address(), registry.authority()).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let built = ImageRef::named("localhost/voicemail-release:private");
        let archive = archive_of(folder.path(), &built, programs).unwrap();
        let digest = registry.push(&archive, REPOSITORY).unwrap();
        Self { registry, cluster: cluster.clone(), digest }
    }

    /// The image's name but for its digest.
    pub(crate) fn repository(&self) -> String {
        format!("{}/{REPOSITORY}", self.registry.address())
    }

    /// The image as pods name it.
    pub(crate) fn reference(&self) -> String {
        format!("{}@{}", self.repository(), self.digest)
    }

    /// Makes the pull secret, as the documentation says.
    pub(crate) fn create_secret(&self, namespace: &str) {
        let (user, password) = FETCHES;
        let [server, user, password] = [
            format!("--docker-server={}", self.registry.address()),
            format!("--docker-username={user}"),
            format!("--docker-password={password}"),
        ];
        let create = ["create", "secret", "docker-registry", PULL_SECRET, "-n", namespace];
        self.cluster.run_kubectl(&[&create[..], &[&server, &user, &password]].concat()).unwrap();
    }

    /// Takes the pull secret away.
    pub(crate) fn delete_secret(&self, namespace: &str) {
        self.cluster.run_kubectl(&["delete", "secret", PULL_SECRET, "-n", namespace]).unwrap();
    }

    /// Has the node fetch the image again: what it has of a digest it takes without asking.
    pub(crate) fn forget_on_node(&self) {
        self.cluster.images().remove(&self.reference()).unwrap();
    }

    /// How often the node asked for something of the image, with the account of the pull secret.
    pub(crate) fn count_fetches(&self) -> usize {
        self.registry.count_fetches(REPOSITORY)
    }

    /// The values of the chart's profile for private registries, with this image.
    pub(crate) fn write_values(&self, package: &Path, folder: &Path) -> PathBuf {
        let profile = "voicemail-operator/profiles/hardened.yaml";
        let text = run(Command::new("tar").arg("-xzOf").arg(package).arg(profile)).unwrap();
        let mut values: serde_json::Value = serde_yaml::from_str(&text).unwrap();
        values["image"]["repository"] = self.repository().into();
        values["image"]["digest"] = self.digest.clone().into();
        let file = folder.join("values.json");
        std::fs::write(&file, values.to_string()).unwrap();
        file
    }
}

impl Drop for PrivateImage {
    fn drop(&mut self) {
        // A cluster that was made anew meanwhile knows no registry.
        let _ = self.cluster.forget_registry(self.registry.address());
        let _ = self.cluster.images().remove(&self.reference());
    }
}
