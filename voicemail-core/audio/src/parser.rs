//! Reads the chunks of a WAV file as its bytes come in, in pieces of any size.
//!
//! ```text
//! RIFF header ─▶ chunk header ─▶ fmt , fact, ds64 ─▶ chunk header ─▶ data ─▶ rest (counted only)
//!                     ▲  └─▶ any other chunk: skipped ─┘
//! ```
//!
//! Only headers are ever buffered, 40 bytes at most. The data chunk decides: recorders that can't seek back, or died,
//! leave sizes of a pipe in their headers (0, 0x7FFFF000, 0xFFFFFFFF and their like). A size that no message of the class
//! can have means "to the end of the body", whose end the upload proves; any other must be there as a whole. What a
//! header says wrongly is told by [`WavParser::finish`], for those who play the file.

use super::chunk::{Chunk, Head, is_chunk_name};
use super::mend::{Sizes, mends};
use super::wav::{WavFormat, u32_at, u64_at};
use super::{AudioError, AudioLimits};
use voicemail_model::Mend;

/// The value of a 64-bit file in place of its 32-bit sizes.
const IN_DS64: u32 = u32::MAX;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// The 12 bytes that every file starts with.
    Riff,
    /// Name and size of a chunk, 8 bytes.
    ChunkHeader,
    /// The first bytes of a chunk that is read; the rest of it is skipped.
    Body { chunk: Chunk, read: usize, rest: u64, odd: bool },
    /// So many bytes of a chunk that isn't ours.
    Skip { left: u64, odd: bool },
    /// Behind a chunk of odd size: a pad byte, or none where the writer forgot it.
    AfterOdd,
    /// So many bytes of audio to come; `None`: until the end.
    Data(Option<u64>),
    /// Behind the audio.
    Rest,
}

/// The properties of a whole file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WavFacts {
    /// How its samples are coded.
    pub format: WavFormat,
    /// Length in milliseconds.
    pub duration_ms: u64,
    /// The repairs of its header.
    pub mends: Vec<Mend>,
}

/// A parser of one file.
pub struct WavParser {
    limits: AudioLimits,
    state: State,
    buffer: Vec<u8>,
    seen: u64,
    head: Head,
    audio: u64,
}

impl WavParser {
    /// For a file of at most that much.
    pub fn new(limits: AudioLimits) -> Self {
        Self { limits, state: State::Riff, buffer: Vec::new(), seen: 0, head: Head::default(), audio: 0 }
    }

    /// Bytes seen so far.
    pub fn seen(&self) -> u64 {
        self.seen
    }

    /// The format, once it was read.
    pub fn format(&self) -> Option<WavFormat> {
        self.head.format
    }

    /// Where the audio begins, once it has.
    pub fn audio_start(&self) -> Option<u64> {
        self.head.data_field.map(|field| field + 4)
    }

    /// How long the audio is by its header, once it has begun and if that is known.
    pub fn audio_size(&self) -> Option<u64> {
        match self.state {
            State::Data(Some(left)) => Some(self.audio + left),
            State::Rest => Some(self.audio),
            _ => None,
        }
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

    /// Takes the end of the file.
    ///
    /// # Errors
    /// When the file isn't complete or holds no audio.
    pub fn finish(&self) -> Result<WavFacts, AudioError> {
        if self.seen == 0 {
            return Err(AudioError::Empty);
        }
        let (format, was_known) = match (self.state, self.head.format) {
            (State::Data(None), Some(format)) => (format, false),
            (State::Rest, Some(format)) => (format, true),
            _ => return Err(AudioError::Truncated),
        };
        let samples = self.samples(format);
        if samples == 0 {
            return Err(AudioError::NoSamples);
        }
        let sizes = Sizes { file: self.seen, audio: self.audio, samples, was_known };
        let duration_ms = format.length_ms(samples);
        Ok(WavFacts { format, duration_ms, mends: mends(&self.head, format, sizes) })
    }

    /// By the blocks; where the last one is filled up, the file may say by how much.
    fn samples(&self, format: WavFormat) -> u64 {
        let by_blocks = format.samples(self.audio);
        let of_block = format.samples(format.frame());
        let told = self.head.fact.map_or(by_blocks, |(_, samples)| u64::from(samples));
        let fits = told <= by_blocks && told.saturating_add(of_block) > by_blocks && told > 0;
        if fits { told } else { by_blocks }
    }

    /// Takes a first part of the bytes, at least one.
    fn step(&mut self, bytes: &[u8]) -> Result<usize, AudioError> {
        match self.state {
            State::Riff => self.collect(bytes, 12, Self::read_riff),
            State::ChunkHeader => self.collect(bytes, 8, Self::read_chunk_header),
            State::Body { chunk, read, rest, odd } => {
                self.collect(bytes, read, |parser, body| parser.read_body(chunk, body, rest, odd))
            }
            State::AfterOdd => self.collect(bytes, 5, Self::read_after_odd),
            State::Skip { left, odd } => self.skip(bytes, left, odd),
            State::Data(left) => self.take_audio(bytes, left),
            State::Rest => self.count(bytes.len()),
        }
    }

    /// Buffers until `need` bytes are there, then has them read.
    fn collect(
        &mut self,
        bytes: &[u8],
        need: usize,
        read: impl FnOnce(&mut Self, &[u8]) -> Result<State, AudioError>,
    ) -> Result<usize, AudioError> {
        let used = bytes.len().min(need.saturating_sub(self.buffer.len()));
        self.buffer.extend(bytes.iter().take(used));
        self.count(used)?;
        if self.buffer.len() == need {
            let collected = std::mem::take(&mut self.buffer);
            self.state = read(self, &collected)?;
        }
        Ok(used)
    }

    fn read_riff(&mut self, bytes: &[u8]) -> Result<State, AudioError> {
        let is_64 = bytes.starts_with(b"RF64") || bytes.starts_with(b"BW64");
        if !(is_64 || bytes.starts_with(b"RIFF")) || !bytes.ends_with(b"WAVE") {
            return Err(AudioError::NotWav);
        }
        self.head.is_64 = is_64;
        self.head.riff = u32_at(bytes, 4)?;
        Ok(State::ChunkHeader)
    }

    fn read_chunk_header(&mut self, bytes: &[u8]) -> Result<State, AudioError> {
        let size = u32_at(bytes, 4)?;
        let (read, chunk) = match bytes.get(..4) {
            Some(b"data") => return self.begin_data(size),
            Some(b"fmt ") => (self.begin_format(size)?, Some(Chunk::Format)),
            Some(b"fact") if size >= 4 => (4, Some(Chunk::Fact)),
            Some(b"ds64") if size >= 24 && self.head.is_64 => (24, Some(Chunk::Ds64)),
            _ => (0, None),
        };
        self.check_size(self.seen.saturating_add(u64::from(size)))?;
        let (rest, odd) = (u64::from(size) - read as u64, size & 1 == 1);
        Ok(match chunk {
            Some(chunk) => State::Body { chunk, read, rest, odd },
            None => after(rest, odd),
        })
    }

    fn begin_format(&self, size: u32) -> Result<usize, AudioError> {
        if self.head.format.is_some() {
            return Err(AudioError::Damaged("it has two formats"));
        }
        let size = usize::try_from(size).unwrap_or(usize::MAX);
        if size < WavFormat::SHORTEST {
            return Err(AudioError::Damaged("the format chunk is too short"));
        }
        Ok(size.min(WavFormat::LONGEST))
    }

    fn read_body(&mut self, chunk: Chunk, body: &[u8], rest: u64, odd: bool) -> Result<State, AudioError> {
        let at = self.seen - body.len() as u64;
        match chunk {
            Chunk::Format => {
                self.head.format = Some(WavFormat::read(body)?);
                self.head.align = Some((at + 12, super::wav::u16_at(body, 12)?));
            }
            Chunk::Fact => self.head.fact = Some((at, u32_at(body, 0)?)),
            Chunk::Ds64 => self.head.ds64 = Some((at, u64_at(body, 0)?, u64_at(body, 8)?)),
        }
        Ok(after(rest, odd))
    }

    /// Whether the writer padded is seen by where the next chunk's name stands.
    fn read_after_odd(&mut self, bytes: &[u8]) -> Result<State, AudioError> {
        let padded = bytes.get(1..).is_some_and(is_chunk_name) || !bytes.get(..4).is_some_and(is_chunk_name);
        self.buffer = bytes.get(usize::from(padded)..).unwrap_or_default().to_vec();
        Ok(State::ChunkHeader)
    }

    fn begin_data(&mut self, size: u32) -> Result<State, AudioError> {
        let format = self.head.format.ok_or(AudioError::Damaged("the audio comes before its format"))?;
        self.head.data = size;
        self.head.data_field = Some(self.seen - 4);
        let size = match self.head.ds64 {
            Some((_, _, data)) if size == IN_DS64 => data,
            _ => u64::from(size),
        };
        if size == 0 || size > format.bytes_of(self.limits.max_seconds) {
            return Ok(State::Data(None));
        }
        if format.samples(size) == 0 {
            return Err(AudioError::NoSamples);
        }
        Ok(State::Data(Some(size)))
    }

    fn skip(&mut self, bytes: &[u8], left: u64, odd: bool) -> Result<usize, AudioError> {
        let used = part(bytes, left);
        self.state = after(left - used as u64, odd);
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

    /// Checks the size against the limits of the message's class, in its own format once that is known.
    fn check_size(&self, bytes: u64) -> Result<(), AudioError> {
        let audio = self.head.format.map_or(0, |format| format.bytes_of(self.limits.max_seconds));
        let most = self.limits.max_bytes.max(audio.saturating_add(AudioLimits::HEADROOM));
        if bytes > most { Err(AudioError::TooLarge(most)) } else { Ok(()) }
    }

    /// By whole blocks: the last one may be filled up.
    fn check_length(&self, audio: u64) -> Result<(), AudioError> {
        let most = self.limits.max_seconds;
        let longest = self.head.format.map_or(u64::MAX, |format| format.bytes_of(most));
        if audio > longest { Err(AudioError::TooLong(most)) } else { Ok(()) }
    }
}

fn after(rest: u64, odd: bool) -> State {
    match (rest, odd) {
        (0, true) => State::AfterOdd,
        (0, false) => State::ChunkHeader,
        (left, odd) => State::Skip { left, odd },
    }
}

/// How many of the bytes belong to the `left` ones expected.
fn part(bytes: &[u8], left: u64) -> usize {
    usize::try_from(left).map_or(bytes.len(), |left| left.min(bytes.len()))
}
