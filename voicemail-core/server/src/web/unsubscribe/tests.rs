//! The click that ends mails, in process: what it changes, whose it is, and what is on record.

use crate::http::tests::{Answer, Api};
use crate::http::{ProblemKind, router_beside};
use axum::Router;
use axum::body::Body;
use axum::http::{Method, Request, StatusCode};
use serde_json::{Value, json};
use voicemail_api::config::{BasicConfig, EmailContent, TenantConfig, WebConfig};
use voicemail_mailer::unsubscribe_at;
use voicemail_model::{EmailAddress, User, UserId};

const ONE_CLICK: &str = "List-Unsubscribe=One-Click";

struct Site {
    api: Api,
    routes: Router,
    _users: tempfile::NamedTempFile,
}

impl Site {
    /// Alice's mails go to her address.
    async fn start() -> Self {
        let api = Api::start().await;
        let routes = router_beside(api.app(), crate::web::routes());
        let users = tempfile::NamedTempFile::new().unwrap();
        let host = Some("voicemail.example".into());
        api.reconfigure(|config| {
            config.auth.basic = Some(BasicConfig { users_file: users.path().into() });
            config.web = Some(WebConfig { host, passwords: true, ..WebConfig::default() });
        });
        let site = Self { api, routes, _users: users };
        site.provision("alice@example.com").await;
        site
    }

    async fn provision(&self, email: &str) {
        let body = json!({ "mailboxes": ["1001"], "groups": ["sales"], "email": email });
        self.api.put("/users/alice", body).await.is(StatusCode::OK);
    }

    /// The path of a link in a mail to alice.
    fn link(&self, address: &str, generation: u32) -> String {
        let core = self.api.app().core().unwrap();
        let config: TenantConfig = self.api.app().config().as_ref().clone();
        let (alice, address): (UserId, EmailAddress) = ("alice".parse().unwrap(), address.parse().unwrap());
        let mailbox = "1001".parse().unwrap();
        let url = unsubscribe_at(&core, &config, &alice, &address, (&mailbox, generation)).unwrap();
        url.strip_prefix("https://voicemail.example").unwrap().to_owned()
    }

    async fn get(&self, path: &str) -> Answer {
        let request = Request::builder().uri(path).header("accept-language", "de");
        Api::answer_of(&self.routes, request.body(Body::empty()).unwrap()).await
    }

    async fn post(&self, path: &str, kind: &str, body: &str) -> Answer {
        let request = Request::builder().method(Method::POST).uri(path).header("content-type", kind);
        Api::answer_of(&self.routes, request.body(Body::from(body.to_owned())).unwrap()).await
    }

    async fn click(&self, path: &str) -> Answer {
        self.post(path, "application/x-www-form-urlencoded", ONE_CLICK).await
    }

    async fn alice(&self) -> User {
        self.api.app().core().unwrap().directory.get_user(&"alice".parse().unwrap()).await.unwrap()
    }

    async fn is_told_nothing(&self) -> bool {
        self.alice().await.told(EmailContent::Audio) == EmailContent::None
    }
}

#[tokio::test]
async fn looking_at_the_link_changes_nothing_and_one_click_ends_the_mails_however_often() {
    let site = Site::start().await;
    let link = site.link("alice@example.com", 1);
    let page = site.get(&link).await.is(StatusCode::OK);
    assert!(
        page.text().contains("<form method=\"post\">") && page.text().contains("lang=\"de\""),
        "{page:?}"
    );
    let policy = page.header("content-security-policy");
    assert!(policy.contains("default-src 'none'") && policy.contains("form-action 'self'"), "{policy}");
    assert_eq!((page.header("referrer-policy"), page.header("cache-control")), ("no-referrer", "no-store"));
    for personal in ["alice", "1001", "example.com"] {
        assert!(!page.text().contains(personal) && !link.contains(personal), "{personal}");
    }
    assert!(!site.is_told_nothing().await);
    for _ in 0..2 {
        site.click(&link).await.is(StatusCode::OK);
        assert!(site.is_told_nothing().await);
    }
    site.provision("alice@example.com").await;
    assert!(site.is_told_nothing().await, "provisioning doesn't undo it");
    let page: Value = site.api.get("/audit").await.is(StatusCode::OK).json();
    let of_clicks = page["events"].as_array().unwrap().iter().filter(|event| event["actor"] == "email");
    let of_clicks: Vec<_> = of_clicks.map(|event| (&event["action"], &event["subject"]["user"])).collect();
    assert_eq!(of_clicks, [(&json!("setOwnEmail"), &json!("alice")); 2]);
}

#[tokio::test]
async fn both_codings_of_forms_are_a_click_and_nothing_else_is() {
    let site = Site::start().await;
    let link = site.link("alice@example.com", 1);
    for body in ["", "List-Unsubscribe=", "x=y"] {
        let answer = site.post(&link, "application/x-www-form-urlencoded", body).await;
        answer.is_problem(ProblemKind::InvalidValue);
        assert!(!site.is_told_nothing().await);
    }
    let parts =
        "--cut\r\nContent-Disposition: form-data; name=\"List-Unsubscribe\"\r\n\r\nOne-Click\r\n--cut--\r\n";
    site.post(&link, "multipart/form-data; boundary=cut", parts).await.is(StatusCode::OK);
    assert!(site.is_told_nothing().await);
    let large = format!("{ONE_CLICK}&x={}", "x".repeat(20_000));
    let refused = site.post(&link, "application/x-www-form-urlencoded", &large).await;
    refused.is(StatusCode::PAYLOAD_TOO_LARGE);
}

#[tokio::test]
async fn a_link_of_an_address_or_a_mailbox_of_before_ends_nothing_and_says_so() {
    let site = Site::start().await;
    let (former, of_former_box) = (site.link("alice@example.com", 1), site.link("alice@example.org", 2));
    site.provision("alice@example.org").await;
    for link in [&former, &of_former_box] {
        assert!(site.get(link).await.is(StatusCode::GONE).text().contains("bewirkt nichts mehr"));
        site.click(link).await.is(StatusCode::GONE);
        assert!(!site.is_told_nothing().await);
    }
    let newest = site.link("alice@example.org", 1);
    site.api.put("/users/alice", json!({ "email": "alice@example.org" })).await.is(StatusCode::OK);
    site.click(&newest).await.is(StatusCode::GONE);
    site.api.delete("/users/alice").await.is(StatusCode::NO_CONTENT);
    site.click(&newest).await.is(StatusCode::GONE);
}

#[tokio::test]
async fn a_link_that_was_cut_short_is_of_nobody() {
    let site = Site::start().await;
    let link = site.link("alice@example.com", 1);
    for broken in
        [&link[..link.len() - 4], "/ui/unsubscribe/x", &format!("/ui/unsubscribe/{}", "A".repeat(900))]
    {
        assert!(site.get(broken).await.is(StatusCode::NOT_FOUND).text().contains("nicht vollständig"));
        site.click(broken).await.is(StatusCode::NOT_FOUND);
    }
    assert!(!site.is_told_nothing().await);
}
