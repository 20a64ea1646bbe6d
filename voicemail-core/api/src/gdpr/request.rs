//! Request bodies: that of the three operations, and the decisions that people take about a case.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// The body of all three operations, as the vendor's script sends it, plus what a controller adds.
///
/// `consumers` comes in two nestings: `[{"phone": ["+44…"]}]` and
/// `[{"consumer": [{"name": "…"}, {"phone": "+44…"}]}]`; identifiers other than `phone` don't apply to voicemail.
#[derive(Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "utoipa", derive(utoipa::ToSchema))]
pub struct GdprBody {
    /// The requester's case number.
    pub caseid: String,
    /// Contact-centre id; must be the tenant's when given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ccid: Option<String>,
    /// The data subjects, in either nesting. Empty for an undo: the case's run knows them.
    #[serde(default)]
    #[cfg_attr(feature = "utoipa", schema(value_type = Vec<Object>))]
    pub consumers: Vec<Value>,
    /// Messages by name, for callers who withheld their number; their forwarded copies go with them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub messages: Vec<MessageRef>,
    /// A name for this request for ever: the same key returns the same run (a resource's namespace/name).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_key: Option<String>,
    /// From the mark to the erasure, such as `24h`; the tenant's default when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub undo_window: Option<String>,
    /// For an undo: the run to take back; the latest marked one when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<String>,
    /// Find and count, and change nothing.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub dry_run: bool,
    /// When the person's request was received, RFC 3339; now when absent. The deadline counts from it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub received_at: Option<String>,
    /// The requester in the organisation; never the data subject. They can't approve it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requested_by: Option<String>,
    /// How the person's identity was verified (Art. 12(6)).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verification: Option<Verification>,
    /// A second person must approve it, whatever the tenant's own rule is.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub require_approval: bool,
    /// The sender, as authenticated here; never read from the wire.
    #[serde(skip)]
    pub requester: Option<String>,
    /// The authority that vouches for the sender's name, as authenticated here; never read from the wire.
    #[serde(skip)]
    pub authority: Option<String>,
    /// The cluster whose operator sent it, as authenticated here; never read from the wire.
    #[serde(skip)]
    pub recorded_by: Option<String>,
    /// Fields of the vendor's format that mean nothing here are kept out of the way.
    #[serde(flatten)]
    #[cfg_attr(feature = "utoipa", schema(ignore))]
    pub other: Map<String, Value>,
}

impl std::fmt::Debug for GdprBody {
    /// Identifiers are personal data: only the case and the count are shown.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "GdprBody {{ case: {:?}, consumers: {} }}", self.caseid, self.consumers.len())
    }
}

/// A message by its place: what a list of a mailbox shows.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "utoipa", derive(utoipa::ToSchema))]
pub struct MessageRef {
    /// Mailbox.
    pub mailbox: String,
    /// The message's id.
    pub id: String,
}

/// How it was made sure that the request comes from the data subject.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "utoipa", derive(utoipa::ToSchema))]
pub struct Verification {
    /// Such as `callback` or `idDocument`; no personal data.
    pub method: String,
    /// The person who did it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verifier: Option<String>,
    /// When, RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<String>,
}

/// Approves a run that waits for a second person.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[cfg_attr(feature = "utoipa", derive(utoipa::ToSchema))]
pub struct ApproveBody {
    /// Which run; the case's open one when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<String>,
    /// The person who decides, where the operator writes for them; refused from anybody else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_behalf_of: Option<String>,
}

/// Denies a request that hasn't been carried out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[cfg_attr(feature = "utoipa", derive(utoipa::ToSchema))]
pub struct DenyBody {
    /// Which run; the case's open one when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<String>,
    /// On which ground.
    pub ground: DenialGround,
    /// In words, without personal data.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// The person who decides, where the operator writes for them; refused from anybody else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_behalf_of: Option<String>,
}

/// Why a request is denied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "utoipa", derive(utoipa::ToSchema))]
pub enum DenialGround {
    /// The person can't be identified: Art. 11(2), 12(2), 12(6).
    NotIdentified,
    /// Manifestly unfounded: Art. 12(5).
    ManifestlyUnfounded,
    /// Excessive, in particular repetitive: Art. 12(5).
    Excessive,
    /// Freedom of expression and information: Art. 17(3)(a).
    FreedomOfExpression,
    /// A legal obligation or a task in the public interest: Art. 17(3)(b).
    LegalObligation,
    /// Public health: Art. 17(3)(c).
    PublicHealth,
    /// Archiving, research or statistics: Art. 17(3)(d).
    Archiving,
    /// Legal claims: Art. 17(3)(e).
    LegalClaims,
    /// Rights and freedoms of others: Art. 15(4).
    RightsOfOthers,
    /// No action is taken for another reason, which the text says: Art. 12(4).
    Other,
}

/// Extends a run's deadline (Art. 12(3)).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[cfg_attr(feature = "utoipa", derive(utoipa::ToSchema))]
pub struct ExtendBody {
    /// Which run; the case's open one when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<String>,
    /// By how many months in all, 1 or 2.
    pub months: u8,
    /// Why, without personal data.
    pub reason: String,
    /// The person who decides, where the operator writes for them; refused from anybody else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_behalf_of: Option<String>,
}

/// Cancels a run that hasn't been marked.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[cfg_attr(feature = "utoipa", derive(utoipa::ToSchema))]
pub struct CancelBody {
    /// Which run; the case's open one when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<String>,
    /// Why, without personal data.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The person who decides, where the operator writes for them; refused from anybody else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_behalf_of: Option<String>,
}

/// Puts a message under a legal hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[cfg_attr(feature = "utoipa", derive(utoipa::ToSchema))]
pub struct HoldBody {
    /// Why, without personal data: receipts repeat it.
    pub reason: String,
}

/// A message's legal hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "utoipa", derive(utoipa::ToSchema))]
pub struct HoldView {
    /// Why.
    pub reason: String,
    /// The person who placed the hold, as authenticated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// Since when, RFC 3339.
    pub since: String,
}
