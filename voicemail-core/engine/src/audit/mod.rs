//! The record of who listened, searched, exported and erased: written before the act is answered, read by privacy
//! officers, removed when its own retention is over.
//!
//! Flow: [`Audit::record`] writes one object an act; an answer that was sent has its object. A client that plays a
//! message in pieces, as players do, is recorded once in ten minutes. [`Audit::page`] lists hour by hour. Which operation is
//! recorded as what, and how often, is its row in `door/operations.rs`; what people read of it is in `docs/access.md`, "Who did
//! what".
//!
//! What can go wrong: the store is away; then what can't be recorded isn't answered. One that can be read and not
//! written is the exception: owners go on listening and making room, and who did is kept in memory ([`pending`]) until it is
//! written.

mod pending;

use pending::Pending;
use std::sync::Arc;
use voicemail_store::Family;

use crate::context::{Context, Memory};
use crate::principal::Principal;
use bytes::Bytes;
use futures::TryStreamExt;
use std::time::Duration;
use voicemail_model::{AuditAction, AuditEvent, AuditSubject, RecentActs, Time};
use voicemail_store::retry_until_known::{delete, ensure};
use voicemail_store::{Key, StoreError};

const HOUR: Duration = Duration::from_secs(3_600);
/// How long the same act of the same actor is one.
const SAME: Duration = Duration::from_secs(600);

/// A tenant's record.
#[derive(Clone, Copy)]
pub struct Audit<'a> {
    context: &'a Context,
}

/// Acts that this process recorded lately, and those that the store couldn't take yet.
#[derive(Default)]
pub(crate) struct Acts {
    recent: RecentActs,
    pub(crate) pending: Pending,
}

impl Memory for Acts {
    fn begin(_: &Context) -> Self {
        Self::default()
    }
}

impl Context {
    /// The record of who did what.
    pub fn audit(&self) -> Audit<'_> {
        Audit::new(self)
    }

    /// Acts that this process remembers.
    pub(crate) fn acts(&self) -> Arc<Acts> {
        self.memory()
    }
}

/// Which events to read.
#[derive(Clone, Debug)]
pub struct AuditQuery {
    /// From then on.
    pub from: Time,
    /// Up to then.
    pub to: Time,
    /// Go on after the page that gave this.
    pub cursor: Option<String>,
    /// At most this many.
    pub limit: usize,
}

/// Some events, oldest first.
#[derive(Clone, Debug, Default)]
pub struct AuditEvents {
    /// The events.
    pub events: Vec<AuditEvent>,
    /// Gives the next page.
    pub next: Option<String>,
}

impl<'a> Audit<'a> {
    pub(crate) fn new(context: &'a Context) -> Self {
        Self { context }
    }

    /// Records an act. Call it before the act is answered; an error must keep it from being.
    ///
    /// # Errors
    /// The store's.
    pub async fn record(
        self,
        actor: &Principal,
        action: AuditAction,
        subject: AuditSubject,
    ) -> Result<(), StoreError> {
        let world = self.context.world();
        let event = AuditEvent {
            schema: AuditEvent::SCHEMA,
            at: world.now(),
            actor: actor.subject.clone(),
            // A name that isn't plain may be an e-mail address: its digest stands for it, as in keys.
            user: actor.user.as_ref().and_then(|user| user.key().parse().ok()),
            action,
            subject,
        };
        let bytes = serde_json::to_vec(&event).map_err(|error| StoreError::Refused(error.to_string()))?;
        let (key, bytes) = (Key::audit(event.at, &world.random_hex()), Bytes::from(bytes));
        match ensure(self.context.store(), world, &key, &bytes).await {
            Err(error) if error.is_hindrance() && action.may_wait() => {
                if self.context.acts().pending.keep(key, bytes) { Ok(()) } else { Err(error) }
            }
            other => other,
        }
    }

    /// Writes what couldn't be written when it was done.
    ///
    /// # Errors
    /// The store's: what is left stays.
    pub(crate) async fn write_pending(self) -> Result<(), StoreError> {
        while let Some((key, bytes)) = self.context.acts().pending.first() {
            let under = self.open_key(&key);
            ensure(self.context.store(), self.context.world(), under.as_ref().unwrap_or(&key), &bytes)
                .await?;
            self.context.acts().pending.forget(&key);
        }
        Ok(())
    }

    /// The name under which an act of an hour that may be sealed is written: that of now, and the same at each attempt. The act
    /// itself says when it was.
    fn open_key(self, key: &Key) -> Option<Key> {
        let (now, at) = (self.context.world().now(), Key::audited_at(key.as_str())?);
        let random = key.as_str().rsplit('-').next()?;
        (now.since(at) > HOUR).then(|| Key::audit(now, random))
    }

    /// Records an act that comes in pieces, once in ten minutes for each replica.
    ///
    /// # Errors
    /// The store's.
    pub async fn record_once(
        self,
        actor: &Principal,
        action: AuditAction,
        subject: AuditSubject,
    ) -> Result<(), StoreError> {
        let now = self.context.world().monotonic();
        let act = (actor.subject.clone(), action, subject.clone());
        if self.context.acts().recent.holds(&act, now, SAME) {
            return Ok(());
        }
        self.record(actor, action, subject).await?;
        self.context.acts().recent.note(act, now, SAME);
        Ok(())
    }

    /// Events between two times, oldest first.
    ///
    /// # Errors
    /// The store's. An event that can't be decoded is left out; `fsck` finds it.
    pub async fn page(self, query: AuditQuery) -> Result<AuditEvents, StoreError> {
        let mut found = Vec::new();
        let mut hour = query.from;
        while hour.hour() <= query.to.hour() {
            self.list_hour(&query, hour, &mut found).await?;
            if found.len() > query.limit {
                break;
            }
            hour = hour.plus(HOUR);
        }
        let next = (found.len() > query.limit).then(|| {
            found.truncate(query.limit);
            found.last().map(|key: &Key| Key::audit_name(key.as_str()).to_owned())
        });
        let events = self.context.all(found, |key| self.read(key)).await?;
        Ok(AuditEvents { events: events.into_iter().flatten().collect(), next: next.flatten() })
    }

    /// Keys of one hour that the query asks for, one more than its limit at most.
    async fn list_hour(self, query: &AuditQuery, hour: Time, found: &mut Vec<Key>) -> Result<(), StoreError> {
        let prefix = Key::audits(hour);
        if query.cursor.as_ref().is_some_and(|cursor| cursor.split('/').next() > Some(hour.hour().as_str())) {
            return Ok(());
        }
        let mut keys = self.context.store().list(&prefix);
        while let Some(key) = keys.try_next().await? {
            let (Some(at), Some(key)) = (Key::audited_at(&key), Key::listed(&key)) else { continue };
            let after = query.cursor.as_deref().is_none_or(|cursor| Key::audit_name(key.as_str()) > cursor);
            if after && at >= query.from && at <= query.to {
                found.push(key);
            }
            if found.len() > query.limit {
                return Ok(());
            }
        }
        Ok(())
    }

    async fn read(self, key: Key) -> Result<Option<AuditEvent>, StoreError> {
        let Some(bytes) = self.context.store().get(&key).await? else { return Ok(None) };
        let event = serde_json::from_slice(&bytes);
        if event.is_err() {
            tracing::error!(%key, "an event of the audit log can't be decoded and is left out");
        }
        Ok(event.ok())
    }

    /// Removes what is older than the retention in force.
    ///
    /// # Errors
    /// The store's.
    pub(crate) async fn remove_old(self) -> Result<(), StoreError> {
        let (world, store) = (self.context.world(), self.context.store());
        let horizon = world.now().minus(self.context.config().audit.retention);
        let mut keys = store.list(Family::Audit.prefix());
        while let Some(key) = keys.try_next().await? {
            let Some(at) = Key::audited_at(&key) else { continue };
            // They come in the order of time.
            if at >= horizon {
                return Ok(());
            }
            if let Some(key) = Key::listed(&key) {
                delete(store, world, &key).await?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
