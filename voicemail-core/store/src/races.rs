//! The races of the start-up probe: many writers at once, over many rounds, and a count that must come out right.
//!
//! Some servers look at a condition first and write afterwards. One race shows that seldom, and a race of creators
//! never shows how they replace; two replicas on such a server lose messages and undo deletions. So creators of one
//! name race, replacers of one revision race, and writers count together by compare-and-swap; after each race the store
//! must hold what its one winner wrote.
//!
//! What can go wrong: a server that answers an error in a race: that is unclear and no win, and the round proves
//! nothing. A slow server: rounds stop when their time is over, after some at least.

use super::{ErrorClass, Key, Revision, Store, StoreError};
use bytes::Bytes;
use futures::future::join_all;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use voicemail_model::clock::World;

/// Writers at a time; many, so that some meet between a server's look and its write.
const RACERS: usize = 16;
/// Writers that count.
const COUNTERS: usize = 8;
/// Rounds that are run however slow the store is.
const LEAST_ROUNDS: usize = 8;
/// Bytes of each write: what takes longer to receive leaves more between look and write.
const PADDING: usize = 16 * 1024;

/// How much is raced, so that the probe of a store stays within its requests and seconds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Effort {
    rounds: usize,
    count: u64,
    /// For each of the three races.
    time: Duration,
}

impl Effort {
    /// Less where the operating system decides races, so that every write that loses is only synced in vain.
    pub(super) fn of(store: &dyn Store) -> Self {
        let time = Duration::from_millis(2_500);
        if store.is_metered() {
            Self { rounds: 24, count: 40, time }
        } else {
            Self { rounds: 3, count: 8, time }
        }
    }
}

/// Races over throw-away names.
pub(super) struct Races<'a> {
    store: &'a dyn Store,
    world: &'a World,
    effort: Effort,
}

impl<'a> Races<'a> {
    pub(super) fn new(store: &'a dyn Store, world: &'a World) -> Self {
        Self { store, world, effort: Effort::of(store) }
    }

    fn name(&self) -> Key {
        Key::probe(self.world.now(), &self.world.random_hex())
    }

    fn goes_on(&self, round: usize, start: Duration) -> bool {
        let spent = self.world.monotonic().saturating_sub(start);
        round < self.effort.rounds && (round < LEAST_ROUNDS || spent < self.effort.time)
    }

    /// Of those who create one name at once, one wins, and its object stays.
    pub(super) async fn creators(&self) -> Result<(), String> {
        let (start, mut round, mut keys) = (self.world.monotonic(), 0, Vec::new());
        let mut seen = Ok(());
        while seen.is_ok() && self.goes_on(round, start) {
            let key = self.name();
            seen = self.race_to_create(&key, round).await;
            keys.push(key);
            round += 1;
        }
        let removed = join_all(keys.iter().map(|key| self.store.delete(key))).await;
        seen?;
        removed.into_iter().find_map(Result::err).map_or(Ok(()), |error| Err(error.to_string()))
    }

    async fn race_to_create(&self, key: &Key, round: usize) -> Result<(), String> {
        let bodies: Vec<Bytes> = (0..RACERS).map(|racer| body(round, racer, 0)).collect();
        let outcomes = join_all(bodies.iter().map(|body| self.store.create(key, body.clone()))).await;
        let winners = winners(&outcomes);
        let [winner] = winners.as_slice() else { return judge(&winners, "creators of one name") };
        let found = self.store.get(key).await.map_err(|error| error.to_string())?;
        require_winner(found.as_ref() == bodies.get(*winner), "created")
    }

    /// Of those who replace one revision at once, one wins, and what it wrote stays.
    pub(super) async fn replacers(&self) -> Result<(), String> {
        let key = self.name();
        let seen = self.race_replacers(&key).await;
        let removed = self.store.delete(&key).await.map_err(|error| error.to_string());
        seen.and(removed)
    }

    async fn race_replacers(&self, key: &Key) -> Result<(), String> {
        let (start, mut round) = (self.world.monotonic(), 0);
        let begun = self.store.replace(key, None, body(round, 0, 1)).await;
        let mut basis = begun.map_err(|error| error.to_string())?;
        while self.goes_on(round, start) {
            round += 1;
            let bodies: Vec<Bytes> = (0..RACERS).map(|racer| body(round, racer, 1)).collect();
            let replacing = bodies.iter().map(|body| self.store.replace(key, Some(&basis), body.clone()));
            let outcomes = join_all(replacing).await;
            let found = self.store.load(key).await.map_err(|error| error.to_string())?;
            let found = found.ok_or_else(|| "a document is gone after it was replaced".to_owned())?;
            let winners = winners(&outcomes);
            match winners.as_slice() {
                [winner] => require_winner(bodies.get(*winner) == Some(&found.bytes), "replaced")?,
                _ => judge(&winners, "replacers of one revision")?,
            }
            basis = found.revision;
        }
        Ok(())
    }

    /// Writers who count together: no increment that was acknowledged is lost.
    pub(super) async fn counters(&self) -> Result<(), String> {
        let key = self.name();
        let seen = self.count_together(&key).await;
        let removed = self.store.delete(&key).await.map_err(|error| error.to_string());
        seen.and(removed)
    }

    async fn count_together(&self, key: &Key) -> Result<(), String> {
        let begun = self.store.replace(key, None, count(0, 0, 0)).await;
        begun.map_err(|error| error.to_string())?;
        let tally = Tally { start: self.world.monotonic(), ..Tally::default() };
        let counting = join_all((0..COUNTERS).map(|counter| self.count(key, counter, &tally))).await;
        counting.into_iter().collect::<Result<(), StoreError>>().map_err(|error| error.to_string())?;
        let found = self.store.load(key).await.map_err(|error| error.to_string())?;
        let counted = found.and_then(|found| read_count(&found.bytes)).unwrap_or_default();
        let acknowledged = tally.acknowledged.load(Ordering::Relaxed);
        let most = acknowledged + tally.unclear.load(Ordering::Relaxed);
        if (acknowledged..=most).contains(&counted) {
            return Ok(());
        }
        Err(format!(
            "{acknowledged} increments by compare-and-swap were acknowledged, and {counted} counted: the store looks at \
             If-Match first and writes afterwards, and two replicas would lose messages; use another"
        ))
    }

    async fn count(&self, key: &Key, counter: usize, tally: &Tally) -> Result<(), StoreError> {
        let tries = usize::try_from(self.effort.count).unwrap_or(usize::MAX);
        for attempt in 0..tries {
            let spent = self.world.monotonic().saturating_sub(tally.start);
            if tally.acknowledged.load(Ordering::Relaxed) >= self.effort.count || spent > self.effort.time {
                return Ok(());
            }
            let Some(found) = self.store.load(key).await? else { continue };
            let next = read_count(&found.bytes).unwrap_or_default() + 1;
            match self.store.replace(key, Some(&found.revision), count(next, counter, attempt)).await {
                Ok(Revision(_)) => tally.acknowledged.fetch_add(1, Ordering::Relaxed),
                Err(StoreError::Conflict) => 0,
                Err(error) if error.class() == ErrorClass::Transient => {
                    tally.unclear.fetch_add(1, Ordering::Relaxed)
                }
                Err(error) => return Err(error),
            };
        }
        Ok(())
    }
}

#[derive(Default)]
struct Tally {
    start: Duration,
    acknowledged: AtomicU64,
    unclear: AtomicU64,
}

/// The racers that were told that they have won. An error is no win: whether it was applied isn't known.
fn winners<T>(outcomes: &[Result<T, StoreError>]) -> Vec<usize> {
    outcomes.iter().enumerate().filter(|(_, outcome)| outcome.is_ok()).map(|(racer, _)| racer).collect()
}

fn judge(winners: &[usize], who: &str) -> Result<(), String> {
    match winners.len() {
        0 | 1 => Ok(()),
        n => Err(format!(
            "{n} of {RACERS} {who} won: the store looks at a condition first and writes afterwards, and two replicas \
             would lose messages; use another"
        )),
    }
}

fn require_winner(holds: bool, what: &str) -> Result<(), String> {
    if holds {
        return Ok(());
    }
    Err(format!(
        "what was {what} by the only winner of a race isn't what is stored: the store looks at a condition first and \
         writes afterwards, or what is read is old; use another"
    ))
}

/// A body that no other racer of any round writes, so that ETags made from content differ.
fn body(round: usize, racer: usize, race: usize) -> Bytes {
    pad(format!("race {race} round {round} racer {racer}\n"))
}

fn count(number: u64, counter: usize, attempt: usize) -> Bytes {
    pad(format!("{number} by {counter} attempt {attempt}\n"))
}

fn pad(mut text: String) -> Bytes {
    text.extend(std::iter::repeat_n('.', PADDING));
    text.into()
}

fn read_count(bytes: &[u8]) -> Option<u64> {
    std::str::from_utf8(bytes).ok()?.split(' ').next()?.parse().ok()
}
