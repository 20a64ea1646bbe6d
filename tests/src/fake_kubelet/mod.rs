//! kwok, which plays kubelet for nodes that don't exist; built from its pinned Go module once for each machine.

use std::path::PathBuf;

use anyhow::Result;

use crate::cluster::layout::cache_folder;
use crate::cluster::programs::{Module, module};
use crate::servers::install::under_lock;

const MODULE: Module = module!("kwok", &["kwok"], cgo: false, tags: "", renamed: &[]);

/// The program, built when there is none.
pub fn program() -> Result<PathBuf> {
    let cache = cache_folder()?.join("programs");
    let folder = MODULE.folder(&cache);
    under_lock(&cache, MODULE.name, &folder, || MODULE.build(&cache))?;
    Ok(folder.join("kwok"))
}
