//! Fetches discovery documents and key sets: small, quickly, over a connection that can be trusted.

use super::AuthSetupError;
use futures::StreamExt;
use reqwest::{Certificate, Client, Url, header, redirect};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::time::Duration;
use voicemail_api::causes::all_causes;
use voicemail_model::Time;
use voicemail_telemetry::{Outgoing, TRACEPARENT};

const TIME_LIMIT: Duration = Duration::from_secs(5);
const LARGEST: usize = 1024 * 1024;

/// How documents are fetched from one issuer.
#[derive(Clone, Debug, Default)]
pub(super) struct Fetcher {
    /// A private CA; the system's when absent.
    pub(super) ca_file: Option<PathBuf>,
    /// File of the token to send; re-read at every use.
    pub(super) token_file: Option<PathBuf>,
}

impl Fetcher {
    /// Fetches a JSON document. The error is for an operator's eyes.
    pub(super) async fn json(&self, url: &Url) -> Result<Value, String> {
        let bytes = match url.to_file_path() {
            Ok(path) if url.scheme() == "file" => read_file(&path).await?,
            _ => self.download(url).await?,
        };
        serde_json::from_slice(&bytes).map_err(|_| format!("{url} isn't a JSON document"))
    }

    /// Posts a form as a client of the server, and reads its JSON answer. The error is for an operator's eyes, and
    /// holds nothing of the form.
    pub(super) async fn ask(
        &self,
        url: &Url,
        form: &[(&str, &str)],
        client: (&str, &str),
    ) -> Result<Value, String> {
        match self.post(url, form, client).await? {
            (200..=299, answer) => Ok(answer),
            (status, _) => Err(format!("{url} answers {status}")),
        }
    }

    /// As [`ask`](Self::ask), with the answer's status, whatever it is; `null` for an answer that isn't JSON.
    pub(super) async fn post(
        &self,
        url: &Url,
        form: &[(&str, &str)],
        client: (&str, &str),
    ) -> Result<(u16, Value), String> {
        let request = self.client().await?.post(url.clone());
        let request = request.basic_auth(client.0, Some(client.1)).header(header::ACCEPT, "application/json");
        let response = request.form(form).send().await.map_err(describe)?;
        let status = response.status();
        let read = serde_json::from_slice(&read_limited(response).await?);
        match read {
            Err(_) if status.is_success() => Err(format!("{url} doesn't answer JSON")),
            read => Ok((status.as_u16(), read.unwrap_or_default())),
        }
    }

    /// The `Date` of a server's answer, whatever it answers. `None` for files, and without an answer.
    pub(super) async fn time(&self, url: &Url) -> Option<Time> {
        if url.scheme() == "file" {
            return None;
        }
        let answer = self.client().await.ok()?.head(url.clone()).send().await.ok()?;
        let date = answer.headers().get(header::DATE)?.to_str().ok()?;
        Time::from_http_date(date)
    }

    async fn download(&self, url: &Url) -> Result<Vec<u8>, String> {
        let call = Outgoing::begin();
        let mut request = self.client().await?.get(url.clone()).header(TRACEPARENT, call.traceparent());
        if let Some(file) = &self.token_file {
            let token = String::from_utf8_lossy(&read_file(file).await?).trim().to_owned();
            request = request.bearer_auth(token);
        }
        let response = request.send().await;
        call.end("GET", response.as_ref().ok().map(|response| response.status().as_u16()));
        let response = response.map_err(describe)?.error_for_status().map_err(describe)?;
        read_limited(response).await
    }

    /// A client for one fetch, since fetches are minutes apart and files may change in between.
    async fn client(&self) -> Result<Client, String> {
        let mut builder = Client::builder().timeout(TIME_LIMIT).redirect(redirect::Policy::none());
        if let Some(file) = &self.ca_file {
            let pem = read_file(file).await?;
            let certificates = Certificate::from_pem_bundle(&pem).map_err(describe)?;
            builder = builder.tls_certs_only(certificates);
        }
        if self.token_file.is_some() {
            builder = builder.no_proxy();
        }
        builder.build().map_err(describe)
    }
}

pub(super) async fn read_file(path: &Path) -> Result<Vec<u8>, String> {
    tokio::fs::read(path).await.map_err(|error| format!("{}: {error}", path.display()))
}

async fn read_limited(response: reqwest::Response) -> Result<Vec<u8>, String> {
    let mut chunks = response.bytes_stream();
    let mut bytes = Vec::new();
    while let Some(chunk) = chunks.next().await {
        bytes.extend_from_slice(&chunk.map_err(describe)?);
        if bytes.len() > LARGEST {
            return Err("the document is larger than 1 MiB".into());
        }
    }
    Ok(bytes)
}

/// An error with its causes, since a client's own message says little.
fn describe(error: reqwest::Error) -> String {
    all_causes(&error)
}

/// A URL that keys may come from: https, loopback, or a file.
pub(super) fn key_url(text: &str) -> Result<Url, AuthSetupError> {
    let url = Url::parse(text).map_err(|_| AuthSetupError::InvalidUrl(text.to_owned()))?;
    let loopback = match url.host_str() {
        Some("localhost") => true,
        Some(host) => {
            host.trim_matches(['[', ']']).parse().is_ok_and(|ip: std::net::IpAddr| ip.is_loopback())
        }
        None => false,
    };
    match url.scheme() {
        "https" | "file" => Ok(url),
        "http" if loopback => Ok(url),
        _ => Err(AuthSetupError::InsecureUrl(text.to_owned())),
    }
}
