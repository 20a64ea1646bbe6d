//! A big store on a volume, grown from one mailbox that was filled by the program itself: its files are written again
//! under other mailboxes' names.

#![allow(clippy::unwrap_used, reason = "a bench fails by panicking")]

use std::fs;
use std::path::{Path, PathBuf};
use voicemail_model::MailboxId;
use voicemail_store::Key;

/// The mailbox that was filled.
pub(crate) struct Template {
    /// Its number; the others follow.
    pub(crate) first: u32,
    /// How many messages it holds.
    pub(crate) messages: usize,
}

impl Template {
    /// Writes the first mailbox's files again under further names, until there are so many mailboxes. Gives the
    /// number of files.
    pub(crate) fn grow(&self, store: &Path, mailboxes: usize) -> usize {
        let first = self.first.to_string();
        let template: Vec<(PathBuf, Vec<u8>)> = walk(store)
            .into_iter()
            .filter(|path| path.to_str().unwrap().contains(&first) && is_current(path))
            .map(|path| (path.strip_prefix(store).unwrap().to_owned(), fs::read(&path).unwrap()))
            .collect();
        assert!(template.len() > 2 * self.messages, "{template:?}");
        let folder = |name: &str| {
            let index = Key::index(&name.parse::<MailboxId>().unwrap());
            index.as_str().trim_end_matches("/index").to_owned()
        };
        for n in 1..u32::try_from(mailboxes).unwrap() {
            let name = (self.first + n).to_string();
            for (path, bytes) in &template {
                let path =
                    path.to_str().unwrap().replace(&folder(&first), &folder(&name)).replace(&first, &name);
                let path = store.join(path);
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                let is_text = std::str::from_utf8(bytes).is_ok();
                let renamed =
                    is_text.then(|| String::from_utf8_lossy(bytes).replace(&first, &name).into_bytes());
                fs::write(path, renamed.as_ref().unwrap_or(bytes)).unwrap();
            }
        }
        template.len() * mailboxes
    }
}

/// Of a document's revisions the last alone, as after half a minute.
fn is_current(path: &Path) -> bool {
    let folder = path.parent().unwrap();
    let is_document = folder.extension().is_some_and(|extension| extension == "doc");
    !is_document || walk(folder).iter().max().is_some_and(|last| last == path)
}

fn walk(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
        match entry.file_type().unwrap().is_dir() {
            true => files.extend(walk(&entry.path())),
            false => files.push(entry.path()),
        }
    }
    files
}
