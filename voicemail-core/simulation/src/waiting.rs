//! What waits for the scheduler: store calls and sleeps of all operations, in the order in which they began.

use std::cell::{Cell, RefCell};
use std::task::Waker;

thread_local! {
    /// The operation that is polled.
    pub(super) static OWNER: Cell<usize> = const { Cell::new(0) };
    /// Calls and sleeps of all operations, in the order in which they began to wait.
    pub(super) static WAITING: RefCell<Vec<Waiting>> = const { RefCell::new(Vec::new()) };
    /// Numbers of those that wait are never given twice on a thread.
    static LAST: Cell<u64> = const { Cell::new(0) };
}

/// A call or a sleep of an operation that waits for the scheduler.
pub(super) struct Waiting {
    pub(super) owner: usize,
    pub(super) number: u64,
    pub(super) sleeps: bool,
    pub(super) waker: Waker,
}

/// A place among those that wait; given up when what waits is dropped.
pub(super) struct Place(pub(super) u64);

impl Place {
    /// A new place, of a sleep or of a store call of the operation that is polled.
    pub(super) fn take(sleeps: bool, waker: &Waker) -> Self {
        let number = LAST.get() + 1;
        LAST.set(number);
        let waiting = Waiting { owner: OWNER.get(), number, sleeps, waker: waker.clone() };
        WAITING.with_borrow_mut(|all| all.push(waiting));
        Self(number)
    }

    /// What waits may have moved into another part of its operation: it is woken there.
    pub(super) fn remember(&self, waker: &Waker) {
        WAITING.with_borrow_mut(|all| {
            if let Some(mine) = all.iter_mut().find(|waiting| waiting.number == self.0) {
                mine.waker.clone_from(waker);
            }
        });
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // At the end of the thread the list may be gone before those who stand in it.
        let _ = WAITING.try_with(|all| all.borrow_mut().retain(|waiting| waiting.number != self.0));
    }
}
