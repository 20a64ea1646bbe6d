//! The format of a WAV file's samples: read from a `fmt ` chunk, and written as a header.

use super::AudioError;

/// How samples are coded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Codec {
    /// Linear, 16 bits.
    Pcm16,
    /// G.711 A-law, 8 bits.
    ALaw,
    /// G.711 µ-law, 8 bits.
    MuLaw,
}

impl Codec {
    fn from_tag(tag: u16) -> Option<Self> {
        match tag {
            1 => Some(Self::Pcm16),
            6 => Some(Self::ALaw),
            7 => Some(Self::MuLaw),
            _ => None,
        }
    }

    /// As manifests name it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pcm16 => "pcm16",
            Self::ALaw => "g711-alaw",
            Self::MuLaw => "g711-mulaw",
        }
    }

    fn tag(self) -> u16 {
        match self {
            Self::Pcm16 => 1,
            Self::ALaw => 6,
            Self::MuLaw => 7,
        }
    }

    fn bits(self) -> u16 {
        if self == Self::Pcm16 { 16 } else { 8 }
    }
}

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
        let mut rest = first.strip_prefix(b"RIFF").filter(|_| first.get(8..12) == Some(b"WAVE"))?.get(8..)?;
        loop {
            let (head, body) = rest.split_at_checked(8)?;
            let size = usize::try_from(u32::from_le_bytes(head[4..].try_into().ok()?)).ok()?;
            if &head[..4] == b"fmt " {
                return Self::read(body.get(..size.min(Self::LONGEST))?).ok();
            }
            rest = body.get(size.checked_add(size % 2)?..)?;
        }
    }

    /// Reads the body of a `fmt ` chunk.
    pub(super) fn read(chunk: &[u8]) -> Result<Self, AudioError> {
        let tag = match u16_at(chunk, 0)? {
            EXTENSIBLE => sub_format(chunk)?,
            tag => tag,
        };
        let codec = Codec::from_tag(tag).ok_or(AudioError::Unsupported("the codec isn't supported"))?;
        let format = Self { codec, channels: u16_at(chunk, 2)?, rate: u32_at(chunk, 4)? };
        format.check(u16_at(chunk, 12)?, u16_at(chunk, 14)?)
    }

    fn check(self, align: u16, bits: u16) -> Result<Self, AudioError> {
        if !(1..=2).contains(&self.channels) {
            return Err(AudioError::Unsupported("the number of channels isn't supported"));
        }
        if !(8_000..=48_000).contains(&self.rate) {
            return Err(AudioError::Unsupported("the sample rate isn't supported"));
        }
        if bits != self.codec.bits() {
            return Err(AudioError::Unsupported("the sample size isn't supported"));
        }
        let fits = u64::from(align) == self.frame();
        fits.then_some(self).ok_or(AudioError::Damaged("the block size doesn't fit the format"))
    }

    /// Bytes of one sample of all channels.
    pub fn frame(self) -> u64 {
        u64::from(self.channels) * u64::from(self.codec.bits() / 8)
    }

    /// Milliseconds that this many bytes of audio last.
    pub fn duration_ms(self, bytes: u64) -> u64 {
        (bytes / self.frame()).saturating_mul(1_000) / u64::from(self.rate.max(1))
    }

    /// A header for that many bytes of audio, as a file starts with it.
    pub fn header(self, data: u32) -> Vec<u8> {
        let frame = u16::try_from(self.frame()).unwrap_or(u16::MAX);
        let mut header = b"RIFF".to_vec();
        header.extend(data.saturating_add(36 + (data & 1)).to_le_bytes());
        header.extend(b"WAVEfmt \x10\0\0\0");
        header.extend(self.codec.tag().to_le_bytes());
        header.extend(self.channels.to_le_bytes());
        header.extend(self.rate.to_le_bytes());
        header.extend((self.rate * u32::from(frame)).to_le_bytes());
        header.extend(frame.to_le_bytes());
        header.extend(self.codec.bits().to_le_bytes());
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
