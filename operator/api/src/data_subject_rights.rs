//! A tenant's rules for the data-subject rights: deadlines, approvals, and unavailable regions.
//!
//! A CRD has defaults of its own: those here repeat the core's (`voicemail-core/api/src/config/gdpr.rs`). Change both.

// The KubeSchema derive repeats each struct inside a function, where `pub` reaches nobody.
#![allow(unreachable_pub)]

use super::rules::wait;
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The data-subject rights.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Gdpr {
    /// From the mark to the erasure, such as 24h; at most 720h.
    #[serde(default = "default_window")]
    #[schemars(length(max = 32))]
    #[x_kube(validation = wait("720h", "gdpr.undoWindow: write at most 720h, such as 24h"))]
    pub undo_window: String,
    /// How long an export can be fetched, such as 168h.
    #[serde(default = "default_lifetime")]
    #[schemars(length(max = 32))]
    #[x_kube(validation = wait("87600h", "gdpr.exportLifetime: write at most 87600h, such as 168h"))]
    pub export_lifetime: String,
    /// Days for which backups of the store live, and so for which the ledger of erasures is kept.
    #[serde(default = "default_backup_days")]
    #[schemars(range(min = 0, max = 36500))]
    pub backup_retention_days: i32,
    /// Whether a second person must approve an erasure or an export.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approval: Option<Approval>,
    /// Whether an erasure waits or is refused while a region other than the primary one is unavailable.
    #[serde(default)]
    pub region_down: RegionDown,
}

impl Default for Gdpr {
    fn default() -> Self {
        Self {
            undo_window: default_window(),
            export_lifetime: default_lifetime(),
            backup_retention_days: default_backup_days(),
            approval: None,
            region_down: RegionDown::default(),
        }
    }
}

fn default_window() -> String {
    "24h".into()
}

fn default_lifetime() -> String {
    "168h".into()
}

fn default_backup_days() -> i32 {
    35
}

/// Four eyes on erasures and exports.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Approval {
    /// Which erasures need approval.
    #[serde(default)]
    pub required: ApprovalRule,
    /// Which exports need approval. What was found is held meanwhile, and nothing of it can be fetched.
    #[serde(default)]
    pub exports: ApprovalRule,
    /// Number of matches from which on a search counts as large, as that of a switchboard does.
    #[serde(default = "default_large")]
    #[schemars(range(min = 1, max = 1_000_000))]
    pub large_matches: i32,
}

impl Default for Approval {
    fn default() -> Self {
        Self {
            required: ApprovalRule::default(),
            exports: ApprovalRule::default(),
            large_matches: default_large(),
        }
    }
}

fn default_large() -> i32 {
    100
}

/// When a second person must approve, the stricter the greater.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub enum ApprovalRule {
    /// Only if a request asks for it.
    #[default]
    Never,
    /// If the search finds many messages.
    LargeMatches,
    /// Always.
    Always,
}

/// How an erasure treats a region that is unavailable.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum RegionDown {
    /// The request is refused with the region's name.
    #[default]
    Refuse,
    /// Messages are hidden now, erased where that is possible, and the region is tried until it answers.
    MarkAndRetry,
}
