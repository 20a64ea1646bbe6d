//! People's requests and decisions about a run: when it was received, by when it is due, who approved, why it was
//! denied.

use crate::Time;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use voicemail_api::gdpr::DenialGround;

/// The human side of a run. Names are those of staff, never of the data subject.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Handling {
    /// When the person's request was received; as the run was created when absent.
    pub received_at: Option<Time>,
    /// The requester, by their own words.
    pub requested_by: Option<String>,
    /// The sender, as authenticated.
    pub requester: Option<String>,
    /// The authority that vouches for the sender's name. Runs of former releases don't say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub authority: Option<String>,
    /// How the person was identified.
    pub verification: Option<Verified>,
    /// The second person's approval; none where none is needed.
    pub approval: Option<Approval>,
    /// The deadline's extension.
    pub extension: Option<Extension>,
    /// Why it was denied or cancelled.
    pub denial: Option<Denial>,
    /// Carried out once more because a restore had brought the messages back.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub replayed: bool,
    /// Fields of newer versions.
    #[serde(flatten)]
    pub unknown: Map<String, Value>,
}

/// How a person was identified.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Verified {
    /// Method.
    pub method: String,
    /// The person who did it.
    pub verifier: Option<String>,
    /// When.
    pub at: Option<Time>,
    /// Fields of newer versions.
    #[serde(flatten)]
    pub unknown: Map<String, Value>,
}

/// Why a second person must approve.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ApprovalReason {
    /// The tenant's rule.
    Always,
    /// The tenant's rule for many matches.
    Large,
    /// The request asks for it.
    Requested,
}

impl ApprovalReason {
    /// As the API shows it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Always => "always",
            Self::Large => "large",
            Self::Requested => "requested",
        }
    }
}

/// A second person's approval: needed, not needed after all, or given.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Approval {
    /// Why it is needed.
    pub reason: ApprovalReason,
    /// Only from that many matches on.
    pub from: u64,
    /// The search found fewer.
    #[serde(default)]
    pub waived: bool,
    /// The person who gave it, as authenticated.
    pub by: Option<String>,
    /// When.
    pub at: Option<Time>,
    /// Fields of newer versions.
    #[serde(flatten)]
    pub unknown: Map<String, Value>,
}

impl Approval {
    /// An approval that is still to be given, from that many matches on.
    pub fn needed(reason: ApprovalReason, from: u64) -> Self {
        Self { reason, from, waived: false, by: None, at: None, unknown: Map::new() }
    }
}

/// An extension of the deadline (Art. 12(3)).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Extension {
    /// By how many months.
    pub months: u8,
    /// Why.
    pub reason: String,
    /// Who, as authenticated.
    pub by: Option<String>,
    /// When.
    pub at: Time,
    /// Fields of newer versions.
    #[serde(flatten)]
    pub unknown: Map<String, Value>,
}

/// A denial, or without a ground a cancellation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Denial {
    /// On which ground.
    pub ground: Option<DenialGround>,
    /// In words.
    pub text: Option<String>,
    /// Who, as authenticated.
    pub by: Option<String>,
    /// When.
    pub at: Time,
    /// Fields of newer versions.
    #[serde(flatten)]
    pub unknown: Map<String, Value>,
}

impl Handling {
    /// Whether nothing stands in the way of marking.
    pub fn is_cleared(&self) -> bool {
        self.approval.as_ref().is_none_or(|approval| approval.waived || approval.at.is_some())
    }
}
