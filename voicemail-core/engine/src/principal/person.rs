//! Names for audit, and the people behind them. Pure.

use aws_lc_rs::digest::{SHA256, digest};
use voicemail_api::config::{IdentityConfig, OBJECTS, Person, SERVICE_ACCOUNTS};

/// Tells one subject from another without naming anybody.
pub fn audit_name(authority: &str, subject: &str) -> String {
    let digest = digest(&SHA256, format!("{authority}\n{subject}").as_bytes());
    format!("subject:{}", hex::encode(digest.as_ref().get(..8).unwrap_or_default()))
}

/// The person of a tenant's list who has that name for audit at that authority.
pub fn find_person<'a>(people: &'a [Person], authority: &str, name: &str) -> Option<&'a str> {
    let is_theirs = |identity: &IdentityConfig| {
        identity.authority == authority && name_of(identity).as_deref().unwrap_or(&identity.name) == name
    };
    people.iter().find(|person| person.identities.iter().any(is_theirs)).map(|person| person.name.as_str())
}

/// Names of the cluster stand as they are, all others as digests.
fn name_of(identity: &IdentityConfig) -> Option<String> {
    let plain = [OBJECTS, SERVICE_ACCOUNTS].contains(&identity.authority.as_str());
    (!plain).then(|| audit_name(&identity.authority, &identity.name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_person_is_found_under_each_of_their_names_and_only_at_its_authority() {
        let identity =
            |authority: &str, name: &str| IdentityConfig { authority: authority.into(), name: name.into() };
        let identities =
            vec![identity("https://id.example", "auth0|1"), identity(OBJECTS, "ann@acme.example")];
        let people = [Person { name: "ann".into(), identities }];
        let digest = audit_name("https://id.example", "auth0|1");
        assert_eq!(find_person(&people, "https://id.example", &digest), Some("ann"));
        assert_eq!(find_person(&people, OBJECTS, "ann@acme.example"), Some("ann"));
        assert_eq!(find_person(&people, "https://other.example", &digest), None);
        assert_eq!(find_person(&people, "https://id.example", "auth0|1"), None);
    }
}
