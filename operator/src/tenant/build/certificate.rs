//! The serving certificate, made and rotated by the operator, or the copy of one that is brought.
//!
//! Flow: a certificate authority per tenant lives in a Secret that no pod mounts; it signs a serving
//! certificate for the names of the tenant's Services. Both carry an annotation that says when they are due:
//! after two thirds of their life. Replacing the serving certificate needs no restart, the core reloads it. The authority
//! keeps its key when it is renewed; to get another key, delete its Secret.
//!
//! Times are absolute; the beginning lies an hour back, so that a clock somewhat behind accepts it.

use crate::tenant::build::names::{ca_name, child, child_name, headless_name};
use crate::tenant::facts::certificate::CertificateParts;
use crate::tenant::steps::validate::Plan;
use jiff::{Span, Timestamp};
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use std::time::Duration;

pub use voicemail_cores::child_names::CA_CERTIFICATE;

/// Annotation with the time from which a certificate is made anew, RFC 3339.
pub const RENEW_AT: &str = "voicemail.dev/renew-at";
/// Annotation with the name of the Secret that a brought certificate was copied from.
pub const COPIED_FROM: &str = "voicemail.dev/copied-from";
/// Key of the authority's private key, in the Secret that no pod mounts.
pub const CA_KEY: &str = "ca.key";
/// Key of the serving certificate.
pub const TLS_CERTIFICATE: &str = "tls.crt";
/// Key of the serving certificate's private key.
pub const TLS_KEY: &str = "tls.key";

const HOUR: i64 = 3_600;
const CA_HOURS: i64 = 10 * 365 * 24;
const SERVING_HOURS: i64 = 90 * 24;

/// The certificate library refused.
#[derive(Debug, thiserror::Error)]
#[error("a certificate could not be made: {0}")]
pub struct CertificateError(#[from] rcgen::Error);

/// A certificate authority: certificate and key as PEM, and when it is due.
#[derive(Clone, PartialEq, Eq)]
pub struct Authority {
    /// Certificate.
    pub certificate: String,
    /// Private key.
    pub key: String,
    /// From then on it is made anew.
    pub renew_at: Timestamp,
}

impl std::fmt::Debug for Authority {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Authority").field("renew_at", &self.renew_at).finish_non_exhaustive()
    }
}

/// Makes an authority.
///
/// # Errors
/// [`CertificateError`].
pub fn make_authority(plan: &Plan, now: Timestamp) -> Result<Authority, CertificateError> {
    let key = KeyPair::generate()?;
    let certificate = authority_params(plan, now)?.self_signed(&key)?.pem();
    Ok(Authority { certificate, key: key.serialize_pem(), renew_at: due(now, CA_HOURS) })
}

/// Gives an authority a new life with the key and the name that it has: callers who know the certificate of before trust
/// what is signed from now on until that one expires, and those who know the new one trust what pods still serve.
///
/// # Errors
/// [`CertificateError`]: its key can't be read.
pub fn renew_authority(
    plan: &Plan,
    authority: &Authority,
    now: Timestamp,
) -> Result<Authority, CertificateError> {
    let key = KeyPair::from_pem(&authority.key)?;
    let certificate = authority_params(plan, now)?.self_signed(&key)?.pem();
    Ok(Authority { certificate, key: authority.key.clone(), renew_at: due(now, CA_HOURS) })
}

/// Builds the authority's Secret.
pub fn build_authority_secret(plan: &Plan, authority: &Authority) -> Secret {
    let entries = [(CA_CERTIFICATE, &authority.certificate), (CA_KEY, &authority.key)];
    build_secret(with_due(child(plan, ca_name(&plan.name)), authority.renew_at), "Opaque", &entries)
}

/// Makes a serving certificate and builds its Secret.
///
/// # Errors
/// [`CertificateError`].
pub fn make_serving_secret(
    plan: &Plan,
    authority: &Authority,
    now: Timestamp,
) -> Result<Secret, CertificateError> {
    let issuer = Issuer::new(authority_params(plan, now)?, KeyPair::from_pem(&authority.key)?);
    let key = KeyPair::generate()?;
    let certificate = serving_params(plan, now)?.signed_by(&key, &issuer)?.pem();
    let key = key.serialize_pem();
    let entries =
        [(CA_CERTIFICATE, &authority.certificate), (TLS_CERTIFICATE, &certificate), (TLS_KEY, &key)];
    let metadata = with_due(child(plan, plan.tls_secret.clone()), due(now, SERVING_HOURS));
    Ok(build_secret(metadata, "kubernetes.io/tls", &entries))
}

/// Builds the Secret with the copy of a brought certificate.
pub fn build_copy_secret(plan: &Plan, source: &str, parts: &CertificateParts) -> Secret {
    let mut metadata = child(plan, plan.tls_secret.clone());
    metadata.annotations.get_or_insert_default().insert(COPIED_FROM.to_owned(), source.to_owned());
    let given = [
        (TLS_CERTIFICATE, Some(&parts.certificate)),
        (TLS_KEY, Some(&parts.key)),
        (CA_CERTIFICATE, parts.authority.as_ref()),
    ];
    let data =
        given.into_iter().filter_map(|(key, bytes)| Some((key.to_owned(), ByteString(bytes?.clone()))));
    Secret {
        metadata,
        type_: Some("kubernetes.io/tls".into()),
        data: Some(data.collect()),
        ..Default::default()
    }
}

/// The names under which the API is reached.
pub fn serving_names(name: &str, namespace: &str, domain: &str) -> Vec<String> {
    let forms = |service: String| {
        [
            service.clone(),
            format!("{service}.{namespace}"),
            format!("{service}.{namespace}.svc"),
            format!("{service}.{namespace}.svc.{domain}"),
        ]
    };
    let pods = format!("*.{}.{namespace}.svc.{domain}", headless_name(name));
    forms(child_name(name)).into_iter().chain([pods, "localhost".into()]).collect()
}

fn authority_params(plan: &Plan, now: Timestamp) -> Result<CertificateParams, rcgen::Error> {
    let mut params = CertificateParams::new(Vec::new())?;
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    name_subject(&mut params, &format!("voicemail {}/{}", plan.namespace, plan.name));
    set_life(&mut params, now, CA_HOURS);
    Ok(params)
}

fn serving_params(plan: &Plan, now: Timestamp) -> Result<CertificateParams, rcgen::Error> {
    let mut params =
        CertificateParams::new(serving_names(&plan.name, &plan.namespace, &plan.cluster_domain))?;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.use_authority_key_identifier_extension = true;
    name_subject(&mut params, &child_name(&plan.name));
    set_life(&mut params, now, SERVING_HOURS);
    Ok(params)
}

fn name_subject(params: &mut CertificateParams, name: &str) {
    let short: String = name.chars().take(64).collect();
    params.distinguished_name.remove(DnType::CommonName);
    params.distinguished_name.push(DnType::CommonName, short);
}

fn set_life(params: &mut CertificateParams, now: Timestamp, hours: i64) {
    let begin = now.as_second().saturating_sub(HOUR);
    let since_1970 =
        |second: i64| rcgen::date_time_ymd(1970, 1, 1) + Duration::from_secs(second.max(0).cast_unsigned());
    params.not_before = since_1970(begin);
    params.not_after = since_1970(begin.saturating_add(hours.saturating_mul(HOUR)));
}

/// Two thirds of a life from `now`.
fn due(now: Timestamp, hours: i64) -> Timestamp {
    now.checked_add(Span::new().hours(hours * 2 / 3)).unwrap_or(now)
}

fn with_due(mut metadata: ObjectMeta, renew_at: Timestamp) -> ObjectMeta {
    metadata.annotations.get_or_insert_default().insert(RENEW_AT.to_owned(), renew_at.to_string());
    metadata
}

fn build_secret(metadata: ObjectMeta, type_: &str, entries: &[(&str, &String)]) -> Secret {
    let data = entries.iter().map(|(key, text)| ((*key).to_owned(), ByteString(text.as_bytes().to_vec())));
    Secret { metadata, type_: Some(type_.into()), data: Some(data.collect()), ..Default::default() }
}
