//! Lists keys below a prefix in key order, folder by folder, so that a reader who stops early reads little.

use super::beneath::require_plain;
use super::objects::is_missing;
use super::unavailable;
use crate::{KeyStream, StoreError};
use futures::{StreamExt, stream};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

enum Found {
    Key(String),
    Folder(String),
}

impl Found {
    /// Whether it is, or may hold, a key that comes after that one.
    fn reaches_beyond(&self, after: &str) -> bool {
        match self {
            Self::Key(key) => key.as_str() > after,
            Self::Folder(folder) if folder.is_empty() => true,
            Self::Folder(folder) => {
                let below = format!("{folder}/");
                after.starts_with(&below) || below.as_str() > after
            }
        }
    }
}

/// Keys below `prefix` that come after that one. A document's folder is one key. A folder that can't be listed is an
/// error in its place; who goes on reading gets what comes after it. Folders that hold nothing but what comes before
/// aren't opened.
pub(super) fn list_after<'a>(root: Arc<PathBuf>, prefix: &str, after: &'a str) -> KeyStream<'a> {
    let start = vec![Found::Folder(prefix.trim_end_matches('/').to_owned())];
    stream::unfold((root, start, after), next_key).boxed()
}

type Walk<'a> = (Arc<PathBuf>, Vec<Found>, &'a str);

async fn next_key((root, mut stack, after): Walk<'_>) -> Option<(Result<String, StoreError>, Walk<'_>)> {
    while let Some(found) = stack.pop() {
        match found {
            found if !found.reaches_beyond(after) => {}
            Found::Key(key) => return Some((Ok(key), (root, stack, after))),
            Found::Folder(folder) => {
                let base = Arc::clone(&root);
                let read = tokio::task::spawn_blocking(move || read_folder(&base, &folder));
                let ended = |error| StoreError::Unavailable(format!("a listing ended badly: {error}"));
                match read.await.map_err(ended).flatten() {
                    Ok(found) => stack.extend(found),
                    Err(error) => return Some((Err(error), (root, stack, after))),
                }
            }
        }
    }
    None
}

/// Entries of a folder, last first, so that popping a stack gives key order.
fn read_folder(root: &Path, folder: &str) -> Result<Vec<Found>, StoreError> {
    let failed = unavailable("a folder can't be listed");
    require_plain(root, &root.join(folder))?;
    let entries = match fs::read_dir(root.join(folder)) {
        Ok(entries) => entries,
        Err(error) if is_missing(&error) => return Ok(Vec::new()),
        Err(error) => return Err(failed(error)),
    };
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry.map_err(&failed)?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let is_folder = match entry.file_type() {
            Ok(kind) => kind.is_dir(),
            Err(error) if is_missing(&error) => continue,
            Err(error) => return Err(failed(error)),
        };
        let key = if folder.is_empty() { name } else { format!("{folder}/{name}") };
        found.push(match (is_folder, key.strip_suffix(".doc")) {
            (true, Some(document)) => (document.to_owned(), Found::Key(document.to_owned())),
            (true, None) => (format!("{key}/"), Found::Folder(key)),
            (false, _) => (key.clone(), Found::Key(key)),
        });
    }
    found.sort_by(|(left, _), (right, _)| right.cmp(left));
    Ok(found.into_iter().map(|(_, found)| found).collect())
}
