//! What the targets share: one tenant's API in process, over a store in memory.
//!
//! Made once a process. Whatever is sent to it, it must answer, with a problem document if it refuses, and never with 500.

use axum::Router;
use axum::body::Body;
use axum::http::{Request, StatusCode};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::json;
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::runtime::Runtime;
use tokio::sync::watch;
use tower::ServiceExt;
use voicemail_api::config::TenantConfig;
use voicemail_engine::core::{Core, TenantKeys};
use voicemail_engine::gdpr::ReceiptKey;
use voicemail_model::TenantKey;
use voicemail_server::auth::Authenticator;
use voicemail_server::http::{App, PREFIX, Stage, router};
use voicemail_store::Store;
use voicemail_store::memory::MemoryStore;
use voicemail_telemetry::Metrics;

/// Made for these targets; they sign nothing else.
const ISSUERS_KEY: &[u8] = include_bytes!("../keys/issuer.der");
const ISSUERS_JWKS: &str = include_str!("../keys/jwks.json");
const RECEIPT_KEY: &str = include_str!("../keys/receipt.pem");

/// One tenant's API.
pub struct Api {
    runtime: Runtime,
    routes: Router,
    authenticator: Arc<Authenticator>,
    token: String,
    /// Kept alive.
    _parts: Parts,
}

type Parts = (
    watch::Sender<Stage>,
    watch::Sender<Arc<Authenticator>>,
    watch::Sender<Arc<TenantConfig>>,
    tempfile::TempDir,
);

impl Api {
    /// With the mailbox 1001 of alice.
    pub fn open() -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let files = tempfile::tempdir().expect("a folder");
        let jwks = files.path().join("jwks.json");
        std::fs::write(&jwks, ISSUERS_JWKS).expect("a key set");
        let config = config(&jwks.display().to_string());
        let world = voicemail_store::real_world();
        let store: Arc<dyn Store> = Arc::new(MemoryStore::new(world.clone()));
        let keys = TenantKeys {
            tenant: TenantKey::new(&[7; 32]).expect("a key"),
            receipt: ReceiptKey::from_pem(RECEIPT_KEY).expect("a key"),
        };
        let regions = BTreeMap::from([("main".to_owned(), store)]);
        let core = runtime.block_on(Core::open_on(&config, keys, regions, world.clone())).expect("a tenant");
        let authenticator = Arc::new(Authenticator::new(&config.auth, &world).expect("an issuer"));
        let (stage, stage_seen) = watch::channel(Stage::Open(Arc::new(core)));
        let (sender, authenticator_seen) = watch::channel(Arc::clone(&authenticator));
        let (configured, config_seen) = watch::channel(Arc::new(config));
        let app = App::new(stage_seen, authenticator_seen, config_seen, world, Metrics::default());
        let _parts = (stage, sender, configured, files);
        let api = Self { runtime, routes: router(app), authenticator, token: token(), _parts };
        api.send("PUT", "/mailboxes/1001", "application/json", b"{}".to_vec());
        api.send("PUT", "/users/alice", "application/json", br#"{"mailboxes": ["1001"]}"#.to_vec());
        api
    }

    /// Sends a body with every role; panics if the answer is that something went wrong here.
    pub fn send(&self, method: &str, path: &str, kind: &str, body: Vec<u8>) -> StatusCode {
        let request = Request::builder()
            .method(method)
            .uri(format!("{PREFIX}{path}"))
            .header("authorization", format!("Bearer {}", self.token))
            .header("content-type", kind)
            .body(Body::from(body))
            .expect("a request");
        let answer = self.runtime.block_on(self.routes.clone().oneshot(request)).expect("an answer");
        assert!(!answer.status().is_server_error(), "{method} {path}: {}", answer.status());
        answer.status()
    }

    /// Whether a bearer token is accepted.
    pub fn accepts(&self, bearer: &str) -> bool {
        self.runtime.block_on(self.authenticator.authenticate(bearer)).is_ok()
    }

    /// One that is.
    pub fn token(&self) -> &str {
        &self.token
    }
}

fn token() -> String {
    let claims = json!({
        "iss": "https://id.example", "aud": "voicemail", "sub": "alice", "exp": 9_999_999_999_i64,
        "roles": ["telephony", "agent", "admin", "privacy"],
    });
    let key = EncodingKey::from_ec_der(ISSUERS_KEY);
    jsonwebtoken::encode(&Header::new(Algorithm::ES256), &claims, &key).expect("a token")
}

fn config(jwks: &str) -> TenantConfig {
    let roles = json!({ "telephony": "telephony", "agent": "agent", "admin": "admin", "privacy": "privacy" });
    let config = json!({
        "tenantId": "tenant-1", "cluster": "fuzz", "region": "main", "keysDir": "/nowhere",
        "regions": [{ "name": "main", "master": true, "storage": { "volume": { "path": "/nowhere" } } }],
        "listen": { "api": "127.0.0.1:0", "metrics": "127.0.0.1:0" },
        // As many requests as there is time for.
        "limits": { "requestsPerCaller": 0, "requestsPerAddress": 0 },
        "auth": { "issuers": [{
            "issuer": "https://id.example", "audience": "voicemail", "roleMap": roles,
            "jwksUri": format!("file://{jwks}"),
        }]},
        "defaultNumberRegion": "GB",
    });
    TenantConfig::parse(&config.to_string()).expect("a configuration")
}
