//! Three processes of one tenant on one store, and whoever kills them.

use crate::attempts::Kill;
use crate::random::Random;
use anyhow::Result;
use serde_json::{Value, json};
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use tempfile::TempDir;
use voicemail_test_machine::distance::Distance;
use voicemail_test_machine::servers::voicemail_core::{VoicemailCore, user_line};
use voicemail_test_machine::servers::{Minio, loopback};
use voicemail_test_stores::object_stores::{FOLDER, ObjectPlace};

const REPLICAS: usize = 3;
/// On one store, at most.
const SCENES: u64 = 10;
const BUCKET: &str = "proof";
/// To the store and back.
const FAR: Duration = Duration::from_millis(30);

/// MinIO in another city.
pub(crate) struct FarStore {
    place: ObjectPlace,
    way: Distance,
    server: Minio,
}

/// The store.
pub(crate) enum Ground {
    /// MinIO, and the way to it.
    Far(Box<FarStore>),
    /// A folder.
    Volume(TempDir),
}

impl fmt::Display for Ground {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Far(_) => "MinIO, 30 ms away",
            Self::Volume(_) => "a volume",
        })
    }
}

impl Ground {
    /// Starts an object store, at no distance yet.
    pub(crate) async fn far_store() -> Result<Self> {
        voicemail_test_machine::install_crypto();
        let server = Minio::start(loopback()).await?;
        server.endpoint().admin()?.create_bucket(BUCKET).await?;
        let way = Distance::start(loopback(), server.address()).await?;
        let place = ObjectPlace::in_bucket(&server.endpoint().at(way.address()), BUCKET, FOLDER)?;
        Ok(Self::Far(Box::new(FarStore { place, way, server })))
    }

    /// Makes a folder.
    pub(crate) fn volume() -> Result<Self> {
        voicemail_test_machine::install_crypto();
        Ok(Self::Volume(tempfile::Builder::new().prefix("voicemail-proof-").tempdir()?))
    }

    fn storage(&self) -> Result<Value> {
        Ok(match self {
            Self::Far(far) => serde_json::to_value(&far.place.storage)?,
            Self::Volume(folder) => json!({ "volume": { "path": folder.path() } }),
        })
    }

    /// The folder with all that the store keeps. MinIO's own folder beside the bucket holds what was deleted for some minutes, where
    /// nobody can read it.
    fn files(&self) -> PathBuf {
        match self {
            Self::Far(far) => far.server.data_folder().join(BUCKET),
            Self::Volume(folder) => folder.path().to_owned(),
        }
    }
}

/// All of them.
pub(crate) struct Replicas {
    cores: Vec<VoicemailCore>,
    ground: Ground,
    _keys: TempDir,
}

impl Replicas {
    /// Starts them one after the other; from then on the store is as far as it will be.
    pub(crate) async fn start(ground: Ground) -> Result<Self> {
        let keys = tempfile::tempdir()?;
        write_keys(keys.path())?;
        let users = keys.path().join("users");
        std::fs::write(&users, list_users())?;
        let more = json!({
            "region": "main",
            "regions": [{ "name": "main", "master": true, "storage": ground.storage()? }],
            "keysDir": keys.path(),
            "auth": { "basic": { "usersFile": users } },
            "classesOfService": [{ "name": "standard", "maxMessages": 1_000, "maxSeconds": 180, "minSeconds": 1,
                                   "retentionDays": 30, "trashHours": 0 }],
            "limits": { "requestsPerCaller": 0, "requestsPerAddress": 0, "requestsPerTelephony": 0 },
        });
        let more = serde_yaml::to_string(&more)?;
        let mut cores = Vec::new();
        for _ in 0..REPLICAS {
            cores.push(VoicemailCore::start_with(&more).await?);
        }
        if let Ground::Far(far) = &ground {
            far.way.set(FAR);
        }
        Ok(Self { cores, ground, _keys: keys })
    }

    /// Where their APIs are, now and after each start.
    pub(crate) fn urls(&self) -> Vec<String> {
        self.cores.iter().map(VoicemailCore::url).collect()
    }

    /// One of them, to prepare what is needed.
    pub(crate) fn any(&self) -> &VoicemailCore {
        &self.cores[0]
    }

    /// The store.
    pub(crate) fn ground(&self) -> &Ground {
        &self.ground
    }

    /// The folder with all that the store keeps.
    pub(crate) fn files(&self) -> PathBuf {
        self.ground.files()
    }

    /// Kills one or two of them about that often, and starts them again; each is noted. How many were killed.
    pub(crate) async fn kill_until(
        &mut self,
        end: Instant,
        pause: Duration,
        mut random: Random,
        mut note: impl FnMut(Kill),
    ) -> Result<u32> {
        let mut kills = 0;
        // How long a replica takes to start makes the kills no fewer.
        let mut due = Instant::now();
        loop {
            due += pause / 2 + pause.mul_f64(f64::from(u32::try_from(random.below(1_000))?) / 1_000.0);
            if due > end {
                return Ok(kills);
            }
            tokio::time::sleep_until(due.into()).await;
            let (first, both) = (random.below(REPLICAS), random.below(4) == 0);
            let killed: Vec<usize> =
                [first, (first + 1) % REPLICAS].into_iter().take(1 + usize::from(both)).collect();
            for number in &killed {
                let begun = Instant::now();
                self.cores[*number].kill()?;
                note(Kill { replica: *number, begun, ended: Instant::now() });
                kills += 1;
            }
            for number in killed {
                self.cores[number].start_again_as_it_is().await?;
            }
        }
    }
}

/// People of all scenes, and an owner of mailboxes for each.
fn list_users() -> String {
    let common = [("front", "telephony"), ("root", "admin"), ("officer", "privacy")];
    let common = common.iter().map(|(name, roles)| user_line(name, roles));
    let owners = (0..SCENES).map(|scene| user_line(&owner_of(scene), &format!("agent:{}", owner_of(scene))));
    common.chain(owners).collect()
}

/// Owns the mailboxes of a scene: one owner has ten at most.
pub(crate) fn owner_of(scene: u64) -> String {
    format!("alice{scene}")
}

fn write_keys(folder: &Path) -> Result<()> {
    std::fs::write(folder.join("tenant.key"), "0123456789abcdef0123456789abcdef0123456789abcdef\n")?;
    let receipt = rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519)?;
    Ok(std::fs::write(folder.join("receipt.key"), receipt.serialize_pem())?)
}
