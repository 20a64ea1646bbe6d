//! Signals of a process: every metric is documented, and a trace goes through.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use crate::served;

use reqwest::{Client, Method, StatusCode};
use serde_json::{Value, json};
use served::{Process, Setup, speech};
use std::collections::BTreeMap;

const TABLES: &str = include_str!("../../../../docs/metrics.md");
/// Shown once something happened that needs a fault, a webhook, a mail server or another replica; a test of the library has them all.
const SOMETIMES: [&str; 10] = [
    "voicemail_config_reloads",
    "voicemail_emails",
    "voicemail_gdpr_deadline_used_ratio",
    "voicemail_gdpr_runs",
    "voicemail_gdpr_seconds_to_deadline",
    "voicemail_mwi_hints",
    "voicemail_mwi_webhook_deliveries",
    "voicemail_store_call_failures",
    "voicemail_store_errors",
    "voicemail_store_hedges",
];
const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

/// Names and kinds, as the tables have them.
fn documented() -> BTreeMap<String, String> {
    let row = |line: &str| {
        let mut cells = line.strip_prefix("| `voicemail_")?.split('|');
        let name = format!("voicemail_{}", cells.next()?.trim().trim_end_matches('`'));
        Some((name, cells.next()?.trim().to_owned()))
    };
    TABLES.lines().filter_map(row).collect()
}

fn scraped(text: &str) -> BTreeMap<String, String> {
    let kinds = text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' '));
    kinds.map(|(name, kind)| (name.to_owned(), kind.to_owned())).collect()
}

async fn ask(process: &Process, token: &str, method: Method, path: &str, body: Value) -> StatusCode {
    let url = format!("{}/api/v1/{path}", process.api);
    let request = Client::new().request(method, url).bearer_auth(token).json(&body);
    let request = request.header("traceparent", format!("00-{TRACE}-00f067aa0ba902b7-01"));
    request.send().await.unwrap().status()
}

async fn deposit(process: &Process, token: &str, mailbox: &str) -> StatusCode {
    let audio = reqwest::multipart::Part::bytes(speech());
    let form = reqwest::multipart::Form::new().text("caller", "+442079460123").part("audio", audio);
    let url = format!("{}/api/v1/mailboxes/{mailbox}/messages", process.api);
    Client::new().post(url).bearer_auth(token).multipart(form).send().await.unwrap().status()
}

#[tokio::test]
async fn what_a_process_shows_is_what_the_table_says_and_moves_with_what_happens() {
    let setup = Setup::new();
    let mut process = Process::start(&setup);
    process.wait_for("open");
    let token = setup.token();
    assert_eq!(ask(&process, &token, Method::PUT, "mailboxes/1001", json!({})).await, StatusCode::OK);
    assert_eq!(deposit(&process, &token, "1001").await, StatusCode::CREATED);
    assert_eq!(deposit(&process, &token, "4711").await, StatusCode::NOT_FOUND);
    let pin = json!({ "pin": "739154" });
    assert_eq!(
        ask(&process, &token, Method::PUT, "mailboxes/1001/pin", pin.clone()).await,
        StatusCode::NO_CONTENT
    );
    assert_eq!(ask(&process, &token, Method::POST, "mailboxes/1001/pin/verify", pin).await, StatusCode::OK);
    let case = json!({ "caseid": "7", "consumers": [{ "phone": ["+442079460123"] }] });
    assert_eq!(ask(&process, &token, Method::POST, "gdpr/exportme", case).await, StatusCode::OK);
    let text = reqwest::get(format!("{}/metrics", process.metrics)).await.unwrap().text().await.unwrap();
    let (documented, shown) = (documented(), scraped(&text));
    for (name, kind) in &shown {
        assert_eq!(documented.get(name), Some(kind), "docs/metrics.md doesn't have {name} as a {kind}");
    }
    for name in documented.keys().filter(|name| !SOMETIMES.contains(&name.as_str())) {
        assert!(shown.contains_key(name), "{name} is documented and isn't shown:\n{text}");
    }
    let value = |name: &str, labels: &[&str]| -> f64 {
        let mut lines = text.lines().filter(|line| line.starts_with(&format!("{name}{{")));
        let line = lines.find(|line| labels.iter().all(|label| line.contains(label)));
        let line = line.unwrap_or_else(|| panic!("no {name} with {labels:?} in\n{text}"));
        line.rsplit(' ').next().unwrap().parse().unwrap()
    };
    let tenant = "tenant=\"2c5ea4c0-4067-11e9-8bad-9b1deb4d3b7d\"";
    assert_eq!(value("voicemail_messages_total", &[tenant, "added"]), 1.0);
    assert_eq!(value("voicemail_message_bytes_total", &[tenant, "added"]), speech().len() as f64);
    assert!(value("voicemail_tui_request_total", &[tenant]) >= 4.0);
    assert_eq!(value("voicemail_access_call_rate", &[tenant]), 1.0 / 60.0);
    assert_eq!(value("voicemail_deposit_call_rate", &[tenant]), 2.0 / 60.0);
    assert_eq!(value("voicemail_storage_alive", &[tenant]), 1.0);
    assert_eq!(value("voicemail_storage_failed_account", &[tenant, "StorageAccount=\"main\""]), 0.0);
    let calls = value("voicemail_storage_request_total", &[tenant]);
    let answered = value("voicemail_storage_request_passed_total", &[tenant]);
    assert!(calls > 10.0 && calls == answered + value("voicemail_storage_request_failed_total", &[tenant]));
    assert_eq!(value("voicemail_storage_access_latency_count", &[tenant]), calls);
    assert!(
        value("voicemail_store_call_seconds_count", &[tenant, "operation=\"put\"", "region=\"main\""]) >= 1.0
    );
    assert!(value("voicemail_index_commit_operations_count", &[tenant]) >= 2.0);
    assert_eq!(value("voicemail_rejections_total", &["reason=\"unknown-mailbox\""]), 1.0);
    process.stop();
}

#[tokio::test]
async fn a_requests_trace_is_continued_in_every_line_that_it_causes() {
    let setup = Setup::new();
    let mut process = Process::start(&setup);
    process.wait_for("open");
    let token = setup.token();
    assert_eq!(ask(&process, &token, Method::PUT, "mailboxes/1001", json!({})).await, StatusCode::OK);
    let line = process.wait_for("request");
    assert_eq!((&line["trace"], &line["span"]["trace"]), (&json!(TRACE), &json!(TRACE)));
    assert_eq!(line["request"], line["span"]["request"]);
    let url = format!("{}/api/v1/me/mailboxes", process.api);
    let answer = Client::new().get(url).bearer_auth(&token).send().await.unwrap();
    let line = process.wait_for("request");
    assert_ne!(line["trace"], json!(TRACE));
    assert_eq!(line["trace"].as_str().unwrap().len(), 32);
    assert_eq!(line["request"].as_str(), answer.headers()["x-request-id"].to_str().ok());
    process.stop();
}
