//! Gives back the kernel settings that kubelet changes for the whole machine when it starts.
//!
//! kubelet wants memory overcommitted and a reboot after a kernel fault, and sets both without asking. The values
//! from before are written down once, when a cluster is started, and restored when it is removed.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result};

use crate::layout::run_folder;
use voicemail_test_machine::command::write_whole;

/// Files below `/proc/sys`.
const CHANGED_BY_KUBELET: [&str; 6] = [
    "vm/overcommit_memory",
    "vm/panic_on_oom",
    "kernel/panic",
    "kernel/panic_on_oops",
    "kernel/keys/root_maxkeys",
    "kernel/keys/root_maxbytes",
];

/// Writes down the present values; call it before kubelet starts.
pub(super) fn record() -> Result<()> {
    let values: BTreeMap<&str, String> = CHANGED_BY_KUBELET
        .into_iter()
        .filter_map(|name| Some((name, fs::read_to_string(path(name)).ok()?)))
        .collect();
    write_whole(&record_path(), serde_json::to_vec(&values)?)
}

/// Restores the values that were written down, if any.
pub(super) fn restore() -> Result<()> {
    let Ok(text) = fs::read(record_path()) else { return Ok(()) };
    let values: BTreeMap<String, String> =
        serde_json::from_slice(&text).context("reading the kernel settings")?;
    for (name, value) in values {
        let unchanged = fs::read_to_string(path(&name)).is_ok_and(|present| present == value);
        if !unchanged {
            fs::write(path(&name), value).with_context(|| format!("restoring kernel setting {name}"))?;
        }
    }
    Ok(())
}

fn path(name: &str) -> PathBuf {
    PathBuf::from("/proc/sys").join(name)
}

fn record_path() -> PathBuf {
    run_folder().join("sysctls.json")
}
