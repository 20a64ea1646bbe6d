//! Spoken messages as media servers send them: WAV at 8 kHz, linear or G.711.
//!
//! espeak-ng speaks, sox brings it to the coding with the headers that real recorders write (G.711 has an
//! extended `fmt` and a `fact` chunk). A text is spoken once and then remembered.

use std::collections::HashMap;
use std::process::Command;
use std::sync::{Mutex, PoisonError};

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use tempfile::TempDir;

use crate::command::{find_program, run};

/// How the samples are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Coding {
    /// Linear, 16 bits.
    Pcm,
    /// G.711 A-law, as in Europe.
    ALaw,
    /// G.711 µ-law, as in North America and Japan.
    MuLaw,
}

impl Coding {
    /// The coding's name for people.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pcm => "PCM",
            Self::ALaw => "A-law",
            Self::MuLaw => "µ-law",
        }
    }

    const fn arguments(self) -> [&'static str; 4] {
        match self {
            Self::Pcm => ["-e", "signed-integer", "-b", "16"],
            Self::ALaw => ["-e", "a-law", "-b", "8"],
            Self::MuLaw => ["-e", "mu-law", "-b", "8"],
        }
    }
}

/// Where messages are spoken.
#[derive(Debug)]
pub struct Studio {
    folder: TempDir,
    spoken: Mutex<HashMap<(String, Coding), Bytes>>,
}

impl Studio {
    /// A studio whose files go with it.
    pub fn open() -> Result<Self> {
        for program in ["espeak-ng", "sox"] {
            ensure!(
                find_program(program).is_some(),
                "{program} is missing: install the Debian packages espeak-ng and sox"
            );
        }
        let folder = tempfile::Builder::new().prefix("voicemail-speech-").tempdir()?;
        Ok(Self { folder, spoken: Mutex::default() })
    }

    /// Speaks a text.
    pub fn speak(&self, text: &str, coding: Coding) -> Result<Bytes> {
        let mut spoken = self.spoken.lock().unwrap_or_else(PoisonError::into_inner);
        let name = (text.to_owned(), coding);
        if let Some(known) = spoken.get(&name) {
            return Ok(known.clone());
        }
        let audio = self.record(text, coding)?;
        spoken.insert(name, audio.clone());
        Ok(audio)
    }

    fn record(&self, text: &str, coding: Coding) -> Result<Bytes> {
        let (voice, message) = (self.folder.path().join("voice.wav"), self.folder.path().join("message.wav"));
        run(Command::new("espeak-ng").arg("-w").arg(&voice).arg(text)).context("speaking")?;
        let mut convert = Command::new("sox");
        // Without dithering the same text gives the same bytes.
        convert.arg("-D").arg(&voice).args(["-r", "8000", "-c", "1"]).args(coding.arguments()).arg(&message);
        run(&mut convert).context("converting speech")?;
        Ok(std::fs::read(&message)?.into())
    }
}

/// A WAV file of these samples in µ-law, without the chunks that recorders write beside them.
pub fn wav_of(samples: &[u8]) -> Vec<u8> {
    let size = |bytes: usize| u32::try_from(bytes).unwrap_or(u32::MAX).to_le_bytes();
    let mut file = b"RIFF".to_vec();
    file.extend(size(samples.len() + 36));
    file.extend(b"WAVEfmt \x10\0\0\0\x07\0\x01\0\x40\x1f\0\0\x40\x1f\0\0\x01\0\x08\0data");
    file.extend(size(samples.len()));
    file.extend(samples);
    file
}

/// The samples of a WAV file: the content of its `data` chunk.
pub fn sound_of(wav: &[u8]) -> Result<&[u8]> {
    let mut rest = wav.get(12..).context("too short for WAV")?;
    loop {
        let (head, body) = rest.split_at_checked(8).context("the WAV has no data chunk")?;
        let size = u32::from_le_bytes([head[4], head[5], head[6], head[7]]) as usize;
        if head.starts_with(b"data") {
            return body.get(..size).context("the data chunk is cut off");
        }
        rest = body.get(size + size % 2..).context("a chunk is cut off")?;
    }
}
