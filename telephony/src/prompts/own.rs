//! Prompts of a tenant's own: a folder of clips, `NAME.wav`, and `prompts.yaml` that says in which language they are.
//!
//! ```text
//! folder ─▶ read_own ─▶ Own (clips, language, faults) ─▶ Own::over(built-in) ─▶ Prompts
//! ```
//!
//! In the language of the built-in prompts each clip takes the place of the one of its name, and the others stay. Another
//! language is spoken as a whole or not at all: a sentence of two languages helps nobody. So is one that isn't known, since
//! `prompts.yaml` can't be read or has another name: none of its clips is said. Whatever can't be used is told as a fault
//! and never keeps calls away: the built-in prompts stand in.

use super::clip::read_clip;
use super::language::is_agreeing;
use super::{Language, Pack, PromptsError};
use bytes::Bytes;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::SystemTime;

/// Says in which language the clips are.
const DESCRIPTION: &str = "prompts.yaml";
/// The most files that are looked at, and the largest.
const MOST_FILES: usize = 1_000;
const LARGEST: u64 = 2 << 20;
/// How many of one kind are named in a fault.
const NAMED: usize = 5;

/// The content of such a folder.
pub struct Own {
    clips: BTreeMap<String, Bytes>,
    spoken: Spoken,
    faults: Vec<String>,
}

/// In which language the clips of a folder are.
enum Spoken {
    /// In that of the built-in ones: nothing says otherwise.
    Usual,
    /// In the one that `prompts.yaml` names.
    Named(Language),
    /// Something should say it, and can't be read.
    Unknown,
}

/// Clips that are said, and the language that they are put together by.
pub struct Prompts {
    pack: Pack,
    /// The language.
    pub language: Language,
    own: usize,
    faults: Vec<String>,
}

/// The files of a folder as they look without being read: to see that they have changed.
pub type Seen = Vec<(String, u64, Option<SystemTime>)>;

/// Looks at the files; those that begin with a point are the kubelet's.
///
/// # Errors
/// The folder can't be read.
pub fn see(folder: &Path) -> Result<Seen, PromptsError> {
    let failed = |error| PromptsError::File(folder.to_owned(), error);
    let mut seen = Seen::new();
    for entry in std::fs::read_dir(folder).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.starts_with('.') {
            continue;
        }
        // A file of a ConfigMap is a link.
        let facts = std::fs::metadata(entry.path());
        let (size, changed) = facts.map_or((0, None), |facts| (facts.len(), facts.modified().ok()));
        seen.push((name, size, changed));
    }
    seen.sort();
    Ok(seen)
}

/// Reads a folder. What can't be read is a fault.
pub fn read_own(folder: &Path) -> Own {
    let mut own = Own { clips: BTreeMap::new(), spoken: Spoken::Usual, faults: Vec::new() };
    let mut seen = see(folder).unwrap_or_else(|error| {
        own.faults.push(error.to_string());
        Seen::new()
    });
    if seen.len() > MOST_FILES {
        own.faults.push(format!("there are {} files, and {MOST_FILES} are read", seen.len()));
    }
    // What says the language is read however many clips there are.
    seen.sort_by_key(|(name, ..)| !describes(name));
    for (name, size, _) in seen.iter().take(MOST_FILES) {
        if let Err(why) = own.take(&folder.join(name), name, *size) {
            own.faults.push(format!("{}: {why}", shortened(name)));
        }
    }
    if seen.is_empty() && own.faults.is_empty() {
        own.faults.push("there is no clip".into());
    }
    own
}

/// Whether a file is meant to say the language: under its name, or one that somebody took for it, such as `Prompts.yml`.
fn describes(name: &str) -> bool {
    let stem = name.split('.').next().unwrap_or_default();
    stem.eq_ignore_ascii_case("prompts") && !name.to_ascii_lowercase().ends_with(".wav")
}

/// No longer than a clip's name may be, in signs that harm no log.
fn shortened(name: &str) -> String {
    name.chars().filter(|c| !c.is_control()).take(64).collect()
}

impl Own {
    fn take(&mut self, path: &Path, name: &str, size: u64) -> Result<(), String> {
        if describes(name) {
            // Until it is read.
            self.spoken = Spoken::Unknown;
            self.spoken = Spoken::Named(read_description(path, name, size)?);
            return Ok(());
        }
        let clip = name.strip_suffix(".wav");
        let clip = clip.ok_or_else(|| format!("only clips, NAME.wav, and {DESCRIPTION} are read"))?;
        self.clips.insert(clip.to_owned(), read_clip(&read(path, size)?)?);
        Ok(())
    }

    /// The language that `prompts.yaml` names; none where nothing names one.
    ///
    /// # Errors
    /// [`PromptsError::Faults`] where it can't be read.
    pub fn language(&self) -> Result<Option<&Language>, PromptsError> {
        match &self.spoken {
            Spoken::Usual => Ok(None),
            Spoken::Named(language) => Ok(Some(language)),
            Spoken::Unknown => Err(PromptsError::Faults(self.faults.clone())),
        }
    }

    /// The prompts with these clips over the built-in ones; a menu says `words` beside what every dialogue says.
    ///
    /// # Errors
    /// The built-in pack is of a language that nobody knows.
    pub fn over(mut self, built_in: &Pack, words: &BTreeSet<String>) -> Result<Prompts, PromptsError> {
        let usual = Language::of(built_in.language())?;
        let language = match std::mem::replace(&mut self.spoken, Spoken::Usual) {
            Spoken::Usual => usual.clone(),
            Spoken::Named(language) => language,
            Spoken::Unknown => return Ok(self.unused(built_in, usual)),
        };
        let mut needed = language.needed();
        needed.extend(words.iter().cloned());
        let is_known = |name: &str| needed.contains(name) || built_in.has(name) || is_agreeing(name);
        let unknown: Vec<String> = self.clips.keys().filter(|name| !is_known(name)).cloned().collect();
        if !unknown.is_empty() {
            let names = name_some(&unknown);
            self.faults
                .push(format!("nothing says {names}: `voicemail-sip prompts --list` prints the names"));
        }
        self.clips.retain(|name, _| !unknown.contains(name));
        if language.is_like(&usual) {
            let (own, clips) = (self.clips.len(), self.clips);
            return Ok(Prompts { pack: built_in.with(clips), language, own, faults: self.faults });
        }
        let lacking: Vec<String> = needed.into_iter().filter(|name| !self.clips.contains_key(name)).collect();
        if lacking.is_empty() {
            let (own, tag) = (self.clips.len(), language.tag());
            return Ok(Prompts { pack: Pack::of(&tag, self.clips), language, own, faults: self.faults });
        }
        self.faults.push(format!(
            "the language {} lacks {}: the built-in {} is spoken until it is whole",
            language.tag(),
            name_some(&lacking),
            usual.tag()
        ));
        Ok(Prompts { pack: built_in.clone(), language: usual, own: 0, faults: self.faults })
    }

    /// The built-in prompts alone, with what is wrong with the tenant's own.
    fn unused(mut self, built_in: &Pack, usual: Language) -> Prompts {
        self.faults.push(format!(
            "the language of the clips isn't known: the built-in {} is spoken until {DESCRIPTION} can be read",
            usual.tag()
        ));
        Prompts { pack: built_in.clone(), language: usual, own: 0, faults: self.faults }
    }
}

/// A file's bytes, unless there are too many.
fn read(path: &Path, size: u64) -> Result<Vec<u8>, String> {
    if size > LARGEST {
        return Err(format!("it has more than {LARGEST} bytes"));
    }
    std::fs::read(path).map_err(|error| error.to_string())
}

fn read_description(path: &Path, name: &str, size: u64) -> Result<Language, String> {
    if name != DESCRIPTION {
        return Err(format!("what says the clips' language is called {DESCRIPTION}"));
    }
    let text = String::from_utf8(read(path, size)?).map_err(|_| "it is no text in UTF-8".to_owned())?;
    Language::parse(&text).map_err(|error| match error {
        PromptsError::Description(why) => why,
        error => error.to_string(),
    })
}

fn name_some(names: &[String]) -> String {
    let some: Vec<String> = names.iter().take(NAMED).map(|name| shortened(name)).collect();
    match names.len() - some.len() {
        0 => some.join(", "),
        more => format!("{} and {more} more", some.join(", ")),
    }
}

impl Prompts {
    /// The built-in ones alone.
    ///
    /// # Errors
    /// The pack is of a language that nobody knows.
    pub fn built_in(pack: Pack) -> Result<Self, PromptsError> {
        let language = Language::of(pack.language())?;
        Ok(Self { pack, language, own: 0, faults: Vec::new() })
    }

    /// A clip's samples.
    pub fn clip(&self, name: &str) -> Option<Bytes> {
        self.pack.clip(name)
    }

    /// Whether there is that clip.
    pub fn has(&self, name: &str) -> bool {
        self.pack.has(name)
    }

    /// How many clips are the tenant's own.
    pub fn own(&self) -> usize {
        self.own
    }

    /// Faults of the tenant's own, and what to do.
    pub fn faults(&self) -> &[String] {
        &self.faults
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::g711::write_wav;
    use crate::prompts::Catalogue;
    use voicemail_api::telephony::Law;

    /// The built-in pack: each clip is one sample.
    fn built_in() -> Pack {
        let clips = Catalogue::english().unwrap().clips;
        Pack::of("en", clips.into_keys().map(|name| (name, Bytes::from_static(&[1]))).collect())
    }

    fn prompts(files: &[(&str, &[u8])]) -> Prompts {
        let folder = tempfile::tempdir().unwrap();
        for (name, content) in files {
            std::fs::write(folder.path().join(name), content).unwrap();
        }
        let words = BTreeSet::from(["main-menu".to_owned()]);
        read_own(folder.path()).over(&built_in(), &words).unwrap()
    }

    fn wav(sample: u8) -> Vec<u8> {
        write_wav(&[sample; 4], Law::Mulaw)
    }

    #[test]
    fn a_clip_takes_the_place_of_the_one_of_its_name_and_the_others_stay() {
        let prompts = prompts(&[("goodbye.wav", &wav(7)), ("number-1.new-message.wav", &wav(8))]);
        assert_eq!(prompts.faults(), [""; 0]);
        assert_eq!(prompts.own(), 2);
        assert_eq!(prompts.clip("goodbye").unwrap(), [7; 4].as_slice());
        assert_eq!(prompts.clip("number-1.new-message").unwrap(), [8; 4].as_slice());
        assert_eq!(prompts.clip("main-menu").unwrap(), [1].as_slice());
    }

    #[test]
    fn what_cannot_be_used_is_told_by_name_and_the_rest_is_used() {
        let files: [(&str, &[u8]); 5] = [
            ("goodbye.wav", &wav(7)),
            ("good-bye.wav", &wav(7)),
            ("pin.wav", b"ID3"),
            ("prompts.yaml", b"language: en\nclock: 24h"),
            ("notes.txt", b""),
        ];
        let prompts = prompts(&files);
        let told = prompts.faults().join("\n");
        for part in ["nothing says good-bye:", "pin.wav: it is no WAV", "notes.txt: only"] {
            assert!(told.contains(part), "{part}: {told}");
        }
        assert_eq!(prompts.faults().len(), 3);
        assert_eq!(prompts.clip("goodbye").unwrap(), [7; 4].as_slice());
        assert_eq!(prompts.clip("pin").unwrap(), [1].as_slice());
        assert!(prompts.clip("good-bye").is_none());
    }

    #[test]
    fn another_language_is_spoken_as_a_whole_or_not_at_all() {
        let description = b"language: de\ndate: dayMonth\nclock: 24h".as_slice();
        let german = Language::parse(std::str::from_utf8(description).unwrap()).unwrap();
        let mut names: Vec<String> = german.needed().into_iter().map(|name| format!("{name}.wav")).collect();
        names.push("main-menu.wav".into());
        let clip = wav(9);
        let mut files: Vec<(&str, &[u8])> = names.iter().map(|name| (name.as_str(), &*clip)).collect();
        files.push(("prompts.yaml", description));
        let whole = prompts(&files);
        assert_eq!((whole.faults(), whole.language.tag().as_str()), (&[][..], "de"));
        assert_eq!(whole.clip("oclock").unwrap(), [9; 4].as_slice());
        files.retain(|(name, _)| *name != "number-17.wav");
        let partly = prompts(&files);
        assert_eq!(partly.language.tag(), "en");
        assert_eq!(partly.clip("oclock").unwrap(), [1].as_slice());
        let told = partly.faults().join("\n");
        assert!(told.contains("the language de lacks number-17: the built-in en is spoken"), "{told}");
    }

    #[test]
    fn clips_of_a_language_that_is_not_known_are_none_of_them_said() {
        let large = vec![b' '; usize::try_from(LARGEST).unwrap() + 1];
        for (name, content, told) in [
            ("prompts.yaml", b"language: de\nclock: noon".as_slice(), "prompts.yaml: clock: unknown variant"),
            ("prompts.yaml", b"sprache: de", "prompts.yaml: unknown field"),
            ("prompts.yaml", b"", "prompts.yaml: "),
            ("prompts.yaml", b"language: de # \xfc", "prompts.yaml: it is no text"),
            ("prompts.yaml", &large, "prompts.yaml: it has more than"),
            (
                "prompts.yml",
                b"language: de",
                "prompts.yml: what says the clips' language is called prompts.yaml",
            ),
            ("Prompts.yaml", b"language: de", "Prompts.yaml: what says"),
        ] {
            let prompts = prompts(&[("goodbye.wav", &wav(7)), (name, content)]);
            assert_eq!(prompts.clip("goodbye").unwrap(), [1].as_slice(), "{name}");
            assert_eq!((prompts.own(), prompts.language.tag().as_str()), (0, "en"));
            let faults = prompts.faults();
            assert!(faults[0].starts_with(told), "{told}: {faults:?}");
            assert!(
                faults[1].contains("the built-in en is spoken until prompts.yaml can be read"),
                "{faults:?}"
            );
        }
    }

    #[test]
    fn the_language_is_read_however_many_clips_lie_before_it() {
        let folder = tempfile::tempdir().unwrap();
        for number in 0..MOST_FILES {
            std::fs::write(folder.path().join(format!("number-{number}.wav")), wav(7)).unwrap();
        }
        std::fs::write(folder.path().join("prompts.yaml"), "language: de").unwrap();
        let prompts = read_own(folder.path()).over(&built_in(), &BTreeSet::new()).unwrap();
        assert_eq!(prompts.clip("number-1").unwrap(), [1].as_slice());
        assert!(prompts.faults().iter().any(|fault| fault.contains("the language de lacks")));
    }

    #[test]
    fn a_folder_that_is_empty_or_away_is_told() {
        assert_eq!(prompts(&[]).faults(), ["there is no clip"]);
        let away = read_own(Path::new("/nowhere/at/all")).over(&built_in(), &BTreeSet::new()).unwrap();
        assert!(away.faults()[0].contains("/nowhere/at/all"), "{:?}", away.faults());
        assert_eq!(away.clip("goodbye").unwrap(), [1].as_slice());
    }

    #[test]
    fn too_large_a_file_is_left_out_and_a_change_is_seen_without_reading() {
        let large = vec![0; usize::try_from(LARGEST).unwrap() + 1];
        assert!(prompts(&[("pin.wav", &large)]).faults()[0].starts_with("pin.wav: it has more than"));
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("..data"), "").unwrap();
        assert_eq!(see(folder.path()).unwrap(), []);
        std::fs::write(folder.path().join("pin.wav"), "a").unwrap();
        let before = see(folder.path()).unwrap();
        std::fs::write(folder.path().join("pin.wav"), "longer").unwrap();
        assert_ne!(see(folder.path()).unwrap(), before);
    }
}
