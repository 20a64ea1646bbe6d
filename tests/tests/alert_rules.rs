//! The alert rules, checked and played by Prometheus's own tool, over metrics that a core really shows.

use std::path::{Path, PathBuf};
use std::process::Command;
use voicemail_tests::command::run;
use voicemail_tests::debian::ensure_program;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../charts/voicemail-operator/alerts")
}

#[test]
fn alerts_fire_at_half_and_four_fifths_of_a_deadline_and_an_hour_after_an_erasures_time() {
    ensure_program("prometheus", "promtool").unwrap();
    let rules = folder().join("data-subject-rights.yaml");
    run(Command::new("promtool").args(["check", "rules"]).arg(&rules)).unwrap();
    let tests = folder().join("tests/data-subject-rights.yaml");
    run(Command::new("promtool").args(["test", "rules"]).arg(&tests)).unwrap();
}

/// An alert on a metric that nobody shows would never fire.
#[test]
fn every_metric_of_a_rule_is_one_that_a_core_shows() {
    let rules = std::fs::read_to_string(folder().join("data-subject-rights.yaml")).unwrap();
    let shown = voicemail_core::telemetry::Metrics::default();
    let mut measured = voicemail_core::gdpr::Measured::default();
    measured.deadline_used.insert(voicemail_core::gdpr_api::Operation::ForgetMe, 0.5);
    shown.show_open_runs(&measured);
    let shown = shown.render();
    let named = rules
        .split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))
        .filter(|w| w.starts_with("voicemail_"));
    let mut checked = 0;
    for metric in named {
        let line =
            |line: &str| line.starts_with(&format!("{metric} ")) || line.starts_with(&format!("{metric}{{"));
        assert!(shown.lines().any(line), "{metric} is shown by nobody:\n{shown}");
        checked += 1;
    }
    assert!(checked >= 4, "{checked}");
}
