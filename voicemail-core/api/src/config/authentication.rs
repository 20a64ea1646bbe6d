//! Who may call: issuers of tokens, accounts of the cluster, and the roles that they give.

use super::{BasicConfig, IntrospectionConfig, Person, duration};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

/// Token issuers and the accounts that have roles.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AuthConfig {
    /// The cluster's own service-account issuer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kubernetes: Option<KubernetesIssuer>,
    /// Further OpenID issuers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub issuers: Vec<IssuerConfig>,
    /// Where opaque tokens are looked up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub introspection: Option<IntrospectionConfig>,
    /// Callers with name and password.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub basic: Option<BasicConfig>,
    /// People with identities of several authorities; where two must have said yes, identities of different authorities are
    /// one person's unless they are here under two.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub people: Vec<Person>,
    /// A signed token that was issued for longer isn't accepted (5 m to 3650 d).
    #[serde(default = "default_token_life", with = "duration", skip_serializing_if = "is_usual_token_life")]
    pub longest_token_life: Duration,
}

/// A day: what issuers give people and programs ends sooner.
fn default_token_life() -> Duration {
    Duration::from_secs(86_400)
}

/// Cores of before can read what says nothing of it.
fn is_usual_token_life(life: &Duration) -> bool {
    *life == default_token_life()
}

impl Default for AuthConfig {
    fn default() -> Self {
        Self {
            kubernetes: None,
            issuers: Vec::new(),
            introspection: None,
            basic: None,
            people: Vec::new(),
            longest_token_life: default_token_life(),
        }
    }
}

/// How tokens of the cluster's service accounts are checked: the issuer's name and keys are found
/// through the API server's discovery document, read with the pod's ordinary token.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct KubernetesIssuer {
    /// API server, such as `https://kubernetes.default.svc`.
    pub api_server: String,
    /// PEM file of the API server's CA.
    pub ca_file: PathBuf,
    /// File with the pod's own token; re-read at every use.
    pub token_file: PathBuf,
    /// A token must carry one of these audiences.
    pub audiences: Vec<String>,
    /// The accounts that may call.
    pub service_accounts: Vec<ServiceAccountRole>,
}

/// The role of one service account.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ServiceAccountRole {
    /// Namespace of the account.
    pub namespace: String,
    /// Name of the account.
    pub name: String,
    /// Its roles.
    pub roles: Vec<Role>,
    /// The user that an `agent` account acts as.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// Only a token with this audience counts for this entry (the operator's own entry: the tenant's UID).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audience: Option<String>,
}

/// An OpenID issuer whose tokens are accepted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct IssuerConfig {
    /// The `iss` claim; also where discovery starts unless `jwks_uri` is given.
    pub issuer: String,
    /// The `aud` claim must hold this.
    pub audience: String,
    /// Key set; found by discovery when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jwks_uri: Option<String>,
    /// PEM file of a private CA for the two above.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<PathBuf>,
    /// Claim that names the user.
    #[serde(default = "default_user_claim")]
    pub user_claim: String,
    /// Stands before the claim in the user's name. When absent: nothing, if all users come from one place, else the issuer
    /// and `#`, so that two issuers' users of the same name are two. The same prefix at two issuers makes them one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_prefix: Option<String>,
    /// Claim that lists roles: a list, or words separated by spaces. Dots lead into objects, as in
    /// `realm_access.roles`.
    #[serde(default = "default_roles_claim")]
    pub roles_claim: String,
    /// From the claim's values to our roles; a value that isn't here gives nothing.
    pub role_map: BTreeMap<String, Role>,
    /// Signatures that are accepted; all that an issuer's public keys can check when empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub algorithms: Vec<TokenAlgorithm>,
    /// How far the issuer's clock and ours may be apart, at most 5 m.
    #[serde(default = "default_clock_skew", with = "duration")]
    pub clock_skew: Duration,
}

fn default_clock_skew() -> Duration {
    Duration::from_secs(30)
}

/// A signature of a token, by its name in RFC 7518. Those with a shared secret aren't among them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the names say it")]
pub enum TokenAlgorithm {
    RS256,
    RS384,
    RS512,
    PS256,
    PS384,
    PS512,
    ES256,
    ES384,
    EdDSA,
}

fn default_user_claim() -> String {
    "sub".into()
}

fn default_roles_claim() -> String {
    "roles".into()
}

/// The four audiences of the API.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Role {
    /// Media servers: reception and deposit.
    Telephony,
    /// Own mailboxes and those of own groups.
    Agent,
    /// Provisioning; not listening.
    Admin,
    /// Data-subject rights.
    Privacy,
}
