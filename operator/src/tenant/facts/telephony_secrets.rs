//! The Secrets and ConfigMaps that the telephone's pods mount: which there are, and whether what is in them can be used.
//!
//! Flow: [`list_telephony`] names them from the spec, the content is looked at by [`find_unusable`] where it was read, and only a
//! sentence about it leaves: neither a name nor a password of a trunk's user is in one. A missing one keeps pods from starting, and one that
//! can't be used keeps calls away that need it.

use super::access_secret::AccessSecret;
use super::certificate::{Material, find_fault};
use crate::tenant::build::access::{CA_KEY, USERS_KEY};
use crate::tenant::build::certificate::{TLS_CERTIFICATE, TLS_KEY};
use jiff::Timestamp;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use voicemail_resources::conditions::TELEPHONY_READY;
use voicemail_resources::references::CaRef;
use voicemail_resources::voicemail_tenant::Telephony;

const CERTIFICATE_KEYS: [&str; 2] = [TLS_CERTIFICATE, TLS_KEY];

/// Those that a spec names, in the order of its fields.
pub fn list_telephony(telephony: &Telephony) -> Vec<AccessSecret> {
    let of = |field: String, name: &str, keys| {
        AccessSecret::new(TELEPHONY_READY, format!("telephony.{field}"), name, keys)
    };
    let authority = |field: String, ca: &CaRef| {
        AccessSecret::of_authority(TELEPHONY_READY, format!("telephony.{field}"), ca)
    };
    let mut named = Vec::new();
    if let Some(tls) = &telephony.tls {
        named.push(of("tls.secretRef".into(), &tls.secret_ref.name, &CERTIFICATE_KEYS));
        named.extend(tls.peer_ca_ref.iter().map(|ca| authority("tls.peerCARef".into(), ca)));
    }
    for trunk in &telephony.trunks {
        let field = |name: &str| format!("trunks[{}].{name}", trunk.name);
        let certificates = trunk.client_certificates.iter();
        named.extend(certificates.map(|known| authority(field("clientCertificates.caRef"), &known.ca_ref)));
        let users = trunk.digest.iter().map(|digest| &digest.secret_ref.name);
        named.extend(users.map(|name| of(field("digest.secretRef"), name, &[USERS_KEY])));
        let ours = trunk.notify.iter().filter_map(|notify| notify.secret_ref.as_ref());
        named.extend(ours.map(|secret| of(field("notify.secretRef"), &secret.name, &[USERS_KEY])));
    }
    named
}

/// What is wrong with the content of one whose keys are all there; `read` gives a key's.
pub fn find_unusable<'a>(
    secret: &AccessSecret,
    read: impl Fn(&str) -> &'a [u8],
    now: Timestamp,
) -> Option<String> {
    if secret.condition != TELEPHONY_READY {
        return None;
    }
    match secret.keys {
        keys if keys == CERTIFICATE_KEYS => {
            let (certificate, key) = (read(TLS_CERTIFICATE), read(TLS_KEY));
            find_fault(&Material { certificate, key, authority: None }, None, now).map(|fault| fault.message)
        }
        [CA_KEY] => find_unusable_authority(read(CA_KEY)),
        [USERS_KEY] => find_unusable_line(read(USERS_KEY)),
        _ => None,
    }
}

fn find_unusable_authority(pem: &[u8]) -> Option<String> {
    let certificates = CertificateDer::pem_slice_iter(pem).filter(Result::is_ok).count();
    (certificates == 0).then(|| format!("{CA_KEY} holds no certificate in PEM"))
}

/// The first line that is no user's.
fn find_unusable_line(users: &[u8]) -> Option<String> {
    let Ok(users) = std::str::from_utf8(users) else { return Some(format!("{USERS_KEY} isn't UTF-8 text")) };
    let is_user = |line: &str| {
        line.split_once(':').is_some_and(|(name, password)| !name.is_empty() && !password.is_empty())
    };
    let wrong = users.lines().position(|line| !line.is_empty() && !is_user(line));
    match wrong {
        Some(at) => Some(format!("line {} of {USERS_KEY} isn't of the form NAME:PASSWORD", at + 1)),
        None if users.trim().is_empty() => Some(format!("{USERS_KEY} has no line NAME:PASSWORD")),
        None => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tenant::build::certificate::{make_authority, make_serving_secret};
    use crate::tenant::tests::{now, plan, tenant};
    use serde_json::json;
    use std::collections::BTreeMap;

    fn listed() -> Vec<AccessSecret> {
        let tenant = tenant(|value| {
            value["spec"]["telephony"] = json!({
                "domain": "pbx.example.com",
                "tls": {"secretRef": {"name": "sip-tls"}, "peerCARef": {"name": "company"}},
                "trunks": [
                    {"name": "sbc", "transports": ["TLS"],
                     "clientCertificates": {"caRef": {"kind": "Secret", "name": "sbc"}, "names": ["sbc.example.com"]}},
                    {"name": "phones", "digest": {"secretRef": {"name": "phones-users"}}},
                ],
            });
        });
        list_telephony(tenant.spec.telephony.as_ref().unwrap())
    }

    fn fault(at: usize, content: &[(&str, Vec<u8>)]) -> Option<String> {
        let content: BTreeMap<&str, &[u8]> =
            content.iter().map(|(key, bytes)| (*key, bytes.as_slice())).collect();
        find_unusable(&listed()[at], |key| content[key], now())
    }

    #[test]
    fn all_that_the_pods_mount_is_named_by_its_field() {
        let named: Vec<(String, String)> =
            listed().into_iter().map(|secret| (secret.field, secret.name)).collect();
        let expected = [
            ("telephony.tls.secretRef", "sip-tls"),
            ("telephony.tls.peerCARef", "company"),
            ("telephony.trunks[sbc].clientCertificates.caRef", "sbc"),
            ("telephony.trunks[phones].digest.secretRef", "phones-users"),
        ];
        let expected = expected.map(|(field, name)| (field.to_owned(), name.to_owned()));
        assert_eq!(named, expected);
    }

    #[test]
    fn a_certificate_is_checked_with_its_key_and_for_its_dates_but_for_no_name_of_ours() {
        let made = || {
            let authority = make_authority(&plan(), now()).unwrap();
            let data = make_serving_secret(&plan(), &authority, now()).unwrap().data.unwrap();
            [TLS_CERTIFICATE, TLS_KEY].map(|key| data[key].0.clone())
        };
        let ([certificate, key], [_, other]) = (made(), made());
        let with = |certificate: &[u8], key: &[u8]| {
            fault(0, &[(TLS_CERTIFICATE, certificate.to_vec()), (TLS_KEY, key.to_vec())])
        };
        assert_eq!(with(&certificate, &key), None);
        assert!(with(&certificate, &other).unwrap().contains("can't be used together"));
        assert!(with(b"none", &key).unwrap().contains("tls.crt holds no certificate"));
    }

    #[test]
    fn an_authority_without_a_certificate_and_a_line_that_is_no_user_are_told_without_their_content() {
        assert_eq!(
            fault(1, &[(CA_KEY, b"anything".to_vec())]).unwrap(),
            "ca.crt holds no certificate in PEM"
        );
        let users = |text: &str| fault(3, &[(USERS_KEY, text.into())]);
        assert_eq!(users("desk:a secret\n\nhall:b:c\n"), None);
        let wrong = users("desk:a secret\nhall secret\n").unwrap();
        assert_eq!(wrong, "line 2 of users isn't of the form NAME:PASSWORD");
        assert!(users("\n").unwrap().contains("has no line"));
    }
}
