//! Due items under way, each beside the others.
//!
//! ```text
//! list of due items ─▶ rights (runs, ends of holds): up to 32 at a time  ─▶ done, or left for the next look
//!                  └─▶ all else (retention, deletions, …): up to 8 at a time
//! ```
//!
//! An item that takes an hour holds up none that comes after it: the requests of data subjects have places of their own,
//! which twenty thousand messages that expire at one midnight can't take, and what is under way isn't begun again by the
//! next look. Another replica may do so: all of it is idempotent.

use super::due::{self, minute_of};
use super::{Swept, answers};
use crate::context::Context;
use crate::gdpr::Gdpr;
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use futures::{FutureExt, StreamExt};
use std::collections::{HashSet, VecDeque};
use voicemail_model::Time;
use voicemail_store::{ErrorClass, Family, Key, StoreError};

/// Items of requests that are under way at a time.
const RIGHTS: usize = 32;
/// Items of other kinds.
const OTHERS: usize = 8;

/// An item that is done, and how; after an error also whether the store itself is away.
type Work = BoxFuture<'static, (String, Swept, Option<(StoreError, bool)>)>;

/// The result of a look for due items.
pub(super) struct Listed {
    keys: Vec<String>,
    /// When the next one is known to come.
    pub(super) next: Option<Time>,
    /// Whether they could be listed to their end.
    pub(super) whole: Result<(), StoreError>,
}

/// Lists what is due, in the order of its minutes.
pub(super) async fn list(context: &Context) -> Listed {
    let mut listed = Listed { keys: Vec::new(), next: None, whole: Ok(()) };
    let mut keys = context.store().list(Family::Due.prefix());
    while let Some(key) = keys.next().await {
        match key {
            Ok(key) if minute_of(&key) > context.world().now().minute().as_str() => {
                listed.next = Time::from_minute(minute_of(&key));
                break;
            }
            Ok(key) => listed.keys.push(key),
            // A volume goes on behind a folder that can't be listed.
            Err(error) => listed.whole = listed.whole.and(Err(error)),
        }
    }
    listed
}

/// One kind's places, and those that wait for one.
#[derive(Default)]
struct Lane {
    queue: VecDeque<Key>,
    work: FuturesUnordered<Work>,
}

/// All that is due and not done.
pub(super) struct Lanes {
    context: Context,
    gdpr: Gdpr,
    /// Keys in a queue or under way.
    known: HashSet<String>,
    rights: Lane,
    others: Lane,
    away: Option<StoreError>,
}

impl Lanes {
    /// Nothing yet.
    pub(super) fn new(context: Context, gdpr: Gdpr) -> Self {
        let (known, rights, others) = Default::default();
        Self { context, gdpr, known, rights, others, away: None }
    }

    /// Takes on what is due and isn't known yet, and begins it.
    pub(super) fn take_on(&mut self, listed: &Listed) {
        self.away = None;
        listed.keys.iter().for_each(|key| self.enter(key));
        self.fill();
    }

    fn enter(&mut self, text: &str) {
        let Some(key) = Key::listed(text).filter(|_| self.known.insert(text.to_owned())) else { return };
        let name = text.rsplit('/').next().unwrap_or(text);
        let lane = match name.starts_with("run.") || name.starts_with("released.") {
            true => &mut self.rights,
            false => &mut self.others,
        };
        lane.queue.push_back(key);
    }

    /// Begins as many as there are places for.
    fn fill(&mut self) {
        for (lane, places) in [(&mut self.rights, RIGHTS), (&mut self.others, OTHERS)] {
            while lane.work.len() < places
                && let Some(key) = lane.queue.pop_front()
            {
                lane.work.push(take_up(self.context.clone(), self.gdpr.clone(), key).boxed());
            }
        }
    }

    /// The outcome of the next item that is done; none if nothing is under way. It makes no calls of its own: they would
    /// wait for places that items hold which nobody polls meanwhile.
    pub(super) async fn next_done(&mut self) -> Option<Swept> {
        let (key, mut swept, error) = tokio::select! {
            biased;
            Some(done) = self.rights.work.next() => done,
            Some(done) = self.others.work.next() => done,
            else => return None,
        };
        self.known.remove(&key);
        if let Some((error, away)) = error {
            self.note(error, away, &mut swept);
        }
        self.fill();
        Some(swept)
    }

    /// An item's failure is its own, unless the store itself is away: then nothing else is begun.
    fn note(&mut self, error: StoreError, away: bool, swept: &mut Swept) {
        swept.skip("a due item", &error);
        if away {
            for key in self.rights.queue.drain(..).chain(self.others.queue.drain(..)) {
                self.known.remove(key.as_str());
            }
            self.away = Some(error);
        }
    }

    /// Everything that was taken on, to its end.
    pub(super) async fn finish(&mut self) -> Swept {
        let mut swept = Swept::default();
        while let Some(done) = self.next_done().await {
            swept.add(done);
        }
        swept
    }

    /// The error by which the store was found away since the last look.
    pub(super) fn was_away(&mut self) -> Result<(), StoreError> {
        self.away.take().map_or(Ok(()), Err)
    }
}

/// One item; what went wrong with the item itself is the last part of the outcome.
async fn take_up(context: Context, gdpr: Gdpr, key: Key) -> (String, Swept, Option<(StoreError, bool)>) {
    let (mut swept, now) = (Swept::default(), context.world().now());
    let taken = due::take_up(&context, &gdpr, &key, now, &mut swept).await;
    let Err(error) = taken else { return (key.as_str().to_owned(), swept, None) };
    let since = Time::from_minute(minute_of(key.as_str()));
    swept.lag = swept.lag.max(since.map_or(std::time::Duration::ZERO, |since| now.since(since)));
    let away = error.class() == ErrorClass::Transient && !answers(&context).await;
    (key.as_str().to_owned(), swept, Some((error, away)))
}
