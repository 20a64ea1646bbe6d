//! docs/conditions.md against the code: every condition and every reason that a source names is on the page, and nothing
//! else is. Reasons stand beside what they are reasons of, so the sources themselves are looked at.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

const PAGE: &str = include_str!("../../../docs/conditions.md");
const CONDITIONS: &str = include_str!("../../../operator/api/src/conditions.rs");

/// Words of the sources that look like reasons and are names of kinds, values of fields, or others' reasons.
const OTHERS: [&str; 75] = [
    // Words of the cores about e-mails begin so.
    "Templates",
    "AlwaysAllow",
    "Authority",
    "CertificateParts",
    "AzureChinaCloud",
    "AzurePublicCloud",
    "AzureUSGovernmentCloud",
    "Bound",
    "ClusterIP",
    "ContainerCreating",
    "CrashLoopBackOff",
    "Deployment",
    "Equal",
    "ReadWriteOnce",
    "StatefulSet",
    "ErrImageNeverPull",
    "ErrImagePull",
    "Exists",
    "FallbackToLogsOnError",
    "False",
    "Filesystem",
    "GdprRequest",
    "HorizontalPodAutoscaler",
    "IfNotPresent",
    "ImagePullBackOff",
    "Ingress",
    "Lost",
    "None",
    "OnFailure",
    "OnRootMismatch",
    "Opaque",
    "PodInitializing",
    "PodMonitor",
    "PodScheduled",
    "PreferDualStack",
    "PrometheusRule",
    "ReadWriteMany",
    "ReplicaFailure",
    "Resource",
    "Retain",
    "RollingUpdate",
    "RuntimeDefault",
    "ScheduleAnyway",
    "Secret",
    "SecretProviderClass",
    "Service",
    "True",
    "Utilization",
    "ValidatingAdmissionPolicy",
    "VoicemailTenant",
    "Gi",
    "Ki",
    "Mi",
    "Ti",
    "Pi",
    "Ready",
    "ConfigMap",
    "Pod",
    "Role",
    "Problem",
    "Always",
    "Never",
    "Parallel",
    "PersistentVolumeClaim",
    "ServiceAccount",
    "NetworkPolicy",
    "PodDisruptionBudget",
    "List",
    "Blank",
    "MailboxFull",
    "Delete",
    "Name",
    "Reconcile",
    "Failed",
    "OnFinish",
];

/// Sources with reasons outside the controllers' folders.
const FILES: [&str; 13] = [
    "operator/runtime/src/calls.rs",
    "operator/cores/src/core_client.rs",
    "operator/runtime/src/reconciling.rs",
    "operator/runtime/src/reconciling/unreadable.rs",
    "voicemail-core/engine/src/core.rs",
    "voicemail-core/api/src/reasons.rs",
    "voicemail-core/server/src/server/mod.rs",
    "voicemail-core/server/src/server/health.rs",
    "voicemail-core/server/src/server/tls.rs",
    "voicemail-core/server/src/admin/progress.rs",
    "voicemail-core/server/src/admin/retire/blockers.rs",
    "operator/api/src/progress.rs",
    "operator/cores/src/pods.rs",
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if !path.file_name().unwrap().to_string_lossy().contains("tests") {
            found.push(path);
        }
    }
}

/// A word of capitals and small letters, as reasons are.
fn is_reason(word: &str) -> bool {
    word.starts_with(|c: char| c.is_ascii_uppercase())
        && word.chars().all(|c| c.is_ascii_alphabetic())
        && word.chars().any(|c| c.is_ascii_lowercase())
}

fn words(text: &str, mark: char) -> BTreeSet<String> {
    text.split(mark).filter(|word| is_reason(word)).map(str::to_owned).collect()
}

/// Texts in quotes, without those of the tests at a file's end.
fn named_in_sources() -> BTreeSet<String> {
    let mut files = Vec::new();
    for folder in ["operator/src/tenant", "operator/src/gdpr"] {
        sources(&root().join(folder), &mut files);
    }
    files.extend(FILES.map(|file| root().join(file)));
    let mut found = BTreeSet::new();
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap();
        let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
        found.extend(
            code.lines()
                .filter(|line| !line.trim_start().starts_with("//"))
                .flat_map(|line| words(line, '"')),
        );
    }
    found
}

#[test]
fn every_condition_and_reason_of_the_code_is_on_the_page_and_no_other() {
    let conditions: BTreeSet<String> = CONDITIONS
        .lines()
        .filter(|line| line.starts_with("pub const "))
        .flat_map(|line| words(line, '"'))
        .collect();
    assert!(conditions.len() >= 20, "{conditions:?}");
    let others: BTreeSet<String> = OTHERS.map(str::to_owned).into();
    let named = named_in_sources();
    let shown = words(PAGE, '`');
    let expected: BTreeSet<String> = named.difference(&others).cloned().chain(conditions.clone()).collect();
    let missing: Vec<_> = expected.difference(&shown).collect();
    assert!(missing.is_empty(), "docs/conditions.md doesn't have {missing:?}");
    // Kinds, fields and names of problems are on the page, too.
    let known = [
        "VoicemailTenant",
        "GdprRequest",
        "Ready",
        "Retain",
        "CaseDiffers",
        "RequestKeyReused",
        "Forbidden",
        "False",
        "True",
    ];
    let known: BTreeSet<String> = known.map(str::to_owned).into();
    let stale: Vec<_> =
        shown.iter().filter(|word| !expected.contains(*word) && !known.contains(*word)).collect();
    assert!(stale.is_empty(), "docs/conditions.md has {stale:?}, which the code doesn't name");
}
