//! The generated CRD files in `crds/` and in the chart, and their reference in `docs/`: writes them, or says which differ.
//!
//! The chart's are templates, so that `crds.enabled` and `crds.keep` decide over them, and so that an upgrade of the
//! chart brings their new version, which helm never does for files in a chart's folder `crds`.
//!
//! Run by `cargo crds [--check]` from the top of the repository, and by a unit test.

use crate::crd_reference::write_reference;
use crate::crds;
use std::path::{Path, PathBuf};

const PLAIN: &str = "crds";
const CHART: &str = "charts/voicemail-operator/templates/crds";
const REFERENCE: &str = "docs/crds.md";
const HEAD: &str = "# Generated from operator/api by `cargo crds`.\n";
/// Where the chart's annotations go: after the first line of the metadata.
const METADATA: &str = "metadata:\n";
const CHART_METADATA: &str = "metadata:
  {{- if or .Values.crds.keep .Values.extraAnnotations }}
  annotations:
    {{- if .Values.crds.keep }}
    helm.sh/resource-policy: keep
    {{- end }}
    {{- with .Values.extraAnnotations }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  {{- end }}
  labels:
    {{- include \"operator.labels\" . | nindent 4 }}
";

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
        let text = serde_yaml::to_string(&crd)?;
        files.push((root.join(PLAIN).join(name), format!("{HEAD}{text}")));
        files.push((root.join(CHART).join(name), write_template(&text)));
    }
    files.push((root.join(REFERENCE), write_reference()));
    Ok(files)
}

fn write_template(text: &str) -> String {
    let body = text.replacen(METADATA, CHART_METADATA, 1);
    format!("{{{{- if .Values.crds.enabled }}}}\n{HEAD}{body}{{{{- end }}}}\n")
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
        check(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")).unwrap();
    }

    /// The whole file is compared with what Helm renders by a test of the chart, which takes a cluster's programs and comes late.
    #[test]
    fn the_plain_manifests_have_these_crds() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/voicemail-operator.yaml");
        let manifests = std::fs::read_to_string(path).unwrap();
        for (name, crd) in crds() {
            let text = serde_yaml::to_string(&crd).unwrap();
            let (_, spec) = text.split_once("\nspec:\n").unwrap();
            assert!(manifests.contains(spec), "{name} in deploy/ is out of date: run `just generate`");
        }
    }

    #[test]
    fn a_changed_file_is_named() {
        let folder = std::env::temp_dir().join(format!("crd-files-{}", std::process::id()));
        write(&folder).unwrap();
        check(&folder).unwrap();
        let changed = folder.join(PLAIN).join("voicemail.dev_gdprrequests.yaml");
        std::fs::write(&changed, "other").unwrap();
        let error = check(&folder).unwrap_err();
        assert!(matches!(&error, CrdFileError::Stale(paths) if *paths == [changed]), "{error}");
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
