//! Which file system a folder is on, with which options, and whether these keep a promise that no test of one client
//! can see broken. Pure: reads the text of `/proc/self/mountinfo` (proc(5)).
//!
//! An NFS client that remembers which names are missing answers from that memory for half a minute: a message that was
//! acknowledged at one replica isn't listed at another, and its audio is "not found" there. Locks that stay with one
//! client order nobody. Neither can be found out by writing to the mount from one machine.

use std::path::{Path, PathBuf};

/// A mount as the kernel lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Mount {
    /// Where it is mounted.
    point: PathBuf,
    /// Such as `ext4` or `nfs4`.
    kind: String,
    /// Options of the mount and of the file system.
    options: Vec<String>,
}

impl Mount {
    fn has(&self, option: &str) -> bool {
        self.options.iter().any(|found| found == option)
    }

    fn value(&self, name: &str) -> Option<&str> {
        self.options.iter().find_map(|option| option.strip_prefix(name)?.strip_prefix('='))
    }

    /// The change that is needed before this may be a store.
    pub(super) fn fault(&self) -> Option<String> {
        match self.kind.as_str() {
            "nfs" | "nfs4" => self.nfs_fault(),
            "cifs" | "smb3" | "smbfs" => Some(
                "SMB mounts can't be used: another client's changes are seen late, and its locks not at all. Use NFS \
                 4.1 or later, CephFS or a local disk"
                    .into(),
            ),
            kind if is_object_store(kind) => Some(format!(
                "this is an object store mounted as files ({kind}), whose links, locks and renames aren't those of a file system: \
                 name the store itself, as s3 or azureBlob"
            )),
            _ => None,
        }
    }

    /// Which file system it is, as the kernel calls it.
    pub(super) fn kind(&self) -> &str {
        &self.kind
    }

    fn nfs_fault(&self) -> Option<String> {
        if self.value("lookupcache") != Some("none") {
            return Some(
                "the NFS mount remembers which names are missing, so that another replica's messages are seen half a \
                 minute late: mount it with lookupcache=none, in Kubernetes by `mountOptions: [lookupcache=none]` of \
                 the StorageClass or PersistentVolume, and let the pods start anew"
                    .into(),
            );
        }
        if self.has("nolock") || self.value("local_lock").is_some_and(|kept| kept != "none") {
            return Some(
                "the locks of the NFS mount stay with one client: mount it without nolock and local_lock"
                    .into(),
            );
        }
        None
    }
}

/// Programs that show a bucket as folders, by the names under which they mount.
fn is_object_store(kind: &str) -> bool {
    const PROGRAMS: [&str; 9] =
        ["rclone", "s3fs", "goofys", "mountpoint-s3", "gcsfuse", "blobfuse", "blobfuse2", "geesefs", "ossfs"];
    kind.strip_prefix("fuse.").is_some_and(|program| PROGRAMS.contains(&program))
}

/// The mount that a folder is on: the longest mount point above it, of several on one point the last. `folder` is
/// absolute and without links.
pub(super) fn find(mountinfo: &str, folder: &Path) -> Option<Mount> {
    let holds = |mount: &Mount| folder.starts_with(&mount.point);
    let depth = |mount: &Mount| mount.point.components().count();
    mountinfo.lines().filter_map(parse).filter(holds).max_by_key(depth)
}

/// `36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue`
fn parse(line: &str) -> Option<Mount> {
    let (before, behind) = line.split_once(" - ")?;
    let mut before = before.split(' ').skip(4);
    let (point, own) = (before.next()?, before.next()?);
    let mut behind = behind.split(' ');
    let (kind, _source, of_file_system) = (behind.next()?, behind.next()?, behind.next().unwrap_or_default());
    let options = own.split(',').chain(of_file_system.split(',')).map(str::to_owned).collect();
    Some(Mount { point: unescape(point).into(), kind: kind.to_owned(), options })
}

/// Spaces, tabs, line ends and backslashes are three octal digits behind a backslash.
fn unescape(text: &str) -> String {
    let mut parts = text.split('\\');
    let mut plain = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let code = part.get(..3).and_then(|digits| u8::from_str_radix(digits, 8).ok());
        match (code, part.get(3..)) {
            (Some(code), Some(rest)) => {
                plain.push(char::from(code));
                plain.push_str(rest);
            }
            _ => {
                plain.push('\\');
                plain.push_str(part);
            }
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOCAL: &str = "22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw,discard\n";

    fn nfs(point: &str, options: &str) -> String {
        format!(
            "90 22 0:50 / {point} rw,relatime shared:9 - nfs4 server:/export/voice rw,vers=4.2,hard,proto=tcp{options},addr=10.0.0.5\n"
        )
    }

    fn fault(mountinfo: &str, folder: &str) -> Option<String> {
        find(mountinfo, Path::new(folder)).and_then(|mount| mount.fault())
    }

    #[test]
    fn nfs_is_taken_only_with_lookupcache_none_and_the_refusal_says_what_to_write() {
        let (local, data) = (LOCAL.to_owned(), "/data/v1/t");
        for options in ["", ",lookupcache=pos", ",lookupcache=positive", ",lookupcache=all"] {
            let said = fault(&(local.clone() + &nfs("/data", options)), data).unwrap_or_default();
            assert!(said.contains("mountOptions: [lookupcache=none]"), "{options}: {said}");
        }
        assert_eq!(fault(&(local + &nfs("/data", ",lookupcache=none")), data), None);
    }

    #[test]
    fn locks_that_stay_with_one_client_are_refused() {
        for options in [",nolock", ",local_lock=all", ",local_lock=flock"] {
            let said =
                fault(&nfs("/data", &format!("{options},lookupcache=none")), "/data").unwrap_or_default();
            assert!(said.contains("without nolock"), "{options}: {said}");
        }
        assert_eq!(fault(&nfs("/data", ",local_lock=none,lookupcache=none"), "/data"), None);
    }

    #[test]
    fn smb_is_refused_for_what_it_is() {
        let line = "90 22 0:50 / /data rw - cifs //server/share rw,vers=3.1.1\n";
        assert!(fault(line, "/data").unwrap_or_default().contains("SMB"));
    }

    #[test]
    fn a_bucket_that_is_mounted_as_files_is_refused_by_its_name_and_another_fuse_is_tried() {
        let line = |kind: &str| format!("90 22 0:50 / /data rw - {kind} source rw,user_id=0\n");
        for kind in ["fuse.rclone", "fuse.s3fs", "fuse.blobfuse2", "fuse.mountpoint-s3"] {
            let said = fault(&line(kind), "/data").unwrap_or_default();
            assert!(said.contains(kind) && said.contains("azureBlob"), "{kind}: {said}");
        }
        for kind in ["fuse.glusterfs", "fuse.ceph-fuse", "ceph", "xfs"] {
            assert_eq!(fault(&line(kind), "/data"), None, "{kind}");
        }
    }

    #[test]
    fn the_mount_nearest_to_the_folder_counts_and_of_two_on_one_point_the_upper_one() {
        let bad = nfs("/data", "");
        assert_eq!(fault(&format!("{LOCAL}{bad}"), "/database/v1"), None, "a name that only begins so");
        let within = "91 90 0:51 / /data/v1 rw - ext4 /dev/vdb rw\n";
        assert_eq!(fault(&format!("{within}{bad}{LOCAL}"), "/data/v1/t"), None);
        let over = "92 90 0:52 / /data rw - tmpfs tmpfs rw\n";
        assert_eq!(fault(&format!("{bad}{over}"), "/data/v1/t"), None);
        assert!(fault(&format!("{over}{bad}"), "/data/v1/t").is_some());
    }

    #[test]
    fn a_mount_point_with_spaces_and_lines_without_optional_fields_are_read() {
        let line = "90 22 0:50 / /my\\040data rw - nfs4 server:/ rw,vers=4.1\n";
        assert!(fault(line, "/my data/v1").is_some());
        assert_eq!(find("nonsense\n\n90 22", Path::new("/")), None);
        assert_eq!(unescape("a\\134b\\9"), "a\\b\\9");
    }
}
