//! Before a user's name: what tells the users of one issuer from those of another.
//!
//! Two companies' issuers may give the same subject to two people, so where users come from several places their names
//! begin with the place, as those of the Kubernetes API server do. Whoever knows that two places mean the same people says
//! so by giving both the same prefix.

use super::AuthConfig;
use std::collections::BTreeSet;

impl AuthConfig {
    /// The configuration with each prefix said: those that are absent become empty where all users come from one place, else
    /// the place and `#`.
    pub fn with_prefixes(&self) -> Self {
        let mut said = self.clone();
        let places: BTreeSet<&str> = (self.issuers.iter().map(|issuer| issuer.issuer.as_str()))
            .chain(self.introspection.iter().map(|introspection| introspection.endpoint.as_str()))
            .collect();
        let default = |place: &str| if places.len() > 1 { format!("{place}#") } else { String::new() };
        for issuer in &mut said.issuers {
            issuer.user_prefix.get_or_insert_with(|| default(&issuer.issuer));
        }
        if let Some(introspection) = &mut said.introspection {
            introspection.user_prefix.get_or_insert_with(|| default(&introspection.endpoint));
        }
        said
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prefixes(auth: serde_json::Value) -> Vec<String> {
        let auth: AuthConfig = serde_json::from_value(auth).unwrap();
        let said = auth.with_prefixes();
        let issuers = said.issuers.into_iter().map(|issuer| issuer.user_prefix.unwrap());
        issuers.chain(said.introspection.into_iter().map(|found| found.user_prefix.unwrap())).collect()
    }

    fn issuer(url: &str, audience: &str) -> serde_json::Value {
        serde_json::json!({"issuer": url, "audience": audience, "roleMap": {}})
    }

    #[test]
    fn users_of_one_place_have_no_prefix() {
        let (a, b) = (issuer("https://a.example", "voicemail"), issuer("https://a.example", "desk"));
        assert_eq!(prefixes(serde_json::json!({"issuers": [a]})), [""]);
        assert_eq!(prefixes(serde_json::json!({"issuers": [a, b]})), ["", ""]);
    }

    #[test]
    fn users_of_several_places_are_told_apart_unless_the_configuration_makes_them_one() {
        let (a, mut b) = (issuer("https://a.example", "voicemail"), issuer("https://b.example", "voicemail"));
        assert_eq!(
            prefixes(serde_json::json!({"issuers": [a, b]})),
            ["https://a.example#", "https://b.example#"]
        );
        b["userPrefix"] = "".into();
        assert_eq!(prefixes(serde_json::json!({"issuers": [a, b]})), ["https://a.example#", ""]);
        let introspection = serde_json::json!({"endpoint": "https://b.example/introspect", "clientIdFile": "/a",
            "clientSecretFile": "/b", "audience": "voicemail", "roleMap": {}});
        assert_eq!(
            prefixes(serde_json::json!({"issuers": [a], "introspection": introspection})),
            ["https://a.example#", "https://b.example/introspect#"]
        );
    }
}
