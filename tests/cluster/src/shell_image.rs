//! An image for pods of the tests' own: a shell, the usual small programs and curl, all from this machine.
//!
//! The small programs are busybox's. Its static variant crashes in name look-ups, so what looks up names is
//! curl and getent, which come with the shared objects that they load.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::images::{Entry, Images};
use voicemail_test_machine::command::{find_program, run};
use voicemail_test_machine::digest::{Digest, sha256_hex};
use voicemail_test_machine::libraries::find_libraries;

const PROGRAMS: [&str; 3] = ["busybox", "curl", "getent"];
/// Applets of busybox that would look up names.
const LEFT_OUT: [&str; 3] = ["busybox", "wget", "getent"];
const PASSWD: &str = "root:x:0:0:root:/:/bin/sh\nvoicemail:x:10001:10001:voicemail:/:/bin/sh\n";

/// Puts the image on the node unless it is there; returns its name.
pub(super) fn ensure(images: &Images) -> Result<String> {
    let programs: Vec<PathBuf> = PROGRAMS.iter().map(|name| find(name)).collect::<Result<_>>()?;
    let mut digest = Digest::default().with(PASSWD);
    for program in &programs {
        digest = digest.with(sha256_hex(&std::fs::read(program)?));
    }
    let reference = format!("localhost/voicemail-shell:{}", digest.short());
    if !images.is_managed(&reference)? {
        images.load_entries(&reference, "/bin/sh", &list_entries(&programs)?)?;
    }
    Ok(reference)
}

fn find(program: &str) -> Result<PathBuf> {
    find_program(program).with_context(|| format!("{program} is not installed"))
}

fn list_entries(programs: &[PathBuf]) -> Result<Vec<Entry>> {
    let mut entries = vec![
        Entry::Folder("tmp".to_owned(), 0o1777),
        Entry::File("etc/passwd".to_owned(), PASSWD.into(), 0o644),
        Entry::File("etc/nsswitch.conf".to_owned(), b"hosts: files dns\n".into(), 0o644),
    ];
    for (name, program) in PROGRAMS.iter().zip(programs) {
        entries.push(Entry::program(&format!("bin/{name}"), program)?);
    }
    for library in find_libraries(programs.iter().map(PathBuf::as_path))? {
        entries.push(Entry::program(library.to_string_lossy().trim_start_matches('/'), &library)?);
    }
    entries.extend(list_applets(&programs[0])?);
    Ok(entries)
}

fn list_applets(busybox: &Path) -> Result<Vec<Entry>> {
    let applets = run(Command::new(busybox).arg("--list"))?;
    let linked = applets.lines().filter(|applet| !LEFT_OUT.contains(applet));
    Ok(linked.map(|applet| Entry::Link(format!("bin/{applet}"), "busybox".to_owned())).collect())
}
