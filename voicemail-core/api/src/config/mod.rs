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
mod authentication;
mod check;
mod check_access;
mod class_of_service;
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
pub use authentication::{
    AuthConfig, IssuerConfig, KubernetesIssuer, Role, ServiceAccountRole, TokenAlgorithm,
};
pub use check::{ConfigError, check_reception, is_language_tag};
pub use class_of_service::ClassOfService;
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
use std::net::SocketAddr;
use std::path::PathBuf;

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
