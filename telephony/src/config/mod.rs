//! The configuration of the telephone side, as YAML: `voicemail-sip serve --config FILE`.
//!
//! Flow: the file is parsed, checked by [`Config::check`] and used until the process ends. Secrets (the token of the core,
//! the spool's key) are named by path and never written here.
//!
//! What can go wrong: YAML that doesn't parse, an unknown field, or a rule broken. Each is a [`ConfigError`] that says what
//! to write.

mod advertised;
mod check;
mod notify;
mod pod;
mod proxy;
mod trunk;

pub use advertised::{Advertised, NotAdvertised};
pub use notify::{Notify, Range};
pub use pod::Pod;
pub use proxy::Proxy;
pub use trunk::{
    Algorithm, ClientCertificates, DigestConfig, NumberRule, Transport, Trunk, TrunkLimits, Trust,
};

use serde::{Deserialize, Deserializer};
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;
use voicemail_api::ErrorClass;
use voicemail_api::config::parse_duration;

/// All that the program needs to know.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Config {
    /// Where to listen.
    pub listen: Listen,
    /// The address in Contact, Via and SDP: the one at which trunks reach this process; one of IPv4 and one of IPv6 with a comma
    /// between where both do. In the file also a list with one for each pod, or nothing, which is the pod's own ([`Pod`]).
    pub advertised: Advertised,
    /// The host behind a mailbox's name in the account that phones are told, such as pbx.example.com; the advertised address
    /// when absent.
    #[serde(default)]
    pub domain: Option<String>,
    /// Name by which the core knows what waits in this process's spool; its pod's name, or the advertised address, when absent.
    #[serde(default)]
    pub front: Option<String>,
    /// The core.
    pub core: CoreConfig,
    /// Ports of audio.
    #[serde(default)]
    pub rtp: PortBlock,
    /// Numbers that owners dial to work with their mailboxes.
    #[serde(default = "default_access_numbers")]
    pub access_numbers: Vec<String>,
    /// Who may call, 1 to 16.
    pub trunks: Vec<Trunk>,
    /// Recordings on their way to the core.
    pub spool: SpoolConfig,
    /// What is said, and what keys do; without it callers hear greetings and a beep, and owners can't dial in.
    #[serde(default)]
    pub dialogue: Option<DialogueConfig>,
    /// How long calls in progress may go on after SIGTERM (1 m to 2 h).
    #[serde(default = "default_drain", deserialize_with = "duration")]
    pub drain: Duration,
}

/// Addresses of this process.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Listen {
    /// SIP over UDP.
    pub sip: SocketAddr,
    /// SIP over TCP, where a trunk uses it.
    #[serde(default)]
    pub tcp: Option<SocketAddr>,
    /// SIP over TLS, where a trunk uses it.
    #[serde(default)]
    pub tls: Option<TlsListen>,
    /// `/healthz`, `/readyz` and `/metrics`, plain HTTP; never exposed outside a cluster.
    pub metrics: SocketAddr,
}

/// SIP over TLS: where, and by which certificate. Files are read again when they change.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TlsListen {
    /// Where to listen.
    pub address: SocketAddr,
    /// PEM file of the certificate and those between it and its authority.
    pub certificate: PathBuf,
    /// PEM file of its key.
    pub key: PathBuf,
    /// PEM file of the authorities of peers that we connect to, when a dialogue's own connection is gone; without it such a
    /// connection isn't opened again.
    #[serde(default)]
    pub peer_authorities: Option<PathBuf>,
}

/// How the core is reached.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CoreConfig {
    /// Its API, `https://HOST:PORT/api/v1`; `http` for a loopback address alone.
    pub url: String,
    /// PEM file of the authorities of its certificate; the system's when absent.
    #[serde(default)]
    pub ca_file: Option<PathBuf>,
    /// File with a token whose role is `telephony`; re-read at every use.
    #[serde(default)]
    pub token_file: Option<PathBuf>,
    /// File with `NAME:PASSWORD` of a user with that role, instead of a token; re-read at every use.
    #[serde(default)]
    pub password_file: Option<PathBuf>,
}

/// A block of UDP ports: RTP on even ones, RTCP on the odd one after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PortBlock {
    /// First port, even.
    pub from: u16,
    /// Last port, odd.
    pub to: u16,
}

impl Default for PortBlock {
    fn default() -> Self {
        Self { from: 20_000, to: 20_999 }
    }
}

/// What is said, and what keys do.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DialogueConfig {
    /// The pack of prompts that `voicemail-sip prompts` made.
    pub prompts: PathBuf,
    /// Folder of prompts of one's own, which take the place of those; read again when its files change.
    #[serde(default)]
    pub own_prompts: Option<PathBuf>,
    /// The menu, YAML; `classic` when absent.
    #[serde(default)]
    pub menu: Option<PathBuf>,
    /// After so long without a key the menu is said again, and so long a caller may be silent (2 s to 60 s).
    #[serde(default = "default_silence", deserialize_with = "duration")]
    pub silence: Duration,
}

fn default_silence() -> Duration {
    Duration::from_secs(5)
}

/// Where recordings wait.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SpoolConfig {
    /// Folder of this process alone.
    pub folder: PathBuf,
    /// File with 32 random bytes or more, from which each recording's key is derived.
    pub key_file: PathBuf,
    /// The most that may lie there, in MiB; at nine tenths of it new calls are refused.
    #[serde(default = "default_spool_mib")]
    pub size_mib: u64,
    /// After so long a recording that the core doesn't accept is destroyed (1 h to 5 d).
    #[serde(default = "default_max_age", deserialize_with = "duration")]
    pub max_age: Duration,
    /// How long the process goes on after its last call to bring away what lies there (1 s to 1 h).
    #[serde(default = "default_emptying", deserialize_with = "duration")]
    pub emptying: Duration,
}

fn default_emptying() -> Duration {
    Duration::from_secs(10)
}

fn default_access_numbers() -> Vec<String> {
    vec!["5555".into()]
}

fn default_drain() -> Duration {
    Duration::from_secs(420)
}

fn default_spool_mib() -> u64 {
    1_024
}

fn default_max_age() -> Duration {
    Duration::from_secs(24 * 3_600)
}

/// A duration as the core's configuration writes it, such as `24h`.
fn duration<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    parse_duration(&String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
}

/// Why a configuration can't be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file can't be read.
    #[error("reading {file}: {why}")]
    File {
        /// Which.
        file: PathBuf,
        /// Why.
        why: std::io::Error,
    },
    /// It isn't YAML of this form.
    #[error("the configuration: {0}")]
    Form(#[from] serde_yaml::Error),
    /// A rule is broken.
    #[error("{field}: {rule}")]
    Rule {
        /// The field's path.
        field: String,
        /// What to write.
        rule: String,
    },
}

impl ConfigError {
    /// The file must be changed.
    pub const fn class(&self) -> ErrorClass {
        ErrorClass::Permanent
    }
}

impl Config {
    /// Parses YAML and checks it.
    ///
    /// # Errors
    /// [`ConfigError`] says which field is wrong and what to write instead.
    pub fn parse(text: &str) -> Result<Self, ConfigError> {
        let config: Self = serde_yaml::from_str(text)?;
        config.check()?;
        Ok(config)
    }

    /// The same of a pod, which completes it.
    ///
    /// # Errors
    /// The same.
    pub fn parse_in(text: &str, pod: &Pod) -> Result<Self, ConfigError> {
        let mut value: serde_yaml::Value = serde_yaml::from_str(text)?;
        pod.complete(&mut value)?;
        let config: Self = serde_yaml::from_value(value)?;
        config.check()?;
        Ok(config)
    }

    /// Reads and parses a file.
    ///
    /// # Errors
    /// The same, or the file can't be read.
    pub fn read(file: &std::path::Path, pod: &Pod) -> Result<Self, ConfigError> {
        let text =
            std::fs::read_to_string(file).map_err(|why| ConfigError::File { file: file.to_owned(), why })?;
        Self::parse_in(&text, pod)
    }

    /// Whom users of digest authentication prove themselves to.
    pub fn realm(&self) -> &str {
        self.domain.as_deref().unwrap_or("voicemail")
    }

    /// Whether a number is one that owners dial.
    pub fn is_access_number(&self, number: &str) -> bool {
        self.access_numbers.iter().any(|access| access == number)
    }

    /// The name by which the core knows this process's spool.
    pub fn front(&self) -> String {
        self.front.clone().unwrap_or_else(|| self.advertised.first().to_string())
    }

    /// The trunk that an address belongs to and that sends by that transport. One that is known by its certificates isn't known
    /// by its address.
    pub fn trunk_of(&self, source: IpAddr, transport: Transport) -> Option<&Trunk> {
        let admitting = || {
            let by_address =
                |trunk: &&Trunk| trunk.client_certificates.is_none() && trunk.admits(source, transport);
            self.trunks.iter().filter(by_address)
        };
        // One that may be anywhere comes after those that are somewhere.
        admitting().find(|trunk| !trunk.addresses.is_empty()).or_else(|| admitting().next())
    }
}

#[cfg(test)]
mod document_tests {
    use super::Config;

    /// A configuration that has this field alone, of no right form.
    fn with(path: &str) -> String {
        let parts: Vec<&str> = path.split('.').collect();
        parts.iter().rev().fold("null".to_owned(), |inner, part| match part.strip_suffix("[]") {
            Some(list) => format!("{{{list}: [{inner}]}}"),
            None => format!("{{{part}: {inner}}}"),
        })
    }

    #[test]
    fn the_configuration_that_the_page_shows_is_one() {
        let page = include_str!("../../../docs/telephony.md");
        let shown =
            page.split("```yaml\n").find(|block| block.starts_with("# voicemail-sip's configuration file\n"));
        let config = Config::parse(shown.and_then(|block| block.split("```").next()).unwrap()).unwrap();
        assert_eq!(config.trunks.len(), 1);
    }

    #[test]
    fn every_field_that_the_page_names_by_its_path_is_one_of_the_configuration() {
        let page = include_str!("../../../docs/telephony.md");
        let rows = page.lines().filter(|line| line.starts_with("| `"));
        let names =
            rows.filter_map(|row| row.split('|').nth(1)).flat_map(|cell| cell.split('`').skip(1).step_by(2));
        let paths: Vec<&str> =
            names.filter(|name| name.contains('.') && !name.contains([' ', '/', '_'])).collect();
        assert!(paths.len() > 8, "{paths:?}");
        for path in paths {
            let error = Config::parse(&with(path)).map(drop).unwrap_err().to_string();
            assert!(!error.contains("unknown field"), "{path}: {error}");
        }
        let error = Config::parse(&with("listen.nothing")).map(drop).unwrap_err().to_string();
        assert!(error.contains("unknown field"), "{error}");
    }
}
