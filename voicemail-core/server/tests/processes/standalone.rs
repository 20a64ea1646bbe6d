//! The program as a process, from the example configuration: start, serve, reload, stop.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use crate::served;

use reqwest::{Client, StatusCode};
use serde_json::{Value, json};
use served::{PROGRAM, Process, Setup, speech};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

#[tokio::test]
async fn the_example_serves_a_message_from_deposit_to_playback() {
    let setup = Setup::new();
    let mut process = Process::start(&setup);
    process.wait_for("open");
    let (status, readiness) = process.readiness().await;
    assert_eq!((status, &readiness["ready"]), (StatusCode::OK, &json!(true)));
    assert!(readiness["storeId"].is_string());
    let (client, token, api) = (Client::new(), setup.token(), format!("{}/api/v1", process.api));
    for (path, body) in [("mailboxes/1001", json!({})), ("users/alice", json!({ "mailboxes": ["1001"] }))] {
        let put = client.put(format!("{api}/{path}")).bearer_auth(&token).json(&body).send().await.unwrap();
        assert_eq!(put.status(), StatusCode::OK);
    }
    let form = reqwest::multipart::Form::new()
        .text("caller", "+442079460123")
        .part("audio", reqwest::multipart::Part::bytes(speech()));
    let deposit = client.post(format!("{api}/mailboxes/1001/messages")).bearer_auth(&token).multipart(form);
    let deposited = deposit.send().await.unwrap();
    assert_eq!(deposited.status(), StatusCode::CREATED);
    let location = deposited.headers()["location"].to_str().unwrap().to_owned();
    let play =
        client.get(format!("{}{location}/audio", process.api)).bearer_auth(&token).send().await.unwrap();
    assert_eq!(play.bytes().await.unwrap(), speech());
    let metrics = reqwest::get(format!("{}/metrics", process.metrics)).await.unwrap().text().await.unwrap();
    assert!(metrics.contains("voicemail_deposits_total{result=\"created\"} 1"));
    let log = serde_json::to_string(&process.stop()).unwrap();
    for personal in ["9460123", "/1001", "alice", &token] {
        assert!(!log.contains(personal) && !metrics.contains(personal), "{personal}: {log}");
    }
}

#[tokio::test]
async fn a_store_that_cannot_be_opened_is_explained_and_tried_again() {
    let setup = Setup::new();
    fs::rename(setup.path().join("keys"), setup.path().join("later")).unwrap();
    let mut process = Process::start(&setup);
    process.wait_for("not open yet");
    let (status, readiness) = process.readiness().await;
    assert_eq!((status, &readiness["reason"]), (StatusCode::SERVICE_UNAVAILABLE, &json!("KeysUnreadable")));
    let path = format!("{}/api/v1/me/mailboxes", process.api);
    let answer = Client::new().get(path).bearer_auth(setup.token()).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
    fs::rename(setup.path().join("later"), setup.path().join("keys")).unwrap();
    process.wait_for("open");
    assert_eq!(process.readiness().await.0, StatusCode::OK);
    process.stop();
}

#[tokio::test]
async fn a_good_configuration_is_taken_up_and_a_bad_one_leaves_the_last() {
    let setup = Setup::new();
    let mut process = Process::start(&setup);
    process.wait_for("open");
    let make = |class: &'static str| {
        let path = format!("{}/api/v1/mailboxes/1001", process.api);
        let body = json!({ "classOfService": class });
        let request = Client::new().put(path).bearer_auth(setup.token()).json(&body);
        async move { request.send().await.unwrap().status() }
    };
    assert_eq!(make("gold").await, StatusCode::BAD_REQUEST);
    let gold = make("gold");
    let more = setup.example().replace("- name: standard\n", "- name: gold\n- name: standard\n");
    setup.write_config(&more);
    process.wait_for("the configuration was reloaded");
    assert_eq!(gold.await, StatusCode::OK);
    setup.write_config("tenantId: [");
    process.wait_for("the new configuration can't be used; the last good one stays");
    setup.write_config(
        &more.replace("region: main", "region: main\ncluster: other").replace("cluster: standalone\n", ""),
    );
    let restart = process.wait_for("the new configuration takes a restart");
    assert_eq!(restart["fields"], "cluster");
    process.stop();
}

#[tokio::test]
async fn a_prefix_in_the_file_is_registered_in_the_store_before_it_is_in_force() {
    let setup = Setup::new();
    let mut process = Process::start(&setup);
    process.wait_for("open");
    setup.write_config(&format!("{}numberPrefixes: [{{prefix: '9'}}]\n", setup.example()));
    process.wait_for("new rules for numbers are registered and in force");
    let tenant = setup.path().join("store/v1/2c5ea4c0-4067-11e9-8bad-9b1deb4d3b7d/tenant.doc");
    let mut revisions: Vec<PathBuf> =
        fs::read_dir(tenant).unwrap().map(|entry| entry.unwrap().path()).collect();
    revisions.retain(|path| path.extension().is_some_and(|kind| kind == "json"));
    let head: Value = serde_json::from_slice(&fs::read(revisions.iter().max().unwrap()).unwrap()).unwrap();
    assert_eq!(head["rule_sets"].as_array().unwrap().len(), 2, "{head}");
    assert_eq!(head["rule_sets"][1]["prefixes"][0]["prefix"], "9");
    process.stop();
}

#[tokio::test]
async fn a_certificate_is_waited_for_and_taken_up_again_when_it_changes() {
    let setup = Setup::new();
    setup.write_config(&setup.with_tls());
    let mut process = Process::start(&setup);
    process.wait_for("not open yet");
    assert_eq!(process.readiness().await.1["reason"], "CertificateUnreadable");
    let first = setup.write_certificate();
    process.wait_for("open");
    let url = format!("{}/api/v1/me/mailboxes", process.api.replace("http://", "https://"));
    let ask = async |pem: &str| {
        let trusted = reqwest::Certificate::from_pem(pem.as_bytes()).unwrap();
        let client = Client::builder().tls_certs_only([trusted]).build().unwrap();
        client.get(&url).bearer_auth(setup.token()).send().await.map(|response| response.status())
    };
    assert_eq!(ask(&first).await.unwrap(), StatusCode::OK);
    let second = setup.write_certificate();
    process.wait_for("the certificate was reloaded");
    assert_eq!(ask(&second).await.unwrap(), StatusCode::OK);
    assert!(ask(&first).await.is_err());
    process.stop();
}

#[tokio::test]
async fn readiness_ends_at_once_and_an_upload_under_way_is_still_acknowledged() {
    let setup = Setup::new();
    let mut process = Process::start(&setup);
    process.wait_for("open");
    let (client, token, api) = (Client::new(), setup.token(), format!("{}/api/v1", process.api));
    let put = client.put(format!("{api}/mailboxes/1001")).bearer_auth(&token).json(&json!({}));
    put.send().await.unwrap();
    // The second half is held back until the process has been told to stop.
    let (release, held) = tokio::sync::oneshot::channel::<()>();
    let first = async { Ok::<_, std::io::Error>(speech()[..4_000].to_vec()) };
    let second = async move {
        let _ = held.await;
        Ok(speech()[4_000..].to_vec())
    };
    let body = futures::StreamExt::chain(futures::stream::once(first), futures::stream::once(second));
    let part = reqwest::multipart::Part::stream(reqwest::Body::wrap_stream(body));
    let form = reqwest::multipart::Form::new().part("audio", part);
    let upload = client.post(format!("{api}/mailboxes/1001/messages")).bearer_auth(&token).multipart(form);
    let upload = tokio::spawn(upload.send());
    let started = async {
        while !is_writing(&setup.path().join("store")) {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), started).await.unwrap();
    let id = rustix::process::Pid::from_child(&process.child);
    rustix::process::kill_process(id, rustix::process::Signal::TERM).unwrap();
    process.wait_for("stopping");
    assert_eq!(process.readiness().await.1["reason"], "ShuttingDown");
    release.send(()).unwrap();
    assert_eq!(upload.await.unwrap().unwrap().status(), StatusCode::CREATED);
    assert!(process.child.wait().unwrap().success());
}

/// Whether a write is under way: it lies in a folder for temporary files until it is complete, beside what stays there.
fn is_writing(path: &Path) -> bool {
    let below = fs::read_dir(path).into_iter().flatten().flatten().map(|entry| entry.path());
    below.filter(|path| path.is_dir()).any(|path| match path.file_name() {
        Some(name) if name == "tmp" => fs::read_dir(&path)
            .into_iter()
            .flatten()
            .flatten()
            .any(|file| file.file_name().to_string_lossy().starts_with("t.")),
        _ => is_writing(&path),
    })
}

#[tokio::test]
async fn the_sender_of_a_large_body_that_is_refused_sees_why() {
    let setup = Setup::new();
    let mut process = Process::start(&setup);
    process.wait_for("open");
    let send = async |token: &str, field: &'static str| {
        let part = reqwest::multipart::Part::bytes(vec![b'x'; 20_000_000]);
        let form = reqwest::multipart::Form::new().part(field, part);
        let path = format!("{}/api/v1/mailboxes/4711/messages", process.api);
        Client::new().post(path).bearer_auth(token).multipart(form).send().await.unwrap().status()
    };
    for _ in 0..5 {
        assert_eq!(send(&setup.token(), "audio").await, StatusCode::NOT_FOUND);
        assert_eq!(send(&setup.token(), "caller").await, StatusCode::PAYLOAD_TOO_LARGE);
        assert_eq!(send("x.y.z", "audio").await, StatusCode::UNAUTHORIZED);
    }
    process.stop();
}

#[test]
fn a_configuration_that_is_wrong_from_the_start_is_named_on_exit() {
    let setup = Setup::new();
    setup.write_config(&setup.example().replace("defaultNumberRegion: GB", "defaultNumberRegion: Britain"));
    let output = Command::new(PROGRAM).args(["serve", "--config"]).arg(setup.config()).output().unwrap();
    assert!(!output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains("defaultNumberRegion"));
}

#[test]
fn the_probe_reports_each_property_of_the_store() {
    let setup = Setup::new();
    let output = Command::new(PROGRAM).args(["probe", "--config"]).arg(setup.config()).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}");
    for property in ["answers", "medium", "create-is-exclusive", "one-winner", "clock"] {
        assert!(text.lines().any(|line| line.trim().starts_with("ok") && line.contains(property)), "{text}");
    }
    assert!(text.contains("can be trusted"), "{text}");
    let probe = ["probe", "--output", "json", "--config"];
    let output = Command::new(PROGRAM).args(probe).arg(setup.config()).output().unwrap();
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&report["trusted"], &report["regions"][0]["storage"]), (&true.into(), &"volume".into()));
}
