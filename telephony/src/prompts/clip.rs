//! A clip of one's own: a WAV file, one channel, 8,000 samples a second, in µ-law, A-law or PCM of 16 bits. Pure.
//!
//! µ-law is said byte for byte as it is in the file; the others become µ-law.

use crate::g711::{RATE, convert, encode, find_chunk, find_samples};
use bytes::Bytes;
use voicemail_api::telephony::Law;

/// The longest clip, in samples: two minutes.
const LONGEST: usize = 120 * RATE as usize;
/// How people make one that is read.
const HOW: &str = "write 8000 Hz, one channel, µ-law, such as by: sox IN.wav -r 8000 -c 1 -e mu-law OUT.wav";

const PCM: u16 = 1;
const ALAW: u16 = 6;
const MULAW: u16 = 7;

/// The samples of a file, in µ-law; or why it can't be used, and what to write.
pub(super) fn read_clip(wav: &[u8]) -> Result<Bytes, String> {
    let refused = |why: &str| Err(format!("{why}: {HOW}"));
    let (Some((at, size)), Some(form)) = (find_samples(wav), find_form(wav)) else {
        return refused("it is no WAV file");
    };
    let samples = wav.get(at..).unwrap_or_default();
    let samples = &samples[..size.min(samples.len())];
    match form {
        (_, channels, _, _) if channels != 1 => refused("it has more than one channel"),
        (_, _, rate, _) if rate != RATE => refused(&format!("it has {rate} samples a second")),
        _ if samples.is_empty() => refused("there is no sound in it"),
        (tag, .., bits) => match decode(tag, bits, samples) {
            Some(clip) if clip.len() > LONGEST => Err("it is longer than two minutes".into()),
            Some(clip) => Ok(clip),
            None => refused("its samples have another form"),
        },
    }
}

fn decode(tag: u16, bits: u16, samples: &[u8]) -> Option<Bytes> {
    match (tag, bits) {
        (MULAW, 8) => Some(Bytes::copy_from_slice(samples)),
        (ALAW, 8) => {
            let mut samples = samples.to_vec();
            convert(&mut samples, Law::Alaw, Law::Mulaw);
            Some(samples.into())
        }
        (PCM, 16) => {
            let linear = samples.chunks_exact(2).map(|pair| i16::from_le_bytes([pair[0], pair[1]]));
            Some(encode(&linear.collect::<Vec<_>>()).into())
        }
        _ => None,
    }
}

/// Tag, channels, samples a second and bits of a sample, from the chunk `fmt `.
fn find_form(wav: &[u8]) -> Option<(u16, u16, u32, u16)> {
    let (at, _) = find_chunk(wav, *b"fmt ")?;
    let body = wav.get(at..at + 16)?;
    let short = |at: usize| u16::from_le_bytes([body[at], body[at + 1]]);
    let rate = u32::from_le_bytes([body[4], body[5], body[6], body[7]]);
    Some((short(0), short(2), rate, short(14)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::g711::write_wav;

    #[test]
    fn mu_law_is_kept_byte_for_byte_and_other_forms_become_it() {
        let samples: Vec<u8> = (0..=255).collect();
        assert_eq!(read_clip(&write_wav(&samples, Law::Mulaw)).unwrap(), samples);
        let mut converted = samples.clone();
        convert(&mut converted, Law::Alaw, Law::Mulaw);
        assert_eq!(read_clip(&write_wav(&samples, Law::Alaw)).unwrap(), converted);
        let mut linear = write_wav(&[0x10, 0x27, 0xf0, 0xd8], Law::Mulaw);
        (linear[20], linear[32], linear[34]) = (1, 2, 16);
        assert_eq!(read_clip(&linear).unwrap(), encode(&[10_000, -10_000]));
    }

    #[test]
    fn what_cannot_be_said_is_refused_with_what_to_write() {
        let good = write_wav(&[1; 400], Law::Mulaw);
        let with = |at: usize, value: u8| {
            let mut wav = good.clone();
            wav[at] = value;
            read_clip(&wav).unwrap_err()
        };
        assert!(with(22, 2).contains("one channel"));
        assert!(with(24, 0x41).contains("8001 samples a second"));
        assert!(with(20, 0x55).contains("another form"));
        assert!(read_clip(b"ID3").unwrap_err().contains("no WAV"));
        assert!(read_clip(&good[..30]).unwrap_err().contains("no WAV"));
        assert!(read_clip(&write_wav(&[], Law::Mulaw)).unwrap_err().contains("no sound"));
        let long = write_wav(&vec![1; LONGEST + 1], Law::Mulaw);
        assert!(read_clip(&long).unwrap_err().contains("two minutes"));
    }
}
