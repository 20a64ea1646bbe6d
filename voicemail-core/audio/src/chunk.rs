//! The header of a file before its audio, and where each field is.

use super::WavFormat;

/// A chunk that is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Chunk {
    /// `fmt `: how samples are coded.
    Format,
    /// `fact`: how many samples there are.
    Fact,
    /// `ds64`: sizes of 64 bits (EBU Tech 3306, ITU-R BS.2088).
    Ds64,
}

/// The header before the audio; offsets are the file's.
#[derive(Clone, Debug, Default)]
pub(super) struct Head {
    pub(super) is_64: bool,
    /// The size of the file without 8 bytes, at offset 4.
    pub(super) riff: u32,
    pub(super) format: Option<WavFormat>,
    /// Where the block size stands, and what it says.
    pub(super) align: Option<(u64, u16)>,
    /// Where the number of samples stands, and what it says.
    pub(super) fact: Option<(u64, u32)>,
    /// Where the sizes of 64 bits stand: the file's and, 8 bytes on, the audio's.
    pub(super) ds64: Option<(u64, u64, u64)>,
    /// Where the audio's size stands; the audio follows.
    pub(super) data_field: Option<u64>,
    /// The header's size of the audio.
    pub(super) data: u32,
}

/// Names of chunks that recorders write.
const NAMES: [&[u8; 4]; 20] = [
    b"data", b"fmt ", b"fact", b"LIST", b"bext", b"ds64", b"JUNK", b"junk", b"PAD ", b"FLLR", b"cue ",
    b"PEAK", b"iXML", b"axml", b"cart", b"id3 ", b"ID3 ", b"smpl", b"inst", b"DISP",
];

pub(super) fn is_chunk_name(name: &[u8]) -> bool {
    NAMES.iter().any(|known| known.as_slice() == name)
}
