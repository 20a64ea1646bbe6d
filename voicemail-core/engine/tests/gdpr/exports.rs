//! An archive is whole, or says that it isn't.

use bytes::Bytes;
use futures::StreamExt;
use std::collections::BTreeSet;
use voicemail_engine::gdpr::GdprError;
use voicemail_engine::testing::body;
use voicemail_engine::testing::{CALLER, OTHER_CALLER, Site, deposit_at};
use voicemail_store::{Key, StoreError};

type Chunks = Vec<Result<Bytes, StoreError>>;

async fn read(site: &Site, case: &str) -> Result<Chunks, GdprError> {
    Ok(site.core.gdpr.export_archive(&case.parse().unwrap()).await?.collect().await)
}

/// The files of an archive that came to its end, in order.
fn unpack(chunks: Chunks) -> Vec<(String, Vec<u8>)> {
    let bytes: Vec<u8> = chunks.into_iter().flat_map(|chunk| chunk.unwrap()).collect();
    assert!(bytes.ends_with(&[0; 1_024]), "an archive ends with two empty blocks");
    let mut archive = tar::Archive::new(bytes.as_slice());
    let files = archive.entries().unwrap().map(|file| {
        let mut file = file.unwrap();
        let name = file.path().unwrap().display().to_string();
        let mut bytes = Vec::new();
        std::io::Read::read_to_end(&mut file, &mut bytes).unwrap();
        (name, bytes)
    });
    files.collect()
}

fn manifest(files: &[(String, Vec<u8>)]) -> BTreeSet<String> {
    let (_, text) = files.iter().find(|(name, _)| name == "manifest.json").unwrap();
    let manifest: serde_json::Value = serde_json::from_slice(text).unwrap();
    let messages = manifest["messages"].as_array().unwrap();
    messages.iter().map(|message| message["file"].as_str().unwrap().to_owned()).collect()
}

fn recordings(files: &[(String, Vec<u8>)]) -> BTreeSet<String> {
    files.iter().map(|(name, _)| name.clone()).filter(|name| name.ends_with(".wav")).collect()
}

#[tokio::test]
async fn every_message_is_in_the_archive_and_in_its_manifest() {
    let site = Site::in_memory().await;
    let mut expected = BTreeSet::new();
    for n in 0..12 {
        let id = site.deposit(if n % 2 == 0 { "1001" } else { "1002" }, CALLER).await;
        expected.insert(format!("{id}.wav"));
    }
    site.deposit("1001", OTHER_CALLER).await;
    site.core.gdpr.export(body("c", Some(CALLER), 0)).await.unwrap();
    let files = unpack(read(&site, "c").await.unwrap());
    assert_eq!((recordings(&files), manifest(&files)), (expected.clone(), expected));
}

#[tokio::test]
async fn what_goes_while_an_archive_is_read_is_left_out_of_its_manifest_too() {
    let site = Site::in_memory().await;
    let mut ids = Vec::new();
    for _ in 0..40 {
        ids.push(site.deposit("1001", CALLER).await);
    }
    // As the archive holds them.
    ids.sort();
    site.core.gdpr.export(body("c", Some(CALLER), 0)).await.unwrap();
    let mut archive = site.core.gdpr.export_archive(&"c".parse().unwrap()).await.unwrap();
    let mut chunks = vec![archive.next().await.unwrap()];
    // The first is being read and the next 32 may be open already: the last isn't.
    let last = site.entry("1001", ids[39]).await.audio;
    site.store.delete(&Key::audio(&last)).await.unwrap();
    chunks.extend(archive.collect::<Chunks>().await);
    let files = unpack(chunks);
    let expected: BTreeSet<String> = ids[..39].iter().map(|id| format!("{id}.wav")).collect();
    assert_eq!((recordings(&files), manifest(&files)), (expected.clone(), expected));
}

#[tokio::test]
async fn an_archive_that_cannot_be_finished_breaks_off_and_never_looks_whole() {
    let mut site = Site::in_memory().await;
    let (there, switch) = site.with_region().await;
    site.deposit("1001", CALLER).await;
    deposit_at(&there, "1002", CALLER).await.unwrap();
    site.core.gdpr.export(body("c", Some(CALLER), 0)).await.unwrap();
    let archive = site.core.gdpr.export_archive(&"c".parse().unwrap()).await.unwrap();
    switch.turn(false);
    let mut chunks: Chunks = archive.collect().await;
    assert!(matches!(chunks.pop(), Some(Err(StoreError::Unavailable(_)))), "the reader is told");
    let bytes: Vec<u8> = chunks.into_iter().flat_map(|chunk| chunk.unwrap()).collect();
    let text = String::from_utf8_lossy(&bytes);
    assert!(!bytes.ends_with(&[0; 1_024]) && !text.contains("manifest.json"), "it looks whole");
    switch.turn(true);
    let files = unpack(read(&site, "c").await.unwrap());
    assert_eq!(recordings(&files).len(), 2, "fetched again, it is whole");
}
