//! Files a message anew whose caller gave no number, though rules of old took what the network sent for somebody's.
//!
//! The audio is copied, because its name tells its caller; then comes the envelope among those of withheld callers; then
//! the entry changes over, which decides; then the old envelope and audio go. A crash before the change leaves a
//! deposit that was refused, one after it leaves another: either is found and removed as ever.

use crate::context::Context;
use crate::mailbox::{Finisher, Insertion};
use futures::TryStreamExt;
use std::time::Duration;
use voicemail_model::{
    AudioKey, CallerHash, CallerTag, Entry, Envelope, IndexOp, IndexOutcome, MailboxId, MessageId,
};
use voicemail_store::codec::{decode_envelope, encode};
use voicemail_store::retry_until_known::{Created, create_or_read};
use voicemail_store::{BodyError, Key, StoreError};

/// A sweeper takes audio that was begun longer ago for a deposit that died.
const LONGEST: Duration = Duration::from_secs(200);

/// Whether the message is filed under a hash although its caller gave no number.
pub(super) fn is_misfiled(context: &Context, entry: &Entry) -> bool {
    let rules = context.rules_in_force().ok().filter(|_| !entry.caller_hash.is_withheld());
    let nobody = |caller| rules.is_some_and(|rules| rules.normalise(caller).is_none());
    entry.caller.as_ref().is_some_and(nobody)
}

/// `None` where an erasure covers the message: it takes a person, who takes that back first.
pub(super) async fn refile(
    context: &Context,
    mailbox: &MailboxId,
    id: MessageId,
    entry: &Entry,
) -> Result<Option<&'static str>, StoreError> {
    let started = context.world().monotonic();
    let old_key = Key::envelope(&entry.caller_hash, mailbox, id);
    let Some(bytes) = context.store().get(&old_key).await? else { return Ok(None) };
    let old = decode_envelope(&bytes)?;
    if !is_misfiled(context, entry) || !entry.is_visible() || old.audio != entry.audio {
        return Ok(None);
    }
    let Some(audio) = copy_audio(context, mailbox, id, entry).await? else { return Ok(None) };
    let new = make_envelope(context, mailbox, id, Envelope { audio, ..old.clone() }).await?;
    let new_audio = new.audio.clone();
    let ours = Insertion { mailbox: mailbox.clone(), id, caller: CallerHash::withheld(), envelope: new };
    let in_time = context.world().monotonic().saturating_sub(started) < LONGEST;
    let (caller, audio) = (entry.caller_hash.clone(), entry.audio.clone());
    let op = IndexOp::Refile { id, caller: caller.clone(), audio, new_audio };
    let applied = if in_time { context.indexes().try_apply(mailbox, op).await? } else { None };
    let done = applied.is_some_and(|applied| applied.outcome == IndexOutcome::Done);
    let theirs = Insertion { mailbox: mailbox.clone(), id, caller, envelope: old };
    Finisher::new(context).remove_own(if done { &theirs } else { &ours }).await?;
    Ok(done.then_some("filed anew"))
}

/// `None`: it is missing.
async fn copy_audio(
    context: &Context,
    mailbox: &MailboxId,
    id: MessageId,
    entry: &Entry,
) -> Result<Option<AudioKey>, StoreError> {
    let (region, world) = (context.region(&entry.region)?, context.world());
    let Some(found) = region.read(&Key::audio(&entry.audio), None).await? else { return Ok(None) };
    if found.size != entry.size {
        return Ok(None);
    }
    let withheld = CallerHash::withheld();
    let audio = AudioKey::new(mailbox, id, &withheld, world.now(), &world.random_hex());
    let body = found.bytes.map_err(|_| BodyError::Interrupted("the audio can't be read whole".into()));
    let tag = CallerTag::new(context.config().caller_tag, None, &withheld);
    region.put_tagged(&Key::audio(&audio), Box::pin(body), &tag).await?;
    Ok(Some(audio))
}

/// Another attempt's serves as well: then our audio goes.
async fn make_envelope(
    context: &Context,
    mailbox: &MailboxId,
    id: MessageId,
    filed: Envelope,
) -> Result<Envelope, StoreError> {
    let withheld = CallerHash::withheld();
    let rules = context.rules_in_force().map_or(filed.rules, |rules| rules.id);
    let ours = Envelope { caller: None, normalised: None, rules, ..filed };
    let tag = CallerTag::new(context.config().caller_tag, None, &withheld);
    let key = Key::envelope(&withheld, mailbox, id);
    match create_or_read(context.store(), context.world(), &key, &encode(&ours)?, Some(&tag)).await? {
        Created::Ours => Ok(ours),
        Created::Theirs(found) => {
            let region = context.region(&ours.region)?;
            voicemail_store::retry_until_known::delete(
                region.as_ref(),
                context.world(),
                &Key::audio(&ours.audio),
            )
            .await?;
            decode_envelope(&found)
        }
    }
}
