//! The API document's promises, asked of a served core by schemathesis: made-up requests, valid and not, to every
//! operation, once as each role. No role is answered an operation that isn't its own.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use crate::served;

use futures::future::join_all;
use reqwest::{Client, multipart};
use serde_json::{Value, json};
use served::{Process, Setup, speech};
use std::path::{Path, PathBuf};
use tokio::sync::Mutex;
use voicemail_test_machine::servers::schemathesis::{Questions, ask};

const CALLER: &str = "+442079460123";
const ROLES: [&str; 4] = ["telephony", "agent", "admin", "privacy"];
/// The roles are played at once; the tests one after the other, since each of them takes the whole machine.
static TURN: Mutex<()> = Mutex::const_new(());

/// A core without limits, with alice's mailbox 1001, a group and a message.
struct Site {
    process: Process,
    setup: Setup,
    message: String,
}

impl Site {
    async fn start() -> Self {
        let setup = Setup::new();
        let mut config: Value = serde_yaml::from_str(&setup.example()).unwrap();
        config["limits"] =
            json!({ "requestsPerAddress": 0, "requestsPerCaller": 0, "refusalsPerAddress": 0 });
        setup.write_config(&serde_yaml::to_string(&config).unwrap());
        let mut process = Process::start(&setup);
        process.wait_for("open");
        let mut site = Self { process, setup, message: String::new() };
        for (path, body) in [
            ("mailboxes/1001", json!({})),
            ("mailboxes/2000", json!({})),
            ("groups/sales", json!({ "mailbox": "2000" })),
            ("users/alice", json!({ "mailboxes": ["1001"], "groups": ["sales"] })),
        ] {
            let put = Client::new().put(site.url(path)).bearer_auth(site.setup.token()).json(&body);
            put.send().await.unwrap().error_for_status().unwrap();
        }
        let form = multipart::Form::new().text("caller", CALLER);
        let form = form.part("audio", multipart::Part::bytes(speech()));
        let post = Client::new().post(site.url("mailboxes/1001/messages")).bearer_auth(site.setup.token());
        let answer = post.multipart(form).send().await.unwrap().error_for_status().unwrap();
        let answer: Value = answer.json().await.unwrap();
        site.message = answer["id"].as_str().unwrap().to_owned();
        site
    }

    fn url(&self, path: &str) -> String {
        format!("{}/api/v1/{path}", self.process.api)
    }

    async fn ask(
        &self,
        role: &'static str,
        parameters: &[(&str, &str)],
        seconds: u32,
        arguments: &'static [&'static str],
    ) {
        let (document, url) = (document(), self.process.api.clone());
        let token = self.setup.token_of("alice", &[role]);
        let parameters: Vec<(String, String)> =
            parameters.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let asked = tokio::task::spawn_blocking(move || {
            let parameters: Vec<(&str, &str)> =
                parameters.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
            let parameters = parameters.as_slice();
            let (document, url, token) = (document.as_path(), url.as_str(), token.as_str());
            ask(&Questions { document, url, token, role, parameters, seconds, arguments })
        });
        if let Err(report) = asked.await.unwrap() {
            panic!("as {role}: {report:#}");
        }
    }
}

fn document() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/openapi.json")
}

#[tokio::test(flavor = "multi_thread")]
async fn every_operation_answers_each_role_as_the_document_says_whatever_it_is_sent() {
    let _turn = TURN.lock().await;
    let asked = ROLES.map(|role| async move { Site::start().await.ask(role, &[], 50, &[]).await });
    join_all(asked).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_there_is_shown_to_and_changed_by_each_role_as_the_document_says() {
    let _turn = TURN.lock().await;
    let asked = ROLES.map(|role| async move {
        let site = Site::start().await;
        let message = site.message.clone();
        let names = [
            ("path.mailbox", "1001"),
            ("path.user", "alice"),
            ("path.group", "sales"),
            ("path.id", &message),
        ];
        let arguments = &["--phases=fuzzing", "--exclude-method=DELETE", "--include-path-regex=\\{"];
        site.ask(role, &names, 30, arguments).await;
    });
    join_all(asked).await;
}
