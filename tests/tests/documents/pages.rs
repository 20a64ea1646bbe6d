//! The documents of the repository, and how what is generated in them is compared or written.

use std::path::{Path, PathBuf};

use voicemail_test_machine::workspace_path;

/// Set to 1, the tests write what they would compare; `just generate` does so.
const WRITE: &str = "WRITE_DOCUMENTS";

/// All pages that people read in the repository.
pub(crate) fn pages() -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> =
        ["README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md"].map(workspace_path).into();
    found.extend(pages_below("docs"));
    found.extend(pages_below("examples"));
    found
}

/// The pages of a folder and of those in it, sorted.
pub(crate) fn pages_below(folder: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![workspace_path(folder)];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "md") {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

/// A page without its blocks of code.
pub(crate) fn without_blocks(text: &str) -> String {
    let mut in_block = false;
    let mut kept = String::new();
    for line in text.lines() {
        let is_fence = line.trim_start().starts_with("```");
        if !in_block && !is_fence {
            kept.push_str(line);
            kept.push('\n');
        }
        in_block ^= is_fence;
    }
    kept
}

/// The file holds this text; fails where it doesn't, or writes it where that is asked for.
pub(crate) fn compare_or_write(path: &Path, expected: &str) {
    if std::env::var_os(WRITE).is_some_and(|value| value == "1") {
        std::fs::write(path, expected).unwrap();
    }
    let found = std::fs::read_to_string(path).unwrap_or_default();
    let differing = found.lines().zip(expected.lines()).find(|(found, expected)| found != expected);
    assert!(
        found == expected,
        "{} isn't what it is generated from: run `just generate`; first difference (found, expected): {differing:?}",
        path.display()
    );
}
