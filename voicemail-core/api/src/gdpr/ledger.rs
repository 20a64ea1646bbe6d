//! The ledger of erasures as it is kept outside the store, to erase again what a restore brings back.
//!
//! It holds callers by keyed hash and messages by name: pseudonymous, for as long as backups live, and no longer.

use serde::{Deserialize, Serialize};

/// The newest erasure: kept outside the store, it tells a restored store from a current one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "utoipa", derive(utoipa::ToSchema))]
pub struct LedgerHead {
    /// Its number; 0 when there is none.
    pub epoch: u64,
    /// SHA-256 of its entry, in hex; empty when there is none.
    #[serde(default)]
    pub hash: String,
    /// The newest receipt, so that no number is given twice after a restore; absent where no receipt was issued, and in
    /// copies of before it was kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub receipts: Option<ReceiptsHead>,
    /// The newest seal of the audit log; absent where no hour was sealed, and in copies of before there were seals.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seals: Option<ReceiptsHead>,
}

impl LedgerHead {
    /// Whether both are of the same entry, whatever receipts were issued since.
    pub fn is_same_entry(&self, other: &Self) -> bool {
        (self.epoch, &self.hash) == (other.epoch, &other.hash)
    }

    /// Whether receipts were issued that this head doesn't know.
    pub fn lacks_receipts_of(&self, other: &Self) -> bool {
        let number = |head: &Self| head.receipts.as_ref().map_or(0, |head| head.number);
        number(self) < number(other)
    }

    /// Whether hours of the audit log were sealed that this head doesn't know.
    pub fn lacks_seals_of(&self, other: &Self) -> bool {
        let number = |head: &Self| head.seals.as_ref().map_or(0, |head| head.number);
        number(self) < number(other)
    }
}

/// The newest link of a chain: of receipts, or of seals.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "utoipa", derive(utoipa::ToSchema))]
pub struct ReceiptsHead {
    /// Its number.
    pub number: u64,
    /// SHA-256 of its text, in hex, which the next one names.
    pub hash: String,
}

/// The ledger within the backups' life.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "utoipa", derive(utoipa::ToSchema))]
pub struct LedgerView {
    /// The store.
    pub store_id: String,
    /// The newest erasure.
    pub head: LedgerHead,
    /// Entries, oldest first.
    pub entries: Vec<LedgerText>,
}

/// An entry in its exact words, whose SHA-256 the next one holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "utoipa", derive(utoipa::ToSchema))]
pub struct LedgerText {
    /// Its number.
    pub epoch: u64,
    /// JSON text.
    pub text: String,
}

/// The facts about an entry that keepers of a ledger must know.
#[derive(Debug, Deserialize)]
pub struct LedgerLink {
    /// SHA-256 of the entry before.
    pub previous: String,
    /// When it was entered, in milliseconds since 1970.
    pub at: i64,
}

impl LedgerText {
    /// How it hangs together with others; none if its text isn't an entry's.
    pub fn link(&self) -> Option<LedgerLink> {
        serde_json::from_str(&self.text).ok()
    }
}

/// A key that receipts are checked with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "utoipa", derive(utoipa::ToSchema))]
pub struct PublicKey {
    /// First 16 hex digits of the SHA-256 of the raw key.
    pub id: String,
    /// Always `Ed25519`.
    pub algorithm: String,
    /// Raw 32 bytes, base64.
    pub public_key: String,
    /// Whether receipts are signed with it now.
    pub signing: bool,
}
