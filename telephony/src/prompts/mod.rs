//! What is said in a language: clips of sentences and words, and how numbers and dates are made of them.
//!
//! ```text
//! catalogue (text, en.yaml) ─▶ voicemail-sip prompts ─▶ pack (one file of µ-law) ─┬▶ Prompts ─▶ clips
//!                                      a tenant's folder of WAV files ─▶ Own ─────┘
//! ```
//!
//! A pack is made at build by flite (voice slt, Carnegie Mellon's permissive licence), never by the process that answers
//! calls. What can go wrong: [`PromptsError`] keeps the process from beginning; what is wrong with a tenant's own is a fault that
//! [`Prompts::faults`] tells.

mod catalogue;
mod clip;
mod language;
mod list;
mod make;
mod own;
mod pack;
pub mod words;

pub use catalogue::Catalogue;
pub use language::{Clock, DateOrder, Language};
pub use list::list_clips;
pub use make::{Made, make};
pub use own::{Own, Prompts, Seen, read_own, see};
pub use pack::Pack;

use std::path::PathBuf;
use voicemail_api::ErrorClass;

/// Why there are no prompts.
#[derive(Debug, thiserror::Error)]
pub enum PromptsError {
    /// A file.
    #[error("{0}: {1}")]
    File(PathBuf, std::io::Error),
    /// The catalogue isn't YAML of its form.
    #[error("the catalogue: {0}")]
    Catalogue(#[from] serde_yaml::Error),
    /// What says in which language a tenant's own prompts are.
    #[error("prompts.yaml: {0}")]
    Description(String),
    /// The file is no pack.
    #[error("the file is no pack of prompts: make it by `voicemail-sip prompts`")]
    Foreign,
    /// Some of a tenant's own can't be used.
    #[error("{}", .0.join("\n"))]
    Faults(Vec<String>),
    /// The speaker can't be run, or failed.
    #[error("flite can't speak {clip}: {why}")]
    Speaker {
        /// Which clip.
        clip: String,
        /// Why.
        why: String,
    },
    /// The bytes aren't those that were pinned.
    #[error("the pack's SHA-256 is {found}, and {expected} is written down: is this flite 2.2?")]
    Checksum {
        /// What was made.
        found: String,
        /// What was expected.
        expected: String,
    },
}

impl PromptsError {
    /// Something must be changed.
    pub const fn class(&self) -> ErrorClass {
        ErrorClass::Permanent
    }
}
