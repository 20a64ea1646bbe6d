//! A client that does what clients should: it repeats a request at another replica until it is answered.

use crate::random::Random;
use bytes::Bytes;
use reqwest::{RequestBuilder, StatusCode};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use voicemail_tests::servers::voicemail_core::PASSWORD;

/// A request that isn't answered for so long is a finding.
const PATIENCE: Duration = Duration::from_secs(120);
/// Of one attempt: a request about much is answered within ten seconds.
const ATTEMPT: Duration = Duration::from_secs(20);
const PAUSE: Duration = Duration::from_millis(50);

/// An answer, and when the first attempt began and the last one ended.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) body: Bytes,
    pub(crate) begun: Instant,
    pub(crate) ended: Instant,
}

/// Knows all replicas.
pub(crate) struct Client {
    http: reqwest::Client,
    urls: Vec<String>,
    repeated: AtomicU64,
}

impl Client {
    /// Of replicas at these addresses.
    pub(crate) fn new(urls: Vec<String>) -> reqwest::Result<Self> {
        let http = reqwest::Client::builder().no_proxy().timeout(ATTEMPT).build()?;
        Ok(Self { http, urls, repeated: AtomicU64::new(0) })
    }

    /// Attempts that weren't answered.
    pub(crate) fn repeated(&self) -> u64 {
        self.repeated.load(Ordering::SeqCst)
    }

    /// Somebody's request. `make` puts it together for the API at an address.
    ///
    /// # Errors
    /// What the last attempt met, when patience is over.
    pub(crate) async fn ask(
        &self,
        random: &mut Random,
        who: &str,
        make: impl Fn(&reqwest::Client, &str) -> RequestBuilder,
    ) -> Result<Answer, String> {
        let begun = Instant::now();
        loop {
            let request =
                make(&self.http, random.choose::<String>(&self.urls)).basic_auth(who, Some(PASSWORD));
            let met = match attempt(request).await {
                Ok((status, body)) => return Ok(Answer { status, body, begun, ended: Instant::now() }),
                Err(met) => met,
            };
            self.repeated.fetch_add(1, Ordering::SeqCst);
            if begun.elapsed() > PATIENCE {
                return Err(met);
            }
            tokio::time::sleep(PAUSE).await;
        }
    }
}

/// An answer, or the reason to repeat the request.
async fn attempt(request: RequestBuilder) -> Result<(StatusCode, Bytes), String> {
    let answer = request.send().await.map_err(|error| format!("{error:?}"))?;
    let status = answer.status();
    let body = answer.bytes().await.map_err(|error| format!("{status}, then {error:?}"))?;
    let later = status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS;
    if later { Err(format!("{status} {}", String::from_utf8_lossy(&body))) } else { Ok((status, body)) }
}
