//! An issuer's keys: where they come from, and how long what was fetched is used.

use super::fetch::{Fetcher, key_url};
use super::token::{Claims, Terms, Token};
use super::{AuthError, AuthSetupError};
use jsonwebtoken::jwk::{Jwk, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey};
use reqwest::Url;
use serde_json::Value;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;
use tokio::sync::{Mutex, MutexGuard};
use voicemail_api::config::{IssuerConfig, KubernetesIssuer};
use voicemail_model::Time;
use voicemail_model::clock::World;

/// Age from which keys are fetched again.
const MAX_AGE: Duration = Duration::from_secs(600);
/// Least time between two fetches while keys are known.
const PAUSE: Duration = Duration::from_secs(10);
/// Least time between two fetches while none are.
const PAUSE_WITHOUT_KEYS: Duration = Duration::from_secs(1);

/// One public key of an issuer.
pub(super) struct Key {
    pub(super) decoding: DecodingKey,
    kid: Option<String>,
    algorithm: Option<Algorithm>,
}

impl Key {
    fn read(value: &Value) -> Option<Self> {
        let jwk: Jwk = serde_json::from_value(value.clone()).ok()?;
        let encrypts = jwk.common.public_key_use == Some(PublicKeyUse::Encryption);
        let algorithm = jwk.common.key_algorithm.and_then(|name| name.to_string().parse().ok());
        let decoding = DecodingKey::from_jwk(&jwk).ok()?;
        (!encrypts).then_some(Self { decoding, kid: jwk.common.key_id, algorithm })
    }

    fn fits(&self, token: &Token<'_>) -> bool {
        let named = token.kid.is_none() || token.kid == self.kid;
        named
            && self.decoding.family() == token.algorithm.family()
            && self.algorithm.is_none_or(|algorithm| algorithm == token.algorithm)
    }
}

/// The fetched key set.
pub(super) struct KeySet {
    pub(super) issuer: String,
    keys: Vec<Key>,
    fetched: Duration,
}

impl KeySet {
    /// The first fitting key that verifies decides; otherwise the last refusal. `None`: no key fits.
    fn verify(&self, token: &Token<'_>, terms: &Terms<'_>) -> Option<Result<Claims, AuthError>> {
        let mut answer = None;
        for key in self.keys.iter().filter(|key| key.fits(token)) {
            let result = token.verify(key, terms);
            let decided = !matches!(result, Err(AuthError::Signature));
            answer = Some(result);
            if decided {
                break;
            }
        }
        answer
    }
}

/// Where an issuer's name and keys are found.
pub(super) struct Origin {
    /// The discovery document; not needed when issuer and keys are both configured.
    discovery: Option<Url>,
    /// The key set; by discovery when absent.
    keys: Option<Url>,
    /// The issuer's name; by discovery when absent.
    issuer: Option<String>,
    fetcher: Fetcher,
}

impl Origin {
    /// A configured issuer.
    pub(super) fn of_issuer(config: &IssuerConfig) -> Result<Self, AuthSetupError> {
        let keys = config.jwks_uri.as_deref().map(key_url).transpose()?;
        let discovery = match keys {
            Some(_) => None,
            None => Some(discovery_url(&config.issuer)?),
        };
        let fetcher = Fetcher { ca_file: config.ca_file.clone(), token_file: None };
        Ok(Self { discovery, keys, issuer: Some(config.issuer.clone()), fetcher })
    }

    /// The cluster's service-account issuer. Its keys are read from the API server, whatever host the
    /// discovery document names: that one may not be reachable from within.
    pub(super) fn of_cluster(config: &KubernetesIssuer) -> Result<Self, AuthSetupError> {
        let server = config.api_server.trim_end_matches('/');
        let fetcher =
            Fetcher { ca_file: Some(config.ca_file.clone()), token_file: Some(config.token_file.clone()) };
        let keys = Some(key_url(&format!("{server}/openid/v1/jwks"))?);
        Ok(Self { discovery: Some(discovery_url(server)?), keys, issuer: None, fetcher })
    }

    async fn fetch(&self, now: Duration) -> Result<KeySet, String> {
        let (issuer, keys) = match (&self.discovery, &self.keys, &self.issuer) {
            (None, Some(keys), Some(issuer)) => (issuer.clone(), keys.clone()),
            (Some(discovery), keys, expected) => {
                let document = self.fetcher.json(discovery).await?;
                let issuer = self.check_issuer(&document, expected.as_deref())?;
                let keys = keys.clone().map_or_else(|| jwks_of(&document), Ok)?;
                (issuer, keys)
            }
            _ => return Err("neither discovery nor a key set is configured".into()),
        };
        let document = self.fetcher.json(&keys).await?;
        let list = document.get("keys").and_then(Value::as_array).ok_or("the key set has no keys")?;
        Ok(KeySet { issuer, keys: list.iter().filter_map(Key::read).collect(), fetched: now })
    }

    /// The time by the clock of the server that the keys are fetched from.
    pub(super) async fn time(&self) -> Option<Time> {
        let url = self.keys.as_ref().or(self.discovery.as_ref())?;
        self.fetcher.time(url).await
    }

    fn check_issuer(&self, document: &Value, expected: Option<&str>) -> Result<String, String> {
        let found = document.get("issuer").and_then(Value::as_str).ok_or("discovery names no issuer")?;
        match expected {
            Some(expected) if expected != found => {
                Err(format!("discovery names {found:?}, not {expected:?}"))
            }
            _ => Ok(found.to_owned()),
        }
    }
}

fn discovery_url(base: &str) -> Result<Url, AuthSetupError> {
    key_url(&format!("{}/.well-known/openid-configuration", base.trim_end_matches('/')))
}

fn jwks_of(document: &Value) -> Result<Url, String> {
    let uri = document.get("jwks_uri").and_then(Value::as_str).ok_or("discovery names no jwks_uri")?;
    let url = key_url(uri).map_err(|error| error.to_string())?;
    if url.scheme() == "file" { Err("discovery names a file".into()) } else { Ok(url) }
}

/// Keys of one issuer, fetched when needed.
pub(super) struct KeySource {
    origin: Origin,
    world: World,
    known: RwLock<Option<Arc<KeySet>>>,
    fetching: Mutex<LastFetch>,
}

#[derive(Default)]
struct LastFetch {
    at: Option<Duration>,
    failure: Option<String>,
}

impl KeySource {
    pub(super) fn new(origin: Origin, world: World) -> Self {
        Self { origin, world, known: RwLock::default(), fetching: Mutex::default() }
    }

    /// The keys in force; fetched first if there are none, or again if they are old.
    pub(super) async fn current(&self) -> Result<Arc<KeySet>, AuthError> {
        let Some(known) = self.known() else {
            return self.fetch(None, self.fetching.lock().await).await;
        };
        let old = self.world.monotonic().saturating_sub(known.fetched) > MAX_AGE;
        match self.fetching.try_lock() {
            Ok(turn) if old => self.fetch(Some(known), turn).await,
            _ => Ok(known),
        }
    }

    /// Verifies a token by these keys, or by newer ones if none of these fits it.
    pub(super) async fn verify(
        &self,
        token: &Token<'_>,
        known: Arc<KeySet>,
        terms: &Terms<'_>,
    ) -> Result<Claims, AuthError> {
        if let Some(answer) = known.verify(token, terms) {
            return answer;
        }
        let newer = self.fetch(Some(known), self.fetching.lock().await).await?;
        newer.verify(token, terms).unwrap_or(Err(AuthError::UnknownKey))
    }

    fn known(&self) -> Option<Arc<KeySet>> {
        self.known.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Fetches, unless somebody else just did; on failure what is known stays in force.
    async fn fetch(
        &self,
        basis: Option<Arc<KeySet>>,
        mut last: MutexGuard<'_, LastFetch>,
    ) -> Result<Arc<KeySet>, AuthError> {
        match (self.known(), &basis) {
            (Some(newer), None) => return Ok(newer),
            (Some(newer), Some(basis)) if !Arc::ptr_eq(&newer, basis) => return Ok(newer),
            _ => {}
        }
        let now = self.world.monotonic();
        let pause = if basis.is_some() { PAUSE } else { PAUSE_WITHOUT_KEYS };
        if last.at.is_none_or(|at| now.saturating_sub(at) >= pause) {
            last.at = Some(now);
            match self.origin.fetch(now).await {
                Ok(keys) => return Ok(self.keep(keys, &mut last)),
                Err(failure) => {
                    tracing::warn!(%failure, "an issuer's keys can't be fetched");
                    last.failure = Some(failure);
                }
            }
        }
        basis.ok_or_else(|| AuthError::KeysUnavailable(last.failure.clone().unwrap_or_default()))
    }

    fn keep(&self, keys: KeySet, last: &mut LastFetch) -> Arc<KeySet> {
        let keys = Arc::new(keys);
        last.failure = None;
        *self.known.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&keys));
        keys
    }
}
