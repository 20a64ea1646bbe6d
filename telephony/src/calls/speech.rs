//! Prompts and menu, read once when the process begins.

use crate::class::Class;
use crate::config::DialogueConfig;
use crate::dialogue::menu::CLASSIC;
use crate::dialogue::{Menu, MenuError, Say};
use crate::g711::beep;
use crate::media::Clip;
use crate::prompts::words::clips_of;
use crate::prompts::{Pack, PromptsError};
use bytes::Bytes;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use voicemail_api::telephony::Law;

/// Why nothing can be said.
#[derive(Debug, thiserror::Error)]
pub enum SpeechError {
    /// The pack.
    #[error(transparent)]
    Prompts(#[from] PromptsError),
    /// The menu.
    #[error(transparent)]
    Menu(#[from] MenuError),
    /// The menu's file.
    #[error("{0}: {1}")]
    File(PathBuf, std::io::Error),
}

impl SpeechError {
    /// Something must be changed.
    pub const fn class(&self) -> Class {
        Class::Permanent
    }
}

/// What is said, and what keys do.
pub struct Speech {
    pack: Pack,
    pub(super) menu: Arc<Menu>,
    pub(super) silence: Duration,
    beep: Bytes,
}

impl Speech {
    /// Reads and proves both.
    ///
    /// # Errors
    /// [`SpeechError`].
    pub fn read(config: &DialogueConfig) -> Result<Self, SpeechError> {
        let pack = Pack::read(&config.prompts)?;
        let text = match &config.menu {
            Some(file) => {
                std::fs::read_to_string(file).map_err(|error| SpeechError::File(file.clone(), error))?
            }
            None => CLASSIC.to_owned(),
        };
        let menu = Arc::new(Menu::parse(&text, |clip| pack.clip(clip).is_some())?);
        Ok(Self { pack, menu, silence: config.silence, beep: Bytes::from(beep()) })
    }

    /// One clip.
    pub(super) fn clip(&self, name: &str) -> Option<Clip> {
        self.pack.clip(name).map(|samples| Clip::whole(Law::Mulaw, samples))
    }

    /// What is said as clips; recordings of messages are given by `message`.
    pub(super) fn clips(&self, said: &[Say], zone: &TimeZone, message: impl Fn(&str) -> Clip) -> Vec<Clip> {
        let now = Timestamp::now();
        let mut clips = Vec::new();
        for say in said {
            match say {
                Say::Message(id) => clips.push(message(id)),
                Say::Beep => clips.push(Clip::whole(Law::Mulaw, self.beep.clone())),
                other => clips.extend(clips_of(other, now, zone).iter().filter_map(|name| self.clip(name))),
            }
        }
        clips
    }
}
