//! How MWI states are kept right: event streams and how often they are compared with the store.

use super::duration;
use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// Message waiting indication.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct MwiConfig {
    /// How long an event stream lives at most; the client then connects again (1 m to 24 h).
    #[serde(default = "default_stream_lifetime", with = "duration")]
    pub stream_lifetime: Duration,
    /// How often the MWI states that somebody watches are compared with the store (1 s to 1 h). When absent 30 s on
    /// a volume, and 5 m on a store whose requests cost money.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "duration::optional")]
    pub reconcile_every: Option<Duration>,
    /// Where MWI states are sent for systems that can't hold a stream: at most 16, each with what it was told last.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub webhooks: Vec<WebhookConfig>,
}

/// A receiver of signed requests.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct WebhookConfig {
    /// Names the receiver in metrics, logs and the store: 1 to 56 lower-case letters, digits and dashes. Another name or
    /// URL is another receiver, which is told of every mailbox.
    pub name: String,
    /// Where to, `https://` only. Redirects are not followed.
    pub url: String,
    /// File with one or more secrets of the form `whsec_BASE64`, separated by white space; re-read at every use.
    pub secret_file: PathBuf,
    /// Addresses that aren't public and may be connected to nevertheless, such as `10.20.0.0/16`. This machine,
    /// its link and clouds' metadata services never are.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub allowed_private_ranges: Vec<IpNet>,
    /// PEM file of a private CA; the system's when absent. Re-read at every use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<PathBuf>,
}

fn default_stream_lifetime() -> Duration {
    Duration::from_secs(3_600)
}

impl Default for MwiConfig {
    fn default() -> Self {
        Self { stream_lifetime: default_stream_lifetime(), reconcile_every: None, webhooks: Vec::new() }
    }
}

/// Where this replica listens for hints of the others, and where the others are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PeersConfig {
    /// UDP address, port 9091 in a cluster; never exposed outside it.
    pub listen: SocketAddr,
    /// Host and port whose addresses are all replicas', such as `acme-voicemail-headless:9091`.
    pub service: String,
}
