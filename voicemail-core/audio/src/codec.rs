//! Codecs that recorders of the field write, and how their samples lie in blocks.
//!
//! Sources: "Multimedia Programming Interface and Data Specifications 1.0" and its "New Multimedia Data Types" (WAVE),
//! G.711, GSM 06.10 as WAVE tag 49 packs it, IMA's and Microsoft's ADPCM.

use super::AudioError;

/// How samples are coded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Codec {
    /// Linear, 8 bits without a sign.
    Pcm8,
    /// Linear, 16 bits.
    Pcm16,
    /// Linear, 24 bits.
    Pcm24,
    /// Linear, 32 bits.
    Pcm32,
    /// Floating point, 32 bits.
    Float32,
    /// Floating point, 64 bits.
    Float64,
    /// G.711 A-law, 8 bits.
    ALaw,
    /// G.711 µ-law, 8 bits.
    MuLaw,
    /// GSM 06.10 full rate, two frames in a block of 65 bytes; mono.
    Gsm,
    /// IMA ADPCM, 4 bits, in blocks of so many bytes.
    ImaAdpcm(u16),
    /// Microsoft ADPCM, 4 bits, in blocks of so many bytes.
    MsAdpcm(u16),
}

/// The coding of samples that a `fmt ` chunk describes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Coding {
    pub(super) tag: u16,
    pub(super) channels: u16,
    pub(super) align: u16,
    pub(super) bits: u16,
}

const PCM: u16 = 1;
const MS_ADPCM: u16 = 2;
const FLOAT: u16 = 3;
const A_LAW: u16 = 6;
const MU_LAW: u16 = 7;
const IMA_ADPCM: u16 = 0x11;
const GSM: u16 = 0x31;

impl Codec {
    /// The codec that a format names. A block size of 0 or 1 was never filled in; it is known without.
    pub(super) fn read(coding: Coding) -> Result<Self, AudioError> {
        let Coding { tag, channels, align, bits } = coding;
        let codec = match (tag, bits) {
            (PCM, 8) => Self::Pcm8,
            (PCM, 9..=16) => Self::Pcm16,
            (PCM, 17..=24) => Self::Pcm24,
            (PCM, 25..=32) => Self::Pcm32,
            (FLOAT, 32) => Self::Float32,
            (FLOAT, 64) => Self::Float64,
            (A_LAW, _) => Self::ALaw,
            (MU_LAW, _) => Self::MuLaw,
            (GSM, _) if channels == 1 => Self::Gsm,
            (IMA_ADPCM, _) if align > 4 * channels => return Ok(Self::ImaAdpcm(align)),
            (MS_ADPCM, _) if align > 7 * channels => return Ok(Self::MsAdpcm(align)),
            (IMA_ADPCM | MS_ADPCM, _) => return Err(MISFIT),
            (PCM | FLOAT | GSM, _) => return Err(AudioError::Unsupported("the sample size isn't supported")),
            _ => return Err(AudioError::Unsupported("the codec isn't supported")),
        };
        let fits = align < 2 || u64::from(align) == codec.block(channels);
        if fits { Ok(codec) } else { Err(MISFIT) }
    }

    /// As manifests name it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pcm8 => "pcm8",
            Self::Pcm16 => "pcm16",
            Self::Pcm24 => "pcm24",
            Self::Pcm32 => "pcm32",
            Self::Float32 => "float32",
            Self::Float64 => "float64",
            Self::ALaw => "g711-alaw",
            Self::MuLaw => "g711-mulaw",
            Self::Gsm => "gsm610",
            Self::ImaAdpcm(_) => "ima-adpcm",
            Self::MsAdpcm(_) => "ms-adpcm",
        }
    }

    pub(super) fn tag(self) -> u16 {
        match self {
            Self::Pcm8 | Self::Pcm16 | Self::Pcm24 | Self::Pcm32 => PCM,
            Self::Float32 | Self::Float64 => FLOAT,
            Self::ALaw => A_LAW,
            Self::MuLaw => MU_LAW,
            Self::Gsm => GSM,
            Self::ImaAdpcm(_) => IMA_ADPCM,
            Self::MsAdpcm(_) => MS_ADPCM,
        }
    }

    /// Bits of one sample of one channel, as a header has them.
    pub(super) fn bits(self) -> u16 {
        match self {
            Self::Pcm8 | Self::ALaw | Self::MuLaw => 8,
            Self::Pcm16 => 16,
            Self::Pcm24 => 24,
            Self::Pcm32 | Self::Float32 => 32,
            Self::Float64 => 64,
            Self::Gsm => 0,
            Self::ImaAdpcm(_) | Self::MsAdpcm(_) => 4,
        }
    }

    /// Bytes of a block, which is one sample of every channel where samples stand alone.
    pub(super) fn block(self, channels: u16) -> u64 {
        match self {
            Self::Gsm => 65,
            Self::ImaAdpcm(block) | Self::MsAdpcm(block) => u64::from(block),
            _ => u64::from(channels) * u64::from(self.bits() / 8),
        }
    }

    /// Samples of each channel in a block, or in the first so many bytes of one.
    pub(super) fn samples_in(self, bytes: u64, channels: u16) -> u64 {
        let channels = u64::from(channels);
        // A block begins with its predictor for each channel, which is a sample itself, or two.
        let coded = |head: u64, first: u64| match bytes.checked_sub(head * channels) {
            Some(rest) => first + rest * 2 / channels.max(1),
            None => 0,
        };
        match self {
            Self::Gsm if bytes >= 65 => 320,
            Self::Gsm if bytes >= 33 => 160,
            Self::Gsm => 0,
            Self::ImaAdpcm(_) => coded(4, 1),
            Self::MsAdpcm(_) => coded(7, 2),
            _ => 1,
        }
    }

    /// Whether a block is more than one sample.
    pub(super) fn is_blocked(self) -> bool {
        matches!(self, Self::Gsm | Self::ImaAdpcm(_) | Self::MsAdpcm(_))
    }
}

const MISFIT: AudioError = AudioError::Damaged("the block size doesn't fit the format");
