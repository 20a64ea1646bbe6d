//! Repairs what is safe to repair, by the protocol's own steps: finishes or drops deposits that were never
//! acknowledged, deletes what no message names, files lost work again, makes an envelope again from its
//! message, files messages anew whose callers gave no number, and moves what can't be decoded to quarantine.
//!
//! Never deletes an acknowledged message, and never moves away what holds one together (an index), hides one
//! (a mark, a run) or is needed to erase one (a manifest): those come from a backup. Safe beside running cores.

use super::envelope::parse;
use super::finding::{Code, Finding};
use super::read;
use super::refile::refile;
use crate::context::{Context, GuardError};
use crate::mailbox::{Finisher, GreetingStatus, Insertion, MailboxError, ensure_retention, settle_greeting};
use std::collections::BTreeMap;
use voicemail_model::{
    AudioKey, CallerHash, CallerId, CallerTag, Due, Entry, Envelope, GreetingKey, Index, IndexOp, MailboxId,
    Mark, MarkState, MessageId, MessageState, Run, RunId, RunStage,
};
use voicemail_store::codec::encode;
use voicemail_store::retry_until_known::{create_or_read, delete, ensure};
use voicemail_store::{ErrorClass, History, Key, StoreError, parse_index};

/// Repairs what was found. `None`: it takes a person, because nothing may be done by itself, or because what
/// the repair needs can't be read or was written by a newer version.
///
/// # Errors
/// The store's, or the clock guard's. Repeat the check: what was done half is found again.
pub async fn repair(context: &Context, finding: &Finding) -> Result<Option<&'static str>, GuardError> {
    context.guard_clock().await?;
    let Some(key) = Key::listed(&finding.key) else { return Ok(None) };
    match repair_at(context, finding, &key).await {
        Err(error) if error.class() == ErrorClass::Permanent => Ok(None),
        other => Ok(other?),
    }
}

async fn repair_at(
    context: &Context,
    finding: &Finding,
    key: &Key,
) -> Result<Option<&'static str>, StoreError> {
    match finding.code {
        Code::UnfinishedDeposit | Code::EnvelopeOfGone | Code::EnvelopeOfOther => {
            end_deposit(context, key).await
        }
        Code::OrphanAudio => delete_audio(context, finding, key).await,
        Code::OrphanGreeting => delete_greeting(context, key).await,
        Code::LeftoverProbe => {
            delete(context.store(), context.world(), key).await?;
            Ok(Some("deleted"))
        }
        Code::Unpruned => {
            let now = context.world().now();
            let later = context.store().prune_history(History::Of(key), now).await?;
            Ok(later.is_none().then_some("pruned"))
        }
        Code::UndecodableDue | Code::UndecodableKey => quarantine_object(context, key).await,
        Code::UndecodableSettings => quarantine_document(context, key).await,
        Code::UndecodableEnvelope => replace_envelope(context, key).await,
        Code::RunWithoutDue => file_run(context, key).await,
        _ => match (parse_index(&finding.key), load(context, key).await?) {
            (Some(mailbox), Some(index)) => repair_mailbox(context, finding, mailbox, &index).await,
            _ => Ok(None),
        },
    }
}

async fn load(context: &Context, key: &Key) -> Result<Option<Index>, StoreError> {
    if parse_index(key.as_str()).is_none() { Ok(None) } else { context.documents().load(key).await }
}

async fn repair_mailbox(
    context: &Context,
    finding: &Finding,
    mailbox: MailboxId,
    index: &Index,
) -> Result<Option<&'static str>, StoreError> {
    let part = finding.part.as_deref().unwrap_or_default();
    let (id, run) = part.split_once(' ').unwrap_or((part, ""));
    let entry = id.parse::<MessageId>().ok().and_then(|id| Some((id, index.entries.get(&id)?)));
    match (finding.code, entry) {
        (Code::ExpiryWithoutDue, _) => {
            let first = index.entries.values().map(Entry::deadline).min();
            ensure_retention(context, &mailbox, first.unwrap_or_default().max(context.world().now())).await?;
            Ok(Some("filed"))
        }
        (Code::ClosedWithEntries, _) => {
            file(context, Due::Close { mailbox, generation: index.generation }).await
        }
        (Code::DeletingWithoutDue, Some((id, entry))) => file_deletion(context, mailbox, id, entry).await,
        (Code::MissingEnvelope, Some((id, entry))) => {
            make_envelope(context, &mailbox, id, entry, index.generation).await
        }
        (Code::FlagOfUndone, Some(_)) => {
            let Some(run) = read_run(run) else { return Ok(None) };
            context.indexes().try_apply(&mailbox, IndexOp::ClearFlags { run }).await?;
            Ok(Some("shown again"))
        }
        (Code::CallerWithheld, Some((id, entry))) => refile(context, &mailbox, id, entry).await,
        (Code::CoveredAndVisible, Some((id, entry))) => hide(context, &mailbox, id, entry, run).await,
        _ => Ok(None),
    }
}

fn read_run(text: &str) -> Option<RunId> {
    serde_json::from_value(text.into()).ok()
}

async fn file(context: &Context, due: Due) -> Result<Option<&'static str>, StoreError> {
    let item = due.at(context.world().now());
    ensure(context.store(), context.world(), &Key::due(&item), &encode(&item)?).await?;
    Ok(Some("filed"))
}

async fn file_deletion(
    context: &Context,
    mailbox: MailboxId,
    id: MessageId,
    entry: &Entry,
) -> Result<Option<&'static str>, StoreError> {
    if entry.state != MessageState::Deleting {
        return Ok(None);
    }
    let Entry { caller_hash: caller, audio, region, .. } = entry.clone();
    let attempt = context.world().random_hex();
    file(context, Due::Delete { mailbox, id, caller, audio, region, attempt }).await
}

/// A run that forgot its callers already can't be moved on from here: its item named them.
async fn file_run(context: &Context, key: &Key) -> Result<Option<&'static str>, StoreError> {
    let run: Option<Run> = context.documents().load(key).await?;
    match run.filter(|run| !run.has_ended() && run.remembers()) {
        Some(run) => {
            let cutoff = run.cutoff.unwrap_or(run.created_at);
            let Run { id, callers, messages, doubtful, .. } = run;
            file(context, Due::Run { run: id, stage: RunStage::Resume, callers, messages, doubtful, cutoff })
                .await
        }
        None => Ok(None),
    }
}

async fn hide(
    context: &Context,
    mailbox: &MailboxId,
    id: MessageId,
    entry: &Entry,
    run: &str,
) -> Result<Option<&'static str>, StoreError> {
    let Some(run) = read_run(run) else { return Ok(None) };
    let mark: Option<Mark> = context.documents().load(&Key::mark(&entry.caller_hash)).await?;
    let marked = mark.and_then(|mark| mark.runs.get(&run).cloned());
    let Some(marked) = marked.filter(|marked| marked.state == MarkState::Marked) else { return Ok(None) };
    if let Some(only) = &marked.only
        && !context.is_read_as(only, entry.caller.as_ref(), &only.callers).await?
    {
        return Ok(None);
    }
    let messages = BTreeMap::from([(id, entry.caller_hash.clone())]);
    let op = IndexOp::Flag { run, purge_at: marked.purge_at, messages };
    context.indexes().try_apply(mailbox, op).await?;
    Ok(Some("hidden"))
}

/// Inserts the entry and checks it against the erasure marker in the place of the replica that died; without audio
/// there is nothing to complete.
async fn end_deposit(context: &Context, key: &Key) -> Result<Option<&'static str>, StoreError> {
    let Some((caller, mailbox, id)) = parse(key) else { return Ok(None) };
    let read = read::object::<Envelope>(context.store(), key).await?;
    let Some(envelope) = read.value().cloned() else { return Ok(None) };
    let index: Option<Index> = context.documents().load(&Key::index(&mailbox)).await?;
    let Some(index) = index else { return Ok(None) };
    let entry = index.entries.get(&id);
    let own = AudioKey::parse(envelope.audio.as_str()).is_some_and(|(_, parts)| parts.caller == caller);
    // Misfiled by somebody: what it names may be another message's audio.
    if !own || entry.is_some_and(|entry| entry.audio == envelope.audio) {
        return Ok(None);
    }
    let theirs = entry.is_some_and(|entry| entry.caller_hash != caller);
    let audio = context.region(&envelope.region)?.read(&Key::audio(&envelope.audio), Some(0..0)).await?;
    ensure_retention(context, &mailbox, envelope.expires).await?;
    let insertion = Insertion { mailbox, id, caller, envelope };
    let finisher = Finisher::new(context);
    if theirs || (audio.is_none() && !index.entries.contains_key(&id)) {
        finisher.remove_own(&insertion).await?;
        return Ok(Some("dropped"));
    }
    match finisher.finish(insertion).await {
        Ok(_) => Ok(Some("completed")),
        Err(MailboxError::Store(error)) => Err(error),
        Err(_) => Ok(Some("dropped")),
    }
}

async fn delete_audio(
    context: &Context,
    finding: &Finding,
    key: &Key,
) -> Result<Option<&'static str>, StoreError> {
    let region = context.region(finding.region.as_deref().unwrap_or_default())?;
    delete(region.as_ref(), context.world(), key).await?;
    Ok(Some("deleted"))
}

/// Looked at once more by the services, since it may have come into force.
async fn delete_greeting(context: &Context, key: &Key) -> Result<Option<&'static str>, StoreError> {
    let Some((audio, ..)) = GreetingKey::parse(key.as_str()) else { return Ok(None) };
    Ok((settle_greeting(context, &audio).await? == GreetingStatus::Deleted).then_some("deleted"))
}

async fn quarantine_object(context: &Context, key: &Key) -> Result<Option<&'static str>, StoreError> {
    match context.store().get(key).await? {
        Some(bytes) => move_away(context, key, bytes).await,
        None => Ok(None),
    }
}

async fn quarantine_document(context: &Context, key: &Key) -> Result<Option<&'static str>, StoreError> {
    match context.store().load(key).await? {
        Some(found) => move_away(context, key, found.bytes).await,
        None => Ok(None),
    }
}

/// The copy first: a crash in between leaves both.
async fn move_away(
    context: &Context,
    key: &Key,
    bytes: bytes::Bytes,
) -> Result<Option<&'static str>, StoreError> {
    let (store, world) = (context.store(), context.world());
    ensure(store, world, &Key::quarantine(world.now(), key), &bytes).await?;
    delete(store, world, key).await?;
    Ok(Some("moved to quarantine"))
}

/// Out of the way, and made again if its message is there; without one it was never acknowledged.
async fn replace_envelope(context: &Context, key: &Key) -> Result<Option<&'static str>, StoreError> {
    let Some((_, mailbox, id)) = parse(key) else { return Ok(None) };
    // An index that can't be read may hold the message.
    let index: Option<Index> = context.documents().load(&Key::index(&mailbox)).await?;
    let Some(index) = index else { return Ok(None) };
    let moved = quarantine_object(context, key).await?;
    match index.entries.get(&id).filter(|entry| Key::envelope(&entry.caller_hash, &mailbox, id) == *key) {
        Some(entry) => make_envelope(context, &mailbox, id, entry, index.generation).await,
        None => Ok(moved),
    }
}

async fn make_envelope(
    context: &Context,
    mailbox: &MailboxId,
    id: MessageId,
    entry: &Entry,
    generation: u32,
) -> Result<Option<&'static str>, StoreError> {
    let Some((rules, normalised)) = find_form(context, entry) else { return Ok(None) };
    let tag = CallerTag::new(context.config().caller_tag, normalised.as_ref(), &entry.caller_hash);
    let envelope = Envelope::of_entry(entry, normalised, rules, generation);
    let key = Key::envelope(&entry.caller_hash, mailbox, id);
    create_or_read(context.store(), context.world(), &key, &encode(&envelope)?, Some(&tag)).await?;
    Ok(Some("made again"))
}

/// The rule set and form under which an entry's caller has the hash that it is filed under.
fn find_form(context: &Context, entry: &Entry) -> Option<(u32, Option<CallerId>)> {
    let identity = context.identity();
    if entry.caller_hash == CallerHash::withheld() {
        return Some((identity.rule_sets.last()?.id, None));
    }
    let caller = entry.caller.as_ref()?;
    identity.rule_sets.iter().find_map(|rules| {
        let form = rules.normalise(caller)?;
        let ours = context.key().hash(&form) == entry.caller_hash;
        ours.then(|| (rules.id, CallerId::named(&form)))
    })
}
