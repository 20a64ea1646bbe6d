use super::*;
use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use axum::http::{HeaderMap, StatusCode};
use axum::{Json, Router, routing::get};
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use voicemail_api::config::Role;
use voicemail_model::Time;
use voicemail_model::clock::Surroundings;

/// A user with these roles, until then.
pub(super) fn alice(roles: &[Role], expires: Time) -> Principal {
    Principal {
        subject: "subject:1".into(),
        authority: "https://id".into(),
        user: "alice".parse().ok(),
        mailbox: None,
        roles: roles.iter().copied().collect(),
        expires,
    }
}

/// Seconds that a monotonic clock shows, moved by hand.
#[derive(Clone, Default)]
struct Hand(Arc<AtomicU64>);

impl Surroundings for Hand {
    fn now(&self) -> Time {
        Time(0)
    }
    fn monotonic(&self) -> Duration {
        Duration::from_secs(self.0.load(Ordering::SeqCst))
    }
    fn sleep(&self, _: Duration) -> futures::future::BoxFuture<'static, ()> {
        Box::pin(std::future::ready(()))
    }
    fn fill_random(&self, _: &mut [u8]) {}
}

struct SigningKey {
    key: EncodingKey,
    algorithm: Algorithm,
    kid: &'static str,
}

impl SigningKey {
    fn ec(kid: &'static str) -> Self {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
        let key = EncodingKey::from_ec_der(pair.to_pkcs8v1().unwrap().as_ref());
        Self { key, algorithm: Algorithm::ES256, kid }
    }

    fn rsa(kid: &'static str) -> Self {
        let pair = KeyPair::generate(KeySize::Rsa2048).unwrap();
        let der: Pkcs8V1Der<'_> = pair.as_der().unwrap();
        // PKCS#8 wraps the PKCS#1 key that is expected here in 26 bytes.
        let key = EncodingKey::from_rsa_der(&der.as_ref()[26..]);
        Self { key, algorithm: Algorithm::RS256, kid }
    }

    fn public(&self) -> Value {
        let mut jwk = Jwk::from_encoding_key(&self.key, self.algorithm).unwrap();
        jwk.common.key_id = Some(self.kid.into());
        serde_json::to_value(jwk).unwrap()
    }

    fn sign(&self, claims: &Value) -> String {
        let mut header = Header::new(self.algorithm);
        header.kid = Some(self.kid.into());
        encode(&header, claims, &self.key).unwrap()
    }
}

/// An issuer on a local port: discovery and a key set that tests change.
struct Issuer {
    url: String,
    keys: Arc<Mutex<Vec<Value>>>,
    fetches: Arc<AtomicUsize>,
    down: Arc<AtomicBool>,
    clock: Hand,
}

impl Issuer {
    async fn start(keys: &[&SigningKey]) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let keys = Arc::new(Mutex::new(keys.iter().map(|key| key.public()).collect::<Vec<_>>()));
        let (fetches, down) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
        let answer = {
            let (keys, fetches, down) = (Arc::clone(&keys), Arc::clone(&fetches), Arc::clone(&down));
            move |headers: HeaderMap| {
                fetches.fetch_add(1, Ordering::SeqCst);
                let status = match (down.load(Ordering::SeqCst), headers.get("authorization")) {
                    (true, _) => StatusCode::BAD_GATEWAY,
                    (_, Some(token)) if token != "Bearer pod-token" => StatusCode::UNAUTHORIZED,
                    _ => StatusCode::OK,
                };
                let body = json!({ "keys": *keys.lock().unwrap() });
                async move { (status, Json(body)) }
            }
        };
        let document = json!({ "issuer": url, "jwks_uri": format!("{url}/openid/v1/jwks") });
        let app = Router::new()
            .route("/.well-known/openid-configuration", get(|| async move { Json(document) }))
            .route("/openid/v1/jwks", get(answer));
        tokio::spawn(async move { axum::serve(listener, app).await });
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        Self { url, keys, fetches, down, clock: Hand::default() }
    }

    fn authenticator(&self) -> Authenticator {
        let config = json!({ "issuers": [{
            "issuer": self.url, "audience": "voicemail", "userClaim": "ext", "roleMap": { "agents": "agent" },
        }]});
        Authenticator::new(&serde_json::from_value(config).unwrap(), &World::new(self.clock.clone())).unwrap()
    }

    fn authenticator_with(&self, name: &str, value: Value) -> Authenticator {
        let mut config = json!({ "issuers": [{
            "issuer": self.url, "audience": "voicemail", "userClaim": "ext", "roleMap": { "agents": "agent" },
        }]});
        config["issuers"][0][name] = value;
        Authenticator::new(&serde_json::from_value(config).unwrap(), &World::new(self.clock.clone())).unwrap()
    }

    fn claims(&self) -> Value {
        let now = jsonwebtoken::get_current_timestamp();
        json!({ "iss": self.url, "aud": "voicemail", "sub": "alice@example.org", "ext": "alice",
                "roles": ["agents", "unknown"], "exp": now + 300, "nbf": now - 5 })
    }

    fn claims_with(&self, name: &str, value: Value) -> Value {
        let mut claims = self.claims();
        claims[name] = value;
        claims
    }
}

#[tokio::test]
async fn a_valid_token_gives_user_and_mapped_roles_for_every_kind_of_key() {
    let (ec, rsa) = (SigningKey::ec("e"), SigningKey::rsa("r"));
    let issuer = Issuer::start(&[&ec, &rsa]).await;
    let authenticator = issuer.authenticator();
    for key in [&ec, &rsa] {
        let identity = authenticator.authenticate(&key.sign(&issuer.claims())).await.unwrap();
        assert_eq!(identity.user.unwrap().as_str(), "alice");
        assert_eq!(identity.roles, BTreeSet::from([Role::Agent]));
    }
}

#[tokio::test]
async fn the_subject_is_never_shown_as_the_issuer_gave_it() {
    let key = SigningKey::ec("e");
    let issuer = Issuer::start(&[&key]).await;
    let identity = issuer.authenticator().authenticate(&key.sign(&issuer.claims())).await.unwrap();
    assert!(!format!("{identity:?}{}", identity.subject).contains("alice"));
}

#[tokio::test]
async fn a_token_for_ten_years_is_refused_whatever_it_says_of_its_issue() {
    let key = SigningKey::ec("a");
    let issuer = Issuer::start(&[&key]).await;
    let authenticator = issuer.authenticator();
    let now = jsonwebtoken::get_current_timestamp();
    let of = |iat: Value, exp: u64| {
        let mut claims = issuer.claims_with("exp", json!(exp));
        claims["iat"] = iat;
        key.sign(&claims)
    };
    let years = now + 10 * 365 * 86_400;
    for iat in [json!(now), Value::Null, json!(years - 60), json!(now - 86_400 * 300)] {
        let refused = authenticator.authenticate(&of(iat.clone(), years)).await.unwrap_err();
        assert!(matches!(refused, AuthError::LivesTooLong(_)), "{iat}: {refused}");
        assert!(refused.to_string().contains("longestTokenLife"), "{refused}");
    }
    let old = of(json!(now - 86_400 * 300), now + 60);
    assert!(
        authenticator.authenticate(&old).await.is_err(),
        "it was issued for 300 days, most of which are gone"
    );
    assert!(authenticator.authenticate(&of(json!(now - 60), now + 86_000)).await.is_ok());
    assert!(authenticator.authenticate(&of(Value::Null, now + 86_000)).await.is_ok());
}

#[tokio::test]
async fn claims_that_break_a_rule_are_refused() {
    let key = SigningKey::ec("e");
    let issuer = Issuer::start(&[&key]).await;
    let authenticator = issuer.authenticator();
    let now = jsonwebtoken::get_current_timestamp();
    let cases = [
        ("aud", json!("other"), AuthError::Audience),
        ("aud", json!(["other", "another"]), AuthError::Audience),
        ("aud", Value::Null, AuthError::Claims),
        ("iss", json!("https://elsewhere.example"), AuthError::ForeignIssuer),
        ("exp", json!(now - 60), AuthError::Expired),
        ("exp", Value::Null, AuthError::Claims),
        ("nbf", json!(now + 120), AuthError::NotYet),
        ("sub", Value::Null, AuthError::Claims),
    ];
    for (name, value, expected) in cases {
        let token = key.sign(&issuer.claims_with(name, value.clone()));
        assert_eq!(authenticator.authenticate(&token).await.unwrap_err(), expected, "{name} {value}");
    }
}

#[tokio::test]
async fn clocks_may_be_half_a_minute_apart() {
    let key = SigningKey::ec("e");
    let issuer = Issuer::start(&[&key]).await;
    let now = jsonwebtoken::get_current_timestamp();
    for claims in [issuer.claims_with("exp", json!(now - 20)), issuer.claims_with("nbf", json!(now + 20))] {
        assert!(issuer.authenticator().authenticate(&key.sign(&claims)).await.is_ok());
    }
}

#[tokio::test]
async fn unsigned_tokens_and_shared_secrets_are_refused() {
    let key = SigningKey::rsa("r");
    let issuer = Issuer::start(&[&key]).await;
    let authenticator = issuer.authenticator();
    let part = |value: &Value| {
        use base64::Engine;
        base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(value.to_string())
    };
    let none = format!("{}.{}.", part(&json!({"alg": "none", "kid": "r"})), part(&issuer.claims()));
    assert_eq!(authenticator.authenticate(&none).await.unwrap_err(), AuthError::Algorithm);
    // The classic confusion: the public key used as an HMAC secret.
    let mut header = Header::new(Algorithm::HS256);
    header.kid = Some("r".into());
    let secret = EncodingKey::from_secret(key.public()["n"].as_str().unwrap().as_bytes());
    let confused = encode(&header, &issuer.claims(), &secret).unwrap();
    assert_eq!(authenticator.authenticate(&confused).await.unwrap_err(), AuthError::Algorithm);
    for text in ["", "a", "a.b.c", "....", &"x".repeat(20_000)] {
        assert!(authenticator.authenticate(text).await.is_err());
    }
}

#[tokio::test]
async fn foreign_keys_and_changed_claims_are_refused() {
    let (key, foreign) = (SigningKey::ec("e"), SigningKey::ec("e"));
    let issuer = Issuer::start(&[&key]).await;
    let authenticator = issuer.authenticator();
    let token = foreign.sign(&issuer.claims());
    assert_eq!(authenticator.authenticate(&token).await.unwrap_err(), AuthError::Signature);
    let good = key.sign(&issuer.claims());
    let other = key.sign(&issuer.claims_with("ext", json!("bob")));
    let mixed: Vec<&str> = good.split('.').take(1).chain(other.split('.').skip(1).take(1)).collect();
    let mixed = format!("{}.{}", mixed.join("."), good.rsplit('.').next().unwrap());
    assert_eq!(authenticator.authenticate(&mixed).await.unwrap_err(), AuthError::Signature);
    let other_family = SigningKey::rsa("e").sign(&issuer.claims());
    assert_eq!(authenticator.authenticate(&other_family).await.unwrap_err(), AuthError::UnknownKey);
}

#[tokio::test]
async fn an_unknown_key_is_looked_up_again_but_not_for_every_token() {
    let (old, new) = (SigningKey::ec("old"), SigningKey::ec("new"));
    let issuer = Issuer::start(&[&old]).await;
    let authenticator = issuer.authenticator();
    authenticator.authenticate(&old.sign(&issuer.claims())).await.unwrap();
    issuer.clock.0.store(11, Ordering::SeqCst);
    for _ in 0..5 {
        let refused = authenticator.authenticate(&new.sign(&issuer.claims())).await.unwrap_err();
        assert_eq!(refused, AuthError::UnknownKey);
    }
    assert_eq!(issuer.fetches.load(Ordering::SeqCst), 2);
    issuer.keys.lock().unwrap().push(new.public());
    issuer.clock.0.store(22, Ordering::SeqCst);
    authenticator.authenticate(&new.sign(&issuer.claims())).await.unwrap();
    assert_eq!(issuer.fetches.load(Ordering::SeqCst), 3);
}

#[tokio::test]
async fn a_key_that_its_issuer_withdrew_is_refused_after_ten_minutes() {
    let (old, new) = (SigningKey::ec("old"), SigningKey::ec("new"));
    let issuer = Issuer::start(&[&old]).await;
    let authenticator = issuer.authenticator();
    authenticator.authenticate(&old.sign(&issuer.claims())).await.unwrap();
    *issuer.keys.lock().unwrap() = vec![new.public()];
    authenticator.authenticate(&old.sign(&issuer.claims())).await.unwrap();
    issuer.clock.0.store(601, Ordering::SeqCst);
    let refused = authenticator.authenticate(&old.sign(&issuer.claims())).await.unwrap_err();
    assert_eq!(refused, AuthError::UnknownKey);
}

#[tokio::test]
async fn an_issuer_that_is_down_leaves_its_known_keys_in_force() {
    let key = SigningKey::ec("e");
    let issuer = Issuer::start(&[&key]).await;
    let authenticator = issuer.authenticator();
    issuer.down.store(true, Ordering::SeqCst);
    let token = key.sign(&issuer.claims());
    let error = authenticator.authenticate(&token).await.unwrap_err();
    assert!(matches!(error, AuthError::KeysUnavailable(_)), "{error:?}");
    issuer.down.store(false, Ordering::SeqCst);
    issuer.clock.0.store(2, Ordering::SeqCst);
    authenticator.authenticate(&token).await.unwrap();
    issuer.down.store(true, Ordering::SeqCst);
    issuer.clock.0.store(5_000, Ordering::SeqCst);
    authenticator.authenticate(&token).await.unwrap();
}

#[test]
fn keys_over_a_plain_connection_are_refused_at_setup() {
    let world = voicemail_store::real_world();
    for (url, good) in [
        ("https://id.example", true),
        ("http://127.0.0.1:1", true),
        ("http://[::1]:1", true),
        ("http://id.example", false),
        ("http://127.0.0.1.example", false),
        ("nonsense", false),
    ] {
        let config = json!({ "issuers": [{ "issuer": url, "audience": "a", "roleMap": {} }] });
        let config = serde_json::from_value(config).unwrap();
        assert_eq!(Authenticator::new(&config, &world).is_ok(), good, "{url}");
    }
}

mod service_accounts {
    use super::*;

    struct Cluster {
        issuer: Issuer,
        key: SigningKey,
        authenticator: Authenticator,
        _files: tempfile::TempDir,
    }

    async fn cluster() -> Cluster {
        let key = SigningKey::rsa("r");
        let issuer = Issuer::start(&[&key]).await;
        let files = tempfile::tempdir().unwrap();
        let (token_file, ca_file) = (files.path().join("token"), files.path().join("ca.crt"));
        std::fs::write(&token_file, "pod-token\n").unwrap();
        let made = rcgen::generate_simple_self_signed(vec!["localhost".into()]).unwrap();
        std::fs::write(&ca_file, made.cert.pem()).unwrap();
        let entry = |name: &str, role: &str| json!({ "namespace": "voice", "name": name, "roles": [role] });
        let mut operator = entry("operator", "privacy");
        operator["audience"] = json!("tenant-uid");
        let mut desk = entry("desk", "agent");
        desk["user"] = json!("alice");
        let config = json!({ "kubernetes": {
            "apiServer": issuer.url, "caFile": ca_file, "tokenFile": token_file, "audiences": ["voicemail"],
            "serviceAccounts": [entry("media", "telephony"), operator, desk],
        }});
        let config = serde_json::from_value(config).unwrap();
        let authenticator = Authenticator::new(&config, &World::new(issuer.clock.clone())).unwrap();
        Cluster { issuer, key, authenticator, _files: files }
    }

    impl Cluster {
        async fn call(&self, subject: &str, audience: &str) -> Result<Principal, AuthError> {
            let mut claims = self.issuer.claims_with("sub", json!(subject));
            claims["aud"] = json!([audience]);
            self.authenticator.authenticate(&self.key.sign(&claims)).await
        }
    }

    #[tokio::test]
    async fn an_account_has_the_roles_of_its_entry() {
        let cluster = cluster().await;
        let media = cluster.call("system:serviceaccount:voice:media", "voicemail").await.unwrap();
        assert_eq!(media.roles, BTreeSet::from([Role::Telephony]));
        assert_eq!(media.subject, "system:serviceaccount:voice:media");
        let desk = cluster.call("system:serviceaccount:voice:desk", "voicemail").await.unwrap();
        assert_eq!(desk.user.unwrap().as_str(), "alice");
    }

    #[tokio::test]
    async fn accounts_that_are_not_listed_have_no_role() {
        let cluster = cluster().await;
        for subject in ["system:serviceaccount:other:media", "system:serviceaccount:voice:nobody"] {
            assert!(cluster.call(subject, "voicemail").await.unwrap().roles.is_empty(), "{subject}");
        }
        assert_eq!(cluster.call("media", "voicemail").await.unwrap_err(), AuthError::Claims);
    }

    #[tokio::test]
    async fn an_entry_with_an_audience_counts_for_that_audience_alone() {
        let cluster = cluster().await;
        let operator = "system:serviceaccount:voice:operator";
        assert!(cluster.call(operator, "tenant-uid").await.unwrap().has_any(&[Role::Privacy]));
        assert!(cluster.call(operator, "voicemail").await.unwrap().roles.is_empty());
        let media = cluster.call("system:serviceaccount:voice:media", "tenant-uid").await.unwrap();
        assert!(media.roles.is_empty());
        assert_eq!(cluster.call(operator, "another-uid").await.unwrap_err(), AuthError::Audience);
    }
}

#[tokio::test]
async fn an_issuer_may_be_held_to_its_own_algorithms_and_clock() {
    let (ec, rsa) = (SigningKey::ec("e"), SigningKey::rsa("r"));
    let issuer = Issuer::start(&[&ec, &rsa]).await;
    let strict = issuer.authenticator_with("algorithms", json!(["ES256"]));
    assert!(strict.authenticate(&ec.sign(&issuer.claims())).await.is_ok());
    assert_eq!(strict.authenticate(&rsa.sign(&issuer.claims())).await, Err(AuthError::Algorithm));
    let late = issuer.claims_with("exp", json!(jsonwebtoken::get_current_timestamp() - 20));
    assert!(issuer.authenticator().authenticate(&ec.sign(&late)).await.is_ok());
    let exact = issuer.authenticator_with("clockSkew", json!("0s"));
    assert_eq!(exact.authenticate(&ec.sign(&late)).await, Err(AuthError::Expired));
}

#[tokio::test]
async fn roles_are_found_in_objects_and_among_words() {
    let key = SigningKey::ec("e");
    let issuer = Issuer::start(&[&key]).await;
    let nested = issuer.authenticator_with("rolesClaim", json!("realm_access.roles"));
    let claims = issuer.claims_with("realm_access", json!({ "roles": ["agents"] }));
    assert!(nested.authenticate(&key.sign(&claims)).await.unwrap().has_any(&[Role::Agent]));
    let literal = issuer.authenticator_with("rolesClaim", json!("https://example.org/roles"));
    let claims = issuer.claims_with("https://example.org/roles", json!(["agents"]));
    assert!(literal.authenticate(&key.sign(&claims)).await.unwrap().has_any(&[Role::Agent]));
    let words = issuer.authenticator_with("rolesClaim", json!("scope"));
    let claims = issuer.claims_with("scope", json!("openid agents"));
    assert!(words.authenticate(&key.sign(&claims)).await.unwrap().has_any(&[Role::Agent]));
    let claims = issuer.claims_with("scope", json!("openid agents.more"));
    assert!(words.authenticate(&key.sign(&claims)).await.unwrap().roles.is_empty());
}

#[tokio::test]
async fn two_issuers_users_of_one_name_are_two_unless_the_configuration_makes_them_one() {
    let (ours, theirs) = (SigningKey::ec("e"), SigningKey::ec("f"));
    let (a, b) = (Issuer::start(&[&ours]).await, Issuer::start(&[&theirs]).await);
    let entry = |issuer: &Issuer| json!({ "issuer": issuer.url, "audience": "voicemail", "userClaim": "ext", "roleMap": {} });
    let user_of = async |config: Value, issuer: &Issuer, key: &SigningKey| {
        let config = serde_json::from_value(config).unwrap();
        let authenticator = Authenticator::new(&config, &World::new(issuer.clock.clone())).unwrap();
        authenticator.authenticate(&key.sign(&issuer.claims())).await.unwrap().user.unwrap().to_string()
    };
    let two = json!({ "issuers": [entry(&a), entry(&b)] });
    assert_eq!(user_of(two.clone(), &a, &ours).await, format!("{}#alice", a.url));
    assert_eq!(user_of(two.clone(), &b, &theirs).await, format!("{}#alice", b.url));
    let mut one = two;
    (one["issuers"][0]["userPrefix"], one["issuers"][1]["userPrefix"]) = ("".into(), "".into());
    for (issuer, key) in [(&a, &ours), (&b, &theirs)] {
        assert_eq!(user_of(one.clone(), issuer, key).await, "alice");
    }
}
