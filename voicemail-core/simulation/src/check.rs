//! The invariants: what must hold at every moment, and what must hold when all is quiet.

use super::tenant::{BOXES, CALLERS, Tenant, hash, mailbox};
use bytes::Bytes;
use futures::FutureExt;
use std::collections::{BTreeMap, BTreeSet};
use voicemail_api::gdpr::{ReceiptsHead, RunState};
use voicemail_engine::fsck::{Code, Finding, Severity};
use voicemail_model::{AudioKey, Entry, Index, MessageId, MessageState, Run, Time};
use voicemail_store::Key;

/// The clients' knowledge: the promises they got, and their requests.
#[derive(Clone, Default)]
pub(super) struct Ledger {
    /// Acknowledged messages: mailbox, caller, and when they were received at the latest.
    pub(super) acknowledged: BTreeMap<MessageId, (String, String, Time)>,
    /// Somebody asked for these to be deleted.
    pub(super) deletions: BTreeSet<MessageId>,
    /// Somebody asked for these mailboxes to be closed.
    pub(super) closings: BTreeSet<String>,
    /// Messages under an acknowledged legal hold that nobody has begun to end, and their mailboxes.
    pub(super) held: BTreeMap<MessageId, String>,
    /// Somebody asked for their holds to be ended.
    pub(super) released: BTreeSet<MessageId>,
    /// Forget cases, their callers, and whether marking was reported as done.
    pub(super) cases: BTreeMap<String, (String, bool)>,
    /// The newest receipt that was known outside the store when it was restored.
    pub(super) receipts: Option<ReceiptsHead>,
}

pub(super) type Verdict = Result<(), String>;

type Dump = BTreeMap<String, Bytes>;

fn covers(run: &Run, entry: &Entry, caller: &str) -> bool {
    entry.caller_hash == hash(caller) && run.cutoff.is_some_and(|cutoff| entry.received <= cutoff)
}

/// At any moment: nothing that is erased, or was acknowledged and is hidden, can be seen.
pub(super) fn visible(tenant: &Tenant, ledger: &Ledger) -> Verdict {
    for name in BOXES {
        for (id, entry) in tenant.index(name).entries.iter().filter(|(_, entry)| entry.is_visible()) {
            for (case, (caller, marked)) in &ledger.cases {
                let Some(run) = tenant.run(case).filter(|run| covers(run, entry, caller)) else { continue };
                if run.state == RunState::Purged {
                    return Err(format!("{id} is visible although {case} is purged"));
                }
                let hiding = matches!(run.state, RunState::Marked | RunState::Purging);
                if hiding && *marked && ledger.acknowledged.contains_key(id) {
                    return Err(format!("{id} is acknowledged and covered by {case}, but visible"));
                }
            }
        }
    }
    held(tenant, ledger)
}

/// A message under a legal hold is whole, whatever is decided about it.
fn held(tenant: &Tenant, ledger: &Ledger) -> Verdict {
    if ledger.held.is_empty() {
        return Ok(());
    }
    let dump = tenant.dump();
    for (id, name) in &ledger.held {
        let index = tenant.index(name);
        let entry = index.entries.get(id).filter(|entry| entry.state != MessageState::Deleting);
        let entry = entry.ok_or_else(|| format!("{id} is held and has no entry"))?;
        let envelope = Key::envelope(&entry.caller_hash, &mailbox(name), *id);
        if !dump.contains_key(entry.audio.as_str()) || !dump.contains_key(envelope.as_str()) {
            return Err(format!("{id} is held and has lost its audio or envelope"));
        }
    }
    Ok(())
}

/// When all is quiet: nothing is half done, nothing promised is lost, nothing erased is left.
pub(super) fn quiet(tenant: &Tenant, ledger: &Ledger) -> Verdict {
    let (mut entries, dump) = (BTreeMap::new(), tenant.dump());
    for name in BOXES {
        for (id, entry) in tenant.index(name).entries {
            check_entry(&dump, name, id, &entry)?;
            entries.insert((name.to_owned(), id), entry);
        }
    }
    check_leftovers(&dump, &entries)?;
    for (case, (caller, _)) in &ledger.cases {
        check_run(tenant, case, caller, &entries)?;
    }
    check_promises(tenant, ledger, &entries)?;
    check_chains(&dump, ledger.receipts.as_ref())?;
    check_store(tenant)
}

/// The verdict of `fsck` on the store: a second opinion by code that shares nothing with the services.
fn check_store(tenant: &Tenant) -> Verdict {
    let context = tenant.plain_context();
    let mut found = Vec::new();
    let show = |finding: &Finding| {
        // A simulated tenant has no tenant document: its replicas are put together by hand.
        // Only mandatory pruning happens there: a purge has to find the states left by writers that died.
        let expected = matches!(finding.code, Code::UndecodableTenant | Code::Unpruned);
        if finding.severity != Severity::Note && !expected {
            found.push(finding.clone());
        }
    };
    let checked = voicemail_engine::fsck::check(&context, show).now_or_never();
    checked.ok_or("a check waits")?.map_err(|error| error.to_string())?;
    if found.is_empty() { Ok(()) } else { Err(format!("fsck finds {found:?}")) }
}

fn check_entry(dump: &Dump, name: &str, id: MessageId, entry: &Entry) -> Verdict {
    if entry.state == MessageState::Deleting {
        return Err(format!("{id} is being deleted for ever"));
    }
    if !entry.forget.is_empty() {
        return Err(format!("{id} is hidden for ever by {:?}", entry.forget));
    }
    if !dump.contains_key(entry.audio.as_str()) {
        return Err(format!("{id} has an entry without audio"));
    }
    let key = Key::envelope(&entry.caller_hash, &mailbox(name), id);
    let envelope = dump.get(key.as_str()).ok_or_else(|| format!("{id} has an entry without envelope"))?;
    let audio: AudioKey = voicemail_store::codec::decode_envelope(envelope).map_err(|e| e.to_string())?.audio;
    if audio == entry.audio { Ok(()) } else { Err(format!("{id}: the envelope names other audio")) }
}

fn check_leftovers(dump: &Dump, entries: &BTreeMap<(String, MessageId), Entry>) -> Verdict {
    for key in dump.keys() {
        if let Some((audio, parts)) = AudioKey::parse(key) {
            let entry = entries.get(&(parts.mailbox.to_string(), parts.id));
            if entry.is_none_or(|entry| entry.audio != audio) {
                return Err(format!("orphan audio {key}"));
            }
        }
        if key.starts_with("ca/") {
            let (mailbox, id) = voicemail_store::parse_envelope(key).ok_or("a strange envelope")?;
            let entry = entries.get(&(mailbox.to_string(), id));
            if entry.is_none_or(|entry| !key.contains(entry.caller_hash.as_str())) {
                return Err(format!("orphan envelope {key}"));
            }
        }
        if key.starts_with("due/") && !key.contains("/retain.") {
            return Err(format!("a due item is left: {key}"));
        }
        if key.contains(".manifest.") || key.starts_with("probe/") {
            return Err(format!("left behind: {key}"));
        }
    }
    Ok(())
}

fn check_run(
    tenant: &Tenant,
    case: &str,
    caller: &str,
    entries: &BTreeMap<(String, MessageId), Entry>,
) -> Verdict {
    // A request that died before its run existed was never accepted.
    let Some(run) = tenant.run(case) else { return Ok(()) };
    if !run.has_ended() {
        return Err(format!("{case} ends as {:?}", run.state));
    }
    if run.remembers() {
        return Err(format!("{case} has ended and still knows its subject"));
    }
    if run.state == RunState::Purged {
        let survivor = entries.iter().find(|(_, entry)| covers(&run, entry, caller));
        if let Some(((_, id), _)) = survivor {
            return Err(format!("{id} survives the purge of {case}"));
        }
        check_superseded(tenant, case, &run, caller)?;
    }
    Ok(())
}

/// No state that a mailbox had before the end of a purge, however long ago, names what the purge covers. What a legal
/// hold kept, or came late, goes with the walk of the day.
fn check_superseded(tenant: &Tenant, case: &str, run: &Run, caller: &str) -> Verdict {
    if run.late > 0 || !run.kept.is_empty() {
        return Ok(());
    }
    let before_the_end = |at: Time| run.ended_at.is_some_and(|ended| at <= ended);
    for (key, at, bytes) in tenant.ground.superseded() {
        if !key.ends_with("/index") || !before_the_end(at) {
            continue;
        }
        let index: Index = serde_json::from_slice(&bytes).map_err(|error| error.to_string())?;
        let named = index.entries.iter().find(|(_, entry)| covers(run, entry, caller));
        if let Some((id, _)) = named {
            return Err(format!("a superseded state of {key} names {id}, which {case} has erased"));
        }
    }
    Ok(())
}

/// Receipts and ledger: numbered without a gap, each with the hash of the one before; a run has one receipt. After a
/// restore receipts go on from the newest that was known outside.
fn check_chains(dump: &Dump, outside: Option<&ReceiptsHead>) -> Verdict {
    let hash = |bytes: &[u8]| hex::encode(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, bytes));
    let (mut previous, mut links) = ((0, String::new()), 0);
    for (key, bytes) in dump.iter().filter(|(key, _)| key.starts_with("receipts/0")) {
        let link: serde_json::Value = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
        let outside = outside.map(|head| (head.number, head.hash.clone())).filter(|head| head.0 > previous.0);
        // It stands for the newest that was known outside; its receipt was lost with the restore.
        if link["adopted"] == true {
            let known =
                outside.filter(|(number, hash)| link["number"] == *number && link["hash"] == hash.as_str());
            previous = known.ok_or_else(|| format!("{key} stands for a link that nobody knows"))?;
            continue;
        }
        let follows = |(number, hash): &(u64, String)| {
            link["number"] == number + 1 && link["previous"] == hash.as_str()
        };
        if !follows(&previous) && !outside.as_ref().is_some_and(follows) {
            return Err(format!("{key} doesn't follow {previous:?}"));
        }
        let number = link["number"].as_u64().unwrap_or_default();
        previous = (number, link["hash"].as_str().unwrap_or_default().to_owned());
        links += 1;
    }
    let bodies = dump.keys().filter(|key| key.ends_with(".receipt")).count();
    if bodies != links {
        return Err(format!("{bodies} receipts and {links} links"));
    }
    let (mut number, mut before, mut entered) = (0, String::new(), BTreeSet::new());
    for (key, bytes) in dump.iter().filter(|(key, _)| key.starts_with("ledger/0")) {
        let entry: serde_json::Value = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
        let epoch = entry["epoch"].as_u64().unwrap_or_default();
        // Old entries go; those that are left follow one another.
        if number > 0 && (epoch != number + 1 || entry["previous"] != before.as_str()) {
            return Err(format!("{key} doesn't follow number {number}"));
        }
        if entry.get("promise").is_none() && !entered.insert(entry["run"].to_string()) {
            return Err(format!("{key} enters an erasure again"));
        }
        (number, before) = (epoch, hash(bytes));
    }
    Ok(())
}

fn check_promises(
    tenant: &Tenant,
    ledger: &Ledger,
    entries: &BTreeMap<(String, MessageId), Entry>,
) -> Verdict {
    for (id, (name, caller, received)) in &ledger.acknowledged {
        let purged = |case: &String, of: &String| {
            let run = tenant.run(case).filter(|run| run.state == RunState::Purged && of == caller);
            run.and_then(|run| run.cutoff).is_some_and(|cutoff| *received <= cutoff)
        };
        let excused = ledger.deletions.contains(id)
            || ledger.closings.contains(name)
            || ledger.cases.iter().any(|(case, (of, _))| purged(case, of));
        if !excused && !entries.contains_key(&(name.clone(), *id)) {
            return Err(format!("{id} was acknowledged and is lost"));
        }
    }
    Ok(())
}

/// Everything below `au/` and `ca/` of a caller.
pub(super) fn traces(tenant: &Tenant, caller: &str) -> Vec<String> {
    debug_assert!(CALLERS.contains(&caller));
    let hash = hash(caller);
    let of_caller =
        |key: &&String| (key.starts_with("au/") || key.starts_with("ca/")) && key.contains(hash.as_str());
    tenant.dump().keys().filter(of_caller).cloned().collect()
}
