//! The ledger as it is kept outside the store: its JSON, compressed.

use super::LedgerView;
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use std::io::{Error, Read, Result};

/// File, and key of a Secret, with the newest head: `{"epoch": 7, "hash": "…"}`.
pub const LEDGER_HEAD: &str = "head.json";
/// File beside it, and key of the same Secret, with the ledger: JSON, gzip.
pub const LEDGER_FILE: &str = "ledger.json.gz";

/// The largest size that a ledger may be unpacked to, in bytes.
const MOST: u64 = 256 << 20;
const GZIP: [u8; 2] = [0x1f, 0x8b];

impl LedgerView {
    /// Its JSON, compressed. Equal ledgers are equal bytes.
    ///
    /// # Errors
    /// It can't be encoded.
    pub fn pack(&self) -> Result<Vec<u8>> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        serde_json::to_writer(&mut encoder, self)?;
        encoder.finish()
    }
}

/// The JSON of a ledger, which may be compressed.
///
/// # Errors
/// It is damaged, no text, or larger than 256 MiB.
pub fn unpack_ledger(bytes: &[u8]) -> Result<String> {
    let mut text = String::new();
    if !bytes.starts_with(&GZIP) {
        bytes.take(MOST).read_to_string(&mut text)?;
    } else if GzDecoder::new(bytes).take(MOST).read_to_string(&mut text)? as u64 == MOST {
        return Err(Error::other("the ledger is larger than 256 MiB"));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gdpr::{LedgerHead, LedgerText};

    #[test]
    fn a_packed_ledger_is_read_back_and_so_is_a_plain_one() {
        let entries = (1..=100).map(|epoch| LedgerText { epoch, text: format!("{{\"epoch\":{epoch}}}") });
        let head = LedgerHead { epoch: 100, hash: "ab".into(), ..LedgerHead::default() };
        let ledger = LedgerView { store_id: "s".into(), head, entries: entries.collect() };
        let packed = ledger.pack().unwrap();
        let plain = serde_json::to_string(&ledger).unwrap();
        assert!(packed.len() * 3 < plain.len() && packed == ledger.pack().unwrap());
        assert_eq!(unpack_ledger(&packed).unwrap(), plain);
        assert_eq!(unpack_ledger(plain.as_bytes()).unwrap(), plain);
        assert!(unpack_ledger(&packed[..packed.len() / 2]).is_err(), "half of it");
    }
}
