//! Debian's docker-registry: a private registry of images with TLS of its own authority, an account that brings images
//! (by skopeo) and one that nodes fetch them with. Nobody gets anything without an account.

use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};
use rustix::process::Signal;

use super::daemon::Daemon;
use super::tls_tunnel::Authority;
use crate::command::run;
use crate::debian::ensure_program;
use crate::servers::ports::find_free_port;

const BRINGS: (&str, &str) = ("builder", "what a builder knows");
/// The account of nodes: its name and password.
pub const FETCHES: (&str, &str) = ("node", "what a node knows");
/// The cheapest that bcrypt has.
const COST: u32 = 4;

/// A running registry.
#[derive(Debug)]
pub struct Registry {
    daemon: Daemon,
    address: SocketAddr,
    authority: String,
}

impl Registry {
    /// Starts one on a free port of that address.
    pub async fn start(listen: IpAddr) -> Result<Self> {
        let program = ensure_program("docker-registry", "docker-registry")?;
        let folder = tempfile::Builder::new().prefix("registry-").tempdir()?;
        let address = find_free_port(listen)?;
        let authority = Authority::new("registry")?;
        write_files(folder.path(), address, &authority)?;
        let mut command = Command::new(program);
        command.arg("serve").arg(folder.path().join("config.yml"));
        let daemon = Daemon::start(command, folder, &[], address, Signal::KILL).await?;
        Ok(Self { daemon, address, authority: authority.pem() })
    }

    /// Where it listens, which is how names of its images begin.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The certificate of its authority, PEM.
    pub fn authority(&self) -> &str {
        &self.authority
    }

    /// Brings the image of a docker-archive to a repository; returns its digest.
    pub fn push(&self, archive: &Path, repository: &str) -> Result<String> {
        let digest = self.daemon.path().join("digest");
        let (user, password) = BRINGS;
        let mut copy = Command::new(ensure_program("skopeo", "skopeo")?);
        copy.args(["--insecure-policy", "copy", "--dest-creds", &format!("{user}:{password}")]);
        copy.arg("--dest-cert-dir").arg(self.daemon.path().join("trusted")).arg("--digestfile").arg(&digest);
        copy.arg(format!("docker-archive:{}", archive.display()));
        copy.arg(format!("docker://{}/{repository}:built", self.address));
        run(&mut copy).with_context(|| format!("the registry says {}", self.daemon.log()))?;
        Ok(std::fs::read_to_string(digest)?.trim().to_owned())
    }

    /// How many requests of nodes about a repository, with an account, it has answered.
    pub fn count_fetches(&self, repository: &str) -> usize {
        let (path, node) = (format!("/v2/{repository}/"), "containerd/");
        let log = self.daemon.log();
        let by_node = |line: &&str| line.contains(&path) && line.contains(node);
        log.lines().filter(|line| line.contains("authorized request")).filter(by_node).count()
    }
}

fn write_files(folder: &Path, address: SocketAddr, authority: &Authority) -> Result<()> {
    let own = authority.issue(&[&address.ip().to_string()])?;
    let accounts = [BRINGS, FETCHES]
        .map(|(user, password)| bcrypt::hash(password, COST).map(|hash| format!("{user}:{hash}\n")));
    let accounts = accounts.into_iter().collect::<Result<String, _>>()?;
    std::fs::create_dir(folder.join("trusted"))?;
    let at = |name: &str| folder.join(name).display().to_string();
    let config = format!(
        "version: 0.1\n\
         log: {{accesslog: {{disabled: true}}, level: info, formatter: text}}\n\
         storage: {{filesystem: {{rootdirectory: {images:?}}}}}\n\
         auth: {{htpasswd: {{realm: images, path: {accounts:?}}}}}\n\
         http: {{addr: {address:?}, tls: {{certificate: {certificate:?}, key: {key:?}}}}}\n",
        images = at("images"),
        accounts = at("accounts"),
        address = address.to_string(),
        certificate = at("tls.crt"),
        key = at("tls.key"),
    );
    let files = [
        ("accounts", accounts),
        ("trusted/ca.crt", authority.pem()),
        ("tls.crt", own.certificate),
        ("tls.key", own.key),
        ("config.yml", config),
    ];
    files.iter().try_for_each(|(name, content)| {
        std::fs::write(folder.join(name), content).context("cannot write a file")
    })
}
