//! The tenant's API, at the address that its `ccid` or the environment gives.

use super::credentials::sign_in;
use super::{Arguments, Failure};
use reqwest::{Certificate, Client, Url, redirect};
use serde_json::Value;
use std::net::IpAddr;
use std::time::Duration;
use voicemail_api::causes::root_cause;
use voicemail_client::ClientError;

/// Longest answer, in bytes: it names every message of every person of the case.
const LONGEST: usize = 1 << 30;

/// A signed-in connection to the tenant.
pub(super) async fn connect(
    arguments: &Arguments,
    ccid: Option<&str>,
) -> Result<voicemail_client::Client, Failure> {
    let base = address(arguments, ccid)?;
    let authorization = sign_in(arguments).await?;
    let client =
        voicemail_client::Client::new(plain_client(arguments)?, format!("{base}/api/v1"), authorization);
    Ok(client.reading_up_to(LONGEST))
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        let words = error.to_string();
        match error {
            ClientError::Problem { status: 401 | 403, .. } | ClientError::Unreadable(401 | 403) => {
                Self::NotSignedIn(words)
            }
            ClientError::Problem { status: 408 | 425 | 429 | 500..=599, .. }
            | ClientError::Unreadable(408 | 425 | 429 | 500..=599)
            | ClientError::Unreachable(_) => Self::TryAgain(words),
            ClientError::Problem { .. } | ClientError::Unreadable(_) | ClientError::TooLong(_) => {
                Self::Refused(words)
            }
        }
    }
}

/// Never with the address: it is the caller's to know.
pub(super) fn lost(error: reqwest::Error) -> Failure {
    Failure::TryAgain(root_cause(&error.without_url()))
}

pub(super) fn plain_client(arguments: &Arguments) -> Result<Client, Failure> {
    // A redirection could lead a token or a number to a place that nobody named.
    let mut builder =
        Client::builder().connect_timeout(Duration::from_secs(10)).redirect(redirect::Policy::none());
    if let Some(file) = &arguments.ca {
        let unusable = |error: String| Failure::Local(format!("{}: {error}", file.display()));
        let pem = std::fs::read(file).map_err(|error| unusable(error.to_string()))?;
        let authorities = Certificate::from_pem_bundle(&pem).map_err(|error| unusable(error.to_string()))?;
        builder = authorities.into_iter().fold(builder, |builder, one| builder.add_root_certificate(one));
    }
    builder.build().map_err(|error| Failure::Local(error.to_string()))
}

/// Tokens and numbers go over TLS, but on this very machine.
pub(super) fn require_https<'a>(address: &'a str, what: &str) -> Result<&'a str, Failure> {
    let refuse = |words: &str| Failure::Refused(format!("{what} {words}"));
    let url = Url::parse(address).map_err(|_| refuse("isn't a URL: write https://HOST:PORT"))?;
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    let loopback = host == "localhost" || host.parse().is_ok_and(|ip: IpAddr| ip.is_loopback());
    match url.scheme() {
        "https" => Ok(address),
        "http" if loopback => Ok(address),
        _ => Err(refuse("must begin with https://: it carries a token and people's numbers")),
    }
}

/// With client credentials the input must say whose script this is.
fn address(arguments: &Arguments, ccid: Option<&str>) -> Result<String, Failure> {
    let ccid = ccid.or(arguments.ccid.as_deref());
    if arguments.client.is_some() && ccid.is_none() {
        return Err(Failure::Ccid("with client credentials (-c) the input must name the contact-centre id"));
    }
    let mapped = match &arguments.tenants {
        Some(file) => {
            let unusable = |error: String| Failure::Local(format!("{}: {error}", file.display()));
            let text = std::fs::read_to_string(file).map_err(|error| unusable(error.to_string()))?;
            let map: Value = serde_json::from_str(&text).map_err(|error| unusable(error.to_string()))?;
            ccid.and_then(|ccid| map[ccid].as_str().map(str::to_owned))
        }
        None => None,
    };
    let found =
        mapped.or_else(|| arguments.url.clone().filter(|_| arguments.tenants.is_none() || ccid.is_none()));
    match found {
        Some(address) => {
            Ok(require_https(&address, "the tenant's address")?.trim_end_matches('/').to_owned())
        }
        None if arguments.tenants.is_some() => {
            Err(Failure::Ccid("the map of tenants (GDPR_TENANTS) has no address for it"))
        }
        None => Err(Failure::Usage("set GDPR_URL to the tenant's address, or GDPR_TENANTS to a map of them")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_tokens_leave_this_machine_over_tls_alone() {
        for good in ["https://voicemail:8081", "http://127.0.0.1:8081", "http://[::1]:1", "http://localhost"]
        {
            assert!(require_https(good, "it").is_ok(), "{good}");
        }
        for bad in
            ["http://voicemail:8081", "http://10.0.0.1", "ftp://x", "voicemail:8081", "http://localhost.evil"]
        {
            assert!(require_https(bad, "it").is_err(), "{bad}");
        }
    }
}
