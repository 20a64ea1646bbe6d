//! Writes images as docker-archive tarballs and puts them on the node; nothing is ever pulled.
//!
//! A docker-archive is a tarball of three entries: the image's configuration, one layer and a manifest that
//! names both. Images are called `localhost/…` and pods use them with `imagePullPolicy: Never` or
//! `IfNotPresent`.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::json;

use crate::layout::containerd_socket;
use crate::programs::Programs;
use voicemail_test_machine::command::run;
use voicemail_test_machine::digest::sha256_hex;

/// One entry of an image's only layer.
pub enum Entry {
    /// A folder with its permission bits.
    Folder(String, u32),
    /// A file: path in the image, content, permission bits.
    File(String, Vec<u8>, u32),
    /// A symbolic link: path in the image and what it points to.
    Link(String, String),
}

impl Entry {
    /// An executable file with the content of `source`.
    pub fn program(path: &str, source: &Path) -> Result<Self> {
        let content = std::fs::read(source).with_context(|| format!("cannot read {}", source.display()))?;
        Ok(Self::File(path.to_owned(), content, 0o755))
    }
}

/// Writes an image called `reference` with these entries and this default command to `archive`.
pub fn write_archive(archive: &Path, reference: &str, command: &str, entries: &[Entry]) -> Result<()> {
    let layer = write_layer(entries)?;
    let config = json!({
        "architecture": if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" },
        "os": "linux",
        "config": {"Env": ["PATH=/usr/local/bin:/usr/bin:/bin"], "Cmd": [command]},
        "rootfs": {"type": "layers", "diff_ids": [format!("sha256:{}", sha256_hex(&layer))]},
    });
    let config = serde_json::to_vec(&config)?;
    let config_name = format!("{}.json", sha256_hex(&config));
    let manifest = json!([{"Config": config_name, "RepoTags": [reference], "Layers": ["layer.tar"]}]);
    let file =
        std::fs::File::create(archive).with_context(|| format!("cannot write {}", archive.display()))?;
    let mut tar = tar::Builder::new(std::io::BufWriter::new(file));
    append(&mut tar, &config_name, &config, 0o644)?;
    append(&mut tar, "layer.tar", &layer, 0o644)?;
    append(&mut tar, "manifest.json", &serde_json::to_vec(&manifest)?, 0o644)?;
    tar.into_inner()?.into_inner().context("cannot write the archive's end")?;
    Ok(())
}

fn write_layer(entries: &[Entry]) -> Result<Vec<u8>> {
    let mut tar = tar::Builder::new(Vec::new());
    for entry in entries {
        match entry {
            Entry::Folder(path, mode) => append_folder(&mut tar, path, *mode)?,
            Entry::File(path, content, mode) => append(&mut tar, path, content, *mode)?,
            Entry::Link(path, target) => append_link(&mut tar, path, target)?,
        }
    }
    Ok(tar.into_inner()?)
}

fn append_folder(tar: &mut tar::Builder<impl std::io::Write>, path: &str, mode: u32) -> Result<()> {
    let mut header = new_header(mode, tar::EntryType::Directory);
    Ok(tar.append_data(&mut header, path, std::io::empty())?)
}

fn append_link(tar: &mut tar::Builder<impl std::io::Write>, path: &str, target: &str) -> Result<()> {
    let mut header = new_header(0o777, tar::EntryType::Symlink);
    Ok(tar.append_link(&mut header, path, target)?)
}

fn append(tar: &mut tar::Builder<impl std::io::Write>, path: &str, content: &[u8], mode: u32) -> Result<()> {
    let mut header = new_header(mode, tar::EntryType::Regular);
    header.set_size(content.len() as u64);
    Ok(tar.append_data(&mut header, path, content)?)
}

fn new_header(mode: u32, kind: tar::EntryType) -> tar::Header {
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_size(0);
    header
}

/// The node's image store.
#[derive(Clone, Debug)]
pub struct Images {
    ctr: PathBuf,
}

impl Images {
    /// The store that these programs talk to.
    pub fn new(programs: &Programs) -> Self {
        Self { ctr: programs.path("ctr") }
    }

    /// Puts the images of a docker-archive on the node and waits until kubelet's interface lists `reference`.
    pub fn load(&self, archive: &Path, reference: &str) -> Result<()> {
        run(self.ctr().args(["images", "import"]).arg(archive))
            .with_context(|| format!("cannot import {}", archive.display()))?;
        self.wait_managed(reference)
    }

    fn wait_managed(&self, reference: &str) -> Result<()> {
        let deadline = Instant::now() + Duration::from_secs(20);
        while !self.is_managed(reference)? {
            if Instant::now() > deadline {
                bail!("containerd has {reference} but doesn't list it for kubelet");
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    /// Makes and loads an image in one go.
    pub fn load_entries(&self, reference: &str, command: &str, entries: &[Entry]) -> Result<()> {
        let archive = tempfile::Builder::new().suffix(".tar").tempfile()?;
        write_archive(archive.path(), reference, command, entries)?;
        self.load(archive.path(), reference)
    }

    /// Whether kubelet's interface lists the image, which happens a moment after an import.
    pub fn is_managed(&self, reference: &str) -> Result<bool> {
        let listed = run(self.ctr().args(["images", "ls", &format!("name=={reference}")]))?;
        Ok(listed.contains("io.cri-containerd.image=managed"))
    }

    /// References of all images whose name starts with `prefix`.
    pub fn list(&self, prefix: &str) -> Result<Vec<String>> {
        let listed = run(self.ctr().args(["images", "ls", "-q"]))?;
        Ok(listed.lines().filter(|line| line.starts_with(prefix)).map(str::to_owned).collect())
    }

    /// Forgets an image, the name that kubelet's interface gave it, and content that no other has; pods that run it keep what
    /// they run.
    pub fn remove(&self, reference: &str) -> Result<()> {
        let listed = run(self.ctr().args(["images", "ls"]))?;
        run(self.ctr().args(["images", "rm", "--sync"]).args(list_names(&listed, reference))).map(drop)
    }

    /// Gives an image another name, in the place of names of that repository for other images.
    pub fn alias(&self, reference: &str, repository: &str, tag: &str) -> Result<String> {
        let alias = format!("{repository}:{tag}");
        for old in self.list(&format!("{repository}:"))?.iter().filter(|old| **old != alias) {
            run(self.ctr().args(["images", "rm", old]))?;
        }
        run(self.ctr().args(["images", "tag", "--force", reference, &alias]))?;
        self.wait_managed(&alias)?;
        Ok(alias)
    }

    /// Whether containerd answers.
    pub fn answers(&self) -> bool {
        run(self.ctr().args(["images", "ls", "-q"])).is_ok()
    }

    fn ctr(&self) -> Command {
        let mut command = Command::new(&self.ctr);
        command.args(["--address", &containerd_socket(), "--namespace", "k8s.io"]);
        command
    }
}

/// `reference` and the bare digest that stands for the same image, from lines of name, type and digest.
fn list_names(listed: &str, reference: &str) -> Vec<String> {
    let rows = || {
        listed.lines().filter_map(|line| {
            let mut words = line.split_whitespace();
            Some((words.next()?, words.nth(1)?))
        })
    };
    let content = rows().find(|(name, _)| *name == reference).map(|(_, content)| content);
    let same = rows().filter(|(name, other)| name.starts_with("sha256:") && Some(*other) == content);
    let mut names: Vec<String> = same.map(|(name, _)| name.to_owned()).collect();
    names.push(reference.to_owned());
    names
}

#[cfg(test)]
mod tests {
    use super::list_names;

    #[test]
    fn an_image_goes_with_its_digest_name_and_without_its_neighbours() {
        let listed = "REF TYPE DIGEST SIZE\nlocalhost/a:1 type sha256:x 1\nlocalhost/b:1 type sha256:y 1\n\
                      sha256:id-a type sha256:x 1\nsha256:id-b type sha256:y 1\n";
        assert_eq!(list_names(listed, "localhost/a:1"), ["sha256:id-a", "localhost/a:1"]);
    }
}
