//! Applies a class's present retention to messages that were stamped under an earlier one.
//!
//! Flow: walk the mailboxes; work out each message's new time from its deposit; make the due items of the
//! days on which something will expire; then stamp the entries by one operation on the index. Safe beside
//! running cores and after any crash: the operation is idempotent, and due items come first. Clocks that
//! stand still stay so: flagged and held messages are stamped, and expire no sooner than they could.
//!
//! What can go wrong: a mailbox that can't be read is counted and left; the others go on.

use futures::TryStreamExt;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use voicemail_api::config::ClassOfService;
use voicemail_engine::context::{Context, GuardError};
use voicemail_engine::mailbox::ensure_retention;
use voicemail_model::{Entry, Index, IndexOp, MailboxId, MailboxSettings, MessageId, MessageState, Time};
use voicemail_store::Family;
use voicemail_store::{Key, StoreError, parse_index};

const DAY: Duration = Duration::from_secs(86_400);

/// Messages and what becomes of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RetentionCounts {
    /// Messages there are.
    pub messages: u64,
    /// Messages whose time changes.
    pub changed: u64,
    /// Of these, messages that go earlier than before.
    pub shortened: u64,
    /// Of these, messages that go with the next sweep of their day.
    pub expiring: u64,
}

/// One mailbox.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct MailboxPlan {
    /// Its class of service.
    pub class: String,
    /// The numbers of changes.
    pub counts: RetentionCounts,
    /// The class isn't configured, and its limits were never kept: the messages stay as they are.
    pub unknown: bool,
}

/// All mailboxes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RetentionReport {
    /// By class of service.
    pub classes: BTreeMap<String, RetentionCounts>,
    /// Mailboxes that couldn't be read or written; `fsck` says more.
    pub failed: u64,
    /// Mailboxes that were left as they are since nothing is known of their class.
    pub unknown: u64,
}

/// Stamps anew, or with `apply` false only says what would change. `show` gets each mailbox.
///
/// # Errors
/// The store's, when mailboxes can't be listed; the guard's, when the clocks differ.
pub async fn apply_retention(
    context: &Context,
    apply: bool,
    mut show: impl FnMut(&MailboxId, Result<&MailboxPlan, &StoreError>),
) -> Result<RetentionReport, GuardError> {
    let mut report = RetentionReport::default();
    let mut keys = context.store().list(Family::Mailbox.prefix());
    while let Some(key) = keys.try_next().await? {
        let Some(mailbox) = parse_index(&key) else { continue };
        if apply {
            context.guard_clock().await?;
        }
        let result = restamp(context, &mailbox, apply).await;
        match &result {
            Ok(plan) if plan.unknown => report.unknown += 1,
            Ok(plan) => report.classes.entry(plan.class.clone()).or_default().add(plan.counts),
            Err(_) => report.failed += 1,
        }
        show(&mailbox, result.as_ref());
    }
    Ok(report)
}

async fn restamp(context: &Context, mailbox: &MailboxId, apply: bool) -> Result<MailboxPlan, StoreError> {
    let settings: Option<MailboxSettings> = context.documents().load(&Key::settings(mailbox)).await?;
    let name = settings.unwrap_or_default().class_of_service;
    let index: Index = context.documents().load(&Key::index(mailbox)).await?.unwrap_or_default();
    // The retention of a class that isn't configured any more is unknown: no message gets the days of another class.
    let name = if name.is_empty() { ClassOfService::STANDARD.to_owned() } else { name };
    let Some(class) = context.known_class(&name) else {
        let counts = count(&index, &BTreeMap::new(), context.world().now());
        return Ok(MailboxPlan { class: name, counts, unknown: true });
    };
    let retention = DAY * class.retention_days;
    let changes = find_changes(&index, retention);
    let counts = count(&index, &changes, context.world().now());
    if apply && !changes.is_empty() {
        make_due_items(context, mailbox, &index, &changes).await?;
        let messages: BTreeSet<MessageId> = changes.into_keys().collect();
        context.indexes().try_apply(mailbox, IndexOp::Restamp { retention, messages }).await?;
    }
    Ok(MailboxPlan { class: class.name, counts, unknown: false })
}

/// New times of the messages that get one.
fn find_changes(index: &Index, retention: Duration) -> BTreeMap<MessageId, Time> {
    let stays = |entry: &Entry| entry.state != MessageState::Deleting;
    let new = index.entries.iter().filter(|(_, entry)| stays(entry));
    let new = new.map(|(id, entry)| (*id, entry.expires, entry.expires_under(retention)));
    new.filter(|(_, old, new)| old != new).map(|(id, _, new)| (id, new)).collect()
}

fn count(index: &Index, changes: &BTreeMap<MessageId, Time>, now: Time) -> RetentionCounts {
    let mut counts = RetentionCounts { messages: index.entries.len() as u64, ..Default::default() };
    for (entry, new) in changes.iter().filter_map(|(id, new)| Some((index.entries.get(id)?, *new))) {
        let stamped = Entry { expires: new, ..entry.clone() };
        counts.changed += 1;
        counts.shortened += u64::from(new < entry.expires);
        counts.expiring += u64::from(stamped.is_expired(now) && !entry.is_expired(now));
    }
    counts
}

/// The items first: a message must never be without one of the day on which it goes.
async fn make_due_items(
    context: &Context,
    mailbox: &MailboxId,
    index: &Index,
    changes: &BTreeMap<MessageId, Time>,
) -> Result<(), StoreError> {
    let entries = changes.iter().filter_map(|(id, new)| Some((index.entries.get(id)?, *new)));
    let deadlines = entries.map(|(entry, new)| Entry { expires: new, ..entry.clone() }.deadline());
    let days: BTreeSet<Time> = deadlines.map(Time::end_of_day).collect();
    for day in days {
        ensure_retention(context, mailbox, day).await?;
    }
    Ok(())
}

impl RetentionCounts {
    fn add(&mut self, other: Self) {
        self.messages += other.messages;
        self.changed += other.changed;
        self.shortened += other.shortened;
        self.expiring += other.expiring;
    }
}
