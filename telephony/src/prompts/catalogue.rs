//! The text of every clip of a language.

use super::PromptsError;
use serde::Deserialize;
use std::collections::BTreeMap;

/// A language's clips as text.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Catalogue {
    /// Its tag, such as `en`.
    pub language: String,
    /// Text by the clip's name.
    pub clips: BTreeMap<String, String>,
}

/// English, as it comes with the program.
const ENGLISH: &str = include_str!("../../prompts/en.yaml");

impl Catalogue {
    /// Reads one.
    ///
    /// # Errors
    /// [`PromptsError::Catalogue`].
    pub fn parse(text: &str) -> Result<Self, PromptsError> {
        Ok(serde_yaml::from_str(text)?)
    }

    /// English.
    ///
    /// # Errors
    /// [`PromptsError::Catalogue`], never for the one that comes with the program.
    pub fn english() -> Result<Self, PromptsError> {
        Self::parse(ENGLISH)
    }
}
