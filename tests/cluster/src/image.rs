//! Builds the image under test with the Containerfile that users build, and puts it on the local cluster's node.
//!
//! Flow: cargo builds the workspace's programs (nothing, if the surrounding cargo command just did), the
//! Containerfile is built by buildah on a base image made of this machine's C library, and containerd imports
//! the result. The tag is a digest of the content, so a changed program is a new image and Deployments roll;
//! an unchanged one is found again in a fraction of a second by the files' sizes and times.
//!
//! Limits: [`KEPT`] images stay on the node, older ones go. buildah's own storage is emptied after each build.

mod base;
mod buildah;

use std::fmt;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::UNIX_EPOCH;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use crate::Cluster;
use voicemail_test_machine::cargo::{Profile, build_bins, find_artifact};
use voicemail_test_machine::command::{find_program, run, write_whole};
use voicemail_test_machine::digest::{Digest, sha256_hex};
use voicemail_test_machine::progress::step;
use voicemail_test_machine::prompts::make_prompts;

/// Name of the image on the node.
pub const REPOSITORY: &str = "localhost/voicemail";
/// How many images of one repository stay on the node; several clones may use one cluster.
pub const KEPT: usize = 6;

const CONTAINERFILE: &str = include_str!("../../../Containerfile");
/// The programs that the Containerfile copies.
pub const PROGRAMS: [&str; 4] = ["voicemail-operator", "voicemail", "voicemail-sip", "gdpr"];
/// The telephone's prompts, which it copies too.
pub const PROMPTS: &str = "en.pack";
const SPEAKER: &str = "voicemail-sip";

/// Full name of an image on the node, as pods name it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageRef(String);

impl ImageRef {
    /// An image that somebody else put there.
    pub fn named(reference: &str) -> Self {
        Self(reference.to_owned())
    }

    /// The whole reference.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The part before the colon.
    pub fn repository(&self) -> &str {
        self.0.rsplit_once(':').map_or(&self.0, |(repository, _)| repository)
    }

    /// The part after the colon.
    pub fn tag(&self) -> &str {
        self.0.rsplit_once(':').map_or("", |(_, tag)| tag)
    }
}

impl fmt::Display for ImageRef {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// One program of the image, or its prompts: the name there and the file here.
pub type Program = (String, PathBuf);

/// Builds the workspace's programs and their image, and puts it on the cluster's node.
pub async fn build_image(cluster: &Cluster, profile: Profile) -> Result<ImageRef> {
    let cluster = cluster.clone();
    let work = move || build_from(&cluster, REPOSITORY, &compile(profile)?);
    tokio::task::spawn_blocking(work).await?
}

/// Puts an image of these programs on the cluster's node, built by the Containerfile.
pub fn build_from(cluster: &Cluster, repository: &str, programs: &[Program]) -> Result<ImageRef> {
    let folder = cluster.folder().join("image-build").join(repository.replace('/', "-"));
    std::fs::create_dir_all(&folder)?;
    let lock = std::fs::File::create(folder.join("lock"))?;
    lock.lock().context("waiting for another image build")?;
    let mut memory = Memory::load(&folder);
    let stamp = compute_stamp(programs)?;
    if let Some(known) = memory.find(&stamp).filter(|known| is_on_node(cluster, known)) {
        return Ok(known);
    }
    let image = ImageRef(format!("{repository}:{}", compute_digest(programs)?));
    if !is_on_node(cluster, &image) {
        step(&format!("building image {image}"), || build_and_load(cluster, &folder, &image, programs))?;
    }
    memory.remember(stamp, &image);
    memory.forget_old(cluster, repository)?;
    memory.save(&folder)?;
    Ok(image)
}

/// The same image under another name, as a newer version would have.
pub fn alias_image(cluster: &Cluster, image: &ImageRef, word: &str) -> Result<ImageRef> {
    let repository = format!("{}-{word}", image.repository());
    cluster.images().alias(image.as_str(), &repository, image.tag()).map(ImageRef)
}

/// Builds the workspace's programs beside the running one.
pub fn build_programs(profile: Profile) -> Result<()> {
    compile(profile).map(drop)
}

/// Builds all programs as the surrounding cargo command does and returns what the image consists of.
fn compile(profile: Profile) -> Result<Vec<Program>> {
    let messages = build_bins(profile)?;
    let built = |program: &&str| Ok(((*program).to_owned(), find_artifact(&messages, program)?));
    let mut content = PROGRAMS.iter().map(built).collect::<Result<Vec<_>>>()?;
    content.push((PROMPTS.to_owned(), make_prompts(&find_artifact(&messages, SPEAKER)?)?));
    Ok(content)
}

fn is_on_node(cluster: &Cluster, image: &ImageRef) -> bool {
    cluster.images().is_managed(image.as_str()).unwrap_or(false)
}

/// Sizes and times of the files: cheap, and equal only if nothing was built since.
fn compute_stamp(programs: &[Program]) -> Result<String> {
    let mut digest = Digest::default().with(CONTAINERFILE);
    for (name, path) in programs {
        let metadata = std::fs::metadata(path).with_context(|| format!("cannot read {}", path.display()))?;
        let modified = metadata.modified()?.duration_since(UNIX_EPOCH)?.as_nanos();
        digest = digest.with(name).with(path.as_os_str().as_encoded_bytes());
        digest = digest.with(metadata.len().to_be_bytes()).with(modified.to_be_bytes());
    }
    Ok(digest.hex())
}

fn compute_digest(programs: &[Program]) -> Result<String> {
    let mut digest = Digest::default().with(CONTAINERFILE).with(base::digest(programs)?);
    for (name, path) in programs {
        digest = digest.with(name).with(sha256_hex(&std::fs::read(path)?));
    }
    Ok(digest.short())
}

fn build_and_load(cluster: &Cluster, folder: &Path, image: &ImageRef, programs: &[Program]) -> Result<()> {
    let work = tempfile::Builder::new().prefix("build-").tempdir_in(folder)?;
    let archive = build_in(&work, image, programs)?;
    cluster.images().load(&archive, image.as_str())
}

/// Builds the workspace's programs and their image as a docker-archive in `folder`, for other clusters.
pub fn build_archive(folder: &Path, profile: Profile) -> Result<(ImageRef, PathBuf)> {
    let programs = compile(profile)?;
    let image = ImageRef(format!("{REPOSITORY}:{}", compute_digest(&programs)?));
    let archive = archive_of(folder, &image, &programs)?;
    Ok((image, archive))
}

/// The image of these programs as a docker-archive in `folder`, for other clusters and for registries.
pub fn archive_of(folder: &Path, image: &ImageRef, programs: &[Program]) -> Result<PathBuf> {
    let archive = folder.join("voicemail.tar");
    step(&format!("building image {image}"), || {
        let work = tempfile::Builder::new().prefix("build-").tempdir_in(folder)?;
        let built = build_in(&work, image, programs)?;
        std::fs::rename(built, &archive).context("keeping the image")
    })?;
    Ok(archive)
}

/// Builds the image in a work folder; returns the archive in it.
fn build_in(work: &tempfile::TempDir, image: &ImageRef, programs: &[Program]) -> Result<PathBuf> {
    let context = work.path().join("context");
    std::fs::create_dir(&context)?;
    for (name, path) in programs {
        copy_stripped(path, &context.join(name))?;
    }
    std::fs::write(work.path().join("Containerfile"), CONTAINERFILE)?;
    base::write(&work.path().join("base.tar"), programs)?;
    buildah::build(work.path(), &context, image.as_str())
}

/// Whether a file is a program, which loads libraries and has debug information.
fn is_program(file: &Path) -> Result<bool> {
    let mut begin = [0; 4];
    let read = std::fs::File::open(file).and_then(|mut file| file.read(&mut begin));
    read.with_context(|| format!("cannot read {}", file.display()))?;
    Ok(&begin == b"\x7fELF")
}

/// Copies a file; a program without its debug information, which would only make the image big.
fn copy_stripped(from: &Path, to: &Path) -> Result<()> {
    match find_program("strip").filter(|_| is_program(from).unwrap_or(false)) {
        Some(strip) => run(Command::new(strip).arg("-o").arg(to).arg(from)).map(drop),
        None => std::fs::copy(from, to).map(drop).context("copying a program"),
    }
}

/// Which files became which image, newest last.
#[derive(Default, Serialize, Deserialize)]
struct Memory {
    built: Vec<(String, ImageRef)>,
}

impl Memory {
    fn load(folder: &Path) -> Self {
        let text = std::fs::read(folder.join("memory.json")).unwrap_or_default();
        serde_json::from_slice(&text).unwrap_or_default()
    }

    fn save(&self, folder: &Path) -> Result<()> {
        write_whole(&folder.join("memory.json"), serde_json::to_vec(self)?)
    }

    fn find(&self, stamp: &str) -> Option<ImageRef> {
        self.built.iter().find(|(known, _)| known == stamp).map(|(_, image)| image.clone())
    }

    fn remember(&mut self, stamp: String, image: &ImageRef) {
        self.built.retain(|(_, known)| known != image);
        self.built.push((stamp, image.clone()));
        let surplus = self.built.len().saturating_sub(KEPT);
        self.built.drain(..surplus);
    }

    fn forget_old(&self, cluster: &Cluster, repository: &str) -> Result<()> {
        let images = cluster.images();
        for reference in images.list(&format!("{repository}:"))? {
            if !self.built.iter().any(|(_, known)| known.as_str() == reference) {
                images.remove(&reference)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{ImageRef, KEPT, Memory};

    #[test]
    fn the_oldest_image_is_forgotten_first() {
        let mut memory = Memory::default();
        for number in 0..=KEPT {
            memory.remember(format!("stamp {number}"), &ImageRef(format!("localhost/x:{number}")));
        }
        assert_eq!(memory.built.len(), KEPT);
        assert!(memory.find("stamp 0").is_none());
        assert_eq!(memory.find(&format!("stamp {KEPT}")).unwrap().tag(), KEPT.to_string());
    }
}
