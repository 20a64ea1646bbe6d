//! pocketsphinx, which tells what words were said: it hears samples of a telephone against a grammar of all that can be said (JSGF).
//!
//! Its model knows sound at 16 kHz. Each sample is given twice: sound above 4 kHz, which a telephone has none of, is then the mirror
//! image of what lies below, and words with s and f are heard far better than with silence there. What can go wrong: the packages are
//! missing, or a word of the grammar isn't in the dictionary; either is an error with what it has printed.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::debian::{ensure_packages, ensure_program};

const MODEL: &str = "/usr/share/pocketsphinx/model/en-us/en-us";
const DICTIONARY: &str = "/usr/share/pocketsphinx/model/en-us/cmudict-en-us.dict";
/// Samples of silence before and after what is said.
const QUIET: usize = 2_400;
/// So much less likely than the best one may a guess be that is followed: what passed a telephone needs more of them than usual.
const BEAMS: [&str; 6] = ["-beam", "1e-80", "-wbeam", "1e-60", "-pbeam", "1e-80"];

/// The words of each of these sounds at 8 kHz, by a grammar; none where nothing of the grammar was said.
///
/// # Errors
/// pocketsphinx can't be had, or doesn't take the grammar.
pub fn hear(grammar: &str, sounds: &[Vec<i16>]) -> Result<Vec<String>> {
    let program = ensure_program("pocketsphinx", "pocketsphinx_batch")?;
    ensure_packages(&[("pocketsphinx-en-us", DICTIONARY)])?;
    let folder = tempfile::Builder::new().prefix("pocketsphinx-").tempdir()?;
    write_files(folder.path(), grammar, sounds)?;
    let mut command = Command::new(program);
    command.args(["-hmm", MODEL, "-dict", DICTIONARY, "-jsgf", "grammar", "-ctl", "list", "-hyp", "heard"]);
    command.args(["-cepdir", ".", "-cepext", ".raw", "-adcin", "yes", "-dither", "yes", "-seed", "1"]);
    let output = command.args(BEAMS).current_dir(folder.path()).output()?;
    let heard = std::fs::read_to_string(folder.path().join("heard")).unwrap_or_default();
    let words: Vec<String> = heard.lines().filter_map(words_of).collect();
    let log = String::from_utf8_lossy(&output.stderr);
    let complaints: Vec<&str> =
        log.lines().filter(|line| line.starts_with("ERROR") || line.starts_with("FATAL")).collect();
    ensure!(
        output.status.success() && words.len() == sounds.len(),
        "pocketsphinx heard {} of {} sounds: {complaints:#?}",
        words.len(),
        sounds.len()
    );
    Ok(words)
}

fn write_files(folder: &Path, grammar: &str, sounds: &[Vec<i16>]) -> Result<()> {
    std::fs::write(folder.join("grammar"), grammar)?;
    let list: String = (0..sounds.len()).map(|at| format!("{at}\n")).collect();
    std::fs::write(folder.join("list"), list)?;
    for (at, sound) in sounds.iter().enumerate() {
        let file = folder.join(format!("{at}.raw"));
        std::fs::write(&file, twice(sound)).with_context(|| file.display().to_string())?;
    }
    Ok(())
}

/// Each sample twice, in 16 bits, little endian, with silence around all.
fn twice(sound: &[i16]) -> Vec<u8> {
    let quiet = std::iter::repeat_n(&0, QUIET);
    let samples = quiet.clone().chain(sound).chain(quiet);
    samples.flat_map(|sample| [sample.to_le_bytes(); 2]).flatten().collect()
}

/// The words of a line such as `you have(2) one (3 -4711)`.
fn words_of(line: &str) -> Option<String> {
    let (words, _) = line.rsplit_once('(')?;
    let word = |word: &str| word.split_once('(').map_or(word, |(word, _)| word).to_owned();
    Some(words.split_whitespace().map(word).collect::<Vec<_>>().join(" "))
}

#[cfg(test)]
mod tests {
    use super::{twice, words_of};

    #[test]
    fn words_are_read_without_their_way_of_being_said_and_silence_is_no_word() {
        assert_eq!(words_of("you have a(2) message (3 -4711)").as_deref(), Some("you have a message"));
        assert_eq!(words_of(" (0 0)").as_deref(), Some(""));
        assert_eq!(words_of("ERROR"), None);
    }

    #[test]
    fn samples_come_twice_between_silence() {
        let bytes = twice(&[0x0102]);
        assert_eq!(bytes.len(), (2 * super::QUIET + 1) * 4);
        assert_eq!(bytes[super::QUIET * 4..][..4], [2, 1, 2, 1]);
    }
}
