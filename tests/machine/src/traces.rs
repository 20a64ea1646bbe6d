//! The scan of a tenant's volume for what an erasure must have removed: a caller's number, the caller's
//! hash, the audio.
//!
//! Each is looked for in every form in which it could have been written: as it is, as hexadecimal text, as
//! base64 (at each of its three alignments), and a number also with anything between its digits that people
//! write there. File and folder names are looked at like contents.
//!
//! Limits: audio is known by pieces of it, so a copy that was coded anew isn't found; compressed or
//! encrypted copies of anything aren't either. Run it once before the erasure: it must find all three then.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use base64::Engine;
use base64::alphabet::{STANDARD, URL_SAFE};
use base64::engine::general_purpose::{GeneralPurpose, NO_PAD};
use memchr::memmem::Finder;

/// Size of a piece of audio in bytes; long enough that chance doesn't make another.
const PIECE: usize = 48;
/// How many pieces of one recording are looked for, evenly spread.
const PIECES: usize = 24;

/// The kinds of traces that are searched for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Sought {
    /// The caller's number.
    Number,
    /// The caller's name in the store.
    CallerHash,
    /// A recording.
    Audio,
    /// A name, a secret, or another text.
    Text,
}

/// Something that was found.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Trace {
    /// The file, relative to the scanned folder.
    pub file: PathBuf,
    /// The kind of trace that it holds.
    pub what: Sought,
    /// In which form.
    pub form: &'static str,
    /// Whether its name holds it, rather than its content.
    pub in_name: bool,
}

/// Everything that is looked for.
#[derive(Default)]
pub struct Traces {
    needles: Vec<Needle>,
}

struct Needle {
    what: Sought,
    form: &'static str,
    finder: Finder<'static>,
    /// Looked for where everything between digits was taken out.
    among_digits: bool,
}

impl Traces {
    /// Also looks for a number in E.164, with the country code given, and so in every shorter form.
    #[must_use]
    pub fn with_number(mut self, e164: &str, country_code: &str) -> Self {
        let digits: String = e164.chars().filter(char::is_ascii_digit).collect();
        // All forms, international and national, end in these.
        let national = digits.strip_prefix(country_code).unwrap_or(&digits);
        self.add(Sought::Number, "digits", national.as_bytes(), true);
        self.add_encoded(Sought::Number, national.as_bytes());
        self
    }

    /// Also looks for a caller's hash, given as hexadecimal text.
    #[must_use]
    pub fn with_caller_hash(mut self, hash: &str) -> Self {
        self.add(Sought::CallerHash, "text", hash.as_bytes(), false);
        self.add_encoded(Sought::CallerHash, hash.as_bytes());
        if let Ok(bytes) = hex::decode(hash) {
            self.add(Sought::CallerHash, "bytes", &bytes, false);
            self.add_base64(Sought::CallerHash, &bytes);
        }
        self
    }

    /// Also looks for a text, as it is and as a URL has it.
    #[must_use]
    pub fn with_text(mut self, text: &str) -> Self {
        self.add(Sought::Text, "text", text.as_bytes(), false);
        for space in ["%20", "+"] {
            self.add(Sought::Text, "url", encode_url(text, space).as_bytes(), false);
        }
        self.add_encoded(Sought::Text, text.as_bytes());
        self
    }

    /// Also looks for pieces of a recording's samples; silence is left out, as any recording has it.
    #[must_use]
    pub fn with_audio(mut self, samples: &[u8]) -> Self {
        let lively = |piece: &&[u8]| piece.iter().collect::<BTreeSet<_>>().len() > PIECE / 4;
        let pieces: Vec<&[u8]> = samples.chunks_exact(PIECE).filter(lively).collect();
        for piece in pieces.iter().step_by((pieces.len() / PIECES).max(1)) {
            self.add(Sought::Audio, "bytes", piece, false);
            self.add_encoded(Sought::Audio, piece);
        }
        self
    }

    fn add_encoded(&mut self, what: Sought, bytes: &[u8]) {
        self.add(what, "hex", hex::encode(bytes).as_bytes(), false);
        self.add(what, "hex", hex::encode_upper(bytes).as_bytes(), false);
        self.add_base64(what, bytes);
    }

    /// Base64 of a longer text that holds the bytes begins at one of three alignments; the characters at
    /// the edges depend on the neighbours and are left out.
    fn add_base64(&mut self, what: Sought, bytes: &[u8]) {
        for alphabet in [&STANDARD, &URL_SAFE] {
            let engine = GeneralPurpose::new(alphabet, NO_PAD);
            for before in 0..3 {
                let text = engine.encode([&vec![0; before][..], bytes].concat());
                let first = [0, 2, 3][before];
                let whole = (before + bytes.len()) / 3 * 4;
                if let Some(inner) = text.get(first..whole) {
                    self.add(what, "base64", inner.as_bytes(), false);
                }
            }
        }
    }

    fn add(&mut self, what: Sought, form: &'static str, bytes: &[u8], among_digits: bool) {
        let finder = Finder::new(bytes).into_owned();
        self.needles.push(Needle { what, form, finder, among_digits });
    }

    /// Looks into every file below a folder. Files that vanish meanwhile are no error.
    pub fn scan(&self, folder: &Path) -> Result<BTreeSet<Trace>> {
        ensure!(folder.is_dir(), "{} is no folder to scan", folder.display());
        let mut found = BTreeSet::new();
        self.visit(folder, folder, &mut found)?;
        Ok(found)
    }

    fn visit(&self, root: &Path, folder: &Path, found: &mut BTreeSet<Trace>) -> Result<()> {
        for entry in std::fs::read_dir(folder).with_context(|| format!("reading {}", folder.display()))? {
            let path = entry?.path();
            let file = path.strip_prefix(root).unwrap_or(&path).to_owned();
            let name = file.to_string_lossy().into_owned();
            self.examine(name.as_bytes(), &file, true, found);
            if path.is_dir() {
                self.visit(root, &path, found)?;
                continue;
            }
            match std::fs::read(&path) {
                Ok(content) => self.examine(&content, &file, false, found),
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(error) => return Err(error).with_context(|| format!("reading {}", path.display())),
            }
        }
        Ok(())
    }

    fn examine(&self, text: &[u8], file: &Path, in_name: bool, found: &mut BTreeSet<Trace>) {
        let squeezed = squeeze(text);
        for needle in &self.needles {
            let place = if needle.among_digits { squeezed.as_slice() } else { text };
            if needle.finder.find(place).is_some() {
                found.insert(Trace { file: file.to_owned(), what: needle.what, form: needle.form, in_name });
            }
        }
    }
}

/// As forms and paths have it: all but unreserved characters as `%XX`.
fn encode_url(text: &str, space: &str) -> String {
    let encode = |byte: u8| match byte {
        b' ' => space.to_owned(),
        plain if plain.is_ascii_alphanumeric() || b"-._~".contains(&plain) => char::from(plain).to_string(),
        other => format!("%{other:02X}"),
    };
    text.bytes().map(encode).collect()
}

/// Takes out what people write between the digits of a number.
fn squeeze(text: &[u8]) -> Vec<u8> {
    text.iter().copied().filter(|byte| !b" \t()-.".contains(byte)).collect()
}

#[cfg(test)]
mod tests {
    use super::{Sought, Traces};

    fn finds(traces: &Traces, name: &str, content: &[u8]) -> Vec<(Sought, &'static str, bool)> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
        let found = traces.scan(folder.path()).unwrap();
        found.into_iter().map(|trace| (trace.what, trace.form, trace.in_name)).collect()
    }

    #[test]
    fn a_number_is_found_in_all_its_spellings_and_codings() {
        let traces = Traces::default().with_number("+441632960001", "44");
        for text in ["x+441632960001y", "01632 960001", "0044 (1632) 960-001", "1632.96.0001"] {
            assert_eq!(finds(&traces, "a", text.as_bytes()), [(Sought::Number, "digits", false)], "{text}");
        }
        for before in ["", "a", "ab", "abc"] {
            use base64::Engine;
            let text = base64::prelude::BASE64_STANDARD.encode(format!("{before}+441632960001 and more"));
            assert_eq!(finds(&traces, "a", text.as_bytes()), [(Sought::Number, "base64", false)], "{text}");
        }
        assert_eq!(finds(&traces, "a", hex::encode("1632960001").as_bytes())[0].1, "hex");
        assert_eq!(finds(&traces, "a", b"1632960002 and 44163296"), []);
    }

    #[test]
    fn a_hash_is_found_in_names_and_contents() {
        let hash = "00112233445566778899aabbccddeeff";
        let traces = Traces::default().with_caller_hash(hash);
        assert!(finds(&traces, &format!("ca/00/{hash}/x"), b"").contains(&(
            Sought::CallerHash,
            "text",
            true
        )));
        let bytes = hex::decode(hash).unwrap();
        assert_eq!(finds(&traces, "a", &bytes), [(Sought::CallerHash, "bytes", false)]);
    }

    #[test]
    fn a_text_is_found_in_all_its_codings() {
        let traces = Traces::default().with_text("Zoë Quitte");
        for text in
            ["<Zoë Quitte>", "name=Zo%C3%AB%20Quitte&", "name=Zo%C3%AB+Quitte", &hex::encode("Zoë Quitte")]
        {
            assert_eq!(finds(&traces, "a", text.as_bytes())[0].0, Sought::Text, "{text}");
        }
        assert_eq!(finds(&traces, "a", b"Zoe Quitte"), []);
    }

    #[test]
    fn audio_is_found_by_its_pieces_and_silence_is_not_audio() {
        let sound: Vec<u8> = (0..4000_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
        let traces = Traces::default().with_audio(&[vec![0x55; 1000], sound.clone()].concat());
        assert_eq!(finds(&traces, "a", &sound), [(Sought::Audio, "bytes", false)]);
        assert_eq!(finds(&traces, "a", &[0x55; 5000]), []);
    }
}
