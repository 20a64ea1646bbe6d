//! From verified claims to an identity: by service account, or by an issuer's role map. Pure.

use super::AuthError;
use super::token::{self, Claims, DEFAULT_SKEW};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use voicemail_api::config::{
    IntrospectionConfig, IssuerConfig, KubernetesIssuer, Role, SERVICE_ACCOUNTS, ServiceAccountRole,
};
use voicemail_engine::principal::{Principal, audit_name};
use voicemail_model::{Time, UserId};

/// Every audience that some entry accepts.
pub(super) fn audiences_of(cluster: &KubernetesIssuer) -> Vec<String> {
    let own = cluster.service_accounts.iter().filter_map(|entry| entry.audience.clone());
    cluster.audiences.iter().cloned().chain(own).collect()
}

/// The account that the token is of, with the roles of all entries that match; none is no error here.
pub(super) fn identity_of_account(
    claims: &Claims,
    cluster: &KubernetesIssuer,
) -> Result<Principal, AuthError> {
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
    Ok(Principal {
        subject: subject.to_owned(),
        authority: SERVICE_ACCOUNTS.into(),
        user: user.and_then(|user| user.parse().ok()),
        mailbox: None,
        roles: entries.iter().flat_map(|entry| entry.roles.iter().copied()).collect(),
        expires: token::expiry(claims, DEFAULT_SKEW),
    })
}

fn is_for(entry: &ServiceAccountRole, cluster: &KubernetesIssuer, audiences: &BTreeSet<&str>) -> bool {
    match &entry.audience {
        Some(audience) => audiences.contains(audience.as_str()),
        None => cluster.audiences.iter().any(|audience| audiences.contains(audience.as_str())),
    }
}

/// The person or program that an issuer names.
pub(super) fn identity_of_user(claims: &Claims, issuer: &IssuerConfig) -> Result<Principal, AuthError> {
    let subject = text_of(claims, "sub")?;
    Ok(Principal {
        subject: audit_name(&issuer.issuer, subject),
        authority: issuer.issuer.clone(),
        user: user_of(claims, &issuer.user_claim, issuer.user_prefix.as_deref()),
        mailbox: None,
        roles: roles_of(claims, &issuer.roles_claim, &issuer.role_map),
        expires: token::expiry(claims, issuer.clock_skew),
    })
}

/// The holder of an opaque token, as the endpoint's answer names them. Never with the role `privacy`: an answer
/// may be a minute old, and isn't signed.
pub(super) fn identity_of_answer(
    answer: &Claims,
    config: &IntrospectionConfig,
    expires: Time,
) -> Result<Principal, AuthError> {
    if !texts_of(answer.get("aud")).contains(config.audience.as_str()) {
        return Err(AuthError::Audience);
    }
    // A client's own token may have no `sub`.
    let subject = text_of(answer, "sub").or_else(|_| text_of(answer, "client_id"))?;
    let mut roles = roles_of(answer, &config.roles_claim, &config.role_map);
    roles.remove(&Role::Privacy);
    Ok(Principal {
        subject: audit_name(&config.endpoint, subject),
        authority: config.endpoint.clone(),
        user: user_of(answer, &config.user_claim, config.user_prefix.as_deref()),
        mailbox: None,
        roles,
        expires,
    })
}

fn user_of(claims: &Claims, claim: &str, prefix: Option<&str>) -> Option<UserId> {
    let user = find(claims, claim).and_then(Value::as_str).filter(|user| !user.is_empty())?;
    format!("{}{user}", prefix.unwrap_or_default()).parse().ok()
}

fn roles_of(claims: &Claims, claim: &str, map: &BTreeMap<String, Role>) -> BTreeSet<Role> {
    words_of(find(claims, claim)).into_iter().filter_map(|word| map.get(word)).copied().collect()
}

/// A claim by its name, which may hold dots itself, or by its path through objects.
fn find<'a>(claims: &'a Claims, path: &str) -> Option<&'a Value> {
    if let Some(found) = claims.get(path) {
        return Some(found);
    }
    let (first, rest) = path.split_once('.')?;
    rest.split('.').try_fold(claims.get(first)?, |value, name| value.get(name))
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

/// A list of strings, or words separated by spaces.
fn words_of(claim: Option<&Value>) -> BTreeSet<&str> {
    match claim {
        Some(Value::String(text)) => text.split(' ').filter(|word| !word.is_empty()).collect(),
        other => texts_of(other),
    }
}
