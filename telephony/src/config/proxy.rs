//! Where requests of ours are sent: a host and a port. Pure; the name is resolved where it is used.

use serde::Deserialize;

/// A proxy, `HOST:PORT`; an address of IPv6 stands in brackets.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Proxy(String);

impl Proxy {
    /// Host and port; none if it isn't of that form.
    pub fn parts(&self) -> Option<(&str, u16)> {
        let (host, port) = self.0.rsplit_once(':')?;
        let plain = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        let good = match plain {
            Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
            None => is_host(host),
        };
        let port = port.parse().ok().filter(|port| *port > 0)?;
        good.then_some((plain.unwrap_or(host), port))
    }

    /// As it was written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn is_host(text: &str) -> bool {
    (1..=253).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-.".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_and_a_port_are_read_and_nothing_else() {
        let parts = |text: &str| Proxy(text.into()).parts().map(|(host, port)| (host.to_owned(), port));
        assert_eq!(parts("pbx.example.com:5060"), Some(("pbx.example.com".into(), 5_060)));
        assert_eq!(parts("[fd00::1]:5070"), Some(("fd00::1".into(), 5_070)));
        for text in ["pbx.example.com", "fd00::1:5060", "a b:5060", "pbx:0", "pbx:65536", "<pbx>:5060"] {
            assert_eq!(parts(text), None, "{text}");
        }
    }
}
