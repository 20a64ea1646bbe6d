//! Decisions of people about a data-subject request, in its resource: approval, extension, cancellation, and how the
//! data subject was identified.
//!
//! Each is written once. Who decides is `by`: the chart's admission policy makes sure that it is who writes it.
//! Reasons are repeated in receipts and the register, so the core refuses them when they hold what looks like
//! personal data.

// The KubeSchema derive repeats each struct inside a function, where `pub` reaches nobody.
#![allow(unreachable_pub)]

use super::rules::required;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use voicemail_api::gdpr::DenialGround;

/// How it was made sure that the request comes from the data subject.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Verification {
    /// Such as callback or idDocument; no personal data.
    #[schemars(length(min = 1, max = 256))]
    pub method: String,
    /// The person who did it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub verifier: Option<String>,
    /// Time of the act.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Time>,
}

/// The decision of a second person.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[x_kube(
    validation = required(
        "(self.decision == 'Deny') == has(self.ground)",
        "approval.ground: a denial names one, an approval none"
    ).field_path(".ground")
)]
pub struct Approval {
    /// Yes or no.
    pub decision: Decision,
    /// The person who decides; never the one who made the request.
    #[schemars(length(min = 1, max = 253))]
    pub by: String,
    /// For a denial: on which ground.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ground: Option<Ground>,
    /// In words, without personal data.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 500))]
    pub reason: Option<String>,
}

/// Yes or no.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Decision {
    /// The request may be carried out.
    Approve,
    /// The request is denied, on a ground.
    Deny,
}

/// On which ground a request is denied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Ground {
    /// The person can't be identified: Art. 11(2), 12(2), 12(6).
    NotIdentified,
    /// Art. 12(5).
    ManifestlyUnfounded,
    /// In particular repetitive: Art. 12(5).
    Excessive,
    /// Art. 17(3)(a).
    FreedomOfExpression,
    /// Or a task in the public interest: Art. 17(3)(b).
    LegalObligation,
    /// Art. 17(3)(c).
    PublicHealth,
    /// Archiving, research or statistics: Art. 17(3)(d).
    Archiving,
    /// Art. 17(3)(e).
    LegalClaims,
    /// Art. 15(4).
    RightsOfOthers,
    /// Another one, which the reason says: Art. 12(4).
    Other,
}

impl Ground {
    /// The same in the core's API.
    pub fn on_the_wire(self) -> DenialGround {
        match self {
            Self::NotIdentified => DenialGround::NotIdentified,
            Self::ManifestlyUnfounded => DenialGround::ManifestlyUnfounded,
            Self::Excessive => DenialGround::Excessive,
            Self::FreedomOfExpression => DenialGround::FreedomOfExpression,
            Self::LegalObligation => DenialGround::LegalObligation,
            Self::PublicHealth => DenialGround::PublicHealth,
            Self::Archiving => DenialGround::Archiving,
            Self::LegalClaims => DenialGround::LegalClaims,
            Self::RightsOfOthers => DenialGround::RightsOfOthers,
            Self::Other => DenialGround::Other,
        }
    }
}

/// A later deadline.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Extension {
    /// By how many months in all.
    #[schemars(range(min = 1, max = 2))]
    pub months: i32,
    /// Why, without personal data: the person is told.
    #[schemars(length(min = 1, max = 500))]
    pub reason: String,
    /// The person who decides.
    #[schemars(length(min = 1, max = 253))]
    pub by: String,
}

/// Takes a request back.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Cancellation {
    /// Why, without personal data.
    #[schemars(length(min = 1, max = 500))]
    pub reason: String,
    /// The person who decides.
    #[schemars(length(min = 1, max = 253))]
    pub by: String,
}
