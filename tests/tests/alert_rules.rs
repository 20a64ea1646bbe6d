//! The alert rules, checked and played by Prometheus's own tool, over metrics that a core and an operator really show.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail their test")]

use std::path::{Path, PathBuf};
use std::process::Command;
use voicemail_operator::settings::RUNBOOKS;
use voicemail_runtime::metrics::{Metrics as OperatorMetrics, Outcome};
use voicemail_telemetry::Metrics as CoreMetrics;
use voicemail_telephony::config::{PortBlock, SpoolConfig};
use voicemail_telephony::media::ports::Ports;
use voicemail_telephony::spool::Spool;
use voicemail_telephony::telemetry::Metrics as TelephoneMetrics;
use voicemail_test_machine::command::run;
use voicemail_test_machine::debian::ensure_program;

/// Each has a file of rules, and one of the same name with what they must do.
const FILES: [&str; 6] = [
    "data-subject-rights.yaml",
    "email.yaml",
    "operator.yaml",
    "storage.yaml",
    "telephony.yaml",
    "tenants.yaml",
];

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../charts/voicemail-operator/alerts")
}

#[test]
fn alerts_fire_when_they_should_and_not_before() {
    ensure_program("prometheus", "promtool").unwrap();
    for file in FILES {
        run(Command::new("promtool").args(["check", "rules"]).arg(folder().join(file))).unwrap();
        let tests = folder().join("tests").join(file);
        run(Command::new("promtool").args(["test", "rules"]).arg(&tests)).unwrap();
    }
}

#[test]
fn every_alert_is_played_and_says_what_to_do_in_a_runbook_that_is_there() {
    for file in FILES {
        let rules = std::fs::read_to_string(folder().join(file)).unwrap();
        let played = std::fs::read_to_string(folder().join("tests").join(file)).unwrap();
        let values = |key: &str| {
            let lines = rules.lines().map(str::trim);
            lines.filter_map(|line| line.strip_prefix(key)).map(str::to_owned).collect::<Vec<_>>()
        };
        let (alerts, runbooks) = (values("- alert: "), values("runbook_url: "));
        assert!(!alerts.is_empty() && alerts.len() == runbooks.len(), "{alerts:?} {runbooks:?}");
        for alert in &alerts {
            assert!(played.contains(&format!("alertname: {alert}\n")), "{alert} is never played");
        }
        for runbook in &runbooks {
            let page = runbook.strip_prefix(RUNBOOKS).expect("where the pages are published");
            let page = std::fs::read_to_string(folder().join("../../../docs/runbooks").join(page));
            assert!(page.is_ok_and(|page| alerts.iter().any(|alert| page.contains(alert))), "{runbook}");
        }
    }
}

/// An alert on a metric that nobody shows would never fire.
#[test]
fn every_metric_of_a_rule_is_one_that_a_core_or_an_operator_shows() {
    let shown = show_core() + &show_operator() + &show_telephone();
    for file in FILES {
        let rules = std::fs::read_to_string(folder().join(file)).unwrap();
        let words = rules.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
        let ours = ["voicemail_", "controller_runtime_", "leader_election_"];
        let named: Vec<&str> =
            words.filter(|word| ours.iter().any(|prefix| word.starts_with(prefix))).collect();
        assert!(!named.is_empty(), "{file}");
        for metric in named {
            let is_its = |line: &str| {
                line.starts_with(&format!("{metric} ")) || line.starts_with(&format!("{metric}{{"))
            };
            assert!(shown.lines().any(is_its), "{metric} is shown by nobody:\n{shown}");
        }
    }
}

fn show_core() -> String {
    let shown = CoreMetrics::default();
    let mut measured = voicemail_telemetry::Measured::default();
    measured.deadline_used.insert(voicemail_api::gdpr::Operation::ForgetMe, 0.5);
    shown.show_open_runs(&measured);
    shown.show_hindrances(&[("main".into(), None)]);
    shown.render()
}

fn show_telephone() -> String {
    let folder = tempfile::tempdir().unwrap();
    let key_file = folder.path().join("key");
    std::fs::write(&key_file, [7; 32]).unwrap();
    let minute = std::time::Duration::from_secs(60);
    let spool = SpoolConfig {
        folder: folder.path().join("spool"),
        key_file,
        size_mib: 1,
        max_age: minute,
        emptying: minute,
    };
    let spool = Spool::open(&spool).unwrap();
    let metrics = TelephoneMetrics::from_nought(["pbx"]);
    let ports = Ports::new(PortBlock::default(), std::net::Ipv4Addr::LOCALHOST.into());
    metrics.text(&spool, &ports, &std::sync::Arc::default())
}

fn show_operator() -> String {
    let metrics = OperatorMetrics::default();
    metrics.set_leader(voicemail_runtime::leader::LEASE, true);
    metrics.add_census(|population, _| {
        population.add_unreadable("GdprRequest");
        population.tenants.insert("stalled", 1);
        population.problems.insert(("Ready", "PodsRefused".into()), 1);
    });
    metrics.end("voicemailtenant", Outcome::Error, std::time::Duration::from_millis(1));
    metrics.render()
}
