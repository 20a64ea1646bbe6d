//! The base image that stands in for a public one: this machine's C library, CA certificates and a few names.
//!
//! It holds exactly the shared objects that the programs load. A static binary would do without, but glibc's
//! name look-ups crash in static binaries.

use std::path::Path;

use anyhow::{Context, Result};

use super::{Program, is_program};
use crate::images::{Entry, write_archive};
use voicemail_test_machine::digest::{Digest, sha256_hex};
use voicemail_test_machine::libraries::find_libraries;

/// Name of the Containerfile's `BASE` here.
pub(super) const REFERENCE: &str = "localhost/voicemail-base:local";

const CERTIFICATES: &str = "/etc/ssl/certs/ca-certificates.crt";
const FILES: [(&str, &str); 3] = [
    ("etc/passwd", "root:x:0:0:root:/:/sbin/nologin\nvoicemail:x:10001:10001:voicemail:/:/sbin/nologin\n"),
    ("etc/group", "root:x:0:\nvoicemail:x:10001:\n"),
    ("etc/nsswitch.conf", "hosts: files dns\n"),
];

/// Names the base image that these programs need.
pub(super) fn digest(programs: &[Program]) -> Result<String> {
    let mut digest = Digest::default();
    for (path, content) in FILES {
        digest = digest.with(path).with(content);
    }
    for library in find_libraries(paths(programs)?)? {
        digest = digest.with(sha256_hex(&std::fs::read(library)?));
    }
    Ok(digest.hex())
}

/// Writes the base image as a docker-archive.
pub(super) fn write(archive: &Path, programs: &[Program]) -> Result<()> {
    let mut entries = vec![Entry::Folder("tmp".to_owned(), 0o1777)];
    for (path, content) in FILES {
        entries.push(Entry::File(path.to_owned(), content.into(), 0o644));
    }
    let certificates = std::fs::read(CERTIFICATES).with_context(|| format!("cannot read {CERTIFICATES}"))?;
    entries.push(Entry::File(CERTIFICATES.trim_start_matches('/').to_owned(), certificates, 0o644));
    for library in find_libraries(paths(programs)?)? {
        let path = library.to_string_lossy();
        entries.push(Entry::program(path.trim_start_matches('/'), &library)?);
    }
    write_archive(archive, REFERENCE, "/usr/local/bin/voicemail", &entries)
}

fn paths(programs: &[Program]) -> Result<Vec<&Path>> {
    let mut paths = Vec::new();
    for (_, path) in programs {
        if is_program(path)? {
            paths.push(path.as_path());
        }
    }
    Ok(paths)
}
