//! The program as a process, from the example configuration: start, serve, reload, stop.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use reqwest::{Client, StatusCode};
use serde_json::{Value, json};
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};
use tempfile::TempDir;

const EXAMPLE: &str = include_str!("../../examples/standalone.yaml");
const PROGRAM: &str = env!("CARGO_BIN_EXE_voicemail");

/// A folder with all that the example asks for, on ports of its own.
struct Setup {
    folder: TempDir,
    key: EncodingKey,
}

impl Setup {
    fn new() -> Self {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::create_dir_all(at("keys")).unwrap();
        fs::create_dir_all(at("store")).unwrap();
        fs::write(at("keys/tenant.key"), "0123456789abcdef0123456789abcdef0123456789abcdef\n").unwrap();
        let receipt = rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap();
        fs::write(at("keys/receipt.key"), receipt.serialize_pem()).unwrap();
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
        let key = EncodingKey::from_ec_der(pair.to_pkcs8v1().unwrap().as_ref());
        let public = Jwk::from_encoding_key(&key, Algorithm::ES256).unwrap();
        fs::write(at("jwks.json"), json!({ "keys": [public] }).to_string()).unwrap();
        let setup = Self { folder, key };
        setup.write_config(&setup.example());
        setup
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn example(&self) -> String {
        let folder = self.path().to_str().unwrap();
        EXAMPLE
            .replace("/var/lib/voicemail", folder)
            .replace("127.0.0.1:8081", "127.0.0.1:0")
            .replace("127.0.0.1:9090", "127.0.0.1:0")
    }

    fn config(&self) -> PathBuf {
        self.path().join("config.yaml")
    }

    fn write_config(&self, text: &str) {
        let new = self.path().join("config.new");
        fs::write(&new, text).unwrap();
        fs::rename(new, self.config()).unwrap();
    }

    /// Adds a serving certificate for localhost; gives its PEM.
    fn write_certificate(&self) -> String {
        let made = rcgen::generate_simple_self_signed(vec!["localhost".into(), "127.0.0.1".into()]).unwrap();
        fs::write(self.path().join("tls.crt"), made.cert.pem()).unwrap();
        fs::write(self.path().join("tls.key"), made.signing_key.serialize_pem()).unwrap();
        made.cert.pem()
    }

    fn with_tls(&self) -> String {
        let folder = self.path().display();
        let tls = format!("listen:\n  tls: {{certificate: {folder}/tls.crt, key: {folder}/tls.key}}\n");
        self.example().replace("listen:\n", &tls)
    }

    fn token(&self) -> String {
        let exp = jsonwebtoken::get_current_timestamp() + 300;
        let roles = ["telephony", "agent", "admin", "privacy"];
        let claims = json!({ "iss": "https://id.example.com", "aud": "voicemail", "sub": "alice",
                             "exp": exp, "roles": roles });
        encode(&Header::new(Algorithm::ES256), &claims, &self.key).unwrap()
    }
}

/// A running program and its log.
struct Process {
    child: Child,
    log: Receiver<Value>,
    seen: Vec<Value>,
    api: String,
    metrics: String,
}

impl Process {
    fn start(setup: &Setup) -> Self {
        let mut child = Command::new(PROGRAM)
            .args(["serve", "--config"])
            .arg(setup.config())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (send, log) = channel();
        let out = BufReader::new(child.stdout.take().unwrap());
        std::thread::spawn(move || {
            for line in out.lines().map_while(Result::ok) {
                let line = serde_json::from_str(&line).unwrap_or(Value::String(line));
                if send.send(line).is_err() {
                    return;
                }
            }
        });
        let mut process = Self { child, log, seen: Vec::new(), api: String::new(), metrics: String::new() };
        let listening = process.wait_for("listening");
        process.api = format!("http://{}", listening["api"].as_str().unwrap());
        process.metrics = format!("http://{}", listening["metrics"].as_str().unwrap());
        process
    }

    /// Waits for a log line with that message.
    fn wait_for(&mut self, message: &str) -> Value {
        let end = Instant::now() + Duration::from_secs(30);
        loop {
            let left = end.saturating_duration_since(Instant::now());
            let line =
                self.log.recv_timeout(left).unwrap_or_else(|_| panic!("no {message:?} in {:?}", self.seen));
            self.seen.push(line.clone());
            if line["message"].as_str() == Some(message) {
                return line;
            }
        }
    }

    async fn readiness(&self) -> (StatusCode, Value) {
        let response = reqwest::get(format!("{}/readyz", self.metrics)).await.unwrap();
        (response.status(), response.json().await.unwrap())
    }

    fn stop(mut self) -> Vec<Value> {
        let id = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(id, rustix::process::Signal::TERM).unwrap();
        assert!(self.child.wait().unwrap().success());
        self.seen.extend(self.log.iter());
        std::mem::take(&mut self.seen)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn speech() -> Vec<u8> {
    let mut file =
        b"RIFF\x64\x1f\0\0WAVEfmt \x10\0\0\0\x06\0\x01\0\x40\x1f\0\0\x40\x1f\0\0\x01\0\x08\0data\x40\x1f\0\0"
            .to_vec();
    file.extend((0..8_000).map(|i| (i % 253) as u8));
    file
}

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

/// Whether a write is under way: it lies in a folder for temporary files until it is complete.
fn is_writing(path: &Path) -> bool {
    let below = fs::read_dir(path).into_iter().flatten().flatten().map(|entry| entry.path());
    below.filter(|path| path.is_dir()).any(|path| match path.file_name() {
        Some(name) if name == "tmp" => fs::read_dir(&path).is_ok_and(|mut files| files.next().is_some()),
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
        assert_eq!(send(&setup.token(), "caller").await, StatusCode::BAD_REQUEST);
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
