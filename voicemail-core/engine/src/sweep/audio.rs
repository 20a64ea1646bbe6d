//! Audio without an entry: a deposit whose replica died, or garbage.
//!
//! Audio that an envelope names is a deposit that can be completed (nobody will call again); audio that
//! no envelope names is removed after a day, when its attempt is long over and its name can't be used
//! again. Recent hours are walked often, all hours that ids may name once a day.

use super::Swept;
use crate::context::Context;
use crate::mailbox::{Finisher, Insertion, MailboxError, ensure_retention};
use futures::TryStreamExt;
use std::ops::RangeInclusive;
use std::time::Duration;
use voicemail_model::fault_injection::{self, Broken};
use voicemail_model::{AudioKey, AudioParts, Envelope, Time};
use voicemail_store::codec::{decode_envelope, require_known};
use voicemail_store::retry_until_known::delete;
use voicemail_store::{Key, StoreError};

const HOUR: Duration = Duration::from_secs(3_600);
/// Younger audio belongs to a deposit that is under way.
const UNDER_WAY: Duration = Duration::from_secs(300);
/// Audio that no envelope names is kept this long.
const GRACE: Duration = Duration::from_secs(86_400);
/// Ids may be six days old and five minutes ahead.
const HOURS: u32 = 8 * 24 + 1;
/// Hours walked in one turn: all of them in less than a day.
const SHARE: u32 = 3;
const TURN_MS: i64 = 900_000;

/// Hours from three back to the one to come, in the region that this cluster serves.
pub(super) async fn sweep_recent(context: &Context, swept: &mut Swept) -> Result<(), StoreError> {
    let region = context.config().region.clone();
    sweep_hours(context, &region, 0..=4, swept).await
}

/// All hours that an id may name.
pub(super) async fn sweep_all(context: &Context, swept: &mut Swept) {
    sweep_everywhere(context, 0..=HOURS, swept).await;
}

/// The share of those hours whose turn it is by the clock, so that restarts leave none out.
pub(super) async fn sweep_share(context: &Context, swept: &mut Swept) {
    let turns = i64::from(HOURS / SHARE + 1);
    let turn = context.world().now().0.div_euclid(TURN_MS).rem_euclid(turns);
    let first = u32::try_from(turn).unwrap_or_default() * SHARE;
    sweep_everywhere(context, first..=first + SHARE - 1, swept).await;
}

/// In all regions: one whose clusters are gone is nobody else's. A region that is away doesn't keep the others
/// from being swept.
async fn sweep_everywhere(context: &Context, hours: RangeInclusive<u32>, swept: &mut Swept) {
    let regions: Vec<String> = context.regions().map(|(name, _)| name.clone()).collect();
    for region in regions {
        if let Err(error) = sweep_hours(context, &region, hours.clone(), swept).await {
            swept.failed += 1;
            tracing::warn!(region, reason = error.reason(), %error, "the region's audio wasn't walked to its end");
        }
    }
}

async fn sweep_hours(
    context: &Context,
    region: &str,
    hours: RangeInclusive<u32>,
    swept: &mut Swept,
) -> Result<(), StoreError> {
    let now = context.world().now();
    let start = now.plus(HOUR);
    for back in hours {
        let prefix = Key::audio_of(start.minus(HOUR * back));
        let mut keys = context.region(region)?.list(&prefix);
        while let Some(key) = keys.try_next().await? {
            if let Some((audio, parts)) = AudioKey::parse(&key) {
                let piece = Piece { context, region, audio, parts };
                if let Err(error) = piece.settle(now, swept).await {
                    swept.failed += 1;
                    tracing::warn!(reason = error.reason(), %error, "audio without an entry stays as it is");
                }
            }
        }
    }
    Ok(())
}

struct Piece<'a> {
    context: &'a Context,
    region: &'a str,
    audio: AudioKey,
    parts: AudioParts,
}

impl Piece<'_> {
    async fn settle(self, now: Time, swept: &mut Swept) -> Result<(), StoreError> {
        let age = now.since(self.parts.begun);
        if age < UNDER_WAY {
            return Ok(());
        }
        let index = self.context.indexes().load(&self.parts.mailbox).await?;
        // A closed mailbox keeps its index: without one it was lost, and with it no reason to delete anything.
        let Some(index) = index else { return Ok(()) };
        let entry = index.entries.get(&self.parts.id);
        if entry.is_some_and(|entry| entry.audio == self.audio) {
            return Ok(());
        }
        let entry_caller = entry.map(|entry| entry.caller_hash.clone());
        match (self.own_envelope().await?, entry_caller) {
            (Some(envelope), None) => self.complete(envelope, swept).await,
            (Some(envelope), Some(other)) if other != self.parts.caller => {
                self.remove_refused(envelope, swept).await
            }
            (None, _) if age > GRACE || (fault_injection::is(Broken::ShortGrace) && age > HOUR) => {
                self.remove_orphan(swept).await
            }
            _ => Ok(()),
        }
    }

    /// The envelope of this message, if it names this audio.
    async fn own_envelope(&self) -> Result<Option<Envelope>, StoreError> {
        let key = Key::envelope(&self.parts.caller, &self.parts.mailbox, self.parts.id);
        let Some(bytes) = self.context.store().get(&key).await? else { return Ok(None) };
        Ok(Some(decode_envelope(&bytes)?).filter(|envelope| envelope.audio == self.audio))
    }

    fn insertion(self, envelope: Envelope) -> Insertion {
        let AudioParts { mailbox, id, caller, .. } = self.parts;
        Insertion { mailbox, id, caller, envelope }
    }

    /// Inserts the entry and checks it against the erasure marker in the place of the replica that died.
    async fn complete(self, envelope: Envelope, swept: &mut Swept) -> Result<(), StoreError> {
        let context = self.context;
        require_known(envelope.schema)?;
        // It may have died before it filed the day on which the message expires.
        ensure_retention(context, &self.parts.mailbox, envelope.expires).await?;
        let insertion = self.insertion(envelope);
        match Finisher::new(context).finish(insertion).await {
            Ok(_) => swept.completed += 1,
            Err(MailboxError::Store(error)) => return Err(error),
            Err(_) => swept.orphans += 1,
        }
        Ok(())
    }

    /// The id is another caller's message: ours was refused, and its depositor died before it cleaned up.
    async fn remove_refused(self, envelope: Envelope, swept: &mut Swept) -> Result<(), StoreError> {
        let context = self.context;
        let insertion = self.insertion(envelope);
        Finisher::new(context).remove_own(&insertion).await?;
        swept.orphans += 1;
        Ok(())
    }

    async fn remove_orphan(self, swept: &mut Swept) -> Result<(), StoreError> {
        let store = self.context.region(self.region)?;
        delete(store.as_ref(), self.context.world(), &Key::audio(&self.audio)).await?;
        swept.orphans += 1;
        Ok(())
    }
}
