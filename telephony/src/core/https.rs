//! The core over its HTTPS contract, by the typed client. The token is read anew for every request: it is exchanged while
//! we run.

use super::{CoreError, Open, Voicemail};
use crate::config::CoreConfig;
use crate::g711::find_samples;
use async_trait::async_trait;
use bytes::Bytes;
use reqwest::header::HeaderValue;
use std::ops::Range;
use std::time::Duration;
use voicemail_api::telephony::{Counts, DepositFields, GreetingView, Law, ListedMessage, ReceptionView};
use voicemail_client::{AnswerError, Client, read_at_most};

/// The instructions for a caller who waits.
const SOON: Duration = Duration::from_secs(2);
/// A greeting or a PIN, while somebody waits.
const PATIENCE: Duration = Duration::from_secs(10);
const DEPOSIT: Duration = Duration::from_secs(60);
const CONNECT: Duration = Duration::from_secs(5);
/// Messages of a list.
const MOST_LISTED: &str = "1000";
/// A greeting of five minutes.
const LONGEST_GREETING: usize = 4 << 20;

/// A core at an address.
pub struct HttpsCore {
    http: reqwest::Client,
    config: CoreConfig,
}

impl HttpsCore {
    /// Reads the authorities; connects at the first request.
    ///
    /// # Errors
    /// [`CoreError::Files`].
    pub fn new(config: &CoreConfig) -> Result<Self, CoreError> {
        let mut builder = reqwest::Client::builder().no_proxy().connect_timeout(CONNECT);
        let files = |error: &dyn std::fmt::Display| CoreError::Files(format!("core.caFile: {error}"));
        if let Some(file) = &config.ca_file {
            let pem = std::fs::read(file).map_err(|error| files(&error))?;
            let authorities =
                reqwest::Certificate::from_pem_bundle(&pem).map_err(|error| files(&error.without_url()))?;
            builder = builder.tls_certs_only(authorities);
        }
        let http = builder.build().map_err(|error| files(&error.without_url()))?;
        Ok(Self { http, config: config.clone() })
    }

    /// A client with the token as it is now.
    fn client(&self) -> Result<Client, CoreError> {
        let authorization = match (&self.config.token_file, &self.config.password_file) {
            (Some(file), _) => format!("Bearer {}", read(file, "core.tokenFile")?),
            (None, Some(file)) => format!("Basic {}", encode(&read(file, "core.passwordFile")?)),
            (None, None) => return Err(CoreError::Files("core: write tokenFile or passwordFile".into())),
        };
        HeaderValue::from_str(&authorization)
            .map_err(|_| CoreError::Files("the file of the core's token holds no token".into()))?;
        Ok(Client::new(self.http.clone(), self.config.url.trim_end_matches('/'), authorization))
    }
}

fn read(file: &std::path::Path, field: &str) -> Result<String, CoreError> {
    let text =
        std::fs::read_to_string(file).map_err(|error| CoreError::Files(format!("{field}: {error}")))?;
    Ok(text.trim().to_owned())
}

fn encode(text: &str) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(text)
}

/// Waits for an answer so long.
async fn within<T>(
    time: Duration,
    answer: impl Future<Output = Result<T, voicemail_client::ClientError>>,
) -> Result<T, CoreError> {
    match tokio::time::timeout(time, answer).await {
        Ok(answer) => Ok(answer?),
        Err(_) => Err(CoreError::Away("none in time".into())),
    }
}

/// The samples of a whole file.
async fn samples_of(answer: reqwest::Response, most: usize) -> Result<Bytes, CoreError> {
    let body = read_at_most(answer, most).await.map_err(|error| match error {
        AnswerError::TooLong(_) => CoreError::Away("a recording longer than is played".into()),
        AnswerError::Lost(_) => CoreError::Away("a recording broke off".into()),
    })?;
    let (at, size) = find_samples(&body).ok_or_else(|| CoreError::Away("audio that is no WAV".into()))?;
    let body = Bytes::from(body);
    Ok(body.slice(at.min(body.len())..at.saturating_add(size).min(body.len())))
}

#[async_trait]
impl Voicemail for HttpsCore {
    async fn reception(&self, mailbox: &str) -> Result<ReceptionView, CoreError> {
        within(SOON, self.client()?.reception(mailbox)).await
    }

    async fn greeting(&self, mailbox: &str, greeting: &GreetingView, law: Law) -> Result<Bytes, CoreError> {
        let answer = within(PATIENCE, self.client()?.greeting(mailbox, greeting, law)).await?;
        let samples = tokio::time::timeout(PATIENCE, samples_of(answer, LONGEST_GREETING));
        samples.await.map_err(|_| CoreError::Away("none in time".into()))?
    }

    async fn deposit(
        &self,
        mailbox: &str,
        id: &str,
        fields: &DepositFields,
        wav: Vec<u8>,
    ) -> Result<Counts, CoreError> {
        let client = self.client()?;
        Ok(within(DEPOSIT, client.deposit(mailbox, id, fields, wav)).await?.mwi)
    }

    async fn open(&self, mailbox: &str, pin: &str) -> Result<String, CoreError> {
        Ok(within(PATIENCE, self.client()?.verify_pin(mailbox, pin)).await?.token)
    }

    async fn counts(&self, mailbox: &str) -> Result<Counts, CoreError> {
        within(PATIENCE, self.client()?.counts(mailbox)).await
    }

    async fn list(&self, open: &Open, new: bool) -> Result<Vec<ListedMessage>, CoreError> {
        let client = self.client()?.signed_in(&open.token);
        let states: &[&str] = if new { &["new"] } else { &["read", "saved"] };
        let mut all = Vec::new();
        for state in states {
            let query = [("state", *state), ("limit", MOST_LISTED)];
            all.extend(within(PATIENCE, client.list_messages(&open.mailbox, &query)).await?.messages);
        }
        all.sort_by(|a, b| a.received.cmp(&b.received).then_with(|| a.id.cmp(&b.id)));
        Ok(all)
    }

    async fn audio(&self, open: &Open, id: &str, law: Law, range: Range<u64>) -> Result<Bytes, CoreError> {
        let client = self.client()?.signed_in(&open.token);
        let most = usize::try_from(range.end.saturating_sub(range.start)).unwrap_or(usize::MAX);
        let answer = match within(PATIENCE, client.message_audio(&open.mailbox, id, law, range)).await {
            Err(CoreError::Refused { status: 416 }) => return Ok(Bytes::new()),
            answer => answer?,
        };
        let body = tokio::time::timeout(PATIENCE, read_at_most(answer, most)).await;
        match body {
            Ok(Ok(body)) => Ok(Bytes::from(body)),
            Ok(Err(_)) => Err(CoreError::Away("a recording broke off".into())),
            Err(_) => Err(CoreError::Away("none in time".into())),
        }
    }

    async fn mark(&self, open: &Open, id: &str, state: &'static str) -> Result<(), CoreError> {
        let client = self.client()?.signed_in(&open.token);
        within(PATIENCE, client.mark_message(&open.mailbox, id, state)).await.map(drop)
    }

    async fn trash(&self, open: &Open, id: &str) -> Result<(), CoreError> {
        let client = self.client()?.signed_in(&open.token);
        within(PATIENCE, client.trash_message(&open.mailbox, id)).await.map(drop)
    }

    async fn set_greeting(&self, open: &Open, wav: Vec<u8>) -> Result<(), CoreError> {
        let client = self.client()?.signed_in(&open.token);
        within(PATIENCE, client.record_greeting(&open.mailbox, "standard", wav)).await.map(drop)
    }

    async fn set_pin(&self, open: &Open, pin: &str) -> Result<(), CoreError> {
        let client = self.client()?.signed_in(&open.token);
        within(PATIENCE, client.set_pin(&open.mailbox, pin)).await
    }
}
