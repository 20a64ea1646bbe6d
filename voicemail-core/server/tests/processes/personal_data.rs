//! No personal data and no secret leaves by a log, a metric or a problem document, in whatever form.
//!
//! A process that logs all that it can is asked rightly and wrongly, with values that nothing else has; then all that it
//! said is searched for them: as they are, as hexadecimal text, as base64 and as a URL has them.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use crate::served;

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use reqwest::{Client, Method, RequestBuilder, StatusCode};
use serde_json::{Value, json};
use served::{Process, Setup, speech_of};
use std::fs::{self, File};
use std::path::Path;
use voicemail_test_machine::traces::{Sought, Traces};

const CALLER: &str = "+442079460737";
const NAME: &str = "Ottoline Zwetschgenbaum";
const PIN: &str = "739154";
const WRONG_PIN: &str = "628043";
const LABEL: &str = "Quittenkompott";
const OPT_OUT: &str = "sip:brombeere@quitte.example";
/// Wrong requests, each with values of its own.
const WRONG: usize = 40;

/// A client, and the folder in which all that the process said is kept.
struct Rig {
    client: Client,
    api: String,
    said: tempfile::TempDir,
    answers: usize,
}

impl Rig {
    fn request(&self, method: Method, path: &str, token: &str) -> RequestBuilder {
        self.client.request(method, format!("{}/api/v1/{path}", self.api)).bearer_auth(token)
    }

    /// Keeps what a client is told of a failure; what it is told of success is its own.
    async fn send(&mut self, request: RequestBuilder) -> (StatusCode, Value) {
        let answer = request.send().await.unwrap();
        let (status, headers) = (answer.status(), format!("{:?}", answer.headers()));
        let body = answer.bytes().await.unwrap();
        if !status.is_success() {
            self.answers += 1;
            let text = [headers.as_bytes(), b"\n", body.as_ref()].concat();
            fs::write(self.said.path().join(format!("answer-{}", self.answers)), text).unwrap();
        }
        (status, serde_json::from_slice(&body).unwrap_or_default())
    }

    async fn ask(&mut self, method: Method, path: &str, token: &str, body: Value) -> (StatusCode, Value) {
        self.send(self.request(method, path, token).json(&body)).await
    }

    async fn deposit(
        &mut self,
        mailbox: &str,
        token: &str,
        caller: &str,
        name: &str,
        audio: Vec<u8>,
    ) -> StatusCode {
        let form = reqwest::multipart::Form::new()
            .text("caller", caller.to_owned())
            .text("callerName", name.to_owned())
            .part("audio", reqwest::multipart::Part::bytes(audio));
        let post = self.request(Method::POST, &format!("mailboxes/{mailbox}/messages"), token);
        self.send(post.multipart(form)).await.0
    }
}

/// All that may be done rightly.
async fn live(rig: &mut Rig, token: &str) -> String {
    let get =
        async |rig: &mut Rig, path: &str, token: &str| rig.send(rig.request(Method::GET, path, token)).await;
    for name in ["1001", "2000"] {
        rig.ask(Method::PUT, &format!("mailboxes/{name}"), token, json!({ "label": LABEL })).await;
    }
    rig.ask(Method::PUT, "groups/sales", token, json!({ "mailbox": "2000" })).await;
    rig.ask(Method::PUT, "users/alice", token, json!({ "mailboxes": ["1001"], "groups": ["sales"] })).await;
    let wish = json!({ "optOut": OPT_OUT, "language": "en-GB", "timeZone": "Europe/London" });
    assert!(rig.ask(Method::PUT, "mailboxes/1001/preferences", token, wish).await.0.is_success());
    let greeting = rig.request(Method::PUT, "mailboxes/1001/greetings/standard", token);
    assert!(rig.send(greeting.header("content-type", "audio/wav").body(speech_of(2))).await.0.is_success());
    for name in ["1001", "2000"] {
        assert_eq!(rig.deposit(name, token, CALLER, NAME, speech_of(1)).await, StatusCode::CREATED);
    }
    get(rig, "mailboxes/1001/reception", token).await;
    rig.ask(Method::PUT, "mailboxes/1001/pin", token, json!({ "pin": PIN })).await;
    rig.ask(Method::POST, "mailboxes/1001/pin/verify", token, json!({ "pin": WRONG_PIN })).await;
    let (_, opened) = rig.ask(Method::POST, "mailboxes/1001/pin/verify", token, json!({ "pin": PIN })).await;
    let opened = opened["token"].as_str().unwrap().to_owned();
    let (_, list) = get(rig, "mailboxes/1001/messages", &opened).await;
    assert_eq!(
        (&list["messages"][0]["caller"], &list["messages"][0]["callerName"]),
        (&json!(CALLER), &json!(NAME))
    );
    let message = format!("mailboxes/1001/messages/{}", list["messages"][0]["id"].as_str().unwrap());
    get(rig, &format!("{message}/audio"), &opened).await;
    rig.ask(Method::POST, &format!("{message}/forward"), &opened, json!({ "to": ["2000"] })).await;
    rig.ask(Method::PATCH, &message, token, json!({ "state": "saved" })).await;
    let case = json!({ "caseid": "7", "consumers": [{ "phone": [CALLER], "name": NAME }] });
    for operation in ["exportme", "forgetme", "undoforget"] {
        let (status, answer) = rig.ask(Method::POST, &format!("gdpr/{operation}"), token, case.clone()).await;
        assert!(status.is_success(), "{operation}: {answer}");
    }
    opened
}

/// Failing requests: the answers name the rule, and not the input.
async fn err(rig: &mut Rig, token: &str, number: &str, word: &str) {
    let other = json!({ "caseid": "7", "consumers": [{ "phone": [number], "name": word }], word: number });
    rig.ask(Method::POST, "gdpr/forgetme", token, other.clone()).await;
    rig.ask(Method::POST, "gdpr/undoforget", token, json!({ "caseid": word, "consumers": number })).await;
    rig.ask(Method::PUT, "mailboxes/1001", token, json!({ "label": word, word: number })).await;
    rig.ask(Method::PUT, "mailboxes/1001", token, json!({ "classOfService": word })).await;
    rig.ask(Method::PUT, "mailboxes/1001/pin", token, json!({ "pin": number })).await;
    rig.ask(Method::POST, "mailboxes/4711/pin/verify", token, json!({ "pin": number })).await;
    rig.ask(
        Method::PUT,
        "mailboxes/1001/preferences",
        token,
        json!({ "optOut": format!("{word} {number}") }),
    )
    .await;
    rig.deposit("4711", token, number, word, speech_of(1)).await;
    rig.deposit("1001", token, number, word, word.as_bytes().to_vec()).await;
    let long = rig.request(Method::POST, "mailboxes/1001/messages", token);
    let form = reqwest::multipart::Form::new()
        .text("caller", number.repeat(40))
        .text(word.to_owned(), number.to_owned());
    rig.send(long.multipart(form)).await;
    let broken = rig.request(Method::POST, "gdpr/exportme", token).header("content-type", "application/json");
    rig.send(broken.body(format!("{{\"{word}\": \"{number}"))).await;
    rig.send(rig.request(Method::GET, "mailboxes/1001/messages", token).query(&[(word, number)])).await;
    rig.send(rig.request(Method::GET, "mailboxes/1001/messages", &format!("{word}.{number}.{word}"))).await;
    let header = rig.request(Method::POST, "mailboxes/1001/messages", token);
    rig.send(
        header.header("idempotency-key", number).header("traceparent", number).header("x-request-id", word),
    )
    .await;
    rig.send(rig.request(Method::GET, &format!("gdpr/cases/{word}"), token)).await;
}

fn pairs() -> Vec<(String, String)> {
    let mut runner = TestRunner::deterministic();
    let strategy = ("\\+4420[0-9]{8}", "[A-Z][a-z]{6}[äöüéß][a-z]{6}");
    (0..WRONG).map(|_| strategy.new_tree(&mut runner).unwrap().current()).collect()
}

fn needles(setup: &Setup, tokens: &[&str], pairs: &[(String, String)]) -> Traces {
    let mut traces = Traces::default().with_number(CALLER, "44").with_audio(&speech_of(2));
    for text in [NAME, PIN, WRONG_PIN, LABEL, OPT_OUT, "Zwetschgenbaum", "brombeere"] {
        traces = traces.with_text(text);
    }
    for token in tokens {
        traces = token
            .split('.')
            .filter(|part| part.len() > 20)
            .fold(traces, |traces, part| traces.with_text(part));
    }
    let key = fs::read_to_string(setup.path().join("keys/tenant.key")).unwrap();
    let receipt = fs::read_to_string(setup.path().join("keys/receipt.key")).unwrap();
    traces = traces.with_text(key.trim()).with_text(receipt.lines().nth(1).unwrap());
    pairs.iter().fold(traces, |traces, (number, word)| traces.with_number(number, "44").with_text(word))
}

#[tokio::test]
async fn nothing_personal_and_no_secret_is_in_what_a_process_says() {
    let setup = Setup::new();
    let said = tempfile::tempdir().unwrap();
    let errors = File::create(said.path().join("stderr")).unwrap();
    let mut process = Process::start_with(&setup, &[("VOICEMAIL_LOG", "trace")], errors.into());
    process.wait_for("open");
    let mut rig = Rig { client: Client::new(), api: process.api.clone(), said, answers: 0 };
    let (token, pairs) = (setup.token(), pairs());
    let opened = live(&mut rig, &token).await;
    for (number, word) in &pairs {
        err(&mut rig, &token, number, word).await;
    }
    assert!(rig.answers > WRONG * 10, "{} wrong requests were refused", rig.answers);
    let metrics = reqwest::get(format!("{}/metrics", process.metrics)).await.unwrap().text().await.unwrap();
    let readiness = process.readiness().await.1.to_string();
    let log: Vec<String> = process.stop().iter().map(Value::to_string).collect();
    assert!(log.len() > rig.answers, "every request is in the log");
    let folder = rig.said.path();
    for (name, text) in [("metrics", metrics), ("readiness", readiness), ("log", log.join("\n"))] {
        fs::write(folder.join(name), text).unwrap();
    }
    let traces = needles(&setup, &[&token, &opened], &pairs);
    let found = traces.scan(folder).unwrap();
    assert!(found.is_empty(), "{found:?} in {}", excerpt(folder));
    // The same search finds all of it where it has to be.
    let stored = traces.scan(&setup.path().join("store")).unwrap();
    assert!(
        [Sought::Number, Sought::Text, Sought::Audio]
            .iter()
            .all(|what| stored.iter().any(|t| t.what == *what))
    );
}

/// For whoever has to find the place: the lines with a number or a name.
fn excerpt(folder: &Path) -> String {
    let log = fs::read_to_string(folder.join("log")).unwrap();
    let telling = |line: &&str| line.contains("9460737") || line.contains("Zwetsch") || line.contains("7391");
    log.lines().filter(telling).take(3).collect::<Vec<_>>().join("\n")
}
