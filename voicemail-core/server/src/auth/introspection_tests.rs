use super::introspection::Introspection;
use super::*;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::{Json, Router, routing::post};
use base64::Engine;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use voicemail_api::config::Role;

/// An endpoint whose answer tests choose; it keeps what it was asked.
#[derive(Clone)]
struct Endpoint {
    answer: Arc<Mutex<(StatusCode, Value)>>,
    asked: Arc<Mutex<Vec<(String, String)>>>,
}

impl Endpoint {
    fn answers(&self, status: StatusCode, body: Value) {
        *self.answer.lock().unwrap() = (status, body);
    }

    fn asked(&self) -> usize {
        self.asked.lock().unwrap().len()
    }
}

async fn answer(
    State(endpoint): State<Endpoint>,
    headers: HeaderMap,
    body: String,
) -> (StatusCode, Json<Value>) {
    let form = reqwest::Url::parse(&format!("http://form/?{body}")).unwrap();
    let form: HashMap<String, String> = form.query_pairs().into_owned().collect();
    let client = headers["authorization"].to_str().unwrap().to_owned();
    endpoint.asked.lock().unwrap().push((form["token"].clone(), client));
    let (status, body) = endpoint.answer.lock().unwrap().clone();
    (status, Json(body))
}

struct Site {
    endpoint: Endpoint,
    introspection: Introspection,
    files: tempfile::TempDir,
}

fn active() -> Value {
    let exp = jsonwebtoken::get_current_timestamp() + 300;
    json!({ "active": true, "aud": ["other", "voicemail"], "sub": "alice@example.org", "ext": "alice",
            "scope": "openid vm:agent vm:privacy", "exp": exp })
}

async fn site() -> Site {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let endpoint =
        Endpoint { answer: Arc::new(Mutex::new((StatusCode::OK, active()))), asked: Arc::default() };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/introspect", listener.local_addr().unwrap());
    let app = Router::new().route("/introspect", post(answer)).with_state(endpoint.clone());
    tokio::spawn(async move { axum::serve(listener, app).await });
    let files = tempfile::tempdir().unwrap();
    std::fs::write(files.path().join("id"), "voicemail:1\n").unwrap();
    std::fs::write(files.path().join("secret"), "s3cr&t\n").unwrap();
    let config = json!({
        "endpoint": url, "clientIdFile": files.path().join("id"), "clientSecretFile": files.path().join("secret"),
        "audience": "voicemail", "userClaim": "ext", "roleMap": { "vm:agent": "agent", "vm:privacy": "privacy" },
    });
    let introspection =
        Introspection::new(&serde_json::from_value(config).unwrap(), &voicemail_store::real_world()).unwrap();
    Site { endpoint, introspection, files }
}

#[tokio::test]
async fn an_active_token_gives_user_and_roles_but_never_privacy_and_is_known_for_a_while() {
    let site = site().await;
    for _ in 0..3 {
        let identity = site.introspection.authenticate("opaque-1").await.unwrap();
        assert_eq!(identity.user.unwrap().as_str(), "alice");
        assert_eq!(identity.roles, BTreeSet::from([Role::Agent]));
        assert!(!identity.subject.contains("alice"));
    }
    assert_eq!(site.endpoint.asked(), 1);
    let (token, client) = site.endpoint.asked.lock().unwrap()[0].clone();
    assert_eq!(token, "opaque-1");
    let client =
        base64::engine::general_purpose::STANDARD.decode(client.trim_start_matches("Basic ")).unwrap();
    assert_eq!(String::from_utf8(client).unwrap(), "voicemail%3A1:s3cr%26t");
    site.introspection.authenticate("opaque-2").await.unwrap();
    assert_eq!(site.endpoint.asked(), 2);
}

#[tokio::test]
async fn what_the_answer_lacks_is_refused_and_asked_again_the_next_time() {
    let site = site().await;
    let changed = |name: &str, value: Value| {
        let mut answer = active();
        answer[name] = value;
        answer
    };
    let now = jsonwebtoken::get_current_timestamp();
    for (answer, refusal) in [
        (json!({ "active": false }), AuthError::Inactive),
        (changed("aud", json!("somebody")), AuthError::Audience),
        (changed("aud", Value::Null), AuthError::Audience),
        (changed("exp", json!(now - 1)), AuthError::Expired),
        (changed("nbf", json!(now + 60)), AuthError::NotYet),
        (changed("sub", json!("")), AuthError::Claims),
    ] {
        site.endpoint.answers(StatusCode::OK, answer);
        let before = site.endpoint.asked();
        assert_eq!(site.introspection.authenticate("t").await, Err(refusal));
        assert_eq!(site.endpoint.asked(), before + 1);
    }
    for malformed in ["", "with space", &"x".repeat(4_097)] {
        assert_eq!(site.introspection.authenticate(malformed).await, Err(AuthError::Malformed));
    }
}

#[tokio::test]
async fn an_endpoint_that_fails_means_try_again_and_nothing_of_the_token_is_told() {
    let site = site().await;
    for (status, body) in [
        (StatusCode::INTERNAL_SERVER_ERROR, json!({})),
        (StatusCode::UNAUTHORIZED, json!({})),
        (StatusCode::OK, json!({ "sub": "alice" })),
        (StatusCode::OK, json!([])),
    ] {
        site.endpoint.answers(status, body);
        let error = site.introspection.authenticate("opaque-secret").await.unwrap_err();
        assert!(matches!(error, AuthError::LookupUnavailable(_)), "{error:?}");
        assert!(!error.to_string().contains("opaque-secret"), "{error}");
    }
    std::fs::remove_file(site.files.path().join("secret")).unwrap();
    let error = site.introspection.authenticate("t").await.unwrap_err();
    assert!(matches!(error, AuthError::LookupUnavailable(_)), "{error:?}");
}

#[tokio::test]
async fn a_token_is_never_known_for_longer_than_it_counts() {
    let site = site().await;
    let mut answer = active();
    answer["exp"] = json!(jsonwebtoken::get_current_timestamp() + 3);
    site.endpoint.answers(StatusCode::OK, answer);
    let identity = site.introspection.authenticate("brief").await.unwrap();
    assert!(identity.expires <= voicemail_store::real_world().now().plus(std::time::Duration::from_secs(3)));
    site.endpoint.answers(StatusCode::OK, json!({ "active": false }));
    let wait =
        identity.expires.since(voicemail_store::real_world().now()) + std::time::Duration::from_millis(5);
    voicemail_store::real_world().sleep(wait).await;
    assert_eq!(site.introspection.authenticate("brief").await, Err(AuthError::Inactive));
}

#[test]
fn the_endpoint_is_asked_over_https_or_on_loopback_alone() {
    for url in ["http://id.example/introspect", "file:///answer"] {
        let config = json!({ "endpoint": url, "clientIdFile": "/id", "clientSecretFile": "/secret",
                             "audience": "voicemail", "roleMap": {} });
        let made =
            Introspection::new(&serde_json::from_value(config).unwrap(), &voicemail_store::real_world());
        assert!(matches!(made.map(drop), Err(AuthSetupError::InsecureUrl(_))), "{url}");
    }
}
