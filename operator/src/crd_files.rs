//! The generated CRD files in `crds/` and in the chart: writes them, or says which differ.
//!
//! Run by `cargo crds [--check]` from the top of the repository, and by a unit test.

use crate::api::crds;
use std::path::{Path, PathBuf};

const FOLDERS: [&str; 2] = ["crds", "charts/voicemail-operator/crds"];

/// Why the files can't be written or checked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CrdFileError {
    /// A CRD can't be written as YAML.
    #[error("a CRD can't be written as YAML: {0}")]
    Encode(#[from] serde_yaml::Error),
    /// A file can't be written.
    #[error("{path}: {source}")]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Files differ from what the types give.
    #[error("out of date, run `cargo crds`: {0:?}")]
    Stale(Vec<PathBuf>),
}

/// The files under `root`, with the text that each should hold.
fn expected(root: &Path) -> Result<Vec<(PathBuf, String)>, CrdFileError> {
    let mut files = Vec::new();
    for (name, crd) in crds() {
        let text =
            format!("# Generated from operator/src/api by `cargo crds`.\n{}", serde_yaml::to_string(&crd)?);
        files.extend(FOLDERS.map(|folder| (root.join(folder).join(name), text.clone())));
    }
    Ok(files)
}

/// Writes all files under `root`.
///
/// # Errors
/// A file can't be written.
pub fn write(root: &Path) -> Result<(), CrdFileError> {
    for (path, text) in expected(root)? {
        let folder = path.parent().unwrap_or(root).to_path_buf();
        std::fs::create_dir_all(&folder).map_err(|source| CrdFileError::Write { path: folder, source })?;
        std::fs::write(&path, text).map_err(|source| CrdFileError::Write { path, source })?;
    }
    Ok(())
}

/// Compares all files under `root`.
///
/// # Errors
/// [`CrdFileError::Stale`] names the files that differ or are missing.
pub fn check(root: &Path) -> Result<(), CrdFileError> {
    let differs =
        |(path, text): &(PathBuf, String)| std::fs::read_to_string(path).ok().as_ref() != Some(text);
    let stale: Vec<_> = expected(root)?.into_iter().filter(differs).map(|(path, _)| path).collect();
    if stale.is_empty() { Ok(()) } else { Err(CrdFileError::Stale(stale)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checked_in_files_are_what_the_types_give() {
        check(&Path::new(env!("CARGO_MANIFEST_DIR")).join("..")).unwrap();
    }

    #[test]
    fn a_changed_file_is_named() {
        let folder = std::env::temp_dir().join(format!("crd-files-{}", std::process::id()));
        write(&folder).unwrap();
        check(&folder).unwrap();
        let changed = folder.join(FOLDERS[0]).join("voicemail.dev_gdprrequests.yaml");
        std::fs::write(&changed, "other").unwrap();
        let error = check(&folder).unwrap_err();
        assert!(matches!(&error, CrdFileError::Stale(paths) if *paths == [changed]), "{error}");
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
