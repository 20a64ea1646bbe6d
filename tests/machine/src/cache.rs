//! The folder of what outlives a clone: programs and servers that were built or installed, and the local cluster.

use std::path::PathBuf;

use anyhow::{Context, Result};

/// Where this project keeps what outlives a clone.
pub fn cache_folder() -> Result<PathBuf> {
    let named = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let base = named("VOICEMAIL_CACHE")
        .or_else(|| named("XDG_CACHE_HOME"))
        .or_else(|| named("HOME").map(|home| home.join(".cache")))
        .context(
            "none of VOICEMAIL_CACHE, XDG_CACHE_HOME and HOME says where to keep the cluster's programs",
        )?;
    Ok(std::path::absolute(base)?.join("voicemail-operator"))
}
