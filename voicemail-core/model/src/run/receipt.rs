//! The receipt of a run: a signed statement, without personal data, of what was done and when.

use crate::RunId;
use serde::{Deserialize, Serialize};
use voicemail_api::gdpr::{DenialGround, KeptView, Operation, RegionView, ResidualCopy, RunState};

/// A receipt's statements: `gdpr/<run>.receipt`. Receipts form a chain: each holds the hash of the one before.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Receipt {
    /// Version of this shape.
    pub schema: u32,
    /// Its number in the tenant's chain, from 1.
    pub number: u64,
    /// SHA-256 of the receipt before, in hex; empty in the first.
    pub previous: String,
    /// The tenant.
    pub tenant: String,
    /// The store.
    pub store_id: String,
    /// The case, as given.
    pub case: String,
    /// The run.
    pub run: RunId,
    /// Keyed digest of the subject, of this run alone; absent where only the ledger tells of the run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject_digest: Option<String>,
    /// Which right.
    pub operation: Operation,
    /// How it ended; an export's is `ready`.
    pub outcome: RunState,
    /// When the person's request was received.
    pub received_at: String,
    /// Until when it had to be carried out.
    pub due_at: String,
    /// When the messages were hidden.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub marked_at: Option<String>,
    /// From when they counted as erased.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub purge_at: Option<String>,
    /// When the last trace was gone and the search found nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub erased_at: Option<String>,
    /// When this was written.
    pub issued_at: String,
    /// Messages found.
    pub matched: u64,
    /// Messages erased.
    pub erased: u64,
    /// Messages exported.
    pub exported: u64,
    /// Messages that legal holds keep.
    pub held: u64,
    /// By reason.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub kept: Vec<KeptView>,
    /// Counts and times by region: the scope of the search.
    pub regions: Vec<RegionView>,
    /// Rounds of search and erasure.
    pub rounds: u32,
    /// Rule sets of number normalisation that were searched.
    pub rule_sets: Vec<u32>,
    /// Whether callers were searched by number, in which case those who withheld it can't be found.
    pub withheld_not_searched: bool,
    /// Whether messages were named.
    pub messages_named: bool,
    /// Keepers of copies, and for how long they keep them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub residual_copies: Vec<ResidualCopy>,
    /// When the last of them is gone, if that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backups_clear_after: Option<String>,
    /// Ground of a denial.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub denial: Option<DenialGround>,
    /// It was carried out once more after a restore.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub replayed: bool,
    /// Version of the program.
    pub version: String,
}

/// A receipt and its Ed25519 signature over the exact bytes of `receipt`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct SignedReceipt {
    /// The receipt as JSON text: these bytes are signed, and their SHA-256 is what the chain holds.
    pub receipt: String,
    /// Signature, base64.
    pub signature: String,
    /// Public key, base64, raw 32 bytes.
    pub public_key: String,
}
