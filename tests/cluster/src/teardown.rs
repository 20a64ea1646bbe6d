//! Ends a cluster and removes all it left: processes, mounts, namespaces, links, cgroups and files.
//!
//! Order: what would start pods again (kube-proxy, kubelet), then the pods, whose shims end by themselves while
//! containerd lives, then containerd, the control plane, mounts, network, kernel settings and files. Containers
//! outlive containerd, so shims are found by the socket that they were started with, and everything below a shim
//! is the shim's.

use std::fs;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use crate::layout::{Layout, containerd_socket, netns_path};
use crate::processes::{Process, Running, list_pids, parent_of};
use crate::state::State;
use crate::{leftovers, network, sysctls};

const PATIENCE: Duration = Duration::from_secs(10);
const SHIM_PATIENCE: Duration = Duration::from_secs(3);
const SHIM: &str = "containerd-shim-runc-v2";

/// Ends and removes the cluster below `layout`, however much of it there is.
pub(super) fn remove(layout: &Layout) -> Result<()> {
    let recorded = State::load(layout)?.map(|state| state.processes).unwrap_or_default();
    let (agents, others): (Vec<_>, Vec<_>) = recorded.into_iter().partition(starts_pods);
    stop_in_reverse(&agents)?;
    end_pods()?;
    stop_in_reverse(&others)?;
    end_strays(layout)?;
    leftovers::unmount_all(layout)?;
    network::remove()?;
    sysctls::restore()?;
    State::forget(layout);
    leftovers::remove(layout)
}

fn starts_pods(running: &Running) -> bool {
    matches!(&*running.component.name, "kubelet" | "kube-proxy")
}

fn stop_in_reverse(processes: &[Running]) -> Result<()> {
    processes.iter().rev().try_for_each(|running| running.stop(PATIENCE))
}

/// Ends every container and pause process, then the shims that held them if they stay.
fn end_pods() -> Result<()> {
    let pids = list_pids();
    let shims: Vec<i32> = pids.iter().copied().filter(|pid| is_our_shim(*pid)).collect();
    let below: Vec<i32> = pids.into_iter().filter(|pid| descends_from(*pid, &shims)).collect();
    end_all(&below)?;
    wait_for_shims(&shims);
    end_all(&shims)
}

/// A living containerd cleans up after ended containers and ends their shims.
fn wait_for_shims(shims: &[i32]) {
    let deadline = Instant::now() + SHIM_PATIENCE;
    for process in shims.iter().filter_map(|pid| Process::find(*pid)) {
        process.wait_for_end(deadline.saturating_duration_since(Instant::now()));
    }
}

fn end_all(pids: &[i32]) -> Result<()> {
    let processes: Vec<Process> = pids.iter().filter_map(|pid| Process::find(*pid)).collect();
    processes.iter().for_each(Process::kill);
    for process in processes {
        ensure!(process.wait_for_end(PATIENCE), "process {} of a pod does not end", process.pid);
    }
    Ok(())
}

fn is_our_shim(pid: i32) -> bool {
    let arguments = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let mut arguments = arguments.split(|byte| *byte == 0);
    let program = arguments.next().unwrap_or_default();
    program.ends_with(SHIM.as_bytes()) && arguments.any(|argument| argument == containerd_socket().as_bytes())
}

fn descends_from(pid: i32, ancestors: &[i32]) -> bool {
    let mut current = pid;
    while let Some(parent) = parent_of(current).filter(|parent| *parent > 1) {
        if ancestors.contains(&parent) {
            return true;
        }
        current = parent;
    }
    false
}

/// Ends our programs in our network namespace that no record names, as a killed `up` leaves them.
fn end_strays(layout: &Layout) -> Result<()> {
    let Some(ours) = fs::metadata(netns_path()).ok() else { return Ok(()) };
    let is_stray = |pid: &i32| {
        let program = fs::read_link(format!("/proc/{pid}/exe"));
        program.is_ok_and(|path| path.starts_with(layout.programs())) && shares_namespace(*pid, &ours)
    };
    let strays: Vec<i32> = list_pids().into_iter().filter(is_stray).collect();
    end_all(&strays)
}

fn shares_namespace(pid: i32, ours: &fs::Metadata) -> bool {
    use std::os::unix::fs::MetadataExt;
    fs::metadata(format!("/proc/{pid}/ns/net"))
        .is_ok_and(|its| (its.dev(), its.ino()) == (ours.dev(), ours.ino()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_descends_from_its_parents_parent() {
        let own = i32::try_from(std::process::id()).unwrap();
        let parent = parent_of(own).unwrap();
        assert!(descends_from(own, &[parent]));
        assert!(!descends_from(parent, &[own]));
    }
}
