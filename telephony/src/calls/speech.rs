//! Prompts and menu: read when the process begins, and again when a tenant's own prompts have changed.
//!
//! A call goes on with what it began with. Own prompts that can't be used are told in the log and by `/readyz`, and the built-in ones
//! stand in.

use crate::config::DialogueConfig;
use crate::dialogue::menu::CLASSIC;
use crate::dialogue::{Menu, MenuError, Say};
use crate::g711::beep;
use crate::media::Clip;
use crate::prompts::words::clips_of;
use crate::prompts::{Pack, Prompts, PromptsError, Seen, read_own, see};
use bytes::Bytes;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use parking_lot::RwLock;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use voicemail_api::ErrorClass;
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
    pub const fn class(&self) -> ErrorClass {
        ErrorClass::Permanent
    }
}

/// How often a tenant's own prompts are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// How many faults are told at once.
const TOLD: usize = 8;

/// The prompts and the menu in force.
pub struct Speaker {
    config: DialogueConfig,
    current: RwLock<Arc<Speech>>,
    /// The tenant's own files as they looked before they were read.
    seen: Option<Seen>,
}

impl Speaker {
    /// Reads it.
    ///
    /// # Errors
    /// [`SpeechError`].
    pub fn read(config: &DialogueConfig) -> Result<Self, SpeechError> {
        let seen = config.own_prompts.as_deref().and_then(|folder| see(folder).ok());
        let speech = Arc::new(Speech::read(config)?);
        speech.log_own();
        Ok(Self { config: config.clone(), current: RwLock::new(speech), seen })
    }

    /// The prompts and the menu of a call that begins now.
    pub fn current(&self) -> Arc<Speech> {
        Arc::clone(&self.current.read())
    }

    /// Keeps it as the files are, for ever.
    pub async fn follow(self: Arc<Self>) {
        let Some(folder) = self.config.own_prompts.clone() else { return };
        let mut seen = self.seen.clone();
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            let (before, folder, speaker) = (seen.clone(), folder.clone(), Arc::clone(&self));
            // A disk that is far away keeps no call waiting.
            let look = tokio::task::spawn_blocking(move || {
                let found = see(&folder).ok();
                if found != before {
                    speaker.read_again();
                }
                found
            });
            seen = look.await.unwrap_or(seen);
        }
    }

    fn read_again(&self) {
        match Speech::read(&self.config) {
            Ok(speech) => {
                speech.log_own();
                *self.current.write() = Arc::new(speech);
            }
            Err(error) => tracing::error!(%error, "the new prompts can't be used; the last ones stay"),
        }
    }
}

/// What is said, and what keys do.
pub struct Speech {
    prompts: Prompts,
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
        let built_in = Pack::read(&config.prompts)?;
        let text = match &config.menu {
            Some(file) => {
                std::fs::read_to_string(file).map_err(|error| SpeechError::File(file.clone(), error))?
            }
            None => CLASSIC.to_owned(),
        };
        let words = Menu::parse(&text, |_| true)?.words();
        let prompts = match &config.own_prompts {
            Some(folder) => read_own(folder).over(&built_in, &words)?,
            None => Prompts::built_in(built_in)?,
        };
        let menu = Arc::new(Menu::parse(&text, |clip| prompts.has(clip))?);
        Ok(Self { prompts, menu, silence: config.silence, beep: Bytes::from(beep()) })
    }

    /// Faults of a tenant's own prompts in a few sentences; none if nothing is wrong.
    pub fn fault(&self) -> Option<String> {
        let faults = self.prompts.faults();
        let more = faults.len().saturating_sub(TOLD);
        let mut told = faults.iter().take(TOLD).cloned().collect::<Vec<_>>();
        told.extend((more > 0).then(|| format!("and {more} more")));
        (!told.is_empty()).then(|| told.join("; "))
    }

    /// All faults of a tenant's own prompts.
    pub fn faults(&self) -> &[String] {
        self.prompts.faults()
    }

    fn log_own(&self) {
        let (language, own) = (self.prompts.language.tag(), self.prompts.own());
        self.faults()
            .iter()
            .for_each(|fault| tracing::warn!(fault, "a prompt of the tenant's own can't be used"));
        tracing::info!(language, own, "prompts were read");
    }

    /// One clip.
    pub(super) fn clip(&self, name: &str) -> Option<Clip> {
        self.prompts.clip(name).map(|samples| Clip::whole(Law::Mulaw, samples))
    }

    /// What is said as clips; recordings of messages are given by `message`.
    pub(super) fn clips(&self, said: &[Say], zone: &TimeZone, message: impl Fn(&str) -> Clip) -> Vec<Clip> {
        let now = Timestamp::now();
        let mut clips = Vec::new();
        for say in said {
            match say {
                Say::Message(id) => clips.push(message(id)),
                Say::Beep => clips.push(Clip::whole(Law::Mulaw, self.beep.clone())),
                other => {
                    let has = |name: &str| self.prompts.has(name);
                    let names = clips_of(other, &self.prompts.language, has, now, zone);
                    clips.extend(names.iter().filter_map(|name| self.clip(name)));
                }
            }
        }
        clips
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::g711::write_wav;
    use crate::prompts::Catalogue;

    fn config(folder: &std::path::Path) -> DialogueConfig {
        let clips = Catalogue::english().unwrap().clips.into_keys().map(|name| (name, vec![1]));
        let (pack, own) = (folder.join("en.pack"), folder.join("own"));
        std::fs::write(&pack, Pack::write("en", &clips.collect())).unwrap();
        std::fs::create_dir(&own).unwrap();
        DialogueConfig { prompts: pack, own_prompts: Some(own), menu: None, silence: Duration::from_secs(5) }
    }

    #[tokio::test(start_paused = true)]
    async fn own_prompts_that_change_are_said_by_the_calls_after_and_faults_come_and_go_with_them() {
        let folder = tempfile::tempdir().unwrap();
        let config = config(folder.path());
        let clip = config.own_prompts.as_ref().unwrap().join("goodbye.wav");
        let speaker = Arc::new(Speaker::read(&config).unwrap());
        let before = speaker.current();
        assert_eq!(before.fault().unwrap(), "there is no clip");
        tokio::spawn(speaker.clone().follow());
        let follow = async |holds: &dyn Fn(&Speech) -> bool| {
            let wait = async {
                while !holds(&speaker.current()) {
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            };
            tokio::time::timeout(Duration::from_secs(60), wait).await.expect("the change isn't followed");
        };
        std::fs::write(&clip, write_wav(&[7; 400], Law::Mulaw)).unwrap();
        follow(&|speech| speech.prompts.clip("goodbye").unwrap() == [7; 400].as_slice()).await;
        assert_eq!(speaker.current().fault(), None);
        assert_eq!(before.prompts.clip("goodbye").unwrap(), [1].as_slice(), "a call goes on as it began");
        std::fs::write(&clip, "no sound").unwrap();
        follow(&|speech| speech.fault().is_some_and(|fault| fault.starts_with("goodbye.wav: "))).await;
        assert_eq!(speaker.current().prompts.clip("goodbye").unwrap(), [1].as_slice());
    }

    #[test]
    fn of_many_faults_a_few_are_told() {
        let folder = tempfile::tempdir().unwrap();
        let config = config(folder.path());
        for number in 0..12 {
            std::fs::write(config.own_prompts.as_ref().unwrap().join(format!("{number}.txt")), "").unwrap();
        }
        let speech = Speech::read(&config).unwrap();
        assert_eq!(speech.faults().len(), 12);
        assert!(speech.fault().unwrap().ends_with("; and 4 more"), "{:?}", speech.fault());
    }
}
