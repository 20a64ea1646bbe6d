//! Shared parts of the tests, the benches and the demo: a real Kubernetes on this machine, the image under test, and
//! ways to wait.
//!
//! Flow of a test: [`install_crypto`], then [`cluster::Cluster::ensure`] finds or starts the cluster,
//! [`image::build_image`] puts the image under test on its node, [`namespace::TestNamespace`] gives the test a
//! place of its own (or [`tenant_place::TenantPlace`], with an operator in it), and [`wait::wait_for`] waits for objects with a deadline and tells why when it passes.

pub mod access_review;
pub mod api_proxy;
pub mod caller;
pub mod chart_objects;
pub mod cluster;
pub mod command;
pub mod csi_driver;
pub mod dashboards;
pub mod debian;
pub mod debian_root;
pub mod digest;
pub mod distance;
pub mod fake_kubelet;
pub mod fault_proxy;
pub mod fault_scene;
pub mod foreign_operators;
pub mod helm3;
pub mod image;
pub mod install;
pub mod kubeconform;
pub mod later;
pub mod libraries;
pub mod namespace;
pub mod network_stores;
pub mod nfs_guest;
pub mod object_stores;
pub mod operator_audit;
pub mod operator_process;
pub mod poll;
pub mod process_facts;
pub mod progress;
pub mod sbom;
pub mod schema_bounds;
pub mod secrecy;
pub mod served_tenant;
pub mod servers;
pub mod slow_mount;
pub mod stage;
pub mod store_contract;
pub mod telephone;
pub mod tenant_manifest;
pub mod tenant_place;
pub mod tenant_stores;
pub mod user_range;
pub mod wait;

/// Chooses the TLS implementation of this process; call it first in every `main` and test.
///
/// A second call changes nothing.
pub fn install_crypto() {
    let _already_installed = rustls::crypto::aws_lc_rs::default_provider().install_default();
}
