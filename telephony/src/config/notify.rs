//! Phones behind a trunk's proxy that are told of their mailboxes' counts though they never subscribed (unsolicited NOTIFY).
//!
//! Mailboxes are named by ranges of numbers: the core tells counts of named mailboxes alone, and a numbering plan names nobody.

use super::{ConfigError, Proxy, Transport, Trunk};
use serde::Deserialize;
use std::collections::BTreeSet;
use std::path::PathBuf;

/// What stands for a mailbox in [`Notify::uri`].
const MAILBOX: &str = "{mailbox}";
/// Mailboxes of a range.
const LONGEST_RANGE: u64 = 1_000;
/// Mailboxes of all trunks: as many as phones may subscribe to.
pub(super) const MOST: u64 = 20_000;

/// Where a trunk's phones are told, and of which mailboxes.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Notify {
    /// The proxy that requests are sent to; the trunk's outbound proxy when absent. Over UDP its answers must come from the trunk's
    /// addresses.
    #[serde(default)]
    pub proxy: Option<Proxy>,
    /// By what it is reached, one of the trunk's transports.
    #[serde(default = "by_datagrams")]
    pub transport: Transport,
    /// File whose first line `NAME:PASSWORD` answers a challenge of the proxy, read at each use; without it one is a refusal.
    #[serde(default)]
    pub users: Option<PathBuf>,
    /// Address of the phone of a mailbox, such as `sip:{mailbox}@pbx.example.com`.
    pub uri: String,
    /// The mailboxes, by ranges.
    pub mailboxes: Vec<Range>,
}

fn by_datagrams() -> Transport {
    Transport::Udp
}

/// Mailboxes with names from the first number to the last one, all of as many digits.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Range {
    /// The first, 1 to 15 digits.
    pub first: String,
    /// The last; the first alone when absent.
    #[serde(default)]
    pub last: Option<String>,
}

impl Range {
    fn bounds(&self) -> Option<(u64, u64)> {
        let read = |text: &str| {
            let digits = (1..=15).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
            digits.then(|| text.parse().ok())?
        };
        let last = self.last.as_deref().unwrap_or(&self.first);
        let (from, to) = (read(&self.first)?, read(last)?);
        (self.first.len() == last.len() && from <= to && to - from < LONGEST_RANGE).then_some((from, to))
    }

    fn names(&self) -> impl Iterator<Item = String> + use<'_> {
        let width = self.first.len();
        self.bounds()
            .into_iter()
            .flat_map(move |(from, to)| (from..=to).map(move |at| format!("{at:0width$}")))
    }
}

impl Notify {
    /// The mailboxes, each once.
    pub fn mailboxes(&self) -> BTreeSet<String> {
        self.mailboxes.iter().flat_map(Range::names).collect()
    }

    /// The address of a mailbox's phone.
    pub fn uri_of(&self, mailbox: &str) -> String {
        self.uri.replace(MAILBOX, mailbox)
    }

    /// Checks it as a part of its trunk; gives the number of its mailboxes.
    pub(super) fn check(
        &self,
        trunk: &Trunk,
        dials_tls: bool,
        field: &dyn Fn(&str) -> String,
    ) -> Result<u64, ConfigError> {
        let check = |holds: bool, name: &str, rule: &str| {
            let error = || ConfigError::Rule { field: field(&format!("notify.{name}")), rule: rule.into() };
            holds.then_some(()).ok_or_else(error)
        };
        let good = trunk.proxy_of_notices().is_some_and(|proxy| proxy.parts().is_some());
        check(good, "proxy", "write HOST:PORT, such as pbx.example.com:5060, or the trunk's outboundProxy")?;
        check(
            trunk.transports.contains(&self.transport),
            "transport",
            "write one of the trunk's transports",
        )?;
        let by_tls = self.transport == Transport::Tls;
        check(!by_tls || dials_tls, "transport", "TLS needs listen.tls.peerAuthorities")?;
        check(
            is_template(&self.uri),
            "uri",
            "write the phone's address, such as sip:{mailbox}@pbx.example.com",
        )?;
        let sizes: Option<Vec<u64>> =
            self.mailboxes.iter().map(|range| range.bounds().map(|(from, to)| to - from + 1)).collect();
        let rule = "write ranges of at most 1000 numbers of as many digits, such as {first: \"1000\", last: \"1999\"}";
        check(sizes.as_ref().is_some_and(|sizes| !sizes.is_empty()), "mailboxes", rule)?;
        Ok(sizes.unwrap_or_default().into_iter().sum())
    }
}

/// `sip:USER@HOST`, with the mailbox once in the user.
fn is_template(text: &str) -> bool {
    let Some((user, host)) = text.strip_prefix("sip:").and_then(|rest| rest.split_once('@')) else {
        return false;
    };
    let Some((before, behind)) = user.split_once(MAILBOX) else { return false };
    let plain = |text: &str, signs: &[u8]| {
        text.bytes().all(|byte| byte.is_ascii_alphanumeric() || signs.contains(&byte))
    };
    plain(before, b"-._+*") && plain(behind, b"-._+*") && !host.is_empty() && plain(host, b"-.:[];=")
}

#[cfg(test)]
mod tests {
    use crate::config::Config;

    const GOOD: &str = "
listen: {sip: '0.0.0.0:5060', metrics: '0.0.0.0:9090'}
advertised: 192.0.2.10
core: {url: 'https://core:8081/api/v1', tokenFile: /token}
trunks:
- name: pbx
  addresses: [192.0.2.0/24]
  notify:
    proxy: pbx.example.com:5060
    uri: 'sip:{mailbox}@pbx.example.com'
    mailboxes: [{first: '0098', last: '0102'}, {first: '0100'}, {first: '7'}]
spool: {folder: /spool, keyFile: /key}
";

    #[test]
    fn ranges_name_each_mailbox_once_with_all_its_digits() {
        let config = Config::parse(GOOD).unwrap();
        let notify = config.trunks[0].notify.clone().unwrap();
        let names: Vec<String> = notify.mailboxes().into_iter().collect();
        assert_eq!(names, ["0098", "0099", "0100", "0101", "0102", "7"]);
        assert_eq!(notify.uri_of("0099"), "sip:0099@pbx.example.com");
        assert_eq!(notify.proxy.unwrap().as_str(), "pbx.example.com:5060");
    }

    #[test]
    fn the_trunks_outbound_proxy_stands_in_for_one_of_its_own() {
        let proxy = "proxy: pbx.example.com:5060";
        let by_outbound = GOOD
            .replace(proxy, "transport: UDP")
            .replace("name: pbx", "name: pbx\n  outboundProxy: sbc:5060");
        let trunk = Config::parse(&by_outbound).unwrap().trunks.remove(0);
        assert_eq!(trunk.proxy_of_notices().unwrap().as_str(), "sbc:5060");
        let with_own = GOOD.replace("name: pbx", "name: pbx\n  outboundProxy: sbc:5060");
        let trunk = Config::parse(&with_own).unwrap().trunks.remove(0);
        assert_eq!(trunk.proxy_of_notices().unwrap().as_str(), "pbx.example.com:5060");
    }

    #[test]
    fn what_cannot_be_told_is_refused_by_field() {
        for (from, to, field) in [
            ("pbx.example.com:5060", "pbx.example.com", "proxy"),
            ("pbx.example.com:5060", "'fd00::1:5060'", "proxy"),
            ("proxy: pbx.example.com:5060", "transport: UDP", "proxy"),
            ("'sip:{mailbox}@pbx.example.com'", "'sip:1001@pbx.example.com'", "uri"),
            ("'sip:{mailbox}@pbx.example.com'", "'sip:{mailbox}'", "uri"),
            ("'sip:{mailbox}@pbx.example.com'", "\"sip:{mailbox}@pbx\\r\\nA: b\"", "uri"),
            ("uri:", "transport: TCP\n    uri:", "transport"),
            ("first: '7'", "first: '7', last: '6'", "mailboxes"),
            ("first: '7'", "first: '7', last: '10'", "mailboxes"),
            ("first: '7'", "first: '1000', last: '2000'", "mailboxes"),
            ("first: '7'", "first: anna", "mailboxes"),
        ] {
            assert!(GOOD.contains(from), "{from}");
            let error = Config::parse(&GOOD.replace(from, to)).unwrap_err().to_string();
            assert!(error.starts_with(&format!("trunks[0].notify.{field}: ")), "{to}: {error}");
        }
        let ranges: Vec<String> =
            (0..21).map(|at| format!("{{first: '{at:02}000', last: '{at:02}999'}}")).collect();
        let error = Config::parse(&GOOD.replace("{first: '7'}", &ranges.join(", "))).unwrap_err().to_string();
        assert!(error.starts_with("trunks: "), "{error}");
    }
}
