//! One step at a time: each lets one store call of one operation happen, or not.

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
    /// Applied; the caller sees an unclear error, or the conflict that an automatic retry makes of it.
    LoseReply {
        as_conflict: bool,
    },
}

thread_local! {
    static LEAVE: Cell<Option<Fate>> = const { Cell::new(None) };
}

/// Waits for the scheduler's leave to make one store call.
pub(super) fn leave() -> impl Future<Output = Fate> + Send {
    poll_fn(|_| LEAVE.take().map_or(Poll::Pending, Poll::Ready))
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
}

pub(super) const CRUEL: Cruelty = Cruelty { kill: 0.008, freeze: 0.004, lose: 0.05, drop: 0.03 };
pub(super) const KIND: Cruelty = Cruelty { kill: 0.0, freeze: 0.0, lose: 0.0, drop: 0.0 };

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
        match dice.unit() {
            x if x < self.cruelty.drop => Fate::Drop,
            x if x < self.cruelty.drop + self.cruelty.lose => {
                Fate::LoseReply { as_conflict: dice.chance(0.5) }
            }
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
        let (chosen, fate, freeze, die) = {
            let mut shared = self.world.shared.lock().unwrap();
            let dice = &mut shared.dice;
            let chosen = awake[dice.below(awake.len())];
            let freeze = dice.chance(cruelty.freeze).then(|| dice.pick(&[20, 120, 2_000, 5 * 3_600]));
            let die = dice.chance(cruelty.kill).then(|| dice.chance(0.5));
            (chosen, self.fate(dice), freeze, die)
        };
        if let Some(seconds) = freeze {
            self.tasks[chosen].frozen_until = now + seconds * 1_000;
            return true;
        }
        if die == Some(true) {
            self.tasks.swap_remove(chosen);
            return true;
        }
        if poll(&mut self.tasks[chosen], Some(fate)) || die.is_some() {
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

/// Lets a task make at most one store call. True when it has ended.
fn poll(task: &mut Task, fate: Option<Fate>) -> bool {
    LEAVE.set(fate);
    let ready = task.future.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready();
    LEAVE.set(None);
    ready
}

/// Lets a future make `calls` store calls, kindly, and gives back its answer if it ended by then.
pub(super) fn advance<T>(
    world: &SimWorld,
    future: &mut LocalBoxFuture<'static, T>,
    calls: usize,
) -> Option<T> {
    let (mut made, mut idle) = (0, 0);
    loop {
        LEAVE.set((made < calls).then_some(Fate::Apply));
        let polled = future.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        let used = LEAVE.take().is_none() && made < calls;
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

/// Runs a future to its end, kindly.
pub(super) fn complete<T>(world: &SimWorld, future: impl Future<Output = T> + 'static) -> T {
    let mut future: LocalBoxFuture<'static, T> = Box::pin(future);
    advance(world, &mut future, usize::MAX).expect("ends")
}
