//! The format of a WAV file's samples: read from a `fmt ` chunk, and written as a header.

use super::codec::Coding;
use super::{AudioError, AudioLimits, Codec, WavParser};

/// The format of a recording.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WavFormat {
    /// Codec.
    pub codec: Codec,
    /// 1 or 2.
    pub channels: u16,
    /// Samples a second and channel, 8000 to 48000.
    pub rate: u32,
}

/// Tag of `WAVE_FORMAT_EXTENSIBLE`; the codec's tag then starts the sub-format's GUID.
const EXTENSIBLE: u16 = 0xFFFE;
/// The rest of the GUID that a tag is part of.
const GUID_TAIL: [u8; 14] = [0, 0, 0, 0, 16, 0, 0x80, 0, 0, 0xAA, 0, 0x38, 0x9B, 0x71];

impl WavFormat {
    /// Size of the longest `fmt ` chunk that is read: the extensible one.
    pub(super) const LONGEST: usize = 40;
    /// Size of the shortest.
    pub(super) const SHORTEST: usize = 16;

    /// The format of a file, from as many of its first bytes as hold the `fmt ` chunk.
    pub fn of_file(first: &[u8]) -> Option<Self> {
        let mut parser = WavParser::new(AudioLimits { max_seconds: u32::MAX, max_bytes: u64::MAX });
        // Chunks after the format may be cut off.
        let _ = parser.push(first);
        parser.format()
    }

    /// Reads the body of a `fmt ` chunk.
    pub(super) fn read(chunk: &[u8]) -> Result<Self, AudioError> {
        let tag = match u16_at(chunk, 0)? {
            EXTENSIBLE => sub_format(chunk)?,
            tag => tag,
        };
        let (channels, rate) = (u16_at(chunk, 2)?, u32_at(chunk, 4)?);
        if !(1..=2).contains(&channels) {
            return Err(AudioError::Unsupported("the number of channels isn't supported"));
        }
        if !(8_000..=48_000).contains(&rate) {
            return Err(AudioError::Unsupported("the sample rate isn't supported"));
        }
        let coding = Coding { tag, channels, align: u16_at(chunk, 12)?, bits: u16_at(chunk, 14)? };
        Ok(Self { codec: Codec::read(coding)?, channels, rate })
    }

    /// Bytes of a block: of one sample of all channels, where samples stand alone.
    pub fn frame(self) -> u64 {
        self.codec.block(self.channels)
    }

    /// Samples of each channel in so many bytes of audio.
    pub fn samples(self, bytes: u64) -> u64 {
        let (block, rest) = (self.frame().max(1), bytes % self.frame().max(1));
        let whole = self.codec.samples_in(block, self.channels);
        let cut = if self.codec.is_blocked() { self.codec.samples_in(rest, self.channels) } else { 0 };
        (bytes / block).saturating_mul(whole).saturating_add(cut)
    }

    /// Milliseconds that so many samples last.
    pub fn length_ms(self, samples: u64) -> u64 {
        samples.saturating_mul(1_000) / u64::from(self.rate.max(1))
    }

    /// Milliseconds that this many bytes of audio last.
    pub fn duration_ms(self, bytes: u64) -> u64 {
        self.length_ms(self.samples(bytes))
    }

    /// Bytes of so many seconds of audio, in whole blocks.
    pub fn bytes_of(self, seconds: u32) -> u64 {
        let samples = u64::from(seconds) * u64::from(self.rate);
        let of_block = self.codec.samples_in(self.frame(), self.channels).max(1);
        samples.div_ceil(of_block).saturating_mul(self.frame())
    }

    /// A header for that many bytes of audio, as a file starts with it.
    pub fn header(self, data: u32) -> Vec<u8> {
        let frame = u16::try_from(self.frame()).unwrap_or(u16::MAX);
        let of_block = self.codec.samples_in(self.frame(), self.channels).max(1);
        let rate = u64::from(self.rate) * self.frame() / of_block;
        let mut format = self.codec.tag().to_le_bytes().to_vec();
        format.extend(self.channels.to_le_bytes());
        format.extend(self.rate.to_le_bytes());
        format.extend(u32::try_from(rate).unwrap_or(u32::MAX).to_le_bytes());
        format.extend(frame.to_le_bytes());
        format.extend(self.codec.bits().to_le_bytes());
        if self.codec.is_blocked() {
            format.extend([2, 0]);
            format.extend(u16::try_from(of_block).unwrap_or(u16::MAX).to_le_bytes());
        }
        let size = u32::try_from(format.len()).unwrap_or(0);
        let mut header = b"RIFF".to_vec();
        header.extend(data.saturating_add(20 + size + (data & 1)).to_le_bytes());
        header.extend(b"WAVEfmt ");
        header.extend(size.to_le_bytes());
        header.extend(format);
        header.extend(b"data");
        header.extend(data.to_le_bytes());
        header
    }
}

fn sub_format(chunk: &[u8]) -> Result<u16, AudioError> {
    let known = chunk.get(26..40).is_some_and(|tail| tail == GUID_TAIL);
    if known { u16_at(chunk, 24) } else { Err(AudioError::Unsupported("the codec isn't supported")) }
}

pub(super) fn u16_at(bytes: &[u8], at: usize) -> Result<u16, AudioError> {
    let found = bytes.get(at..at + 2).and_then(|bytes| bytes.try_into().ok());
    found.map(u16::from_le_bytes).ok_or(AudioError::Damaged("the format chunk is too short"))
}

pub(super) fn u32_at(bytes: &[u8], at: usize) -> Result<u32, AudioError> {
    let found = bytes.get(at..at + 4).and_then(|bytes| bytes.try_into().ok());
    found.map(u32::from_le_bytes).ok_or(AudioError::Damaged("a chunk is too short"))
}

pub(super) fn u64_at(bytes: &[u8], at: usize) -> Result<u64, AudioError> {
    let (low, high) = (u32_at(bytes, at)?, u32_at(bytes, at + 4)?);
    Ok(u64::from(low) | (u64::from(high) << 32))
}
