//! Brings recordings that wait to the core, each under its id until the core says that it has it, or never will.
//!
//! A recording is gone from here after an acknowledgement, after a final refusal, and at its greatest age. All else (no
//! answer, 429, 5xx, a full mailbox, a token that isn't accepted) is tried again with growing pauses: repeated under its id
//! a message is stored once.

use super::seal::Recording;
use super::{Spool, SpoolError};
use crate::class::Class;
use crate::core::{CoreError, Voicemail};
use crate::g711::{RATE, write_wav};
use jiff::Timestamp;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinSet;
use tokio::time::Instant;
use voicemail_api::telephony::{Counts, DepositFields};

/// How often the folder is looked through without being asked.
const EVERY: Duration = Duration::from_secs(60);
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(300);
/// Deposits at a time.
const AT_ONCE: usize = 8;
/// A younger recording is received now, as far as the core is concerned: clocks differ.
const LATE: Duration = Duration::from_secs(60);

/// A mailbox whose counts an acknowledgement told.
pub type Deposited = (String, Counts);

/// What became of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    Stored,
    Nothing,
    Refused,
    TooOld,
    Later,
}

impl Outcome {
    const fn label(self) -> &'static str {
        match self {
            Self::Stored => "stored",
            Self::Nothing => "too-short",
            Self::Refused => "refused",
            Self::TooOld => "too-old",
            Self::Later => "later",
        }
    }
}

/// When a file is tried next, and how long is waited then.
#[derive(Clone, Copy)]
struct Pause {
    until: Instant,
    length: Duration,
}

/// The one who carries.
pub struct Courier {
    spool: Arc<Spool>,
    voicemail: Arc<dyn Voicemail>,
    max_age: Duration,
    wake: Notify,
    pauses: Mutex<HashMap<PathBuf, Pause>>,
    deposited: mpsc::UnboundedSender<Deposited>,
    count: Box<dyn Fn(&'static str) + Send + Sync>,
}

impl Courier {
    /// From that spool to that core; what was deposited is told, outcomes are counted.
    pub fn new(
        spool: Arc<Spool>,
        voicemail: Arc<dyn Voicemail>,
        max_age: Duration,
        deposited: mpsc::UnboundedSender<Deposited>,
        count: impl Fn(&'static str) + Send + Sync + 'static,
    ) -> Arc<Self> {
        let (wake, pauses, count) = (Notify::new(), Mutex::default(), Box::new(count));
        Arc::new(Self { spool, voicemail, max_age, wake, pauses, deposited, count })
    }

    /// Something was committed.
    pub fn wake(&self) {
        self.wake.notify_one();
    }

    /// Carries until it is dropped.
    pub async fn run(self: Arc<Self>) {
        loop {
            let next = self.carry_all().await.min(Instant::now() + EVERY);
            tokio::select! {
                () = self.wake.notified() => {}
                () = tokio::time::sleep_until(next) => {}
            }
        }
    }

    /// Tries everything that is due, once; returns when something is due next.
    pub async fn carry_all(self: &Arc<Self>) -> Instant {
        let files = self.spool.waiting().unwrap_or_else(|error| {
            tracing::error!(%error, "the spool can't be looked through");
            Vec::new()
        });
        self.pauses.lock().retain(|file, _| files.contains(file));
        let now = Instant::now();
        let mut under_way = JoinSet::new();
        for file in files {
            if self.pauses.lock().get(&file).is_some_and(|pause| now < pause.until) {
                continue;
            }
            if under_way.len() >= AT_ONCE {
                under_way.join_next().await;
            }
            let courier = Arc::clone(self);
            under_way.spawn(async move { courier.carry(&file).await });
        }
        under_way.join_all().await;
        let pauses = self.pauses.lock();
        pauses.values().map(|pause| pause.until).min().unwrap_or(now + EVERY)
    }

    async fn carry(&self, file: &Path) {
        let outcome = match self.spool.read(file) {
            Ok(recording) => self.deposit(&recording).await,
            Err(SpoolError::Seal(error)) => self.keep_unreadable(file, &error),
            Err(error) => {
                tracing::error!(%error, "a recording can't be read");
                Outcome::Later
            }
        };
        (self.count)(outcome.label());
        if outcome == Outcome::Later {
            self.pause(file);
        } else if let Err(error) = self.spool.remove(file) {
            tracing::error!(%error, "a recording that is done with can't be removed");
            self.pause(file);
        }
    }

    async fn deposit(&self, recording: &Recording) -> Outcome {
        let description = &recording.description;
        let millis = recording.samples.len() as u64 * 1_000 / u64::from(RATE);
        if millis < description.min_millis {
            return Outcome::Nothing;
        }
        let age = age_of(&description.left);
        let fields = DepositFields {
            caller: description.caller.clone(),
            caller_name: description.caller_name.clone(),
            urgent: recording.ending.unwrap_or_default().urgent,
            left: (age > LATE).then(|| description.left.clone()),
        };
        let wav = write_wav(&recording.samples, description.law);
        match self.voicemail.deposit(&description.mailbox, &description.id, &fields, wav).await {
            Ok(counts) => {
                // Who shows MWI may have ended before us.
                let _ = self.deposited.send((description.mailbox.clone(), counts));
                Outcome::Stored
            }
            Err(error) => self.judge(&error, &description.id, age),
        }
    }

    fn judge(&self, error: &CoreError, id: &str, age: Duration) -> Outcome {
        if is_final(error) {
            tracing::error!(call = id, %error, "the core refuses a recording for good; it is destroyed");
            return Outcome::Refused;
        }
        if age > self.max_age {
            tracing::error!(call = id, %error, "a recording is as old as may be; it is destroyed");
            return Outcome::TooOld;
        }
        tracing::warn!(call = id, %error, "the core doesn't take a recording yet");
        Outcome::Later
    }

    /// A file of another key may be opened again when the key is put back.
    fn keep_unreadable(&self, file: &Path, error: &super::SealError) -> Outcome {
        let modified = std::fs::metadata(file).and_then(|metadata| metadata.modified());
        let age = modified.ok().and_then(|modified| modified.elapsed().ok()).unwrap_or_default();
        tracing::error!(%error, "a recording can't be opened");
        if age > self.max_age { Outcome::TooOld } else { Outcome::Later }
    }

    fn pause(&self, file: &Path) {
        let mut pauses = self.pauses.lock();
        let length = pauses.get(file).map_or(FIRST_PAUSE, |pause| (pause.length * 2).min(LONGEST_PAUSE));
        pauses.insert(file.to_owned(), Pause { until: Instant::now() + length, length });
    }
}

/// Refusals that the same deposit meets again. 400 isn't one: a clock that is ahead makes it, here or at the core, and time
/// alone may cure that.
fn is_final(error: &CoreError) -> bool {
    error.class() == Class::Permanent && !matches!(error, CoreError::Refused { status: 400 })
}

fn age_of(left: &str) -> Duration {
    let left: Option<Timestamp> = left.parse().ok();
    left.and_then(|left| Duration::try_from(Timestamp::now() - left).ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::super::seal::Ending;
    use super::super::tests::{description, spool};
    use super::*;
    use crate::core::tests::MemoryCore;

    struct Scene {
        _folder: tempfile::TempDir,
        spool: Arc<Spool>,
        core: Arc<MemoryCore>,
        courier: Arc<Courier>,
    }

    fn scene() -> Scene {
        let folder = tempfile::tempdir().unwrap();
        let spool = Arc::new(spool(folder.path()));
        let core = Arc::new(MemoryCore::default());
        let (tell, _) = mpsc::unbounded_channel();
        let courier = Courier::new(spool.clone(), core.clone(), Duration::from_secs(3_600), tell, |_| ());
        Scene { _folder: folder, spool, core, courier }
    }

    impl Scene {
        fn leave(&self, id: &str, samples: usize, left: Timestamp) {
            let described = super::super::seal::Description { left: left.to_string(), ..description(id) };
            let mut writer = self.spool.begin(&described).unwrap();
            writer.write(&vec![5; samples]).unwrap();
            writer.commit(Ending::default()).unwrap();
        }
    }

    fn ago(seconds: i64) -> Timestamp {
        Timestamp::now() - jiff::SignedDuration::from_secs(seconds)
    }

    #[tokio::test(start_paused = true)]
    async fn what_the_core_has_is_gone_from_here_and_what_is_nothing_too() {
        let scene = scene();
        scene.leave("a", 8_000, ago(1));
        scene.leave("b", 80, ago(1));
        scene.courier.carry_all().await;
        assert_eq!(scene.core.deposits(), [("1001".to_owned(), "a".to_owned(), false)]);
        assert_eq!(scene.spool.count_waiting(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_core_that_is_away_is_asked_again_after_growing_pauses() {
        let scene = scene();
        scene.core.fail(Some(CoreError::Away("no answer".into())));
        scene.leave("a", 8_000, ago(120));
        let (mut now, mut pauses) = (Instant::now(), Vec::new());
        for _ in 0..4 {
            let next = scene.courier.carry_all().await;
            pauses.push((next - now).as_secs());
            tokio::time::sleep_until(next).await;
            now = next;
        }
        assert_eq!(pauses, [1, 2, 4, 8]);
        scene.core.fail(None);
        scene.courier.carry_all().await;
        // It was left two minutes ago, and says so.
        assert_eq!(scene.core.deposits(), [("1001".to_owned(), "a".to_owned(), true)]);
        assert_eq!(scene.spool.count_waiting(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn refused_for_good_or_too_old_it_is_destroyed() {
        let scene = scene();
        scene.core.fail(Some(CoreError::Refused { status: 422 }));
        scene.leave("a", 8_000, ago(1));
        scene.courier.carry_all().await;
        assert_eq!(scene.spool.count_waiting(), 0);
        scene.core.fail(Some(CoreError::Refused { status: 507 }));
        scene.leave("b", 8_000, ago(1));
        scene.leave("c", 8_000, ago(3_700));
        scene.courier.carry_all().await;
        assert_eq!(scene.spool.count_waiting(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_refusal_that_a_wrong_clock_makes_destroys_nothing() {
        let scene = scene();
        scene.core.fail(Some(CoreError::Refused { status: 400 }));
        scene.leave("a", 8_000, ago(120));
        scene.courier.carry_all().await;
        assert_eq!(scene.spool.count_waiting(), 1);
        scene.core.fail(None);
        tokio::time::sleep(FIRST_PAUSE).await;
        scene.courier.carry_all().await;
        assert_eq!(scene.core.deposits().len(), 1);
    }
}
