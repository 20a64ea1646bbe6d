//! The core over its HTTPS contract, by the typed client. Token and authorities are read anew for every request: they are
//! exchanged while we run.

use super::{CoreError, Open, Voicemail, Watch};
use crate::config::CoreConfig;
use crate::g711::find_samples;
use async_trait::async_trait;
use bytes::Bytes;
use parking_lot::Mutex;
use reqwest::header::HeaderValue;
use std::ops::Range;
use std::time::Duration;
use voicemail_api::telephony::{
    Counts, DepositFields, GreetingView, Law, ListedMessage, Mark, ReceptionView,
};
use voicemail_client::{AnswerError, Client, MwiStep, MwiStream, read_at_most};

/// The instructions for a caller who waits.
const SOON: Duration = Duration::from_secs(2);
/// A greeting or a PIN, while somebody waits.
const PATIENCE: Duration = Duration::from_secs(10);
const DEPOSIT: Duration = Duration::from_secs(60);
/// A core that says nothing for so long on a stream is gone: it gives a sign of life each 15 seconds.
const SILENT: Duration = Duration::from_secs(45);
const CONNECT: Duration = Duration::from_secs(5);
/// Messages of a list.
const MOST_LISTED: &str = "1000";
/// A greeting of five minutes.
const LONGEST_GREETING: usize = 4 << 20;

/// A core at an address.
pub struct HttpsCore {
    connections: Mutex<Connections>,
    config: CoreConfig,
}

/// Connections to a core whose certificate is of these authorities.
struct Connections {
    authorities: Option<Vec<u8>>,
    http: reqwest::Client,
}

impl Connections {
    fn new(authorities: Option<Vec<u8>>) -> Result<Self, CoreError> {
        let files = |error: reqwest::Error| CoreError::Files(format!("core.caFile: {}", error.without_url()));
        let mut builder = reqwest::Client::builder().no_proxy().connect_timeout(CONNECT);
        if let Some(pem) = &authorities {
            builder = builder.tls_certs_only(reqwest::Certificate::from_pem_bundle(pem).map_err(files)?);
        }
        Ok(Self { authorities, http: builder.build().map_err(files)? })
    }
}

impl HttpsCore {
    /// Reads the authorities; connects at the first request.
    ///
    /// # Errors
    /// [`CoreError::Files`].
    pub fn new(config: &CoreConfig) -> Result<Self, CoreError> {
        let connections = Connections::new(read_authorities(config)?)?;
        Ok(Self { connections: Mutex::new(connections), config: config.clone() })
    }

    /// The authorities are renewed while we run. A file that can't be used meanwhile leaves the former ones in force.
    fn http(&self) -> reqwest::Client {
        let mut connections = self.connections.lock();
        if let Ok(authorities) = read_authorities(&self.config)
            && authorities != connections.authorities
        {
            match Connections::new(authorities) {
                Ok(renewed) => *connections = renewed,
                Err(error) => tracing::warn!(%error, "the core's new authorities can't be used"),
            }
        }
        connections.http.clone()
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
        Ok(Client::new(self.http(), self.config.url.trim_end_matches('/'), authorization))
    }
}

fn read_authorities(config: &CoreConfig) -> Result<Option<Vec<u8>>, CoreError> {
    let read = config.ca_file.as_ref().map(std::fs::read).transpose();
    read.map_err(|error| CoreError::Files(format!("core.caFile: {error}")))
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
impl Watch for MwiStream {
    async fn next(&mut self) -> Result<MwiStep, CoreError> {
        let step = within(SILENT, MwiStream::next(self)).await?;
        step.ok_or_else(|| CoreError::Away("the stream has ended".into()))
    }
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

    async fn renew(&self, open: &Open) -> Result<String, CoreError> {
        let client = self.client()?.signed_in(&open.token);
        Ok(within(PATIENCE, client.renew_pin(&open.mailbox)).await?.token)
    }

    async fn counts(&self, mailbox: &str) -> Result<Counts, CoreError> {
        within(PATIENCE, self.client()?.counts(mailbox)).await
    }

    async fn watch(&self, mailboxes: &[String]) -> Result<Box<dyn Watch>, CoreError> {
        Ok(Box::new(within(PATIENCE * 3, self.client()?.watch_mwi(mailboxes)).await?))
    }

    async fn report(&self, front: &str, spooled: u64, oldest: Option<&str>) -> Result<(), CoreError> {
        within(PATIENCE, self.client()?.tell_spooled(front, spooled, oldest)).await
    }

    async fn list(&self, open: &Open, new: bool) -> Result<Vec<ListedMessage>, CoreError> {
        let client = self.client()?.signed_in(&open.token);
        let states = if new { "new" } else { "read,saved" };
        let query = [("state", states), ("order", "oldest"), ("limit", MOST_LISTED)];
        Ok(within(PATIENCE, client.list_messages(&open.mailbox, &query)).await?.messages)
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

    async fn mark(&self, open: &Open, id: &str, mark: Mark) -> Result<(), CoreError> {
        let client = self.client()?.signed_in(&open.token);
        within(PATIENCE, client.mark_message(&open.mailbox, id, mark)).await.map(drop)
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
