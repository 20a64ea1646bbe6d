//! Shared parts of the end-to-end suites, the benches and the demo: a whole system as users have it, on the cluster of
//! `voicemail_test_cluster` and the servers of `voicemail_test_machine`.
//!
//! Flow of a test: `install_crypto`, then `Cluster::ensure` finds or starts the cluster, `build_image` puts the image under test on
//! its node, a `TestNamespace` gives the test a place of its own (or [`tenant_place::TenantPlace`], with an operator in it), and
//! `wait_for` waits for objects with a deadline and tells why when it passes.

pub mod access_review;
pub mod api_proxy;
pub mod chart_objects;
pub mod csi_driver;
pub mod dashboards;
pub mod fault_scene;
pub mod later;
pub mod operator_process;
pub mod sbom;
pub mod schema_bounds;
pub mod served_tenant;
pub mod stage;
pub mod telephone;
pub mod tenant_manifest;
pub mod tenant_place;
pub mod tenant_stores;
