//! A trunk: a PBX, an SBC or a proxy that may call, what it is believed, and how its numbers name mailboxes.

use super::notify::Notify;
use super::proxy::Proxy;
use ipnet::IpNet;
use serde::Deserialize;
use std::net::IpAddr;
use std::path::PathBuf;

/// A peer that may call.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Trunk {
    /// Name, in metrics and logs.
    pub name: String,
    /// Networks that its requests come from; everywhere when empty, for one that is known by certificates or users.
    #[serde(default)]
    pub addresses: Vec<IpNet>,
    /// By what its requests come.
    #[serde(default = "default_transports")]
    pub transports: Vec<Transport>,
    /// Certificates that it is known by, over TLS.
    #[serde(default)]
    pub client_certificates: Option<ClientCertificates>,
    /// Its calls and subscriptions must name a user and prove the password.
    #[serde(default)]
    pub digest: Option<DigestConfig>,
    /// What of its requests is believed.
    #[serde(default)]
    pub trust: Trust,
    /// From a number to a mailbox's name; the first rule that fits applies, once.
    #[serde(default)]
    pub numbers: Vec<NumberRule>,
    /// Its phones may watch every mailbox, not their own alone.
    #[serde(default)]
    pub sees_all_mailboxes: bool,
    /// Where requests of ours go: those of a dialogue that has no route of its own, and notices. Over UDP its answers must come from the
    /// trunk's addresses.
    #[serde(default)]
    pub outbound_proxy: Option<Proxy>,
    /// Its phones that are told of their mailboxes' counts without a subscription.
    #[serde(default)]
    pub notify: Option<Notify>,
    /// Its most calls.
    #[serde(default)]
    pub limits: TrunkLimits,
}

/// What carries SIP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Transport {
    /// Datagrams.
    Udp,
    /// Connections.
    Tcp,
    /// Sealed connections.
    Tls,
}

fn default_transports() -> Vec<Transport> {
    vec![Transport::Udp]
}

/// Certificates of a trunk: of one of these authorities, and for one of these names.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ClientCertificates {
    /// PEM file of the authorities.
    pub authorities: PathBuf,
    /// Names, one of which must be among the certificate's alternative names: hosts or addresses.
    pub names: Vec<String>,
}

/// Users and passwords of a trunk, for digest authentication.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DigestConfig {
    /// File of lines `NAME:PASSWORD`, read at each use.
    pub users: PathBuf,
    /// What is offered, the best first.
    #[serde(default = "default_algorithms")]
    pub algorithms: Vec<Algorithm>,
}

/// How a password is proved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub enum Algorithm {
    /// RFC 8760.
    #[serde(rename = "SHA-256")]
    Sha256,
    /// For telephones and PBXs that know nothing else.
    #[serde(rename = "MD5")]
    Md5,
}

fn default_algorithms() -> Vec<Algorithm> {
    vec![Algorithm::Sha256, Algorithm::Md5]
}

/// What is believed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Trust {
    /// `P-Asserted-Identity` names the caller (RFC 3325).
    #[serde(default)]
    pub identity: bool,
    /// `History-Info`, `Diversion` and the parameters of RFC 4458 name the mailbox.
    #[serde(default)]
    pub redirection: bool,
}

/// A prefix and what stands for it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NumberRule {
    /// What the number begins with.
    pub prefix: String,
    /// What replaces it.
    #[serde(default)]
    pub replace_with: String,
    /// Only numbers of that many characters, the prefix counted.
    #[serde(default)]
    pub digits: Option<usize>,
}

/// Calls at once, and how fast they may come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TrunkLimits {
    /// Of all callers.
    #[serde(default = "default_calls")]
    pub calls: usize,
    /// That begin within a second, and in a burst; any number when absent.
    #[serde(default)]
    pub calls_per_second: Option<u32>,
    /// Of one caller who tells their number; any number when absent.
    #[serde(default)]
    pub calls_per_caller: Option<usize>,
}

impl Default for TrunkLimits {
    fn default() -> Self {
        Self { calls: default_calls(), calls_per_second: None, calls_per_caller: None }
    }
}

fn default_calls() -> usize {
    500
}

impl Trunk {
    /// Whether it may send from there by that.
    pub fn admits(&self, source: IpAddr, transport: Transport) -> bool {
        let source = source.to_canonical();
        let from_there = self.addresses.is_empty() || self.addresses.iter().any(|net| net.contains(&source));
        from_there && self.transports.contains(&transport)
    }

    /// Where notices of its phones go.
    pub fn proxy_of_notices(&self) -> Option<&Proxy> {
        self.notify.as_ref()?.proxy.as_ref().or(self.outbound_proxy.as_ref())
    }

    /// The mailbox's name that a number stands for. Separators that people write are left out.
    pub fn mailbox_of(&self, number: &str) -> String {
        let plain: String = number.chars().filter(|c| !matches!(c, ' ' | '-' | '(' | ')' | '.')).collect();
        let plain = if is_number(&plain) { plain } else { number.to_owned() };
        let fits = |rule: &&NumberRule| {
            plain.starts_with(&rule.prefix)
                && rule.digits.is_none_or(|digits| digits == plain.chars().count())
        };
        match self.numbers.iter().find(fits) {
            Some(rule) => format!("{}{}", rule.replace_with, &plain[rule.prefix.len()..]),
            None => plain,
        }
    }
}

/// Whether it is a telephone number rather than a name.
fn is_number(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_digit() || matches!(c, '+' | '*' | '#'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trunk(rules: &str) -> Trunk {
        serde_yaml::from_str(&format!("{{name: pbx, addresses: [10.0.0.0/8], numbers: {rules}}}")).unwrap()
    }

    #[test]
    fn the_first_rule_that_fits_makes_the_mailbox_and_no_other() {
        let trunk = trunk("[{prefix: '+4420794600', replaceWith: '10'}, {prefix: '10', digits: 3}]");
        assert_eq!(trunk.mailbox_of("+44 20 7946-0042"), "1042");
        assert_eq!(trunk.mailbox_of("105"), "5");
        assert_eq!(trunk.mailbox_of("1005"), "1005");
    }

    #[test]
    fn names_that_are_no_numbers_stay_as_they_are() {
        assert_eq!(trunk("[]").mailbox_of("anna.b-c"), "anna.b-c");
    }
}
