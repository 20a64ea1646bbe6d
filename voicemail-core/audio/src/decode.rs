//! Audio as it is stored, a piece at a time, as samples of 16 bits.
//!
//! Pure. An incomplete block at the end of a file is left out.

use super::adpcm::{ima_block, ms_block};
use super::g711::{from_a_law, from_mu_law};
use super::gsm::Gsm;
use super::{Codec, WavFormat};

/// Decodes one recording; samples of all channels take turns.
pub(super) struct Decoder {
    format: WavFormat,
    carry: Vec<u8>,
    gsm: Gsm,
}

impl Decoder {
    pub(super) fn new(format: WavFormat) -> Self {
        Self { format, carry: Vec::new(), gsm: Gsm::new() }
    }

    /// The samples of the blocks that are whole now.
    pub(super) fn push(&mut self, bytes: &[u8]) -> Vec<i16> {
        let block = usize::try_from(self.format.frame()).unwrap_or(1).max(1);
        self.carry.extend_from_slice(bytes);
        let whole = self.carry.len() - self.carry.len() % block;
        let rest = self.carry.split_off(whole);
        let blocks = std::mem::replace(&mut self.carry, rest);
        blocks.chunks_exact(block).flat_map(|block| self.block(block)).collect()
    }

    /// The samples of the last block, if it is one that may be cut.
    pub(super) fn finish(&mut self) -> Vec<i16> {
        let rest = std::mem::take(&mut self.carry);
        if self.format.codec.is_blocked() { self.block(&rest) } else { Vec::new() }
    }

    fn block(&mut self, block: &[u8]) -> Vec<i16> {
        let channels = usize::from(self.format.channels);
        match self.format.codec {
            Codec::Gsm => self.gsm.block(block),
            Codec::ImaAdpcm(_) => ima_block(block, channels),
            Codec::MsAdpcm(_) => ms_block(block, channels),
            codec => {
                let width = usize::from(codec.bits() / 8).max(1);
                block.chunks_exact(width).map(|sample| one(codec, sample)).collect()
            }
        }
    }
}

fn one(codec: Codec, sample: &[u8]) -> i16 {
    match (codec, sample) {
        (Codec::Pcm8, [byte]) => (i16::from(*byte) - 128) << 8,
        (Codec::ALaw, [byte]) => from_a_law(*byte),
        (Codec::MuLaw, [byte]) => from_mu_law(*byte),
        (Codec::Pcm16, [low, high]) | (Codec::Pcm24, [_, low, high]) | (Codec::Pcm32, [_, _, low, high]) => {
            i16::from_le_bytes([*low, *high])
        }
        (Codec::Float32, [a, b, c, d]) => of_float(f64::from(f32::from_le_bytes([*a, *b, *c, *d]))),
        (Codec::Float64, bytes) => bytes.try_into().map_or(0, |bytes| of_float(f64::from_le_bytes(bytes))),
        _ => 0,
    }
}

/// 1.0 is the loudest; what is louder is cut, and what is no number is silence.
fn of_float(value: f64) -> i16 {
    // The cast saturates, and takes what is no number for 0.
    #[expect(clippy::cast_possible_truncation, reason = "it was rounded and clamped")]
    let sample = (value * 32_767.0).round().clamp(-32_768.0, 32_767.0) as i16;
    sample
}
