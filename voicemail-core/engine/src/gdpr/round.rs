//! One round of a purge, from its manifest: entries out of sight, audio, envelopes, entries out.
//!
//! A region that is away keeps its messages' entries and envelopes, which lead to their audio, and the round stays
//! open for them; all else of the round goes at once. A message that came under a legal hold after the manifest was
//! written stays whole.

use super::GdprError;
use super::runs::{change, load_run};
use super::search::whole;
use crate::context::Context;
use parking_lot::Mutex;
use std::collections::BTreeMap;
use voicemail_api::gdpr::RunState;
use voicemail_model::fault_injection::{self, Broken};
use voicemail_model::{Entry, IndexOp, IndexOutcome, MailboxId, Manifest, MessageState, PurgeItem, Run};
use voicemail_store::codec::decode;
use voicemail_store::retry_until_known::delete;
use voicemail_store::{ErrorClass, Key, StoreError};

/// Regions that don't answer: how many messages wait there, and why.
type Blocked = BTreeMap<String, (u64, &'static str)>;

/// Regions that a round found away, shared by all that it does at a time.
#[derive(Default)]
pub(super) struct Waiting(Mutex<Blocked>);

impl Waiting {
    /// Whether the region is away; then one message more waits for it.
    fn counts_one_more(&self, region: &str) -> bool {
        let mut blocked = self.0.lock();
        let Some((waiting, _)) = blocked.get_mut(region) else { return false };
        *waiting += 1;
        true
    }

    fn note(&self, region: &str, reason: &'static str) {
        self.0.lock().entry(region.to_owned()).or_insert((0, reason)).0 += 1;
    }
}

/// The outcome of a round.
#[derive(Default)]
struct Tally {
    /// Entries that went now.
    touched: u64,
    /// Messages that are gone, by region.
    gone: BTreeMap<String, u64>,
    /// Mailboxes that can't be read.
    unreadable: usize,
    blocked: Blocked,
}

impl Tally {
    fn with(mut self, other: Self) -> Self {
        self.touched += other.touched;
        self.unreadable += other.unreadable;
        for (region, gone) in other.gone {
            *self.gone.entry(region).or_default() += gone;
        }
        self
    }
}

/// Erases the messages of the round's manifest. Returns how many entries went.
pub(super) async fn erase_round(context: &Context, run: &Run) -> Result<u64, GdprError> {
    let missing = || StoreError::Refused(format!("the manifest of round {} is missing", run.round));
    let bytes = context.store().get(&Key::manifest(&run.id, run.round)).await?;
    let manifest: Manifest = match bytes {
        Some(bytes) => decode(&bytes)?,
        // Another worker has ended this round, and perhaps the run.
        None => match load_run(context, &run.id).await? {
            Some(now) if now.round_done < run.round => return Err(missing().into()),
            _ => return Ok(0),
        },
    };
    let waiting = Waiting::default();
    let erase = |(mailbox, items): (&MailboxId, &Vec<PurgeItem>)| {
        let (mailbox, items, waiting) = (mailbox.clone(), items.clone(), &waiting);
        async move {
            match erase_in_mailbox(context, &mailbox, &items, waiting).await {
                Err(error) if error.is_about_one() => Ok(Tally { unreadable: 1, ..Tally::default() }),
                other => other,
            }
        }
    };
    let tallies = context.all(&manifest.items, erase).await?;
    let mut tally = tallies.into_iter().fold(Tally::default(), Tally::with);
    tally.blocked = waiting.0.into_inner();
    report_blocked(context, run, &tally).await?;
    // The manifest stays for the mailboxes that couldn't be read.
    whole(tally.unreadable)?;
    finish_round(context, run, &manifest, &tally).await?;
    Ok(tally.touched)
}

/// Says which regions the run waits for; the round isn't over then.
async fn report_blocked(context: &Context, run: &Run, tally: &Tally) -> Result<(), GdprError> {
    let Some(region) = tally.blocked.keys().next().cloned() else { return Ok(()) };
    let round = run.round;
    let note = |run: &mut Run, _| {
        run.note_blocked(&tally.blocked);
        if run.round_done < round && run.state != RunState::Purged {
            run.note_gone(&tally.gone);
        }
        (true, ())
    };
    change(context, &run.id, note).await?;
    Err(GdprError::RegionDown { region })
}

/// Erases the round's messages of one mailbox.
async fn erase_in_mailbox(
    context: &Context,
    mailbox: &MailboxId,
    items: &[PurgeItem],
    waiting: &Waiting,
) -> Result<Tally, StoreError> {
    let mut tally = Tally::default();
    context.indexes().try_apply(mailbox, IndexOp::BeginPurge(items.to_vec())).await?;
    let going = without_held(context, mailbox, items).await?;
    let gone = erase_objects(context, mailbox, &going, waiting).await?;
    let applied = context.indexes().try_apply(mailbox, IndexOp::FinishPurge(gone.clone())).await?;
    if let Some(IndexOutcome::Touched(touched)) = applied.map(|applied| applied.outcome) {
        tally.touched += u64::from(touched);
    }
    for item in gone {
        *tally.gone.entry(item.region).or_default() += 1;
    }
    Ok(tally)
}

/// Once an entry is `deleting` no hold can be put on it: what isn't by now is held.
async fn without_held(
    context: &Context,
    mailbox: &MailboxId,
    items: &[PurgeItem],
) -> Result<Vec<PurgeItem>, StoreError> {
    if fault_injection::is(Broken::HoldIgnored) {
        return Ok(items.to_vec());
    }
    let index = context.indexes().load(mailbox).await?;
    let stays = |item: &&PurgeItem| {
        let entry = index.as_ref().and_then(|index| index.entries.get(&item.id));
        let standing =
            |entry: &&Entry| entry.caller_hash == item.caller && entry.state != MessageState::Deleting;
        entry.filter(standing).is_some()
    };
    Ok(items.iter().filter(|item| !stays(item)).cloned().collect())
}

/// Deletes each message's audio first, then its envelope; messages side by side. Gives those that are gone.
pub(super) async fn erase_objects(
    context: &Context,
    mailbox: &MailboxId,
    items: &[PurgeItem],
    waiting: &Waiting,
) -> Result<Vec<PurgeItem>, StoreError> {
    let erase = |item: &PurgeItem| {
        let item = item.clone();
        async move {
            let gone = erase_audio_and_envelope(context, mailbox, &item, waiting).await?;
            Ok::<_, StoreError>(gone.then_some(item))
        }
    };
    Ok(context.all(items, erase).await?.into_iter().flatten().collect())
}

/// False when the message's region is away: then its envelope, which leads to the audio, stays.
async fn erase_audio_and_envelope(
    context: &Context,
    mailbox: &MailboxId,
    item: &PurgeItem,
    waiting: &Waiting,
) -> Result<bool, StoreError> {
    let world = context.world();
    let envelope = Key::envelope(&item.caller, mailbox, item.id);
    // A region that didn't answer a moment ago isn't waited for again.
    if waiting.counts_one_more(&item.region) {
        return Ok(false);
    }
    match delete(context.region(&item.region)?.as_ref(), world, &Key::audio(&item.audio)).await {
        Ok(()) => delete(context.store(), world, &envelope).await.map(|()| true),
        Err(error) if error.class() == ErrorClass::Transient && item.region != context.master() => {
            waiting.note(&item.region, error.reason());
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
) -> Result<(), StoreError> {
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
    change(context, &run.id, finish).await?;
    Ok(())
}
