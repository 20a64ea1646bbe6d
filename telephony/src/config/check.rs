//! Rules between fields. Pure: files that the configuration names are read where they are used.

use super::notify::MOST;
use super::{Config, ConfigError, Transport, Trunk};
use rustls::pki_types::ServerName;
use std::collections::BTreeSet;
use std::time::Duration;

const HOUR: Duration = Duration::from_secs(3_600);
/// Ids of messages are remembered by the core for six days.
const OLDEST: Duration = Duration::from_secs(5 * 24 * 3_600);

fn broken(field: impl Into<String>, rule: impl Into<String>) -> ConfigError {
    ConfigError::Rule { field: field.into(), rule: rule.into() }
}

fn require(holds: bool, field: &str, rule: &str) -> Result<(), ConfigError> {
    if holds { Ok(()) } else { Err(broken(field, rule)) }
}

impl Config {
    /// Checks what the types can't say.
    ///
    /// # Errors
    /// The first rule that is broken.
    pub fn check(&self) -> Result<(), ConfigError> {
        require(
            self.advertised.all().all(|address| !address.is_unspecified()),
            "advertised",
            "write the address that trunks reach",
        )?;
        self.check_core()?;
        self.check_ports()?;
        self.check_trunks()?;
        let minute = Duration::from_secs(60);
        require((minute..=2 * HOUR).contains(&self.drain), "drain", "write 1m to 2h")?;
        require((1..=1 << 20).contains(&self.spool.size_mib), "spool.sizeMib", "write 1 to 1048576")?;
        require((HOUR..=OLDEST).contains(&self.spool.max_age), "spool.maxAge", "write 1h to 5d")?;
        require(
            (Duration::from_secs(1)..=HOUR).contains(&self.spool.emptying),
            "spool.emptying",
            "write 1s to 1h",
        )?;
        let host = |domain: &String| {
            (1..=253).contains(&domain.len())
                && domain.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._:[]".contains(&b))
        };
        require(
            self.domain.as_ref().is_none_or(host),
            "domain",
            "write a host's name, such as pbx.example.com",
        )?;
        let silence = self.dialogue.as_ref().map_or(5, |dialogue| dialogue.silence.as_secs());
        require((2..=60).contains(&silence), "dialogue.silence", "write 2s to 60s")?;
        let number = |number: &String| (1..=32).contains(&number.len());
        require(
            self.access_numbers.iter().all(number),
            "accessNumbers",
            "write numbers of 1 to 32 characters",
        )
    }

    fn check_core(&self) -> Result<(), ConfigError> {
        let core = &self.core;
        let url = reqwest::Url::parse(&core.url).map_err(|_| broken("core.url", "write a URL"))?;
        let loopback = url.host_str().is_some_and(|host| {
            host == "localhost" || host.trim_matches(['[', ']']).parse().is_ok_and(is_loopback)
        });
        let safe = url.scheme() == "https" || (url.scheme() == "http" && loopback);
        require(safe, "core.url", "write https://…; http is for a loopback address alone")?;
        let one = core.token_file.is_some() != core.password_file.is_some();
        require(one, "core", "write one of tokenFile and passwordFile")
    }

    fn check_ports(&self) -> Result<(), ConfigError> {
        let (from, to) = (self.rtp.from, self.rtp.to);
        require(from >= 1_024 && from % 2 == 0, "rtp.from", "write an even port of 1024 or more")?;
        require(to > from && to % 2 == 1, "rtp.to", "write an odd port above rtp.from")?;
        let listen = &self.listen;
        for (field, port) in [
            ("listen.sip", Some(listen.sip.port())),
            ("listen.tcp", listen.tcp.map(|address| address.port())),
            ("listen.tls.address", listen.tls.as_ref().map(|tls| tls.address.port())),
            ("listen.metrics", Some(listen.metrics.port())),
        ] {
            let free = port.is_none_or(|port| !(from..=to).contains(&port));
            require(free, field, "write a port outside of rtp")?;
        }
        Ok(())
    }

    fn check_trunks(&self) -> Result<(), ConfigError> {
        require((1..=16).contains(&self.trunks.len()), "trunks", "write 1 to 16")?;
        let pairs = usize::from(self.rtp.to - self.rtp.from).div_ceil(2);
        let (mut names, mut told) = (BTreeSet::new(), 0);
        let dials_tls = self.listen.tls.as_ref().is_some_and(|tls| tls.peer_authorities.is_some());
        for (number, trunk) in self.trunks.iter().enumerate() {
            let field = |name: &str| format!("trunks[{number}].{name}");
            let good = (1..=63).contains(&trunk.name.len())
                && trunk.name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
            require(good, &field("name"), "write 1 to 63 small letters, digits and dashes")?;
            require(names.insert(&trunk.name), &field("name"), "another trunk has it")?;
            require(
                !trunk.addresses.is_empty() || trunk.client_certificates.is_some() || trunk.digest.is_some(),
                &field("addresses"),
                "write the networks that it calls from",
            )?;
            self.check_transports(trunk, &field)?;
            require(
                trunk.digest.as_ref().is_none_or(|digest| !digest.algorithms.is_empty()),
                &field("digest.algorithms"),
                "write SHA-256 or MD5",
            )?;
            require(
                trunk.outbound_proxy.as_ref().is_none_or(|proxy| proxy.parts().is_some()),
                &field("outboundProxy"),
                "write HOST:PORT, such as sbc.example.com:5060",
            )?;
            if let Some(notify) = &trunk.notify {
                told += notify.check(trunk, dials_tls, &field)?;
            }
            let calls = trunk.limits.calls;
            let rule = format!("write 1 to {pairs}: rtp has so many pairs of ports");
            require((1..=pairs).contains(&calls), &field("limits.calls"), &rule)?;
            let (second, caller) = (trunk.limits.calls_per_second, trunk.limits.calls_per_caller);
            require(second != Some(0), &field("limits.callsPerSecond"), "write 1 or more, or nothing")?;
            require(caller != Some(0), &field("limits.callsPerCaller"), "write 1 or more, or nothing")?;
        }
        let rule = format!("write ranges of at most {MOST} mailboxes in all trunks' notify");
        require(told <= MOST, "trunks", &rule)?;
        // By nothing could it be told which of them is meant.
        let anywhere = |trunk: &&Trunk| trunk.addresses.is_empty() && trunk.client_certificates.is_none();
        let count = self.trunks.iter().filter(anywhere).count();
        require(count <= 1, "trunks", "write addresses for all but one of those with digest")
    }

    fn check_transports(&self, trunk: &Trunk, field: &dyn Fn(&str) -> String) -> Result<(), ConfigError> {
        let uses = |transport| trunk.transports.contains(&transport);
        let place = field("transports");
        require(!trunk.transports.is_empty(), &place, "write UDP, TCP or TLS")?;
        require(!uses(Transport::Tcp) || self.listen.tcp.is_some(), &place, "TCP needs listen.tcp")?;
        require(!uses(Transport::Tls) || self.listen.tls.is_some(), &place, "TLS needs listen.tls")?;
        let Some(certificates) = &trunk.client_certificates else { return Ok(()) };
        require(
            trunk.transports == [Transport::Tls],
            &place,
            "write [TLS]: nothing else has clientCertificates",
        )?;
        let good = |name: &String| ServerName::try_from(name.as_str()).is_ok();
        let names = &certificates.names;
        require(
            (1..=16).contains(&names.len()) && names.iter().all(good),
            &field("clientCertificates.names"),
            "write 1 to 16 names of hosts, or addresses, as they stand in the trunk's certificates",
        )
    }
}

fn is_loopback(address: std::net::IpAddr) -> bool {
    address.is_loopback()
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "
listen: {sip: '0.0.0.0:5060', metrics: '0.0.0.0:9090'}
advertised: 192.0.2.10
core: {url: 'https://core:8081/api/v1', tokenFile: /token}
trunks: [{name: pbx, addresses: [192.0.2.0/24]}]
spool: {folder: /spool, keyFile: /key}
";

    fn refusal(from: &str, to: &str) -> String {
        assert!(GOOD.contains(from), "{from}");
        Config::parse(&GOOD.replace(from, to)).unwrap_err().to_string()
    }

    #[test]
    fn the_smallest_configuration_is_enough() {
        let config = Config::parse(GOOD).unwrap();
        assert!(config.is_access_number("5555"));
        assert_eq!(config.trunk_of("192.0.2.7".parse().unwrap(), Transport::Udp).unwrap().name, "pbx");
        assert_eq!(config.trunk_of("::ffff:192.0.2.7".parse().unwrap(), Transport::Udp).unwrap().name, "pbx");
        assert!(config.trunk_of("198.51.100.1".parse().unwrap(), Transport::Udp).is_none());
    }

    #[test]
    fn what_is_wrong_is_told_by_field_and_what_to_write() {
        assert!(refusal("192.0.2.10", "0.0.0.0").starts_with("advertised: "));
        assert!(
            refusal("192.0.2.10", "192.0.2.10,192.0.2.11")
                .contains("advertised: write an IP address, or one of IPv4")
        );
        assert!(refusal("https://core", "http://core").starts_with("core.url: "));
        assert!(refusal(", tokenFile: /token", "").starts_with("core: "));
        assert!(refusal("name: pbx", "name: P B X").starts_with("trunks[0].name: "));
        assert!(refusal("[192.0.2.0/24]", "[]").starts_with("trunks[0].addresses: "));
        assert!(refusal("spool:", "domain: 'a b'\nspool:").starts_with("domain: "));
        assert!(refusal("keyFile: /key", "keyFile: /key, emptying: 2h").starts_with("spool.emptying: "));
        assert!(refusal("spool:", "rtp: {from: 20001, to: 20009}\nspool:").starts_with("rtp.from: "));
        assert!(
            refusal("spool:", "rtp: {from: 20000, to: 20009}\nspool:")
                .starts_with("trunks[0].limits.calls: ")
        );
        assert!(refusal("'0.0.0.0:5060'", "'0.0.0.0:20010'").starts_with("listen.sip: "));
        assert!(refusal("keyFile: /key", "keyFile: /key, maxAge: 6d").starts_with("spool.maxAge: "));
        assert!(refusal("keyFile: /key", "keyFile: /key, more: 1").contains("more"));
    }

    #[test]
    fn a_trunk_is_admitted_by_the_transports_that_it_names_and_no_others() {
        let with = |trunk: &str| {
            let text = GOOD
                .replace("metrics: ", "tcp: '0.0.0.0:5060', tls: {address: '0.0.0.0:5061', certificate: /c, key: /k}, metrics: ")
                .replace("{name: pbx, addresses: [192.0.2.0/24]}", trunk);
            Config::parse(&text)
        };
        let config = with("{name: pbx, addresses: [192.0.2.0/24], transports: [TCP, TLS]}").unwrap();
        let of = |transport| config.trunk_of("192.0.2.7".parse().unwrap(), transport).is_some();
        assert_eq!([Transport::Udp, Transport::Tcp, Transport::Tls].map(of), [false, true, true]);
        let certificates = "clientCertificates: {authorities: /ca, names: [pbx.example.com]}";
        let config = with(&format!("{{name: pbx, transports: [TLS], {certificates}}}")).unwrap();
        // Known by its certificate, not by being somewhere.
        assert!(config.trunk_of("192.0.2.7".parse().unwrap(), Transport::Tls).is_none());
        for (trunk, field) in [
            (format!("{{name: pbx, {certificates}}}"), "trunks[0].transports: "),
            ("{name: pbx, addresses: [192.0.2.0/24], transports: []}".into(), "trunks[0].transports: "),
            (
                "{name: pbx, transports: [TLS], clientCertificates: {authorities: /ca, names: ['a b']}}"
                    .into(),
                "trunks[0].clientCertificates.names: ",
            ),
        ] {
            let error = with(&trunk).map(drop).unwrap_err().to_string();
            assert!(error.starts_with(field), "{error}");
        }
        let phones =
            with("{name: phones, digest: {users: /users}}, {name: pbx, addresses: [192.0.2.0/24]}").unwrap();
        let name =
            |source: &str| phones.trunk_of(source.parse().unwrap(), Transport::Udp).unwrap().name.clone();
        assert_eq!((name("192.0.2.7"), name("198.51.100.1")), ("pbx".into(), "phones".into()));
        let two = with("{name: a, digest: {users: /a}}, {name: b, digest: {users: /b}}").map(drop);
        assert!(two.unwrap_err().to_string().starts_with("trunks: "));
        let error = refusal("[192.0.2.0/24]", "[192.0.2.0/24], outboundProxy: sbc.example.com");
        assert!(error.starts_with("trunks[0].outboundProxy: "), "{error}");
        for field in ["callsPerSecond", "callsPerCaller"] {
            let error = refusal("[192.0.2.0/24]", &format!("[192.0.2.0/24], limits: {{{field}: 0}}"));
            assert!(error.starts_with(&format!("trunks[0].limits.{field}: ")), "{error}");
        }
        assert!(
            refusal("[192.0.2.0/24]", "[192.0.2.0/24], digest: {users: /u, algorithms: []}")
                .starts_with("trunks[0].digest.algorithms: ")
        );
        assert!(
            refusal("[192.0.2.0/24]", "[192.0.2.0/24], transports: [TCP]")
                .starts_with("trunks[0].transports: ")
        );
    }
}
