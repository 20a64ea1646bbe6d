//! Whether a serving certificate can be used: chain, key pair, dates and names. Pure.
//!
//! A core takes a new certificate only if certificate and key belong together; what callers check, nobody would notice
//! before they do. A certificate that the operator made is made anew when it is found broken. A brought one is copied into
//! the Secret that the pods mount once it is found right, so that a broken one reaches no pod: the last good copy stays,
//! and the condition `CertificateReady` says what is wrong.
//!
//! What can go wrong: a certificate of a public authority comes without that authority, so its chain is checked as far as it
//! goes.

use jiff::{Timestamp, ToSpan};
use rustls::client::{verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::sign::CertifiedKey;
use rustls::{CertificateError, Error, RootCertStore};
use std::time::Duration;
use voicemail_resources::conditions::{CERTIFICATE_ENDS_SOON, CERTIFICATE_READY, Finding};

/// A fault of a certificate, as reason and sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Stable word.
    pub reason: &'static str,
    /// In a sentence.
    pub message: String,
}

impl Fault {
    fn new(reason: &'static str, message: impl Into<String>) -> Self {
        Self { reason, message: message.into() }
    }
}

/// How good a certificate is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Grade {
    /// Nothing is wrong with it.
    Good,
    /// A core can serve with it, but some callers refuse it.
    Doubtful,
    /// No core can serve with it.
    Unusable,
}

/// The reason of a certificate that no core can serve with.
const UNUSABLE: &str = "CertificateUnusable";

impl Grade {
    /// That of a certificate with this fault.
    pub fn of(fault: Option<&Fault>) -> Self {
        match fault {
            None => Self::Good,
            Some(fault) if fault.reason == UNUSABLE => Self::Unusable,
            Some(_) => Self::Doubtful,
        }
    }
}

const SOON_HOURS: i64 = 14 * 24;

/// A serving certificate as it is copied, in PEM.
#[derive(Clone, PartialEq, Eq)]
pub struct CertificateParts {
    /// `tls.crt`.
    pub certificate: Vec<u8>,
    /// `tls.key`.
    pub key: Vec<u8>,
    /// `ca.crt`, if it is there.
    pub authority: Option<Vec<u8>>,
}

impl std::fmt::Debug for CertificateParts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CertificateParts").finish_non_exhaustive()
    }
}

impl CertificateParts {
    /// Finds what is wrong, the first thing. `name` is that by which the operator reaches the cores.
    pub fn find_fault(&self, name: &str, now: Timestamp) -> Option<Fault> {
        let Self { certificate, key, authority } = self;
        find_fault(&Material { certificate, key, authority: authority.as_deref() }, Some(name), now)
    }

    /// Whether nothing is wrong now, and it will have ended in two weeks.
    pub fn ends_soon(&self, name: &str, now: Timestamp) -> bool {
        let later = now.checked_add(SOON_HOURS.hours()).unwrap_or(now);
        self.find_fault(name, now).is_none() && self.find_fault(name, later).is_some()
    }
}

/// A certificate as its Secret holds it, in PEM.
#[derive(Clone, Copy, Debug)]
pub struct Material<'a> {
    /// `tls.crt`: the certificate, then those between it and the authority.
    pub certificate: &'a [u8],
    /// `tls.key`.
    pub key: &'a [u8],
    /// `ca.crt`, if it is there.
    pub authority: Option<&'a [u8]>,
}

/// Finds what is wrong, the first thing; without a name, whatever names it is for.
pub fn find_fault(material: &Material<'_>, name: Option<&str>, now: Timestamp) -> Option<Fault> {
    check(material, name, now).err()
}

fn check(material: &Material<'_>, name: Option<&str>, now: Timestamp) -> Result<(), Fault> {
    let unusable = |words: String| Fault::new(UNUSABLE, words);
    let chain = read_chain(material.certificate, "tls.crt").map_err(unusable)?;
    let Some(leaf) = chain.first() else { return Err(unusable("tls.crt holds no certificate".into())) };
    let key = PrivateKeyDer::from_pem_slice(material.key)
        .map_err(|error| unusable(format!("tls.key can't be read: {error}")))?;
    let provider = rustls::crypto::aws_lc_rs::default_provider();
    CertifiedKey::from_der(chain.clone(), key, &provider)
        .map_err(|error| unusable(format!("certificate and key can't be used together: {error}")))?;
    let parsed = ParsedCertificate::try_from(leaf).map_err(|error| unusable(error.to_string()))?;
    let given = material.authority.map(|pem| read_chain(pem, "ca.crt")).transpose().map_err(unusable)?;
    check_chain(&parsed, &chain, given.as_deref(), now, &provider)?;
    let Some(name) = name else { return Ok(()) };
    let wanted = ServerName::try_from(name).map_err(|error| unusable(error.to_string()))?;
    verify_server_name(&parsed, &wanted).map_err(|_| {
        Fault::new(
            "CertificateNamesMissing",
            format!("it isn't for {name}, by which the operator reaches the cores"),
        )
    })
}

fn read_chain(pem: &[u8], file: &str) -> Result<Vec<CertificateDer<'static>>, String> {
    let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    all.map_err(|error| format!("{file} can't be read: {error}"))
}

/// With `ca.crt` to that authority, else to the chain's own last certificate.
fn check_chain(
    leaf: &ParsedCertificate<'_>,
    chain: &[CertificateDer<'static>],
    given: Option<&[CertificateDer<'static>]>,
    now: Timestamp,
    provider: &CryptoProvider,
) -> Result<(), Fault> {
    let known = given.filter(|given| !given.is_empty());
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(known.unwrap_or(&chain[chain.len() - 1..]).iter().cloned());
    let between = chain.get(1..).unwrap_or_default();
    let at = UnixTime::since_unix_epoch(Duration::from_secs(now.as_second().max(0).cast_unsigned()));
    let algorithms = provider.signature_verification_algorithms.all;
    let Err(error) = verify_server_cert_signed_by_trust_anchor(leaf, &roots, between, at, algorithms) else {
        return Ok(());
    };
    match error {
        Error::InvalidCertificate(CertificateError::Expired | CertificateError::ExpiredContext { .. }) => {
            Err(Fault::new("CertificateExpired", "a certificate of the chain has expired"))
        }
        Error::InvalidCertificate(
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. },
        ) => Err(Fault::new("CertificateNotYetValid", "a certificate of the chain isn't valid yet")),
        // One alone, of an authority that isn't here: nobody can tell more.
        _ if known.is_none() && chain.len() == 1 => Ok(()),
        error => {
            Err(Fault::new("CertificateChainBroken", format!("the chain leads to no authority: {error}")))
        }
    }
}

/// Which certificate the pods serve with while the configured one has a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Meanwhile<'a> {
    /// They serve with it, since there is no better one.
    ServeIt,
    /// They serve with the copy that was made before, in this Secret; and what is wrong with that one by now.
    ServeFrom(&'a str, Option<&'a Fault>),
}

/// The certificate that the condition is about.
#[derive(Clone, Copy, Debug)]
pub struct CertificateSeen<'a> {
    /// Its Secret.
    pub secret: &'a str,
    /// Its fault, if it has one.
    pub fault: Option<&'a Fault>,
    /// It is right, and won't be in two weeks.
    pub ends_soon: bool,
    /// Which certificate the pods serve with if this one has a fault.
    pub meanwhile: Meanwhile<'a>,
}

/// The condition about a certificate.
pub fn find_certificate(seen: &CertificateSeen<'_>) -> Finding {
    let secret = seen.secret;
    let Some(fault) = seen.fault else {
        return match seen.ends_soon {
            false => Finding::new(CERTIFICATE_READY, true, "CertificateValid", ""),
            true => {
                let message =
                    format!("Secret {secret}: it ends within two weeks; put the next one into the Secret");
                Finding::new(CERTIFICATE_READY, true, CERTIFICATE_ENDS_SOON, message)
            }
        };
    };
    let meanwhile = match seen.meanwhile {
        Meanwhile::ServeIt => "The pods serve with it, since there is no better one".to_owned(),
        Meanwhile::ServeFrom(kept, None) => {
            format!("All pods serve with the last good one, of Secret {kept}")
        }
        Meanwhile::ServeFrom(kept, Some(fault)) => {
            format!(
                "All pods serve with that of Secret {kept}, of which it must be said by now: {}",
                fault.message
            )
        }
    };
    let message =
        format!("Secret {secret}: {}. {meanwhile}; put a right one into Secret {secret}", fault.message);
    Finding::new(CERTIFICATE_READY, false, fault.reason, message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tenant::build::certificate::{make_authority, make_serving_secret, renew_authority};
    use crate::tenant::tests::{now, plan};

    const NAME: &str = "acme-voicemail.voice.svc";

    fn made() -> [Vec<u8>; 3] {
        let authority = make_authority(&plan(), now()).unwrap();
        let data = make_serving_secret(&plan(), &authority, now()).unwrap().data.unwrap();
        ["tls.crt", "tls.key", "ca.crt"].map(|key| data[key].0.clone())
    }

    fn reason(parts: &[Vec<u8>; 3], name: &str, at: Timestamp) -> Option<&'static str> {
        let [certificate, key, authority] = parts;
        let authority = (!authority.is_empty()).then_some(authority.as_slice());
        find_fault(&Material { certificate, key, authority }, Some(name), at).map(|fault| fault.reason)
    }

    #[test]
    fn a_certificate_that_the_operator_made_is_right_with_and_without_its_authority() {
        let [certificate, key, authority] = made();
        assert_eq!(reason(&[certificate.clone(), key.clone(), authority], NAME, now()), None);
        assert_eq!(reason(&[certificate, key, Vec::new()], NAME, now()), None, "of a public authority");
    }

    #[test]
    fn chain_key_pair_dates_and_names_are_each_found_wrong() {
        let ([certificate, key, authority], [_, other_key, other_authority]) = (made(), made());
        let with = |certificate: &Vec<u8>, key: &Vec<u8>, authority: &Vec<u8>| {
            [certificate.clone(), key.clone(), authority.clone()]
        };
        let right = with(&certificate, &key, &authority);
        let later = now().checked_add((24 * 365).hours()).unwrap();
        let earlier = now().checked_sub((24 * 2).hours()).unwrap();
        for (parts, name, at, expected) in [
            (with(&certificate, &other_key, &authority), NAME, now(), "CertificateUnusable"),
            (with(&b"broken".to_vec(), &key, &authority), NAME, now(), "CertificateUnusable"),
            (with(&certificate, &b"broken".to_vec(), &authority), NAME, now(), "CertificateUnusable"),
            (with(&certificate, &key, &other_authority), NAME, now(), "CertificateChainBroken"),
            (right.clone(), "beta-voicemail.voice.svc", now(), "CertificateNamesMissing"),
            (right.clone(), NAME, later, "CertificateExpired"),
            (right, NAME, earlier, "CertificateNotYetValid"),
        ] {
            assert_eq!(reason(&parts, name, at), Some(expected));
        }
    }

    #[test]
    fn a_renewed_authority_and_the_one_before_vouch_for_each_others_certificates() {
        let before = make_authority(&plan(), now()).unwrap();
        let day = now().checked_add(24.hours()).unwrap();
        let renewed = renew_authority(&plan(), &before, day).unwrap();
        assert!(renewed.certificate != before.certificate && renewed.renew_at > before.renew_at);
        for (signer, known) in [(&before, &renewed), (&renewed, &before)] {
            let data = make_serving_secret(&plan(), signer, day).unwrap().data.unwrap();
            let [certificate, key] = ["tls.crt", "tls.key"].map(|part| data[part].0.clone());
            assert_eq!(reason(&[certificate, key, known.certificate.clone().into_bytes()], NAME, day), None);
        }
    }

    #[test]
    fn the_last_two_weeks_of_a_certificate_are_told_while_it_holds() {
        let [certificate, key, authority] = made();
        let parts = CertificateParts { certificate, key, authority: Some(authority) };
        let at = |days: i64| parts.ends_soon(NAME, now().checked_add((24 * days).hours()).unwrap());
        assert_eq!([0, 70, 80, 89, 95].map(at), [false, false, true, true, false]);
        let (secret, meanwhile) = ("cert", Meanwhile::ServeIt);
        let found = find_certificate(&CertificateSeen { secret, fault: None, ends_soon: true, meanwhile });
        assert_eq!(found.reason, CERTIFICATE_ENDS_SOON);
        assert!(found.message.contains("Secret cert: it ends within two weeks"), "{}", found.message);
    }
}
