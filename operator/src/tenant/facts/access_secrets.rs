//! Whether the Secrets that say who may call, and those of receivers of MWI states, of the mail server, of the issuers where
//! people sign in to the pages and of the telephone, are there with the keys that are read.
//!
//! Flow: [`list_secrets`] names them from the spec, [`read_secrets`] looks which keys each has, and [`find_access`] makes
//! the conditions `AccessReady`, `ReceiversReady`, `EmailReady` and `WebReady` of it. They are mounted as optional, so that a
//! missing one keeps no pod from serving those who come another way: the condition is where it shows. What the telephone's condition says
//! of its own is [`find_telephony_secrets`]. Only names of keys leave this module, never their content.

pub use super::access_secret::AccessSecret;

use super::telephony_secrets::{find_unusable, list_telephony};
use crate::tenant::build::access::{INTROSPECTION_KEYS, RECEIVER_KEY, SMTP_KEYS, USERS_KEY};
use crate::tenant::build::web::LOGIN_KEYS;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::{Api, Client, ResourceExt};
use std::collections::BTreeMap;
use voicemail_resources::VoicemailTenant;
use voicemail_resources::conditions::{
    ACCESS_READY, ConditionStatus, EMAIL_READY, Finding, RECEIVERS_READY, TELEPHONY_READY, WEB_READY,
};
use voicemail_resources::references::{CaKind, CaRef};
use voicemail_runtime::calls::{CallError, within_deadline};

/// The field with authorities that are trusted beside the system's.
const TRUSTED: &str = "trustedCARef";

/// Result of looking for one of these Secrets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessFact {
    /// Which one.
    pub secret: AccessSecret,
    /// Keys that it lacks or that are empty; none when there is no such Secret.
    pub lacks: Option<Vec<&'static str>>,
    /// What is wrong with a complete one, in words that tell nothing of its content.
    pub unusable: Option<String>,
}

/// The Secrets that a spec names, in the order of its fields.
pub fn list_secrets(tenant: &VoicemailTenant) -> Vec<AccessSecret> {
    let auth = &tenant.spec.auth;
    let named = |field: String, name: &str, keys| AccessSecret::new(ACCESS_READY, field, name, keys);
    let authority = |field: String, ca: &CaRef| AccessSecret::of_authority(ACCESS_READY, field, ca);
    let issuers = auth.issuers.iter().enumerate().filter_map(|(at, issuer)| {
        issuer.ca_ref.as_ref().map(|ca| authority(format!("auth.issuers[{at}].caRef"), ca))
    });
    let trusted = tenant.spec.trusted_ca_ref.iter().map(|ca| authority(TRUSTED.into(), ca));
    let mut secrets: Vec<AccessSecret> = trusted.chain(issuers).collect();
    if let Some(given) = &auth.introspection {
        secrets.push(named("auth.introspection".into(), &given.secret_ref.name, &INTROSPECTION_KEYS));
        secrets.extend(given.ca_ref.iter().map(|ca| authority("auth.introspection.caRef".into(), ca)));
    }
    secrets.extend(
        auth.basic.iter().map(|given| named("auth.basic".into(), &given.secret_ref.name, &[USERS_KEY])),
    );
    let receivers = tenant.spec.mwi.iter().flat_map(|mwi| &mwi.webhooks);
    for given in receivers {
        let field = format!("mwi.webhooks[{}]", given.name);
        let ca = given.ca_ref.iter().map(|ca| authority(format!("{field}.caRef"), ca));
        let both = [named(field.clone(), &given.secret_ref.name, &[RECEIVER_KEY])].into_iter().chain(ca);
        secrets.extend(both.map(|secret| AccessSecret { condition: RECEIVERS_READY, ..secret }));
    }
    if let Some(smtp) = tenant.spec.email.as_ref().map(|email| &email.smtp) {
        let login = smtp.secret_ref.iter().map(|login| named("email.smtp".into(), &login.name, &SMTP_KEYS));
        let ca = smtp.ca_ref.iter().map(|ca| authority("email.smtp.caRef".into(), ca));
        secrets.extend(login.chain(ca).map(|secret| AccessSecret { condition: EMAIL_READY, ..secret }));
    }
    if let Some(map) = tenant.spec.email.as_ref().and_then(|email| email.templates_ref.as_ref()) {
        let map =
            AccessSecret { kind: CaKind::ConfigMap, ..named("email.templatesRef".into(), &map.name, &[]) };
        secrets.push(AccessSecret { condition: EMAIL_READY, ..map });
    }
    for login in tenant.spec.web.iter().flat_map(|web| &web.login) {
        let field = format!("web.login[{}]", login.issuer);
        let secret = named(field, &login.secret_ref.name, &LOGIN_KEYS);
        secrets.push(AccessSecret { condition: WEB_READY, ..secret });
    }
    secrets.extend(tenant.spec.telephony.iter().flat_map(list_telephony));
    secrets
}

/// Looks which keys they have.
///
/// # Errors
/// The API server refuses or doesn't answer. A Secret that isn't there is a fact.
pub async fn read_secrets(
    client: &Client,
    tenant: &VoicemailTenant,
    now: Timestamp,
) -> Result<Vec<AccessFact>, CallError> {
    let namespace = tenant.namespace().unwrap_or_default();
    let secrets: Api<Secret> = Api::namespaced(client.clone(), &namespace);
    let maps: Api<ConfigMap> = Api::namespaced(client.clone(), &namespace);
    let mut facts = Vec::new();
    for secret in list_secrets(tenant) {
        let content: Option<Content> = match secret.kind {
            CaKind::Secret => {
                within_deadline("read a Secret that says who may call", secrets.get_opt(&secret.name))
                    .await?
                    .map(content_of)
            }
            CaKind::ConfigMap => within_deadline("read a ConfigMap with a CA", maps.get_opt(&secret.name))
                .await?
                .map(|map| texts_of(&map)),
        };
        facts.push(look_into(secret, content.as_ref(), now));
    }
    Ok(facts)
}

/// What is in one, by key.
type Content = BTreeMap<String, Vec<u8>>;

fn content_of(secret: Secret) -> Content {
    secret.data.unwrap_or_default().into_iter().map(|(key, bytes)| (key, bytes.0)).collect()
}

fn texts_of(map: &ConfigMap) -> Content {
    let data = map.data.iter().flatten();
    data.map(|(key, text)| (key.clone(), text.trim().as_bytes().to_vec())).collect()
}

fn look_into(secret: AccessSecret, content: Option<&Content>, now: Timestamp) -> AccessFact {
    let lacks = content.map(|content| find_lacking(content, secret.keys));
    let complete = content.filter(|_| lacks.as_ref().is_some_and(Vec::is_empty));
    let unusable = complete.and_then(|content| {
        find_unusable(&secret, |key| content.get(key).map(Vec::as_slice).unwrap_or_default(), now)
    });
    AccessFact { secret, lacks, unusable }
}

fn find_lacking(content: &Content, keys: &[&'static str]) -> Vec<&'static str> {
    let has = |key: &str| content.get(key).is_some_and(|bytes| !bytes.is_empty());
    keys.iter().copied().filter(|key| !has(key)).collect()
}

/// The conditions; none for a tenant that names no Secret of the kind.
pub fn find_access(facts: &[AccessFact]) -> Vec<Finding> {
    let callers =
        ("all Secrets that say who may call are there with their keys", "nobody who depends on it gets in");
    let receivers =
        ("the Secrets of all receivers are there with their keys", "its receiver is told nothing");
    let mail = ("the Secret and authority of the mail server are there with their keys", "no e-mail is sent");
    let pages =
        ("the Secrets of all issuers are there with their keys", "nobody signs in to the pages there");
    [(ACCESS_READY, callers), (RECEIVERS_READY, receivers), (EMAIL_READY, mail), (WEB_READY, pages)]
        .into_iter()
        .filter_map(|(condition, (complete, until_then))| {
            let ours = facts.iter().filter(|fact| fact.secret.condition == condition);
            find_faults(condition, ours.collect(), complete, until_then)
        })
        .collect()
}

/// What the telephone's pods lack; none where it is all there.
pub fn find_telephony_secrets(facts: &[AccessFact]) -> Option<Finding> {
    let ours = facts.iter().filter(|fact| fact.secret.condition == TELEPHONY_READY);
    let until_then = "no call comes that needs it, and no pod starts without it";
    find_faults(TELEPHONY_READY, ours.collect(), "", until_then)
        .filter(|finding| finding.status == ConditionStatus::False)
}

fn find_faults(
    condition: &'static str,
    facts: Vec<&AccessFact>,
    complete: &str,
    until_then: &str,
) -> Option<Finding> {
    if facts.is_empty() {
        return None;
    }
    let faults: Vec<(&'static str, String)> = facts.into_iter().filter_map(find_fault).collect();
    let Some((reason, _)) = faults.first() else {
        return Some(Finding::new(condition, true, "SecretsComplete", complete));
    };
    let faults: Vec<&str> = faults.iter().map(|(_, fault)| fault.as_str()).collect();
    let message = format!("{}; until then {until_then}", faults.join("; "));
    Some(Finding::new(condition, false, *reason, message))
}

fn find_fault(fact: &AccessFact) -> Option<(&'static str, String)> {
    let AccessSecret { condition, field, kind, name, keys } = &fact.secret;
    let (missing, incomplete) = match *condition {
        _ if field == TRUSTED => ("TrustedCANotFound", "TrustedCANotFound"),
        RECEIVERS_READY => ("ReceiverSecretNotFound", "ReceiverSecretIncomplete"),
        EMAIL_READY => ("EmailSecretNotFound", "EmailSecretIncomplete"),
        WEB_READY => ("WebSecretNotFound", "WebSecretIncomplete"),
        TELEPHONY_READY => ("TelephonySecretNotFound", "TelephonySecretIncomplete"),
        _ => ("AccessSecretNotFound", "AccessSecretIncomplete"),
    };
    match &fact.lacks {
        None => {
            let with = match keys {
                [] => "a file a language, such as en.json".to_owned(),
                keys => keys.join(" and "),
            };
            let says =
                format!("spec.{field}: there is no {kind:?} {name} in this namespace: create it with {with}");
            Some((missing, says))
        }
        Some(lacks) if !lacks.is_empty() => Some((
            incomplete,
            format!("spec.{field}: {kind:?} {name} has no {}: add it", lacks.join(" and no ")),
        )),
        Some(_) => {
            let says = |fault: &String| format!("spec.{field}: {kind:?} {name}: {fault}: put it right");
            fact.unusable.as_ref().map(|fault| ("TelephonySecretUnusable", says(fault)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use k8s_openapi::ByteString;

    fn fact(field: &str, keys: &'static [&'static str], lacks: Option<&[&'static str]>) -> AccessFact {
        let secret = AccessSecret {
            condition: ACCESS_READY,
            field: field.into(),
            kind: CaKind::Secret,
            name: format!("of-{field}"),
            keys,
        };
        AccessFact { secret, lacks: lacks.map(<[&str]>::to_vec), unusable: None }
    }

    #[test]
    fn a_tenant_that_names_no_secret_has_no_such_condition() {
        assert_eq!(find_access(&[]), []);
    }

    #[test]
    fn a_secret_that_is_not_there_is_named_with_the_keys_to_put_into_it() {
        let facts = [
            fact("auth.introspection", &INTROSPECTION_KEYS, None),
            fact("auth.basic", &[USERS_KEY], Some(&[])),
        ];
        let found = find_access(&facts).remove(0);
        assert_eq!((found.status, found.reason.as_str()), (ConditionStatus::False, "AccessSecretNotFound"));
        for part in ["spec.auth.introspection", "of-auth.introspection", "clientId and clientSecret"] {
            assert!(found.message.contains(part), "{}", found.message);
        }
        assert!(!found.message.contains("auth.basic"), "{}", found.message);
    }

    #[test]
    fn keys_that_a_secret_lacks_are_named_and_all_faults_are_told_at_once() {
        let facts = [
            fact("auth.introspection", &INTROSPECTION_KEYS, Some(&["clientSecret"])),
            fact("auth.basic", &[USERS_KEY], None),
        ];
        let found = find_access(&facts).remove(0);
        assert_eq!(found.reason, "AccessSecretIncomplete");
        assert!(found.message.contains("has no clientSecret") && found.message.contains("of-auth.basic"));
    }

    #[test]
    fn what_is_complete_holds() {
        let found = find_access(&[fact("auth.basic", &[USERS_KEY], Some(&[]))]).remove(0);
        assert_eq!((found.status, found.reason.as_str()), (ConditionStatus::True, "SecretsComplete"));
    }

    #[test]
    fn a_receivers_secret_is_told_by_a_condition_of_its_own() {
        let mut receiver = fact("mwi.webhooks[desk]", &[RECEIVER_KEY], None);
        receiver.secret.condition = RECEIVERS_READY;
        let found = find_access(&[fact("auth.basic", &[USERS_KEY], Some(&[])), receiver]);
        let told: Vec<_> = found.iter().map(|one| (one.type_, one.status, one.reason.as_str())).collect();
        let expected = [
            ("AccessReady", ConditionStatus::True, "SecretsComplete"),
            ("ReceiversReady", ConditionStatus::False, "ReceiverSecretNotFound"),
        ];
        assert_eq!(told, expected);
        assert!(found[1].message.contains("spec.mwi.webhooks[desk]"), "{}", found[1].message);
    }

    #[test]
    fn the_telephones_condition_is_its_own_and_names_what_it_lacks_or_cannot_use() {
        let secret = AccessSecret {
            condition: TELEPHONY_READY,
            field: "telephony.trunks[pbx].digest.secretRef".into(),
            kind: CaKind::Secret,
            name: "pbx-users".into(),
            keys: &[USERS_KEY],
        };
        let look = |content: Option<&str>| {
            let content = content.map(|text| Content::from([(USERS_KEY.to_owned(), text.into())]));
            let facts = [look_into(secret.clone(), content.as_ref(), Timestamp::UNIX_EPOCH)];
            assert_eq!(find_access(&facts), []);
            find_telephony_secrets(&facts).map(|found| (found.reason, found.message))
        };
        for (content, reason) in [
            (None, "TelephonySecretNotFound"),
            (Some(""), "TelephonySecretIncomplete"),
            (Some("desk secret"), "TelephonySecretUnusable"),
        ] {
            let (found, message) = look(content).unwrap();
            assert_eq!(found, reason);
            assert!(message.contains("spec.telephony.trunks[pbx].digest.secretRef"), "{message}");
            assert!(message.contains("pbx-users") && !message.contains("desk"), "{message}");
        }
        assert_eq!(look(Some("desk:secret")), None);
    }

    #[test]
    fn an_empty_key_is_none() {
        let data = [("clientId", "id"), ("clientSecret", "")];
        let data = data.map(|(key, value)| (key.to_owned(), ByteString(value.into())));
        let secret = Secret { data: Some(data.into()), ..Secret::default() };
        assert_eq!(find_lacking(&content_of(secret), &INTROSPECTION_KEYS), ["clientSecret"]);
        assert_eq!(find_lacking(&content_of(Secret::default()), &[USERS_KEY]), [USERS_KEY]);
    }
}
