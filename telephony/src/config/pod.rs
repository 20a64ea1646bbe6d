//! What differs between pods of one configuration: which of them this is, and its address. Pure.
//!
//! `advertised` is one address, or a list with one for each pod by the number at the end of its name; without it the pod's
//! own address is advertised.

use super::{Advertised, ConfigError};
use clap::Args;
use serde_yaml::Value;
use std::net::{Ipv6Addr, SocketAddr};

/// The pod that this process is in.
#[derive(Args, Clone, Debug, Default)]
pub struct Pod {
    /// Name of this pod, which ends in its number: chooses from a list in `advertised`
    #[arg(long)]
    pub pod_name: Option<String>,
    /// Address of this pod, or its addresses of both families with a comma between: advertised where the configuration names none
    #[arg(long)]
    pub pod_address: Option<Advertised>,
}

impl Pod {
    /// Puts this pod's part into a configuration.
    ///
    /// # Errors
    /// The list of addresses has none for this pod.
    pub(super) fn complete(&self, config: &mut Value) -> Result<(), ConfigError> {
        let address = match config.get("advertised") {
            Some(Value::Sequence(addresses)) => Some(self.choose(addresses)?),
            None => self.pod_address.map(|own| Value::String(own.to_string())),
            Some(_) => None,
        };
        if let (Some(address), Value::Mapping(fields)) = (address, &mut *config) {
            fields.insert("advertised".into(), address);
        }
        if let (Some(name), Value::Mapping(fields)) = (&self.pod_name, &mut *config) {
            fields.entry("front".into()).or_insert_with(|| name.clone().into());
        }
        if self.pod_address.is_some_and(|own| own.all().any(|address| address.is_ipv6())) {
            let fields: [&[&str]; 4] = [&["sip"], &["tcp"], &["tls", "address"], &["metrics"]];
            fields.into_iter().for_each(|path| listen_by_ipv6(config, path));
        }
        Ok(())
    }

    fn choose(&self, addresses: &[Value]) -> Result<Value, ConfigError> {
        let number = self.pod_name.as_ref().and_then(|name| name.rsplit('-').next()?.parse::<usize>().ok());
        let rule = "write an address, or a list with one for each pod, and start with --pod-name NAME-NUMBER";
        let found = number.and_then(|number| addresses.get(number)).cloned();
        found.ok_or_else(|| ConfigError::Rule { field: "advertised".into(), rule: rule.into() })
    }
}

/// `0.0.0.0` stands for every address, and those of IPv6 are none of its.
fn listen_by_ipv6(config: &mut Value, path: &[&str]) {
    let listen = config.get_mut("listen");
    let found = path.iter().fold(listen, |value, field| value.and_then(|value| value.get_mut(*field)));
    let Some(listen) = found else { return };
    let given = listen.as_str().and_then(|text| text.parse::<SocketAddr>().ok());
    if let Some(given) = given.filter(|given| given.ip().is_unspecified()) {
        *listen = SocketAddr::from((Ipv6Addr::UNSPECIFIED, given.port())).to_string().into();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn complete(config: &str, name: &str, address: &str) -> Result<Value, ConfigError> {
        let mut value: Value = serde_yaml::from_str(config).unwrap();
        let pod = Pod { pod_name: Some(name.into()), pod_address: Some(address.parse().unwrap()) };
        pod.complete(&mut value).map(|()| value)
    }

    #[test]
    fn a_pod_advertises_what_the_list_has_for_it_or_its_own_address() {
        let list = "advertised: [192.0.2.1, 192.0.2.2]";
        assert_eq!(complete(list, "acme-voicemail-sip-1", "10.0.0.1").unwrap()["advertised"], "192.0.2.2");
        assert_eq!(complete("{drain: 1m}", "sip-1", "10.0.0.1").unwrap()["advertised"], "10.0.0.1");
        assert_eq!(
            complete("advertised: 192.0.2.9", "sip-1", "10.0.0.1").unwrap()["advertised"],
            "192.0.2.9"
        );
        assert_eq!(complete("{drain: 1m}", "sip-1", "10.0.0.1").unwrap()["front"], "sip-1");
        assert_eq!(complete("{front: mine}", "sip-1", "10.0.0.1").unwrap()["front"], "mine");
        for name in ["sip-2", "sip"] {
            let error = complete(list, name, "10.0.0.1").unwrap_err().to_string();
            assert!(error.starts_with("advertised: write"), "{error}");
        }
    }

    #[test]
    fn a_pod_with_ipv6_listens_by_both_families() {
        let config =
            "listen: {sip: '0.0.0.0:5060', tls: {address: '0.0.0.0:5061'}, metrics: '127.0.0.1:9090'}";
        let both = complete(config, "sip-0", "10.0.0.1,fd00::1").unwrap();
        assert_eq!(
            (&both["listen"]["sip"], &both["advertised"]),
            (&"[::]:5060".into(), &"10.0.0.1,fd00::1".into())
        );
        let six = complete(config, "sip-0", "fd00::1").unwrap();
        assert_eq!(
            (&six["listen"]["sip"], &six["listen"]["metrics"]),
            (&"[::]:5060".into(), &"127.0.0.1:9090".into())
        );
        assert_eq!(six["listen"]["tls"]["address"], "[::]:5061");
        assert_eq!(complete(config, "sip-0", "10.0.0.1").unwrap()["listen"]["sip"], "0.0.0.0:5060");
    }
}
