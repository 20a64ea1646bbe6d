//! Builds the cluster's programs from pinned Go modules, once for each machine.
//!
//! How a module is built and found again: `voicemail_test_machine::go_module`. A cold build of all takes about 10 minutes on
//! 2 cores, a found one nothing.
//!
//! What can go wrong, beyond what is said there: libseccomp's headers are missing, which only runc needs and `prerequisites`
//! checks first.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};

use voicemail_test_machine::cache::cache_folder;
use voicemail_test_machine::command::run;
use voicemail_test_machine::digest::Digest;
use voicemail_test_machine::go_module::{Module, publish};
use voicemail_test_machine::module;

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
