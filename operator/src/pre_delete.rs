//! `voicemail-operator pre-delete`: refuses the removal of the operator while there are tenants.
//!
//! Tenants carry a finalizer that only a running operator removes: without one they could be deleted no more, and
//! neither could their namespaces. The chart runs this before `helm uninstall` removes anything, as the operator's own
//! account: rights of its own in each watched namespace couldn't be made in one that is gone.

use crate::settings::Namespaces;
use kube::Client;
use kube::api::ListParams;
use voicemail_resources::VoicemailTenant;
use voicemail_runtime::calls::{CallError, within_deadline};
use voicemail_runtime::place::place_of;

const SHOWN: usize = 10;

/// Why the operator must stay.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PreDeleteError {
    /// There are tenants.
    #[error(
        "{count} tenants still need the operator, which removes their finalizers: {names}. Delete them first \
         (kubectl delete vmt NAME -n NAMESPACE; their data stays unless deletionPolicy says otherwise), or uninstall \
         with --no-hooks to leave them without an operator"
    )]
    TenantsLeft {
        /// How many.
        count: usize,
        /// The first of them.
        names: String,
    },
    /// A call failed.
    #[error(transparent)]
    Call(#[from] CallError),
}

/// Looks for tenants.
///
/// # Errors
/// [`PreDeleteError::TenantsLeft`] if there are any.
pub async fn check(client: &Client, namespaces: &Namespaces) -> Result<(), PreDeleteError> {
    let mut names = Vec::new();
    let single = !namespaces.0.is_empty();
    for api in namespaces.apis::<VoicemailTenant>(client) {
        match within_deadline("list the tenants", api.list_metadata(&ListParams::default())).await {
            Ok(list) => names.extend(list.items.iter().map(place_of)),
            // Without the kind there are no tenants.
            Err(error) if error.is_unknown_kind() => {}
            // The Role went with its namespace, or somebody took it: then tenants there have no operator anyway.
            Err(error) if single && error.is_forbidden() => {
                eprintln!(
                    "left out, as the operator has no rights there, or it is gone: {}",
                    api.resource_url()
                );
            }
            Err(error) => return Err(error.into()),
        }
    }
    if names.is_empty() { Ok(()) } else { Err(describe(&names)) }
}

fn describe(names: &[String]) -> PreDeleteError {
    let mut shown = names.iter().take(SHOWN).cloned().collect::<Vec<_>>();
    if names.len() > SHOWN {
        shown.push("…".into());
    }
    PreDeleteError::TenantsLeft { count: names.len(), names: shown.join(", ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_refusal_names_the_tenants_and_what_to_do() {
        let names: Vec<String> = (0..12).map(|number| format!("voice/t{number}")).collect();
        let text = describe(&names).to_string();
        assert!(text.starts_with("12 tenants") && text.contains("voice/t9, …"), "{text}");
        assert!(text.contains("kubectl delete vmt") && !text.contains("voice/t10"), "{text}");
    }
}
