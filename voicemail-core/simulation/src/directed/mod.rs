//! Directed schedules: the cases that random schedules find rarely or never, each under its own name.
//!
//! A case stops an operation after every possible number of store calls ("dies anywhere"), or holds it there
//! while something else runs to its end ("frozen"), then lets sweepers bring all to rest. Where a case is
//! there to catch a mistake in the order of steps, it must hold as the code is and fail with the mistake.
//!
//! Each is played twice: with depositors of the master region, and with depositors of the other one.

mod deletions;
mod deposits;
mod documents;
mod forgets;
mod forwards;
mod greetings;
mod hedges;
mod people;
mod purges;
mod rights;

use super::check::{self, Ledger};
use super::scheduler::{advance, complete, newest, oldest};
use super::tenant::{CALLERS, Replica, Tenant, body, mailbox};
use futures::FutureExt;
use futures::future::LocalBoxFuture;
use std::cell::Cell;
use std::future::Future;
use std::time::Duration;
use voicemail_api::gdpr::RunState;
use voicemail_engine::gdpr::GdprError;
use voicemail_engine::mailbox::MailboxError;
use voicemail_model::clock::Surroundings;
use voicemail_model::fault_injection::{self, Broken};
use voicemail_model::{MessageId, Time};

const A: &str = CALLERS[0];
const B: &str = CALLERS[1];
const BOX: &str = "1001";
const OTHER_BOX: &str = "1002";
const HOUR: u64 = 3_600;
const DAY: u64 = 86_400;
/// More calls than any operation makes.
const EVERY_STEP: usize = 240;

/// The master first.
const REGIONS: [&str; 2] = ["r", "s"];

thread_local! {
    /// Where depositors are; none: each region's turn comes.
    static DEPOSITORS: Cell<Option<&'static str>> = const { Cell::new(None) };
}

type Outcome = Result<(), String>;
type Depositing = LocalBoxFuture<'static, Result<(), MailboxError>>;

/// A tenant, and what its clients were promised.
struct Case {
    tenant: Tenant,
    replica: Replica,
    ledger: Ledger,
}

impl Case {
    fn new() -> Self {
        let tenant = Tenant::new(1);
        Self { replica: tenant.replica(0), ledger: Ledger::default(), tenant }
    }

    fn id(&self) -> MessageId {
        let mut random = [0; 10];
        self.tenant.world.fill_random(&mut random);
        MessageId::new(self.now(), &random)
    }

    fn now(&self) -> Time {
        Time(self.tenant.world.true_ms())
    }

    fn run<T>(&self, future: impl Future<Output = T> + 'static) -> T {
        complete(&self.tenant.world, future)
    }

    /// Lets an operation make that many store calls.
    fn advance<T>(&self, future: &mut LocalBoxFuture<'static, T>, calls: usize) -> Option<T> {
        advance(&self.tenant.world, future, calls, oldest)
    }

    /// The same, where of calls side by side the one that was begun last comes first.
    fn advance_newest_first<T>(&self, future: &mut LocalBoxFuture<'static, T>, calls: usize) -> Option<T> {
        advance(&self.tenant.world, future, calls, newest)
    }

    /// Lets an operation run to its end, which it reached already if there is an answer.
    fn finish<T>(&self, answer: Option<T>, future: &mut LocalBoxFuture<'static, T>) -> T {
        answer.unwrap_or_else(|| self.advance(future, usize::MAX).expect("ends"))
    }

    fn pass_time(&self, seconds: u64) {
        self.tenant.world.advance(Duration::from_secs(seconds));
    }

    fn deposit_to(&mut self, name: &'static str, caller: &'static str) -> MessageId {
        let (id, replica) = (self.id(), self.depositor());
        self.run(async move { replica.deposit(name, caller, id, 1).await }).expect("deposited");
        self.promise(id, name, caller);
        id
    }

    fn deposit(&mut self, caller: &'static str) -> MessageId {
        self.deposit_to(BOX, caller)
    }

    fn promise(&mut self, id: MessageId, name: &str, caller: &str) {
        self.ledger.acknowledged.insert(id, (name.into(), caller.into(), self.now()));
    }

    /// A promise of a message that was received before anything else of the case.
    fn promise_early(&mut self, id: MessageId) {
        self.ledger.acknowledged.insert(id, (BOX.into(), A.into(), Time(0)));
    }

    fn depositor(&self) -> Replica {
        self.tenant.replica_in(DEPOSITORS.get().unwrap_or(REGIONS[0]), 0)
    }

    fn depositing(&self, id: MessageId, caller: &'static str) -> Depositing {
        let replica = self.depositor();
        async move { replica.deposit(BOX, caller, id, 1).await }.boxed_local()
    }

    /// An owner deletes a message for good.
    fn deleting(&mut self, id: MessageId) -> LocalBoxFuture<'static, bool> {
        self.ledger.deletions.insert(id);
        let replica = self.tenant.replica(0);
        async move { replica.mailboxes.trash(&mailbox(BOX), id).await.is_ok() }.boxed_local()
    }

    fn close(&mut self) {
        self.ledger.closings.insert(BOX.into());
        let replica = self.replica.clone();
        self.run(async move { replica.directory.delete_mailbox(&mailbox(BOX)).await.unwrap() });
    }

    fn forgetting(
        &mut self,
        case: &'static str,
        caller: &'static str,
        window: u64,
    ) -> LocalBoxFuture<'static, RunState> {
        self.ledger.cases.insert(case.into(), (caller.into(), false));
        let replica = self.tenant.replica(0);
        async move { replica.gdpr.forget(body(case, Some(caller), window)).await.expect("accepted").run.state }
            .boxed_local()
    }

    fn forget(&mut self, case: &'static str, caller: &'static str, window: u64) {
        let forgetting = self.forgetting(case, caller, window);
        assert_eq!(self.run(forgetting), RunState::Marked);
        self.ledger.cases.insert(case.into(), (caller.into(), true));
    }

    /// Forgotten without a window, and erased.
    fn purge(&mut self, case: &'static str, caller: &'static str) {
        self.forget(case, caller, 0);
        self.sweep_after(1);
        self.sweep_after(40);
    }

    fn undo(&self, case: &'static str) -> Result<RunState, GdprError> {
        let replica = self.tenant.replica(0);
        self.run(async move { replica.gdpr.undo(body(case, None, 0)).await.map(|answer| answer.run.state) })
    }

    fn expect_undo(&self, case: &'static str) -> Outcome {
        expect(self.undo(case) == Ok(RunState::Undone), "the undo was refused")
    }

    fn sweeping(&self) -> LocalBoxFuture<'static, ()> {
        let replica = self.tenant.replica(0);
        async move { replica.sweep().await }.boxed_local()
    }

    fn sweep_after(&self, seconds: u64) {
        self.pass_time(seconds);
        self.run(self.sweeping());
    }

    /// Sixty days of sweeping, then every invariant.
    fn rest(&self) -> Outcome {
        for round in 0..40 {
            self.sweep_after(if round < 24 { 6 * HOUR } else { 4 * DAY });
            check::visible(&self.tenant, &self.ledger)?;
        }
        check::quiet(&self.tenant, &self.ledger)
    }

    fn check_visible(&self) -> Outcome {
        check::visible(&self.tenant, &self.ledger)
    }

    fn listed(&self) -> usize {
        self.tenant.index(BOX).listed()
    }

    fn traces(&self, caller: &str) -> Vec<String> {
        check::traces(&self.tenant, caller)
    }

    fn expect_no_traces(&self, caller: &str) -> Outcome {
        let traces = self.traces(caller);
        expect(traces.is_empty(), &format!("traces are left: {traces:?}"))
    }

    fn has(&self, caller: &str, prefix: &str) -> bool {
        self.traces(caller).iter().any(|key| key.starts_with(prefix))
    }

    /// Lets a deposit go on until it has written a key below the prefix.
    fn advance_until(&self, depositing: &mut Depositing, caller: &str, prefix: &str) {
        for _ in 0..EVERY_STEP {
            if self.has(caller, prefix) {
                return;
            }
            self.advance(depositing, 1);
        }
        panic!("never wrote below {prefix}");
    }
}

fn expect(ok: bool, what: &str) -> Outcome {
    if ok { Ok(()) } else { Err(what.into()) }
}

/// Plays a case with an operation stopped after 0, 1, 2, … calls, until the operation ends by itself.
/// The case says whether it did. In each region, unless one is chosen.
fn at_every_step(play: impl Fn(&mut Case, usize) -> Result<bool, String>) -> Outcome {
    if DEPOSITORS.get().is_some() {
        return at_every_step_there(&play);
    }
    let outcome = REGIONS.into_iter().try_for_each(|region| {
        DEPOSITORS.set(Some(region));
        at_every_step_there(&play).map_err(|violation| format!("deposits in {region}, {violation}"))
    });
    DEPOSITORS.set(None);
    outcome
}

/// For a case in which it matters who deposits where.
fn at_every_step_in(
    region: &'static str,
    play: impl Fn(&mut Case, usize) -> Result<bool, String>,
) -> Outcome {
    DEPOSITORS.set(Some(region));
    let outcome = at_every_step_there(&play);
    DEPOSITORS.set(None);
    outcome
}

fn at_every_step_there(play: &impl Fn(&mut Case, usize) -> Result<bool, String>) -> Outcome {
    for calls in 0..EVERY_STEP {
        match play(&mut Case::new(), calls) {
            Ok(false) => {}
            Ok(true) => return Ok(()),
            Err(violation) => return Err(format!("after {calls} calls: {violation}")),
        }
    }
    Err(format!("an operation makes more than {EVERY_STEP} calls"))
}

/// A case that must hold as the code is, and must not once the mistake is made, wherever the depositors are.
fn catches(mistake: Broken, play: fn() -> Outcome) {
    for region in REGIONS {
        DEPOSITORS.set(Some(region));
        assert_eq!(play(), Ok(()), "without the mistake, deposits in {region}");
        fault_injection::switch(Some(mistake));
        let caught = std::panic::catch_unwind(play);
        fault_injection::switch(None);
        assert!(!matches!(caught, Ok(Ok(()))), "{mistake:?} went unnoticed, deposits in {region}");
    }
    DEPOSITORS.set(None);
}
