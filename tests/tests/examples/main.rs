//! Every file in `examples/` is applied to a real cluster, and comes to what it says: each manifest is in the table here,
//! with the test that applies it. What a tenant needs beside its manifest (a volume, a bucket, a certificate) is brought.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail their test")]

mod foreign;
mod requests;
mod telephony;
mod tenants;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Files with the test's source that applies them; those of this folder are included by name.
const APPLIED: [(&str, &str); 28] = [
    ("argo-cd/application.yaml", "examples/foreign.rs"),
    ("argo-cd/argocd-cm.yaml", "examples/foreign.rs"),
    ("autoscaling-tenant.yaml", "examples/tenants.rs"),
    ("azure-tenant.yaml", "end_to_end/object_store_tenants.rs"),
    ("email-tenant.yaml", "examples/tenants.rs"),
    ("existing-claim-tenant.yaml", "examples/tenants.rs"),
    ("gdpr/consumers.yaml", "end_to_end/data_subject_rights.rs"),
    ("gdpr/dry-run.yaml", "examples/requests.rs"),
    ("gdpr/export.yaml", "end_to_end/data_subject_rights.rs"),
    ("gdpr/forget-again.yaml", "end_to_end/data_subject_rights.rs"),
    ("gdpr/forget.yaml", "end_to_end/data_subject_rights.rs"),
    ("gdpr/undo.yaml", "end_to_end/data_subject_rights.rs"),
    ("gdpr/withheld.yaml", "examples/requests.rs"),
    ("keyvault-tenant.yaml", "end_to_end/object_store_tenants.rs"),
    ("mwi-tenant.yaml", "examples/tenants.rs"),
    ("monitored-tenant.yaml", "examples/tenants.rs"),
    ("nfs-storage-class.yaml", "examples/foreign.rs"),
    ("policy.yaml", "crd_rules/main.rs"),
    ("s3-tenant.yaml", "examples/tenants.rs"),
    ("telephony-tenant.yaml", "examples/telephony.rs"),
    ("telephony-tls-tenant.yaml", "examples/telephony.rs"),
    ("tls-tenant.yaml", "examples/tenants.rs"),
    ("tls/certificate.yaml", "examples/foreign.rs"),
    ("two-regions-tenant.yaml", "end_to_end/object_store_tenants.rs"),
    ("volume-tenant.yaml", "examples/tenants.rs"),
    ("web-identity-tenant.yaml", "examples/tenants.rs"),
    ("web-tenant.yaml", "examples/tenants.rs"),
    ("workload-identity-tenant.yaml", "examples/tenants.rs"),
];
/// No manifests: a configuration, a pipeline, a media server's dialogue, cases of the health scripts. Each has a test.
const OTHERS: [&str; 4] =
    ["standalone.yaml", "github-actions/", "media-server/", "argo-cd/resource_customizations/"];

fn examples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples")
}

fn list(folder: &Path, found: &mut BTreeSet<String>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            list(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "yaml") {
            found.insert(path.strip_prefix(examples()).unwrap().display().to_string());
        }
    }
}

#[test]
fn every_manifest_is_applied_by_a_test() {
    let mut found = BTreeSet::new();
    list(&examples(), &mut found);
    found
        .retain(|file| !OTHERS.iter().any(|other| file.starts_with(other)) && !file.starts_with("tutorial/"));
    let known: BTreeSet<String> = APPLIED.iter().map(|(file, _)| (*file).to_owned()).collect();
    assert_eq!(found, known, "each example needs a test, and its place in the table");
    for (file, source) in APPLIED {
        let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(source));
        let name = file.rsplit('/').next().unwrap();
        assert!(text.unwrap().contains(&format!("{name}\"")), "{source} doesn't apply {file}");
    }
}
