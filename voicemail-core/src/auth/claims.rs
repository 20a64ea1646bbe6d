//! From verified claims to an identity: by service account, or by an issuer's role map. Pure.

use super::token::{self, Claims};
use super::{AuthError, Identity};
use crate::config::{IssuerConfig, KubernetesIssuer, Role, ServiceAccountRole};
use aws_lc_rs::digest::{SHA256, digest};
use serde_json::Value;
use std::collections::BTreeSet;

/// Every audience that some entry accepts.
pub(super) fn audiences_of(cluster: &KubernetesIssuer) -> Vec<String> {
    let own = cluster.service_accounts.iter().filter_map(|entry| entry.audience.clone());
    cluster.audiences.iter().cloned().chain(own).collect()
}

/// The account that the token is of, with the roles of all entries that match; none is no error here.
pub(super) fn identity_of_account(
    claims: &Claims,
    cluster: &KubernetesIssuer,
) -> Result<Identity, AuthError> {
    let subject = text_of(claims, "sub")?;
    let name = subject.strip_prefix("system:serviceaccount:").and_then(|name| name.split_once(':'));
    let (namespace, name) = name.ok_or(AuthError::Claims)?;
    let audiences = texts_of(claims.get("aud"));
    let entries: Vec<&ServiceAccountRole> = cluster
        .service_accounts
        .iter()
        .filter(|entry| entry.namespace == namespace && entry.name == name)
        .filter(|entry| is_for(entry, cluster, &audiences))
        .collect();
    let user = entries.iter().find_map(|entry| entry.user.as_deref());
    Ok(Identity {
        subject: subject.to_owned(),
        user: user.and_then(|user| user.parse().ok()),
        mailbox: None,
        roles: entries.iter().flat_map(|entry| entry.roles.iter().copied()).collect(),
        expires: token::expiry(claims),
    })
}

fn is_for(entry: &ServiceAccountRole, cluster: &KubernetesIssuer, audiences: &BTreeSet<&str>) -> bool {
    match &entry.audience {
        Some(audience) => audiences.contains(audience.as_str()),
        None => cluster.audiences.iter().any(|audience| audiences.contains(audience.as_str())),
    }
}

/// The person or program that an issuer names.
pub(super) fn identity_of_user(claims: &Claims, issuer: &IssuerConfig) -> Result<Identity, AuthError> {
    let subject = text_of(claims, "sub")?;
    let given = texts_of(claims.get(&issuer.roles_claim));
    let roles: BTreeSet<Role> = given.iter().filter_map(|role| issuer.role_map.get(*role)).copied().collect();
    let user = claims.get(&issuer.user_claim).and_then(Value::as_str);
    Ok(Identity {
        subject: audit_name(&issuer.issuer, subject),
        user: user.and_then(|user| user.parse().ok()),
        mailbox: None,
        roles,
        expires: token::expiry(claims),
    })
}

/// Tells one subject from another without naming anybody.
fn audit_name(issuer: &str, subject: &str) -> String {
    let digest = digest(&SHA256, format!("{issuer}\n{subject}").as_bytes());
    format!("subject:{}", hex::encode(digest.as_ref().get(..8).unwrap_or_default()))
}

fn text_of<'a>(claims: &'a Claims, name: &str) -> Result<&'a str, AuthError> {
    claims.get(name).and_then(Value::as_str).filter(|text| !text.is_empty()).ok_or(AuthError::Claims)
}

/// A claim that is a string or a list of strings.
fn texts_of(claim: Option<&Value>) -> BTreeSet<&str> {
    match claim {
        Some(Value::String(text)) => BTreeSet::from([text.as_str()]),
        Some(Value::Array(list)) => list.iter().filter_map(Value::as_str).collect(),
        _ => BTreeSet::new(),
    }
}
