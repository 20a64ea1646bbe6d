//! Opaque tokens, looked up at their issuer (RFC 7662).
//!
//! Flow: a token that was found active is known by its digest for as long as the configuration says, 60 s at
//! most and never past its `exp`; any other is asked about. Few questions are under way at a time.
//!
//! What can go wrong: an endpoint that is away, or refuses us, answers nothing about the token: the caller is told
//! to try again, never that the token is wrong, and never let in.

use super::claims::identity_of_answer;
use super::fetch::{Fetcher, key_url, read_file};
use super::token::Claims;
use super::{AuthError, AuthSetupError};
use aws_lc_rs::digest::{SHA256, digest};
use reqwest::Url;
use serde_json::Value;
use std::collections::HashMap;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::Semaphore;
use voicemail_api::config::IntrospectionConfig;
use voicemail_api::percent::encode_segment;
use voicemail_engine::principal::Principal;
use voicemail_model::Time;
use voicemail_model::clock::World;

/// Questions under way at a time; more wait.
const MOST_QUESTIONS: usize = 16;
/// How long a question waits for its turn.
const PATIENCE: Duration = Duration::from_secs(5);
/// Answers known; all are forgotten at once when there are more.
const MOST_KNOWN: usize = 10_000;
const LONGEST_TOKEN: usize = 4_096;

/// One endpoint and what it said lately.
pub(super) struct Introspection {
    config: IntrospectionConfig,
    endpoint: Url,
    fetcher: Fetcher,
    world: World,
    turns: Semaphore,
    known: Mutex<HashMap<[u8; 32], Known>>,
}

#[derive(Clone)]
struct Known {
    identity: Principal,
    until: Duration,
}

impl Introspection {
    pub(super) fn new(config: &IntrospectionConfig, world: &World) -> Result<Self, AuthSetupError> {
        let endpoint = key_url(&config.endpoint)?;
        if endpoint.scheme() == "file" {
            return Err(AuthSetupError::InsecureUrl(config.endpoint.clone()));
        }
        Ok(Self {
            endpoint,
            fetcher: Fetcher { ca_file: config.ca_file.clone(), token_file: None },
            config: config.clone(),
            world: world.clone(),
            turns: Semaphore::new(MOST_QUESTIONS),
            known: Mutex::default(),
        })
    }

    /// The identity of the token's holder.
    pub(super) async fn authenticate(&self, token: &str) -> Result<Principal, AuthError> {
        let plain = |b: u8| b.is_ascii_graphic();
        if token.is_empty() || token.len() > LONGEST_TOKEN || !token.bytes().all(plain) {
            return Err(AuthError::Malformed);
        }
        let name = name_of(token);
        if let Some(identity) = self.recall(&name) {
            return Ok(identity);
        }
        let asked_at = self.world.monotonic();
        let answer = self.ask(token).await?;
        let now = self.world.now();
        let expires = expiry(&answer, now)?;
        let identity = identity_of_answer(&answer, &self.config, expires)?;
        let life = self.config.cache.min(expires.since(now));
        self.remember(name, Known { identity: identity.clone(), until: asked_at.saturating_add(life) });
        Ok(identity)
    }

    async fn ask(&self, token: &str) -> Result<Claims, AuthError> {
        let turn = tokio::time::timeout(PATIENCE, self.turns.acquire()).await;
        let _turn =
            turn.map_err(|_| AuthError::LookupUnavailable("too many lookups are under way".into()))?;
        let client = (
            read_word(&self.config.client_id_file).await?,
            read_word(&self.config.client_secret_file).await?,
        );
        let form = [("token", token), ("token_type_hint", "access_token")];
        // As RFC 6749, 2.3.1 wants a client's name and secret before they are put together.
        let (id, secret) = (encode_segment(&client.0), encode_segment(&client.1));
        let answer = self.fetcher.ask(&self.endpoint, &form, (&id, &secret)).await;
        let answer = answer.map_err(AuthError::LookupUnavailable)?;
        match answer {
            Value::Object(fields) if fields.get("active").and_then(Value::as_bool) == Some(true) => {
                Ok(fields)
            }
            Value::Object(fields) if fields.get("active").and_then(Value::as_bool) == Some(false) => {
                Err(AuthError::Inactive)
            }
            _ => Err(AuthError::LookupUnavailable("the endpoint's answer has no field active".into())),
        }
    }

    fn recall(&self, name: &[u8; 32]) -> Option<Principal> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let found = known.get(name)?;
        (self.world.monotonic() < found.until).then(|| found.identity.clone())
    }

    fn remember(&self, name: [u8; 32], answer: Known) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= MOST_KNOWN {
            let now = self.world.monotonic();
            known.retain(|_, answer| now < answer.until);
        }
        if known.len() >= MOST_KNOWN {
            known.clear();
        }
        known.insert(name, answer);
    }
}

/// Until when an active token counts; a minute for one that doesn't say.
fn expiry(answer: &Claims, now: Time) -> Result<Time, AuthError> {
    let seconds = |name: &str| {
        answer.get(name).and_then(Value::as_f64).map(|seconds| Time::from_seconds(seconds as i64))
    };
    if seconds("nbf").is_some_and(|begin| begin > now) {
        return Err(AuthError::NotYet);
    }
    let expires = seconds("exp").unwrap_or(now.plus(Duration::from_secs(60)));
    if expires <= now { Err(AuthError::Expired) } else { Ok(expires) }
}

fn name_of(token: &str) -> [u8; 32] {
    let mut name = [0; 32];
    name.copy_from_slice(digest(&SHA256, token.as_bytes()).as_ref());
    name
}

async fn read_word(file: &Path) -> Result<String, AuthError> {
    let bytes = read_file(file).await.map_err(AuthError::LookupUnavailable)?;
    Ok(String::from_utf8_lossy(&bytes).trim().to_owned())
}
