//! Recordings that can be told apart, in an answer and in the files of a store: a second of µ-law that says its number all the time.

use aws_lc_rs::digest::{SHA256, digest};
use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use voicemail_test_machine::speech::wav_of;

const SAYS: &[u8; 8] = b"PROOFNO.";
const BYTES: usize = 8_000;

/// The recording with that number.
pub(crate) fn recording(number: u64) -> Vec<u8> {
    let word = [SAYS.as_slice(), &number.to_be_bytes()].concat();
    wav_of(&word.repeat(BYTES / word.len()))
}

/// Its digest as lists show it.
pub(crate) fn digest_of(number: u64) -> String {
    hex::encode(digest(&SHA256, &recording(number)))
}

/// The numbers of all recordings that are in the files below a folder, with the files of each. A file of two names is one.
pub(crate) fn find_in(folder: &Path) -> BTreeMap<u64, Vec<PathBuf>> {
    let (mut found, mut seen) = (BTreeMap::new(), BTreeSet::new());
    walk(folder, &mut |path| {
        // What goes while it is looked at is gone.
        let (Ok(facts), Ok(bytes)) = (std::fs::metadata(path), std::fs::read(path)) else { return };
        if seen.insert((facts.dev(), facts.ino())) {
            for number in find_in_bytes(&bytes) {
                found.entry(number).or_insert_with(Vec::new).push(path.to_owned());
            }
        }
    });
    found
}

fn walk(folder: &Path, look: &mut impl FnMut(&Path)) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() { walk(&path, look) } else { look(&path) }
    }
}

fn find_in_bytes(bytes: &[u8]) -> BTreeSet<u64> {
    let number =
        |at: usize| bytes.get(at + SAYS.len()..at + 2 * SAYS.len())?.try_into().ok().map(u64::from_be_bytes);
    memchr::memmem::find_iter(bytes, SAYS).filter_map(number).collect()
}

#[test]
fn recordings_are_found_in_files_by_their_numbers() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("deep")).unwrap();
    std::fs::write(folder.path().join("deep/a"), [b"head".to_vec(), recording(7)].concat()).unwrap();
    std::fs::write(folder.path().join("b"), recording(1 << 40)).unwrap();
    std::fs::hard_link(folder.path().join("b"), folder.path().join("deep/b")).unwrap();
    std::fs::write(folder.path().join("c"), recording(7)).unwrap();
    std::fs::write(folder.path().join("d"), b"PROOF").unwrap();
    let found: Vec<(u64, usize)> =
        find_in(folder.path()).into_iter().map(|(number, files)| (number, files.len())).collect();
    assert_eq!(found, [(7, 2), (1 << 40, 1)]);
}
