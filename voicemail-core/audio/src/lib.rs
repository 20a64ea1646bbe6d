//! Audio as callers send it: checked while it streams past, never held in memory, never changed.
//!
//! Flow: [`check_wav`] wraps a body; every chunk goes through the [`WavParser`] and a SHA-256 and on to
//! the store unchanged. When the body has ended well, the recording's length, size and digest are set.
//!
//! Accepted is what recorders of the field write: RIFF/WAVE, RF64 and BW64 with PCM of 8 to 32 bits, floats, A-law, µ-law,
//! GSM 06.10, IMA's or Microsoft's ADPCM, also as `WAVE_FORMAT_EXTENSIBLE`, mono or stereo, 8 to 48 kHz; other chunks are
//! skipped. A size that no message can have, as writers leave it that can't seek back, means that the audio reaches to the
//! end of the body. Nothing is decoded before somebody asks for another form ([`Converter`]).
//!
//! What can go wrong: an error item ends the stream, and so the write. [`BodyError::Invalid`] for what is empty,
//! truncated or of another kind; [`BodyError::TooLong`] as soon as it is too long.

mod adpcm;
mod chunk;
mod codec;
mod convert;
mod decode;
mod error;
mod g711;
mod gsm;
mod mend;
mod parser;
mod resample;
mod wav;

pub use codec::Codec;
pub use convert::Converter;
pub use error::AudioError;
pub use parser::{WavFacts, WavParser};
pub use wav::WavFormat;

use aws_lc_rs::digest::{Context, SHA256};
use bytes::Bytes;
use futures::{StreamExt, stream};
use std::sync::{Arc, OnceLock};
use voicemail_model::{AudioDigest, AudioForm, Mend};
use voicemail_store::{BodyError, BodyStream};

/// Audio on its way in, and what is known about it once it has ended well.
pub struct Recording {
    /// The bytes; an error ends the deposit without a trace.
    pub body: BodyStream,
    /// Set when the body has ended well.
    pub info: Arc<OnceLock<RecordingInfo>>,
}

/// Facts of a complete recording.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordingInfo {
    /// Length in milliseconds.
    pub duration_ms: u64,
    /// Size in bytes.
    pub size: u64,
    /// SHA-256 of the bytes as they came.
    pub digest: AudioDigest,
    /// Bytes that its recorder left wrong, as they are played.
    pub mends: Vec<Mend>,
    /// How its samples are coded, if that is known.
    pub form: Option<AudioForm>,
}

impl RecordingInfo {
    /// Of a recording that is played as it came.
    pub fn plain(duration_ms: u64, size: u64, digest: AudioDigest) -> Self {
        Self { duration_ms, size, digest, mends: Vec::new(), form: None }
    }
}

/// Upper limits of a recording.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AudioLimits {
    /// Seconds of audio.
    pub max_seconds: u32,
    /// Bytes of the whole file.
    pub max_bytes: u64,
}

impl AudioLimits {
    /// Bytes a second of 48 kHz, stereo, 16 bits; wider formats may have as much as they need for their seconds.
    const WIDEST: u64 = 192_000;
    /// Room for the header and chunks that aren't audio.
    const HEADROOM: u64 = 256 * 1024;

    /// The limits of a class of service that allows that many seconds.
    pub fn for_seconds(max_seconds: u32) -> Self {
        Self { max_seconds, max_bytes: u64::from(max_seconds) * Self::WIDEST + Self::HEADROOM }
    }
}

/// Passes the body through while checking it; `info` is set once the body has ended well.
pub fn check_wav(body: BodyStream, limits: AudioLimits) -> Recording {
    let info = Arc::new(OnceLock::new());
    let checked = Checked {
        body,
        parser: WavParser::new(limits),
        digest: Context::new(&SHA256),
        info: Arc::clone(&info),
    };
    Recording { body: stream::try_unfold(checked, Checked::next).boxed(), info }
}

struct Checked {
    body: BodyStream,
    parser: WavParser,
    digest: Context,
    info: Arc<OnceLock<RecordingInfo>>,
}

impl Checked {
    async fn next(mut self) -> Result<Option<(Bytes, Self)>, BodyError> {
        match self.body.next().await {
            Some(chunk) => {
                let chunk = chunk?;
                self.parser.push(&chunk)?;
                self.digest.update(&chunk);
                Ok(Some((chunk, self)))
            }
            None => self.finish().map(|()| None),
        }
    }

    fn finish(self) -> Result<(), BodyError> {
        let WavFacts { format, duration_ms, mends } = self.parser.finish()?;
        let form = AudioForm {
            codec: format.codec.name().to_owned(),
            sample_rate: format.rate,
            channels: format.channels,
        };
        let (size, form) = (self.parser.seen(), Some(form));
        let digest = AudioDigest(hex::encode(self.digest.finish()));
        // Set once: this stream is the cell's only writer and ends here.
        let _ = self.info.set(RecordingInfo { duration_ms, size, digest, mends, form });
        Ok(())
    }
}

#[cfg(test)]
mod tests;
