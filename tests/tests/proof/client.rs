//! A client that does what clients should: it repeats a request at another replica until it is answered.

use crate::attempts::{Attempt, Fate};
use crate::random::Random;
use bytes::Bytes;
use reqwest::{RequestBuilder, StatusCode};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use voicemail_test_machine::servers::voicemail_core::PASSWORD;

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

/// A request's attempts, in their order, and its answer or what the last one met.
pub(crate) struct Asked {
    pub(crate) attempts: Vec<Attempt>,
    pub(crate) answer: Result<Answer, String>,
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

    /// As [`ask_noting`](Self::ask_noting), of a request whose attempts leave nothing in the store.
    ///
    /// # Errors
    /// What the last attempt met, when patience is over.
    pub(crate) async fn ask(
        &self,
        random: &mut Random,
        who: &str,
        make: impl Fn(&reqwest::Client, &str) -> RequestBuilder,
    ) -> Result<Answer, String> {
        self.ask_noting(random, who, make).await.answer
    }

    /// Somebody's request, with all its attempts. `make` puts it together for the API at an address.
    pub(crate) async fn ask_noting(
        &self,
        random: &mut Random,
        who: &str,
        make: impl Fn(&reqwest::Client, &str) -> RequestBuilder,
    ) -> Asked {
        let (first, mut attempts) = (Instant::now(), Vec::new());
        loop {
            let replica = random.below(self.urls.len());
            let request = make(&self.http, &self.urls[replica]).basic_auth(who, Some(PASSWORD));
            let begun = Instant::now();
            let (fate, met) = attempt(request).await;
            let ended = Instant::now();
            attempts.push(Attempt { replica, begun, ended, fate });
            let met = match met {
                Ok((status, body)) => {
                    return Asked { attempts, answer: Ok(Answer { status, body, begun: first, ended }) };
                }
                Err(met) => met,
            };
            self.repeated.fetch_add(1, Ordering::SeqCst);
            if first.elapsed() > PATIENCE {
                return Asked { attempts, answer: Err(met) };
            }
            tokio::time::sleep(PAUSE).await;
        }
    }
}

/// How it ended, and an answer or the reason to repeat the request.
async fn attempt(request: RequestBuilder) -> (Fate, Result<(StatusCode, Bytes), String>) {
    let answer = match request.send().await {
        Ok(answer) => answer,
        Err(error) => return (fate_of(&error), Err(format!("{error:?}"))),
    };
    let status = answer.status();
    let body = match answer.bytes().await {
        Ok(body) => body,
        Err(error) => return (fate_of(&error), Err(format!("{status}, then {error:?}"))),
    };
    let later = status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS;
    let told = String::from_utf8_lossy(&body);
    let met = if later { Err(format!("{status} {told}")) } else { Ok((status, body)) };
    (Fate::Answered(status), met)
}

fn fate_of(error: &reqwest::Error) -> Fate {
    match () {
        () if error.is_connect() => Fate::Unreached,
        () if error.is_timeout() => Fate::GivenUp,
        () => Fate::Broken,
    }
}
