//! A store, two ways to it of the same length, the program behind the one and the bare store behind the other: MinIO behind proxies,
//! or two mounts whose operations take their time.

use anyhow::{Context as _, Result};
use futures::{StreamExt, TryStreamExt, stream};
use reqwest::Method;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::{Duration, Instant};
use voicemail_store::Store;
use voicemail_store::volume::{LockProbe, VolumeStore};
use voicemail_test_machine::cargo::build_optimised;
use voicemail_test_machine::distance::Distance;
use voicemail_test_machine::servers::voicemail_core::VoicemailCore;
use voicemail_test_machine::servers::{Minio, loopback};
use voicemail_test_machine::slow_mount::SlowMount;
use voicemail_test_machine::speech::wav_of;
use voicemail_test_stores::object_stores::{ObjectPlace, TENANT};

const BUCKET: &str = "latency";
/// As many deposits at a time as fill the store, for what is only prepared.
const PREPARED_AT_A_TIME: usize = 16;

/// All of it.
pub(crate) struct Scene {
    pub(crate) core: VoicemailCore,
    pub(crate) bare: Arc<dyn Store>,
    /// The program's way to the store.
    pub(crate) ours: Way,
    /// The bare store's.
    pub(crate) bares: Way,
    _server: Option<(Minio, [ObjectPlace; 2])>,
}

/// A way to a store whose length can be set.
pub(crate) enum Way {
    /// To a server.
    Net(Distance),
    /// To a volume.
    Mount(SlowMount),
}

impl Way {
    fn set(&self, pause: Duration) -> Result<()> {
        match self {
            Self::Net(distance) => distance.set(pause),
            Self::Mount(mount) => mount.set(pause)?,
        }
        Ok(())
    }

    /// Requests, or operations of the file system, so far.
    pub(crate) fn requests(&self) -> Result<u64> {
        match self {
            Self::Net(distance) => Ok(distance.requests()),
            Self::Mount(mount) => mount.operations(),
        }
    }
}

impl Scene {
    /// Builds and starts it, without any distance.
    pub(crate) async fn on_object_store() -> Result<Self> {
        build_optimised(&[("voicemail-server", "voicemail")])?;
        let server = Minio::start(loopback()).await?;
        let endpoint = server.endpoint();
        endpoint.admin()?.create_bucket(BUCKET).await?;
        let (ours, bares) = (
            Distance::start(loopback(), server.address()).await?,
            Distance::start(loopback(), server.address()).await?,
        );
        let place =
            |way: &Distance, folder| ObjectPlace::in_bucket(&endpoint.at(way.address()), BUCKET, folder);
        let places = [place(&ours, "voice")?, place(&bares, "bare")?];
        let core = start_core(serde_json::to_value(&places[0].storage)?).await?;
        let bare = places[1].open_patient()?;
        Ok(Self { core, bare, ours: Way::Net(ours), bares: Way::Net(bares), _server: Some((server, places)) })
    }

    /// The same on two volumes.
    pub(crate) async fn on_volume() -> Result<Self> {
        build_optimised(&[("voicemail-server", "voicemail")])?;
        let (ours, bares) = (SlowMount::start().await?, SlowMount::start().await?);
        let core = start_core(json!({ "volume": { "path": ours.path() } })).await?;
        let bare = Arc::new(VolumeStore::new(&bares.path(), "t", LockProbe(Vec::new())));
        Ok(Self { core, bare, ours: Way::Mount(ours), bares: Way::Mount(bares), _server: None })
    }

    /// From now on each answer of the store takes that much longer.
    pub(crate) fn go_far(&self, pause: Duration) -> Result<()> {
        self.ours.set(pause)?;
        self.bares.set(pause)
    }

    /// Makes mailboxes.
    pub(crate) async fn open_mailboxes(&self, names: &[String]) -> Result<()> {
        let make = |name: &String| {
            let path = format!("/mailboxes/{name}");
            async move { self.core.ask("root", Method::PUT, &path, Some(json!({}))).await }
        };
        stream::iter(names)
            .map(make)
            .buffer_unordered(PREPARED_AT_A_TIME)
            .try_collect::<Vec<Value>>()
            .await?;
        Ok(())
    }

    /// Leaves so many messages of a caller, in turn in these mailboxes, each of so many seconds. Their ids.
    pub(crate) async fn leave(
        &self,
        mailboxes: &[String],
        caller: &str,
        (messages, seconds): (usize, usize),
    ) -> Result<Vec<String>> {
        let wav = speech(seconds);
        let leave = |number: usize| {
            let (mailbox, wav) = (&mailboxes[number % mailboxes.len()], wav.clone());
            async move { self.core.deposit(mailbox, caller, "Ann", wav).await }
        };
        stream::iter(0..messages).map(leave).buffered(PREPARED_AT_A_TIME).try_collect().await
    }

    /// What somebody's request takes, in milliseconds, and its answer.
    pub(crate) async fn time(
        &self,
        who: &str,
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> Result<(f64, Value)> {
        let begun = Instant::now();
        let answer = self.core.ask(who, method, path, body).await.with_context(|| path.to_owned())?;
        Ok((ms(begun), answer))
    }
}

async fn start_core(storage: Value) -> Result<VoicemailCore> {
    let more = json!({
        "tenantId": TENANT,
        "region": "main",
        "regions": [{ "name": "main", "master": true, "storage": storage }],
        "classesOfService": [{ "name": "standard", "maxMessages": 1_000, "maxSeconds": 180, "minSeconds": 1,
                               "retentionDays": 30, "trashHours": 24 }],
        "limits": { "requestsPerCaller": 0, "requestsPerAddress": 0, "requestsPerTelephony": 0 },
    });
    VoicemailCore::start_with(&serde_yaml::to_string(&more)?).await
}

/// Milliseconds since then.
pub(crate) fn ms(begun: Instant) -> f64 {
    begun.elapsed().as_secs_f64() * 1_000.0
}

/// The middle one.
pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[(values.len() - 1) / 2]
}

/// Names of mailboxes.
pub(crate) fn names(prefix: &str, count: usize) -> Vec<String> {
    (0..count).map(|number| format!("{prefix}{number:03}")).collect()
}

/// So many seconds of G.711, no two bytes in a row alike.
pub(crate) fn speech(seconds: usize) -> Vec<u8> {
    let samples: Vec<u8> = (0..seconds * 8_000).map(|n| u8::try_from(n % 251).unwrap_or_default()).collect();
    wav_of(&samples)
}
