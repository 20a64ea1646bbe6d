//! Signing in at real issuers (oidc-provider, two of them), as a browser is sent there and back; and what attackers try.

use std::collections::BTreeMap;

use reqwest::header::{COOKIE, LOCATION, SET_COOKIE};
use reqwest::{Client, Response, Url, redirect};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;
use voicemail_test_machine::servers::browser::Browser;
use voicemail_test_machine::servers::{Keycloak, OidcServer, find_free_port, loopback};

/// A core with pages, whose people sign in at two issuers.
pub(crate) struct Site {
    pub(crate) base: String,
    pub(crate) issuers: [OidcServer; 2],
    core: Child,
    _files: TempDir,
}

impl Drop for Site {
    fn drop(&mut self) {
        let _ = self.core.kill();
        let _ = self.core.wait();
    }
}

impl Site {
    async fn start() -> Self {
        Self::start_with(|_| {}).await
    }

    /// With what else the configuration says.
    pub(crate) async fn start_with(change: impl FnOnce(&mut Value)) -> Self {
        Self::start_at(find_free_port(loopback()).unwrap(), change).await
    }

    async fn start_at(address: SocketAddr, change: impl FnOnce(&mut Value)) -> Self {
        let base = format!("http://localhost:{}", address.port());
        let back = |provider: u8| vec![format!("{base}/ui/session/callback/{provider}")];
        let issuers = [
            OidcServer::start_for_pages(loopback(), "alice", &back(0)).await.unwrap(),
            OidcServer::start_for_pages(loopback(), "mallory", &back(1)).await.unwrap(),
        ];
        let files = tempfile::tempdir().unwrap();
        let path = |name: &str| files.path().join(name);
        for folder in ["keys", "store"] {
            std::fs::create_dir(path(folder)).unwrap();
        }
        std::fs::write(path("keys/tenant.key"), [b'k'; 32]).unwrap();
        let receipt = rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap().serialize_pem();
        std::fs::write(path("keys/receipt.key"), receipt).unwrap();
        std::fs::write(path("id"), "web").unwrap();
        std::fs::write(path("secret"), "web-secret").unwrap();
        let issuer = |server: &OidcServer| {
            json!({
                "issuer": server.issuer(), "audience": "voicemail", "rolesClaim": "scope", "userPrefix": "",
                "roleMap": { "voicemail:agent": "agent" },
            })
        };
        let login = |server: &OidcServer| {
            json!({
                "issuer": server.issuer(), "label": server.issuer(), "clientIdFile": path("id"),
                "clientSecretFile": path("secret"), "resource": "urn:voicemail:signed",
                "scopes": ["openid", "offline_access", "voicemail:agent"],
            })
        };
        let mut config = json!({
            "tenantId": "pages", "cluster": "c", "region": "r", "defaultNumberRegion": "GB", "keysDir": path("keys"),
            "regions": [{ "name": "r", "master": true, "storage": { "volume": { "path": path("store") } } }],
            "listen": { "api": address, "metrics": "127.0.0.1:0" },
            "auth": { "issuers": issuers.iter().map(issuer).collect::<Vec<_>>() },
            "web": { "host": format!("localhost:{}", address.port()), "login": issuers.iter().map(login).collect::<Vec<_>>() },
        });
        change(&mut config);
        std::fs::write(path("config.yaml"), config.to_string()).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_voicemail"));
        command.args(["serve", "--config"]).arg(path("config.yaml")).stdout(Stdio::null());
        let core = command.spawn().unwrap();
        let site = Self { base, issuers, core, _files: files };
        site.wait_until_open().await;
        site
    }

    async fn wait_until_open(&self) {
        let (client, end) = (Visitor::new().client, Instant::now() + Duration::from_secs(60));
        loop {
            let request = client.get(self.url("/ui/session")).header("sec-fetch-site", "same-origin");
            if request.send().await.is_ok_and(|answer| answer.status().is_success()) {
                return;
            }
            assert!(Instant::now() < end, "the core doesn't open");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    fn url(&self, path: &str) -> Url {
        Url::parse(&format!("{}{path}", self.base)).unwrap()
    }
}

/// A browser as far as redirects and cookies go.
struct Visitor {
    client: Client,
    /// By host and port, then by name.
    jar: BTreeMap<String, BTreeMap<String, String>>,
}

impl Visitor {
    fn new() -> Self {
        let client = Client::builder().redirect(redirect::Policy::none()).no_proxy().build().unwrap();
        Self { client, jar: BTreeMap::new() }
    }

    fn key(url: &Url) -> String {
        format!("{}:{}", url.host_str().unwrap(), url.port().unwrap())
    }

    async fn send(&mut self, method: reqwest::Method, url: &Url) -> Response {
        self.send_form(method, url, None).await
    }

    async fn send_form(
        &mut self,
        method: reqwest::Method,
        url: &Url,
        form: Option<&[(&str, &str)]>,
    ) -> Response {
        let cookies = self.jar.entry(Self::key(url)).or_default();
        let text =
            cookies.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("; ");
        let request = self.client.request(method, url.clone()).header(COOKIE, text);
        let request = match form {
            Some(form) => request.form(form),
            None => request,
        };
        let answer = request
            .header("sec-fetch-site", "same-origin")
            .header("x-voicemail-page", "1")
            .send()
            .await
            .unwrap();
        for line in answer.headers().get_all(SET_COOKIE) {
            let line = line.to_str().unwrap();
            let (name, rest) = line.split_once('=').unwrap();
            let value = rest.split(';').next().unwrap();
            if value.is_empty() || line.contains("Max-Age=0") || line.contains("1970") {
                cookies.remove(name);
            } else {
                cookies.insert(name.to_owned(), value.to_owned());
            }
        }
        answer
    }

    /// Goes where it is sent, until an address that `stop` takes, which isn't visited.
    async fn follow(&mut self, from: Url, stop: impl Fn(&Url) -> bool) -> Url {
        let mut at = from;
        for _ in 0..12 {
            let answer = self.send(reqwest::Method::GET, &at).await;
            let location = answer.headers().get(LOCATION);
            let next = at
                .join(location.unwrap_or_else(|| panic!("{at}: {}", answer.status())).to_str().unwrap())
                .unwrap();
            if stop(&next) {
                return next;
            }
            at = next;
        }
        panic!("sent around in circles: {at}");
    }

    /// The address that an issuer sends the browser back to.
    async fn sign_in_there(&mut self, site: &Site, provider: usize, to: &str) -> Url {
        let begin = format!("/ui/session/login?provider={provider}&to={to}");
        self.follow(site.url(&begin), |url| url.path().starts_with("/ui/session/callback/")).await
    }

    /// The address that Keycloak sends the browser back to, after the form that it shows.
    async fn sign_in_at_keycloak(&mut self, site: &Site) -> Url {
        let begin = site.url("/ui/session/login?provider=2&to=/ui/inbox/1001");
        let there = self.follow(begin, |url| url.path().ends_with("/openid-connect/auth")).await;
        let page = self.send(reqwest::Method::GET, &there).await.text().await.unwrap();
        let (_, form) = page.split_once("action=\"").unwrap_or_else(|| panic!("no form: {page}"));
        let action = form.split('"').next().unwrap().replace("&amp;", "&");
        let form = [("username", "alice"), ("password", "right")];
        let answer = self.send_form(reqwest::Method::POST, &Url::parse(&action).unwrap(), Some(&form)).await;
        let back = answer.headers().get(LOCATION).unwrap_or_else(|| panic!("{}", answer.status()));
        there.join(back.to_str().unwrap()).unwrap()
    }

    /// Where our own page is that the browser ends at.
    async fn come_back(&mut self, back: &Url) -> String {
        let page =
            self.follow(back.clone(), |url| url.path() == "/ui" || url.path().starts_with("/ui/inbox")).await;
        page.as_str().strip_prefix(&format!("http://{}", Self::key(&page))).unwrap().to_owned()
    }

    async fn who(&mut self, site: &Site) -> Option<String> {
        let answer = self.send(reqwest::Method::GET, &site.url("/api/v1/me")).await;
        if !answer.status().is_success() {
            return None;
        }
        let me: Value = answer.json().await.unwrap();
        Some(me["user"].as_str().unwrap().to_owned())
    }

    fn ours(&self, site: &Site) -> Vec<&str> {
        let key = Self::key(&site.url("/"));
        self.jar.get(&key).into_iter().flat_map(|jar| jar.keys().map(String::as_str)).collect()
    }

    async fn renew(&mut self, site: &Site) -> u16 {
        self.send(reqwest::Method::POST, &site.url("/ui/session/renew")).await.status().as_u16()
    }
}

/// As it stands in a query.
fn encoded(text: &str) -> String {
    let mut url = Url::parse("http://localhost").unwrap();
    url.query_pairs_mut().append_pair("v", text);
    url.query().unwrap().trim_start_matches("v=").to_owned()
}

const FAILED: &str = "/ui?problem=sign-in-failed";

#[tokio::test(flavor = "multi_thread")]
async fn people_sign_in_where_their_company_does_and_out_again() {
    let mut site = Site::start().await;
    let mut alice = Visitor::new();
    let back = alice.sign_in_there(&site, 0, "/ui/inbox/1001").await;
    assert_eq!(alice.ours(&site), ["__Host-Http-vm-login"]);
    assert_eq!(alice.come_back(&back).await, "/ui/inbox/1001");
    assert_eq!(
        alice.ours(&site),
        ["__Host-Http-vm", "__Secure-Http-vm-refresh"],
        "the way there is forgotten"
    );
    assert_eq!(alice.who(&site).await.as_deref(), Some("alice"));
    assert_eq!(alice.renew(&site).await, 200);
    assert_eq!(alice.renew(&site).await, 200, "by the next refresh token");
    assert_eq!(alice.who(&site).await.as_deref(), Some("alice"));
    // An issuer that is away ends nobody's session; one that knows them no more does.
    site.issuers[0].kill().unwrap();
    assert_eq!(alice.renew(&site).await, 503);
    assert_eq!(alice.who(&site).await.as_deref(), Some("alice"));
    site.issuers[0].forget_all().await.unwrap();
    let mut other = Visitor::new();
    let back = other.sign_in_there(&site, 0, "/ui").await;
    assert_eq!(other.come_back(&back).await, "/ui");
    let answer = other.send(reqwest::Method::POST, &site.url("/ui/session/logout")).await;
    let end: Value = answer.json().await.unwrap();
    let end = end["endSession"].as_str().unwrap();
    assert!(end.starts_with(&site.issuers[0].issuer()) && end.contains("client_id=web"), "{end}");
    assert!(other.ours(&site).is_empty());
    assert_eq!(other.who(&site).await, None);
    assert_eq!(alice.renew(&site).await, 401);
    assert!(alice.ours(&site).is_empty());
    assert_eq!(alice.who(&site).await, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_attackers_bring_back_signs_nobody_in() {
    let site = Site::start().await;
    // Another state, and none.
    let mut alice = Visitor::new();
    let mut back = alice.sign_in_there(&site, 0, "/ui").await;
    let good = back.clone();
    back.set_query(Some(&good.query().unwrap().replace("state=", "state=x")));
    assert_eq!(alice.come_back(&back).await, FAILED);
    // The attempt is over with its first answer, whatever that was.
    assert_eq!(alice.come_back(&good).await, FAILED);
    assert_eq!(alice.who(&site).await, None);

    // An attacker's own answer in the victim's browser (login CSRF): it isn't the one that began.
    let mut mallory = Visitor::new();
    let theirs = mallory.sign_in_there(&site, 1, "/ui").await;
    let mut victim = Visitor::new();
    assert_eq!(victim.come_back(&theirs).await, FAILED);
    let mut victim = Visitor::new();
    victim.sign_in_there(&site, 1, "/ui").await;
    assert_eq!(victim.come_back(&theirs).await, FAILED);
    assert_eq!(victim.who(&site).await, None);

    // A code that was used before, with all that belonged to it.
    let mut alice = Visitor::new();
    let back = alice.sign_in_there(&site, 0, "/ui").await;
    let kept = alice.jar.clone();
    assert_eq!(alice.come_back(&back).await, "/ui");
    let mut again = Visitor::new();
    again.jar = kept;
    assert_eq!(again.come_back(&back).await, FAILED);
    assert_eq!(again.who(&site).await, None);

    // The answer of one issuer at the other's address (mix-up).
    let mut alice = Visitor::new();
    let mut back = alice.sign_in_there(&site, 0, "/ui").await;
    back.set_path("/ui/session/callback/1");
    assert_eq!(alice.come_back(&back).await, FAILED);
    let mut alice = Visitor::new();
    let mut back = alice.sign_in_there(&site, 0, "/ui").await;
    let (own, other) = (encoded(&site.issuers[0].issuer()), encoded(&site.issuers[1].issuer()));
    let query = back.query().unwrap();
    assert!(query.contains(&own), "{query}");
    back.set_query(Some(&query.replace(&own, &other)));
    assert_eq!(alice.come_back(&back).await, FAILED);
    assert_eq!(alice.who(&site).await, None);

    // To somebody else's page.
    for elsewhere in [
        "https://evil.example/",
        "//evil.example",
        "/ui//evil.example",
        "/%5Cevil.example",
        "/ui/session/logout",
    ] {
        let mut alice = Visitor::new();
        let back = alice.sign_in_there(&site, 0, elsewhere).await;
        assert_eq!(alice.come_back(&back).await, "/ui", "{elsewhere}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn in_a_browser_a_click_signs_in_and_other_sites_pages_can_do_nothing() {
    let site = Site::start().await;
    let base = site.base.clone();
    let run = move || {
        let browser = Browser::install().unwrap();
        browser.run("login.test.mjs", &[("URL", &base), ("PEOPLE", "{}")])
    };
    tokio::task::spawn_blocking(run).await.unwrap().unwrap_or_else(|error| panic!("{error:#}"));
}

/// A tenant with a third issuer, which shares no code with the first two.
async fn site_with_keycloak() -> (Site, Keycloak) {
    let address = find_free_port(loopback()).unwrap();
    let redirect = format!("http://localhost:{}/ui/session/callback/2", address.port());
    let keycloak = Keycloak::start(loopback(), &redirect).await.unwrap();
    let issuer = keycloak.issuer();
    let add = |config: &mut Value| {
        let mut login = config["web"]["login"][0].clone();
        (login["issuer"], login["scopes"]) = (json!(issuer), json!(["openid", "offline_access"]));
        login.as_object_mut().unwrap().remove("resource");
        config["web"]["login"].as_array_mut().unwrap().push(login);
        config["auth"]["issuers"].as_array_mut().unwrap().push(json!({
            "issuer": issuer, "audience": "voicemail", "userClaim": "preferred_username", "userPrefix": "",
            "rolesClaim": "realm_access.roles", "roleMap": { "voicemail-agent": "agent" },
        }));
    };
    (Site::start_at(address, add).await, keycloak)
}

#[tokio::test(flavor = "multi_thread")]
async fn people_sign_in_at_keycloak_and_what_attackers_bring_back_from_it_signs_nobody_in() {
    let (site, mut keycloak) = site_with_keycloak().await;
    let mut alice = Visitor::new();
    let back = alice.sign_in_at_keycloak(&site).await;
    let kept = alice.jar.clone();
    assert_eq!(alice.come_back(&back).await, "/ui/inbox/1001");
    assert_eq!(alice.who(&site).await.as_deref(), Some("alice"));
    assert_eq!(
        (alice.renew(&site).await, alice.renew(&site).await),
        (200, 200),
        "its refresh tokens count, too"
    );

    // A code that was used before, with all that belonged to it.
    let mut again = Visitor::new();
    again.jar = kept;
    assert_eq!(again.come_back(&back).await, FAILED);
    // Another state; another issuer's name on its answer, and its answer at another issuer's address.
    let (own, other) = (encoded(&keycloak.issuer()), encoded(&site.issuers[0].issuer()));
    for (from, to) in [("state=", "state=x"), (own.as_str(), other.as_str())] {
        let mut visitor = Visitor::new();
        let mut back = visitor.sign_in_at_keycloak(&site).await;
        let query = back.query().unwrap().replace(from, to);
        assert_ne!(back.query(), Some(query.as_str()));
        back.set_query(Some(&query));
        assert_eq!(visitor.come_back(&back).await, FAILED, "{from}");
    }
    let mut visitor = Visitor::new();
    let mut back = visitor.sign_in_at_keycloak(&site).await;
    back.set_path("/ui/session/callback/0");
    assert_eq!(visitor.come_back(&back).await, FAILED);
    assert_eq!(visitor.who(&site).await, None);

    // Who signs out here is told where to end the session there; without one there is none to end.
    let mut other = Visitor::new();
    let back = other.sign_in_at_keycloak(&site).await;
    assert_eq!(other.come_back(&back).await, "/ui/inbox/1001");
    let answer = other.send(reqwest::Method::POST, &site.url("/ui/session/logout")).await;
    let end: Value = answer.json().await.unwrap();
    let end = end["endSession"].as_str().unwrap();
    assert!(end.starts_with(&keycloak.issuer()) && end.contains("client_id=web"), "{end}");
    assert_eq!(other.who(&site).await, None);
    let answer = again.send(reqwest::Method::POST, &site.url("/ui/session/logout")).await;
    assert_eq!(answer.json::<Value>().await.unwrap(), json!({}));
    // Away, it ends nobody's session.
    keycloak.kill().unwrap();
    assert_eq!(alice.renew(&site).await, 503);
    assert_eq!(alice.who(&site).await.as_deref(), Some("alice"));
}
