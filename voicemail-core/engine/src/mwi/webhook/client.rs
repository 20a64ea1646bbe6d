//! One request to the receiver: HTTPS only, no redirects, to an address that was checked; or through the proxy of the
//! environment, which then decides to which addresses it connects.

use super::address::is_allowed;
use super::message::{Secrets, body};
use hyper_util::client::proxy::matcher::Matcher;
use ipnet::IpNet;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::{Certificate, Client, Url, redirect};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::lookup_host;
use voicemail_api::causes::all_causes;
use voicemail_api::config::WebhookConfig;
use voicemail_model::{MailboxId, Mwi, Time};
use voicemail_telemetry::{Outgoing, TRACEPARENT};

/// How long a delivery may take, answer included.
pub(super) const LIMIT: Duration = Duration::from_secs(10);
const CONNECT_LIMIT: Duration = Duration::from_secs(5);
/// Bytes of an answer that are read, so that its connection can be used again.
const MOST_ANSWER: usize = 64 * 1024;

/// Why a delivery failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum DeliveryError {
    /// Secret or CA can't be read, or the URL names an address that isn't allowed.
    #[error("the webhook can't be used: {0}")]
    Setup(String),
    /// The receiver answered something else than 2xx.
    #[error("the receiver answered {0}")]
    Refused(u16),
    /// No answer.
    #[error("the receiver can't be reached: {0}")]
    Unreachable(String),
}

impl DeliveryError {
    /// As the metric has it.
    pub(super) fn outcome(&self) -> &'static str {
        match self {
            Self::Setup(_) => "unusable",
            Self::Refused(_) => "refused",
            Self::Unreachable(_) => "unreachable",
        }
    }
}

/// A delivery to the receiver.
pub(super) struct Delivery<'a> {
    /// The same for each attempt.
    pub(super) id: &'a str,
    pub(super) mailbox: &'a MailboxId,
    pub(super) counts: Option<Mwi>,
    pub(super) now: Time,
}

/// Delivers to one receiver, with the files as they are now.
pub(super) struct Sender {
    client: Client,
    url: Url,
    secrets: Secrets,
}

impl Sender {
    /// Reads secret and CA.
    ///
    /// # Errors
    /// `Setup`.
    pub(super) async fn open(config: &WebhookConfig) -> Result<Self, DeliveryError> {
        let setup = |error: &dyn std::fmt::Display| DeliveryError::Setup(error.to_string());
        let secret = read_file(&config.secret_file).await?;
        let secrets = Secrets::parse(&String::from_utf8_lossy(&secret)).map_err(|error| setup(&error))?;
        let url = Url::parse(&config.url).map_err(|error| setup(&error))?;
        check_literal(&url, &config.allowed_private_ranges)?;
        let mut builder = Client::builder()
            .https_only(true)
            .redirect(redirect::Policy::none())
            .timeout(LIMIT)
            .connect_timeout(CONNECT_LIMIT);
        if !has_proxy(&url, &Matcher::from_env()) {
            let resolver = Checked(config.allowed_private_ranges.clone());
            builder = builder.no_proxy().dns_resolver(Arc::new(resolver));
        }
        if let Some(file) = &config.ca_file {
            let pem = read_file(file).await?;
            let certificates = Certificate::from_pem_bundle(&pem).map_err(|error| setup(&error))?;
            builder = builder.tls_certs_only(certificates);
        }
        Ok(Self { client: builder.build().map_err(|error| setup(&error))?, url, secrets })
    }

    /// One attempt.
    ///
    /// # Errors
    /// Why it isn't delivered, or may not be.
    pub(super) async fn deliver(&self, delivery: &Delivery<'_>) -> Result<(), DeliveryError> {
        let body = body(delivery.mailbox, delivery.counts.as_ref(), delivery.now);
        let seconds = delivery.now.0.div_euclid(1_000);
        let call = Outgoing::begin();
        let request = self
            .client
            .post(self.url.clone())
            .header("content-type", "application/json")
            .header(TRACEPARENT, call.traceparent())
            .header("webhook-id", delivery.id)
            .header("webhook-timestamp", seconds)
            .header("webhook-signature", self.secrets.sign(delivery.id, seconds, &body))
            .body(body);
        let answer = request.send().await;
        call.end("POST", answer.as_ref().ok().map(|answer| answer.status().as_u16()));
        let mut answer = answer.map_err(|error| DeliveryError::Unreachable(describe(error)))?;
        let status = answer.status();
        let mut read = 0;
        while let Ok(Some(chunk)) = answer.chunk().await {
            read += chunk.len();
            if read > MOST_ANSWER {
                break;
            }
        }
        if status.is_success() { Ok(()) } else { Err(DeliveryError::Refused(status.as_u16())) }
    }
}

async fn read_file(path: &std::path::Path) -> Result<Vec<u8>, DeliveryError> {
    let read = tokio::fs::read(path).await;
    read.map_err(|error| DeliveryError::Setup(format!("{}: {error}", path.display())))
}

/// Whether requests to the URL go through a proxy, as HTTPS_PROXY and NO_PROXY say.
fn has_proxy(url: &Url, environment: &Matcher) -> bool {
    url.as_str().parse().is_ok_and(|uri: http::Uri| environment.intercept(&uri).is_some())
}

/// A URL with an address instead of a name never comes to the resolver.
fn check_literal(url: &Url, ranges: &[IpNet]) -> Result<(), DeliveryError> {
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    match host.parse::<IpAddr>() {
        Ok(address) if !is_allowed(address, ranges) => Err(DeliveryError::Setup(NOT_ALLOWED.into())),
        _ => Ok(()),
    }
}

const NOT_ALLOWED: &str = "the receiver's address isn't public and isn't in allowedPrivateRanges";

/// Resolves names to those of their addresses that are allowed; nothing else is connected to.
struct Checked(Vec<IpNet>);

impl Resolve for Checked {
    fn resolve(&self, name: Name) -> Resolving {
        let ranges = self.0.clone();
        Box::pin(async move {
            let found = lookup_host((name.as_str(), 0)).await?;
            let allowed: Vec<SocketAddr> = found.filter(|found| is_allowed(found.ip(), &ranges)).collect();
            match allowed.is_empty() {
                true => Err(NOT_ALLOWED.into()),
                false => Ok(Box::new(allowed.into_iter()) as Addrs),
            }
        })
    }
}

/// An error with its causes and without the URL, which may hold a token.
fn describe(error: reqwest::Error) -> String {
    all_causes(&error.without_url())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_environment_says_which_receivers_are_behind_a_proxy() {
        let environment =
            Matcher::builder().https("http://proxy.example:3128").no(".corp.example,10.0.0.0/8").build();
        for (url, through) in [
            ("https://pbx.example.com/mwi", true),
            ("https://pbx.corp.example/mwi", false),
            ("https://10.1.2.3/mwi", false),
        ] {
            assert_eq!(has_proxy(&Url::parse(url).unwrap(), &environment), through, "{url}");
        }
        let none = Matcher::builder().build();
        assert!(!has_proxy(&Url::parse("https://pbx.example.com/mwi").unwrap(), &none));
    }
}
