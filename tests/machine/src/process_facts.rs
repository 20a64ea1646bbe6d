//! What a process of this machine takes, as Linux tells it.

use std::time::Duration;

use anyhow::{Context, Result};

/// Resident memory, in KiB.
pub fn memory(pid: u32) -> Result<u64> {
    read_status(pid, "VmRSS:")
}

/// The most resident memory that it ever had, in KiB.
pub fn peak_memory(pid: u32) -> Result<u64> {
    read_status(pid, "VmHWM:")
}

fn read_status(pid: u32, name: &str) -> Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line =
        status.lines().find_map(|line| line.strip_prefix(name)).with_context(|| format!("no {name}"))?;
    line.trim().trim_end_matches(" kB").parse().with_context(|| format!("{name} is no number"))
}

/// Time on processors since it began.
pub fn processor(pid: u32) -> Result<Duration> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let fields = stat.rsplit_once(')').context("no stat")?.1.split_whitespace();
    let ticks: u64 = fields.skip(11).take(2).filter_map(|ticks| ticks.parse::<u64>().ok()).sum();
    // Linux counts them in hundredths of a second for programs.
    Ok(Duration::from_millis(ticks * 10))
}
