//! One round of a purge, from its manifest: entries out of sight, audio, envelopes, entries out.
//!
//! A region that is away keeps its messages' entries and envelopes, which lead to their audio, and the round stays
//! open for them; all else of the round goes at once. A message that came under a legal hold after the manifest was
//! written stays whole.

use super::GdprError;
use super::runs::{change, load_run};
use super::search::whole;
use crate::context::Context;
use std::collections::BTreeMap;
use voicemail_api::gdpr::RunState;
use voicemail_model::fault_injection::{self, Broken};
use voicemail_model::{Entry, IndexOp, IndexOutcome, MailboxId, Manifest, MessageState, PurgeItem, Run};
use voicemail_store::codec::decode;
use voicemail_store::retry_until_known::delete;
use voicemail_store::{ErrorClass, Key, StoreError};

/// Regions that don't answer: how many messages wait there, and why.
type Blocked = BTreeMap<String, (u64, &'static str)>;

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
    let mut tally = Tally::default();
    for (mailbox, items) in &manifest.items {
        match erase_in_mailbox(context, mailbox, items, &mut tally).await {
            Ok(()) => {}
            Err(error) if error.is_about_one() => tally.unreadable += 1,
            Err(error) => return Err(error.into()),
        }
    }
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
    tally: &mut Tally,
) -> Result<(), StoreError> {
    context.indexes().try_apply(mailbox, IndexOp::BeginPurge(items.to_vec())).await?;
    let going = without_held(context, mailbox, items).await?;
    let gone = erase_objects(context, mailbox, &going, &mut tally.blocked).await?;
    let applied = context.indexes().try_apply(mailbox, IndexOp::FinishPurge(gone.clone())).await?;
    if let Some(IndexOutcome::Touched(touched)) = applied.map(|applied| applied.outcome) {
        tally.touched += u64::from(touched);
    }
    for item in gone {
        *tally.gone.entry(item.region).or_default() += 1;
    }
    Ok(())
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

/// Deletes audio first, then the envelopes of all messages whose audio is gone; gives these messages.
pub(super) async fn erase_objects(
    context: &Context,
    mailbox: &MailboxId,
    items: &[PurgeItem],
    blocked: &mut Blocked,
) -> Result<Vec<PurgeItem>, StoreError> {
    let (world, master) = (context.world(), context.master());
    let mut gone = Vec::new();
    for item in items {
        // A region that didn't answer a moment ago isn't waited for again.
        if let Some((waiting, _)) = blocked.get_mut(&item.region) {
            *waiting += 1;
            continue;
        }
        match delete(context.region(&item.region)?.as_ref(), world, &Key::audio(&item.audio)).await {
            Ok(()) => gone.push(item.clone()),
            Err(error) if error.class() == ErrorClass::Transient && item.region != master => {
                blocked.insert(item.region.clone(), (1, error.reason()));
            }
            Err(error) => return Err(error),
        }
    }
    for item in &gone {
        delete(context.store(), world, &Key::envelope(&item.caller, mailbox, item.id)).await?;
    }
    Ok(gone)
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
