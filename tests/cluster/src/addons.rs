//! Add-ons of a cluster: a name server and the storage class of the tests' volumes.

use crate::families::Families;
use crate::programs::Programs;

/// Name of the class of volumes that tests make by hand.
pub const STORAGE_CLASS: &str = "voice-voicemail";

const COREDNS: &str = include_str!("manifests/coredns.yaml");
const STORAGE: &str = include_str!("manifests/storage.yaml");

/// All add-ons as one YAML stream.
pub(super) fn manifests(programs: &Programs, families: Families) -> String {
    let coredns = COREDNS.replace("IMAGE", &coredns_image(programs)).replace("DNS_IP", families.dns());
    format!("{STORAGE}---\n{coredns}")
}

/// The name server's image, whose tag changes with its program.
pub(super) fn coredns_image(programs: &Programs) -> String {
    let folder = programs.folder_of("coredns");
    let build = folder.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    format!("localhost/{}", build.replacen('-', ":", 1))
}
