//! The data-subject rights of a tenant: times, approvals, regions that are away, and what tells a restored store.

use super::duration;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::time::Duration;

/// Times of the data-subject rights.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct GdprConfig {
    /// From the mark to the erasure, unless the request says otherwise (0 s to 30 d).
    #[serde(default = "default_undo_window", with = "duration")]
    pub undo_window: Duration,
    /// A request that asks for a shorter time gets this one: a floor that whoever asks can't go below.
    #[serde(default, with = "duration", skip_serializing_if = "Duration::is_zero")]
    pub least_undo_window: Duration,
    /// How long an export can be fetched; its messages are kept from retention until then.
    #[serde(default = "default_export_lifetime", with = "duration")]
    pub export_lifetime: Duration,
    /// How long backups live, and so how long the erasure ledger must.
    #[serde(default = "default_backup_retention", with = "duration")]
    pub backup_retention: Duration,
    /// Whether a second person must approve an erasure, or an export.
    #[serde(default)]
    pub approval: ApprovalConfig,
    /// The course of an erasure while a region other than the master is away.
    #[serde(default)]
    pub region_down: RegionDown,
    /// File with the newest ledger head that is known outside the store, `{"epoch": 7, "hash": "…"}`: a store that
    /// lies behind was restored and isn't served. Read again whenever it changes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected_head: Option<PathBuf>,
}

/// Four eyes on erasures and exports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ApprovalConfig {
    /// Which erasures.
    #[serde(default)]
    pub required: ApprovalRule,
    /// Which exports.
    #[serde(default, skip_serializing_if = "ApprovalRule::is_never")]
    pub exports: ApprovalRule,
    /// How many matches are many; a switchboard has them. 1 to 1000000.
    #[serde(default = "default_large_matches")]
    pub large_matches: u32,
}

/// When a second person must approve, the stricter the greater.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ApprovalRule {
    /// Only if a request asks for it.
    #[default]
    Never,
    /// If the search finds many messages.
    Large,
    /// Always.
    Always,
}

impl ApprovalRule {
    /// Whether only a request asks for it.
    pub fn is_never(&self) -> bool {
        *self == Self::Never
    }
}

/// The course of an erasure while a region is away.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum RegionDown {
    /// The request is refused with the region's name.
    #[default]
    Refuse,
    /// Messages are hidden now, erased where that is possible, and the region is tried until it answers.
    MarkAndRetry,
}

fn default_large_matches() -> u32 {
    100
}

impl Default for ApprovalConfig {
    fn default() -> Self {
        Self {
            required: ApprovalRule::Never,
            exports: ApprovalRule::Never,
            large_matches: default_large_matches(),
        }
    }
}

const DAY: u64 = 86_400;

fn default_undo_window() -> Duration {
    Duration::from_secs(DAY)
}

fn default_export_lifetime() -> Duration {
    Duration::from_secs(7 * DAY)
}

fn default_backup_retention() -> Duration {
    Duration::from_secs(35 * DAY)
}

impl Default for GdprConfig {
    fn default() -> Self {
        Self {
            undo_window: default_undo_window(),
            least_undo_window: Duration::ZERO,
            export_lifetime: default_export_lifetime(),
            backup_retention: default_backup_retention(),
            approval: ApprovalConfig::default(),
            region_down: RegionDown::default(),
            expected_head: None,
        }
    }
}
