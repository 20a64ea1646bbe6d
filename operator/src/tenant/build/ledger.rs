//! The ledger of erasures outside the store, in a Secret that is never owned or collected. Pure.
//!
//! It holds callers by keyed hash, messages by name, and cut-offs, for as long as backups live. A copy only ever grows
//! by what follows it: what a restored store says is refused ([`Refused`]), since it would wipe out the very thing
//! that gives the restore away.

use crate::tenant::build::names::{child, ledger_name};
use crate::tenant::steps::validate::Plan;
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use std::collections::BTreeMap;
use std::io;
use std::time::Duration;
use voicemail_api::gdpr::{LEDGER_FILE, LEDGER_HEAD, LedgerText, LedgerView, unpack_ledger};

/// The largest packed ledger in bytes: a Secret holds 1 MiB, the head and names included.
pub const MOST_BYTES: usize = 1_000_000;
const DAY: SignedDuration = SignedDuration::from_hours(24);

/// Why the copy stays as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// The store isn't the one that the copy is of.
    #[error("the copy is of another store")]
    OtherStore,
    /// The store has carried out fewer erasures or issued fewer receipts than are known, or others.
    #[error("the store's erasures don't follow those of the copy: it was restored from a backup")]
    NotFollowing,
}

/// Reads a copy. None if it can't be read.
pub fn read_copy(secret: &Secret) -> Option<LedgerView> {
    let bytes = &secret.data.as_ref()?.get(LEDGER_FILE)?.0;
    serde_json::from_str(&unpack_ledger(bytes).ok()?).ok()
}

/// The copy with what followed it, without what is older than any backup. None if it is the same.
///
/// # Errors
/// [`Refused`].
pub fn extend(
    copy: Option<&LedgerView>,
    news: &LedgerView,
    retention: Duration,
    now: Timestamp,
) -> Result<Option<LedgerView>, Refused> {
    let empty = LedgerView { store_id: news.store_id.clone(), ..LedgerView::default() };
    let known = copy.unwrap_or(&empty);
    check_follows(known, news)?;
    let oldest =
        i128::from((now - DAY).as_millisecond()) - i128::try_from(retention.as_millis()).unwrap_or(i128::MAX);
    let young = |entry: &&LedgerText| entry.link().is_none_or(|link| i128::from(link.at) >= oldest);
    let fresh = news.entries.iter().filter(|entry| entry.epoch > known.head.epoch);
    let entries = known.entries.iter().chain(fresh).filter(young).cloned().collect();
    let extended = LedgerView { store_id: news.store_id.clone(), head: news.head.clone(), entries };
    Ok((extended != *known).then_some(extended))
}

fn check_follows(known: &LedgerView, news: &LedgerView) -> Result<(), Refused> {
    if known.store_id != news.store_id {
        return Err(Refused::OtherStore);
    }
    let first =
        news.entries.iter().filter(|entry| entry.epoch > known.head.epoch).min_by_key(|entry| entry.epoch);
    let follows = match first {
        // Nobody looked for longer than entries live: what lies between is gone, and so are the backups.
        Some(first) if first.epoch > known.head.epoch + 1 => true,
        Some(first) => first.link().is_some_and(|link| link.previous == known.head.hash),
        None => news.head.epoch > known.head.epoch || news.head.is_same_entry(&known.head),
    };
    let behind = news.head.epoch < known.head.epoch
        || news.head.lacks_receipts_of(&known.head)
        || news.head.lacks_seals_of(&known.head);
    if behind || !follows { Err(Refused::NotFollowing) } else { Ok(()) }
}

/// Builds the Secret. Of a ledger that is too large the oldest entries are left out; their number is the second value.
///
/// # Errors
/// It can't be encoded.
pub fn build_ledger_secret(plan: &Plan, ledger: &LedgerView) -> io::Result<(Secret, usize)> {
    let head = serde_json::to_vec(&ledger.head)?;
    let (packed, left_out) = pack_within(ledger, MOST_BYTES)?;
    let data = [(LEDGER_HEAD, head), (LEDGER_FILE, packed)];
    let secret = Secret {
        metadata: child(plan, ledger_name(&plan.name)),
        type_: Some("Opaque".into()),
        data: Some(BTreeMap::from(data.map(|(key, bytes)| (key.to_owned(), ByteString(bytes))))),
        ..Default::default()
    };
    Ok((secret, left_out))
}

fn pack_within(ledger: &LedgerView, most: usize) -> io::Result<(Vec<u8>, usize)> {
    let mut fitting = ledger.clone();
    loop {
        let packed = fitting.pack()?;
        if packed.len() <= most || fitting.entries.is_empty() {
            return Ok((packed, ledger.entries.len() - fitting.entries.len()));
        }
        let tenth = fitting.entries.len().div_ceil(10);
        fitting.entries.drain(..tenth);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use voicemail_api::gdpr::{LedgerHead, ReceiptsHead};

    const RETENTION: Duration = Duration::from_secs(35 * 86_400);

    fn now() -> Timestamp {
        "2026-11-23T10:00:00Z".parse().unwrap()
    }

    fn entry(epoch: u64, previous: &str, days_ago: i64) -> LedgerText {
        let at = now().as_millisecond() - days_ago * 86_400_000;
        let text =
            json!({"schema": 1, "epoch": epoch, "previous": previous, "case": "c", "at": at}).to_string();
        LedgerText { epoch, text }
    }

    fn ledger(epoch: u64, hash: &str, entries: Vec<LedgerText>) -> LedgerView {
        LedgerView {
            store_id: "s".into(),
            head: LedgerHead { epoch, hash: hash.into(), receipts: None, seals: None },
            entries,
        }
    }

    fn extend_by(copy: Option<&LedgerView>, news: &LedgerView) -> Result<Option<LedgerView>, Refused> {
        extend(copy, news, RETENTION, now())
    }

    #[test]
    fn a_copy_grows_by_what_follows_it_and_stays_the_same_otherwise() {
        let none = ledger(0, "", Vec::new());
        assert_eq!(extend_by(None, &none), Ok(None), "no erasure, no Secret");
        let one = ledger(1, "h1", vec![entry(1, "", 1)]);
        assert_eq!(extend_by(None, &one), Ok(Some(one.clone())));
        assert_eq!(extend_by(Some(&one), &ledger(1, "h1", Vec::new())), Ok(None));
        let two = extend_by(Some(&one), &ledger(2, "h2", vec![entry(2, "h1", 0)])).unwrap().unwrap();
        assert_eq!((two.head.epoch, two.entries.len()), (2, 2));
    }

    #[test]
    fn what_a_restored_store_says_never_replaces_the_copy() {
        let two = ledger(2, "h2", vec![entry(1, "", 1), entry(2, "h1", 1)]);
        for restored in [
            ledger(0, "", Vec::new()),
            ledger(1, "h1", Vec::new()),
            ledger(2, "x2", Vec::new()),
            ledger(3, "x3", vec![entry(3, "x2", 0)]),
        ] {
            assert_eq!(extend_by(Some(&two), &restored), Err(Refused::NotFollowing), "{:?}", restored.head);
        }
        let other = LedgerView { store_id: "t".into(), ..two.clone() };
        assert_eq!(extend_by(Some(&two), &other), Err(Refused::OtherStore));
    }

    #[test]
    fn newer_receipts_are_kept_and_fewer_give_a_restore_away() {
        let with = |number: u64| {
            let mut ledger = ledger(1, "h1", vec![entry(1, "", 1)]);
            ledger.head.receipts = Some(ReceiptsHead { number, hash: format!("r{number}") });
            ledger
        };
        let before = ledger(1, "h1", vec![entry(1, "", 1)]);
        assert_eq!(extend_by(Some(&before), &with(3)), Ok(Some(with(3))), "a copy of before has none");
        assert_eq!(extend_by(Some(&with(3)), &with(4)), Ok(Some(with(4))));
        assert_eq!(extend_by(Some(&with(4)), &with(4)), Ok(None));
        assert_eq!(extend_by(Some(&with(4)), &with(3)), Err(Refused::NotFollowing));
        assert_eq!(extend_by(Some(&with(4)), &before), Err(Refused::NotFollowing));
    }

    #[test]
    fn entries_older_than_any_backup_go_and_the_head_stays() {
        let old = ledger(2, "h2", vec![entry(1, "", 40), entry(2, "h1", 35)]);
        let pruned = extend_by(Some(&old), &ledger(2, "h2", Vec::new())).unwrap().unwrap();
        assert_eq!((pruned.head.epoch, pruned.entries.len()), (2, 1));
        let late = ledger(9, "h9", vec![entry(9, "h8", 1)]);
        assert_eq!(extend_by(Some(&pruned), &late).unwrap().unwrap().head.epoch, 9, "after a long silence");
    }

    #[test]
    fn of_a_ledger_that_is_too_large_the_newest_part_is_kept() {
        let entries =
            (1..=200).map(|epoch| entry(epoch, &format!("{:064x}", epoch * 0x9e37_79b9), 1)).collect();
        let large = ledger(200, "h", entries);
        let (packed, left_out) = pack_within(&large, 1_000).unwrap();
        let text = unpack_ledger(&packed).unwrap();
        let kept: LedgerView = serde_json::from_str(&text).unwrap();
        assert!(packed.len() <= 1_000 && left_out > 0 && kept.entries.len() + left_out == 200);
        assert_eq!((kept.head.epoch, kept.entries.last().unwrap().epoch), (200, 200));
        assert_eq!(pack_within(&large, MOST_BYTES).unwrap().1, 0);
    }
}
