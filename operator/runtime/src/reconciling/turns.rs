//! Whose turn it is to be worked on: a few places, and no tenant or namespace that holds them all.
//!
//! Flow: a reconcile asks for a turn with its namespace and its group (the tenant whose core it asks), and gives it back by
//! dropping it. A free place goes to the namespace that has the fewest turns, then to the one that had its last turn
//! longest ago. A group has one turn at a time. Where slowness is others' (a core that answers late), a turn that lasts
//! too long goes on beside the places, so that two slow tenants hold up nobody else; there are [`MOST_LATE`] of these.
//!
//! What can go wrong: more slow tenants than that. Then they hold places again, and the others' turns still come first.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

/// Turns that go on beside the places. Each may hold an answer of a core, of a mebibyte at most.
const MOST_LATE: usize = 16;

/// The places of one controller.
#[derive(Debug)]
pub struct Turns {
    places: usize,
    patience: Option<Duration>,
    stop: CancellationToken,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Turns that take a place.
    taken: usize,
    /// Turns that go on beside the places.
    late: usize,
    /// Groups that have a turn.
    groups: HashSet<String>,
    /// How many turns a namespace has, and the number of its last one.
    namespaces: HashMap<String, (usize, u64)>,
    turns: u64,
    waiting: Vec<Waiting>,
}

#[derive(Debug)]
struct Waiting {
    namespace: String,
    group: String,
    answer: oneshot::Sender<()>,
}

/// A turn, until it is dropped.
#[derive(Debug)]
pub struct Turn {
    turns: Arc<Turns>,
    namespace: String,
    group: String,
    late: bool,
}

impl Turns {
    /// That many places. A turn that lasts longer than `patience` goes on beside them. After `stop` nobody gets a turn.
    pub fn new(places: u16, patience: Option<Duration>, stop: CancellationToken) -> Arc<Self> {
        Arc::new(Self { places: places.max(1).into(), patience, stop, state: Mutex::default() })
    }

    /// Waits for a turn; none after the stop.
    pub async fn take(self: &Arc<Self>, namespace: &str, group: &str) -> Option<Turn> {
        let (answer, answered) = oneshot::channel();
        let waiting = Waiting { namespace: namespace.to_owned(), group: group.to_owned(), answer };
        {
            let mut state = self.lock();
            state.waiting.push(waiting);
            state.give(self.places);
        }
        tokio::select! {
            biased;
            () = self.stop.cancelled() => None,
            given = answered => given.ok().map(|()| Turn {
                turns: self.clone(), namespace: namespace.to_owned(), group: group.to_owned(), late: false,
            }),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Turn {
    /// Does the work, and gives the place to somebody else once it lasts too long.
    pub async fn work<T>(mut self, work: impl Future<Output = T>) -> T {
        tokio::pin!(work);
        if let Some(patience) = self.turns.patience {
            tokio::select! {
                done = &mut work => return done,
                () = tokio::time::sleep(patience) => self.go_on_beside(),
            }
        }
        work.await
    }

    fn go_on_beside(&mut self) {
        let mut state = self.turns.lock();
        if state.late < MOST_LATE {
            self.late = true;
            state.late += 1;
            state.taken = state.taken.saturating_sub(1);
            state.give(self.turns.places);
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let mut state = self.turns.lock();
        let kind = if self.late { &mut state.late } else { &mut state.taken };
        *kind = kind.saturating_sub(1);
        state.end(&self.namespace, &self.group);
        state.give(self.turns.places);
    }
}

impl State {
    /// Gives free places to those who wait.
    fn give(&mut self, places: usize) {
        self.waiting.retain(|waiting| !waiting.answer.is_closed());
        while self.taken < places {
            let Some(next) = self.next() else { return };
            let Waiting { namespace, group, answer } = self.waiting.remove(next);
            self.begin(&namespace, &group);
            if answer.send(()).is_err() {
                // Nobody waits any more.
                self.taken = self.taken.saturating_sub(1);
                self.end(&namespace, &group);
            }
        }
    }

    fn begin(&mut self, namespace: &str, group: &str) {
        self.taken += 1;
        self.turns += 1;
        self.groups.insert(group.to_owned());
        let (count, last) = self.namespaces.entry(namespace.to_owned()).or_default();
        (*count, *last) = (*count + 1, self.turns);
    }

    fn end(&mut self, namespace: &str, group: &str) {
        self.groups.remove(group);
        if let Some((count, _)) = self.namespaces.get_mut(namespace) {
            *count = count.saturating_sub(1);
        }
        // Of a namespace without turns and without anybody who waits nothing need be known.
        let awaited: HashSet<&str> = self.waiting.iter().map(|waiting| waiting.namespace.as_str()).collect();
        self.namespaces.retain(|name, (count, _)| *count > 0 || awaited.contains(name.as_str()));
    }

    /// The place in the queue of who is next, of those whose group has no turn.
    fn next(&self) -> Option<usize> {
        let free = |(_, waiting): &(usize, &Waiting)| !self.groups.contains(&waiting.group);
        let rank = |(place, waiting): &(usize, &Waiting)| {
            (self.namespaces.get(&waiting.namespace).copied().unwrap_or_default(), *place)
        };
        self.waiting.iter().enumerate().filter(free).min_by_key(rank).map(|(place, _)| place)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt;
    use std::future::pending;

    const PATIENCE: Duration = Duration::from_millis(20);
    const SOON: Duration = Duration::from_secs(30);

    fn turns(places: u16) -> Arc<Turns> {
        Turns::new(places, Some(PATIENCE), CancellationToken::new())
    }

    async fn hang(turns: &Arc<Turns>, group: &str) {
        let turn = turns.take(group, group).await.unwrap();
        tokio::spawn(turn.work(pending::<()>()));
    }

    #[tokio::test]
    async fn two_slow_tenants_hold_up_nobody_else() {
        let turns = turns(2);
        hang(&turns, "a").await;
        hang(&turns, "b").await;
        for tenant in ["c", "d", "e"] {
            let third = turns.take(tenant, tenant);
            let turn = tokio::time::timeout(SOON, third).await.unwrap().unwrap();
            drop(turn);
        }
        // The slow ones' own next request waits for the one before.
        assert!(tokio::time::timeout(PATIENCE * 10, turns.take("a", "a")).await.is_err());
    }

    #[tokio::test]
    async fn however_many_are_slow_only_so_many_work() {
        let turns = turns(2);
        for n in 0..MOST_LATE + 2 {
            hang(&turns, &format!("slow-{n}")).await;
        }
        assert!(tokio::time::timeout(PATIENCE * 10, turns.take("z", "z")).await.is_err());
        let state = turns.lock();
        assert_eq!((state.taken, state.late), (2, MOST_LATE));
    }

    #[tokio::test]
    async fn a_namespace_with_many_requests_lets_another_ones_first_pass() {
        let turns = turns(1);
        let first = turns.take("many", "many/0").await.unwrap();
        let mut many: Vec<_> = (1..100)
            .map(|n| {
                Box::pin({
                    let turns = turns.clone();
                    async move { turns.take("many", &format!("many/{n}")).await }
                })
            })
            .collect();
        many.iter_mut().for_each(|waiting| assert!(waiting.as_mut().now_or_never().is_none()));
        let mut other = Box::pin(turns.take("other", "other/0"));
        assert!(other.as_mut().now_or_never().is_none());
        drop(first);
        let other = other.now_or_never().expect("it is its turn").unwrap();
        assert!(many.iter_mut().all(|waiting| waiting.as_mut().now_or_never().is_none()));
        drop(other);
        assert!(many[0].as_mut().now_or_never().is_some());
    }

    #[tokio::test]
    async fn nobody_who_has_gone_holds_a_place() {
        let turns = turns(1);
        let first = turns.take("a", "a").await.unwrap();
        let mut gone = Box::pin(turns.take("b", "b"));
        assert!(gone.as_mut().now_or_never().is_none());
        drop(gone);
        drop(first);
        assert!(turns.take("c", "c").now_or_never().is_some());
        let state = turns.lock();
        assert!(state.namespaces.is_empty() && state.groups.is_empty() && state.taken == 0);
    }

    #[tokio::test]
    async fn after_the_stop_there_are_no_turns() {
        let stop = CancellationToken::new();
        let turns = Turns::new(1, None, stop.clone());
        let _held = turns.take("a", "a").await;
        let waiting = turns.take("b", "b");
        stop.cancel();
        assert!(waiting.await.is_none() && turns.take("c", "c").await.is_none());
    }
}
