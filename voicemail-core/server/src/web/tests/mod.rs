//! Pages and sessions in process: what is served, who gets in, and whose requests count.

mod kept;

use crate::http::tests::{Answer, Api};
use crate::http::{ProblemKind, router_beside};
use axum::Router;
use axum::body::Body;
use axum::http::{Method, Request, StatusCode};
use serde_json::{Value, json};
use std::path::Path;
use voicemail_api::config::{BasicConfig, SessionConfig, WebConfig};

/// A tenant with pages, whose users alice and media have the password `right`.
struct Site {
    api: Api,
    routes: Router,
    files: tempfile::TempDir,
}

/// Cookies as a browser has them.
#[derive(Clone, Default)]
struct Jar(Vec<(String, String)>);

impl Jar {
    fn take(&mut self, answer: &Answer) {
        for line in answer.all("set-cookie") {
            let (name, rest) = line.split_once('=').unwrap();
            let (value, attributes) = rest.split_once("; ").unwrap();
            self.0.retain(|(known, _)| known != name);
            if !attributes.contains("Max-Age=0") {
                self.0.push((name.into(), value.into()));
            }
        }
    }

    fn header(&self) -> String {
        self.0.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("; ")
    }
}

/// Headers of a request of our own page.
const OWN: [(&str, &str); 2] = [("sec-fetch-site", "same-origin"), ("x-voicemail-page", "1")];

impl Site {
    async fn start() -> Self {
        Self::over(Api::start().await)
    }

    async fn start_with_key(seed: u8) -> Self {
        Self::over(Api::start_with_key(seed).await)
    }

    fn over(api: Api) -> Self {
        let files = tempfile::tempdir().unwrap();
        let site = Self { routes: router_beside(api.app(), crate::web::routes()), api, files };
        site.set_password("right");
        let users_file = site.users();
        site.api.reconfigure(|config| {
            config.auth.basic = Some(BasicConfig { users_file });
            config.web = Some(WebConfig { passwords: true, ..WebConfig::default() });
        });
        site
    }

    fn users(&self) -> std::path::PathBuf {
        self.files.path().join("users")
    }

    fn set_password(&self, password: &str) {
        let hash = bcrypt::hash(password, 4).unwrap();
        let text = format!("alice:{hash}:agent:alice\nmedia:{hash}:telephony\n");
        std::fs::write(self.users(), text).unwrap();
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<Value>,
    ) -> Answer {
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let body = match body {
            Some(body) => {
                request = request.header("content-type", "application/json");
                Body::from(body.to_string())
            }
            None => Body::empty(),
        };
        Api::answer_of(&self.routes, request.body(body).unwrap()).await
    }

    /// As a page of ours does, with its cookies.
    async fn ask(&self, jar: &Jar, method: Method, path: &str, body: Option<Value>) -> Answer {
        let cookies = jar.header();
        let headers: Vec<(&str, &str)> = OWN.into_iter().chain([("cookie", cookies.as_str())]).collect();
        self.send(method, path, &headers, body).await
    }

    async fn sign_in(&self) -> Jar {
        let mut jar = Jar::default();
        let body = json!({ "name": "alice", "password": "right" });
        let answer =
            self.ask(&jar, Method::POST, "/ui/session/password", Some(body)).await.is(StatusCode::OK);
        jar.take(&answer);
        jar
    }
}

#[tokio::test]
async fn the_page_for_frames_is_framed_by_whom_the_configuration_names_and_is_nowhere_else() {
    let site = Site::start().await;
    site.send(Method::GET, "/ui/embed/inbox", &[], None).await.is_problem(ProblemKind::UnknownPath);
    site.api.reconfigure(|config| {
        let hosts = ["https://desk.example", "http://localhost:8080"].map(str::to_owned);
        config.web.as_mut().unwrap().embed_in = hosts.into();
        config.browser_origins = vec!["https://desk.example".into()];
    });
    for path in ["/ui/embed/inbox", "/ui/embed/inbox/1001"] {
        let page = site.send(Method::GET, path, &[], None).await.is(StatusCode::OK);
        let policy = page.header("content-security-policy");
        assert!(policy.ends_with("; frame-ancestors https://desk.example http://localhost:8080"), "{policy}");
        assert!(policy.contains("require-trusted-types-for 'script'"), "{policy}");
        assert!(page.all("x-frame-options").is_empty(), "it would refuse the hosts");
    }
    let page = site.send(Method::GET, "/ui", &[], None).await.is(StatusCode::OK);
    assert!(page.header("content-security-policy").ends_with("frame-ancestors 'none'"));
    assert_eq!(page.header("x-frame-options"), "DENY");
    let of = async |origin: &str| site.send(Method::GET, "/ui/mwi.js", &[("origin", origin)], None).await;
    let element = of("https://desk.example").await.is(StatusCode::OK);
    assert_eq!(element.header("access-control-allow-origin"), "https://desk.example");
    assert_eq!(element.header("cache-control"), "no-cache");
    assert!(of("https://evil.example").await.all("access-control-allow-origin").is_empty());
}

#[tokio::test]
async fn without_web_nothing_is_there() {
    let api = Api::start().await;
    let routes = router_beside(api.app(), crate::web::routes());
    for path in ["/ui", "/ui/inbox/1001", "/ui/a/index.js", "/ui/session", "/ui/embed/inbox", "/ui/mwi.js"] {
        let request = Request::builder().uri(path).body(Body::empty()).unwrap();
        Api::answer_of(&routes, request).await.is_problem(ProblemKind::UnknownPath);
    }
}

#[tokio::test]
async fn a_page_loads_what_is_its_own_and_is_framed_by_nobody() {
    let site = Site::start().await;
    for path in ["/ui", "/ui/", "/ui/inbox/1001/01996a10-1111-7abc-8def-0123456789ab"] {
        let page = site.send(Method::GET, path, &[], None).await.is(StatusCode::OK);
        let policy = page.header("content-security-policy").to_owned();
        for part in [
            "default-src 'none'",
            "script-src 'self'",
            "frame-ancestors 'none'",
            "require-trusted-types-for 'script'",
        ] {
            assert!(policy.contains(part), "{policy}");
        }
        assert!(!policy.contains("unsafe") && !policy.contains('*') && !policy.contains("http"), "{policy}");
        assert_eq!(page.header("x-frame-options"), "DENY");
        assert_eq!(page.header("x-content-type-options"), "nosniff");
        assert_eq!(page.header("referrer-policy"), "no-referrer");
        assert_eq!(page.header("cross-origin-opener-policy"), "same-origin");
        assert_eq!(page.header("cache-control"), "no-cache");
        assert!(page.header("permissions-policy").contains("microphone=(self)"));
        let name = page.text().split("/ui/a/").nth(1).unwrap().split('"').next().unwrap().to_owned();
        let script =
            site.send(Method::GET, &format!("/ui/a/{name}"), &[("accept-encoding", "gzip")], None).await;
        let script = script.is(StatusCode::OK);
        assert_eq!(script.header("cache-control"), "public, max-age=31536000, immutable");
        assert_eq!((script.header("content-encoding"), script.header("vary")), ("gzip", "accept-encoding"));
    }
    let missing = site.send(Method::GET, "/ui/a/index-00000000.js", &[], None).await;
    assert_eq!(missing.is_problem(ProblemKind::UnknownPath).header("cache-control"), "no-store");
}

#[tokio::test]
async fn a_password_opens_a_session_and_what_it_opens_is_the_users() {
    let site = Site::start().await;
    let jar = site.sign_in().await;
    let session: Value = site.ask(&jar, Method::GET, "/ui/session", None).await.json();
    assert_eq!(session["session"]["user"], "alice");
    assert_eq!(session["session"]["roles"], json!(["agent"]));
    let me: Value = site.ask(&jar, Method::GET, "/api/v1/me", None).await.is(StatusCode::OK).json();
    assert_eq!((&me["user"], &me["roles"]), (&json!("alice"), &json!(["agent"])));
    let own = site.ask(&jar, Method::GET, "/api/v1/me/mailboxes", None).await.is(StatusCode::OK);
    let boxes: Value = own.json();
    assert_eq!(boxes["mailboxes"][0]["limits"], json!({ "messages": 10, "messageSeconds": 180 }));
    assert_eq!(boxes["mailboxes"][0]["used"], json!({ "messages": 0, "seconds": 0, "full": false }));
    assert_eq!(boxes["mailboxes"][0]["pin"], json!({ "set": false }));
    site.api.leave_message("1001", "+442079460101").await;
    let list = site.ask(&jar, Method::GET, "/api/v1/mailboxes/1001/messages", None).await.is(StatusCode::OK);
    assert_eq!(list.header("cache-control"), "no-store", "a browser would write the caller on its disk");
    site.ask(&jar, Method::GET, "/api/v1/mailboxes/1002/messages", None)
        .await
        .is_problem(ProblemKind::UnknownMailbox);
    site.ask(&jar, Method::PUT, "/api/v1/mailboxes/1003", Some(json!({})))
        .await
        .is_problem(ProblemKind::RoleMissing);
}

#[tokio::test]
async fn wrong_passwords_media_servers_and_other_pages_get_no_session() {
    let site = Site::start().await;
    let body = |name: &str, password: &str| Some(json!({ "name": name, "password": password }));
    let jar = Jar::default();
    for (name, password) in [("alice", "wrong"), ("bob", "right"), ("a:b", "right"), ("", "")] {
        let answer = site.ask(&jar, Method::POST, "/ui/session/password", body(name, password)).await;
        answer.is_problem(ProblemKind::Unauthenticated);
        assert!(answer.all("set-cookie").is_empty());
    }
    let media = site.ask(&jar, Method::POST, "/ui/session/password", body("media", "right")).await;
    media.is_problem(ProblemKind::RoleMissing);
    for site_of in [
        &[("sec-fetch-site", "cross-site"), ("x-voicemail-page", "1")][..],
        &[("x-voicemail-page", "1")],
        &[OWN[0]],
    ] {
        let answer = site.send(Method::POST, "/ui/session/password", site_of, body("alice", "right")).await;
        answer.is_problem(ProblemKind::ForeignPage);
    }
}

#[tokio::test]
async fn a_cookie_counts_for_requests_of_its_own_pages_alone() {
    let site = Site::start().await;
    let jar = site.sign_in().await;
    let cookies = jar.header();
    let cookie = ("cookie", cookies.as_str());
    let path = "/api/v1/me/mailboxes";
    // A page of another site, of another host of the same one, an address that was typed, and what is no browser.
    for from in ["cross-site", "same-site", "none", ""] {
        let answer = site.send(Method::GET, path, &[cookie, ("sec-fetch-site", from), OWN[1]], None).await;
        answer.is_problem(ProblemKind::ForeignPage);
    }
    site.send(Method::GET, path, &[cookie], None).await.is_problem(ProblemKind::ForeignPage);
    site.send(Method::GET, path, &[cookie, OWN[0]], None).await.is(StatusCode::OK);
    let id = site.api.leave_message("1001", "+442079460101").await;
    let message = format!("/api/v1/mailboxes/1001/messages/{id}");
    let read = || Some(json!({ "state": "read" }));
    site.send(Method::PATCH, &message, &[cookie, OWN[0]], read()).await.is_problem(ProblemKind::ForeignPage);
    site.send(Method::PATCH, &message, &[cookie, OWN[0], OWN[1]], read()).await.is(StatusCode::OK);
    // A token that is wrong isn't made good by a cookie.
    let bearer = ("authorization", "Bearer x");
    site.send(Method::GET, path, &[cookie, OWN[0], bearer], None)
        .await
        .is_problem(ProblemKind::Unauthenticated);
    // No page of another origin may read an answer with cookies.
    let preflight = [("origin", "https://evil.example"), ("access-control-request-method", "PATCH")];
    let answer = site.send(Method::OPTIONS, &message, &preflight, None).await;
    assert_eq!(answer.header("access-control-allow-origin"), "");
    assert_eq!(answer.header("access-control-allow-credentials"), "");
}

#[tokio::test]
async fn cookies_are_for_browsers_alone_and_name_nobody() {
    let site = Site::start().await;
    let body = json!({ "name": "alice", "password": "right" });
    let answer = site.ask(&Jar::default(), Method::POST, "/ui/session/password", Some(body)).await;
    let set = answer.all("set-cookie");
    assert_eq!(set.len(), 2);
    for line in &set {
        for attribute in ["; Secure", "; HttpOnly", "; SameSite=Strict"] {
            assert!(line.contains(attribute), "{line}");
        }
        assert!(!line.contains("Domain") && !line.contains("Max-Age") && !line.contains("alice"), "{line}");
    }
    assert!(set[0].starts_with("__Host-Http-vm=") && set[0].contains("; Path=/;"), "{set:?}");
    assert!(
        set[1].starts_with("__Secure-Http-vm-refresh=") && set[1].contains("; Path=/ui/session;"),
        "{set:?}"
    );
}

#[tokio::test]
async fn another_tenants_cookie_and_one_of_a_former_epoch_open_nothing() {
    let (site, other) = (Site::start().await, Site::start_with_key(9).await);
    let (jar, foreign) = (site.sign_in().await, other.sign_in().await);
    let path = "/api/v1/me/mailboxes";
    site.ask(&foreign, Method::GET, path, None).await.is_problem(ProblemKind::Unauthenticated);
    site.ask(&foreign, Method::POST, "/ui/session/renew", Some(json!({})))
        .await
        .is_problem(ProblemKind::Unauthenticated);
    // The one cookie in the other's place.
    let swapped = Jar(vec![("__Host-Http-vm".into(), jar.0[1].1.clone())]);
    site.ask(&swapped, Method::GET, path, None).await.is_problem(ProblemKind::Unauthenticated);
    site.ask(&jar, Method::GET, path, None).await.is(StatusCode::OK);
    site.api.reconfigure(|config| {
        let session = SessionConfig { epoch: 2, ..SessionConfig::default() };
        config.web = Some(WebConfig { passwords: true, session, ..WebConfig::default() });
    });
    site.ask(&jar, Method::GET, path, None).await.is_problem(ProblemKind::Unauthenticated);
}

#[tokio::test]
async fn a_session_is_renewed_as_long_as_the_password_is_the_same() {
    let site = Site::start().await;
    let mut jar = site.sign_in().await;
    let renewed = site.ask(&jar, Method::POST, "/ui/session/renew", Some(json!({}))).await.is(StatusCode::OK);
    jar.take(&renewed);
    site.ask(&jar, Method::GET, "/api/v1/me", None).await.is(StatusCode::OK);
    site.set_password("other");
    let refused = site.ask(&jar, Method::POST, "/ui/session/renew", Some(json!({}))).await;
    refused.is_problem(ProblemKind::Unauthenticated);
    jar.take(&refused);
    assert!(jar.0.is_empty(), "the cookies are gone");
}

#[tokio::test]
async fn a_session_survives_that_its_renewal_cant_be_looked_at_now() {
    let site = Site::start().await;
    let mut jar = site.sign_in().await;
    std::fs::remove_file(site.users()).unwrap();
    let answer = site.ask(&jar, Method::POST, "/ui/session/renew", Some(json!({}))).await;
    answer.is_problem(ProblemKind::PasswordsUnavailable);
    jar.take(&answer);
    site.ask(&jar, Method::GET, "/api/v1/me", None).await.is(StatusCode::OK);
    assert!(!Path::new(&site.users()).exists());
}

#[tokio::test]
async fn signing_out_takes_the_cookies_and_clears_this_hosts_cache_alone() {
    let site = Site::start().await;
    let mut jar = site.sign_in().await;
    let answer = site.ask(&jar, Method::POST, "/ui/session/logout", None).await.is(StatusCode::OK);
    assert_eq!(answer.header("clear-site-data"), "\"cache\"");
    jar.take(&answer);
    assert!(jar.0.is_empty());
    let session: Value = site.ask(&jar, Method::GET, "/ui/session", None).await.json();
    assert_eq!(
        session,
        json!({
            "renewable": false, "passwords": true, "providers": [], "demonstration": false, "embedIn": [],
            "idleSeconds": 1_800, "maskCallers": "numbers",
        })
    );
}

#[tokio::test]
async fn who_signed_in_and_out_is_on_record_and_who_failed_to_isnt_named() {
    let site = Site::start().await;
    let jar = site.sign_in().await;
    let wrong = json!({ "name": "alice", "password": "wrong" });
    site.ask(&jar, Method::POST, "/ui/session/password", Some(wrong))
        .await
        .is_problem(ProblemKind::Unauthenticated);
    site.ask(&jar, Method::POST, "/ui/session/renew", None).await.is(StatusCode::OK);
    site.ask(&jar, Method::POST, "/ui/session/logout", None).await.is(StatusCode::OK);
    // Without a session nobody signs out.
    site.ask(&Jar::default(), Method::POST, "/ui/session/logout", None).await.is(StatusCode::OK);
    let page: Value = site.api.get("/audit?action=signIn,signOut").await.is(StatusCode::OK).json();
    let events = page["events"].as_array().unwrap();
    let seen: Vec<_> = events.iter().map(|event| (&event["action"], &event["user"])).collect();
    assert_eq!(seen, [(&json!("signIn"), &json!("alice")), (&json!("signOut"), &json!("alice"))], "{page}");
}

#[tokio::test]
async fn a_mailboxs_greetings_are_listed_for_whoever_may_hear_them() {
    let site = Site::start().await;
    let list: Value = site.api.get("/mailboxes/1001/greetings").await.is(StatusCode::OK).json();
    assert_eq!(list, json!({ "greetings": [] }));
    site.api.record_greeting("1001", "name").await;
    site.api.record_greeting("1001", "standard").await;
    let jar = site.sign_in().await;
    let path = "/api/v1/mailboxes/1001/greetings";
    let list: Value = site.ask(&jar, Method::GET, path, None).await.is(StatusCode::OK).json();
    let kinds: Vec<&str> =
        list["greetings"].as_array().unwrap().iter().filter_map(|one| one["kind"].as_str()).collect();
    assert_eq!(kinds, ["standard", "name"]);
    let foreign = "/api/v1/mailboxes/1002/greetings";
    site.ask(&jar, Method::GET, foreign, None).await.is_problem(ProblemKind::UnknownMailbox);
}
