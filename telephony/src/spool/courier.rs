//! Brings recordings that wait to the core, each under its id until the core says that it has it, or never will.
//!
//! A recording is gone from here after an acknowledgement, after a final refusal, and at its greatest age. All else (no
//! answer, 429, 5xx, a full mailbox, a token that isn't accepted) is tried again with growing pauses: repeated under its id
//! a message is stored once.
//!
//! A core that doesn't answer, or takes nothing from us, is asked by one recording at a time, after pauses of its own; once it takes one,
//! all that wait are brought at once, eight at a time. What it refuses for the recording's own sake waits for itself.

use super::seal::Recording;
use super::{Spool, SpoolError};
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
use voicemail_api::ErrorClass;
use voicemail_api::telephony::{Counts, DepositFields};

/// How often the folder is looked through without being asked.
const EVERY: Duration = Duration::from_secs(60);
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(300);
/// The same of a core that is away: what waits comes soon after it is back.
const LONGEST_ABSENCE: Duration = Duration::from_secs(20);
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

/// When a file, or the core, is tried next, and how long was waited for it.
#[derive(Clone, Copy)]
struct Pause {
    until: Instant,
    length: Duration,
}

impl Pause {
    /// The one after that.
    fn after(before: Option<&Self>, longest: Duration) -> Self {
        let length = before.map_or(FIRST_PAUSE, |pause| (pause.length * 2).min(longest));
        Self { until: Instant::now() + length, length }
    }
}

/// The one who carries.
pub struct Courier {
    spool: Arc<Spool>,
    voicemail: Arc<dyn Voicemail>,
    max_age: Duration,
    wake: Notify,
    pauses: Mutex<HashMap<PathBuf, Pause>>,
    /// The core's, while it is away.
    absence: Mutex<Option<Pause>>,
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
        let absence = Mutex::default();
        Arc::new(Self { spool, voicemail, max_age, wake, pauses, absence, deposited, count })
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
        let (now, was_away) = (Instant::now(), self.away());
        if let Some(until) = was_away.filter(|until| now < *until) {
            return until;
        }
        let files = self.spool.waiting().unwrap_or_else(|error| {
            tracing::error!(%error, "the spool can't be looked through");
            Vec::new()
        });
        // They are sorted.
        self.pauses.lock().retain(|file, _| files.binary_search(file).is_ok());
        let mut under_way = JoinSet::new();
        for file in files {
            if self.pauses.lock().get(&file).is_some_and(|pause| now < pause.until) {
                continue;
            }
            let at_once = if self.away().is_some() { 1 } else { AT_ONCE };
            while under_way.len() >= at_once {
                under_way.join_next().await;
            }
            if self.away().is_some_and(|until| Instant::now() < until) {
                break;
            }
            let courier = Arc::clone(self);
            under_way.spawn(async move { courier.carry(&file).await });
        }
        under_way.join_all().await;
        // Those that were passed over for their own pauses are due once the core is back.
        let is_back = was_away.is_some() && self.away().is_none();
        if is_back { now } else { self.next_due(now) }
    }

    fn next_due(&self, now: Instant) -> Instant {
        let due = self.pauses.lock().values().map(|pause| pause.until).min().unwrap_or(now + EVERY);
        self.away().map_or(due, |until| due.max(until))
    }

    /// Until when nothing is tried, since the core is away.
    fn away(&self) -> Option<Instant> {
        self.absence.lock().map(|pause| pause.until)
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
        let answer = self.voicemail.deposit(&description.mailbox, &description.id, &fields, wav).await;
        self.note(answer.as_ref().err());
        match answer {
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

    /// Whether the core is there, by its answer. Of those that were under way together one counts.
    fn note(&self, error: Option<&CoreError>) {
        let mut absence = self.absence.lock();
        if !error.is_some_and(is_absence) {
            // What waited for the core is due now.
            if absence.take().is_some() {
                self.pauses.lock().clear();
            }
        } else if absence.is_none_or(|pause| pause.until <= Instant::now()) {
            *absence = Some(Pause::after(absence.as_ref(), LONGEST_ABSENCE));
        }
    }

    fn pause(&self, file: &Path) {
        let mut pauses = self.pauses.lock();
        let pause = Pause::after(pauses.get(file), LONGEST_PAUSE);
        pauses.insert(file.to_owned(), pause);
    }
}

/// Answers that any other recording would get, too.
fn is_absence(error: &CoreError) -> bool {
    match error {
        CoreError::Away(_) | CoreError::Files(_) => true,
        CoreError::Refused { status } => matches!(status, 401 | 403 | 429 | 502..=504),
        CoreError::Unknown => false,
    }
}

/// Refusals that the same deposit meets again. 400 isn't one: a clock that is ahead makes it, here or at the core, and time
/// alone may cure that.
fn is_final(error: &CoreError) -> bool {
    error.class() == ErrorClass::Permanent && !matches!(error, CoreError::Refused { status: 400 })
}

fn age_of(left: &str) -> Duration {
    let left: Option<Timestamp> = left.parse().ok();
    left.and_then(|left| Duration::try_from(Timestamp::now() - left).ok()).unwrap_or_default()
}

#[cfg(test)]
#[path = "courier_tests.rs"]
mod tests;
