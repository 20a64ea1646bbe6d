//! Which of IPv4 and IPv6 comes first in the cluster: of the node, its pods, and Services that don't say.
//!
//! A cluster has both families where this machine has both. What comes first decides a pod's own address, a Service's default and
//! the API server's address, as `--service-cluster-ip-range` and `--node-ip` say, so a running cluster can't change it.

use anyhow::{Result, bail};
use serde::{Deserialize, Serialize};

use crate::layout::{DNS_IP, DNS_IP6, NODE_IP, NODE_IP6, has_ipv6};

/// The order of a cluster's address families.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Families {
    /// IPv4, then IPv6 where this machine has it.
    #[default]
    Ipv4First,
    /// IPv6, then IPv4.
    Ipv6First,
}

/// Set to anything, it has every test that doesn't say otherwise run where IPv6 comes first.
const VARIABLE: &str = "VOICEMAIL_IPV6_FIRST";

impl Families {
    /// The order that whoever runs the tests chose.
    pub fn chosen() -> Self {
        let chosen = std::env::var_os(VARIABLE).is_some_and(|value| !value.is_empty());
        if chosen { Self::Ipv6First } else { Self::Ipv4First }
    }

    /// An error where this machine lacks the family that is to come first.
    pub(super) fn check(self) -> Result<()> {
        if self == Self::Ipv6First && !has_ipv6() {
            bail!("this machine has no IPv6: switch it on (sysctl net.ipv6.conf.all.disable_ipv6=0)");
        }
        Ok(())
    }

    /// A setting of both families, as Kubernetes' programs are told it.
    pub(super) fn list(self, ipv4: &str, ipv6: &str) -> String {
        match self {
            Self::Ipv4First if !has_ipv6() => ipv4.to_owned(),
            Self::Ipv4First => format!("{ipv4},{ipv6}"),
            Self::Ipv6First => format!("{ipv6},{ipv4}"),
        }
    }

    /// The node's first address.
    pub(super) fn node(self) -> &'static str {
        self.first(NODE_IP, NODE_IP6)
    }

    /// The name server's address.
    pub(super) fn dns(self) -> &'static str {
        self.first(DNS_IP, DNS_IP6)
    }

    fn first<'a>(self, ipv4: &'a str, ipv6: &'a str) -> &'a str {
        match self {
            Self::Ipv4First => ipv4,
            Self::Ipv6First => ipv6,
        }
    }
}
