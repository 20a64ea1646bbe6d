//! Tokens of a real authorisation server: signed and opaque ones, rotated keys, and a server that is away.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use crate::served;

use reqwest::StatusCode;
use serde_json::{Value, json};
use served::{Process, Setup};
use std::time::Duration;
use tokio::time::Instant;
use voicemail_test_machine::servers::{OidcServer, TokenKind, loopback};

const DEADLINE: Duration = Duration::from_secs(40);
const SCOPES: &str = "voicemail:agent voicemail:privacy";

struct Site {
    process: Process,
    _setup: Setup,
}

impl Site {
    fn start(server: &OidcServer) -> Self {
        let setup = Setup::new();
        for (file, word) in [("id", "core"), ("secret", "core-secret")] {
            std::fs::write(setup.path().join(file), word).unwrap();
        }
        let roles = json!({ "voicemail:agent": "agent", "voicemail:admin": "admin" });
        let mut signed = roles.clone();
        signed["voicemail:privacy"] = json!("privacy");
        let mut config: Value = serde_yaml::from_str(&setup.example()).unwrap();
        config["auth"] = json!({
            "issuers": [{ "issuer": server.issuer(), "audience": "voicemail", "rolesClaim": "scope",
                          "userClaim": "client_id", "roleMap": signed, "algorithms": ["ES256"] }],
            "introspection": {
                "endpoint": server.introspection_endpoint(), "audience": "voicemail", "userClaim": "client_id",
                "clientIdFile": setup.path().join("id"), "clientSecretFile": setup.path().join("secret"),
                "roleMap": roles, "cache": "0s",
            },
        });
        setup.write_config(&serde_yaml::to_string(&config).unwrap());
        let mut process = Process::start(&setup);
        process.wait_for("open");
        Self { process, _setup: setup }
    }

    async fn get(&self, path: &str, token: &str) -> StatusCode {
        let url = format!("{}/api/v1/{path}", self.process.api);
        reqwest::Client::new().get(url).bearer_auth(token).send().await.unwrap().status()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn signed_and_opaque_tokens_open_what_their_scopes_say_and_opaque_ones_no_privacy() {
    let server = OidcServer::start(loopback()).await.unwrap();
    let site = Site::start(&server);
    let signed = server.token(TokenKind::Signed, SCOPES).await.unwrap();
    let opaque = server.token(TokenKind::Opaque, SCOPES).await.unwrap();
    for token in [&signed, &opaque] {
        assert_eq!(site.get("me/mailboxes", token).await, StatusCode::OK);
        assert_eq!(site.get("users/alice", token).await, StatusCode::FORBIDDEN);
    }
    assert_eq!(site.get("audit", &signed).await, StatusCode::OK);
    assert_eq!(site.get("audit", &opaque).await, StatusCode::FORBIDDEN);
    assert_eq!(site.get("me/mailboxes", "made-up").await, StatusCode::UNAUTHORIZED);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rotated_key_is_found_and_tokens_of_the_old_one_go_on() {
    let mut server = OidcServer::start(loopback()).await.unwrap();
    let site = Site::start(&server);
    let old = server.token(TokenKind::Signed, SCOPES).await.unwrap();
    let forgotten = server.token(TokenKind::Opaque, SCOPES).await.unwrap();
    assert_eq!(site.get("me/mailboxes", &old).await, StatusCode::OK);
    assert_eq!(site.get("me/mailboxes", &forgotten).await, StatusCode::OK);
    server.rotate().await.unwrap();
    let new = server.token(TokenKind::Signed, SCOPES).await.unwrap();
    let begun = Instant::now();
    while site.get("me/mailboxes", &new).await != StatusCode::OK {
        assert!(begun.elapsed() < DEADLINE, "the new key isn't found");
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    assert_eq!(site.get("me/mailboxes", &old).await, StatusCode::OK);
    assert_eq!(site.get("me/mailboxes", &forgotten).await, StatusCode::UNAUTHORIZED);
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_server_is_away_signed_tokens_go_on_and_opaque_ones_mean_try_again() {
    let mut server = OidcServer::start(loopback()).await.unwrap();
    let site = Site::start(&server);
    let signed = server.token(TokenKind::Signed, SCOPES).await.unwrap();
    let opaque = server.token(TokenKind::Opaque, SCOPES).await.unwrap();
    assert_eq!(site.get("me/mailboxes", &signed).await, StatusCode::OK);
    server.kill().unwrap();
    assert_eq!(site.get("me/mailboxes", &signed).await, StatusCode::OK);
    assert_eq!(site.get("me/mailboxes", &opaque).await, StatusCode::SERVICE_UNAVAILABLE);
}
