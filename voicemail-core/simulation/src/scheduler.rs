//! One step at a time: each lets one store call of one operation happen, or not.
//!
//! An operation may wait for several calls at once, where it makes them side by side. A random schedule draws which of
//! them comes next, so that every order that the operation allows is played; a directed one takes them in the order in
//! which the operation began them.

use super::waiting::{OWNER, Place, WAITING, Waiting};
use super::world::{Dice, SimWorld};
use futures::future::LocalBoxFuture;
use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

/// The fate of a store call.
#[derive(Clone, Copy, Debug)]
pub(super) enum Fate {
    Apply,
    /// Never reaches the store; the caller can't tell.
    Drop,
    /// Reaches the store later; the caller can't tell.
    HoldUp,
    /// Applied; the caller sees an unclear error, or the conflict that an automatic retry makes of it.
    LoseReply {
        as_conflict: bool,
    },
}

thread_local! {
    /// The call that may be made, and its fate.
    static LEAVE: Cell<Option<(u64, Fate)>> = const { Cell::new(None) };
}

/// Waits for the scheduler's leave to make one store call.
pub(super) fn leave() -> impl Future<Output = Fate> + Send {
    let mut place: Option<Place> = None;
    poll_fn(move |context| {
        let place_taken = place.get_or_insert_with(|| Place::take(false, context.waker()));
        match LEAVE.get() {
            Some((whose, fate)) if whose == place_taken.0 => {
                LEAVE.set(None);
                place = None;
                Poll::Ready(fate)
            }
            _ => {
                place_taken.remember(context.waker());
                Poll::Pending
            }
        }
    })
}

/// Polls an operation, with leave for the call that is drawn among those that it waits for, if there is a fate. Says
/// whether it made that call.
fn poll_one<T>(
    future: &mut LocalBoxFuture<'static, T>,
    fate: Option<Fate>,
    draw: impl Fn(usize) -> usize,
) -> (bool, Poll<T>) {
    let owner = std::ptr::from_ref(&**future).cast::<()>().addr();
    OWNER.set(owner);
    wake_sleepers(owner);
    let mut polled = Poll::Pending;
    let mut given = false;
    // An operation that has waited for no call yet says with the first poll which ones it wants to make.
    while !given && polled.is_pending() {
        let calls = calls_of(owner);
        let drawn = calls.get(if calls.is_empty() { 0 } else { draw(calls.len()) % calls.len() });
        let leave = fate.and_then(|fate| drawn.map(|(number, waker)| (*number, waker, fate)));
        LEAVE.set(leave.map(|(number, waker, fate)| {
            waker.wake_by_ref();
            (number, fate)
        }));
        given = leave.is_some();
        polled = future.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        if fate.is_none() || calls_of(owner).is_empty() {
            break;
        }
    }
    let left = LEAVE.take().is_some();
    (given && !left, polled)
}

fn calls_of(owner: usize) -> Vec<(u64, Waker)> {
    let call = |waiting: &&Waiting| waiting.owner == owner && !waiting.sleeps;
    let show = |waiting: &Waiting| (waiting.number, waiting.waker.clone());
    WAITING.with_borrow(|all| all.iter().filter(call).map(show).collect())
}

fn wake_sleepers(owner: usize) {
    let sleeps = |waiting: &&Waiting| waiting.owner == owner && waiting.sleeps;
    let wakers: Vec<Waker> =
        WAITING.with_borrow(|all| all.iter().filter(sleeps).map(|waiting| waiting.waker.clone()).collect());
    wakers.into_iter().for_each(Waker::wake);
}

/// An operation under way.
pub(super) struct Task {
    pub(super) name: String,
    future: LocalBoxFuture<'static, ()>,
    frozen_until: i64,
}

/// How cruel a schedule is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cruelty {
    pub(super) kill: f64,
    pub(super) freeze: f64,
    pub(super) lose: f64,
    pub(super) drop: f64,
    pub(super) hold_up: f64,
}

pub(super) const CRUEL: Cruelty =
    Cruelty { kill: 0.008, freeze: 0.004, lose: 0.05, drop: 0.03, hold_up: 0.02 };
pub(super) const KIND: Cruelty = Cruelty { kill: 0.0, freeze: 0.0, lose: 0.0, drop: 0.0, hold_up: 0.0 };

pub(super) struct Scheduler {
    pub(super) world: SimWorld,
    pub(super) tasks: Vec<Task>,
    pub(super) cruelty: Cruelty,
}

impl Scheduler {
    pub(super) fn new(world: SimWorld) -> Self {
        Self { world, tasks: Vec::new(), cruelty: KIND }
    }

    pub(super) fn spawn(&mut self, name: impl Into<String>, future: impl Future<Output = ()> + 'static) {
        self.tasks.push(Task { name: name.into(), future: Box::pin(future), frozen_until: i64::MIN });
    }

    fn fate(&self, dice: &mut Dice) -> Fate {
        let Cruelty { drop, lose, hold_up, .. } = self.cruelty;
        match dice.unit() {
            x if x < drop => Fate::Drop,
            x if x < drop + lose => Fate::LoseReply { as_conflict: dice.chance(0.5) },
            x if x < drop + lose + hold_up => Fate::HoldUp,
            _ => Fate::Apply,
        }
    }

    /// One step of a random operation. False when none could take one.
    pub(super) fn step(&mut self) -> bool {
        let now = self.world.true_ms();
        let awake: Vec<usize> =
            (0..self.tasks.len()).filter(|task| self.tasks[*task].frozen_until <= now).collect();
        if awake.is_empty() {
            return false;
        }
        let cruelty = self.cruelty;
        let (chosen, fate, freeze, die, drawn) = {
            let mut shared = self.world.shared.lock().unwrap();
            let dice = &mut shared.dice;
            let chosen = awake[dice.below(awake.len())];
            let freeze = dice.chance(cruelty.freeze).then(|| dice.pick(&[20, 120, 2_000, 5 * 3_600]));
            let die = dice.chance(cruelty.kill).then(|| dice.chance(0.5));
            (chosen, self.fate(dice), freeze, die, dice.below(1 << 16))
        };
        if let Some(seconds) = freeze {
            self.tasks[chosen].frozen_until = now + seconds * 1_000;
            return true;
        }
        if die == Some(true) {
            self.tasks.swap_remove(chosen);
            return true;
        }
        let (_, polled) = poll_one(&mut self.tasks[chosen].future, Some(fate), |_| drawn);
        if polled.is_ready() || die.is_some() {
            self.tasks.swap_remove(chosen);
        }
        true
    }

    /// Runs everything to its end; the clock moves 20 ms a step, and jumps when all are frozen.
    pub(super) fn finish_all(&mut self, limit: usize) {
        for _ in 0..limit {
            if self.tasks.is_empty() {
                return;
            }
            let stepped = self.step();
            self.world.advance(Duration::from_millis(if stepped { 20 } else { 60_000 }));
        }
        let names: Vec<&str> = self.tasks.iter().map(|task| task.name.as_str()).collect();
        panic!("does not end: {names:?}");
    }
}

/// Lets a future make `calls` store calls, kindly, and gives back its answer if it ended by then. Of calls side by side the one
/// that `draw` chooses among so many is made first.
pub(super) fn advance<T>(
    world: &SimWorld,
    future: &mut LocalBoxFuture<'static, T>,
    calls: usize,
    draw: fn(usize) -> usize,
) -> Option<T> {
    let (mut made, mut idle) = (0, 0);
    loop {
        let (used, polled) = poll_one(future, (made < calls).then_some(Fate::Apply), draw);
        if let Poll::Ready(answer) = polled {
            return Some(answer);
        }
        if made >= calls && !used {
            return None;
        }
        made += usize::from(used);
        idle = if used { 0 } else { idle + 1 };
        assert!(idle < 100_000, "a future waits for something that never comes");
        world.advance(Duration::from_millis(5));
    }
}

/// Runs a future to its end, with a fate for each of its calls by their number; says how many it made. Of calls side by
/// side the one that was begun last is made first.
pub(super) fn complete_by<T>(
    world: &SimWorld,
    future: impl Future<Output = T> + 'static,
    fate: impl Fn(usize) -> Fate,
) -> (usize, T) {
    let mut future: LocalBoxFuture<'static, T> = Box::pin(future);
    let (mut made, mut idle) = (0, 0);
    loop {
        let (used, polled) = poll_one(&mut future, Some(fate(made)), newest);
        made += usize::from(used);
        if let Poll::Ready(answer) = polled {
            return (made, answer);
        }
        idle = if used { 0 } else { idle + 1 };
        assert!(idle < 100_000, "a future waits for something that never comes");
        world.advance(Duration::from_millis(5));
    }
}

/// The call that was begun first.
pub(super) fn oldest(_: usize) -> usize {
    0
}

/// The call that was begun last.
pub(super) fn newest(calls: usize) -> usize {
    calls - 1
}

/// Runs a future to its end, kindly.
pub(super) fn complete<T>(world: &SimWorld, future: impl Future<Output = T> + 'static) -> T {
    let mut future: LocalBoxFuture<'static, T> = Box::pin(future);
    advance(world, &mut future, usize::MAX, oldest).expect("ends")
}
