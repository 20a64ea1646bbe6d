//! What somebody has to record: the clips of a language, each with its English text.

use super::{Catalogue, Language, PromptsError};
use std::collections::BTreeSet;

/// A line for each clip that the language says, those that a menu names with them: its file, and the English text. A plural form that
/// English hasn't has the text of the other ones.
///
/// # Errors
/// [`PromptsError::Catalogue`], never for the one that comes with the program.
pub fn list_clips(language: &Language, words: &BTreeSet<String>) -> Result<String, PromptsError> {
    let clips = Catalogue::english()?.clips;
    let mut names = language.needed();
    names.extend(words.iter().cloned());
    let text = |name: &String| {
        let plural = name.split_once('.').map(|(noun, _)| format!("{noun}.other"));
        clips.get(name).or_else(|| clips.get(&plural?)).cloned().unwrap_or_default()
    };
    Ok(names.iter().map(|name| format!("{name}.wav\t{}\n", text(name))).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_records_a_language_gets_every_name_with_a_text() {
        let words = BTreeSet::from(["main-menu".to_owned()]);
        let listed = list_clips(&Language::parse("{language: pl, clock: 24h}").unwrap(), &words).unwrap();
        let rows: Vec<(&str, &str)> = listed.lines().map(|line| line.split_once('\t').unwrap()).collect();
        assert!(rows.contains(&("old-message.few.wav", "old messages")));
        assert!(rows.contains(&("oclock.wav", "o'clock")) && !listed.contains("am.wav"));
        assert!(rows.iter().any(|(name, _)| *name == "main-menu.wav"));
        assert!(rows.iter().all(|(_, text)| !text.is_empty()), "{listed}");
    }
}
