//! A client of the core's HTTP API, as media servers, agents, administrators and privacy officers use it.
//!
//! Flow: [`super::Tenant::connect`] gives one without a token; [`Api::with_token`] is the same way as
//! somebody. Answers are the core's own types; a refusal is an [`ApiError`] with its problem document.

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use bytes::Bytes;
use reqwest::multipart::{Form, Part};
use reqwest::{Certificate, Client, RequestBuilder, Response};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::json;
use voicemail_api::gdpr::{CaseView, GdprAnswer, GdprBody, Operation, Problem};
use voicemail_api::mailboxes::MailboxView;
use voicemail_engine::mailbox::{MessagePage, MessageView};
use voicemail_model::{MessageId, Mwi};
use voicemail_server::http::{DepositAnswer, GroupBody, OwnMailboxes, UserBody};

use super::Endpoint;
use voicemail_test_machine::poll::poll;

const DEADLINE: Duration = Duration::from_secs(30);

/// The API of one tenant, as one caller.
#[derive(Clone)]
pub struct Api {
    http: Client,
    base: String,
    token: String,
    _endpoint: Arc<Endpoint>,
}

/// A message to leave.
#[derive(Clone, Debug)]
pub struct Deposit {
    /// The mailbox.
    pub mailbox: String,
    /// The caller's number as the network gives it; empty when withheld.
    pub caller: String,
    /// The caller's display name.
    pub caller_name: Option<String>,
    /// Urgent or not.
    pub urgent: bool,
    /// WAV.
    pub audio: Bytes,
    /// The Idempotency-Key; the core makes one when absent.
    pub key: Option<MessageId>,
}

impl Deposit {
    /// A message of a caller, as most are: without a name, not urgent, under a key of the core's.
    pub fn new(mailbox: &str, caller: &str, audio: &Bytes) -> Self {
        Self {
            mailbox: mailbox.to_owned(),
            caller: caller.to_owned(),
            caller_name: None,
            urgent: false,
            audio: audio.clone(),
            key: None,
        }
    }
}

/// An answer of the API other than the expected one.
#[derive(Debug)]
pub struct ApiError {
    /// Method and path, which hold nothing personal.
    pub request: String,
    /// HTTP status.
    pub status: u16,
    /// The problem document, if there was one.
    pub problem: Option<Problem>,
}

impl ApiError {
    /// Stable name of the problem, such as `/problems/mailbox-full`.
    pub fn kind(&self) -> &str {
        self.problem.as_ref().map_or("", |problem| &problem.kind)
    }
}

impl fmt::Display for ApiError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(problem) = &self.problem else {
            return write!(formatter, "{}: {} without a problem document", self.request, self.status);
        };
        write!(formatter, "{}: {} {}: {}", self.request, self.status, problem.kind, problem.detail)
    }
}

impl std::error::Error for ApiError {}

impl Api {
    /// A way to the API that trusts this authority alone, without a token.
    pub(super) fn new(endpoint: Endpoint, authority: &[u8]) -> Result<Self> {
        let authority = Certificate::from_pem_bundle(authority).context("reading the tenant's ca.crt")?;
        let client = Client::builder().no_proxy().tls_certs_only(authority).timeout(DEADLINE);
        let http = client.resolve(endpoint.host(), endpoint.address()).build()?;
        let base = format!("https://{}:{}/api/v1", endpoint.host(), endpoint.address().port());
        Ok(Self { http, base, token: String::new(), _endpoint: Arc::new(endpoint) })
    }

    /// The same way as the owner of a token.
    #[must_use]
    pub fn with_token(&self, token: &str) -> Self {
        Self { token: token.to_owned(), ..self.clone() }
    }

    /// Where the API begins.
    pub fn base(&self) -> &str {
        &self.base
    }

    /// Makes a mailbox or changes it.
    pub async fn put_mailbox(&self, mailbox: &str, class: &str, label: &str) -> Result<MailboxView> {
        let body = json!({"classOfService": class, "label": label});
        self.put(&format!("/mailboxes/{mailbox}"), &body).await
    }

    /// Makes a user or replaces it.
    pub async fn put_user(&self, user: &str, mailboxes: &[&str], groups: &[&str]) -> Result<UserBody> {
        self.put(&format!("/users/{user}"), &json!({"mailboxes": mailboxes, "groups": groups})).await
    }

    /// Makes a group or replaces it.
    pub async fn put_group(&self, group: &str, mailbox: &str) -> Result<GroupBody> {
        self.put(&format!("/groups/{group}"), &json!({"mailbox": mailbox})).await
    }

    /// Leaves a message.
    pub async fn deposit(&self, deposit: &Deposit) -> Result<DepositAnswer> {
        let mut form = Form::new().text("caller", deposit.caller.clone());
        if let Some(name) = &deposit.caller_name {
            form = form.text("callerName", name.clone());
        }
        let audio = Part::stream_with_length(deposit.audio.clone(), deposit.audio.len() as u64);
        let audio = audio.file_name("message.wav").mime_str("audio/wav")?;
        let form = form.text("urgent", deposit.urgent.to_string()).part("audio", audio);
        let path = format!("/mailboxes/{}/messages", deposit.mailbox);
        let mut request = self.http.post(self.url(&path)).multipart(form);
        if let Some(key) = deposit.key {
            request = request.header("idempotency-key", key.to_string());
        }
        read(self.send(request, "POST", &path).await?).await
    }

    /// A mailbox's messages, newest first, over all pages.
    pub async fn list(&self, mailbox: &str) -> Result<Vec<MessageView>> {
        let mut messages = Vec::new();
        let mut cursor: Option<String> = None;
        loop {
            let path = format!("/mailboxes/{mailbox}/messages");
            let request = self
                .http
                .get(self.url(&path))
                .query(&cursor.iter().map(|at| ("cursor", at)).collect::<Vec<_>>());
            let page: MessagePage = read(self.send(request, "GET", &path).await?).await?;
            messages.extend(page.messages);
            match page.next {
                Some(next) => cursor = Some(next),
                None => return Ok(messages),
            }
        }
    }

    /// A mailbox's counts.
    pub async fn mwi(&self, mailbox: &str) -> Result<Mwi> {
        self.get(&format!("/mailboxes/{mailbox}/mwi")).await
    }

    /// The caller's own mailboxes and those of their groups.
    pub async fn own_mailboxes(&self) -> Result<OwnMailboxes> {
        self.get("/me/mailboxes").await
    }

    /// A message's audio.
    pub async fn audio(&self, mailbox: &str, id: MessageId) -> Result<Bytes> {
        let path = format!("/mailboxes/{mailbox}/messages/{id}/audio");
        let response = self.send(self.http.get(self.url(&path)), "GET", &path).await?;
        Ok(response.bytes().await?)
    }

    /// Puts a message under a legal hold.
    pub async fn hold(&self, mailbox: &str, id: MessageId, reason: &str) -> Result<()> {
        let path = format!("/mailboxes/{mailbox}/messages/{id}/hold");
        let request = self.http.put(self.url(&path)).json(&json!({ "reason": reason }));
        self.send(request, "PUT", &path).await.map(drop)
    }

    /// Ends a message's legal hold.
    pub async fn end_hold(&self, mailbox: &str, id: MessageId) -> Result<()> {
        let path = format!("/mailboxes/{mailbox}/messages/{id}/hold");
        self.send(self.http.delete(self.url(&path)), "DELETE", &path).await.map(drop)
    }

    /// Gives a mailbox its PIN.
    pub async fn set_pin(&self, mailbox: &str, pin: &str) -> Result<()> {
        let path = format!("/mailboxes/{mailbox}/pin");
        let request = self.http.put(self.url(&path)).json(&json!({ "pin": pin }));
        self.send(request, "PUT", &path).await.map(drop)
    }

    /// Asks for a data-subject right.
    pub async fn exercise(&self, operation: Operation, body: &GdprBody) -> Result<GdprAnswer> {
        let path = format!("/gdpr/{}", operation.segment());
        read(self.send(self.http.post(self.url(&path)).json(body), "POST", &path).await?).await
    }

    /// The runs of a case.
    pub async fn case(&self, case: &str) -> Result<CaseView> {
        self.get(&format!("/gdpr/cases/{case}")).await
    }

    /// Fetches a case's export and unpacks it into a folder; returns the names of its files, sorted.
    pub async fn unpack_export(&self, case: &str, folder: &Path) -> Result<Vec<String>> {
        let path = format!("/gdpr/cases/{case}/export");
        let response = self.send(self.http.get(self.url(&path)), "GET", &path).await?;
        let bytes = response.bytes().await.context("the export broke off")?;
        std::fs::create_dir_all(folder)?;
        tar::Archive::new(bytes.as_ref()).unpack(folder).context("unpacking the export")?;
        let entries = std::fs::read_dir(folder)?.collect::<std::io::Result<Vec<_>>>()?;
        let mut names: Vec<String> =
            entries.iter().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        Ok(names)
    }

    /// The body of a resource, as it was sent.
    pub async fn get_text(&self, path: &str) -> Result<String> {
        Ok(self.send(self.http.get(self.url(path)), "GET", path).await?.text().await?)
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    /// Waits until somebody answers: a node learns a moment after a pod is ready that its Service leads there.
    pub async fn wait_answer(&self) -> Result<()> {
        let answered = async || self.http.get(self.url("me")).send().await.context("GET me got no answer");
        poll(DEADLINE, answered).await.map(drop)
    }

    async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T> {
        read(self.send(self.http.get(self.url(path)), "GET", path).await?).await
    }

    async fn put<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> Result<T> {
        read(self.send(self.http.put(self.url(path)).json(body), "PUT", path).await?).await
    }

    async fn send(&self, request: RequestBuilder, method: &str, path: &str) -> Result<Response> {
        let what = format!("{method} {path}");
        let response =
            request.bearer_auth(&self.token).send().await.with_context(|| format!("{what} got no answer"))?;
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let problem = response.json().await.ok();
        Err(ApiError { request: what, status: status.as_u16(), problem }.into())
    }
}

async fn read<T: DeserializeOwned>(response: Response) -> Result<T> {
    response.json().await.context("the answer isn't what this version of the API gives")
}
