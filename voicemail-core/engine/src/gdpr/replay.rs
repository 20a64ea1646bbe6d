//! After a restore: everything that was erased since the backup was made is erased again, and requests and legal holds
//! that came since are there again, from a ledger that was kept outside the store. Holds come first, so that
//! each keeps what it kept then; requests and erasures follow in their order.
//!
//! Each erasure runs under its old name, so that doing it twice does nothing. The store's own ledger takes the
//! entries over only when all of them have been carried out: a crash before leaves the store behind, and not served.

use super::chain;
use super::erase::{Scope, erase, erase_rounds};
use super::forget::add_mark;
use super::ledger::{self, LedgerEntry};
use super::promise::{self, Promise};
use super::runs::load_run;
use super::{Gdpr, GdprError, register};
use voicemail_api::gdpr::{LedgerHead, LedgerText, LedgerView, RunState};
use voicemail_model::Run;
use voicemail_store::Key;
use voicemail_store::documents::Decision;

/// The outcome of a replay.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Replayed {
    /// Erasures that the store didn't know.
    pub runs: u64,
    /// Requests that wait, legal holds, and ends of either that the store didn't know.
    pub brought_back: u64,
    /// Messages erased again.
    pub erased: u64,
    /// The store's newest erasure now.
    pub head: LedgerHead,
}

/// Carries out what the store doesn't know yet.
pub(super) async fn replay(gdpr: &Gdpr, ledger: &LedgerView) -> Result<Replayed, GdprError> {
    let context = &gdpr.context;
    context.guard_clock().await?;
    let own = ledger::read_head(context).await?;
    let missing = choose(ledger, &context.identity().store_id, &own)?;
    let mut replayed = Replayed { head: own, ..Replayed::default() };
    let entries: Result<Vec<LedgerEntry>, GdprError> =
        missing.iter().map(|text| LedgerEntry::read(&text.text)).collect();
    let entries = entries?;
    // Before any receipt of what is carried out again.
    ledger::adopt_links(context, &ledger.head).await?;
    // Holds before everything else: one may have been entered after an erasure that it kept its message from.
    for hold in promise::latest_holds(&entries) {
        promise::carry_out(context, hold).await?;
        replayed.brought_back += 1;
    }
    for (position, entry) in entries.iter().enumerate() {
        let later = entries.get(position + 1..).unwrap_or_default();
        match &entry.promise {
            None => {
                replayed.erased += erase_again(gdpr, entry).await?;
                replayed.runs += 1;
            }
            // Of a request only the newest entry counts: what became of it, if it is there.
            Some(promise @ Promise::Run { .. }) if later.iter().all(|later| later.run != entry.run) => {
                promise::carry_out(context, promise).await?;
                replayed.brought_back += 1;
            }
            Some(_) => {}
        }
    }
    if !missing.is_empty() {
        ledger::adopt(context, &missing, &ledger.head).await?;
        replayed.head = ledger.head.clone();
    }
    Ok(replayed)
}

/// The entries after the store's own newest, once it is sure that they follow it.
fn choose(ledger: &LedgerView, store_id: &str, own: &LedgerHead) -> Result<Vec<LedgerText>, GdprError> {
    let mismatch = |what| Err(GdprError::LedgerMismatch(what));
    if ledger.store_id != store_id {
        return mismatch("it is of another store");
    }
    let mut entries = ledger.entries.clone();
    entries.sort_by_key(|entry| entry.epoch);
    for pair in entries.windows(2) {
        let [before, after] = pair else { continue };
        if LedgerEntry::read(&after.text)?.previous != chain::hash(&before.text) {
            return mismatch("its entries don't follow one another: one is missing or was changed");
        }
    }
    let newest = entries.last().map(|entry| (entry.epoch, chain::hash(&entry.text)));
    if newest.is_some_and(|newest| newest != (ledger.head.epoch, ledger.head.hash.clone())) {
        return mismatch("its head isn't its last entry's");
    }
    if own.epoch > ledger.head.epoch {
        return mismatch("the store has erased more since: fetch a newer one");
    }
    let missing: Vec<LedgerText> = entries.into_iter().filter(|entry| entry.epoch > own.epoch).collect();
    match missing.first() {
        None if own.epoch < ledger.head.epoch => mismatch("it lacks the erasures that the store lacks"),
        None if own.hash != ledger.head.hash => mismatch("the store's newest erasure is another"),
        Some(first) if first.epoch != own.epoch + 1 => {
            mismatch("it begins later than the backup: the backup is older than backupRetention")
        }
        Some(first) if LedgerEntry::read(&first.text)?.previous != own.hash => {
            mismatch("the store's erasures are others than those of the ledger")
        }
        _ => Ok(missing),
    }
}

async fn erase_again(gdpr: &Gdpr, entry: &LedgerEntry) -> Result<u64, GdprError> {
    let context = &gdpr.context;
    let target = entry.target();
    let revive = |found: Option<Run>, now| {
        let mut run = found.unwrap_or_else(|| Run::unknown(&entry.run, &entry.case, entry.at));
        let changed = run.replay(
            &target.callers,
            target.doubtful.as_ref(),
            &target.messages,
            entry.cutoff,
            entry.epoch,
            now,
        );
        if changed { Decision::Write(run.clone(), run) } else { Decision::Keep(run) }
    };
    let run = context.documents().update(&Key::run(&entry.run), revive).await?;
    register::note(context, &run).await?;
    let times = (entry.cutoff, run.purge_at.unwrap_or(entry.at));
    for (key, only) in target.marks() {
        add_mark(context, &key, &entry.run, times, only.as_ref()).await?;
    }
    ledger::hide(context, &entry.run, &target, entry.cutoff, times.1).await?;
    let scope = Scope { run: &entry.run, target: &target, cutoff: entry.cutoff };
    let before = run.erased + run.late;
    match run.state {
        RunState::Purged => drop(erase_rounds(context, scope, run).await?),
        // It ends now, or when superseded states are gone: a due item is filed then.
        _ => erase(gdpr, scope).await?,
    }
    let after = load_run(context, &entry.run).await?.map_or(before, |run| run.erased + run.late);
    Ok(after.saturating_sub(before))
}

#[cfg(test)]
mod tests {
    use super::*;
    use voicemail_api::gdpr::Operation;
    use voicemail_model::{CaseId, RunId, Time};

    fn entry(epoch: u64, previous: &str) -> LedgerText {
        let case: CaseId = "c".parse().unwrap();
        let entry = LedgerEntry {
            schema: 1,
            epoch,
            previous: previous.into(),
            run: RunId::new(&case, Operation::ForgetMe, 1),
            case,
            callers: Vec::new(),
            doubtful: None,
            messages: Vec::new(),
            promise: None,
            cutoff: Time(1),
            at: Time(1),
        };
        LedgerText { epoch, text: serde_json::to_string(&entry).unwrap() }
    }

    fn ledger() -> LedgerView {
        let first = entry(1, "");
        let second = entry(2, &chain::hash(&first.text));
        let head = LedgerHead { epoch: 2, hash: chain::hash(&second.text), receipts: None, seals: None };
        LedgerView { store_id: "s".into(), head, entries: vec![first, second] }
    }

    fn own(epoch: u64, hash: &str) -> LedgerHead {
        LedgerHead { epoch, hash: hash.into(), receipts: None, seals: None }
    }

    #[test]
    fn what_the_store_lacks_is_chosen() {
        let ledger = ledger();
        let first = chain::hash(&ledger.entries[0].text);
        assert_eq!(choose(&ledger, "s", &own(0, "")).unwrap().len(), 2);
        assert_eq!(choose(&ledger, "s", &own(1, &first)).unwrap().len(), 1);
        assert_eq!(choose(&ledger, "s", &ledger.head).unwrap().len(), 0);
    }

    #[test]
    fn a_ledger_that_does_not_follow_the_stores_is_refused() {
        let refused = |ledger: &LedgerView, own: &LedgerHead| choose(ledger, "s", own).is_err();
        let good = ledger();
        assert!(choose(&good, "t", &own(0, "")).is_err(), "another store's");
        assert!(refused(&good, &own(1, "forged")) && refused(&good, &own(2, "forged")));
        assert!(refused(&good, &own(3, "x")), "older than the store");
        let mut late = good.clone();
        late.entries.remove(0);
        assert!(refused(&late, &own(0, "")), "begins too late");
        let mut changed = good.clone();
        changed.entries[0].text = changed.entries[0].text.replace("\"cutoff\":1", "\"cutoff\":2");
        assert!(refused(&changed, &own(0, "")), "an entry was changed");
        let mut headless = good;
        headless.head.epoch = 3;
        assert!(refused(&headless, &own(0, "")), "the newest entry is missing");
    }
}
