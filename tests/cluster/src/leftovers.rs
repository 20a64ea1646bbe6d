//! Leftovers of an ended cluster: mounts, control groups, links, sockets and files.
//!
//! Files go only when nothing is mounted below them any more: a volume's content must not be deleted through
//! a mount that stayed. Logs stay until the next start.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::layout::{Layout, containerd_state, run_folder};
use voicemail_test_machine::command::run;

/// Unmounts everything below the cluster's folders.
pub(super) fn unmount_all(layout: &Layout) -> Result<()> {
    unmount_below(&[layout.root().to_owned(), run_folder()])
}

/// Removes control groups, links, sockets and files; call it when nothing runs and nothing is mounted.
pub(super) fn remove(layout: &Layout) -> Result<()> {
    remove_cgroups();
    remove_log_links(layout);
    remove_shim_sockets();
    remove_network_records();
    remove_device_plugin_socket();
    remove_files(layout)
}

fn unmount_below(folders: &[PathBuf]) -> Result<()> {
    for mount in list_mounts_below(folders)?.iter().rev() {
        let busy = run(Command::new("umount").arg(mount)).is_err();
        if busy {
            run(Command::new("umount").arg("-l").arg(mount))
                .with_context(|| format!("unmounting {}", mount.display()))?;
        }
    }
    let left = list_mounts_below(folders)?;
    ensure!(left.is_empty(), "these mounts stay: {left:?}");
    Ok(())
}

fn list_mounts_below(folders: &[PathBuf]) -> Result<Vec<PathBuf>> {
    let table = fs::read_to_string("/proc/self/mountinfo").context("cannot list mounts")?;
    let points =
        table.lines().filter_map(|line| line.split(' ').nth(4)).map(|point| PathBuf::from(unescape(point)));
    let below = |point: &PathBuf| folders.iter().any(|folder| point.starts_with(folder) && point != folder);
    Ok(points.filter(below).collect())
}

/// The mount table writes space, tab, newline and backslash as octal escapes.
fn unescape(point: &str) -> String {
    point.replace("\\040", " ").replace("\\011", "\t").replace("\\012", "\n").replace("\\134", "\\")
}

/// Removes the empty control groups of pods; one with processes stays, for it isn't ours.
fn remove_cgroups() {
    let hierarchies = fs::read_dir("/sys/fs/cgroup").into_iter().flatten().flatten();
    for hierarchy in hierarchies {
        remove_empty_folders(&hierarchy.path().join("kubepods"));
    }
    remove_empty_folders(Path::new("/sys/fs/cgroup/kubepods"));
}

fn remove_empty_folders(folder: &Path) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            remove_empty_folders(&entry.path());
        }
    }
    let _absent_or_used = fs::remove_dir(folder);
}

/// kubelet links each container's log into a folder of the machine.
fn remove_log_links(layout: &Layout) {
    for entry in fs::read_dir("/var/log/containers").into_iter().flatten().flatten() {
        let ours =
            fs::read_link(entry.path()).is_ok_and(|target| target.starts_with(layout.path("pod-logs")));
        if ours {
            let _gone = fs::remove_file(entry.path());
        }
    }
}

/// A shim that was ended leaves its socket outside our folders; its bundle names it.
fn remove_shim_sockets() {
    let bundles = Path::new(&containerd_state()).join("io.containerd.runtime.v2.task/k8s.io");
    for bundle in fs::read_dir(bundles).into_iter().flatten().flatten() {
        let text = fs::read_to_string(bundle.path().join("bootstrap.json")).unwrap_or_default();
        let bootstrap: serde_json::Value = serde_json::from_str(&text).unwrap_or_default();
        if let Some(socket) =
            bootstrap["address"].as_str().and_then(|address| address.strip_prefix("unix://"))
        {
            let _gone = fs::remove_file(socket);
        }
    }
}

/// The network plugins' library remembers every pod in a folder of the machine; ours name our namespaces.
fn remove_network_records() {
    for entry in fs::read_dir("/var/lib/cni/results").into_iter().flatten().flatten() {
        let text = fs::read_to_string(entry.path()).unwrap_or_default();
        if text.contains(&containerd_state()) {
            let _gone = fs::remove_file(entry.path());
        }
    }
}

/// kubelet listens for device plugins in a folder of the machine that no setting moves.
fn remove_device_plugin_socket() {
    let folder = Path::new("/var/lib/kubelet/device-plugins");
    let _absent = fs::remove_file(folder.join("kubelet.sock"));
    for emptied in [folder, Path::new("/var/lib/kubelet")] {
        let _absent_or_used = fs::remove_dir(emptied);
    }
}

fn remove_files(layout: &Layout) -> Result<()> {
    let logs = layout.path("logs");
    let own = fs::read_dir(layout.root()).into_iter().flatten().flatten().map(|entry| entry.path());
    let run = fs::read_dir(run_folder()).into_iter().flatten().flatten().map(|entry| entry.path());
    let lock = run_folder().join("lock");
    for path in own.chain(run).filter(|path| *path != logs && *path != lock) {
        let removed = if path.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
        removed.with_context(|| format!("removing {}", path.display()))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mount_point_with_a_space_is_read_back() {
        assert_eq!(unescape("/a\\040b"), "/a b");
    }
}
