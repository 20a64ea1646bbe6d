//! The loop that delivers: waits, takes its turn, sends what differs, gives the turn back.
//!
//! Idle it asks the store for nothing but, now and then, whether a replica that stopped left something. A failing
//! receiver is tried again with growing pauses; meanwhile changes of one mailbox are coalesced.

use super::client::{Delivery, DeliveryError, LIMIT, Sender};
use super::receiver::{Receiver, digest};
use super::record::{self, CLAIM, Last, Ledger};
use crate::context::Context;
use crate::mwi::hub::Hub;
use futures::stream::FuturesUnordered;
use futures::{FutureExt, StreamExt, TryStreamExt, stream};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use voicemail_api::config::WebhookConfig;
use voicemail_model::{MailboxId, Mwi, Time};
use voicemail_store::Family;
use voicemail_store::{StoreError, parse_index};

/// Mailboxes that are sent together; no two requests for one of them are under way at once.
const BATCH: usize = 64;
const AT_ONCE: usize = 8;
/// Failures in a row that end a turn.
const MOST_FAILURES: usize = 3;
/// A turn ends early enough that its last request can't outlive the claim, clocks five seconds apart included.
const TURN: Duration = CLAIM.saturating_sub(LIMIT).saturating_sub(Duration::from_secs(10));
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(300);
/// How soon a replica asks again while another has the turn.
const NOT_OUR_TURN: Duration = Duration::from_secs(1);
/// How often the configuration is looked at.
const LOOK: Duration = Duration::from_secs(5);
/// How often what others left is looked for, where that is free and where it costs money.
const FREE: Duration = Duration::from_secs(30);
const METERED: Duration = Duration::from_secs(600);
/// How often all mailboxes are compared where that is free. Elsewhere only at start.
const COMPARE_ALL: Duration = Duration::from_secs(900);

/// Why a turn ended early.
#[derive(Debug, thiserror::Error)]
enum CourierError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Delivery(#[from] DeliveryError),
}

/// How a turn ended.
#[derive(Debug, PartialEq, Eq)]
enum Ended {
    Done,
    /// Another replica has it.
    NotOurs,
    /// There is more.
    OutOfTime,
}

/// Delivers to each receiver that is configured, until the future is dropped.
pub(in crate::mwi) async fn run(hub: &Hub, context: &Context) {
    let mut couriers = FuturesUnordered::new();
    loop {
        for config in context.config().mwi.webhooks.clone() {
            // One that ended may still be at its last request: another one begins after it.
            if !hub.receivers().contains_key(&digest(context, &config)) {
                couriers.push(serve(hub, context, config));
            }
        }
        tokio::select! {
            Some(()) = couriers.next(), if !couriers.is_empty() => {}
            () = context.world().sleep(LOOK) => {}
        }
    }
}

/// Delivers to a receiver while it is configured as it is.
async fn serve(hub: &Hub, context: &Context, config: WebhookConfig) {
    let receiver = Arc::new(Receiver::new(context, &config));
    receiver.deliveries().open();
    hub.receivers().insert(receiver.digest().to_owned(), Arc::clone(&receiver));
    let holder = context.world().random_hex();
    Courier { hub, context, config, receiver: &receiver, holder, failures: 0 }.work().await;
    hub.receivers().remove(receiver.digest());
}

/// Leaves waiting mailboxes to the other replicas or to the next start, and gives back a turn that is cut short.
///
/// # Errors
/// The store's; then only a start or a change sends it.
pub(in crate::mwi) async fn flush(hub: &Hub, context: &Context) -> Result<(), StoreError> {
    let receivers: Vec<Arc<Receiver>> = hub.receivers().values().cloned().collect();
    let mut failed = Ok(());
    for receiver in receivers {
        failed = failed.and(leave(&receiver, context).await);
    }
    failed
}

async fn leave(receiver: &Receiver, context: &Context) -> Result<(), StoreError> {
    let (waiting, holder) = (receiver.deliveries().take(usize::MAX), receiver.turn().take());
    if waiting.is_empty() && holder.is_none() {
        return Ok(());
    }
    record::leave(context, receiver.digest(), &holder.unwrap_or_default(), &waiting).await
}

/// Mailboxes taken from those that wait; they go back unless they are settled, even if the process is stopped.
struct Taken<'a> {
    receiver: &'a Receiver,
    mailboxes: Vec<MailboxId>,
}

impl Taken<'_> {
    /// All but these are settled.
    fn settle(&mut self, waiting: &BTreeSet<&MailboxId>) {
        self.mailboxes.retain(|mailbox| waiting.contains(mailbox));
    }
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        self.mailboxes.iter().for_each(|mailbox| {
            self.receiver.deliveries().add(mailbox);
        });
    }
}

struct Courier<'a> {
    hub: &'a Hub,
    receiver: &'a Receiver,
    context: &'a Context,
    config: WebhookConfig,
    holder: String,
    failures: u32,
}

impl Courier<'_> {
    /// Until the configuration changes.
    async fn work(mut self) {
        let world = self.context.world();
        let mut compared = None;
        let mut looked = world.monotonic();
        while self.context.config().mwi.webhooks.contains(&self.config) {
            if self.is_time_to_compare(compared) {
                match self.add_all().await {
                    Ok(()) => compared = Some(world.monotonic()),
                    Err(error) => {
                        tracing::warn!(reason = error.reason(), %error, "mailboxes can't be listed")
                    }
                }
            }
            tokio::select! {
                () = self.receiver.deliveries().wait() => self.take_turn().await,
                () = world.sleep(LOOK) => {
                    if world.monotonic().saturating_sub(looked) >= self.period() {
                        looked = world.monotonic();
                        self.look_for_left().await;
                    }
                }
            }
        }
    }

    fn count(&self, outcome: &'static str) {
        self.hub.count_delivery(self.receiver.name(), outcome);
    }

    fn period(&self) -> Duration {
        if self.context.store().is_metered() { METERED } else { FREE }
    }

    fn is_time_to_compare(&self, last: Option<Duration>) -> bool {
        let since = |last| self.context.world().monotonic().saturating_sub(last);
        last.is_none_or(|last| since(last) >= COMPARE_ALL && !self.context.store().is_metered())
    }

    /// Every mailbox waits; those whose state was delivered cost a read and no request.
    async fn add_all(&self) -> Result<(), StoreError> {
        let mut keys = self.context.store().list(Family::Mailbox.prefix());
        while let Some(key) = keys.try_next().await? {
            if let Some(mailbox) = parse_index(&key) {
                self.receiver.deliveries().add(&mailbox);
            }
        }
        Ok(())
    }

    async fn look_for_left(&mut self) {
        match record::has_left(self.context, self.receiver.digest()).await {
            Ok(true) => self.take_turn().await,
            Ok(false) => {}
            Err(error) => tracing::warn!(reason = error.reason(), %error, "deliveries can't be looked up"),
        }
    }

    /// A turn, and the pause after it.
    async fn take_turn(&mut self) {
        let pause = match self.deliver_all().await {
            Ok(Ended::Done | Ended::OutOfTime) => {
                self.failures = 0;
                return;
            }
            Ok(Ended::NotOurs) => NOT_OUR_TURN,
            Err(error) => {
                tracing::warn!(receiver = self.receiver.name(), %error, "MWI states wait to be delivered");
                self.failures += 1;
                FIRST_PAUSE.saturating_mul(1 << self.failures.min(10)).min(LONGEST_PAUSE)
            }
        };
        let random = u32::from_le_bytes(self.context.world().random());
        let part = 0.5 + f64::from(random) / f64::from(u32::MAX) / 2.0;
        self.context.world().sleep(pause.mul_f64(part)).await;
    }

    async fn deliver_all(&self) -> Result<Ended, CourierError> {
        let sender = Sender::open(&self.config).await.inspect_err(|error| self.count(error.outcome()))?;
        let begun = self.context.world().monotonic();
        let Some(turn) = record::claim(self.context, self.receiver.digest(), &self.holder).await? else {
            return Ok(Ended::NotOurs);
        };
        *self.receiver.turn() = Some(self.holder.clone());
        turn.left.keys().for_each(|mailbox| {
            self.receiver.deliveries().add(mailbox);
        });
        let ended = self.deliver_batches(&sender, begun).await;
        // Mailboxes that other replicas left joined the queue here: they are delivered only once the queue is empty.
        let done = match &ended {
            Ok(Ended::Done) => turn.left,
            _ => Default::default(),
        };
        record::release(self.context, self.receiver.digest(), &self.holder, &done).await?;
        self.receiver.turn().take();
        ended
    }

    async fn deliver_batches(&self, sender: &Sender, begun: Duration) -> Result<Ended, CourierError> {
        let mut ledger = Ledger::of(self.receiver.digest());
        loop {
            let batch = Taken { receiver: self.receiver, mailboxes: self.receiver.deliveries().take(BATCH) };
            if batch.mailboxes.is_empty() {
                return Ok(Ended::Done);
            }
            let result = self.deliver_batch(sender, &mut ledger, batch, begun).await;
            if !matches!(result, Ok(Ended::Done)) {
                return result;
            }
        }
    }

    /// Sends what differs; what isn't delivered waits on.
    async fn deliver_batch(
        &self,
        sender: &Sender,
        ledger: &mut Ledger<'_>,
        mut batch: Taken<'_>,
        begun: Duration,
    ) -> Result<Ended, CourierError> {
        let due = self.prepare(ledger, &batch.mailboxes).await?;
        let sent = self.send(sender, &due, begun).await;
        let told = |due: &&Due| sent.delivered.contains(&due.mailbox);
        let news = due.iter().filter(told).map(|due| (due.mailbox.clone(), Last::of(due.counts)));
        ledger.note(self.context, news.collect()).await?;
        let waiting: BTreeSet<&MailboxId> =
            due.iter().filter(|due| !told(due)).map(|due| &due.mailbox).collect();
        batch.settle(&waiting);
        match sent.failure {
            Some(failure) => Err(failure.into()),
            None if sent.delivered.len() < due.len() => Ok(Ended::OutOfTime),
            None => Ok(Ended::Done),
        }
    }

    /// The deliveries of a batch. Before it is, the store says that nobody knows what the receiver knows: a crash, or
    /// an answer that never came, must not leave it with a state that is never corrected.
    async fn prepare(&self, ledger: &mut Ledger<'_>, batch: &[MailboxId]) -> Result<Vec<Due>, StoreError> {
        let mut due = Vec::new();
        for mailbox in batch {
            match self.compare(ledger, mailbox).await {
                Ok(found) => due.extend(found),
                // The others must not wait for one that can't be decoded.
                Err(error) if error.is_about_one() => {
                    tracing::error!(reason = error.reason(), %error, "an MWI state can't be delivered before a repair");
                }
                Err(error) => return Err(error),
            }
        }
        let unsure = due.iter().map(|due| (due.mailbox.clone(), Last::Unsure)).collect();
        ledger.note(self.context, unsure).await?;
        Ok(due)
    }

    /// One request; none when the turn is too old for it.
    async fn attempt<'d>(
        &self,
        sender: &Sender,
        due: &'d Due,
        begun: Duration,
    ) -> Option<(&'d Due, Result<(), DeliveryError>)> {
        let world = self.context.world();
        if world.monotonic().saturating_sub(begun) >= TURN {
            return None;
        }
        Some((due, sender.deliver(&due.delivery(world.now())).await))
    }

    async fn send(&self, sender: &Sender, due: &[Due], begun: Duration) -> Sent {
        let mut attempts = Vec::with_capacity(due.len());
        for due in due {
            attempts.push(self.attempt(sender, due, begun).boxed());
        }
        let mut attempts = stream::iter(attempts).buffer_unordered(AT_ONCE);
        let (mut sent, mut in_a_row) = (Sent::default(), 0);
        while in_a_row < MOST_FAILURES
            && let Some(Some((due, result))) = attempts.next().await
        {
            match result {
                Ok(()) => {
                    self.count("delivered");
                    sent.delivered.insert(due.mailbox.clone());
                    in_a_row = 0;
                }
                Err(error) => {
                    self.count(error.outcome());
                    sent.failure = Some(error);
                    in_a_row += 1;
                }
            }
        }
        sent
    }

    /// The state to deliver; none if it is the one that was delivered last.
    async fn compare(&self, ledger: &mut Ledger<'_>, mailbox: &MailboxId) -> Result<Option<Due>, StoreError> {
        let last = ledger.last(self.context, mailbox).await?;
        let found = self.context.indexes().load_revision(mailbox).await?;
        let open = found.as_ref().filter(|(index, _)| !index.closed);
        let counts = open.map(|(index, _)| Mwi::count(index));
        if last == Last::of(counts) {
            return Ok(None);
        }
        // The same for the same state, another for the next, even if its counts are the same.
        let revision = found.map(|(_, revision)| revision.0).unwrap_or_default();
        let tag = self.context.key().tag("mwi-webhook", format!("{mailbox} {revision}").as_bytes());
        let id = format!("msg_{}", tag.get(..32).unwrap_or_default());
        Ok(Some(Due { mailbox: mailbox.clone(), counts, id }))
    }
}

/// A delivery to be made.
struct Due {
    mailbox: MailboxId,
    counts: Option<Mwi>,
    id: String,
}

impl Due {
    fn delivery(&self, now: Time) -> Delivery<'_> {
        Delivery { id: &self.id, mailbox: &self.mailbox, counts: self.counts, now }
    }
}

/// The outcome of a batch. Requests that were under way when it ended early count as not delivered.
#[derive(Default)]
struct Sent {
    delivered: BTreeSet<MailboxId>,
    failure: Option<DeliveryError>,
}
