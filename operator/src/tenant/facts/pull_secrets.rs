//! Whether the Secrets for private registries are where kubelet looks for them: in the tenant's own namespace.
//!
//! A missing one keeps no pod from being made; its image may be on the node, or public. So it is a condition, and no refusal.

use k8s_openapi::api::core::v1::Secret;
use kube::{Api, Client};
use voicemail_resources::conditions::{Finding, PULL_SECRETS_READY};
use voicemail_runtime::calls::{CallError, within_deadline};

/// The Secrets that the pods name, and those of them that aren't there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PullSecretsFact {
    /// All names.
    pub named: Vec<String>,
    /// Names without a Secret.
    pub missing: Vec<String>,
}

/// Looks for them.
///
/// # Errors
/// The API server refuses or doesn't answer. A Secret that isn't there is a fact.
pub async fn read_pull_secrets(
    client: &Client,
    namespace: &str,
    named: Vec<String>,
) -> Result<PullSecretsFact, CallError> {
    let api: Api<Secret> = Api::namespaced(client.clone(), namespace);
    let mut missing = Vec::new();
    for name in &named {
        let found = within_deadline("look for a pull secret", api.get_metadata_opt(name)).await?;
        missing.extend(found.is_none().then(|| name.clone()));
    }
    Ok(PullSecretsFact { named, missing })
}

/// The condition; none for a tenant without such Secrets.
pub fn find_pull_secrets(fact: &PullSecretsFact) -> Option<Finding> {
    if fact.named.is_empty() {
        return None;
    }
    if fact.missing.is_empty() {
        return Some(Finding::new(PULL_SECRETS_READY, true, "PullSecretsFound", "all are in this namespace"));
    }
    let message = format!(
        "there is no Secret {} in this namespace: create it (kubectl create secret docker-registry), or images of a private \
         registry can't be pulled",
        fact.missing.join(" and no Secret ")
    );
    Some(Finding::new(PULL_SECRETS_READY, false, "PullSecretNotFound", message))
}

#[cfg(test)]
mod tests {
    use super::*;
    use voicemail_resources::conditions::ConditionStatus;

    #[test]
    fn a_missing_one_is_named_and_none_is_named_where_none_is_asked_for() {
        let fact = |missing: &[&str]| PullSecretsFact {
            named: vec!["registry".into(), "own".into()],
            missing: missing.iter().map(|name| (*name).to_owned()).collect(),
        };
        assert_eq!(find_pull_secrets(&PullSecretsFact::default()), None);
        assert_eq!(find_pull_secrets(&fact(&[])).unwrap().status, ConditionStatus::True);
        let found = find_pull_secrets(&fact(&["own"])).unwrap();
        assert_eq!((found.status, found.reason.as_str()), (ConditionStatus::False, "PullSecretNotFound"));
        assert!(found.message.contains("no Secret own in this namespace"), "{}", found.message);
    }
}
