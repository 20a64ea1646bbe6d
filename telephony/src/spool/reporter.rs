//! Tells the core how many recordings wait here, so that its receipts can say so: an erasure reaches these only when they come.
//!
//! What waits for less than a minute is on its way and isn't told. What was told is told again each minute, until it is told that
//! nothing waits; the first look of a process tells that too, since a former one may have told otherwise.

use super::Spool;
use crate::core::{CoreError, Voicemail};
use jiff::{SignedDuration, Timestamp};
use std::sync::Arc;
use std::time::Duration;

const EVERY: Duration = Duration::from_secs(60);

/// The one who tells.
pub struct Reporter {
    spool: Arc<Spool>,
    voicemail: Arc<dyn Voicemail>,
    front: String,
    /// The core may believe that something waits.
    told: bool,
}

impl Reporter {
    /// For the process of that name.
    pub fn new(spool: Arc<Spool>, voicemail: Arc<dyn Voicemail>, front: String) -> Self {
        Self { spool, voicemail, front, told: true }
    }

    /// Tells until it is dropped.
    pub async fn run(mut self) {
        loop {
            self.look(Timestamp::now(), EVERY).await;
            tokio::time::sleep(EVERY).await;
        }
    }

    /// Tells what has waited for so long.
    pub async fn look(&mut self, now: Timestamp, least: Duration) {
        let (waiting, age) = (self.spool.count_waiting() as u64, self.spool.oldest(now));
        let told = match (waiting, age >= least) {
            (0, _) if !self.told => return,
            (0, _) => self.voicemail.report(&self.front, 0, None).await,
            (_, false) => return,
            (waiting, true) => {
                // Whatever an answer says: the core may have it.
                self.told = true;
                let oldest = now - SignedDuration::try_from(age).unwrap_or_default();
                self.voicemail.report(&self.front, waiting, Some(&oldest.to_string())).await
            }
        };
        match told {
            Ok(()) => self.told = waiting > 0,
            // Of a release that doesn't ask.
            Err(CoreError::Unknown | CoreError::Refused { status: 405 }) => {}
            Err(error) => tracing::warn!(%error, "the core can't be told what waits here"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::seal::Ending;
    use super::super::tests::{description, spool};
    use super::*;
    use crate::core::tests::MemoryCore;

    #[tokio::test]
    async fn what_waits_is_told_until_the_core_has_heard_that_nothing_does() {
        let folder = tempfile::tempdir().unwrap();
        let (spool, core) = (Arc::new(spool(folder.path())), Arc::new(MemoryCore::default()));
        let mut reporter = Reporter::new(spool.clone(), core.clone(), "sip-0".into());
        let later = |seconds: i64| Timestamp::now() + SignedDuration::from_secs(seconds);
        reporter.look(later(0), EVERY).await;
        reporter.look(later(0), EVERY).await;
        assert_eq!(
            core.reports(),
            [("sip-0".to_owned(), 0)],
            "a former process may have told otherwise, once"
        );
        let id = uuid::Uuid::now_v7().to_string();
        let mut writer = spool.begin(&description(&id)).unwrap();
        writer.write(&[5; 8_000]).unwrap();
        writer.commit(Ending::default()).unwrap();
        reporter.look(later(30), EVERY).await;
        assert_eq!(core.reports().len(), 1, "it is on its way");
        reporter.look(later(90), EVERY).await;
        reporter.look(later(150), EVERY).await;
        spool.remove(&spool.waiting().unwrap()[0]).unwrap();
        core.fail(Some(CoreError::Away(String::new())));
        reporter.look(later(210), EVERY).await;
        core.fail(None);
        reporter.look(later(270), EVERY).await;
        reporter.look(later(330), EVERY).await;
        let counts: Vec<u64> = core.reports().into_iter().map(|(_, count)| count).collect();
        assert_eq!(counts, [0, 1, 1, 0]);
    }
}
