//! The words of mails, one file a language, as data; and a tenant's own words in their place.
//!
//! ```text
//! templates/*.json (built in) ─┐
//! a tenant's folder, *.json ───┴▶ checked word by word ─▶ Templates ─▶ the words of one language
//! ```
//!
//! A tenant's file has only the words that it changes. A file that isn't right is refused whole and named, with the word: no mail
//! ever shows half a template.

use serde::Deserialize;
use serde_json::{Map, Value};
use std::path::Path;
use std::sync::{Arc, LazyLock};

/// A language that mails are written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Language {
    /// German.
    De,
    /// English, which stands in for every language that isn't here.
    En,
    /// Spanish.
    Es,
    /// French.
    Fr,
    /// Italian.
    It,
}

impl Language {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::De, Self::En, Self::Es, Self::Fr, Self::It];

    /// By its code of ISO 639-1.
    pub const fn code(self) -> &'static str {
        match self {
            Self::De => "de",
            Self::En => "en",
            Self::Es => "es",
            Self::Fr => "fr",
            Self::It => "it",
        }
    }

    /// The language of a tag such as `de-AT` (BCP 47).
    pub fn of(tag: &str) -> Option<Self> {
        let primary = tag.split(['-', '_']).next().unwrap_or_default().to_ascii_lowercase();
        Self::ALL.into_iter().find(|language| language.code() == primary)
    }

    const fn text(self) -> &'static str {
        match self {
            Self::De => include_str!("../templates/de.json"),
            Self::En => include_str!("../templates/en.json"),
            Self::Es => include_str!("../templates/es.json"),
            Self::Fr => include_str!("../templates/fr.json"),
            Self::It => include_str!("../templates/it.json"),
        }
    }
}

/// The words of one language. In braces stands what is put in.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Words {
    /// A time, as `strftime` writes it.
    pub when: String,
    pub note_subject: String,
    pub caller_subject: String,
    pub digest_subject: String,
    pub urgent_prefix: String,
    pub title: String,
    pub digest_title: String,
    pub note: String,
    pub digest: String,
    pub mailbox: String,
    pub caller: String,
    pub received: String,
    pub length: String,
    pub urgent: String,
    pub withheld: String,
    pub attached: String,
    pub too_large: String,
    /// The words of the link to the message.
    pub open: String,
    pub footer: String,
}

/// Longest word of a tenant's, in characters.
const LONGEST: usize = 500;
/// Largest file of a tenant's, in bytes.
const MOST_BYTES: u64 = 64 * 1024;

/// The words of every language.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Templates([Arc<Words>; Language::ALL.len()]);

static BUILT_IN: LazyLock<Templates> = LazyLock::new(|| {
    // A test reads every file; were one broken nevertheless, its mails would have no words.
    Templates(
        Language::ALL.map(|language| Arc::new(serde_json::from_str(language.text()).unwrap_or_default())),
    )
});

/// A tenant's words can't be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TemplateError {
    /// The folder or a file can't be read.
    #[error("{file} can't be read: {why}")]
    Unreadable {
        /// Which.
        file: String,
        /// The system's words.
        why: String,
    },
    /// A file that no language has.
    #[error(
        "{file}: mails are written in de, en, es, fr and it: name it after one of these, such as en.json"
    )]
    NoLanguage {
        /// Its name.
        file: String,
    },
    /// A file that isn't an object of texts.
    #[error("{file}: write an object of texts in JSON: {why}")]
    NoObject {
        /// Its name.
        file: String,
        /// What is wrong, and where.
        why: String,
    },
    /// A word that can't stand in a mail.
    #[error("{file}: {word}: {rule}")]
    Word {
        /// The file's name.
        file: String,
        /// The word's name.
        word: String,
        /// What to write.
        rule: String,
    },
}

impl TemplateError {
    /// A stable word for logs and conditions.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Unreadable { .. } => "TemplatesUnreadable",
            Self::NoLanguage { .. } | Self::NoObject { .. } | Self::Word { .. } => "TemplatesInvalid",
        }
    }
}

impl Default for Templates {
    /// The words that are built in.
    fn default() -> Self {
        BUILT_IN.clone()
    }
}

impl Templates {
    /// The built-in words, and over them those of a folder's files, such as `en.json`. Files that begin with a dot, and what isn't
    /// a `.json`, are left alone.
    ///
    /// # Errors
    /// The first file or word that can't be used.
    pub fn read(folder: &Path) -> Result<Self, TemplateError> {
        let mut templates = Self::default();
        let unreadable = |error: std::io::Error, file: &Path| TemplateError::Unreadable {
            file: file.display().to_string(),
            why: error.to_string(),
        };
        let entries = std::fs::read_dir(folder).map_err(|error| unreadable(error, folder))?;
        let mut names: Vec<_> = entries.filter_map(Result::ok).map(|entry| entry.file_name()).collect();
        names.sort_unstable();
        for name in names.iter().filter_map(|name| name.to_str()) {
            let Some(code) = name.strip_suffix(".json").filter(|code| !code.starts_with('.')) else {
                continue;
            };
            let language = Language::ALL.into_iter().find(|language| language.code() == code);
            let language = language.ok_or_else(|| TemplateError::NoLanguage { file: name.to_owned() })?;
            let path = folder.join(name);
            let size = std::fs::metadata(&path).map_err(|error| unreadable(error, &path))?.len();
            if size > MOST_BYTES {
                return Err(TemplateError::NoObject { file: name.into(), why: "it is too large".into() });
            }
            let text = std::fs::read_to_string(&path).map_err(|error| unreadable(error, &path))?;
            templates.0[language as usize] = Arc::new(overlay(language, name, &text)?);
        }
        Ok(templates)
    }

    pub(crate) fn words(&self, language: Language) -> &Words {
        &self.0[language as usize]
    }
}

/// A language's words with a tenant's in place of some.
fn overlay(language: Language, file: &str, text: &str) -> Result<Words, TemplateError> {
    let broken = |why: String| TemplateError::NoObject { file: file.to_owned(), why };
    let given: Map<String, Value> = serde_json::from_str(text.trim_start_matches('\u{feff}'))
        .map_err(|error| broken(error.to_string()))?;
    let mut all: Map<String, Value> =
        serde_json::from_str(language.text()).map_err(|error| broken(error.to_string()))?;
    for (word, value) in given {
        let refuse = |rule: String| TemplateError::Word { file: file.to_owned(), word: word.clone(), rule };
        let usual = all.get(&word).and_then(Value::as_str);
        let usual = usual
            .ok_or_else(|| refuse("there is no such word: see docs/email.md for those there are".into()))?;
        let text = value.as_str().ok_or_else(|| refuse("write a text".into()))?;
        check_word(&word, usual, text).map_err(refuse)?;
        all.insert(word, value);
    }
    serde_json::from_value(Value::Object(all)).map_err(|error| broken(error.to_string()))
}

fn check_word(word: &str, usual: &str, text: &str) -> Result<(), String> {
    if text.trim().is_empty() || text.chars().count() > LONGEST {
        return Err(format!("write 1 to {LONGEST} characters"));
    }
    if text.chars().any(char::is_control) {
        return Err("write it on one line, without control characters".into());
    }
    if word == "when" {
        return check_time(text);
    }
    let (known, named) = (names(usual).unwrap_or_default(), names(text).ok_or("close each brace")?);
    match named.into_iter().find(|name| !known.contains(name)) {
        Some(other) if known.is_empty() => Err(format!("nothing is put in here: leave {{{other}}} out")),
        Some(other) => Err(format!("{{{other}}} isn't put in here: only {{{}}} is", known.join("}, {"))),
        None => Ok(()),
    }
}

fn check_time(pattern: &str) -> Result<(), String> {
    let some = jiff::Timestamp::UNIX_EPOCH.to_zoned(jiff::tz::TimeZone::UTC);
    let written = jiff::fmt::strtime::format(pattern, &some);
    written
        .map(drop)
        .map_err(|error| format!("write a time as strftime does, such as %Y-%m-%d %H:%M: {error}"))
}

/// The names in braces; nothing where a brace isn't closed.
fn names(text: &str) -> Option<Vec<&str>> {
    text.split('{').skip(1).map(|part| part.split_once('}').map(|(name, _)| name)).collect()
}

/// Puts values into a text, each once where its name stands; values are never read for names again.
pub(crate) fn fill(template: &str, values: &[(&str, &str)]) -> String {
    let (mut filled, mut rest) = (String::new(), template);
    while let Some((before, after)) = rest.split_once('{') {
        filled.push_str(before);
        let Some((name, behind)) = after.split_once('}') else {
            rest = after;
            continue;
        };
        let value = values.iter().find(|(known, _)| *known == name);
        filled.push_str(value.map_or("", |(_, value)| value));
        rest = behind;
    }
    filled.push_str(rest);
    filled
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_language_has_every_word_and_puts_in_the_same() {
        let texts =
            |language: Language| -> Map<String, Value> { serde_json::from_str(language.text()).unwrap() };
        let english = texts(Language::En);
        for language in Language::ALL {
            let words = texts(language);
            assert_eq!(words.keys().collect::<Vec<_>>(), english.keys().collect::<Vec<_>>(), "{language:?}");
            for (word, text) in &words {
                let named = |text: &Value| {
                    let mut named: Vec<String> =
                        names(text.as_str().unwrap()).unwrap().into_iter().map(str::to_owned).collect();
                    named.sort_unstable();
                    named
                };
                assert_eq!(named(text), named(&english[word]), "{language:?} {word}");
                check_word(word, text.as_str().unwrap(), text.as_str().unwrap()).unwrap();
            }
            let read: Words = serde_json::from_value(Value::Object(words)).unwrap();
            assert_eq!(*Templates::default().words(language), read);
        }
    }

    fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            std::fs::write(folder.path().join(name), text).unwrap();
        }
        folder
    }

    #[test]
    fn a_tenants_words_stand_over_the_built_in_ones() {
        let files = [
            ("de.json", "\u{feff}{\"title\": \"Acme: Nachricht\", \"noteSubject\": \"Neu: {length}\"}"),
            (".hidden.json", "no"),
            ("README", "no"),
        ];
        let folder = folder(&files);
        let templates = Templates::read(folder.path()).unwrap();
        let (plain, german) = (Templates::default(), templates.words(Language::De));
        assert_eq!(
            (german.title.as_str(), german.note_subject.as_str()),
            ("Acme: Nachricht", "Neu: {length}")
        );
        assert_eq!(german.caller_subject, plain.words(Language::De).caller_subject);
        assert_eq!(templates.words(Language::En), plain.words(Language::En));
    }

    #[test]
    fn a_file_that_is_not_right_is_refused_with_the_word_and_the_rule() {
        for (name, text, says) in [
            ("pl.json", "{}", "pl.json: mails are written in"),
            ("en.json", "[]", "en.json: write an object"),
            ("en.json", "{\"titel\": \"x\"}", "en.json: titel: there is no such word"),
            ("en.json", "{\"title\": 1}", "en.json: title: write a text"),
            ("en.json", "{\"title\": \" \"}", "en.json: title: write 1 to 500"),
            ("en.json", "{\"title\": \"a\\r\\nBcc: b@c\"}", "en.json: title: write it on one line"),
            (
                "en.json",
                "{\"note\": \"{caller} called\"}",
                "en.json: note: {caller} isn't put in here: only {mailbox} is",
            ),
            ("en.json", "{\"footer\": \"{mailbox}\"}", "en.json: footer: nothing is put in here"),
            ("en.json", "{\"note\": \"{mailbox\"}", "en.json: note: close each brace"),
            ("en.json", "{\"when\": \"%Y %!\"}", "en.json: when: write a time as strftime does"),
        ] {
            let folder = folder(&[(name, text)]);
            let error = Templates::read(folder.path()).unwrap_err();
            assert!(error.to_string().starts_with(says), "{text}: {error}");
        }
        let missing = Templates::read(Path::new("/nowhere")).unwrap_err();
        assert_eq!(missing.reason(), "TemplatesUnreadable");
    }

    #[test]
    fn languages_are_found_by_their_tags() {
        assert_eq!(Language::of("de-AT"), Some(Language::De));
        assert_eq!(Language::of("FR"), Some(Language::Fr));
        assert_eq!(Language::of("pl"), None);
    }

    #[test]
    fn what_is_put_in_is_not_read_for_names() {
        assert_eq!(fill("{a} and {b}{", &[("a", "{b}"), ("b", "x")]), "{b} and x");
    }
}
