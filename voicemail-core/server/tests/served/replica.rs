//! Replicas of one tenant: processes on a shared volume, and a client with every role.

use super::{Process, Setup, speech};
use reqwest::{Client, Method, StatusCode};
use serde_json::{Value, json};
use std::net::{SocketAddr, UdpSocket};
use std::path::Path;

pub(crate) const CALLER: &str = "+442079460123";

/// A UDP port that is free now.
pub(crate) fn free_port() -> SocketAddr {
    UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

/// One replica, and a client with every role.
pub(crate) struct Replica {
    pub(crate) process: Process,
    pub(crate) token: String,
    pub(crate) setup: Setup,
}

impl Replica {
    /// On a shared volume; hears hints at one address and sends them to another.
    pub(crate) fn start(volume: &Path, own: SocketAddr, other: SocketAddr, mwi: &Value) -> Self {
        let setup = Setup::new();
        let mut config: Value = serde_yaml::from_str(&setup.example()).unwrap();
        config["regions"][0]["storage"] = json!({ "volume": { "path": volume } });
        config["peers"] = json!({ "listen": own, "service": other });
        config["mwi"] = mwi.clone();
        setup.write_config(&serde_yaml::to_string(&config).unwrap());
        let mut process = Process::start(&setup);
        process.wait_for("open");
        Self { process, token: setup.token(), setup }
    }

    pub(crate) fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        let url = format!("{}/api/v1/{path}", self.process.api);
        Client::new().request(method, url).bearer_auth(&self.token)
    }

    pub(crate) async fn send(&self, method: Method, path: &str, body: Value) -> Value {
        let answer = self.request(method, path).json(&body).send().await.unwrap();
        let (status, text) = (answer.status(), answer.text().await.unwrap());
        assert!(status.is_success(), "{path}: {status} {text}");
        serde_json::from_str(&text).unwrap_or_default()
    }

    pub(crate) async fn provision(&self) {
        for mailbox in ["1001", "2000"] {
            self.send(Method::PUT, &format!("mailboxes/{mailbox}"), json!({})).await;
        }
        self.send(Method::PUT, "groups/sales", json!({ "mailbox": "2000" })).await;
        self.send(Method::PUT, "users/alice", json!({ "mailboxes": ["1001"] })).await;
    }

    pub(crate) async fn deposit(&self, mailbox: &str) {
        let audio = reqwest::multipart::Part::bytes(speech());
        let form = reqwest::multipart::Form::new().text("caller", CALLER).part("audio", audio);
        let post = self.request(Method::POST, &format!("mailboxes/{mailbox}/messages")).multipart(form);
        assert_eq!(post.send().await.unwrap().status(), StatusCode::CREATED);
    }

    pub(crate) async fn metric(&self, name: &str) -> f64 {
        let text =
            reqwest::get(format!("{}/metrics", self.process.metrics)).await.unwrap().text().await.unwrap();
        let line = text.lines().find_map(|line| line.strip_prefix(name));
        line.and_then(|value| value.trim().parse().ok()).unwrap_or(0.0)
    }
}
