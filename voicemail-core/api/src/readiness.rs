//! How a replica is, as `/readyz` of a core or of a telephone answers and the operator reads it.
//!
//! Whoever reads ignores what it doesn't know and goes without what isn't there, since replicas of other releases answer, too.

use serde::{Deserialize, Serialize};

/// Whether a replica can serve.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Readiness {
    /// Whether it takes calls.
    pub ready: bool,
    /// Stable name of its state, or of what is wrong though it serves.
    pub reason: Option<String>,
    /// The same for people.
    pub message: Option<String>,
    /// The store's id, once known.
    pub store_id: Option<String>,
    /// Every region's store as last seen; empty before the tenant is open.
    pub regions: Vec<RegionHealth>,
    /// Changes when a case may have changed that this replica knows of, and with each start; `none` if there never was
    /// a case.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gdpr_mark: Option<String>,
    /// Whether e-mails go out (`unknown`, `sending`, or why not); a replica whose mails wait serves nevertheless. Absent where
    /// none are configured.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// Whether people can sign in to the pages; a replica whose issuers are away serves those who have. Absent where there are
    /// none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub web: Option<IssuersHealth>,
}

impl Readiness {
    /// Not ready, for that reason, and nothing else is known.
    pub fn not(reason: &str, message: impl Into<String>) -> Self {
        Self { reason: Some(reason.to_owned()), message: Some(message.into()), ..Self::default() }
    }
}

/// Whether a region's store answers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct RegionHealth {
    /// The region.
    pub name: String,
    /// Whether its store answered when it was last asked.
    pub reachable: bool,
    /// The obstacle to writing of a store that answers: a stable name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The same, or why it doesn't answer, for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

/// The issuers where people sign in, as they were last seen.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct IssuersHealth {
    /// Whether they were asked yet.
    pub asked: bool,
    /// Those that can't be asked.
    pub unreachable: Vec<String>,
}

#[cfg(test)]
mod tests {
    use super::{IssuersHealth, Readiness, RegionHealth};

    #[test]
    fn a_replica_of_another_release_is_understood_as_far_as_it_says() {
        let said = r#"{"ready": true, "reason": null, "regions": [{"name": "eu", "reachable": true, "load": 3}], "new": []}"#;
        let region = RegionHealth { name: "eu".into(), reachable: true, ..RegionHealth::default() };
        let read: Readiness = serde_json::from_str(said).unwrap();
        assert_eq!(read, Readiness { ready: true, regions: vec![region], ..Readiness::default() });
        assert_eq!(serde_json::from_str::<Readiness>("{}").unwrap(), Readiness::default());
    }

    #[test]
    fn what_is_said_is_read_again() {
        let web = Some(IssuersHealth { asked: true, unreachable: vec!["https://id.example.com".into()] });
        let said =
            Readiness { email: Some("sending".into()), web, ..Readiness::not("Starting", "not open yet") };
        let text = serde_json::to_string(&said).unwrap();
        assert!(!text.contains("gdprMark") && text.contains(r#""storeId":null"#), "{text}");
        assert_eq!(serde_json::from_str::<Readiness>(&text).unwrap(), said);
    }
}
