//! What a session that is kept for long may do: less while nobody uses the page, and no erasure or decision without a new sign-in.

use super::{Jar, Site};
use crate::auth::session::{Session, Sessions};
use crate::http::ProblemKind;
use axum::http::{Method, StatusCode};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::time::Duration;
use voicemail_api::config::{MaskCallers, Role};

const OFFICER: [Role; 2] = [Role::Agent, Role::Privacy];

/// A user with more roles than one, who has signed in.
async fn officer(site: &Site) -> Jar {
    let hash = bcrypt::hash("right", 4).unwrap();
    std::fs::write(site.users(), format!("alice:{hash}:agent,privacy:alice\n")).unwrap();
    site.sign_in().await
}

/// The cookie of somebody who signed in that long ago, and was renewed since.
fn signed_in_before(site: &Site, ago: Duration) -> Jar {
    let core = site.api.app().core().unwrap();
    let (key, world) = (core.context.key(), core.context.world());
    let config = site.api.app().config().web.clone().unwrap().session;
    let now = world.now();
    let session = Session {
        subject: "alice".into(),
        authority: String::new(),
        user: Some("alice".parse().unwrap()),
        roles: OFFICER.into(),
        signed_in: now.minus(ago),
        ends: now.plus(Duration::from_secs(600)),
    };
    let cookie = Sessions::new(key, &config).seal(world, &session).unwrap();
    Jar(vec![(crate::http::SESSION_COOKIE.into(), cookie)])
}

async fn roles(site: &Site, jar: &Jar) -> BTreeSet<String> {
    let me: Value = site.ask(jar, Method::GET, "/api/v1/me", None).await.is(StatusCode::OK).json();
    me["roles"].as_array().unwrap().iter().map(|role| role.as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn a_page_that_nobody_uses_goes_on_as_an_agents_and_has_its_roles_again_once_it_is_used() {
    let site = Site::start().await;
    let mut jar = officer(&site).await;
    for (idle, known) in [("?idle=true", &["agent"][..]), ("?idle=false", &["agent", "privacy"])] {
        let path = format!("/ui/session/renew{idle}");
        let renewed = site.ask(&jar, Method::POST, &path, Some(json!({}))).await.is(StatusCode::OK);
        jar.take(&renewed);
        assert_eq!(roles(&site, &jar).await, known.iter().map(ToString::to_string).collect(), "{idle}");
    }
}

#[tokio::test]
async fn who_signed_in_long_ago_erases_decides_and_holds_nothing_until_they_sign_in_again() {
    let site = Site::start().await;
    let message = site.api.leave_message("1001", "+442079460123").await;
    let case =
        json!({ "caseid": "c", "consumers": [{ "phone": ["+442079460123"] }], "requireApproval": true });
    let hold = format!("/api/v1/mailboxes/1001/messages/{message}/hold");
    let asked = [
        (Method::POST, "/api/v1/gdpr/forgetme".to_owned(), case.clone()),
        (Method::POST, "/api/v1/gdpr/undoforget".to_owned(), case),
        (Method::POST, "/api/v1/gdpr/cases/c/approve".to_owned(), json!({})),
        (Method::POST, "/api/v1/gdpr/cases/c/deny".to_owned(), json!({ "ground": "legalClaims" })),
        (Method::POST, "/api/v1/gdpr/cases/c/extend".to_owned(), json!({ "months": 1, "reason": "many" })),
        (Method::POST, "/api/v1/gdpr/cases/c/cancel".to_owned(), json!({})),
        (Method::PUT, hold.clone(), json!({ "reason": "claim" })),
        (Method::DELETE, hold, json!({})),
    ];
    let old = signed_in_before(&site, Duration::from_secs(15 * 60));
    for (method, path, body) in &asked {
        let answer = site.ask(&old, method.clone(), path, Some(body.clone())).await;
        answer.is_problem(ProblemKind::LoginNotFresh);
        assert!(answer.text().contains("15m"), "{}", answer.text());
    }
    let cases = site.ask(&old, Method::GET, "/api/v1/gdpr/cases", None).await.is(StatusCode::OK);
    assert_eq!(
        cases.json::<Value>()["cases"],
        json!([]),
        "looking takes no new sign-in, and nothing was done"
    );
    let fresh = signed_in_before(&site, Duration::from_secs(14 * 60));
    for (method, path, body) in &asked {
        let answer = site.ask(&fresh, method.clone(), path, Some(body.clone())).await;
        assert!(!answer.text().contains("login-not-fresh"), "{method} {path}: {answer:?}");
    }
}

#[tokio::test]
async fn how_fresh_and_what_is_masked_is_the_tenants_choice() {
    let site = Site::start().await;
    site.api.reconfigure(|config| {
        let web = config.web.as_mut().unwrap();
        web.fresh_login = Duration::from_secs(3_600);
        web.mask_callers = MaskCallers::All;
        web.session.idle = Duration::from_secs(90);
    });
    let jar = signed_in_before(&site, Duration::from_secs(59 * 60));
    let session: Value = site.ask(&jar, Method::GET, "/ui/session", None).await.is(StatusCode::OK).json();
    assert_eq!((&session["idleSeconds"], &session["maskCallers"]), (&json!(90), &json!("all")));
    let case = json!({ "caseid": "c", "consumers": [{ "phone": ["+442079460123"] }] });
    site.ask(&jar, Method::POST, "/api/v1/gdpr/forgetme", Some(case)).await.is(StatusCode::OK);
}
