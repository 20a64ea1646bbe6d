//! Which shared objects a program loads, for images that hold just these.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

/// Paths of all shared objects that the programs load, the loader itself included; none for a static program.
pub fn find_libraries<'a>(programs: impl IntoIterator<Item = &'a Path>) -> Result<BTreeSet<PathBuf>> {
    let mut libraries = BTreeSet::new();
    for program in programs {
        libraries.extend(list(program)?.lines().filter_map(parse_library));
    }
    Ok(libraries)
}

fn list(program: &Path) -> Result<String> {
    let output = Command::new("ldd").arg(program).output().context("cannot start ldd")?;
    let errors = String::from_utf8_lossy(&output.stderr);
    if output.status.success() || errors.contains("not a dynamic executable") {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    bail!("ldd can't tell what {} loads: {errors}", program.display());
}

/// `libc.so.6 => /lib/…/libc.so.6 (0x…)` or, for the loader, `/lib64/ld-linux-x86-64.so.2 (0x…)`.
fn parse_library(line: &str) -> Option<PathBuf> {
    line.split_whitespace().find(|word| word.starts_with('/')).map(PathBuf::from)
}

#[cfg(test)]
mod tests {
    use super::parse_library;

    #[test]
    fn libraries_and_the_loader_are_found_and_the_kernels_own_is_not() {
        let path = |line| parse_library(line).map(|path| path.display().to_string());
        assert_eq!(path("\tlibm.so.6 => /lib/libm.so.6 (0x00)").as_deref(), Some("/lib/libm.so.6"));
        assert_eq!(
            path("\t/lib64/ld-linux-x86-64.so.2 (0x00)").as_deref(),
            Some("/lib64/ld-linux-x86-64.so.2")
        );
        assert_eq!(path("\tlinux-vdso.so.1 (0x00)"), None);
    }
}
