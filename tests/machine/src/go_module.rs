//! Builds programs of pinned Go modules, once for each machine.
//!
//! Each folder of `tests/programs` is a Go module whose `tool` lines name programs and whose go.sum pins every
//! source. A module is built into a temporary folder that is then renamed to one named by a digest of go.mod,
//! go.sum and the build flags, so that a fresh clone finds it and half a build is never seen.
//!
//! What can go wrong: the Go module proxy is out of reach (the build's own message is shown); the C compiler is missing, where a
//! module needs it.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::command::{find_program, run};
use crate::digest::Digest;
use crate::progress::step;

/// Kubernetes' version; without it in the binaries the node would report v0.0.0.
pub const KUBERNETES_VERSION: &str = "v1.37.2";

/// One pinned Go module and the programs that are built from it.
pub struct Module {
    /// Its folder in `tests/programs`.
    pub name: &'static str,
    /// Text of its go.mod.
    pub go_mod: &'static str,
    /// Text of its go.sum.
    pub go_sum: &'static str,
    /// Whether the C compiler takes part.
    pub cgo: bool,
    /// Build tags.
    pub tags: &'static str,
    /// (name that Go gives, name that people know)
    pub renamed: &'static [(&'static str, &'static str)],
    /// The programs that the build must make.
    pub programs: &'static [&'static str],
}

/// A [`Module`] of `tests/programs`, for a crate one folder below `tests`.
#[macro_export]
macro_rules! module {
    ($name:literal, $programs:expr, cgo: $cgo:literal, tags: $tags:literal, renamed: $renamed:expr) => {
        $crate::go_module::Module {
            name: $name,
            go_mod: include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../programs/", $name, "/go.mod")),
            go_sum: include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../programs/", $name, "/go.sum")),
            cgo: $cgo,
            tags: $tags,
            renamed: $renamed,
            programs: $programs,
        }
    };
}
impl Module {
    fn flags(&self) -> Vec<String> {
        let version = format!("-s -w -X k8s.io/component-base/version.gitVersion={KUBERNETES_VERSION}");
        let fixed = ["build", "-buildvcs=false", "-mod=readonly", "-trimpath", "-ldflags"];
        let mut flags: Vec<String> = fixed.iter().map(|flag| (*flag).to_owned()).collect();
        flags.push(version);
        if !self.tags.is_empty() {
            flags.extend(["-tags".to_owned(), self.tags.to_owned()]);
        }
        flags
    }

    fn digest(&self) -> String {
        let cgo = if self.cgo { "cgo" } else { "" };
        let parts =
            Digest::default().with(self.go_mod).with(self.go_sum).with(cgo).with(self.flags().join(" "));
        parts.with(std::env::consts::ARCH).short()
    }

    /// Where its programs are or will be.
    pub fn folder(&self, cache: &Path) -> PathBuf {
        cache.join(format!("{}-{}", self.name, self.digest()))
    }

    /// Builds it, whether or not it is there.
    pub fn build(&self, cache: &Path) -> Result<()> {
        let building = tempfile::Builder::new().prefix(".building-").tempdir_in(cache)?;
        let source = building.path().join("source");
        let finished = building.path().join("finished");
        std::fs::create_dir_all(&source)?;
        std::fs::create_dir_all(&finished)?;
        std::fs::write(source.join("go.mod"), self.go_mod)?;
        std::fs::write(source.join("go.sum"), self.go_sum)?;
        let what = format!("building {} from source ({})", self.name, self.programs.join(", "));
        step(&what, || self.compile(&source, &finished))
            .with_context(|| format!("building {}", self.name))?;
        self.rename_programs(&finished)?;
        publish(&finished, &self.folder(cache))
    }

    fn compile(&self, source: &Path, finished: &Path) -> Result<()> {
        let go = find_program("go").context("Go is not installed")?;
        let mut command = Command::new(go);
        command.args(self.flags()).arg("-o").arg(format!("{}/", finished.display())).arg("tool");
        command.current_dir(source).env("CGO_ENABLED", if self.cgo { "1" } else { "0" });
        run(&mut command).map(drop)
    }

    fn rename_programs(&self, finished: &Path) -> Result<()> {
        for (from, to) in self.renamed {
            std::fs::rename(finished.join(from), finished.join(to))?;
        }
        for program in self.programs {
            ensure!(finished.join(program).is_file(), "the build of {} made no {program}", self.name);
        }
        Ok(())
    }
}

/// Gives a finished folder its name; that another process was first is no error.
pub fn publish(finished: &Path, folder: &Path) -> Result<()> {
    match std::fs::rename(finished, folder) {
        Err(_) if folder.is_dir() => Ok(()),
        result => result.with_context(|| format!("cannot publish {}", folder.display())),
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_module_with_other_flags_has_another_folder() {
        let tagged = module!("runc", &["runc"], cgo: true, tags: "seccomp", renamed: &[]);
        let before = tagged.digest();
        let untagged = super::Module { tags: "", ..tagged };
        assert_ne!(before, untagged.digest());
    }
}
