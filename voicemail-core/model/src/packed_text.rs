//! A text that is written to its end before the first of it is read, compressed meanwhile: rows of a hundred thousand messages,
//! which are alike, take a tenth of their length. It is read again in pieces.
//!
//! Nothing is written to disk. What can go wrong: bytes in memory that aren't what was written there, which is an error of
//! the piece.

use flate2::Compression;
use flate2::read::ZlibDecoder;
use flate2::write::ZlibEncoder;
use std::io::{self, Cursor, Read, Write};

/// Bytes of a piece.
const PIECE: usize = 64 * 1024;

/// Text in memory, compressed.
pub struct PackedText {
    packed: ZlibEncoder<Vec<u8>>,
    length: u64,
}

impl Default for PackedText {
    fn default() -> Self {
        Self { packed: ZlibEncoder::new(Vec::new(), Compression::fast()), length: 0 }
    }
}

impl PackedText {
    /// Adds a text at the end.
    ///
    /// # Errors
    /// The compressor's.
    pub fn push(&mut self, text: &str) -> io::Result<()> {
        self.length += text.len() as u64;
        self.packed.write_all(text.as_bytes())
    }

    /// Whether nothing was written.
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// Bytes that were written, as text.
    pub fn length(&self) -> u64 {
        self.length
    }

    /// The text, in pieces. Nothing comes after an error.
    ///
    /// # Errors
    /// The compressor's.
    pub fn pieces(self) -> io::Result<impl Iterator<Item = io::Result<Vec<u8>>> + Send> {
        let mut text = Some(ZlibDecoder::new(Cursor::new(self.packed.finish()?)));
        Ok(std::iter::from_fn(move || {
            let mut piece = Vec::with_capacity(PIECE);
            let read = text.as_mut()?.take(PIECE as u64).read_to_end(&mut piece);
            match read {
                Ok(0) => None,
                Ok(_) => Some(Ok(piece)),
                Err(error) => {
                    text = None;
                    Some(Err(error))
                }
            }
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_comes_out_as_it_went_in_and_is_small_meanwhile() {
        let mut text = PackedText::default();
        assert!(text.is_empty());
        let rows: Vec<String> =
            (0..20_000).map(|row| format!("<tr><td>{row}</td><td>1001</td></tr>\n")).collect();
        for row in &rows {
            text.push(row).unwrap();
        }
        let whole = rows.concat();
        assert_eq!(text.length(), whole.len() as u64);
        assert!(text.packed.get_ref().len() * 4 < whole.len(), "{}", text.packed.get_ref().len());
        let pieces: Vec<Vec<u8>> = text.pieces().unwrap().map(Result::unwrap).collect();
        assert!(pieces.len() > 5 && pieces.iter().all(|piece| piece.len() <= PIECE));
        assert_eq!(pieces.concat(), whole.into_bytes());
    }

    #[test]
    fn an_empty_text_has_no_pieces() {
        assert_eq!(PackedText::default().pieces().unwrap().count(), 0);
    }
}
