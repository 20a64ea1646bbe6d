//! The program as a process, with all that it asks for in a folder of its own.

#![allow(dead_code, reason = "each test uses a part of it")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

pub(crate) mod replica;

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use reqwest::StatusCode;
use serde_json::{Value, json};
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};
use tempfile::TempDir;

const EXAMPLE: &str = include_str!("../../../../examples/standalone.yaml");
/// Everybody's password, where there are passwords.
pub(crate) const PASSWORD: &str = "right";
pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_voicemail");

/// A folder with all that the example asks for, on ports of its own.
pub(crate) struct Setup {
    folder: TempDir,
    key: EncodingKey,
    hash: OnceLock<String>,
}

impl Setup {
    pub(crate) fn new() -> Self {
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
        let setup = Self { folder, key, hash: OnceLock::new() };
        setup.write_config(&setup.example());
        setup
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn example(&self) -> String {
        let folder = self.path().to_str().unwrap();
        EXAMPLE
            .replace("/var/lib/voicemail", folder)
            .replace("127.0.0.1:8081", "127.0.0.1:0")
            .replace("127.0.0.1:9090", "127.0.0.1:0")
    }

    pub(crate) fn config(&self) -> PathBuf {
        self.path().join("config.yaml")
    }

    pub(crate) fn write_config(&self, text: &str) {
        let new = self.path().join("config.new");
        fs::write(&new, text).unwrap();
        fs::rename(new, self.config()).unwrap();
    }

    /// Adds a serving certificate for localhost; gives its PEM.
    pub(crate) fn write_certificate(&self) -> String {
        let made = rcgen::generate_simple_self_signed(vec!["localhost".into(), "127.0.0.1".into()]).unwrap();
        fs::write(self.path().join("tls.crt"), made.cert.pem()).unwrap();
        fs::write(self.path().join("tls.key"), made.signing_key.serialize_pem()).unwrap();
        made.cert.pem()
    }

    pub(crate) fn with_tls(&self) -> String {
        let folder = self.path().display();
        let tls = format!("listen:\n  tls: {{certificate: {folder}/tls.crt, key: {folder}/tls.key}}\n");
        self.example().replace("listen:\n", &tls)
    }

    /// The hash of everybody's password, [`PASSWORD`]: the cheapest that bcrypt has, made once.
    pub(crate) fn hash(&self) -> &str {
        self.hash.get_or_init(|| bcrypt::hash(PASSWORD, 4).unwrap())
    }

    /// Has the core serve its pages to these users, a line each.
    pub(crate) fn serve_pages(&self, users: &str) {
        let file = self.path().join("users");
        fs::write(&file, users).unwrap();
        let basic = format!("auth:\n  basic: {{usersFile: {}}}\n", file.display());
        let pages = "web: {host: voicemail.acme.example, passwords: true}\n";
        self.write_config(&(self.example().replace("auth:\n", &basic) + pages));
    }

    /// A token of alice's with every role.
    pub(crate) fn token(&self) -> String {
        self.token_of("alice", &["telephony", "agent", "admin", "privacy"])
    }

    pub(crate) fn token_of(&self, user: &str, roles: &[&str]) -> String {
        let exp = jsonwebtoken::get_current_timestamp() + 300;
        let claims = json!({ "iss": "https://id.example.com", "aud": "voicemail", "sub": user,
                             "exp": exp, "roles": roles });
        encode(&Header::new(Algorithm::ES256), &claims, &self.key).unwrap()
    }
}

/// A running program and its log.
pub(crate) struct Process {
    pub(crate) child: Child,
    log: Receiver<Value>,
    seen: Vec<Value>,
    pub(crate) api: String,
    pub(crate) metrics: String,
}

impl Process {
    pub(crate) fn start(setup: &Setup) -> Self {
        Self::start_with(setup, &[], Stdio::inherit())
    }

    /// With variables of the environment, and errors sent elsewhere.
    pub(crate) fn start_with(setup: &Setup, variables: &[(&str, &str)], errors: Stdio) -> Self {
        let mut child = Command::new(PROGRAM)
            .args(["serve", "--config"])
            .arg(setup.config())
            .envs(variables.iter().copied())
            .stdout(Stdio::piped())
            .stderr(errors)
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
    pub(crate) fn wait_for(&mut self, message: &str) -> Value {
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

    pub(crate) async fn readiness(&self) -> (StatusCode, Value) {
        let response = reqwest::get(format!("{}/readyz", self.metrics)).await.unwrap();
        (response.status(), response.json().await.unwrap())
    }

    /// Signs in to the pages; gives the cookie that says so.
    pub(crate) async fn sign_in(&self, user: &str) -> String {
        let post = reqwest::Client::new().post(format!("{}/ui/session/password", self.api));
        let post = post.header("sec-fetch-site", "same-origin").header("x-voicemail-page", "1");
        let answer = post.json(&json!({ "name": user, "password": PASSWORD })).send().await.unwrap();
        assert!(answer.status().is_success(), "{user}: {}", answer.status());
        let set = answer.headers().get_all("set-cookie");
        let mut cookies = set.iter().filter_map(|value| value.to_str().ok()?.split(';').next());
        cookies.find(|cookie| cookie.starts_with("__Host-Http-vm=")).unwrap().to_owned()
    }

    pub(crate) fn stop(mut self) -> Vec<Value> {
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

pub(crate) fn speech() -> Vec<u8> {
    speech_of(1)
}

/// That many seconds of A-law.
pub(crate) fn speech_of(seconds: usize) -> Vec<u8> {
    let samples = seconds * 8_000;
    let mut file = wav_header(samples);
    file.extend((0..samples).map(|i| (i % 253) as u8));
    file
}

/// A WAV header for that many samples of A-law.
pub(crate) fn wav_header(samples: usize) -> Vec<u8> {
    let data = u32::try_from(samples).unwrap();
    let mut header = b"RIFF".to_vec();
    header.extend((data + 36).to_le_bytes());
    header.extend(b"WAVEfmt \x10\0\0\0\x06\0\x01\0\x40\x1f\0\0\x40\x1f\0\0\x01\0\x08\0data");
    header.extend(data.to_le_bytes());
    header
}
