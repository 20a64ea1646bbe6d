//! Whether people could sign in at the issuers, asked before anybody wants to.
//!
//! Flow: a core with pages asks each issuer of a login every five minutes, and after a failure every twenty seconds, whether it
//! says where people sign in; at once when the configuration changes. The metrics port tells the result, and the operator makes
//! the condition `WebReady` of it. Nobody's sign-in depends on it. A core without such logins asks nobody.
//!
//! What can go wrong: an issuer is away, its certificate isn't trusted, it calls itself otherwise, or the files of the client
//! aren't there. The log says which, once.

use crate::http::App;
use std::collections::BTreeMap;
use std::time::Duration;
use voicemail_api::config::WebConfig;

const WELL: Duration = Duration::from_secs(5 * 60);
const TROUBLE: Duration = Duration::from_secs(20);

/// Asks until it is dropped.
pub(crate) async fn watch(app: App) {
    let mut configs = app.watch_config();
    let mut causes = BTreeMap::new();
    loop {
        let config = configs.borrow_and_update().clone();
        let pause = match &config.web {
            Some(web) => ask(&app, web, &mut causes).await,
            None => None,
        };
        let waited = async {
            match pause {
                Some(pause) => app.sleep(pause).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = waited => {}
            changed = configs.changed() => if changed.is_err() { return },
        }
    }
}

/// Asks all; gives the time until they are asked again, if there are any.
async fn ask(app: &App, web: &WebConfig, causes: &mut BTreeMap<String, String>) -> Option<Duration> {
    let mut found = BTreeMap::new();
    for login in &web.login {
        if let Err(error) = app.authenticator().check_login(login).await {
            found.insert(login.issuer.clone(), error.to_string());
        }
    }
    for (issuer, cause) in &found {
        if causes.get(issuer) != Some(cause) {
            tracing::warn!(issuer, cause, "nobody can sign in at an issuer");
        }
    }
    for issuer in causes.keys().filter(|issuer| !found.contains_key(*issuer)) {
        tracing::info!(issuer, "people can sign in at the issuer again");
    }
    let pause = if found.is_empty() { WELL } else { TROUBLE };
    app.issuers.note(found.keys().cloned().collect());
    *causes = found;
    (!web.login.is_empty()).then_some(pause)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::tests::Api;
    use axum::routing::get;
    use axum::{Json, Router};
    use serde_json::{Value, json};
    use voicemail_api::readiness::IssuersHealth;

    /// An issuer that says where people sign in.
    async fn start_issuer() -> String {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let issuer = format!("http://{}", listener.local_addr().unwrap());
        let document: Value = json!({
            "issuer": issuer, "authorization_endpoint": format!("{issuer}/auth"), "token_endpoint": format!("{issuer}/token"),
        });
        let discover = move || std::future::ready(Json(document.clone()));
        let routes = Router::new().route("/.well-known/openid-configuration", get(discover));
        tokio::spawn(async move { axum::serve(listener, routes).await.unwrap() });
        issuer
    }

    async fn wait_for(app: &App, expected: &IssuersHealth) {
        let same = async {
            while app.issuers.health() != *expected {
                tokio::task::yield_now().await;
            }
        };
        let waited = tokio::time::timeout(Duration::from_secs(60), same).await;
        assert!(waited.is_ok(), "{:?} isn't {expected:?}", app.issuers.health());
    }

    #[tokio::test]
    async fn an_issuer_that_cant_be_asked_is_told_until_it_can_be() {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let (api, issuer, files) = (Api::start().await, start_issuer().await, tempfile::tempdir().unwrap());
        let (id, secret) = (files.path().join("id"), files.path().join("secret"));
        std::fs::write(&id, "voicemail").unwrap();
        let app = api.app();
        assert_eq!(app.issuers.health(), IssuersHealth::default());
        let watching = tokio::spawn(watch(app.clone()));
        let configure = |lifetime: u64| {
            let login =
                json!({"issuer": issuer, "label": "Acme", "clientIdFile": id, "clientSecretFile": secret});
            let known = json!({"issuer": issuer, "audience": "v", "roleMap": {}});
            api.reconfigure(|config| {
                config.auth.issuers = vec![serde_json::from_value(known).unwrap()];
                let web = json!({"host": "v.example", "login": [login], "session": {"lifetime": format!("{lifetime}h")}});
                config.web = Some(serde_json::from_value(web).unwrap());
            });
        };
        configure(1);
        wait_for(&app, &IssuersHealth { asked: true, unreachable: vec![issuer.clone()] }).await;
        std::fs::write(&secret, "s").unwrap();
        configure(2);
        wait_for(&app, &IssuersHealth { asked: true, unreachable: Vec::new() }).await;
        watching.abort();
    }
}
