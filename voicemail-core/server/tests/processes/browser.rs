//! A page in a real browser, from another origin than the API: it gets a ticket and follows MWI, if its origin is
//! configured, and can't if it isn't.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use crate::served;

use axum::Router;
use axum::response::Html;
use axum::routing::{get, post};
use reqwest::{Client, StatusCode};
use serde_json::{Value, json};
use served::{Process, Setup};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::time::timeout;
use voicemail_test_machine::debian::ensure_program;

const DEADLINE: Duration = Duration::from_secs(60);

/// Tells its server, one after another, what became of a ticket, of the stream, and of a stream with a ticket that was
/// brought along.
const PAGE: &str = r#"<!doctype html><script>
const tell = text => fetch("/told", { method: "POST", body: text });
const follow = (name, ticket) => new Promise(done => {
  const stream = new EventSource(`API/mwi/events?ticket=${ticket}`);
  stream.addEventListener("state", event => { stream.close(); done(`${name} ${event.data}`); });
  stream.onerror = () => { stream.close(); done(`${name} refused`); };
});
(async () => {
  const headers = { "authorization": "Bearer TOKEN", "content-type": "application/json" };
  const body = JSON.stringify({ purpose: "events" });
  try {
    const answer = await fetch("API/tickets", { method: "POST", headers, body });
    const { ticket } = await answer.json();
    await tell(`ticket ${answer.status}`);
    await tell(await follow("stream", ticket));
  } catch (error) {
    await tell("ticket refused");
  }
  await tell(await follow("brought", "BROUGHT"));
})();
</script>"#;

/// A server of the page on a port, and so an origin, of its own.
struct Site {
    listener: TcpListener,
    origin: String,
}

impl Site {
    async fn bind() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let origin = format!("http://{}", listener.local_addr().unwrap());
        Self { listener, origin }
    }

    fn serve(self, page: String) -> UnboundedReceiver<String> {
        let (send, told) = unbounded_channel();
        let tell = move |body: String| {
            let _ = send.send(body);
            async {}
        };
        let routes =
            Router::new().route("/", get(move || async move { Html(page) })).route("/told", post(tell));
        tokio::spawn(async move { axum::serve(self.listener, routes).await });
        told
    }
}

struct Browser {
    child: Child,
    _profile: tempfile::TempDir,
}

impl Browser {
    fn open(program: &PathBuf, url: &str) -> Self {
        let profile = tempfile::tempdir().unwrap();
        let child = Command::new(program)
            .args([
                "--headless=new",
                "--no-sandbox",
                "--disable-gpu",
                "--no-first-run",
                "--disable-dev-shm-usage",
            ])
            .args(["--disable-background-networking", "--disable-component-update"])
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .args(["--remote-debugging-port=0", url])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Self { child, _profile: profile }
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

async fn next(told: &mut UnboundedReceiver<String>) -> String {
    timeout(DEADLINE, told.recv()).await.expect("the browser told nothing").unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_of_a_configured_origin_follows_mwi_by_a_ticket_and_another_page_gets_nothing() {
    let program =
        tokio::task::spawn_blocking(|| ensure_program("chromium", "chromium")).await.unwrap().unwrap();
    let (known, unknown) = (Site::bind().await, Site::bind().await);
    let setup = Setup::new();
    let mut config: Value = serde_yaml::from_str(&setup.example()).unwrap();
    config["browserOrigins"] = json!([known.origin]);
    setup.write_config(&serde_yaml::to_string(&config).unwrap());
    let mut process = Process::start(&setup);
    process.wait_for("open");
    let (api, token, client) = (format!("{}/api/v1", process.api), setup.token(), Client::new());
    for (path, body) in [("mailboxes/1001", json!({})), ("users/alice", json!({ "mailboxes": ["1001"] }))] {
        let put = client.put(format!("{api}/{path}")).bearer_auth(&token).json(&body).send().await.unwrap();
        assert_eq!(put.status(), StatusCode::OK);
    }
    let made =
        client.post(format!("{api}/tickets")).bearer_auth(&token).json(&json!({ "purpose": "events" }));
    let made: Value = made.send().await.unwrap().json().await.unwrap();
    let brought = made["ticket"].as_str().unwrap();
    let page = PAGE.replace("API", &api).replace("TOKEN", &token).replace("BROUGHT", brought);

    let (known_url, unknown_url) = (known.origin.clone(), unknown.origin.clone());
    let mut told = known.serve(page.clone());
    let browser = Browser::open(&program, &known_url);
    assert_eq!(next(&mut told).await, "ticket 201");
    let stream = next(&mut told).await;
    let state: Value = serde_json::from_str(stream.strip_prefix("stream ").unwrap()).unwrap();
    assert_eq!(state["Mailboxes"][0]["Mailbox"], "1001");
    assert!(next(&mut told).await.starts_with("brought {"));
    drop(browser);

    let mut told = unknown.serve(page);
    let _browser = Browser::open(&program, &unknown_url);
    assert_eq!(next(&mut told).await, "ticket refused");
    assert_eq!(next(&mut told).await, "brought refused");
}
