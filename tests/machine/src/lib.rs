//! This machine as tests need it: programs of other projects (object-store servers, browsers, telephones, mail servers), ports,
//! processes, faults between a client and a server, and the programs of this workspace as processes.
//!
//! It links no crate of the workspace, so that whoever changes one compiles nothing here, and a suite that needs servers alone
//! compiles nothing else.
//!
//! | modules | for |
//! |---|---|
//! | [`servers`] | servers of a test's own, each a process or in the test's |
//! | [`install`], [`go_module`], [`debian`], [`debian_root`], [`cache`] | where their programs come from, once for each machine |
//! | [`cargo`] | the workspace's own programs |
//! | [`fault_proxy`], [`distance`], [`slow_mount`], [`network_stores`], [`nfs_guest`] | answers that are lost or late, stores far away |
//! | [`caller`], [`speech`], [`prompts`] | telephones, and what is said by them |
//! | [`traces`], [`secrecy`] | what an erasure must have removed, and what must never be said |

pub mod cache;
pub mod caller;
pub mod cargo;
pub mod command;
pub mod debian;
pub mod debian_root;
pub mod digest;
pub mod distance;
pub mod fault_proxy;
pub mod go_module;
pub mod install;
pub mod libraries;
pub mod log_end;
pub mod network_stores;
pub mod nfs_guest;
pub mod poll;
pub mod process_facts;
pub mod progress;
pub mod prompts;
pub mod secrecy;
pub mod servers;
pub mod slow_mount;
pub mod speech;
pub mod traces;

use std::path::{Path, PathBuf};

/// Chooses the TLS implementation of this process; call it first in every `main` and test.
///
/// A second call changes nothing.
pub fn install_crypto() {
    let _already_installed = rustls::crypto::aws_lc_rs::default_provider().install_default();
}

/// A file or folder of the workspace, which lies where it lay when this was built.
pub fn workspace_path(path: &str) -> PathBuf {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    manifest.ancestors().nth(2).unwrap_or(manifest).join(path)
}
