//! The real kstatus, the rules by which Flux, kubectl's appliers and others read an object, about the statuses that the operator writes.
//!
//! The objects are the cases of Argo CD's health scripts; the operator's own tests hold them to what it writes in each phase.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test's failure is a panic")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use voicemail_test_machine::command::{run, run_with_input};

/// The case's file name, and what kstatus says.
const REQUESTS: [(&str, &str); 20] = [
    ("awaiting_approval", "InProgress"),
    ("blocked", "InProgress"),
    ("cancelled_awaiting_approval", "Current"),
    ("cancelled_early", "Current"),
    ("completed", "Current"),
    ("denied", "Current"),
    ("ended_before", "Failed"),
    ("erasing", "InProgress"),
    ("failed", "Failed"),
    ("marked", "InProgress"),
    ("overdue", "InProgress"),
    ("partially_failed", "InProgress"),
    ("pending", "InProgress"),
    ("searching", "InProgress"),
    ("tenant_not_found", "Failed"),
    ("undoing", "InProgress"),
    ("undone", "Current"),
    ("unreadable", "Failed"),
    ("validating", "Failed"),
    ("verifying", "InProgress"),
];
const TENANTS: [(&str, &str); 4] = [
    ("healthy", "Current"),
    ("rolling", "InProgress"),
    ("stalled", "Failed"),
    ("not_looked_at", "InProgress"),
];

fn build() -> PathBuf {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("kstatus");
    let program = Path::new(env!("CARGO_TARGET_TMPDIR")).join("kstatus");
    let mut go = Command::new("go");
    run(go.current_dir(source).args(["build", "-mod=readonly", "-trimpath", "-o"]).arg(&program).arg("."))
        .unwrap();
    program
}

fn cases(kind: &str, names: &[(&str, &str)]) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join(format!("../examples/argo-cd/resource_customizations/voicemail.dev/{kind}/testdata"));
    let read = |name: &str| {
        let text = std::fs::read_to_string(folder.join(format!("{name}.yaml"))).unwrap();
        serde_yaml::from_str::<Value>(&text).unwrap().to_string() + "\n"
    };
    names.iter().map(|(name, _)| read(name)).collect()
}

#[test]
fn kstatus_reads_every_phase_as_what_it_is() {
    let program = build();
    for (kind, expected) in [("GdprRequest", REQUESTS.as_slice()), ("VoicemailTenant", TENANTS.as_slice())] {
        let said = run_with_input(&mut Command::new(&program), &cases(kind, expected)).unwrap();
        let said: BTreeMap<&str, &str> = expected.iter().map(|(name, _)| *name).zip(said.lines()).collect();
        let expected: BTreeMap<&str, &str> = expected.iter().copied().collect();
        assert_eq!(said, expected, "{kind}");
    }
}
