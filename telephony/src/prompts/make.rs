//! Makes a pack: flite speaks each text at 16 kHz, a filter brings it to 8 kHz, and it is encoded. The same text gives the same
//! bytes, since all arithmetic after flite is of integers.

use super::{Catalogue, Pack, PromptsError};
use crate::g711::{encode, find_samples};
use aws_lc_rs::digest::{SHA256, digest};
use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

/// A pack that was made.
pub struct Made {
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// Their SHA-256, in hex.
    pub sha256: String,
}

/// Half-band filter (Hamming window, 31 taps) in 1/32,768: its even taps but the middle one are zero.
const ODD_TAPS: [i64; 8] = [10_332, -3_232, 1_703, -974, 541, -283, 139, -78];
const MIDDLE: i64 = 16_384;

/// Speaks a whole catalogue.
///
/// # Errors
/// [`PromptsError`].
pub fn make(catalogue: &Catalogue, work: &Path) -> Result<Made, PromptsError> {
    let mut clips = BTreeMap::new();
    for (name, text) in &catalogue.clips {
        clips.insert(name.clone(), speak(name, text, work)?);
    }
    let bytes = Pack::write(&catalogue.language, &clips);
    let sum = digest(&SHA256, &bytes);
    let sha256 = sum.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(Made { bytes, sha256 })
}

fn speak(name: &str, text: &str, work: &Path) -> Result<Vec<u8>, PromptsError> {
    let failed = |why: String| PromptsError::Speaker { clip: name.to_owned(), why };
    let file = work.join("clip.wav");
    let mut command = Command::new("flite");
    let output = command.args(["-voice", "slt", "-t", text, "-o"]).arg(&file).output();
    let output = output.map_err(|error| failed(error.to_string()))?;
    if !output.status.success() {
        return Err(failed(output.status.to_string()));
    }
    let wav = std::fs::read(&file).map_err(|error| PromptsError::File(file, error))?;
    let (at, size) = find_samples(&wav).ok_or_else(|| failed("it wrote no WAV".into()))?;
    let linear = wav.get(at..).unwrap_or_default();
    let samples: Vec<i16> = linear[..size.min(linear.len())]
        .chunks_exact(2)
        .map(|pair| i16::from_le_bytes([pair[0], pair[1]]))
        .collect();
    Ok(encode(&halve(trim(&samples))))
}

/// Without the silence around the words, but for a tenth of a second after them.
fn trim(samples: &[i16]) -> &[i16] {
    const QUIET: u16 = 200;
    let loud = |sample: &i16| sample.unsigned_abs() > QUIET;
    let begin = samples.iter().position(loud).unwrap_or(0);
    let end = samples.iter().rposition(loud).map_or(samples.len(), |end| (end + 1_600).min(samples.len()));
    samples.get(begin..end).unwrap_or_default()
}

/// Every second sample of what is below 4 kHz.
fn halve(samples: &[i16]) -> Vec<i16> {
    let sample = |at: Option<usize>| at.and_then(|at| samples.get(at)).map_or(0, |sample| i64::from(*sample));
    let filtered = |at: usize| {
        let sides = ODD_TAPS.iter().enumerate().map(|(tap, weight)| {
            let step = 2 * tap + 1;
            weight * (sample(at.checked_sub(step)) + sample(Some(at + step)))
        });
        let sum = (MIDDLE * sample(Some(at)) + sides.sum::<i64>()) / 32_768;
        i16::try_from(sum.clamp(i64::from(i16::MIN), i64::from(i16::MAX))).unwrap_or_default()
    };
    (0..samples.len()).step_by(2).map(filtered).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tone(frequency: f64) -> Vec<i16> {
        let turn = std::f64::consts::TAU * frequency / 16_000.0;
        #[allow(clippy::cast_possible_truncation, reason = "within the range")]
        let sample = |at: u32| (10_000.0 * (turn * f64::from(at)).sin()) as i16;
        (0..1_600).map(sample).collect()
    }

    fn loudest(samples: &[i16]) -> u16 {
        samples[50..samples.len() - 50].iter().map(|sample| sample.unsigned_abs()).max().unwrap()
    }

    #[test]
    fn what_a_telephone_carries_stays_and_what_would_fold_goes() {
        assert!(loudest(&halve(&tone(1_000.0))) > 9_500);
        assert!(loudest(&halve(&tone(7_000.0))) < 500);
        assert_eq!(halve(&tone(1_000.0)).len(), 800);
    }

    #[test]
    fn silence_around_words_is_cut() {
        let samples = [vec![0; 5_000], vec![9_000; 100], vec![0; 5_000]].concat();
        assert_eq!(trim(&samples).len(), 100 + 1_599);
    }
}
