//! A process of its own that counts up a document on a volume, for tests of several writers:
//! `volume-writer FOLDER TIMES` prints each number it has written, `volume-writer hold FILE` keeps a lock.

use anyhow::{Context, Result};
use std::io::Write;
use std::path::Path;
use voicemail_store::documents::{Decision, Documents};
use voicemail_store::volume::{LockProbe, VolumeStore};
use voicemail_store::{Key, Store};

#[derive(Clone, serde::Serialize, serde::Deserialize, Default)]
struct Counter {
    numbers: Vec<String>,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["hold", file] => hold(Path::new(file)),
        [folder, name, times] => write(Path::new(folder), name, times.parse()?).await,
        _ => anyhow::bail!("usage: volume-writer FOLDER NAME TIMES | volume-writer hold FILE"),
    }
}

fn hold(file: &Path) -> Result<()> {
    let file = std::fs::File::options().write(true).open(file).context("no lock file")?;
    file.lock()?;
    println!("held");
    std::io::stdout().flush()?;
    std::thread::park();
    Ok(())
}

/// Adds `NAME-0`, `NAME-1`, … to the document; a number is printed once it is acknowledged.
async fn write(folder: &Path, name: &str, times: u32) -> Result<()> {
    let store: std::sync::Arc<dyn Store> =
        std::sync::Arc::new(VolumeStore::new(folder, "t", LockProbe(Vec::new())));
    let documents = Documents::new(store, voicemail_store::real_world());
    let key = Key::listed("mb/00/1/index").context("a key")?;
    for number in 0..times {
        let entry = format!("{name}-{number}");
        let add = |found: Option<Counter>, _| {
            let mut counter = found.unwrap_or_default();
            if counter.numbers.contains(&entry) {
                return Decision::Keep(());
            }
            counter.numbers.push(entry.clone());
            Decision::Write(counter, ())
        };
        documents.update(&key, add).await?;
        println!("{entry}");
        std::io::stdout().flush()?;
    }
    Ok(())
}
