//! The pages that a tenant's cores serve for people: by which host, and how one signs in.

// The KubeSchema derive repeats each struct inside a function, where `pub` reaches nobody.
#![allow(unreachable_pub)]

use super::references::Reference;
use super::rules::{ORIGIN, form, forms, invalid, required, wait_between};
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The pages for people, such as the Inbox.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = required(
        "self.passwords == 'Allowed' || (has(self.login) && self.login.size() > 0)",
        "web: let people sign in: name an issuer in login, or write passwords: Allowed"
    )
)]
pub struct Web {
    /// Host, and port unless it is 443, by which browsers reach the pages, such as voicemail.acme.example. Something must lead
    /// from there to the Service: an Ingress, a Gateway, a load balancer.
    #[schemars(length(min = 1, max = 253))]
    #[x_kube(validation = form(
        r"([a-z0-9]([a-z0-9.-]*[a-z0-9])?|\[[0-9a-f:.]+\])(:[1-9][0-9]{0,4})?",
        "host: write a host in lower case, and its port unless that is 443, without scheme and path, such as voicemail.acme.example"
    ))]
    pub host: String,
    /// Issuers where people sign in. Each one's place, from 0, is in the redirect address to register there, such as
    /// `https://voicemail.acme.example/ui/session/callback/0`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["issuer".into()]))]
    pub login: Vec<Login>,
    /// Whether users of auth.basic may sign in by a form.
    #[serde(default)]
    pub passwords: Passwords,
    /// Origins of the pages that may show the Inbox in a frame, such as `https://desk.example.com`; none when empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32), inner(length(min = 1, max = 261)))]
    #[x_kube(
        merge_strategy = ListMerge::Set,
        validation = forms(
            ORIGIN,
            "embedIn: write scheme, host and port as a browser sends them, such as https://desk.example.com"
        )
    )]
    pub embed_in: Vec<String>,
    /// How long people stay signed in.
    #[serde(default)]
    pub session: Session,
    /// How long ago somebody may have signed in who erases, decides about a case or puts a hold, such as 15m; 1m to 24h.
    #[serde(default = "default_fresh_login")]
    #[schemars(length(max = 32))]
    #[x_kube(validation = wait_between("1m", "24h", "freshLogin: write 1m to 24h, such as 15m"))]
    pub fresh_login: String,
    /// What the pages mask of callers until somebody asks to see it: Never anything, Numbers, or All, their names too.
    #[serde(default)]
    pub mask_callers: MaskCallers,
}

fn default_fresh_login() -> String {
    "15m".into()
}

/// Parts of a caller that the pages mask.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[allow(missing_docs, reason = "the field says what they mean")]
pub enum MaskCallers {
    Never,
    #[default]
    Numbers,
    All,
}

/// An issuer where people sign in.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Login {
    /// One of auth.issuers, such as `https://id.example.com`: its claims and role map hold here, too.
    #[schemars(length(min = 1, max = 512))]
    #[x_kube(validation = form("https://.+", "issuer: write a URL that begins with https://"))]
    pub issuer: String,
    /// Its name on the button, such as Acme.
    #[schemars(length(min = 1, max = 64))]
    pub label: String,
    /// Secret with clientId and clientSecret, which the tenant has at the issuer.
    pub secret_ref: Reference,
    /// Scopes that the issuer is asked for; openid must be among them. Without offline_access a session lasts an hour.
    #[serde(default = "default_scopes")]
    #[schemars(length(min = 1, max = 32), inner(length(min = 1, max = 128)))]
    #[x_kube(
        merge_strategy = ListMerge::Set,
        validation = forms(r#"[!#-\[\]-~]+"#, "scopes: write each scope without spaces, quotes and backslashes, such as openid"),
        validation = invalid("self.exists(scope, scope == 'openid')", "scopes: ask for openid, without which nobody says who has signed in")
    )]
    pub scopes: Vec<String>,
    /// The resource that the access token is for (RFC 8707), such as urn:voicemail, where the issuer wants one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 512))]
    pub resource: Option<String>,
    /// Which token says who somebody is: AccessToken, checked as any bearer token is, or IDToken, for issuers whose access tokens
    /// aren't for the tenant's audience.
    #[serde(default)]
    pub identity_from: IdentityFrom,
}

fn default_scopes() -> Vec<String> {
    ["openid", "offline_access"].map(str::to_owned).into()
}

/// The token that says who somebody is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum IdentityFrom {
    /// The access token, checked as any bearer token is.
    #[default]
    AccessToken,
    /// The ID token, for issuers whose access tokens aren't for this audience.
    #[serde(rename = "IDToken")]
    IdToken,
}

/// Whether there is a form for name and password.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Passwords {
    /// People sign in at an issuer.
    #[default]
    Forbidden,
    /// Users of auth.basic may sign in by their passwords.
    Allowed,
}

/// How long people stay signed in.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Session {
    /// From signing in to signing in again, such as 8h; 10m to 24h.
    #[serde(default = "default_lifetime")]
    #[schemars(length(max = 32))]
    #[x_kube(validation = wait_between("10m", "24h", "lifetime: write 10m to 24h, such as 8h"))]
    pub lifetime: String,
    /// How long a page may go unused before it shows counts alone, and its session has the role agent alone, such as 30m; 1m to 24h.
    #[serde(default = "default_idle")]
    #[schemars(length(max = 32))]
    #[x_kube(validation = wait_between("1m", "24h", "idle: write 1m to 24h, such as 30m"))]
    pub idle: String,
    /// Another number ends all sessions at once.
    #[serde(default = "default_epoch")]
    #[schemars(range(min = 1, max = 1_000_000_000))]
    pub epoch: i32,
}

impl Default for Session {
    fn default() -> Self {
        Self { lifetime: default_lifetime(), idle: default_idle(), epoch: default_epoch() }
    }
}

fn default_lifetime() -> String {
    "12h".into()
}

fn default_idle() -> String {
    "30m".into()
}

fn default_epoch() -> i32 {
    1
}
