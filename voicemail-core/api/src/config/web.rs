//! The pages that a core serves below `/ui`: how people sign in, and for how long. Off unless it is there.

use super::check::rule;
use super::check_access::check_origins;
use super::{ConfigError, TenantConfig, duration};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::time::Duration;

const HOUR: u64 = 3_600;
const FRESH_LOGIN: Duration = Duration::from_secs(900);
const IDLE: Duration = Duration::from_secs(1_800);
const MOST_LOGINS: usize = 8;

/// The pages of one tenant.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct WebConfig {
    /// Host, and port unless it is 443, by which browsers reach the core, such as `voicemail.acme.example`: issuers send
    /// people back there. Needed with `login`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// Issuers where people sign in.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub login: Vec<LoginConfig>,
    /// Whether users of `auth.basic` may sign in by a form.
    pub passwords: bool,
    /// Origins of the pages that may show the Inbox in a frame, such as `https://desk.example.com`; none when empty.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub embed_in: Vec<String>,
    /// How long a session lasts.
    pub session: SessionConfig,
    /// How long ago somebody may have signed in who erases, decides about a case or puts a hold, 1 m to 24 h.
    #[serde(with = "duration", skip_serializing_if = "is_usual_fresh_login")]
    pub fresh_login: Duration,
    /// What the pages mask of callers until somebody asks to see it.
    #[serde(skip_serializing_if = "MaskCallers::is_usual")]
    pub mask_callers: MaskCallers,
}

/// What the pages mask of callers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum MaskCallers {
    /// Nothing.
    Never,
    /// Their numbers.
    #[default]
    Numbers,
    /// Their numbers and names.
    All,
}

impl MaskCallers {
    /// Cores of before can read what says nothing of it.
    fn is_usual(&self) -> bool {
        *self == Self::Numbers
    }
}

impl Default for WebConfig {
    fn default() -> Self {
        Self {
            host: None,
            login: Vec::new(),
            passwords: false,
            embed_in: Vec::new(),
            session: SessionConfig::default(),
            fresh_login: FRESH_LOGIN,
            mask_callers: MaskCallers::default(),
        }
    }
}

/// Cores of before can read what says nothing of it.
fn is_usual_fresh_login(fresh: &Duration) -> bool {
    *fresh == FRESH_LOGIN
}

/// One issuer where people sign in.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LoginConfig {
    /// One of `auth.issuers`, whose claims and role map hold here, too.
    pub issuer: String,
    /// Its name on the button.
    pub label: String,
    /// File with the client id that the core has there; re-read at every use.
    pub client_id_file: PathBuf,
    /// File with the client's secret; re-read at every use.
    pub client_secret_file: PathBuf,
    /// What to ask for; `openid` must be among it.
    #[serde(default = "default_scopes")]
    pub scopes: Vec<String>,
    /// The resource that the access token is for (RFC 8707), where the issuer wants one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource: Option<String>,
    /// Which token says who somebody is.
    #[serde(default)]
    pub identity_from: IdentityFrom,
}

/// The token that says who somebody is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum IdentityFrom {
    /// The access token, checked as any bearer token is.
    #[default]
    AccessToken,
    /// The ID token, for issuers whose access tokens aren't for this audience. Its claims are mapped as those are.
    IdToken,
}

/// How long a session lasts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct SessionConfig {
    /// From signing in to signing in again, 10 m to 24 h.
    #[serde(with = "duration")]
    pub lifetime: Duration,
    /// How long a page may go unused before it shows counts alone and keeps the role agent alone, 1 m to 24 h.
    #[serde(with = "duration", skip_serializing_if = "is_usual_idle")]
    pub idle: Duration,
    /// Raising it ends all sessions.
    pub epoch: u32,
}

impl Default for SessionConfig {
    fn default() -> Self {
        Self { lifetime: Duration::from_secs(12 * HOUR), idle: IDLE, epoch: 1 }
    }
}

/// Cores of before can read what says nothing of it.
fn is_usual_idle(idle: &Duration) -> bool {
    *idle == IDLE
}

fn default_scopes() -> Vec<String> {
    ["openid", "offline_access"].map(str::to_owned).into()
}

/// The rules of the pages.
///
/// # Errors
/// The first rule that is broken.
pub(super) fn check_web(config: &TenantConfig) -> Result<(), ConfigError> {
    let Some(web) = &config.web else { return Ok(()) };
    rule(!web.passwords || config.auth.basic.is_some(), "web.passwords", || {
        "give auth.basic a file of users, or leave it out".into()
    })?;
    rule(web.passwords || !web.login.is_empty(), "web", || {
        "let people sign in: name an issuer in login, or allow passwords".into()
    })?;
    rule((600..=24 * HOUR).contains(&web.session.lifetime.as_secs()), "web.session.lifetime", || {
        "write 10m to 24h".into()
    })?;
    for (time, field) in [(web.session.idle, "web.session.idle"), (web.fresh_login, "web.freshLogin")] {
        rule((60..=24 * HOUR).contains(&time.as_secs()), field, || "write 1m to 24h".into())?;
    }
    rule(web.login.len() <= MOST_LOGINS, "web.login", || format!("name at most {MOST_LOGINS} issuers"))?;
    rule(web.login.is_empty() || web.host.is_some(), "web.host", || {
        "write the host by which browsers reach the core, such as voicemail.acme.example".into()
    })?;
    rule(web.host.as_ref().is_none_or(|host| is_host(host)), "web.host", || {
        "write a host, and its port unless that is 443, without scheme and path: voicemail.acme.example"
            .into()
    })?;
    check_origins("web.embedIn", &web.embed_in)?;
    web.login.iter().try_for_each(|login| check_login(login, config))
}

fn check_login(login: &LoginConfig, config: &TenantConfig) -> Result<(), ConfigError> {
    let known = config.auth.issuers.iter().any(|issuer| issuer.issuer == login.issuer);
    rule(known, "web.login.issuer", || "name one of auth.issuers".into())?;
    rule((1..=64).contains(&login.label.chars().count()), "web.login.label", || {
        "write 1 to 64 characters".into()
    })?;
    let plain = |scope: &String| {
        (1..=128).contains(&scope.len())
            && scope.bytes().all(|b| b.is_ascii_graphic() && b != b'"' && b != b'\\')
    };
    rule(login.scopes.iter().all(plain), "web.login.scopes", || "write each scope without spaces".into())?;
    rule(login.scopes.iter().any(|scope| scope == "openid"), "web.login.scopes", || {
        "ask for openid, without which nobody says who has signed in".into()
    })
}

/// As a browser has it in an address: lower case, perhaps with a port.
fn is_host(host: &str) -> bool {
    let good = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b".-:[]".contains(&b);
    (1..=253).contains(&host.len()) && host.bytes().all(good)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(web: &str, auth: &str) -> Result<TenantConfig, ConfigError> {
        TenantConfig::parse(&format!(
            "{{tenantId: t, cluster: c, region: r, keysDir: /k, defaultNumberRegion: GB, \
             regions: [{{name: r, master: true, storage: {{volume: {{path: /v}}}}}}], \
             listen: {{api: '127.0.0.1:1', metrics: '127.0.0.1:2'}}, auth: {auth}, web: {web}}}"
        ))
    }

    const BASIC: &str = "{basic: {usersFile: /u}}";
    const ISSUER: &str = "{issuers: [{issuer: 'https://id', audience: v, roleMap: {}}]}";

    #[test]
    fn pages_take_a_way_to_sign_in_that_is_configured() {
        let web = config("{passwords: true}", BASIC).unwrap().web.unwrap();
        assert_eq!((web.session.lifetime.as_secs(), web.session.epoch), (12 * HOUR, 1));
        let login = "{host: 'v.example', login: [{issuer: 'https://id', label: Acme, clientIdFile: /i, clientSecretFile: /s}]}";
        assert_eq!(config(login, ISSUER).unwrap().web.unwrap().login[0].scopes, ["openid", "offline_access"]);
        assert_eq!(config("{passwords: true}", BASIC).unwrap().web.unwrap().host, None);
    }

    #[test]
    fn what_breaks_a_rule_is_named() {
        let login = |host: &str, issuer: &str, scopes: &str| {
            format!(
                "{{host: '{host}', login: [{{issuer: '{issuer}', label: A, clientIdFile: /i, clientSecretFile: /s, scopes: {scopes}}}]}}"
            )
        };
        for (web, auth, field) in [
            ("{}".to_owned(), BASIC, "web:"),
            ("{passwords: true}".to_owned(), ISSUER, "web.passwords"),
            ("{passwords: true, session: {lifetime: 5m}}".to_owned(), BASIC, "web.session.lifetime"),
            ("{passwords: true, session: {idle: 59s}}".to_owned(), BASIC, "web.session.idle"),
            ("{passwords: true, freshLogin: 25h}".to_owned(), BASIC, "web.freshLogin"),
            ("{passwords: true, embedIn: ['https://*.example']}".to_owned(), BASIC, "web.embedIn"),
            (
                "{passwords: true, embedIn: ['https://desk.example; script-src *']}".to_owned(),
                BASIC,
                "web.embedIn",
            ),
            (login("v.example", "https://other", "[openid]"), ISSUER, "web.login.issuer"),
            (login("https://v.example/", "https://id", "[openid]"), ISSUER, "web.host"),
            (login("v.example", "https://id", "[profile]"), ISSUER, "web.login.scopes"),
            (login("v.example", "https://id", "['openid x']"), ISSUER, "web.login.scopes"),
        ] {
            let error = config(&web, auth).unwrap_err().to_string();
            assert!(error.starts_with(field), "{web}: {error}");
        }
    }
}
