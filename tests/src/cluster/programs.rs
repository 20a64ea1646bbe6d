//! Builds the cluster's programs from pinned Go modules, once for each machine.
//!
//! Each folder of `tests/programs` is a Go module whose `tool` lines name programs and whose go.sum pins every
//! source. A module is built into a temporary folder that is then renamed to one named by a digest of go.mod,
//! go.sum and the build flags, so that a fresh clone finds it and half a build is never seen. A cold build of
//! all takes about 10 minutes on 2 cores, a found one nothing.
//!
//! What can go wrong: the Go module proxy is out of reach (the build's own message is shown); the C compiler or
//! libseccomp's headers are missing, which only runc needs and `prerequisites` checks first.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::cluster::layout::cache_folder;
use crate::command::{find_program, run};
use crate::digest::Digest;
use crate::progress::step;

/// Kubernetes' version; without it in the binaries the node would report v0.0.0.
pub(super) const KUBERNETES_VERSION: &str = "v1.37.2";

/// One pinned Go module and the programs that are built from it.
pub(crate) struct Module {
    /// Its folder in `tests/programs`.
    pub(crate) name: &'static str,
    /// Text of its go.mod.
    pub(crate) go_mod: &'static str,
    /// Text of its go.sum.
    pub(crate) go_sum: &'static str,
    /// Whether the C compiler takes part.
    pub(crate) cgo: bool,
    /// Build tags.
    pub(crate) tags: &'static str,
    /// (name that Go gives, name that people know)
    pub(crate) renamed: &'static [(&'static str, &'static str)],
    /// The programs that the build must make.
    pub(crate) programs: &'static [&'static str],
}

macro_rules! module {
    ($name:literal, $programs:expr, cgo: $cgo:literal, tags: $tags:literal, renamed: $renamed:expr) => {
        $crate::cluster::programs::Module {
            name: $name,
            go_mod: include_str!(concat!("../../programs/", $name, "/go.mod")),
            go_sum: include_str!(concat!("../../programs/", $name, "/go.sum")),
            cgo: $cgo,
            tags: $tags,
            renamed: $renamed,
            programs: $programs,
        }
    };
}
pub(crate) use module;

const MODULES: [Module; 5] = [
    module!("runc", &["runc"], cgo: true, tags: "seccomp", renamed: &[]),
    module!(
        "containerd",
        &["containerd", "containerd-shim-runc-v2", "ctr", "bridge", "loopback", "host-local", "portmap"],
        cgo: false, tags: "", renamed: &[]
    ),
    module!(
        "kubernetes",
        &["kube-apiserver", "etcd", "kube-controller-manager", "kube-scheduler", "kubelet", "kube-proxy", "kubectl"],
        cgo: false, tags: "", renamed: &[("server", "etcd")]
    ),
    module!("coredns", &["coredns"], cgo: false, tags: "", renamed: &[]),
    module!("helm", &["helm"], cgo: false, tags: "", renamed: &[]),
];

const PAUSE_SOURCE: &str = include_str!("../../programs/pause/pause.c");

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
    pub(crate) fn folder(&self, cache: &Path) -> PathBuf {
        cache.join(format!("{}-{}", self.name, self.digest()))
    }

    /// Builds it, whether or not it is there.
    pub(crate) fn build(&self, cache: &Path) -> Result<()> {
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
pub(crate) fn publish(finished: &Path, folder: &Path) -> Result<()> {
    match std::fs::rename(finished, folder) {
        Err(_) if folder.is_dir() => Ok(()),
        result => result.with_context(|| format!("cannot publish {}", folder.display())),
    }
}

/// The built programs.
#[derive(Clone, Debug)]
pub struct Programs {
    cache: PathBuf,
}

impl Programs {
    /// Where the programs are or will be; builds nothing.
    pub fn locate() -> Result<Self> {
        Ok(Self { cache: cache_folder()?.join("programs") })
    }

    /// Names of what is not built yet.
    pub fn missing(&self) -> Vec<&'static str> {
        let mut names: Vec<_> = MODULES
            .iter()
            .filter(|module| !module.folder(&self.cache).is_dir())
            .map(|module| module.name)
            .collect();
        if !self.pause().is_file() {
            names.push("pause");
        }
        names
    }

    /// Builds what is missing.
    pub fn build_missing(&self) -> Result<()> {
        std::fs::create_dir_all(&self.cache).with_context(|| format!("creating {}", self.cache.display()))?;
        for module in MODULES.iter().filter(|module| !module.folder(&self.cache).is_dir()) {
            module.build(&self.cache)?;
        }
        if !self.pause().is_file() {
            self.build_pause()?;
        }
        Ok(())
    }

    fn build_pause(&self) -> Result<()> {
        let building = tempfile::Builder::new().prefix(".building-").tempdir_in(&self.cache)?;
        let (source, finished) = (building.path().join("pause.c"), building.path().join("finished"));
        std::fs::create_dir_all(&finished)?;
        std::fs::write(&source, PAUSE_SOURCE)?;
        let mut compiler = Command::new("cc");
        compiler.args(["-Os", "-static", "-s", "-o"]).arg(finished.join("pause")).arg(&source);
        run(&mut compiler).context("building the pause program")?;
        publish(&finished, &self.pause_folder())
    }

    fn pause_folder(&self) -> PathBuf {
        self.cache.join(format!(
            "pause-{}",
            Digest::default().with(PAUSE_SOURCE).with(std::env::consts::ARCH).short()
        ))
    }

    /// The program that holds a pod's namespaces.
    pub fn pause(&self) -> PathBuf {
        self.pause_folder().join("pause")
    }

    /// Path of one program; an unknown name gives a path that does not exist.
    pub fn path(&self, program: &str) -> PathBuf {
        let module = MODULES.iter().find(|module| module.programs.contains(&program));
        module.map_or_else(|| self.cache.join(program), |module| module.folder(&self.cache).join(program))
    }

    /// The folder that holds `program`.
    pub fn folder_of(&self, program: &str) -> PathBuf {
        let mut path = self.path(program);
        path.pop();
        path
    }
}

#[cfg(test)]
mod tests {
    use super::MODULES;

    #[test]
    fn a_module_with_other_flags_has_another_folder() {
        let [runc, ..] = MODULES;
        let before = runc.digest();
        let untagged = super::Module { tags: "", ..runc };
        assert_ne!(before, untagged.digest());
    }
}
