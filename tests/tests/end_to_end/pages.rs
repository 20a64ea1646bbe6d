//! The pages of a tenant on the cluster, with the configuration that the operator makes: agents sign in at an issuer of the
//! company's own authority by a client secret of a Secret, and `WebReady` says what is in the way.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test's failure is a panic")]

use std::net::IpAddr;

use k8s_openapi::api::core::v1::ConfigMap;
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use voicemail_resources::conditions::{ConditionStatus, WEB_READY};
use voicemail_resources::voicemail_tenant::VoicemailTenant;
use voicemail_test_cluster::layout::HOST_IP;
use voicemail_test_machine::servers::OidcServer;
use voicemail_test_machine::servers::browser::{Browser, trust};
use voicemail_test_machine::servers::tls_tunnel::{Authority, serve_tls};
use voicemail_test_machine::speech::{Coding, Studio};
use voicemail_tests::served_tenant::{MAILBOX, serve};
use voicemail_tests::stage::{Deposit, Site, Tenant};
use voicemail_tests::tenant_manifest::{condition, tenant_on};
use voicemail_tests::tenant_place::TenantPlace;
use voicemail_tests::tenant_stores::secret;

use ConditionStatus::{False, True};

const LOGIN: &str = "acme-pages";
const COMPANY: &str = "company-ca";

/// The company's issuer, behind TLS by the company's own authority.
struct Issuer {
    server: OidcServer,
    authority: Authority,
    url: String,
    _tunnel: JoinHandle<()>,
}

impl Issuer {
    /// Nobody answers there until it is published.
    async fn prepare() -> Self {
        let (listen, authority) = (HOST_IP.parse().unwrap(), Authority::new("company").unwrap());
        let mut server = OidcServer::start(listen).await.unwrap();
        let identity = authority.issue(&[HOST_IP]).unwrap();
        let (address, tunnel) = serve_tls(&identity, listen, server.address()).await.unwrap();
        server.kill().unwrap();
        Self { server, authority, url: format!("https://{address}"), _tunnel: tunnel }
    }

    /// Names the issuer in a tenant's spec.
    fn write_into(&self, tenant: &mut VoicemailTenant, host: &str) {
        let spec = &mut tenant.spec;
        let issuer = json!({
            "issuer": self.url, "audience": "voicemail", "rolesClaim": "scope", "userPrefix": "",
            "roleMap": {"voicemail:agent": "Agent"}, "caRef": {"kind": "ConfigMap", "name": COMPANY},
        });
        spec.auth.issuers.push(serde_json::from_value(issuer).unwrap());
        let web = json!({"host": host, "login": [{
            "issuer": self.url, "label": "Acme", "secretRef": {"name": LOGIN}, "resource": "urn:voicemail:signed",
            "scopes": ["openid", "offline_access", "voicemail:agent"],
        }]});
        spec.web = Some(serde_json::from_value(web).unwrap());
    }

    fn authority_map(&self) -> ConfigMap {
        let map: Value = json!({"metadata": {"name": COMPANY}, "data": {"ca.crt": self.authority.pem()}});
        serde_json::from_value(map).unwrap()
    }
}

async fn wait_web(place: &TenantPlace, status: ConditionStatus, reason: &str, names: &str) {
    let tenant = place.wait_condition("acme", WEB_READY, status, reason).await.unwrap();
    let message = &condition(&tenant, WEB_READY).unwrap().message;
    assert!(message.contains(names), "{reason} doesn't name {names}: {message}");
}

#[tokio::test(flavor = "multi_thread")]
async fn agents_sign_in_at_the_issuer_that_the_tenant_names_and_web_ready_says_what_is_in_the_way() {
    voicemail_test_machine::install_crypto();
    let mut place = TenantPlace::prepare("pages").await.unwrap();
    let mut issuer = Issuer::prepare().await;
    let (volume, _) = place.create_volume().await.unwrap();
    let host = format!("acme-voicemail.{}.svc:8081", place.namespace.name());
    let mut tenant = tenant_on("acme", &volume).unwrap();
    tenant.spec.replicas = 1;
    issuer.write_into(&mut tenant, &host);
    place.create(&issuer.authority_map()).await.unwrap();
    // Messages are left and listened to by tokens meanwhile.
    let people = serve(&place, tenant.clone()).await.unwrap();
    let audio = Studio::open().unwrap().speak("please call me back", Coding::ALaw).unwrap();
    let message = Deposit {
        caller_name: Some("Ada Lovelace".into()),
        ..Deposit::new(MAILBOX, "+442079460101", &audio)
    };
    people.media_server.deposit(&message).await.unwrap();

    wait_web(&place, False, "WebSecretNotFound", LOGIN).await;
    place.create(&secret(LOGIN, &[("clientId", "web")])).await.unwrap();
    wait_web(&place, False, "WebSecretIncomplete", "clientSecret").await;
    let whole = r#"{"stringData": {"clientSecret": "web-secret"}}"#;
    place.kubectl(&["patch", "secret", LOGIN, "-p", whole]).unwrap();
    wait_web(&place, False, "IssuerUnreachable", &issuer.url).await;
    let (url, back) = (issuer.url.clone(), format!("https://{host}/ui/session/callback/0"));
    issuer.server.publish(&url, "alice", &[back]).await.unwrap();
    wait_web(&place, True, "PagesServed", "issuers answer").await;
    visit(&place, &tenant, &issuer, &host).await;
}

/// The agent works in a browser that trusts the company's authority and the tenant's.
async fn visit(place: &TenantPlace, tenant: &VoicemailTenant, issuer: &Issuer, host: &str) {
    let site = Site::of_cluster(place.cluster.clone()).await.unwrap();
    let existing = Tenant::existing(&site, place.namespace.name(), tenant);
    let way = existing.open_way().await.unwrap();
    let own = String::from_utf8(existing.authority().await.unwrap()).unwrap();
    let home = tempfile::tempdir().unwrap();
    trust(home.path(), &[own, issuer.authority.pem()]).unwrap();
    let base = format!("https://{host}");
    let run = move || {
        let address = match way.address().ip() {
            IpAddr::V4(address) => address.to_string(),
            IpAddr::V6(address) => format!("[{address}]"),
        };
        let rules = format!("MAP {} {address}", way.host());
        let home = home.path().display().to_string();
        let variables = [("URL", base.as_str()), ("PEOPLE", "{}"), ("RESOLVE", &rules), ("HOME", &home)];
        Browser::install()?.run("tenant.test.mjs", &variables)
    };
    tokio::task::spawn_blocking(run)
        .await
        .unwrap()
        .unwrap_or_else(|error: anyhow::Error| panic!("{error:#}"));
}
