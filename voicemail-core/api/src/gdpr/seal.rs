//! Seals of the audit log, and what is needed to check them and the chain of receipts.

use super::LedgerHead;
use serde::{Deserialize, Serialize};

/// A statement about a closed hour of the audit log, whose exact words are signed. Nothing in it is personal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Seal {
    /// Of this form.
    pub schema: u32,
    /// Its number among the tenant's seals.
    pub number: u64,
    /// SHA-256 of the words of the seal before, in hex; empty for the first.
    pub previous: String,
    /// The tenant.
    pub tenant: String,
    /// The store.
    pub store_id: String,
    /// The hour, UTC, as `yyyymmddHH`.
    pub hour: String,
    /// Acts of that hour.
    pub events: u64,
    /// SHA-256 of a line for each act, in order: its name, a space, and the SHA-256 of its bytes.
    pub hash: String,
    /// RFC 3339.
    pub sealed_at: String,
}

/// A seal's exact words with their signature.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "utoipa", derive(utoipa::ToSchema))]
pub struct SignedSeal {
    /// JSON text.
    pub seal: String,
    /// Base64, Ed25519 over the text.
    pub signature: String,
}

/// A link of the chain of receipts; or one that stands, after a restore, for the newest that was known outside the store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "utoipa", derive(utoipa::ToSchema))]
pub struct ReceiptLink {
    /// The receipt's number.
    pub number: u64,
    /// SHA-256 of the receipt before.
    pub previous: String,
    /// SHA-256 of the receipt's words.
    pub hash: String,
    /// It was lost in a restore, with those before it that are missing: the chain goes on from its hash.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub adopted: bool,
}

/// An hour of the audit log as the store has it now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "utoipa", derive(utoipa::ToSchema))]
pub struct AuditHour {
    /// The hour, as in seals.
    pub hour: String,
    /// Acts that are there.
    pub events: u64,
    /// As in seals.
    pub hash: String,
}

/// What the chains of receipts and seals are checked by.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "utoipa", derive(utoipa::ToSchema))]
pub struct ProofsView {
    /// The newest of each.
    pub head: LedgerHead,
    /// Links of receipts, in order.
    pub receipts: Vec<ReceiptLink>,
    /// Seals, in order.
    pub seals: Vec<SignedSeal>,
    /// Seals that were lost in restores, each the newest that was known outside the store then.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub adopted_seals: Vec<ReceiptLink>,
    /// The hours of those seals that aren't older than the audit log's retention, and closed hours without a seal.
    pub hours: Vec<AuditHour>,
    /// From which hour on acts are kept: older ones have gone with their retention.
    pub kept_from: String,
    /// Up to which hour all are sealed that had acts: what is younger proves nothing yet.
    pub sealed_up_to: String,
}
