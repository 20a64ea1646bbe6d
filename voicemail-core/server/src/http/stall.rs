//! An answer within ten seconds while a store hangs.
//!
//! A request that has waited for the store for some seconds asks whether the stores answer anything at all. If they do,
//! it is only long work, and goes on; if one doesn't, the caller is told so, with the time to come back. Whoever has
//! spoken isn't kept waiting for long work either: a deposit whose last byte was taken is answered in time or told to come
//! back ([`answered_in_time`]), and goes on by itself: what is stored after all is found by the retry.
//!
//! What can go wrong: a caller who is slow himself: only the time counts in which nobody waits for him.

use super::{ApiError, App, ProblemKind};
use bytes::Bytes;
use futures::future::join_all;
use futures::{StreamExt, stream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::{Instant, sleep_until, timeout};
use voicemail_engine::core::Core;
use voicemail_store::{BodyError, BodyStream};

/// After so long without a step the stores are asked.
const SUSPICIOUS: Duration = Duration::from_secs(7);
/// How long they may take to answer anything. Both together leave some of ten seconds for the way.
const SIGN_OF_LIFE: Duration = Duration::from_secs(2);
/// How long somebody who has spoken waits for the answer, however much else the stores answer.
const SPOKEN: Duration = Duration::from_secs(9);
/// When to come back.
const COME_BACK: Duration = Duration::from_secs(5);

/// When somebody else than the caller was last seen to do something.
#[derive(Clone, Debug)]
pub(super) struct Progress(Arc<Mutex<Last>>);

#[derive(Clone, Copy, Debug)]
enum Last {
    /// The caller's turn.
    Caller,
    /// Ours: since the end of what the caller says, if that was there, and since the stores last showed that they answer.
    Ours { spoken: Option<Instant>, seen: Instant },
}

impl Progress {
    /// Ours from now on.
    pub(super) fn begin() -> Self {
        Self(Arc::new(Mutex::new(Last::Ours { spoken: None, seen: Instant::now() })))
    }

    fn last(&self) -> MutexGuard<'_, Last> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn hear(&self) {
        *self.last() = Last::Caller;
    }

    fn take_over(&self, was_all: bool) {
        let now = Instant::now();
        *self.last() = Last::Ours { spoken: was_all.then_some(now), seen: now };
    }

    /// The stores answer.
    fn see(&self) {
        if let Last::Ours { seen, .. } = &mut *self.last() {
            *seen = Instant::now();
        }
    }

    /// When somebody has waited long enough who spoke before.
    fn spoken_until(&self) -> Instant {
        match *self.last() {
            Last::Ours { spoken: Some(since), .. } => since + SPOKEN,
            Last::Caller | Last::Ours { spoken: None, .. } => Instant::now() + SPOKEN,
        }
    }

    /// When the stores are to be asked, if nothing happens until then.
    fn suspicious_at(&self) -> Instant {
        match *self.last() {
            Last::Caller => Instant::now() + SUSPICIOUS,
            Last::Ours { seen, .. } => seen + SUSPICIOUS,
        }
    }

    /// A body that tells whose turn it is.
    pub(super) fn watch(&self, body: BodyStream) -> BodyStream {
        let watched = (body, self.clone());
        stream::unfold(watched, |(mut body, progress)| async move {
            progress.hear();
            let chunk: Option<Result<Bytes, BodyError>> = body.next().await;
            progress.take_over(chunk.is_none());
            chunk.map(|chunk| (chunk, (body, progress)))
        })
        .boxed()
    }
}

/// Waits for work as long as the stores answer, or the caller is waited for.
pub(super) async fn while_answering<T>(
    app: &App,
    progress: &Progress,
    work: impl Future<Output = T>,
) -> Result<T, ApiError> {
    tokio::pin!(work);
    loop {
        let at = progress.suspicious_at();
        tokio::select! {
            biased;
            done = &mut work => return Ok(done),
            () = sleep_until(at) => {}
        }
        // Progress in the meantime has moved the deadline.
        if progress.suspicious_at() > Instant::now() {
            continue;
        }
        tokio::select! {
            biased;
            done = &mut work => return Ok(done),
            answers = all_answer(app) => {
                if !answers {
                    return Err(silent());
                }
                progress.see();
            }
        }
    }
}

/// As [`while_answering`], for work that goes on by itself: not longer than somebody waits who has spoken.
pub(super) async fn answered_in_time<T>(
    app: &App,
    progress: &Progress,
    work: impl Future<Output = T>,
) -> Result<T, ApiError> {
    let waiting = while_answering(app, progress, work);
    tokio::pin!(waiting);
    loop {
        let end = progress.spoken_until();
        tokio::select! {
            biased;
            done = &mut waiting => return done,
            () = sleep_until(end) => {}
        }
        // The caller has spoken on in the meantime.
        if progress.spoken_until() <= Instant::now() {
            return Err(late());
        }
    }
}

async fn all_answer(app: &App) -> bool {
    let Ok(core) = app.core() else { return true };
    timeout(SIGN_OF_LIFE, greet_concerned(&core)).await.unwrap_or(false)
}

/// The stores that a request here waits for: the master's and this region's.
async fn greet_concerned(core: &Core) -> bool {
    let context = &core.context;
    let (own, master) = (context.config().region.clone(), context.master());
    let concerned = context.regions().filter(|(name, _)| **name == own || **name == master);
    join_all(concerned.map(|(_, store)| store.greet())).await.iter().all(Result::is_ok)
}

fn late() -> ApiError {
    let words = "the store takes longer than a caller waits: the same request is safe to repeat";
    ApiError::new(ProblemKind::StoreUnavailable, words).after(COME_BACK)
}

fn silent() -> ApiError {
    let words = "the store doesn't answer: the same request is safe to repeat";
    ApiError::new(ProblemKind::StoreUnavailable, words).after(COME_BACK)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn only_the_time_counts_in_which_nobody_waits_for_the_caller() {
        let progress = Progress::begin();
        let slow = stream::once(async {
            tokio::time::sleep(Duration::from_secs(60)).await;
            Ok(Bytes::from_static(b"x"))
        });
        let mut body = progress.watch(slow.boxed());
        let begun = Instant::now();
        let reading = async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            assert!(progress.suspicious_at() > Instant::now() + SUSPICIOUS - Duration::from_secs(1));
        };
        let (chunk, ()) = tokio::join!(body.next(), reading);
        assert!(chunk.is_some() && begun.elapsed() >= Duration::from_secs(60));
        let ours = progress.suspicious_at();
        tokio::time::sleep(Duration::from_secs(3)).await;
        assert_eq!(progress.suspicious_at(), ours, "our turn since the chunk was handed on");
        assert_eq!(ours, begun + Duration::from_secs(60) + SUSPICIOUS);
    }
}
