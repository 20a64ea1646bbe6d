//! Why a recording can't be stored, in words for whoever sent it.

use voicemail_store::{BodyError, ErrorClass};

/// Why a recording is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AudioError {
    /// No bytes at all.
    #[error("the audio is empty")]
    Empty,
    /// Not RIFF/WAVE.
    #[error("the audio isn't a WAV file: it must start with RIFF and WAVE")]
    NotWav,
    /// The chunks make no sense.
    #[error("the WAV file is damaged: {0}")]
    Damaged(&'static str),
    /// A codec or form that isn't supported.
    #[error("{0}: send PCM, float, A-law, µ-law, GSM 6.10 or ADPCM, mono or stereo, at 8000 to 48000 Hz")]
    Unsupported(&'static str),
    /// The body is shorter than its header says.
    #[error("the audio is truncated: it ends before the size that its header announces")]
    Truncated,
    /// No samples.
    #[error("the audio has no samples")]
    NoSamples,
    /// Longer than the class of service allows.
    #[error("the audio is longer than {0} s")]
    TooLong(u32),
    /// Larger than any audio of that length can be.
    #[error("the audio is larger than {0} bytes")]
    TooLarge(u64),
}

impl AudioError {
    /// The action that the error asks for: send something else.
    pub fn class(&self) -> ErrorClass {
        ErrorClass::Permanent
    }
}

impl From<AudioError> for BodyError {
    fn from(error: AudioError) -> Self {
        match error {
            AudioError::TooLong(_) | AudioError::TooLarge(_) => Self::TooLong(error.to_string()),
            other => Self::Invalid(other.to_string()),
        }
    }
}
