//! The configuration of one tenant's core: the one type that the operator writes into a ConfigMap
//! and that `voicemail serve --config FILE` reads, so that the two can't drift.
//!
//! Flow: the operator builds a [`TenantConfig`] from a `VoicemailTenant` and writes it as YAML; the
//! core parses and [checks](TenantConfig::check) it, then watches the file and reloads it. Files that
//! hold secrets (keys, certificates) are named here by path and never inlined.
//!
//! What can go wrong: YAML that doesn't parse, an unknown field, or a rule of `check` broken. Each is
//! a [`ConfigError`] that says what to change; a running core keeps its last good configuration.

mod access;
mod address_range;
mod check;
mod check_access;
mod directory;
mod duration;
mod email;
mod gdpr;
mod holder;
mod mwi;
mod people;
mod reception;
mod storage;
mod telemetry;
mod user_prefix;
mod web;

pub use access::{AuditConfig, BasicConfig, IntrospectionConfig, LimitsConfig};
pub use address_range::AddressRange;
pub use check::{ConfigError, check_reception, is_language_tag};
pub use directory::DirectoryAccess;
pub use duration::{format_duration, parse_duration};
pub use email::{EmailConfig, EmailContent, SmtpConfig, SmtpTls};
pub use gdpr::{ApprovalConfig, ApprovalRule, GdprConfig, RegionDown};
pub use holder::{HOLDER_FILE, Holder};
pub use mwi::{MwiConfig, PeersConfig, WebhookConfig};
pub use people::{BASIC, IdentityConfig, OBJECTS, Person, SERVICE_ACCOUNTS};
pub use reception::ReceptionConfig;
pub use storage::{
    AzureBlobConfig, AzureCredentials, AzureEncryption, AzureRestoration, AzureTier, EtagQuoting, KeepFree,
    RegionConfig, S3Algorithm, S3Config, S3Credentials, S3Encryption, S3Restoration, StorageConfig,
};
pub use telemetry::{OtlpConfig, TelemetryConfig};
pub use web::{IdentityFrom, LoginConfig, MaskCallers, SessionConfig, WebConfig};

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// Everything a core needs to serve one tenant.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TenantConfig {
    /// Contact-centre id (`ccid`): names the tenant's tree in every store. Never changes.
    pub tenant_id: String,
    /// The cluster that this core runs in, as registered in the tenant document.
    pub cluster: String,
    /// The tenant of that cluster that this core serves for: from a file beside this one ([`Holder`]).
    #[serde(skip)]
    pub holder: Option<Holder>,
    /// The region that this core serves; one of `regions`.
    pub region: String,
    /// The tenant's regions; exactly one is the master, which holds all but audio.
    pub regions: Vec<RegionConfig>,
    /// Folder with `tenant.key` (32 bytes or more, any encoding) and `receipt.key` (PKCS#8 PEM, Ed25519).
    pub keys_dir: PathBuf,
    /// Where to listen.
    pub listen: ListenConfig,
    /// Callers and their roles.
    #[serde(default)]
    pub auth: AuthConfig,
    /// Limits and retention by name; a mailbox names one. `standard` exists always.
    #[serde(default)]
    pub classes_of_service: Vec<ClassOfService>,
    /// ISO 3166 region by which national numbers are read, such as `GB`.
    pub default_number_region: String,
    /// How this tenant's own prefixes are read, before the national plan; the first that fits applies.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub number_prefixes: Vec<NumberPrefix>,
    /// The tenant's own values for a caller without a number, beside the built-in ones: a word such as `Amtsleitung`,
    /// or digits that are in no numbering plan. At most 100, each of 1 to 64 bytes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub withheld_callers: Vec<String>,
    /// The value of the index tag `caller_id` of a message, on stores that have tags.
    #[serde(default)]
    pub caller_tag: CallerTagging,
    /// Memory for messages on their way into an object store, in MiB; more uploads wait. 16 to 4096.
    #[serde(default = "default_upload_buffer")]
    pub upload_buffer_mib: u32,
    /// Calls to a region's store that are under way at a time; one operation makes at most half of them. 4 to 1024.
    #[serde(default = "default_store_calls", skip_serializing_if = "is_usual_store_calls")]
    pub store_calls: u32,
    /// Times of the data-subject rights.
    #[serde(default)]
    pub gdpr: GdprConfig,
    /// Message waiting indication.
    #[serde(default)]
    pub mwi: MwiConfig,
    /// Defaults for mailboxes that receive callers.
    #[serde(default)]
    pub reception: ReceptionConfig,
    /// Whether agents find mailboxes that aren't theirs, to forward messages to.
    #[serde(default, skip_serializing_if = "DirectoryAccess::is_usual")]
    pub directory: DirectoryAccess,
    /// The other replicas, which are told what changed; without, their MWI follows by the timer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peers: Option<PeersConfig>,
    /// Web pages that may call the API from a browser, such as `https://desk.example.com`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub browser_origins: Vec<String>,
    /// Limits of one client's use of a replica.
    #[serde(default)]
    pub limits: LimitsConfig,
    /// The record of who listened, searched, exported and erased.
    #[serde(default)]
    pub audit: AuditConfig,
    /// Where spans go; nowhere when absent.
    #[serde(default, skip_serializing_if = "TelemetryConfig::is_silent")]
    pub telemetry: TelemetryConfig,
    /// Pages for people below `/ui`; none when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub web: Option<WebConfig>,
    /// E-mails about new messages; none when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<EmailConfig>,
}

/// Addresses and certificate of the two servers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ListenConfig {
    /// The API, port 8081 in a cluster.
    pub api: SocketAddr,
    /// Health and metrics, port 9090 in a cluster; never exposed outside it.
    pub metrics: SocketAddr,
    /// Certificate and key; without it the API must be on a loopback address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<TlsConfig>,
}

/// PEM files of the serving certificate; reloaded when they change.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TlsConfig {
    /// Certificate chain.
    pub certificate: PathBuf,
    /// Private key.
    pub key: PathBuf,
}

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

/// Limits and retention of a kind of mailbox.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ClassOfService {
    /// Name that mailboxes refer to.
    pub name: String,
    /// Messages a mailbox may hold, trash not counted.
    #[serde(default = "default_max_messages")]
    pub max_messages: u32,
    /// Longest message, in seconds.
    #[serde(default = "default_max_seconds")]
    pub max_seconds: u32,
    /// Seconds below which a media server throws a recording away; told by reception, not asked of a deposit.
    #[serde(default = "default_min_seconds")]
    pub min_seconds: u32,
    /// Seconds of messages a mailbox may hold in all, trash not counted; no limit when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quota_seconds: Option<u32>,
    /// Days from deposit to automatic deletion; stamped on each message at deposit.
    #[serde(default = "default_retention_days")]
    pub retention_days: u32,
    /// Hours that a deleted message can be restored for.
    #[serde(default = "default_trash_hours")]
    pub trash_hours: u32,
    /// How much e-mails about its messages may tell at most.
    #[serde(default, skip_serializing_if = "EmailContent::is_none")]
    pub email: EmailContent,
    /// Minutes that messages wait for others of their mailbox, so that they come as one mail, unless a reader chose otherwise;
    /// each comes by itself when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email_digest_minutes: Option<u32>,
}

fn default_max_messages() -> u32 {
    10
}

fn default_max_seconds() -> u32 {
    180
}

fn default_min_seconds() -> u32 {
    3
}

fn default_retention_days() -> u32 {
    30
}

fn default_trash_hours() -> u32 {
    24
}

impl ClassOfService {
    /// Most minutes that messages wait for each other before a mail: a day.
    pub const LONGEST_DIGEST: u16 = 1_440;
    /// The class of a mailbox that names none.
    pub const STANDARD: &'static str = "standard";

    /// The built-in `standard` class.
    pub fn standard() -> Self {
        Self {
            name: Self::STANDARD.into(),
            max_messages: default_max_messages(),
            max_seconds: default_max_seconds(),
            min_seconds: default_min_seconds(),
            quota_seconds: None,
            retention_days: default_retention_days(),
            trash_hours: default_trash_hours(),
            email: EmailContent::None,
            email_digest_minutes: None,
        }
    }
}

fn default_upload_buffer() -> u32 {
    64
}

impl TenantConfig {
    /// Calls to a region's store at a time, unless the configuration says otherwise.
    pub const USUAL_STORE_CALLS: u32 = 64;
}

fn default_store_calls() -> u32 {
    TenantConfig::USUAL_STORE_CALLS
}

/// Cores of before know no such field.
fn is_usual_store_calls(calls: &u32) -> bool {
    *calls == TenantConfig::USUAL_STORE_CALLS
}

/// A prefix of a tenant's own, such as the digit for an outside line or a range of extensions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NumberPrefix {
    /// Digits that the number begins with, such as `9`.
    pub prefix: String,
    /// The digits that replace the prefix, such as none or `+4420794600`.
    #[serde(default)]
    pub replace_with: String,
    /// Only numbers of that many digits, the prefix counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digits: Option<u32>,
}

/// The value of an index tag.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum CallerTagging {
    /// The number in E.164, and the hash for what a tag can't hold.
    #[default]
    E164,
    /// The hash, always.
    Hash,
}

impl TenantConfig {
    /// Parses YAML and checks it.
    ///
    /// # Errors
    /// [`ConfigError`] says which field is wrong and what to write instead.
    pub fn parse(text: &str) -> Result<Self, ConfigError> {
        let config: Self = serde_yaml::from_str(text)?;
        config.check()?;
        Ok(config)
    }

    /// As [`parse`](Self::parse), with what is beside the file that the text is from.
    ///
    /// # Errors
    /// The same, or the holder's file can't be read.
    pub fn parse_of(file: &std::path::Path, text: &str) -> Result<Self, ConfigError> {
        let holder = Holder::read_beside(file).map_err(ConfigError::Holder)?;
        Ok(Self { holder, ..Self::parse(text)? })
    }

    /// The YAML that [`parse`](Self::parse) reads.
    ///
    /// # Errors
    /// Only if a value can't be written as YAML.
    pub fn to_yaml(&self) -> Result<String, ConfigError> {
        Ok(serde_yaml::to_string(self)?)
    }

    /// The class of that name; `standard` is built in unless redefined.
    pub fn class_of_service(&self, name: &str) -> Option<ClassOfService> {
        self.written_class(name).or_else(|| (name == ClassOfService::STANDARD).then(ClassOfService::standard))
    }

    /// The class of that name, if it is written here.
    pub fn written_class(&self, name: &str) -> Option<ClassOfService> {
        self.classes_of_service.iter().find(|class| class.name == name).cloned()
    }

    /// Whether that authenticated name is the operator's of the core's own cluster.
    pub fn is_operator(&self, subject: &str) -> bool {
        let name = |account: &ServiceAccountRole| {
            format!("system:serviceaccount:{}:{}", account.namespace, account.name)
        };
        let accounts = self.auth.kubernetes.iter().flat_map(|cluster| &cluster.service_accounts);
        // The operator's is the one entry that a token for this tenant alone opens.
        accounts.filter(|account| account.audience.is_some()).any(|account| name(account) == subject)
    }

    /// The one region that holds the metadata. A checked configuration has it.
    pub fn master(&self) -> Option<&RegionConfig> {
        self.regions.iter().find(|region| region.master)
    }
}
