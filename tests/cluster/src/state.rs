//! State of the running cluster, in one file that every process start updates.
//!
//! A cluster of another boot, of another recipe, or one that never became ready is replaced.

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use crate::families::Families;
use crate::layout::{Layout, run_folder};
use crate::processes::Running;
use voicemail_test_machine::command::write_whole;

/// The recorded cluster.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct State {
    /// Names this very cluster; a replaced cluster has another.
    pub instance: String,
    /// Digest of programs, arguments and configuration files.
    pub recipe: String,
    /// Which address family comes first.
    #[serde(default)]
    pub families: Families,
    /// Whether it once answered and had its node ready.
    pub ready: bool,
    /// Its programs in start order.
    pub processes: Vec<Running>,
    boot: String,
}

impl State {
    /// A new cluster that has started nothing yet.
    pub(super) fn begin(recipe: &str, families: Families) -> Result<Self> {
        Ok(Self {
            instance: uuid::Uuid::new_v4().to_string(),
            recipe: recipe.to_owned(),
            families,
            ready: false,
            processes: Vec::new(),
            boot: read_boot_id()?,
        })
    }

    /// The recorded cluster, if there is one and it belongs to this boot; an unreadable record counts as none.
    pub(super) fn load(layout: &Layout) -> Result<Option<Self>> {
        let Ok(text) = std::fs::read_to_string(layout.path("state.json")) else { return Ok(None) };
        let boot = read_boot_id()?;
        Ok(serde_json::from_str(&text).ok().filter(|state: &Self| state.boot == boot))
    }

    /// Writes the record.
    pub(super) fn save(&self, layout: &Layout) -> Result<()> {
        write_whole(&layout.path("state.json"), serde_json::to_vec_pretty(self)?)
    }

    /// Forgets the record.
    pub(super) fn forget(layout: &Layout) {
        let _not_there = std::fs::remove_file(layout.path("state.json"));
    }
}

fn read_boot_id() -> Result<String> {
    let text = std::fs::read_to_string("/proc/sys/kernel/random/boot_id")
        .context("cannot tell this boot from others")?;
    Ok(text.trim().to_owned())
}

/// The folders of the cluster that holds this machine's addresses now, which another cache folder may own.
pub(super) fn find_owner() -> Option<Layout> {
    let text = std::fs::read_to_string(run_folder().join("owner")).ok()?;
    Some(Layout::at(text.trim()))
}

/// Records whose cluster holds this machine's addresses.
pub(super) fn record_owner(layout: &Layout) -> Result<()> {
    write_whole(&run_folder().join("owner"), layout.root().display().to_string())
}
