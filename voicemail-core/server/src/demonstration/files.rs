//! The folder of a demonstration: keys and store stay, users and configuration are written at each start.
//!
//! ```text
//! voicemail-data/  keys/{tenant.key, receipt.key}  store/  users  config.yaml  message.wav
//! ```

use super::DemonstrationError;
use super::messages::HOURS;
use super::people::Person;
use aws_lc_rs::rand::{SecureRandom, SystemRandom};
use aws_lc_rs::signature::Ed25519KeyPair;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::fs::{DirBuilder, OpenOptions};
use std::io::{ErrorKind, Write};
use std::net::SocketAddr;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// A recording for a first deposit.
pub(super) const EXAMPLE: &str = "message.wav";
/// The cheapest that bcrypt has: passwords live as long as the process.
const COST: u32 = 4;

/// Makes what is missing; gives the configuration's file.
pub(super) fn prepare(
    data: &Path,
    listen: SocketAddr,
    people: &[Person],
) -> Result<PathBuf, DemonstrationError> {
    let (keys, store) = (data.join("keys"), data.join("store"));
    for folder in [data, &keys, &store] {
        let made = DirBuilder::new().recursive(true).mode(0o700).create(folder);
        made.map_err(|source| DemonstrationError::Unwritable { file: folder.to_owned(), source })?;
    }
    make_once(&keys.join("tenant.key"), || Ok(hex::encode(random::<32>()?)))?;
    make_once(&keys.join("receipt.key"), new_receipt_key)?;
    let users = data.join("users");
    write(&users, describe_users(people)?.as_bytes())?;
    write(&data.join(EXAMPLE), HOURS)?;
    let config = data.join("config.yaml");
    write(&config, describe_config(&keys, &store, &users, listen).as_bytes())?;
    Ok(config)
}

/// JSON, which is YAML, too: a path may have any characters.
fn describe_config(keys: &Path, store: &Path, users: &Path, listen: SocketAddr) -> String {
    let text = serde_json::json!({
        "tenantId": "demonstration", "cluster": "loopback", "region": "local",
        "regions": [{ "name": "local", "master": true, "storage": { "volume": { "path": store } } }],
        "keysDir": keys, "defaultNumberRegion": "GB",
        "listen": { "api": listen, "metrics": SocketAddr::new(listen.ip(), 0) },
        "auth": { "basic": { "usersFile": users } },
        "web": { "passwords": true },
        "directory": "open",
    });
    format!("# Written by `voicemail dev` at each start.\n{text:#}\n")
}

fn describe_users(people: &[Person]) -> Result<String, DemonstrationError> {
    let mut text = String::from("# Written by `voicemail dev` at each start.\n");
    for Person { name, roles, acts_as, password, .. } in people {
        let hash =
            bcrypt::hash(password, COST).map_err(|_| DemonstrationError::Unmade("hashes of passwords"))?;
        let acts_as = acts_as.map(|user| format!(":{user}")).unwrap_or_default();
        text.push_str(&format!("{name}:{hash}:{roles}{acts_as}\n"));
    }
    Ok(text)
}

/// PKCS#8 in PEM.
fn new_receipt_key() -> Result<String, DemonstrationError> {
    let made = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new());
    let made = made.map_err(|_| DemonstrationError::Unmade("the key of receipts"))?;
    Ok(format!(
        "-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n",
        STANDARD.encode(made.as_ref())
    ))
}

fn random<const N: usize>() -> Result<[u8; N], DemonstrationError> {
    let mut bytes = [0; N];
    SystemRandom::new().fill(&mut bytes).map_err(|_| DemonstrationError::Unmade("the tenant's key"))?;
    Ok(bytes)
}

/// What is stored can be read by its first key alone.
fn make_once(
    file: &Path,
    make: impl FnOnce() -> Result<String, DemonstrationError>,
) -> Result<(), DemonstrationError> {
    match file.metadata() {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == ErrorKind::NotFound => write(file, make()?.as_bytes()),
        Err(source) => Err(DemonstrationError::Unwritable { file: file.to_owned(), source }),
    }
}

/// For this user's eyes alone. Written beside and renamed, so that half of a key is never read.
fn write(file: &Path, bytes: &[u8]) -> Result<(), DemonstrationError> {
    let beside = file.with_extension("new");
    let written = OpenOptions::new().create(true).write(true).truncate(true).mode(0o600).open(&beside);
    let written = written.and_then(|mut open| open.write_all(bytes).and_then(|()| open.sync_all()));
    let placed = written.and_then(|()| std::fs::rename(&beside, file));
    placed.map_err(|source| DemonstrationError::Unwritable { file: file.to_owned(), source })
}
