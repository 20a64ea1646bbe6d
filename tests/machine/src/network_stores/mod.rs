//! GlusterFS, CephFS and Ceph's gateway, each with one server of this machine: `cargo network-stores`.
//!
//! The servers are Debian's, in a root of their own in the cache, and run in namespaces of their own, which end with the command. On both file
//! systems the core's tests of two clients run over two mounts, and everywhere the core's probe decides 20 times about a new place. Not part of
//! the test command: it fetches some 300 MB of Debian once, and takes root.
//!
//! What can go wrong: packages that can't be had, a machine without FUSE, a store that doesn't start. Every such fault is an error that names it.

use crate::cargo::build_test;
use crate::debian_root::prepare_root;
use crate::servers::s3_admin::{S3Endpoint, S3Keys};
use anyhow::{Context, Result, ensure};
use std::path::Path;
use std::process::Command;

const RUN: &str = include_str!("run.sh");
const PACKAGES: &str =
    "glusterfs-server,glusterfs-client,ceph-mon,ceph-mgr,ceph-osd,ceph-mds,radosgw,ceph-fuse,ceph-common";
const RELEASE: &str = "trixie";

/// Builds core and tests, starts the stores and tries all; what is found is shown.
pub fn run_tests() -> Result<()> {
    ensure!(Path::new("/dev/fuse").exists(), "this machine has no FUSE: load the module fuse");
    let tests = build_test("voicemail-server", "two_clients")?;
    let programs = tests.ancestors().nth(2).context("the tests are in no folder of cargo")?;
    let root = prepare_root("stores", RELEASE, PACKAGES, |_| Ok(()))?;
    let mut command = Command::new("unshare");
    command.args(["--net", "--mount", "--pid", "--fork", "--kill-child", "sh", "-c", RUN]);
    command.env("ROOT", &root).env("PROGRAMS", programs).env("TESTS", &tests);
    let ended = command.status().context("cannot run unshare")?;
    ensure!(ended.success(), "a store failed: see what was printed");
    Ok(())
}

/// Makes the buckets `plain` and `versioned` at a server.
pub fn make_buckets(url: &str, access_key: &str, secret_key: &str) -> Result<()> {
    let keys = S3Keys { access_key: access_key.to_owned(), secret_key: secret_key.to_owned() };
    let admin = S3Endpoint::new(url, keys).admin()?;
    let made = async {
        admin.create_bucket("plain").await?;
        admin.create_bucket("versioned").await?;
        admin.set_versioning("versioned", true).await
    };
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(made)
}
