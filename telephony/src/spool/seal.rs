//! The file format of a recording that waits: sealed records, each readable without those after it. Pure.
//!
//! ```text
//! "VSP1" · salt (32 bytes) · record*          record: length (u32, little endian) · AES-256-GCM(kind · body) with its tag
//! ```
//!
//! Each file has a key of its own: HKDF-SHA-256 of the spool's key with the file's salt (RFC 5869). A record's nonce is its
//! number, so that records can't be left out, doubled or moved between files without being noticed. A file that ends
//! within a record, or whose next record can't be opened, ends with the record before: it was torn there.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::hkdf::{HKDF_SHA256, KeyType, Prk, Salt};
use serde::{Deserialize, Serialize};
use voicemail_api::ErrorClass;
use voicemail_api::telephony::Law;

const MAGIC: &[u8; 4] = b"VSP1";
/// Random bytes at a file's beginning.
pub const SALT: usize = 32;
/// Longer records aren't written.
const LONGEST: usize = 64 * 1_024;
const INFO: &[u8] = b"voicemail-sip recording";
const DESCRIPTION: u8 = 0;
const AUDIO: u8 = 1;
const END: u8 = 2;

/// Why bytes are no recording.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// It doesn't begin as one.
    #[error("the file is no recording of the spool")]
    Foreign,
    /// Its first record can't be opened: another key, or torn at once.
    #[error("the recording can't be opened: was the spool's key changed?")]
    Unreadable,
    /// The key file is too short.
    #[error("the spool's key is shorter than 32 bytes")]
    ShortKey,
    /// The cryptographic library refused.
    #[error("a record couldn't be sealed")]
    Refused,
}

impl SealError {
    /// The same bytes stay so.
    pub const fn class(self) -> ErrorClass {
        ErrorClass::Permanent
    }
}

/// Whose recording it is, and what the core asks about it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Description {
    /// The message's id, a UUIDv7.
    pub id: String,
    /// The mailbox's name.
    pub mailbox: String,
    /// The caller; none when withheld.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub caller: Option<String>,
    /// The caller's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub caller_name: Option<String>,
    /// When it was left, RFC 3339.
    pub left: String,
    /// Shorter than so many milliseconds it is nothing.
    pub min_millis: u64,
    /// Its coding.
    pub law: Law,
}

/// What is known at its end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Ending {
    /// The caller marked it urgent.
    #[serde(default)]
    pub urgent: bool,
}

/// A file's content.
#[derive(Clone, PartialEq, Eq)]
pub struct Recording {
    /// Whose it is.
    pub description: Description,
    /// Its samples.
    pub samples: Vec<u8>,
    /// Its end, if it was closed.
    pub ending: Option<Ending>,
}

/// The key of which files' keys are made.
pub struct SpoolKey(Prk);

struct Length;

impl KeyType for Length {
    fn len(&self) -> usize {
        32
    }
}

impl SpoolKey {
    /// From a key file's bytes.
    ///
    /// # Errors
    /// [`SealError::ShortKey`].
    pub fn new(bytes: &[u8]) -> Result<Self, SealError> {
        if bytes.len() < 32 {
            return Err(SealError::ShortKey);
        }
        Ok(Self(Salt::new(HKDF_SHA256, &[]).extract(bytes)))
    }

    fn of_file(&self, salt: &[u8; SALT]) -> Result<LessSafeKey, SealError> {
        let mut key = [0; 32];
        let info: [&[u8]; 2] = [INFO, salt];
        let okm = self.0.expand(&info, Length).map_err(|_| SealError::Refused)?;
        okm.fill(&mut key).map_err(|_| SealError::Refused)?;
        let unbound = UnboundKey::new(&AES_256_GCM, &key).map_err(|_| SealError::Refused)?;
        Ok(LessSafeKey::new(unbound))
    }
}

fn nonce(number: u64) -> Nonce {
    let mut bytes = [0; 12];
    bytes[4..].copy_from_slice(&number.to_be_bytes());
    Nonce::assume_unique_for_key(bytes)
}

/// Makes a file's bytes, record by record.
pub struct Sealer {
    key: LessSafeKey,
    number: u64,
}

impl std::fmt::Debug for Sealer {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Sealer")
    }
}

impl Sealer {
    /// A file's beginning, with its first record.
    ///
    /// # Errors
    /// [`SealError::Refused`].
    pub fn begin(
        key: &SpoolKey,
        salt: &[u8; SALT],
        description: &Description,
    ) -> Result<(Self, Vec<u8>), SealError> {
        let mut sealer = Self { key: key.of_file(salt)?, number: 0 };
        let body = serde_json::to_vec(description).map_err(|_| SealError::Refused)?;
        let mut bytes = [&MAGIC[..], salt].concat();
        bytes.extend(sealer.seal(DESCRIPTION, &body)?);
        Ok((sealer, bytes))
    }

    /// A record of samples.
    ///
    /// # Errors
    /// [`SealError::Refused`].
    pub fn audio(&mut self, samples: &[u8]) -> Result<Vec<u8>, SealError> {
        self.seal(AUDIO, samples)
    }

    /// The last record.
    ///
    /// # Errors
    /// [`SealError::Refused`].
    pub fn end(&mut self, ending: Ending) -> Result<Vec<u8>, SealError> {
        let body = serde_json::to_vec(&ending).map_err(|_| SealError::Refused)?;
        self.seal(END, &body)
    }

    fn seal(&mut self, kind: u8, body: &[u8]) -> Result<Vec<u8>, SealError> {
        let mut sealed = Vec::with_capacity(body.len() + 17);
        sealed.push(kind);
        sealed.extend_from_slice(body);
        self.key
            .seal_in_place_append_tag(nonce(self.number), Aad::from(MAGIC), &mut sealed)
            .map_err(|_| SealError::Refused)?;
        self.number += 1;
        let length = u32::try_from(sealed.len()).map_err(|_| SealError::Refused)?;
        Ok([&length.to_le_bytes()[..], &sealed].concat())
    }
}

/// Opens a file's bytes, as far as they are whole.
///
/// # Errors
/// [`SealError`] if not even the first record is.
pub fn open(key: &SpoolKey, bytes: &[u8]) -> Result<Recording, SealError> {
    let rest = bytes.strip_prefix(MAGIC).ok_or(SealError::Foreign)?;
    let (salt, mut rest) = rest.split_first_chunk::<SALT>().ok_or(SealError::Foreign)?;
    let key = key.of_file(salt)?;
    let mut number = 0;
    let first = next_record(&key, &mut rest, &mut number).ok_or(SealError::Unreadable)?;
    let description = match first.split_first() {
        Some((&DESCRIPTION, body)) => serde_json::from_slice(body).map_err(|_| SealError::Unreadable)?,
        _ => return Err(SealError::Unreadable),
    };
    let mut recording = Recording { description, samples: Vec::with_capacity(rest.len()), ending: None };
    while let Some(record) = next_record(&key, &mut rest, &mut number) {
        match record.split_first() {
            Some((&AUDIO, samples)) => recording.samples.extend_from_slice(samples),
            Some((&END, body)) => {
                recording.ending = serde_json::from_slice(body).ok();
                break;
            }
            _ => break,
        }
    }
    Ok(recording)
}

fn next_record(key: &LessSafeKey, rest: &mut &[u8], number: &mut u64) -> Option<Vec<u8>> {
    let (length, behind) = rest.split_first_chunk::<4>()?;
    let length = usize::try_from(u32::from_le_bytes(*length)).ok().filter(|length| *length <= LONGEST)?;
    let (sealed, behind) = behind.split_at_checked(length)?;
    let mut record = sealed.to_vec();
    let opened = key.open_in_place(nonce(*number), Aad::from(MAGIC), &mut record).ok()?.len();
    record.truncate(opened);
    *number += 1;
    *rest = behind;
    Some(record)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn description() -> Description {
        Description {
            id: "01996a10-1111-7abc-8def-0123456789ab".into(),
            mailbox: "1001".into(),
            caller: Some("+442079460001".into()),
            caller_name: None,
            left: "2026-11-29T12:00:00Z".into(),
            min_millis: 3_000,
            law: Law::Mulaw,
        }
    }

    fn key(byte: u8) -> SpoolKey {
        SpoolKey::new(&[byte; 32]).unwrap()
    }

    fn file(seconds: u8) -> Vec<u8> {
        let (mut sealer, mut bytes) = Sealer::begin(&key(1), &[9; SALT], &description()).unwrap();
        for second in 0..seconds {
            bytes.extend(sealer.audio(&[second; 8_000]).unwrap());
        }
        bytes.extend(sealer.end(Ending { urgent: true }).unwrap());
        bytes
    }

    #[test]
    fn what_was_sealed_is_opened_and_nothing_of_it_can_be_read_before() {
        let bytes = file(3);
        let recording = open(&key(1), &bytes).unwrap();
        assert!(recording.description == description());
        assert_eq!((recording.samples.len(), recording.ending), (24_000, Some(Ending { urgent: true })));
        for secret in ["1001", "442079460001", "mailbox"] {
            assert!(!bytes.windows(secret.len()).any(|window| window == secret.as_bytes()));
        }
        assert_eq!(open(&key(2), &bytes).err(), Some(SealError::Unreadable));
        assert_eq!(open(&key(1), b"RIFF").err(), Some(SealError::Foreign));
        assert_eq!(SpoolKey::new(&[1; 31]).err(), Some(SealError::ShortKey));
    }

    #[test]
    fn a_torn_tail_costs_what_was_torn_and_no_more() {
        let bytes = file(3);
        let whole = bytes.len();
        for cut in [1, 30, 4_000] {
            let recording = open(&key(1), &bytes[..whole - cut]).unwrap();
            assert_eq!(recording.ending, None);
            assert!(recording.samples.len() >= 16_000, "{}", recording.samples.len());
        }
    }

    #[test]
    fn records_that_were_moved_or_doubled_are_noticed() {
        let (mut sealer, begin) = Sealer::begin(&key(1), &[9; SALT], &description()).unwrap();
        let (first, second) = (sealer.audio(&[1; 8]).unwrap(), sealer.audio(&[2; 8]).unwrap());
        for order in [[&second, &first], [&first, &first]] {
            let bytes = [begin.clone(), order[0].clone(), order[1].clone()].concat();
            assert!(open(&key(1), &bytes).unwrap().samples.len() <= 8);
        }
    }

    proptest! {
        #[test]
        fn no_damage_makes_it_fail_or_gives_other_samples(at in 0_usize..1_000, to: u8, cut in 0_usize..1_000) {
            let mut bytes = file(1);
            let length = bytes.len();
            bytes[at % length] = to;
            bytes.truncate(length - cut % length);
            if let Ok(recording) = open(&key(1), &bytes) {
                prop_assert!(recording.samples.iter().all(|sample| *sample == 0));
            }
        }
    }
}
