//! The pages: an agent signs in with a password and sees the mailboxes, as the page in the browser does it.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use reqwest::{Certificate, Client, RequestBuilder, header};
use serde_json::{Value, json};
use voicemail_resources::conditions::{ConditionStatus, WEB_READY};
use voicemail_resources::{TENANT_USABLE_LABEL, VoicemailTenant};
use voicemail_tests::stage::{Site, Steps};
use voicemail_tests::tenant_manifest::wait_condition;

use crate::cast::ALICE;
use crate::setup::{NAMESPACE, Scene};

/// Where the tour forwards the tenant's port to.
const FORWARDED: &str = "localhost:8081";
/// Secret with the people who have passwords.
const PEOPLE: &str = "acme-people";
const PATIENCE: Duration = Duration::from_secs(180);
/// The cheapest that bcrypt has: the passwords live as long as the demo's tenant.
const COST: u32 = 4;

/// People with passwords, made anew by each run.
pub(super) struct People(Vec<(&'static str, String)>);

impl People {
    /// Alice and Bob.
    pub(super) fn make() -> Self {
        let password = || uuid::Uuid::new_v4().simple().to_string().chars().take(12).collect();
        Self(["alice", "bob"].map(|name| (name, password())).into())
    }

    /// Puts the Secret with their hashes into the tenant's namespace.
    pub(super) async fn bring(&self, site: &Site) -> Result<()> {
        let line = |(name, password): &(&str, String)| {
            Ok::<String, anyhow::Error>(format!("{name}:{}:agent:{name}\n", bcrypt::hash(password, COST)?))
        };
        let users: String = self.0.iter().map(line).collect::<Result<_>>()?;
        let metadata = json!({"name": PEOPLE, "labels": {TENANT_USABLE_LABEL: "true"}});
        let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": {"users": users}});
        site.apply_text(NAMESPACE, secret.to_string()).await.map(drop)
    }

    /// Each with the password.
    pub(super) fn describe(&self) -> String {
        let words: Vec<String> = self.0.iter().map(|(name, password)| format!("{name} {password}")).collect();
        words.join(", ")
    }
}

/// What the tenant's spec says of them: people sign in by their passwords, at a forwarded port of this machine.
pub(super) fn write_into(spec: &mut Value) {
    spec["auth"]["basic"] = json!({"secretRef": {"name": PEOPLE}});
    spec["web"] = json!({"host": FORWARDED, "passwords": "Allowed"});
}

/// Signs in; gives the address of the page. On the local cluster the tenant's own address leads there from this machine.
pub(super) async fn open(scene: &Scene, steps: &mut Steps) -> Result<String> {
    let way = scene.tenant.open_way().await?;
    let signing_in = async {
        let tenants: kube::Api<VoicemailTenant> = scene.site.api(NAMESPACE)?;
        let wanted = (WEB_READY, ConditionStatus::True, "PagesServed");
        wait_condition(&tenants, scene.tenant.name(), wanted, PATIENCE).await?;
        let authority = Certificate::from_pem_bundle(&scene.tenant.authority().await?)?;
        let http = Client::builder().no_proxy().tls_certs_only(authority);
        let http = http.resolve(way.host(), way.address()).build()?;
        let base = format!("https://{}:{}", way.host(), way.address().port());
        sign_in(&http, &base, &scene.people).await
    };
    steps.run("alice signs in to the pages and sees her mailboxes", signing_in).await?;
    let host = match scene.site.cluster() {
        Some(_) => way.address().to_string(),
        None => FORWARDED.to_owned(),
    };
    Ok(format!("https://{host}/ui"))
}

/// As the page does it.
async fn sign_in(http: &Client, base: &str, people: &People) -> Result<()> {
    let page = http.get(format!("{base}/ui")).send().await?.error_for_status()?;
    let policy = page.headers().get(header::CONTENT_SECURITY_POLICY).context("the page has no policy")?;
    ensure!(policy.to_str()?.contains("frame-ancestors"), "the page's policy is {policy:?}");
    ensure!(page.text().await?.contains("/ui/a/"), "the page loads nothing");
    let of_page = |request: RequestBuilder| {
        request.header("Sec-Fetch-Site", "same-origin").header("X-Voicemail-Page", "1")
    };
    let (name, password) = people.0.first().context("nobody has a password")?;
    let ask = of_page(http.post(format!("{base}/ui/session/password")));
    let answer = ask.json(&json!({"name": name, "password": password})).send().await?.error_for_status()?;
    let cookies: Vec<&str> = answer
        .headers()
        .get_all(header::SET_COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok()?.split(';').next())
        .collect();
    let ask =
        of_page(http.get(format!("{base}/api/v1/me/mailboxes"))).header(header::COOKIE, cookies.join("; "));
    let boxes: Value = ask.send().await?.error_for_status()?.json().await?;
    ensure!(boxes["mailboxes"][0]["mailbox"] == ALICE, "alice sees {boxes}");
    Ok(())
}
