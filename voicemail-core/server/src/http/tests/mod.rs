//! The API in process, over the real services on a store in memory, with real tokens.

mod agents;
mod audio;
mod deposit;
mod directory;
mod door;
mod events;
mod fields;
mod gates;
mod generations;
mod hanging;
mod limits;
mod numbers;
mod own_email;
mod pins;
mod privacy;
mod provisioning;
mod reception;
mod search;
mod tickets;

use super::*;
use crate::auth::Authenticator;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, Method, Request, StatusCode};
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use tokio::sync::watch;
use tower::ServiceExt;
use voicemail_api::config::TenantConfig;
use voicemail_api::gdpr::Problem;
use voicemail_audio::{Codec, WavFormat};
use voicemail_engine::core::{Core, TenantKeys};
use voicemail_engine::gdpr::ReceiptKey;
use voicemail_model::TenantKey;
use voicemail_store::Store;
use voicemail_store::memory::MemoryStore;
use voicemail_telemetry::Metrics;

/// One tenant's API.
pub(crate) struct Api {
    app: App,
    routes: Router,
    store: Arc<MemoryStore>,
    key: EncodingKey,
    _stage: watch::Sender<Stage>,
    settings: watch::Sender<Arc<TenantConfig>>,
    authenticator: watch::Sender<Arc<Authenticator>>,
    _files: tempfile::TempDir,
}

/// A response with its body read.
#[derive(Debug)]
pub(crate) struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
}

impl Answer {
    pub(crate) fn json<T: DeserializeOwned>(&self) -> T {
        serde_json::from_slice(&self.body).unwrap()
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// All values of a header.
    pub(crate) fn all(&self, name: &str) -> Vec<String> {
        self.headers.get_all(name).iter().map(|value| value.to_str().unwrap().to_owned()).collect()
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    /// Asserts a problem document of that kind.
    pub(crate) fn is_problem(&self, kind: ProblemKind) -> &Self {
        assert_eq!(self.header("content-type"), "application/problem+json", "{self:?}");
        let problem: Problem = self.json();
        assert_eq!(problem.kind, format!("/problems/{}", kind.slug()), "{problem:?}");
        assert_eq!((problem.status, self.status), (kind.status().as_u16(), kind.status()));
        self
    }

    pub(crate) fn is(self, status: StatusCode) -> Self {
        assert_eq!(self.status, status, "{self:?}");
        self
    }
}

fn config(jwks: &std::path::Path) -> TenantConfig {
    let roles: BTreeMap<&str, &str> =
        ["telephony", "agent", "admin", "privacy"].into_iter().map(|role| (role, role)).collect();
    let config = json!({
        "tenantId": "tenant-1", "cluster": "test", "region": "main", "keysDir": "/nowhere",
        "regions": [{ "name": "main", "master": true, "storage": { "volume": { "path": "/nowhere" } } }],
        "listen": { "api": "127.0.0.1:0", "metrics": "127.0.0.1:0" },
        "auth": { "issuers": [{
            "issuer": "https://id.example", "audience": "voicemail", "roleMap": roles,
            "jwksUri": format!("file://{}", jwks.display()),
        }]},
        "classesOfService": [
            { "name": "tiny", "maxMessages": 1, "maxSeconds": 2 },
            { "name": "brief", "maxSeconds": 2, "quotaSeconds": 3 },
        ],
        "defaultNumberRegion": "GB",
    });
    let config: TenantConfig = serde_yaml::from_str(&config.to_string()).unwrap();
    config.check().unwrap();
    config
}

fn keys_of(seed: u8) -> TenantKeys {
    let receipt = rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap().serialize_pem();
    TenantKeys {
        tenant: TenantKey::new(&[seed; 32]).unwrap(),
        receipt: ReceiptKey::from_pem(&receipt).unwrap(),
    }
}

impl Api {
    /// An open tenant with mailbox 1001 of alice, 1002 of bob, and 2000 of the group that both are in.
    pub(crate) async fn start() -> Self {
        let api = Self::start_empty().await;
        for mailbox in ["1001", "1002", "2000"] {
            api.put(&format!("/mailboxes/{mailbox}"), json!({})).await.is(StatusCode::OK);
        }
        api.put("/groups/sales", json!({ "mailbox": "2000" })).await.is(StatusCode::OK);
        for (user, mailbox) in [("alice", "1001"), ("bob", "1002")] {
            let body = json!({ "mailboxes": [mailbox], "groups": ["sales"] });
            api.put(&format!("/users/{user}"), body).await.is(StatusCode::OK);
        }
        api
    }

    async fn start_empty() -> Self {
        Self::start_over(|store| store).await
    }

    /// Over a store that something is put around.
    async fn start_over(wrap: impl FnOnce(Arc<dyn Store>) -> Arc<dyn Store>) -> Self {
        Self::start_with(wrap, keys_of(7)).await
    }

    /// A tenant without anything whose key has that many in all of its bytes.
    pub(crate) async fn start_with_key(seed: u8) -> Self {
        Self::start_with(|store| store, keys_of(seed)).await
    }

    async fn start_with(wrap: impl FnOnce(Arc<dyn Store>) -> Arc<dyn Store>, keys: TenantKeys) -> Self {
        let api = Self::start_closed().await;
        let world = voicemail_store::real_world();
        let store = wrap(Arc::clone(&api.store) as Arc<dyn Store>);
        let regions = BTreeMap::from([("main".to_owned(), store)]);
        let config = config(&api._files.path().join("jwks.json"));
        let core = Core::open_on(&config, keys, regions, world).await.unwrap();
        api._stage.send_replace(Stage::Open(Arc::new(core)));
        api
    }

    /// A tenant whose store isn't open yet.
    async fn start_closed() -> Self {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
        let key = EncodingKey::from_ec_der(pair.to_pkcs8v1().unwrap().as_ref());
        let files = tempfile::tempdir().unwrap();
        let jwks = files.path().join("jwks.json");
        let public = Jwk::from_encoding_key(&key, Algorithm::ES256).unwrap();
        std::fs::write(&jwks, json!({ "keys": [public] }).to_string()).unwrap();
        let authenticator = Authenticator::new(&config(&jwks).auth, &voicemail_store::real_world()).unwrap();
        let opening = Stage::Opening { reason: "Starting", message: "not yet".into() };
        let (stage, stage_seen) = watch::channel(opening);
        let (authenticator, authenticator_seen) = watch::channel(Arc::new(authenticator));
        let (settings, settings_seen) = watch::channel(Arc::new(config(&jwks)));
        let app = App::new(
            stage_seen,
            authenticator_seen,
            settings_seen,
            voicemail_store::real_world(),
            Metrics::default(),
        );
        Self {
            routes: router(app.clone()),
            app,
            store: Arc::new(MemoryStore::new(voicemail_store::real_world())),
            key,
            _stage: stage,
            settings,
            authenticator,
            _files: files,
        }
    }

    fn token(&self, user: &str, roles: &[&str]) -> String {
        let exp = jsonwebtoken::get_current_timestamp() + 60;
        let claims = json!({ "iss": "https://id.example", "aud": "voicemail", "sub": user, "exp": exp, "roles": roles });
        encode(&Header::new(Algorithm::ES256), &claims, &self.key).unwrap()
    }

    /// A request as somebody with every role, called alice.
    fn request(&self, method: Method, path: &str) -> axum::http::request::Builder {
        let all = ["telephony", "agent", "admin", "privacy"];
        self.request_as(method, path, "alice", &all)
    }

    fn request_as(
        &self,
        method: Method,
        path: &str,
        user: &str,
        roles: &[&str],
    ) -> axum::http::request::Builder {
        let token = self.token(user, roles);
        Request::builder()
            .method(method)
            .uri(format!("{PREFIX}{path}"))
            .header("authorization", format!("Bearer {token}"))
    }

    pub(crate) fn app(&self) -> App {
        self.app.clone()
    }

    /// Puts another configuration into force.
    pub(crate) fn reconfigure(&self, change: impl FnOnce(&mut TenantConfig)) {
        let mut config = self.settings.borrow().as_ref().clone();
        change(&mut config);
        config.check().unwrap();
        let authenticator = Authenticator::new(&config.auth, &voicemail_store::real_world()).unwrap();
        self.authenticator.send_replace(Arc::new(authenticator));
        self.settings.send_replace(Arc::new(config));
    }

    /// Records a greeting of a second.
    pub(crate) async fn record_greeting(&self, mailbox: &str, kind: &str) {
        let request = self.request(Method::PUT, &format!("/mailboxes/{mailbox}/greetings/{kind}"));
        let request = request.header("content-type", "audio/wav").body(Body::from(speech(1))).unwrap();
        self.send(request).await.is(StatusCode::OK);
    }

    async fn send(&self, request: Request<Body>) -> Answer {
        Self::answer_of(&self.routes, request).await
    }

    pub(crate) async fn answer_of(routes: &Router, request: Request<Body>) -> Answer {
        let response = routes.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
        Answer { status: parts.status, headers: parts.headers, body }
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send(self.request(Method::GET, path).body(Body::empty()).unwrap()).await
    }

    async fn get_as(&self, user: &str, path: &str) -> Answer {
        let request = self.request_as(Method::GET, path, user, &["agent"]);
        self.send(request.body(Body::empty()).unwrap()).await
    }

    pub(crate) async fn put(&self, path: &str, body: Value) -> Answer {
        self.send_json(Method::PUT, path, body).await
    }

    async fn post(&self, path: &str, body: Value) -> Answer {
        self.send_json(Method::POST, path, body).await
    }

    async fn put_if(&self, path: &str, condition: (&str, &str), body: &Value) -> Answer {
        self.send_if(Method::PUT, path, condition, body).await
    }

    async fn patch_if(&self, path: &str, condition: (&str, &str), body: &Value) -> Answer {
        self.send_if(Method::PATCH, path, condition, body).await
    }

    async fn send_if(&self, method: Method, path: &str, condition: (&str, &str), body: &Value) -> Answer {
        let request = self.request(method, path).header("content-type", "application/json");
        let request = request.header(condition.0, condition.1);
        self.send(request.body(Body::from(body.to_string())).unwrap()).await
    }

    async fn send_json(&self, method: Method, path: &str, body: Value) -> Answer {
        let request = self.request(method, path).header("content-type", "application/json");
        self.send(request.body(Body::from(body.to_string())).unwrap()).await
    }

    pub(crate) async fn delete(&self, path: &str) -> Answer {
        self.send(self.request(Method::DELETE, path).body(Body::empty()).unwrap()).await
    }

    /// Deposits; gives the answer.
    async fn deposit(&self, mailbox: &str, key: Option<&str>, fields: &[(&str, &[u8])]) -> Answer {
        self.send(self.deposit_request(mailbox, key, Body::from(multipart(fields)))).await
    }

    fn deposit_request(&self, mailbox: &str, key: Option<&str>, body: Body) -> Request<Body> {
        let mut request = self
            .request(Method::POST, &format!("/mailboxes/{mailbox}/messages"))
            .header("content-type", "multipart/form-data; boundary=cut");
        if let Some(key) = key {
            request = request.header("idempotency-key", key);
        }
        request.body(body).unwrap()
    }

    /// Deposits a good message and gives its id.
    pub(crate) async fn leave_message(&self, mailbox: &str, caller: &str) -> String {
        let answer =
            self.deposit(mailbox, None, &[("caller", caller.as_bytes()), ("audio", &speech(1))]).await;
        answer.is(StatusCode::CREATED).json::<DepositAnswer>().id.to_string()
    }

    /// Everything stored that isn't a setting of the tenant or a mailbox.
    fn stored(&self) -> BTreeSet<String> {
        self.store.dump().into_keys().collect()
    }
}

fn multipart(fields: &[(&str, &[u8])]) -> Vec<u8> {
    let mut body = Vec::new();
    for (name, value) in fields {
        body.extend(format!("--cut\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n").bytes());
        body.extend_from_slice(value);
        body.extend(b"\r\n");
    }
    body.extend(b"--cut--\r\n");
    body
}

/// A-law "speech" of that many seconds.
fn speech(seconds: u32) -> Vec<u8> {
    let format = WavFormat { codec: Codec::ALaw, channels: 1, rate: 8_000 };
    let mut file = format.header(8_000 * seconds);
    file.extend((0..8_000 * seconds).map(|i| (i % 253) as u8));
    file
}

fn key_of(at: jiff::Timestamp) -> String {
    voicemail_model::MessageId::new(voicemail_model::Time(at.as_millisecond()), &[9; 10]).to_string()
}
