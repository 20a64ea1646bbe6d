//! Keeps the register: one entry a run, made with it, rewritten when something is decided, and kept for ever.

use super::GdprError;
use crate::context::Context;
use futures::TryStreamExt;
use voicemail_api::gdpr::RunState;
use voicemail_model::{RegisterEntry, Run, Time};
use voicemail_store::documents::Decision;
use voicemail_store::{Family, Key, StoreError};

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
    /// Oldest first; those of a page in the order of the store: by month, in it by run.
    pub entries: Vec<RegisterEntry>,
    /// Entries that can't be read, of these months: they are left out.
    pub unreadable: u64,
    /// Where the next page begins, if there is one.
    pub next: Option<String>,
}

/// A page of the register.
#[derive(Clone, Debug)]
pub struct RegisterPage {
    /// At most this many entries are read for it.
    pub limit: usize,
    /// `next` of the page before.
    pub cursor: Option<String>,
}

/// Longest stretch that one call reads, in months.
const MOST_MONTHS: u32 = 120;

/// Entries of requests received from `from` up to and without `to`; all of them without a page.
pub(super) async fn read(
    context: &Context,
    (from, to): (Time, Time),
    page: Option<&RegisterPage>,
) -> Result<RegisterPart, GdprError> {
    if from >= to || from.plus_months(MOST_MONTHS) < to {
        return Err(GdprError::InvalidField("to", "write a time after from, at most ten years later".into()));
    }
    let after = page.and_then(|page| page.cursor.as_deref()).unwrap_or_default();
    let limit = page.map_or(usize::MAX, |page| page.limit);
    let (keys, more) = list(context, (from, to), after, limit).await?;
    let next = keys.last().filter(|_| more).map(|key| Key::register_name(key.as_str()).to_owned());
    let load = |key: Key| async move {
        match context.documents().load::<RegisterEntry>(&key).await {
            // One bad entry must not take all others from those who have to account for them.
            Err(error) if error.is_about_one() => Ok(Err(())),
            other => other.map(Ok),
        }
    };
    let found = context.all(keys, load).await?;
    let unreadable = found.iter().filter(|entry| entry.is_err()).count() as u64;
    let received = |entry: &RegisterEntry| Time::from_rfc3339(&entry.received_at).unwrap_or_default();
    let mut entries: Vec<_> = found.into_iter().flatten().flatten().collect();
    entries.retain(|entry| received(entry) >= from && received(entry) < to);
    if page.is_none() {
        entries.sort_by_key(|entry| (received(entry), entry.run.clone()));
    }
    Ok(RegisterPart { entries, unreadable, next })
}

/// At most so many entries of these months that come after that name, and whether there are more.
pub(super) async fn list(
    context: &Context,
    (from, to): (Time, Time),
    after: &str,
    limit: usize,
) -> Result<(Vec<Key>, bool), StoreError> {
    let (mut found, last) = (Vec::new(), to.month());
    let begin = Key::registered_in(from).max(format!("{}{after}", Family::Register.prefix()));
    let mut keys = context.store().list_after(Family::Register.prefix(), &begin);
    while let Some(key) = keys.try_next().await? {
        if Key::register_name(&key).split('/').next().is_some_and(|month| month > last.as_str()) {
            break;
        }
        if found.len() == limit {
            return Ok((found, true));
        }
        found.extend(Key::listed(&key));
    }
    Ok((found, false))
}
