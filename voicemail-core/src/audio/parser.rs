//! Reads the chunks of a WAV file as its bytes come in, in pieces of any size.
//!
//! ```text
//! RIFF header ─▶ chunk header ─▶ fmt  ─▶ chunk header ─▶ data ─▶ rest (counted only)
//!                     ▲  └─▶ any other chunk: skipped ─┘
//! ```
//!
//! Only headers and the format are ever buffered, 40 bytes at most. The end of the file is where the
//! RIFF header says (a missing last pad byte is forgiven); what follows it is passed on and ignored.

use super::wav::{WavFormat, u32_at};
use super::{AudioError, AudioLimits};

/// What a writer that can't seek back leaves in place of a size.
const UNKNOWN: u32 = u32::MAX;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// The 12 bytes that every file starts with.
    Riff,
    /// Name and size of a chunk, 8 bytes.
    ChunkHeader,
    /// The format: so many bytes to be read, and to be skipped after them.
    Format { read: usize, skip: u64 },
    /// So many bytes of a chunk that isn't ours.
    Skip(u64),
    /// So many bytes of audio to come; `None`: until the end.
    Data(Option<u64>),
    /// Behind the audio.
    Rest,
}

/// A parser of one file.
pub struct WavParser {
    limits: AudioLimits,
    state: State,
    buffer: Vec<u8>,
    seen: u64,
    riff_end: Option<u64>,
    format: Option<WavFormat>,
    audio: u64,
}

impl WavParser {
    /// For a file of at most that much.
    pub fn new(limits: AudioLimits) -> Self {
        Self {
            limits,
            state: State::Riff,
            buffer: Vec::new(),
            seen: 0,
            riff_end: None,
            format: None,
            audio: 0,
        }
    }

    /// Bytes seen so far.
    pub fn seen(&self) -> u64 {
        self.seen
    }

    /// Takes the next bytes.
    ///
    /// # Errors
    /// As soon as it is certain that the file can't be accepted.
    pub fn push(&mut self, mut bytes: &[u8]) -> Result<(), AudioError> {
        while !bytes.is_empty() {
            let used = self.step(bytes)?;
            bytes = bytes.get(used..).unwrap_or_default();
        }
        Ok(())
    }

    /// Takes the end of the file; gives the length in milliseconds.
    ///
    /// # Errors
    /// When the file isn't complete or holds no audio.
    pub fn finish(&self) -> Result<u64, AudioError> {
        if self.seen == 0 {
            return Err(AudioError::Empty);
        }
        let format = match (self.state, self.format) {
            (State::Data(None) | State::Rest, Some(format)) => format,
            _ => return Err(AudioError::Truncated),
        };
        let pad = self.audio & 1;
        if self.riff_end.is_some_and(|end| self.seen + pad < end) {
            return Err(AudioError::Truncated);
        }
        if self.audio < format.frame() {
            return Err(AudioError::NoSamples);
        }
        Ok(format.duration_ms(self.audio))
    }

    /// Takes a first part of the bytes, at least one.
    fn step(&mut self, bytes: &[u8]) -> Result<usize, AudioError> {
        match self.state {
            State::Riff => self.collect(bytes, 12, Self::read_riff),
            State::ChunkHeader => self.collect(bytes, 8, Self::read_chunk_header),
            State::Format { read, skip } => self.collect(bytes, read, |parser| parser.read_format(skip)),
            State::Skip(left) => self.skip(bytes, left),
            State::Data(left) => self.take_audio(bytes, left),
            State::Rest => self.count(bytes.len()),
        }
    }

    /// Buffers until `need` bytes are there, then has them read.
    fn collect(
        &mut self,
        bytes: &[u8],
        need: usize,
        read: impl FnOnce(&mut Self) -> Result<State, AudioError>,
    ) -> Result<usize, AudioError> {
        let used = bytes.len().min(need.saturating_sub(self.buffer.len()));
        self.buffer.extend(bytes.iter().take(used));
        self.count(used)?;
        if self.buffer.len() == need {
            self.state = read(self)?;
            self.buffer.clear();
        }
        Ok(used)
    }

    fn read_riff(&mut self) -> Result<State, AudioError> {
        if !self.buffer.starts_with(b"RIFF") || !self.buffer.ends_with(b"WAVE") {
            return Err(AudioError::NotWav);
        }
        let size = u32_at(&self.buffer, 4)?;
        let known = size != UNKNOWN && size != 0;
        self.riff_end = known.then(|| u64::from(size) + 8);
        if let Some(end) = self.riff_end {
            self.check_size(end)?;
        }
        Ok(State::ChunkHeader)
    }

    fn read_chunk_header(&mut self) -> Result<State, AudioError> {
        let size = u32_at(&self.buffer, 4)?;
        let padded = u64::from(size) + u64::from(size & 1);
        match self.buffer.get(..4) {
            Some(b"data") => self.begin_data(size),
            Some(b"fmt ") => self.begin_format(size, padded),
            _ => {
                self.check_size(self.seen + padded)?;
                Ok(if padded == 0 { State::ChunkHeader } else { State::Skip(padded) })
            }
        }
    }

    fn begin_format(&self, size: u32, padded: u64) -> Result<State, AudioError> {
        if self.format.is_some() {
            return Err(AudioError::Damaged("it has two formats"));
        }
        let size = usize::try_from(size).unwrap_or(usize::MAX);
        if size < WavFormat::SHORTEST {
            return Err(AudioError::Damaged("the format chunk is too short"));
        }
        self.check_size(self.seen + padded)?;
        let read = size.min(WavFormat::LONGEST);
        Ok(State::Format { read, skip: padded.saturating_sub(read as u64) })
    }

    fn read_format(&mut self, skip: u64) -> Result<State, AudioError> {
        self.format = Some(WavFormat::read(&self.buffer)?);
        Ok(if skip == 0 { State::ChunkHeader } else { State::Skip(skip) })
    }

    fn begin_data(&self, size: u32) -> Result<State, AudioError> {
        let format = self.format.ok_or(AudioError::Damaged("the audio comes before its format"))?;
        if size == UNKNOWN {
            return Ok(State::Data(None));
        }
        if u64::from(size) < format.frame() {
            return Err(AudioError::NoSamples);
        }
        self.check_length(u64::from(size))?;
        self.check_size(self.seen + u64::from(size))?;
        Ok(State::Data(Some(u64::from(size))))
    }

    fn skip(&mut self, bytes: &[u8], left: u64) -> Result<usize, AudioError> {
        let used = part(bytes, left);
        let left = left - used as u64;
        self.state = if left == 0 { State::ChunkHeader } else { State::Skip(left) };
        self.count(used)
    }

    fn take_audio(&mut self, bytes: &[u8], left: Option<u64>) -> Result<usize, AudioError> {
        let used = left.map_or(bytes.len(), |left| part(bytes, left));
        self.audio += used as u64;
        self.check_length(self.audio)?;
        self.state = match left.map(|left| left - used as u64) {
            Some(0) => State::Rest,
            left => State::Data(left),
        };
        self.count(used)
    }

    fn count(&mut self, bytes: usize) -> Result<usize, AudioError> {
        self.seen += bytes as u64;
        self.check_size(self.seen)?;
        Ok(bytes)
    }

    fn check_size(&self, bytes: u64) -> Result<(), AudioError> {
        let most = self.limits.max_bytes;
        if bytes > most { Err(AudioError::TooLarge(most)) } else { Ok(()) }
    }

    fn check_length(&self, audio: u64) -> Result<(), AudioError> {
        let most = self.limits.max_seconds;
        let ms = self.format.map_or(0, |format| format.duration_ms(audio));
        if ms > u64::from(most) * 1_000 { Err(AudioError::TooLong(most)) } else { Ok(()) }
    }
}

/// How many of the bytes belong to the `left` ones expected.
fn part(bytes: &[u8], left: u64) -> usize {
    usize::try_from(left).map_or(bytes.len(), |left| left.min(bytes.len()))
}
