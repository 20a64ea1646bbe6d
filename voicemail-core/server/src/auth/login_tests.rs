//! Sign-ins at an issuer that answers whatever a test says, over real connections.

use super::login::{Attempt, LoginError, Returned, SignedIn};
use super::*;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Json, Router};
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use reqwest::Url;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Duration;
use voicemail_api::config::{IdentityFrom, LoginConfig};
use voicemail_model::Time;

const REDIRECT: &str = "https://voicemail.example/ui/session/callback/0";

/// What the token endpoint answers, and what it was asked last.
#[derive(Clone)]
struct Said {
    issuer: String,
    jwk: Value,
    answer: Arc<Mutex<(u16, Value)>>,
    asked: Arc<Mutex<BTreeMap<String, String>>>,
}

struct Issuer {
    said: Said,
    key: EncodingKey,
    login: LoginConfig,
    authenticator: Authenticator,
    world: World,
    _files: tempfile::TempDir,
}

async fn discovery(State(said): State<Said>) -> Json<Value> {
    let base = &said.issuer;
    Json(json!({
        "issuer": base, "authorization_endpoint": format!("{base}/auth"), "token_endpoint": format!("{base}/token"),
        "jwks_uri": format!("{base}/jwks"), "authorization_response_iss_parameter_supported": true,
    }))
}

async fn token(State(said): State<Said>, form: String) -> (StatusCode, Json<Value>) {
    let form = Url::parse(&format!("http://form/?{form}")).unwrap();
    *said.asked.lock().unwrap() = form.query_pairs().into_owned().collect();
    let (status, answer) = said.answer.lock().unwrap().clone();
    (StatusCode::from_u16(status).unwrap(), Json(answer))
}

impl Issuer {
    async fn start(identity_from: IdentityFrom) -> Self {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
        let key = EncodingKey::from_ec_der(pair.to_pkcs8v1().unwrap().as_ref());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let issuer = format!("http://{}", listener.local_addr().unwrap());
        let jwk = serde_json::to_value(Jwk::from_encoding_key(&key, Algorithm::ES256).unwrap()).unwrap();
        let said =
            Said { issuer, jwk, answer: Arc::new(Mutex::new((200, Value::Null))), asked: Arc::default() };
        let keys = |State(said): State<Said>| async move { Json(json!({ "keys": [said.jwk] })) };
        let routes = Router::new()
            .route("/.well-known/openid-configuration", get(discovery))
            .route("/jwks", get(keys))
            .route("/token", post(token))
            .with_state(said.clone());
        tokio::spawn(async move { axum::serve(listener, routes).await.unwrap() });
        let files = tempfile::tempdir().unwrap();
        let (client_id_file, client_secret_file) = (files.path().join("id"), files.path().join("secret"));
        std::fs::write(&client_id_file, "web\n").unwrap();
        std::fs::write(&client_secret_file, "s:ecret\n").unwrap();
        let auth: AuthConfig = serde_json::from_value(json!({ "issuers": [
            { "issuer": said.issuer, "audience": "voicemail", "roleMap": { "agent": "agent" } },
        ]}))
        .unwrap();
        let world = voicemail_store::real_world();
        let login = LoginConfig {
            issuer: said.issuer.clone(),
            label: "Test".into(),
            client_id_file,
            client_secret_file,
            scopes: vec!["openid".into()],
            resource: Some("urn:voicemail".into()),
            identity_from,
        };
        let authenticator = Authenticator::new(&auth, &world).unwrap();
        Self { said, key, login, authenticator, world, _files: files }
    }

    fn sign(&self, claims: &Value) -> String {
        let now = jsonwebtoken::get_current_timestamp();
        let mut all = json!({ "iss": self.said.issuer, "sub": "alice", "exp": now + 300, "iat": now });
        all.as_object_mut().unwrap().extend(claims.as_object().unwrap().clone());
        encode(&Header::new(Algorithm::ES256), &all, &self.key).unwrap()
    }

    /// Good tokens for that nonce, with other claims of each where a test says so.
    fn tokens(&self, nonce: &str, id: &Value, access: &Value) -> Value {
        let mut id_claims = json!({ "aud": "web", "nonce": nonce, "roles": ["agent"] });
        id_claims.as_object_mut().unwrap().extend(id.as_object().unwrap().clone());
        let mut access_claims = json!({ "aud": "voicemail", "roles": ["agent"] });
        access_claims.as_object_mut().unwrap().extend(access.as_object().unwrap().clone());
        json!({
            "access_token": self.sign(&access_claims), "id_token": self.sign(&id_claims), "refresh_token": "next",
            "token_type": "Bearer",
        })
    }

    fn answers(&self, status: u16, answer: Value) {
        *self.said.answer.lock().unwrap() = (status, answer);
    }

    async fn begin(&self) -> (BTreeMap<String, String>, Attempt) {
        let to = ("/ui/inbox".to_owned(), Duration::from_secs(3_600));
        let begun = self.authenticator.begin_login(&self.login, REDIRECT, to, &self.world).await;
        let (url, attempt) = begun.unwrap();
        (url.query_pairs().into_owned().collect(), attempt)
    }

    async fn finish(&self, attempt: &Attempt, returned: Value, now: Time) -> Result<SignedIn, LoginError> {
        let returned: Returned = serde_json::from_value(returned).unwrap();
        self.authenticator.finish_login(&self.login, REDIRECT, (attempt, &returned), now).await
    }

    fn returned(&self, asked: &BTreeMap<String, String>) -> Value {
        json!({ "code": "c", "state": asked["state"], "iss": self.said.issuer })
    }
}

fn error<T>(result: Result<T, LoginError>) -> LoginError {
    result.err().expect("nobody may be signed in")
}

#[tokio::test]
async fn who_comes_back_with_a_good_code_is_signed_in() {
    let issuer = Issuer::start(IdentityFrom::AccessToken).await;
    let (asked, attempt) = issuer.begin().await;
    assert_eq!((asked["response_type"].as_str(), asked["code_challenge_method"].as_str()), ("code", "S256"));
    assert_eq!((asked["redirect_uri"].as_str(), asked["max_age"].as_str()), (REDIRECT, "3600"));
    assert_eq!(asked["resource"], "urn:voicemail");
    issuer.answers(200, issuer.tokens(&asked["nonce"], &json!({ "auth_time": 1_000 }), &json!({})));
    let signed_in = issuer.finish(&attempt, issuer.returned(&asked), issuer.world.now()).await.ok().unwrap();
    assert_eq!(signed_in.who.user.unwrap().as_str(), "alice");
    assert_eq!((signed_in.at, signed_in.refresh.as_deref()), (Time::from_seconds(1_000), Some("next")));
    let sent = issuer.said.asked.lock().unwrap().clone();
    assert_eq!((sent["code"].as_str(), sent["redirect_uri"].as_str()), ("c", REDIRECT));
    // The verifier is the challenge's, which is its digest.
    assert!(sent["code_verifier"].len() >= 43 && sent["code_verifier"] != asked["code_challenge"]);
}

#[tokio::test]
async fn an_answer_to_another_question_signs_nobody_in() {
    let issuer = Issuer::start(IdentityFrom::AccessToken).await;
    let (asked, attempt) = issuer.begin().await;
    let (other, _) = issuer.begin().await;
    let now = issuer.world.now();
    issuer.answers(200, issuer.tokens(&asked["nonce"], &json!({}), &json!({})));
    let with = |name: &str, value: Value| {
        let mut returned = issuer.returned(&asked);
        returned[name] = value;
        returned
    };
    for (returned, expected) in [
        (with("state", json!(other["state"])), LoginError::Foreign),
        (with("state", Value::Null), LoginError::Foreign),
        (with("iss", json!("https://evil.example")), LoginError::OtherIssuer),
        (with("iss", Value::Null), LoginError::OtherIssuer),
        (with("error", json!("access_denied")), LoginError::Refused),
        (with("code", Value::Null), LoginError::Refused),
        (with("code", json!("c".repeat(5_000))), LoginError::Refused),
    ] {
        assert_eq!(error(issuer.finish(&attempt, returned.clone(), now).await), expected, "{returned}");
    }
    let late = now.plus(Duration::from_secs(601));
    assert_eq!(error(issuer.finish(&attempt, issuer.returned(&asked), late).await), LoginError::Foreign);
    assert!(issuer.said.asked.lock().unwrap().is_empty(), "no code was sent anywhere");
    // The mix-up: what was begun at one issuer is answered at another's address.
    let elsewhere = Issuer::start(IdentityFrom::AccessToken).await;
    let mixed = elsewhere.finish(&attempt, elsewhere.returned(&asked), now).await;
    assert_eq!(error(mixed), LoginError::OtherIssuer);
    assert!(elsewhere.said.asked.lock().unwrap().is_empty(), "the code isn't given to the wrong issuer");
}

#[tokio::test]
async fn tokens_of_another_sign_in_sign_nobody_in() {
    let issuer = Issuer::start(IdentityFrom::AccessToken).await;
    let (asked, attempt) = issuer.begin().await;
    let nonce = &asked["nonce"];
    let past = jsonwebtoken::get_current_timestamp() - 3_600;
    let nothing = || json!({});
    let without = |name: &str| {
        let mut tokens = issuer.tokens(nonce, &nothing(), &nothing());
        tokens.as_object_mut().unwrap().remove(name);
        tokens
    };
    for (tokens, expected) in [
        (issuer.tokens("another", &nothing(), &nothing()), LoginError::OtherSignIn),
        (issuer.tokens(nonce, &json!({ "nonce": null }), &nothing()), LoginError::OtherSignIn),
        (
            issuer.tokens(nonce, &json!({ "aud": ["web", "x"], "azp": "x" }), &nothing()),
            LoginError::OtherSignIn,
        ),
        (issuer.tokens(nonce, &json!({ "sub": "bob" }), &nothing()), LoginError::OtherSignIn),
        (without("id_token"), LoginError::OtherSignIn),
        (without("access_token"), LoginError::OtherSignIn),
        (issuer.tokens(nonce, &json!({ "aud": "other" }), &nothing()), AuthError::Audience.into()),
        (issuer.tokens(nonce, &json!({ "exp": past }), &nothing()), AuthError::Expired.into()),
        (
            issuer.tokens(nonce, &json!({ "iss": "https://evil.example" }), &nothing()),
            LoginError::OtherIssuer,
        ),
        (issuer.tokens(nonce, &nothing(), &json!({ "aud": "web" })), AuthError::Audience.into()),
        (issuer.tokens(nonce, &nothing(), &json!({ "exp": past })), AuthError::Expired.into()),
    ] {
        issuer.answers(200, tokens);
        let result = issuer.finish(&attempt, issuer.returned(&asked), issuer.world.now()).await;
        assert_eq!(error(result), expected);
    }
    let forged = encode(
        &Header::new(Algorithm::HS256),
        &json!({ "iss": issuer.said.issuer, "sub": "alice", "aud": "web", "exp": past + 7_200, "nonce": nonce }),
        &EncodingKey::from_secret(b"s:ecret"),
    );
    let mut tokens = issuer.tokens(nonce, &nothing(), &nothing());
    tokens["id_token"] = json!(forged.unwrap());
    issuer.answers(200, tokens);
    let result = issuer.finish(&attempt, issuer.returned(&asked), issuer.world.now()).await;
    assert_eq!(error(result), AuthError::Algorithm.into());
}

#[tokio::test]
async fn an_id_token_says_who_it_is_where_that_is_configured() {
    let issuer = Issuer::start(IdentityFrom::IdToken).await;
    let (asked, attempt) = issuer.begin().await;
    issuer.answers(200, issuer.tokens(&asked["nonce"], &json!({}), &json!({ "aud": "elsewhere" })));
    let signed_in = issuer.finish(&attempt, issuer.returned(&asked), issuer.world.now()).await.ok().unwrap();
    assert_eq!(signed_in.who.user.unwrap().as_str(), "alice");
}

#[tokio::test]
async fn a_renewal_is_the_same_persons_and_an_issuer_that_is_away_ends_nothing() {
    let issuer = Issuer::start(IdentityFrom::AccessToken).await;
    let (asked, attempt) = issuer.begin().await;
    issuer.answers(200, issuer.tokens(&asked["nonce"], &json!({}), &json!({})));
    let signed_in = issuer.finish(&attempt, issuer.returned(&asked), issuer.world.now()).await.ok().unwrap();
    let subject = signed_in.who.subject;
    let renew = || issuer.authenticator.renew_login(&issuer.login, "first", &subject);
    let (who, next) = renew().await.unwrap();
    assert_eq!((who.subject.as_str(), next.as_deref()), (subject.as_str(), Some("next")));
    assert_eq!(issuer.said.asked.lock().unwrap()["refresh_token"], "first");
    issuer.answers(200, issuer.tokens("", &json!({ "sub": "bob" }), &json!({ "sub": "bob" })));
    assert_eq!(error(renew().await), LoginError::OtherSignIn);
    issuer.answers(400, json!({ "error": "invalid_grant" }));
    assert_eq!(error(renew().await), LoginError::Refused);
    for (status, answer, told) in [
        (503, Value::Null, "503"),
        (401, json!({ "error": "invalid_client" }), "401 invalid_client"),
        (400, json!({ "error": "not_allowed", "error_description": "alice may not" }), "400 not_allowed"),
        (400, json!({ "error": "alice@example.org" }), "400"),
        (302, Value::Null, "302"),
    ] {
        issuer.answers(status, answer);
        let away = error(renew().await);
        assert_eq!(away, LoginError::Unavailable(format!("the token endpoint answers {told}")));
        assert_eq!(away.class(), voicemail_store::ErrorClass::Transient);
    }
}
