//! Nonces that need no memory until they are used rightly: a time, a random part, and a seal of both for one realm.

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::time::Duration;

/// How long a nonce is good.
const LIFE: Duration = Duration::from_secs(300);
/// Counts that are remembered at most: each is of somebody who knows a password.
const MOST: usize = 65_536;
const TIME: usize = 8;
const RANDOM: usize = 8;
const SEAL: usize = 16;

/// How a nonce stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// It is ours and young.
    Good,
    /// It was ours.
    Old,
    /// We never made it, or for another realm.
    NotOurs,
}

/// Makes nonces and knows its own.
pub struct Nonces {
    key: hmac::Key,
    /// The last count of each that was used, and when it was made.
    used: Mutex<HashMap<String, (u32, Duration)>>,
}

/// The machine has no randomness.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the machine has no randomness")]
pub struct NoRandomness;

impl Nonces {
    /// With a key of this process.
    ///
    /// # Errors
    /// [`NoRandomness`].
    pub fn new() -> Result<Self, NoRandomness> {
        let key = hmac::Key::generate(hmac::HMAC_SHA256, &aws_lc_rs::rand::SystemRandom::new());
        Ok(Self { key: key.map_err(|_| NoRandomness)?, used: Mutex::default() })
    }

    /// A new one; `now` is the time since some fixed moment.
    pub(super) fn make(&self, realm: &str, now: Duration) -> String {
        let mut random = [0; RANDOM];
        // Without randomness two of one second are alike: a count of one is then refused as used, and asked for again.
        let _ = aws_lc_rs::rand::fill(&mut random);
        let mut bytes = now.as_secs().to_be_bytes().to_vec();
        bytes.extend(random);
        let seal = self.seal(&bytes, realm);
        bytes.extend_from_slice(seal.as_ref().get(..SEAL).unwrap_or_default());
        URL_SAFE_NO_PAD.encode(bytes)
    }

    fn seal(&self, bytes: &[u8], realm: &str) -> hmac::Tag {
        hmac::sign(&self.key, &[bytes, realm.as_bytes()].concat())
    }

    /// How one stands that came back.
    pub(super) fn look(&self, nonce: &str, realm: &str, now: Duration) -> Standing {
        let Ok(bytes) = URL_SAFE_NO_PAD.decode(nonce) else { return Standing::NotOurs };
        let Some((body, seal)) = bytes.split_at_checked(TIME + RANDOM) else { return Standing::NotOurs };
        let right = self.seal(body, realm);
        let right = right.as_ref().get(..SEAL).unwrap_or_default();
        if aws_lc_rs::constant_time::verify_slices_are_equal(right, seal).is_err() {
            return Standing::NotOurs;
        }
        match made_at(nonce) {
            Some(made) if now.saturating_sub(made) <= LIFE => Standing::Good,
            _ => Standing::Old,
        }
    }

    /// Uses a count of a good one up; false if it, or a later one, was used before.
    pub(super) fn use_up(&self, nonce: &str, count: u32, now: Duration) -> bool {
        let mut used = self.used.lock();
        if used.len() >= MOST {
            used.retain(|_, (_, made)| now.saturating_sub(*made) <= LIFE);
        }
        let full = used.len() >= MOST;
        match used.get_mut(nonce) {
            Some((last, _)) if *last >= count => false,
            Some((last, _)) => {
                *last = count;
                true
            }
            // Who can't be remembered could come again.
            None if full => false,
            None => {
                used.insert(nonce.to_owned(), (count, made_at(nonce).unwrap_or(now)));
                true
            }
        }
    }
}

fn made_at(nonce: &str) -> Option<Duration> {
    let bytes = URL_SAFE_NO_PAD.decode(nonce).ok()?;
    let time = bytes.first_chunk::<TIME>()?;
    Some(Duration::from_secs(u64::from_be_bytes(*time)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Duration = Duration::from_secs(1_000);

    #[test]
    fn a_nonce_is_good_for_five_minutes_for_its_realm_and_by_its_maker() {
        let nonces = Nonces::new().unwrap();
        let nonce = nonces.make("pbx", NOW);
        assert_ne!(nonce, nonces.make("pbx", NOW));
        assert_eq!(nonces.look(&nonce, "pbx", NOW + LIFE), Standing::Good);
        assert_eq!(nonces.look(&nonce, "pbx", NOW + LIFE + Duration::from_secs(1)), Standing::Old);
        assert_eq!(nonces.look(&nonce, "sbc", NOW), Standing::NotOurs);
        assert_eq!(Nonces::new().unwrap().look(&nonce, "pbx", NOW), Standing::NotOurs);
        for forged in ["", "AAAA", "ä", &nonce[..20]] {
            assert_eq!(nonces.look(forged, "pbx", NOW), Standing::NotOurs);
        }
    }

    #[test]
    fn a_count_is_used_once_and_in_order() {
        let nonces = Nonces::new().unwrap();
        let nonce = nonces.make("pbx", NOW);
        let uses: Vec<bool> =
            [1, 1, 2, 10, 9, 256, 257].map(|count| nonces.use_up(&nonce, count, NOW)).into();
        assert_eq!(uses, [true, false, true, true, false, true, true]);
    }

    #[test]
    fn counts_of_old_nonces_are_forgotten_and_none_is_used_twice_for_want_of_room() {
        let nonces = Nonces::new().unwrap();
        let all: Vec<String> = (0..MOST).map(|_| nonces.make("pbx", NOW)).collect();
        assert!(all.iter().all(|nonce| nonces.use_up(nonce, 1, NOW)));
        let more = nonces.make("pbx", NOW + LIFE);
        assert!(!nonces.use_up(&more, 1, NOW + LIFE) && !nonces.use_up(&all[0], 1, NOW + LIFE));
        assert!(nonces.use_up(&more, 1, NOW + LIFE + Duration::from_secs(1)));
        assert_eq!(nonces.used.lock().len(), 1);
    }
}
