//! The typed HTTP client of a tenant's core, for whoever calls its API: the operator, telephones, the command `gdpr`, tests.
//!
//! Flow: a caller brings a connection (its authorities, time-outs and name lookups are its own), the API's base address and the
//! value of the header `Authorization`; a method is one request and gives the answer's type of [`voicemail_api`].
//!
//! What can go wrong: see [`ClientError`]. No message holds the address or anything that was sent. An answer is read up to a
//! limit, so that a core that answers without an end costs its caller no memory.

mod answers;
mod error;
mod telephony;
mod watch;

pub use answers::{AnswerError, LONGEST, LONGEST_LEDGER, read_at_most};
pub use error::ClientError;
pub use watch::{MwiStep, MwiStream};

use reqwest::{RequestBuilder, Response};
use serde::Serialize;
use serde::de::DeserializeOwned;
use voicemail_api::gdpr::{
    ApproveBody, CancelBody, CasePage, CaseView, DenyBody, ExtendBody, GdprAnswer, GdprBody, LedgerView,
    Operation, Problem, RunView,
};
use voicemail_api::percent::encode_segment;

/// A decision of people about a run.
#[derive(Clone, Debug, PartialEq)]
pub enum Decision {
    /// A second person says yes.
    Approve(ApproveBody),
    /// A second person says no.
    Deny(DenyBody),
    /// A later deadline.
    Extend(ExtendBody),
    /// Take it back before anything is hidden.
    Cancel(CancelBody),
}

/// A signed-in connection to one tenant's core.
#[derive(Clone)]
pub struct Client {
    http: reqwest::Client,
    base: String,
    authorization: String,
    traceparent: Option<String>,
    longest: usize,
}

impl Client {
    /// Over a connection, to the API at that address (`https://HOST:PORT/api/v1`), with that header `Authorization`.
    pub fn new(http: reqwest::Client, base: impl Into<String>, authorization: impl Into<String>) -> Self {
        Self {
            http,
            base: base.into(),
            authorization: authorization.into(),
            traceparent: None,
            longest: LONGEST,
        }
    }

    /// The same with longer answers, in bytes: whoever asks one core alone and waits for it may be answered at length.
    #[must_use]
    pub fn reading_up_to(self, longest: usize) -> Self {
        Self { longest, ..self }
    }

    /// The same within a trace (W3C trace context): the core's log lines about its requests have the trace's id.
    #[must_use]
    pub fn within_trace(&self, traceparent: impl Into<String>) -> Self {
        Self { traceparent: Some(traceparent.into()), ..self.clone() }
    }

    /// Asks for a data-subject right; the same request key gets the same run for ever.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn open(&self, operation: Operation, body: &GdprBody) -> Result<GdprAnswer, ClientError> {
        self.post(&format!("gdpr/{}", operation.segment()), body).await
    }

    /// All runs of a case.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn read_case(&self, case: &str) -> Result<CaseView, ClientError> {
        self.get(&format!("gdpr/cases/{}", encode_segment(case)), &[]).await
    }

    /// A page of at most that many cases received since then.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn list_cases(
        &self,
        from: &str,
        limit: u32,
        cursor: Option<&str>,
    ) -> Result<CasePage, ClientError> {
        let limit = limit.to_string();
        let mut query = vec![("from", from), ("limit", limit.as_str())];
        query.extend(cursor.map(|cursor| ("cursor", cursor)));
        self.get("gdpr/cases", &query).await
    }

    /// Tells of what somebody decided about a case; gives the run as it is then.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn decide(&self, case: &str, decision: &Decision) -> Result<RunView, ClientError> {
        let path = |verb| format!("gdpr/cases/{}/{verb}", encode_segment(case));
        match decision {
            Decision::Approve(body) => self.post(&path("approve"), body).await,
            Decision::Deny(body) => self.post(&path("deny"), body).await,
            Decision::Extend(body) => self.post(&path("extend"), body).await,
            Decision::Cancel(body) => self.post(&path("cancel"), body).await,
        }
    }

    /// The ledger of erasures after that one.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn read_ledger(&self, after: u64) -> Result<LedgerView, ClientError> {
        let request = self.http.get(self.url("gdpr/ledger")).query(&[("after", after)]);
        read(self.send(request).await?, LONGEST_LEDGER).await
    }

    /// A case's export as it comes: a tar.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn export(&self, case: &str) -> Result<Response, ClientError> {
        self.send(self.http.get(self.url(&format!("gdpr/cases/{}/export", encode_segment(case))))).await
    }

    /// The answer to a GET of a path below the API.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn get<T: DeserializeOwned>(
        &self,
        path: &str,
        query: &[(&str, &str)],
    ) -> Result<T, ClientError> {
        self.read(self.send(self.http.get(self.url(path)).query(query)).await?).await
    }

    /// The answer to a POST of JSON to a path below the API.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &impl Serialize,
    ) -> Result<T, ClientError> {
        self.read(self.send(self.http.post(self.url(path)).json(body)).await?).await
    }

    async fn read<T: DeserializeOwned>(&self, answer: Response) -> Result<T, ClientError> {
        read(answer, self.longest).await
    }

    fn url(&self, path: &str) -> String {
        format!("{}/{path}", self.base)
    }

    /// A success; everything else is the problem that the core names.
    async fn send(&self, request: RequestBuilder) -> Result<Response, ClientError> {
        let mut request = request.header("authorization", &self.authorization);
        if let Some(traceparent) = &self.traceparent {
            request = request.header("traceparent", traceparent);
        }
        let answer = request.send().await?;
        let status = answer.status();
        if status.is_success() {
            return Ok(answer);
        }
        let status = status.as_u16();
        let body = body_of(answer, LONGEST).await?;
        match serde_json::from_slice::<Problem>(&body) {
            Ok(problem) => Err(ClientError::Problem { status, problem: Box::new(problem) }),
            Err(_) => Err(ClientError::Unreadable(status)),
        }
    }
}

async fn body_of(answer: Response, most: usize) -> Result<Vec<u8>, ClientError> {
    let status = answer.status().as_u16();
    read_at_most(answer, most).await.map_err(|error| match error {
        AnswerError::TooLong(_) => ClientError::TooLong(status),
        AnswerError::Lost(error) => error.into(),
    })
}

async fn read<T: DeserializeOwned>(answer: Response, most: usize) -> Result<T, ClientError> {
    let status = answer.status().as_u16();
    serde_json::from_slice(&body_of(answer, most).await?).map_err(|_| ClientError::Unreadable(status))
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::{StatusCode, Uri};

    async fn client_of(status: u16, body: &'static str) -> Client {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let answer = move |uri: Uri| async move {
            let echo = body.replace("PATH", &uri.to_string());
            (StatusCode::from_u16(status).unwrap(), echo)
        };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}/api/v1", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, axum::Router::new().fallback(answer)).await });
        let http = reqwest::Client::builder().no_proxy().tls_certs_only([]).build().unwrap();
        Client::new(http, base, "Bearer t")
    }

    #[tokio::test]
    async fn a_case_is_asked_for_by_its_own_path() {
        let client = client_of(200, r#"{"caseid": "PATH", "runs": []}"#).await;
        assert_eq!(client.read_case("a/b").await.unwrap().caseid, "/api/v1/gdpr/cases/a%2Fb");
    }

    #[tokio::test]
    async fn a_refusal_is_the_problem_that_the_core_names() {
        let problem = r#"{"type": "/problems/x", "title": "T", "status": 409, "detail": "D"}"#;
        match client_of(409, problem).await.read_case("c").await.unwrap_err() {
            ClientError::Problem { status: 409, problem } => assert_eq!(problem.title, "T"),
            other => panic!("{other:?}"),
        }
    }

    #[tokio::test]
    async fn words_that_are_no_answer_of_this_api_are_told_with_their_status() {
        assert!(matches!(
            client_of(502, "<html>").await.read_case("c").await,
            Err(ClientError::Unreadable(502))
        ));
        assert!(matches!(client_of(200, "{}").await.read_case("c").await, Err(ClientError::Unreadable(200))));
    }

    #[tokio::test]
    async fn nobody_who_listens_is_told_without_the_address() {
        let http = reqwest::Client::builder().no_proxy().tls_certs_only([]).build().unwrap();
        let client = Client::new(http, "http://127.0.0.1:1/api/v1", "Bearer t");
        let words = client.read_case("442079460001").await.unwrap_err().to_string();
        assert!(!words.contains("127.0.0.1") && !words.contains("44207"), "{words}");
    }
}
