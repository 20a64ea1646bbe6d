//! Greetings: recorded, replaced as a whole, played, removed; and what crashes leave of them, cleared away.
//!
//! Flow of a recording: a due item says that this audio must be looked at, the audio is stored under a name that
//! this attempt alone uses, a due item says so of the one it replaces, the settings name the new one by a
//! conditional write, only if they still name that one, and the mailbox is looked at again, since it may have been
//! closed meanwhile. Whatever step a crash follows, callers hear the old greeting or the new one, and a due item
//! deletes the other. Greetings are in the master region, whose store everything depends on anyway.
//!
//! What can go wrong: a [`MailboxError`]; a repetition is safe, and replaces the greeting by the same one.

use super::deposit::ATTEMPT_LIFE;
use super::played::{as_played, known_as_played};
use super::settings::{end_former, load_settings};
use super::{Audio, Directory, MailboxError};
use crate::context::{Context, GuardError};
use serde_json::Map;
use std::ops::Range;
use std::time::Duration;
use voicemail_audio::{Recording, RecordingInfo};
use voicemail_model::{
    Due, Greeting, GreetingKey, GreetingPlace, GreetingStage, Index, MailboxGreeting, MailboxId,
    MailboxSettings, TenantGreetings, Time,
};
use voicemail_store::codec::encode;
use voicemail_store::documents::Decision;
use voicemail_store::retry_until_known::{delete, ensure};
use voicemail_store::{Key, StoreError};

/// No recording is deleted sooner, unless by its own maker: a frozen one may still bring it into force.
const GRACE: Duration = Duration::from_secs(86_400);
/// When what was replaced is deleted: whoever was sent to it has heard it by then.
const HEARD_AFTER: Duration = Duration::from_secs(300);
/// How often others may be faster.
const ATTEMPTS: u32 = 8;

/// Whether a greeting's audio is in force.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum GreetingStatus {
    /// It is.
    InForce,
    /// It isn't, and was deleted.
    Deleted,
    /// The document that would tell can't be found: nothing is deleted for that.
    Unknown,
}

impl Directory {
    /// Records a greeting, in place of the one that there was.
    ///
    /// # Errors
    /// `UnknownMailbox`, `Audio`, `TooSlow`, `ClockSkew`, or the store's.
    pub async fn put_greeting(
        &self,
        place: &GreetingPlace,
        recording: Recording,
    ) -> Result<Greeting, MailboxError> {
        let context = self.context();
        let generation = self.require_place(place).await?;
        if let (GreetingPlace::Mailbox(mailbox, _), Some(generation)) = (place, generation) {
            end_former(context, mailbox, generation).await?;
        }
        guard_clock(context).await?;
        let begun = context.world().now();
        let audio = GreetingKey::new(place, begun, &context.world().random_hex());
        file(context, &audio, GreetingStage::Recorded).await?;
        let info = store_audio(context, &audio, recording).await?;
        let RecordingInfo { duration_ms, size, digest, mends, form } = info;
        let new =
            Greeting { audio, duration_ms, size, digest, mends, form, recorded: begun, unknown: Map::new() };
        match replace(context, place, Some(new.clone()), generation).await? {
            Replaced::Done => {}
            refused => {
                delete(context.store(), context.world(), &Key::greeting(&new.audio)).await?;
                let closed = refused == Replaced::OfBefore;
                return Err(if closed { MailboxError::UnknownMailbox } else { MailboxError::TooSlow });
            }
        }
        match settle_greeting(context, &new.audio).await? {
            GreetingStatus::Deleted if self.require_place(place).await.is_err() => {
                Err(MailboxError::UnknownMailbox)
            }
            // A greeting that another recording has replaced already was in force for a moment.
            _ => Ok(new),
        }
    }

    /// A greeting in force.
    ///
    /// # Errors
    /// `UnknownMailbox`, `NoGreeting`, or the store's.
    pub async fn greeting(&self, place: &GreetingPlace) -> Result<Greeting, MailboxError> {
        let generation = self.require_place(place).await?;
        load(self.context(), place, generation).await?.ok_or(MailboxError::NoGreeting)
    }

    /// The greetings that a mailbox has of its own, the standard one first.
    ///
    /// # Errors
    /// `UnknownMailbox`, or the store's.
    pub async fn greetings(
        &self,
        mailbox: &MailboxId,
    ) -> Result<Vec<(MailboxGreeting, Greeting)>, MailboxError> {
        let generation = self.require_open(mailbox).await?;
        let greetings = load_settings(self.context(), mailbox, generation).await?.greetings;
        let each = MailboxGreeting::ALL.iter();
        Ok(each.filter_map(|kind| Some((*kind, greetings.get(*kind)?.clone()))).collect())
    }

    /// A greeting's audio, or a range of it.
    ///
    /// # Errors
    /// `NoGreeting` when it was replaced meanwhile, or the store's.
    pub async fn greeting_audio(
        &self,
        greeting: &Greeting,
        range: Option<Range<u64>>,
    ) -> Result<Audio, MailboxError> {
        let start = range.as_ref().map_or(0, |range| range.start);
        let found = self.context().store().read(&Key::greeting(&greeting.audio), range).await?;
        let body = found.ok_or(MailboxError::NoGreeting)?;
        let bytes = as_played(body.bytes, start, greeting.mends.clone());
        Ok(Audio { size: body.size, digest: greeting.digest.clone(), bytes })
    }

    /// Removes a greeting; its audio goes within minutes. Without one it does nothing.
    ///
    /// # Errors
    /// `UnknownMailbox`, or the store's.
    pub async fn remove_greeting(&self, place: &GreetingPlace) -> Result<(), MailboxError> {
        let generation = self.require_place(place).await?;
        replace(self.context(), place, None, generation).await?;
        Ok(())
    }

    /// The mailbox's generation; the tenant has none.
    async fn require_place(&self, place: &GreetingPlace) -> Result<Option<u32>, MailboxError> {
        match place {
            GreetingPlace::Mailbox(mailbox, _) => Ok(Some(self.require_open(mailbox).await?)),
            GreetingPlace::Tenant(_) => {
                ensure_tenant_greetings(self.context()).await?;
                Ok(None)
            }
        }
    }
}

async fn guard_clock(context: &Context) -> Result<(), MailboxError> {
    match context.guard_clock().await {
        Ok(()) => Ok(()),
        Err(GuardError::Skew { .. } | GuardError::Unconfirmed { .. }) => Err(MailboxError::ClockSkew),
        Err(GuardError::Store(error)) => Err(error.into()),
    }
}

/// Made before the first greeting, so that a document that is missing was lost, and nothing is deleted for that.
async fn ensure_tenant_greetings(context: &Context) -> Result<(), StoreError> {
    let make = |found: Option<TenantGreetings>, _| match found {
        Some(_) => Decision::Keep(()),
        None => Decision::Write(TenantGreetings::default(), ()),
    };
    context.documents().update(&Key::tenant_greetings(), make).await
}

async fn file(context: &Context, audio: &GreetingKey, stage: GreetingStage) -> Result<(), StoreError> {
    let now = context.world().now();
    let begun = GreetingKey::parse(audio.as_str()).map_or(now, |(_, _, begun)| begun);
    let at = begun.plus(GRACE).max(now.plus(HEARD_AFTER));
    let item = Due::Greeting { audio: audio.clone(), stage }.at(at);
    ensure(context.store(), context.world(), &Key::due(&item), &encode(&item)?).await?;
    context.expect_due(item.at);
    Ok(())
}

/// Stores the audio. After an error nothing is left, or at most audio that its due item deletes.
async fn store_audio(
    context: &Context,
    audio: &GreetingKey,
    recording: Recording,
) -> Result<RecordingInfo, MailboxError> {
    let key = Key::greeting(audio);
    if let Err(error) = context.store().put(&key, recording.body).await {
        if error.may_be_applied() {
            delete(context.store(), context.world(), &key).await?;
        }
        return Err(error.into());
    }
    Ok(known_as_played(context.store(), &key, &recording.info).await?)
}

/// The greeting that is named, for people of that generation; `None`: whoever's it is.
async fn load(
    context: &Context,
    place: &GreetingPlace,
    generation: Option<u32>,
) -> Result<Option<Greeting>, StoreError> {
    Ok(match place {
        GreetingPlace::Mailbox(mailbox, kind) => {
            let settings: Option<MailboxSettings> = context.documents().load(&Key::settings(mailbox)).await?;
            let theirs = |settings: &MailboxSettings| generation.is_none_or(|named| settings.is_of(named));
            settings.filter(theirs).and_then(|settings| settings.greetings.get(*kind).cloned())
        }
        GreetingPlace::Tenant(kind) => {
            let found: Option<TenantGreetings> = context.documents().load(&Key::tenant_greetings()).await?;
            found.and_then(|greetings| greetings.get(*kind).cloned())
        }
    })
}

/// The outcome of a replacement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Replaced {
    Done,
    /// The recording is too old to come into force.
    TooOld,
    /// The mailbox that it is for was closed.
    OfBefore,
}

/// Replaces a greeting: only one that has its due item is replaced, and only in the mailbox of that generation; `None`:
/// in any.
async fn replace(
    context: &Context,
    place: &GreetingPlace,
    new: Option<Greeting>,
    generation: Option<u32>,
) -> Result<Replaced, StoreError> {
    for attempt in 0..ATTEMPTS {
        let old = load(context, place, generation).await?.map(|greeting| greeting.audio);
        if let Some(old) = &old {
            file(context, old, GreetingStage::Replaced).await?;
        }
        match swap(context, place, old.as_ref(), new.as_ref(), generation).await? {
            Swap::Done => return Ok(Replaced::Done),
            Swap::TooOld => return Ok(Replaced::TooOld),
            Swap::OfBefore => return Ok(Replaced::OfBefore),
            Swap::Other => {}
        }
        context.world().back_off(attempt).await;
    }
    Err(StoreError::Unavailable("others are changing the same greeting".into()))
}

/// The outcome of an exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Swap {
    Done,
    /// Another is named than was thought.
    Other,
    /// The attempt that recorded it has lived for too long.
    TooOld,
    /// The settings are of another mailbox of that name.
    OfBefore,
}

/// Names another greeting if the one named is still that one.
async fn swap(
    context: &Context,
    place: &GreetingPlace,
    old: Option<&GreetingKey>,
    new: Option<&Greeting>,
    generation: Option<u32>,
) -> Result<Swap, StoreError> {
    let exchange = |named: &mut Option<Greeting>, now: Time| {
        if new.is_some_and(|new| now.since(new.recorded) > ATTEMPT_LIFE) {
            return Swap::TooOld;
        }
        if named.as_ref().map(|greeting| &greeting.audio) != old {
            return Swap::Other;
        }
        *named = new.cloned();
        Swap::Done
    };
    match place {
        GreetingPlace::Mailbox(mailbox, kind) => {
            let change = |settings: Option<MailboxSettings>, now| {
                let mut settings = settings.unwrap_or_default();
                if generation.is_some_and(|named| !settings.is_of(named)) {
                    return Decision::Keep(Swap::OfBefore);
                }
                settings.generation = settings.generation.or(generation);
                match exchange(settings.greetings.get_mut(*kind), now) {
                    Swap::Done => Decision::Write(settings, Swap::Done),
                    other => Decision::Keep(other),
                }
            };
            context.documents().update(&Key::settings(mailbox), change).await
        }
        GreetingPlace::Tenant(kind) => {
            let change = |greetings: Option<TenantGreetings>, now| {
                let mut greetings = greetings.unwrap_or_default();
                match exchange(greetings.get_mut(*kind), now) {
                    Swap::Done => Decision::Write(greetings, Swap::Done),
                    other => Decision::Keep(other),
                }
            };
            context.documents().update(&Key::tenant_greetings(), change).await
        }
    }
}

/// Deletes a greeting's audio unless it is in force in an open mailbox.
pub(crate) async fn settle_greeting(
    context: &Context,
    audio: &GreetingKey,
) -> Result<GreetingStatus, StoreError> {
    let Some((_, place, _)) = GreetingKey::parse(audio.as_str()) else { return Ok(GreetingStatus::Unknown) };
    let (found, closed) = match &place {
        GreetingPlace::Mailbox(mailbox, kind) => {
            let index: Option<Index> = context.documents().load(&Key::index(mailbox)).await?;
            let settings: Option<MailboxSettings> = context.documents().load(&Key::settings(mailbox)).await?;
            let (Some(index), Some(settings)) = (index, settings) else { return Ok(GreetingStatus::Unknown) };
            (settings.greetings.get(*kind).cloned(), index.closed || !settings.is_of(index.generation))
        }
        GreetingPlace::Tenant(kind) => {
            let found: Option<TenantGreetings> = context.documents().load(&Key::tenant_greetings()).await?;
            let Some(greetings) = found else { return Ok(GreetingStatus::Unknown) };
            (greetings.get(*kind).cloned(), false)
        }
    };
    let named = found.is_some_and(|greeting| greeting.audio == *audio);
    if named && !closed {
        return Ok(GreetingStatus::InForce);
    }
    // When it was replaced meanwhile that is as good.
    if named {
        swap(context, &place, Some(audio), None, None).await?;
    }
    delete(context.store(), context.world(), &Key::greeting(audio)).await?;
    Ok(GreetingStatus::Deleted)
}

/// Takes all greetings of a closed mailbox out of force; due items delete their audio.
pub(super) async fn drop_greetings(context: &Context, mailbox: &MailboxId) -> Result<(), StoreError> {
    let found: Option<MailboxSettings> = context.documents().load(&Key::settings(mailbox)).await?;
    let Some(settings) = found.filter(|settings| !settings.greetings.is_empty()) else { return Ok(()) };
    for kind in MailboxGreeting::ALL.iter().filter(|kind| settings.greetings.get(**kind).is_some()) {
        replace(context, &GreetingPlace::Mailbox(mailbox.clone(), *kind), None, None).await?;
    }
    let clear = |settings: Option<MailboxSettings>, _| match settings {
        Some(mut settings) if settings.greetings.schedule.is_some() => {
            settings.greetings.schedule = None;
            Decision::Write(settings, ())
        }
        _ => Decision::Keep(()),
    };
    context.documents().update(&Key::settings(mailbox), clear).await
}
