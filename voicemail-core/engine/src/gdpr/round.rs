//! One round of a purge, from its manifest: entries out of sight, audio, envelopes, entries out.
//!
//! A region that is away keeps its messages' entries and envelopes, which lead to their audio, and the round stays
//! open for them; all else of the round goes at once. A message that came under a legal hold after the manifest was
//! written stays whole. While the round goes on the run says every few seconds how many of its messages are gone; for
//! good they count at its end, once.

use super::GdprError;
use super::runs::{change, load_run};
use super::search::whole;
use crate::context::Context;
use std::collections::{BTreeMap, BTreeSet};
use voicemail_api::gdpr::RunState;
use voicemail_model::fault_injection::{self, Broken};
use voicemail_model::{Advance, IndexOp, IndexOutcome, MailboxId, Manifest, PurgeItem, Run};
use voicemail_store::codec::decode;
use voicemail_store::retry_until_known::delete;
use voicemail_store::{ErrorClass, Key, StoreError};

/// The outcome of a round.
#[derive(Default)]
struct Tally {
    /// Entries that went now.
    touched: u64,
    /// Messages that are gone, by region.
    gone: BTreeMap<String, u64>,
    /// Mailboxes that can't be read.
    unreadable: usize,
    blocked: BTreeMap<String, (u64, &'static str)>,
}

/// Erases the messages of the round's manifest, which is read unless it is known. Returns how many entries went, and the
/// run as it is then, if there is one. Once all has gone the run notes it, and `beside` is done, at the same time.
pub(super) async fn erase_round<T>(
    context: &Context,
    run: &Run,
    known: Option<Manifest>,
    beside: impl Future<Output = Result<T, StoreError>>,
) -> Result<(u64, Option<Run>, Option<T>), GdprError> {
    let manifest = match known {
        Some(manifest) => Some(manifest),
        None => read_manifest(context, run).await?,
    };
    let Some(manifest) = manifest else {
        // Another worker has ended this round, and perhaps the run.
        return match load_run(context, &run.id).await? {
            Some(now) if now.round_done < run.round => {
                Err(StoreError::Refused(format!("the manifest of round {} is missing", run.round)).into())
            }
            now => Ok((0, now, None)),
        };
    };
    let advance = Advance::new(context.world().monotonic());
    let mut tally = erase_all(context, run, &manifest, &advance).await?;
    tally.blocked = advance.into_blocked();
    report_blocked(context, run, &tally).await?;
    // The manifest stays for the mailboxes that couldn't be read.
    whole(tally.unreadable)?;
    let finished = finish_round(context, run, &manifest, &tally);
    let (now, beside) = tokio::try_join!(finished, beside)?;
    Ok((tally.touched, now, Some(beside)))
}

async fn read_manifest(context: &Context, run: &Run) -> Result<Option<Manifest>, StoreError> {
    let bytes = context.store().get(&Key::manifest(&run.id, run.round)).await?;
    bytes.map(|bytes| decode(&bytes)).transpose()
}

/// One step of all mailboxes and messages after the other, so that a round makes no more calls at a time than any other
/// operation may, however many mailboxes it is about.
async fn erase_all(
    context: &Context,
    run: &Run,
    manifest: &Manifest,
    advance: &Advance,
) -> Result<Tally, StoreError> {
    let mut tally = Tally::default();
    let begin = |(mailbox, items): (&MailboxId, &Vec<PurgeItem>)| {
        let (mailbox, items) = (mailbox.clone(), items.clone());
        async move { legible(begin_in_mailbox(context, mailbox, items).await) }
    };
    let begun = context.all(&manifest.items, begin).await?;
    tally.unreadable += begun.iter().filter(|begun| begun.is_none()).count();
    let gone = erase_objects(context, run, begun.into_iter().flatten().flatten(), advance).await?;
    let mut boxes: BTreeMap<MailboxId, Vec<PurgeItem>> = BTreeMap::new();
    for (mailbox, item) in gone {
        *tally.gone.entry(item.region.clone()).or_default() += 1;
        boxes.entry(mailbox).or_default().push(item);
    }
    let finish = |(mailbox, items)| async move {
        let op = IndexOp::FinishPurge(items);
        legible(context.indexes().try_apply(&mailbox, op).await)
    };
    for finished in context.all(boxes, finish).await? {
        match finished.map(|applied| applied.map(|applied| applied.outcome)) {
            Some(Some(IndexOutcome::Touched(touched))) => tally.touched += u64::from(touched),
            Some(_) => {}
            None => tally.unreadable += 1,
        }
    }
    Ok(tally)
}

/// None for what can't be read: it stays, and the round with it.
pub(super) fn legible<T>(outcome: Result<T, StoreError>) -> Result<Option<T>, StoreError> {
    match outcome {
        Err(error) if error.is_about_one() => Ok(None),
        other => other.map(Some),
    }
}

/// Says which regions the run waits for; the round isn't over then.
async fn report_blocked(context: &Context, run: &Run, tally: &Tally) -> Result<(), GdprError> {
    let Some(region) = tally.blocked.keys().next().cloned() else { return Ok(()) };
    let round = run.round;
    let note = |run: &mut Run, _| {
        run.note_blocked(&tally.blocked);
        run.note_gone(round, &tally.gone);
        (true, ())
    };
    change(context, &run.id, note).await?;
    Err(GdprError::RegionDown { region })
}

/// Takes the round's messages of one mailbox out of sight. Gives those that go.
async fn begin_in_mailbox(
    context: &Context,
    mailbox: MailboxId,
    items: Vec<PurgeItem>,
) -> Result<Vec<(MailboxId, PurgeItem)>, StoreError> {
    let applied = context.indexes().try_apply(&mailbox, IndexOp::BeginPurge(items.clone())).await?;
    // Once an entry is `deleting` no hold can be put on it: what isn't by then is held.
    let held = match fault_injection::is(Broken::HoldIgnored) {
        true => BTreeSet::new(),
        false => applied.map(|applied| applied.held).unwrap_or_default(),
    };
    let going = items.into_iter().filter(|item| !held.contains(&item.id));
    Ok(going.map(|item| (mailbox.clone(), item)).collect())
}

/// Deletes each message's audio first, then its envelope; messages side by side. Gives those that are gone.
pub(super) async fn erase_objects(
    context: &Context,
    run: &Run,
    going: impl Iterator<Item = (MailboxId, PurgeItem)>,
    advance: &Advance,
) -> Result<Vec<(MailboxId, PurgeItem)>, StoreError> {
    let erase = |(mailbox, item): (MailboxId, PurgeItem)| async move {
        if !erase_audio_and_envelope(context, &mailbox, &item, advance).await? {
            return Ok::<_, StoreError>(None);
        }
        if let Some(gone) = advance.count(&item.region, context.world().monotonic()) {
            say(context, run, &gone).await?;
        }
        Ok(Some((mailbox, item)))
    };
    Ok(context.all(going, erase).await?.into_iter().flatten().collect())
}

/// Says in the run how far its round is, for those who wait for it.
async fn say(context: &Context, run: &Run, gone: &BTreeMap<String, u64>) -> Result<(), StoreError> {
    let note = |found: &mut Run, _| (found.note_gone(run.round, gone), ());
    change(context, &run.id, note).await.map(drop)
}

/// False when the message's region is away: then its envelope, which leads to the audio, stays.
async fn erase_audio_and_envelope(
    context: &Context,
    mailbox: &MailboxId,
    item: &PurgeItem,
    advance: &Advance,
) -> Result<bool, StoreError> {
    let world = context.world();
    let envelope = Key::envelope(&item.caller, mailbox, item.id);
    // A region that didn't answer a moment ago isn't waited for again.
    if advance.counts_one_more(&item.region) {
        return Ok(false);
    }
    match delete(context.region(&item.region)?.as_ref(), world, &Key::audio(&item.audio)).await {
        Ok(()) => delete(context.store(), world, &envelope).await.map(|()| true),
        Err(error) if error.class() == ErrorClass::Transient && item.region != context.master() => {
            advance.note(&item.region, error.reason());
            Ok(false)
        }
        Err(error) => Err(error),
    }
}

async fn finish_round(
    context: &Context,
    run: &Run,
    manifest: &Manifest,
    tally: &Tally,
) -> Result<Option<Run>, StoreError> {
    let round = run.round;
    let messages: u64 = tally.gone.values().sum();
    let finish = |run: &mut Run, now| {
        if run.round_done >= round {
            return (false, ());
        }
        run.round_done = round;
        run.touched.extend(manifest.items.keys().map(|mailbox| (mailbox.clone(), round)));
        run.note_erased(&tally.gone, now);
        match run.state {
            RunState::Purged => run.late += messages,
            _ => run.erased += messages,
        }
        (true, ())
    };
    Ok(change(context, &run.id, finish).await?.map(|(run, ())| run))
}
