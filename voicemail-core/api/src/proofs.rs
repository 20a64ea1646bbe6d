//! Checks a receipt: its signature over its exact words, with a public key that was kept apart from it; and the chains of
//! receipts and of the audit log's seals. Pure.
//!
//! Shared by the `gdpr` command and kubectl's plugin. The key in the receipt itself isn't looked at: whoever forges a
//! receipt brings a key that fits.

use crate::gdpr::{LedgerHead, ProofsView, ReceiptLink, ReceiptsHead, Seal};
use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::signature::{ED25519, UnparsedPublicKey};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeSet;

/// Why a receipt proves nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProofError {
    /// It isn't a receipt.
    #[error("it can't be read")]
    Unreadable,
    /// Its signature isn't one.
    #[error("its signature can't be read")]
    SignatureUnreadable,
    /// The keys' file holds none.
    #[error("there is no public key to check it with")]
    NoKey,
    /// Its words are not what a holder of the key has signed.
    #[error("no given key has signed it")]
    NotSigned,
}

#[derive(Deserialize)]
struct Signed {
    receipt: String,
    signature: String,
}

/// The receipt's words, if one of the keys has signed them. `signed` is the answer to `GET …/receipts/…`, `keys` that to
/// `GET …/gdpr/keys`, or one raw key in base64.
///
/// # Errors
/// [`ProofError`].
pub fn verify_receipt(signed: &str, keys: &str) -> Result<String, ProofError> {
    let signed: Signed = serde_json::from_str(signed).map_err(|_| ProofError::Unreadable)?;
    let signature = STANDARD.decode(&signed.signature).map_err(|_| ProofError::SignatureUnreadable)?;
    let keys = read_keys(keys);
    if keys.is_empty() {
        return Err(ProofError::NoKey);
    }
    if is_signed(&signed.receipt, &signature, &keys) {
        Ok(signed.receipt)
    } else {
        Err(ProofError::NotSigned)
    }
}

/// Whether one of the keys has signed these exact words.
fn is_signed(words: &str, signature: &[u8], keys: &[Vec<u8>]) -> bool {
    let fits =
        |key: &Vec<u8>| UnparsedPublicKey::new(&ED25519, key).verify(words.as_bytes(), signature).is_ok();
    keys.iter().any(fits)
}

/// A chain that proofs are links of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Chain {
    /// Of receipts.
    Receipts,
    /// Of the audit log's seals.
    Seals,
}

impl Chain {
    /// One of its links.
    fn link(self) -> &'static str {
        match self {
            Self::Receipts => "receipt",
            Self::Seals => "seal",
        }
    }
}

/// What is wrong, in words, and with which chain.
type Faults = Vec<(Chain, String)>;

/// What is wrong with the chains of a tenant, in words; nothing where all is as it was made.
///
/// `kept` is the head that is kept outside the store: without it nobody notices that the newest links are gone.
///
/// # Errors
/// `NoKey`.
pub fn verify_chains(
    proofs: &ProofsView,
    kept: Option<&LedgerHead>,
    keys: &str,
) -> Result<Vec<String>, ProofError> {
    let keys = read_keys(keys);
    if keys.is_empty() {
        return Err(ProofError::NoKey);
    }
    let faults = find_faults(proofs, kept, Some(keys.as_slice()));
    Ok(faults.into_iter().map(|(_, words)| words).collect())
}

/// The chains that have a fault, as [`verify_chains`] finds it, without a look at signatures: for whoever has no key at
/// hand.
pub fn find_broken(proofs: &ProofsView, kept: Option<&LedgerHead>) -> BTreeSet<Chain> {
    find_faults(proofs, kept, None).into_iter().map(|(chain, _)| chain).collect()
}

fn find_faults(proofs: &ProofsView, kept: Option<&LedgerHead>, keys: Option<&[Vec<u8>]>) -> Faults {
    let mut faults = Faults::new();
    let receipts: Vec<Link> = proofs.receipts.iter().map(Link::of).collect();
    let mut heads = vec![("the store's head", &proofs.head)];
    heads.extend(kept.map(|head| ("the head outside the store", head)));
    // Whoever checks signatures wants to know of restores, too.
    let tell_restores = keys.is_some();
    check_chain(Chain::Receipts, &receipts, tell_restores, &mut faults);
    let (seals, links) = read_seals(proofs, keys, &mut faults);
    check_chain(Chain::Seals, &links, tell_restores, &mut faults);
    for (whose, head) in heads {
        check_head(Chain::Receipts, &receipts, head.receipts.as_ref(), whose, &mut faults);
        check_head(Chain::Seals, &links, head.seals.as_ref(), whose, &mut faults);
    }
    check_hours(proofs, &seals, &mut faults);
    faults
}

struct Link {
    number: u64,
    previous: String,
    hash: String,
    adopted: bool,
}

impl Link {
    fn of(link: &ReceiptLink) -> Self {
        let ReceiptLink { number, previous, hash, adopted } = link.clone();
        Self { number, previous, hash, adopted }
    }
}

fn sha256(text: &str) -> String {
    let digest = digest(&SHA256, text.as_bytes());
    digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The seals that a key has signed, as links of their chain.
fn read_seals(proofs: &ProofsView, keys: Option<&[Vec<u8>]>, faults: &mut Faults) -> (Vec<Seal>, Vec<Link>) {
    let (mut seals, mut links) = (Vec::new(), Vec::new());
    for signed in &proofs.seals {
        let signature = STANDARD.decode(&signed.signature).unwrap_or_default();
        match serde_json::from_str::<Seal>(&signed.seal) {
            Ok(seal) if keys.is_none_or(|keys| is_signed(&signed.seal, &signature, keys)) => {
                let (number, previous) = (seal.number, seal.previous.clone());
                links.push(Link { number, previous, hash: sha256(&signed.seal), adopted: false });
                seals.push(seal);
            }
            Ok(seal) => {
                faults.push((Chain::Seals, format!("seal {}: no given key has signed it", seal.number)));
            }
            Err(_) => faults.push((Chain::Seals, "a seal can't be read".into())),
        }
    }
    links.extend(proofs.adopted_seals.iter().map(Link::of));
    links.sort_by_key(|link| link.number);
    (seals, links)
}

fn check_chain(chain: Chain, links: &[Link], tell_restores: bool, faults: &mut Faults) {
    let what = chain.link();
    let mut note = |words: String| faults.push((chain, words));
    let first = links.first().filter(|link| link.number > 1 || !link.previous.is_empty());
    if let Some(link) = first.filter(|link| !link.adopted) {
        note(format!("{what}s before number {} are missing", link.number));
    }
    for link in links.iter().filter(|link| link.adopted && tell_restores) {
        note(format!("{what}s up to number {} were lost when the store was restored", link.number));
    }
    for pair in links.windows(2) {
        let [before, after] = pair else { continue };
        if after.adopted {
            continue;
        }
        if after.number != before.number + 1 {
            note(format!("{what}s between numbers {} and {} are missing", before.number, after.number));
        } else if after.previous != before.hash {
            note(format!("{what} {} doesn't follow the one before it", after.number));
        }
    }
}

fn check_head(chain: Chain, links: &[Link], head: Option<&ReceiptsHead>, whose: &str, faults: &mut Faults) {
    let what = chain.link();
    let Some(head) = head else { return };
    match links.iter().find(|link| link.number == head.number) {
        None => faults.push((chain, format!("{what} {}, which {whose} names, is missing", head.number))),
        Some(link) if link.hash != head.hash => {
            faults.push((chain, format!("{what} {} isn't the one that {whose} names", head.number)));
        }
        Some(_) => {}
    }
}

fn check_hours(proofs: &ProofsView, seals: &[Seal], faults: &mut Faults) {
    let mut note =
        |hour: &str, words: String| faults.push((Chain::Seals, format!("audit log, hour {hour}: {words}")));
    let found = |hour: &str| proofs.hours.iter().find(|found| found.hour == hour);
    for seal in seals.iter().filter(|seal| seal.hour >= proofs.kept_from) {
        let hour = &seal.hour;
        match found(hour) {
            None => note(hour, format!("all {} acts are missing", seal.events)),
            Some(now) if now.events != seal.events => {
                note(hour, format!("{} acts were sealed, and there are {}", seal.events, now.events));
            }
            Some(now) if now.hash != seal.hash => {
                note(hour, "its acts aren't those that were sealed".into());
            }
            Some(_) => {}
        }
    }
    let first = seals.first().map_or("", |seal| seal.hour.as_str());
    for hour in &proofs.hours {
        let sealed = seals.iter().any(|seal| seal.hour == hour.hour);
        let should_be = *hour.hour > *first && hour.hour <= proofs.sealed_up_to;
        if !sealed && should_be {
            note(&hour.hour, format!("{} acts have no seal", hour.events));
        }
    }
}

/// One raw key in base64, or those of an answer to `GET …/gdpr/keys`.
fn read_keys(text: &str) -> Vec<Vec<u8>> {
    let decode = |text: &str| STANDARD.decode(text.trim()).ok().filter(|key| !key.is_empty());
    match serde_json::from_str::<Value>(text) {
        Ok(listed) => {
            let keys = listed["keys"].as_array().into_iter().flatten();
            keys.filter_map(|key| decode(key["publicKey"].as_str()?)).collect()
        }
        Err(_) => decode(text).into_iter().collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gdpr::{AuditHour, SignedSeal};
    use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
    use serde_json::json;

    const WORDS: &str = r#"{"case":"7","erased":3}"#;

    fn sign() -> (String, String) {
        let pair = Ed25519KeyPair::from_seed_unchecked(&[7; 32]).unwrap();
        let signature = STANDARD.encode(pair.sign(WORDS.as_bytes()));
        let signed = json!({"receipt": WORDS, "signature": signature, "publicKey": "of no interest"});
        (signed.to_string(), STANDARD.encode(pair.public_key()))
    }

    #[test]
    fn a_genuine_receipt_gives_its_words_for_either_form_of_the_key() {
        let (signed, key) = sign();
        let listed =
            json!({"keys": [{"publicKey": STANDARD.encode([1; 32])}, {"publicKey": key}]}).to_string();
        for keys in [key, listed] {
            assert_eq!(verify_receipt(&signed, &keys).as_deref(), Ok(WORDS));
        }
    }

    /// Two receipts and two sealed hours, as they were made, and the key.
    fn chains() -> (ProofsView, String) {
        let pair = Ed25519KeyPair::from_seed_unchecked(&[7; 32]).unwrap();
        let (mut view, mut previous) = (ProofsView::default(), String::new());
        for (number, hour) in [(1, "2026112908"), (2, "2026112910")] {
            let hash = sha256(&format!("receipt {number}"));
            let before = view.receipts.last().map(|link| link.hash.clone()).unwrap_or_default();
            view.receipts.push(ReceiptLink { number, previous: before, hash: hash.clone(), adopted: false });
            let seal = json!({
                "schema": 1, "number": number, "previous": previous, "tenant": "t", "storeId": "s", "hour": hour,
                "events": number, "hash": format!("acts {number}"), "sealedAt": "2026-11-29T12:00:00Z",
            });
            let seal = seal.to_string();
            let signature = STANDARD.encode(pair.sign(seal.as_bytes()));
            previous = sha256(&seal);
            view.seals.push(SignedSeal { seal, signature });
            view.hours.push(AuditHour { hour: hour.into(), events: number, hash: format!("acts {number}") });
            view.head.receipts = Some(ReceiptsHead { number, hash });
            view.head.seals = Some(ReceiptsHead { number, hash: previous.clone() });
        }
        view.sealed_up_to = "2026112911".into();
        (view, STANDARD.encode(pair.public_key()))
    }

    #[test]
    fn whatever_is_removed_or_changed_in_a_chain_or_a_sealed_hour_is_told() {
        let (whole, key) = chains();
        let kept = whole.head.clone();
        let faults = |change: &dyn Fn(&mut ProofsView)| {
            let mut changed = whole.clone();
            change(&mut changed);
            verify_chains(&changed, Some(&kept), &key).unwrap().join("; ")
        };
        assert_eq!(faults(&|_| {}), "");
        type Damage<'a> = &'a dyn Fn(&mut ProofsView);
        let cases: [(Damage<'_>, &str); 9] = [
            (&|view| drop(view.receipts.remove(0)), "receipts before number 2"),
            (&|view| view.receipts[1].previous = "x".into(), "receipt 2 doesn't follow"),
            (
                &|view| drop((view.receipts.pop(), view.head.receipts = None)),
                "receipt 2, which the head outside",
            ),
            (&|view| drop((view.seals.pop(), view.head.seals = None)), "seal 2, which the head outside"),
            (
                &|view| view.seals[1].seal = view.seals[1].seal.replace("acts 2", "acts 3"),
                "no given key has signed",
            ),
            (&|view| drop(view.hours.pop()), "hour 2026112910: all 2 acts are missing"),
            (&|view| view.hours[1].events = 1, "2 acts were sealed, and there are 1"),
            (&|view| view.hours[1].hash = "x".into(), "aren't those that were sealed"),
            (
                &|view| view.hours.push(AuditHour { hour: "2026112909".into(), events: 1, hash: "x".into() }),
                "hour 2026112909: 1 acts have no seal",
            ),
        ];
        for (change, expected) in cases {
            let found = faults(change);
            assert!(found.contains(expected), "{expected}: {found}");
        }
        let open = |view: &mut ProofsView| {
            view.hours.push(AuditHour { hour: "2026112912".into(), events: 9, hash: "x".into() });
        };
        assert_eq!(faults(&open), "", "the open hour proves nothing yet");
        let expired = |view: &mut ProofsView| {
            (view.kept_from, view.hours) = ("2026112909".into(), view.hours.split_off(1));
        };
        assert_eq!(faults(&expired), "", "seals outlive the acts");
        assert_eq!(verify_chains(&whole, None, ""), Err(ProofError::NoKey));
    }

    #[test]
    fn anything_else_proves_nothing() {
        let (signed, key) = sign();
        let changed = signed.replace("erased\\\":3", "erased\\\":4");
        assert_ne!(signed, changed);
        let cases = [
            ("no receipt", key.as_str(), ProofError::Unreadable),
            (r#"{"receipt":"x","signature":"!"}"#, &key, ProofError::SignatureUnreadable),
            (&signed, "", ProofError::NoKey),
            (&signed, r#"{"keys":[]}"#, ProofError::NoKey),
            (&changed, &key, ProofError::NotSigned),
            (&signed, "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=", ProofError::NotSigned),
        ];
        for (signed, keys, error) in cases {
            assert_eq!(verify_receipt(signed, keys), Err(error), "{signed}");
        }
    }
}
