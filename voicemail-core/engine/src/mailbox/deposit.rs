//! A deposit, from admission to acknowledgement.
//!
//! Flow: the index admits the message; the audio is streamed to a name that this attempt alone uses; the envelope is
//! created, and the first envelope of an id decides: retries converge on it; the [`Finisher`] inserts the entry, checks
//! it against the caller's erasure marker and acknowledges. Nothing is acknowledged earlier. Whatever step a crash
//! follows, a retry or the sweeper completes or removes what is there.

use super::played::known_as_played;
use super::{Finisher, Insertion, MailboxError, Mailboxes};
use crate::context::{Context, FiledCaller, GuardError};
use std::time::Duration;
use voicemail_api::config::ClassOfService;
use voicemail_audio::{Recording, RecordingInfo};
use voicemail_model::fault_injection::{self, Broken};
use voicemail_model::{
    AudioKey, CallerId, CallerTag, Due, Envelope, Forwarding, Index, MailboxId, MailboxSettings, MessageId,
    Mwi, Quota, Room, Time,
};
pub(super) use voicemail_store::codec::{decode_envelope, encode, require_known};
use voicemail_store::hedge::put_attempts;
use voicemail_store::retry_until_known::{Created, create_or_read, delete, ensure};
use voicemail_store::{Attempt, Key, StoreError};

/// How long an attempt may take from admission to the end of its audio.
pub(crate) const ATTEMPT_LIFE: Duration = Duration::from_secs(900);

/// A caller's deposit, before the audio.
#[derive(Clone, Debug)]
pub struct DepositRequest {
    /// For whom.
    pub mailbox: MailboxId,
    /// The idempotency key.
    pub id: MessageId,
    /// The caller's number; none when withheld.
    pub caller: Option<CallerId>,
    /// The caller's display name.
    pub caller_name: Option<String>,
    /// Whether the caller marked it urgent.
    pub urgent: bool,
    /// When the message was left, for a deposit that is repeated later; now when absent.
    pub left: Option<Time>,
}

/// A deposit that the mailbox takes.
pub struct Admitted {
    /// Longest recording, in seconds.
    pub max_seconds: u32,
    pub(super) request: DepositRequest,
    /// When this attempt began.
    begun: Time,
    /// When the message was left.
    received: Time,
    started: Duration,
    retention: Duration,
    quota: Quota,
    generation: u32,
}

impl Admitted {
    /// When retention would delete a message left then.
    pub(super) fn expiry_of(&self, received: Time) -> Time {
        received.plus(self.retention)
    }
}

/// When, by whom and where a message was left.
pub(super) struct Left {
    pub(super) received: Time,
    pub(super) filed: FiledCaller,
    pub(super) forwarded_from: Option<Forwarding>,
}

/// An acknowledged message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deposited {
    /// Its id.
    pub id: MessageId,
    /// Counts of the mailbox with the message.
    pub mwi: Mwi,
    /// False when the message was there already.
    pub created: bool,
}

const DAY: Duration = Duration::from_secs(86_400);

impl Mailboxes {
    /// A new message id, for a deposit without an idempotency key.
    pub fn new_id(&self) -> MessageId {
        let world = self.context.world();
        MessageId::new(world.now(), &world.random())
    }

    /// Admission: whether the mailbox takes this message, decided from the index before any audio is read.
    ///
    /// # Errors
    /// `UnknownMailbox`, `IdOutOfTime`, `Invalid` for a time that isn't taken, `Full`, `FullOfSeconds`, `ClockSkew`, or
    /// the store's.
    pub async fn admit(&self, request: DepositRequest) -> Result<Admitted, MailboxError> {
        let (started, begun) = (self.context.world().monotonic(), self.context.world().now());
        let indexes = self.context.indexes();
        let (index, class, clock) =
            tokio::join!(indexes.load(&request.mailbox), self.class_of(&request.mailbox), self.guard_clock());
        let index = index?.ok_or(MailboxError::UnknownMailbox)?;
        let is_retry = index.entries.contains_key(&request.id);
        if index.closed && !is_retry {
            return Err(MailboxError::UnknownMailbox);
        }
        if !request.id.is_acceptable(begun) {
            return Err(MailboxError::IdOutOfTime);
        }
        let received = request.left.map_or(Ok(begun), |left| received_then(left, begun))?;
        let class = class?;
        let retention = DAY * class.retention_days;
        if !is_retry {
            check_quota(&index, &Quota::of(&class))?;
            if received.plus(retention) <= begun {
                return Err(MailboxError::Invalid(
                    "left: the mailbox doesn't keep messages for so long".into(),
                ));
            }
        }
        clock?;
        Ok(Admitted {
            max_seconds: class.max_seconds,
            begun,
            received,
            started,
            retention,
            quota: Quota::of(&class),
            generation: index.generation,
            request,
        })
    }

    pub(crate) async fn class_of(&self, mailbox: &MailboxId) -> Result<ClassOfService, StoreError> {
        let settings: Option<MailboxSettings> =
            self.context.documents().load(&Key::settings(mailbox)).await?;
        Ok(self.context.class_named(&settings.unwrap_or_default().class_of_service))
    }

    async fn guard_clock(&self) -> Result<(), MailboxError> {
        match self.context.guard_clock().await {
            Ok(()) => Ok(()),
            Err(GuardError::Skew { .. } | GuardError::Unconfirmed { .. }) => Err(MailboxError::ClockSkew),
            Err(GuardError::Store(error)) => Err(error.into()),
        }
    }

    /// After admission: stores the audio, makes the message, and acknowledges it.
    ///
    /// # Errors
    /// `Audio`, `TooSlow`, `IdReused`, `Gone`, `Full` or `FullOfSeconds` when others were faster, or the store's; with the
    /// last a retry is safe.
    pub async fn deposit(&self, admitted: Admitted, recording: Recording) -> Result<Deposited, MailboxError> {
        let filed = self.context.file_caller(admitted.request.caller.as_ref())?;
        let left = Left { received: admitted.received, filed, forwarded_from: None };
        self.store(admitted, recording, left).await
    }

    /// As [`deposit`](Self::deposit), for a message that was left at another time or in another mailbox.
    pub(super) async fn store(
        &self,
        admitted: Admitted,
        recording: Recording,
        left: Left,
    ) -> Result<Deposited, MailboxError> {
        let context = &self.context;
        let DepositRequest { mailbox, id, caller_name, urgent, .. } = admitted.request;
        let FiledCaller { hash: caller, given, normalised, rules } = left.filed;
        let region = context.config().region.clone();
        let name = || AudioKey::new(&mailbox, id, &caller, admitted.begun, &context.world().random_hex());
        let tag = CallerTag::new(context.config().caller_tag, normalised.as_ref(), &caller);
        let (audio, info) = store_audio(context, &region, [name(), name()], recording, &tag).await?;
        if context.world().monotonic().saturating_sub(admitted.started) > ATTEMPT_LIFE {
            drop_audio(context, &region, &audio).await?;
            return Err(MailboxError::TooSlow);
        }
        let envelope = Envelope {
            schema: Envelope::SCHEMA,
            caller: given,
            normalised,
            rules,
            caller_name,
            received: left.received,
            duration_ms: info.duration_ms,
            size: info.size,
            region,
            audio,
            digest: info.digest,
            mends: info.mends,
            urgent,
            forwarded_from: left.forwarded_from,
            expires: left.received.plus(admitted.retention),
            generation: admitted.generation,
        };
        let ours = Insertion { mailbox, id, caller, envelope };
        insert(context, ours, &tag, admitted.quota).await
    }
}

/// What stands between the audio and the entry doesn't depend on one another: the envelope, the day's due item, the
/// first look at the mark, and the index that the entry goes into.
async fn insert(
    context: &Context,
    ours: Insertion,
    tag: &CallerTag,
    quota: Quota,
) -> Result<Deposited, MailboxError> {
    let (finisher, indexes) = (Finisher::new(context), context.indexes());
    let key = Key::envelope(&ours.caller, &ours.mailbox, ours.id);
    let (settled, retained, mark, fresh) = tokio::join!(
        settle_envelope(context, key, ours.envelope.clone(), tag),
        retain(context, &ours.mailbox, ours.envelope.expires),
        finisher.load_mark(&ours),
        indexes.freshen(&ours.mailbox),
    );
    let envelope = settled?;
    retained?;
    fresh?;
    if envelope.audio == ours.envelope.audio {
        return finisher.finish_seen(ours, Some(quota), mark?).await;
    }
    // An earlier attempt's envelope decides: what was looked at was about ours.
    retain(context, &ours.mailbox, envelope.expires).await?;
    finisher.finish_within(Insertion { envelope, ..ours }, Some(quota)).await
}

/// The item of a day that ends while we are at it may be gone before the message is there.
async fn retain(context: &Context, mailbox: &MailboxId, expires: Time) -> Result<(), StoreError> {
    ensure_retention(context, mailbox, expires.max(context.world().now().plus(ATTEMPT_LIFE))).await
}

/// When a message counts as received that was left then. A media server's clock may be ahead, but a message of the
/// future would escape a request to forget that comes before then.
fn received_then(left: Time, now: Time) -> Result<Time, MailboxError> {
    if left < now.minus(MessageId::OLDEST) || left > now.plus(MessageId::NEWEST) {
        let rule = "left: write a time of the last six days and not ahead; check the media server's clock";
        return Err(MailboxError::Invalid(rule.into()));
    }
    Ok(left.min(now))
}

fn check_quota(index: &Index, quota: &Quota) -> Result<(), MailboxError> {
    match index.room(quota) {
        Room::Free => Ok(()),
        none => Err(MailboxError::of_room(none, quota)),
    }
}

/// Stores the audio, under one of two names. After an error nothing is left, or at most audio that no envelope names, which
/// the sweeper removes.
async fn store_audio(
    context: &Context,
    region: &str,
    [first, second]: [AudioKey; 2],
    recording: Recording,
    tag: &CallerTag,
) -> Result<(AudioKey, RecordingInfo), MailboxError> {
    let store = context.region_to_write(region)?;
    let second = if fault_injection::is(Broken::AttemptsShareAName) { first.clone() } else { second };
    let names = [&Key::audio(&first), &Key::audio(&second)];
    let stored = put_attempts(store.as_ref(), context.world(), names, recording.body, tag).await?;
    let info = known_as_played(store.as_ref(), names[stored.number()], &recording.info).await?;
    Ok((if stored == Attempt::First { first } else { second }, info))
}

async fn drop_audio(context: &Context, region: &str, audio: &AudioKey) -> Result<(), StoreError> {
    delete(context.region(region)?.as_ref(), context.world(), &Key::audio(audio)).await
}

/// Creates the envelope: the first envelope of an id decides. Ours, or theirs if it has our digest; our audio goes
/// then.
async fn settle_envelope(
    context: &Context,
    key: Key,
    ours: Envelope,
    tag: &CallerTag,
) -> Result<Envelope, MailboxError> {
    let bytes = encode(&ours)?;
    match create_or_read(context.store(), context.world(), &key, &bytes, Some(tag)).await? {
        Created::Ours => Ok(ours),
        Created::Theirs(found) => {
            let theirs = decode_envelope(&found)?;
            require_known(theirs.schema)?;
            drop_audio(context, &ours.region, &ours.audio).await?;
            if theirs.digest == ours.digest { Ok(theirs) } else { Err(MailboxError::IdReused) }
        }
    }
}

/// The due item of the day on which a message expires, unless this replica made it already.
pub async fn ensure_retention(
    context: &Context,
    mailbox: &MailboxId,
    expires: Time,
) -> Result<(), StoreError> {
    let day = expires.end_of_day();
    if context.retained().has(mailbox, day) {
        return Ok(());
    }
    let item = Due::Retain { mailbox: mailbox.clone() }.at(day);
    ensure(context.store(), context.world(), &Key::due(&item), &encode(&item)?).await?;
    context.retained().note(mailbox, day);
    Ok(())
}
