//! Keeps the register: one entry a run, made with it, rewritten when something is decided, and kept for ever.

use super::GdprError;
use crate::context::Context;
use futures::TryStreamExt;
use voicemail_api::gdpr::RunState;
use voicemail_model::{RegisterEntry, Run, Time};
use voicemail_store::documents::Decision;
use voicemail_store::{Key, StoreError};

/// Writes what the register says of a run now.
pub(super) async fn note(context: &Context, run: &Run) -> Result<(), StoreError> {
    let entry = RegisterEntry::of(run, context.world().now());
    let write = |found: Option<RegisterEntry>, _| match found {
        Some(known) if entry.is_behind(&known) => Decision::Keep(()),
        Some(known) => {
            let entry = RegisterEntry { unknown: known.unknown.clone(), ..entry.clone() };
            if entry == known { Decision::Keep(()) } else { Decision::Write(entry, ()) }
        }
        None => Decision::Write(entry.clone(), ()),
    };
    let (documents, key) = (context.documents(), Key::register(run.received_at(), &run.id));
    match run.state {
        // It was made just now.
        RunState::Opening | RunState::Collecting => documents.update_new(&key, write).await?,
        _ => documents.update(&key, write).await?,
    }
    context.register_writes().count();
    Ok(())
}

/// A part of the register.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RegisterPart {
    /// Oldest first.
    pub entries: Vec<RegisterEntry>,
    /// Entries that can't be read, of these months: they are left out.
    pub unreadable: u64,
}

/// Longest stretch that one call reads, in months.
const MOST_MONTHS: u32 = 120;

/// Entries of requests received from `from` up to and without `to`, oldest first.
pub(super) async fn read(context: &Context, from: Time, to: Time) -> Result<RegisterPart, GdprError> {
    if from >= to || from.plus_months(MOST_MONTHS) < to {
        return Err(GdprError::InvalidField("to", "write a time after from, at most ten years later".into()));
    }
    let RegisterPart { mut entries, mut unreadable } = RegisterPart::default();
    for step in 0..=MOST_MONTHS {
        let month = from.first_of_month().plus_months(step);
        if month >= to {
            break;
        }
        let keys: Vec<String> = context.store().list(&Key::registered_in(month)).try_collect().await?;
        let read = |key: Key| async move {
            match context.documents().load::<RegisterEntry>(&key).await {
                // One bad entry must not take all others from those who have to account for them.
                Err(error) if error.is_about_one() => Ok(Err(())),
                other => other.map(Ok),
            }
        };
        let found = context.all(keys.iter().filter_map(|key| Key::listed(key)), read).await?;
        unreadable += found.iter().filter(|entry| entry.is_err()).count() as u64;
        entries.extend(found.into_iter().flatten().flatten());
    }
    let received = |entry: &RegisterEntry| Time::from_rfc3339(&entry.received_at).unwrap_or_default();
    entries.retain(|entry| received(entry) >= from && received(entry) < to);
    entries.sort_by_key(|entry| (received(entry), entry.run.clone()));
    Ok(RegisterPart { entries, unreadable })
}
