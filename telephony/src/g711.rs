//! G.711's two codings: silence, conversion by table, loudness, and the WAV files that hold them. Pure.

use audio_codec_algorithms::{
    convert_alaw_to_ulaw, convert_ulaw_to_alaw, decode_alaw, decode_ulaw, encode_ulaw,
};
use voicemail_api::telephony::Law;

/// Samples a second.
pub const RATE: u32 = 8_000;
/// Samples of a packet of 20 ms.
pub const FRAME: usize = 160;

/// The byte of no sound.
pub const fn silence(law: Law) -> u8 {
    match law {
        Law::Mulaw => 0xff,
        Law::Alaw => 0xd5,
    }
}

/// Brings samples from one coding to the other, in place.
pub fn convert(samples: &mut [u8], from: Law, to: Law) {
    let convert: fn(u8) -> u8 = match (from, to) {
        (Law::Mulaw, Law::Alaw) => convert_ulaw_to_alaw,
        (Law::Alaw, Law::Mulaw) => convert_alaw_to_ulaw,
        _ => return,
    };
    for sample in samples {
        *sample = convert(*sample);
    }
}

/// Mean amplitude, of 32,768.
pub fn loudness(samples: &[u8], law: Law) -> u32 {
    let decode: fn(u8) -> i16 = match law {
        Law::Mulaw => decode_ulaw,
        Law::Alaw => decode_alaw,
    };
    let sum: u64 = samples.iter().map(|sample| u64::from(decode(*sample).unsigned_abs())).sum();
    u32::try_from(sum / samples.len().max(1) as u64).unwrap_or(u32::MAX)
}

/// Encodes linear samples.
pub fn encode(samples: &[i16]) -> Vec<u8> {
    samples.iter().map(|sample| encode_ulaw(*sample)).collect()
}

/// The tone before a recording, in µ-law: 440 Hz, 400 ms, a tenth of full loudness; made by a rotation, as it needs no library.
pub fn beep() -> Vec<u8> {
    let turn = std::f64::consts::TAU * 440.0 / f64::from(RATE);
    #[allow(clippy::cast_possible_truncation, reason = "a tenth of the range")]
    let sample = |at: u32| (3_276.0 * (turn * f64::from(at)).sin()) as i16;
    encode(&(0..RATE * 2 / 5).map(sample).collect::<Vec<_>>())
}

/// A WAV file of these samples: one channel, 8 kHz, an extended `fmt` and a `fact` chunk as G.711 wants.
pub fn write_wav(samples: &[u8], law: Law) -> Vec<u8> {
    let tag: u16 = match law {
        Law::Mulaw => 7,
        Law::Alaw => 6,
    };
    let padded = samples.len() + samples.len() % 2;
    let size = |bytes: usize| u32::try_from(bytes).unwrap_or(u32::MAX).to_le_bytes();
    let mut wav = Vec::with_capacity(58 + padded);
    wav.extend_from_slice(b"RIFF");
    wav.extend_from_slice(&size(50 + padded));
    wav.extend_from_slice(b"WAVEfmt \x12\0\0\0");
    wav.extend_from_slice(&tag.to_le_bytes());
    wav.extend_from_slice(&1_u16.to_le_bytes());
    wav.extend_from_slice(&RATE.to_le_bytes());
    wav.extend_from_slice(&RATE.to_le_bytes());
    wav.extend_from_slice(&1_u16.to_le_bytes());
    wav.extend_from_slice(&8_u16.to_le_bytes());
    wav.extend_from_slice(&0_u16.to_le_bytes());
    wav.extend_from_slice(b"fact\x04\0\0\0");
    wav.extend_from_slice(&size(samples.len()));
    wav.extend_from_slice(b"data");
    wav.extend_from_slice(&size(samples.len()));
    wav.extend_from_slice(samples);
    wav.resize(58 + padded, 0);
    wav
}

/// Where the samples of a WAV file begin and how many there are, by the file's first bytes; `None` if they don't reach so
/// far, or it is none.
pub fn find_samples(head: &[u8]) -> Option<(usize, usize)> {
    find_chunk(head, *b"data")
}

/// The same of the chunk of that name.
pub fn find_chunk(head: &[u8], name: [u8; 4]) -> Option<(usize, usize)> {
    if head.get(..4)? != b"RIFF" || head.get(8..12)? != b"WAVE" {
        return None;
    }
    let mut at = 12;
    loop {
        let chunk = head.get(at..at + 8)?;
        let size = u32::from_le_bytes([chunk[4], chunk[5], chunk[6], chunk[7]]) as usize;
        if chunk[..4] == name {
            return Some((at + 8, size));
        }
        at = at.checked_add(8 + size + size % 2)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_found_where_they_were_written() {
        for samples in [&b"abc"[..], &[], &[7; 1_000]] {
            let wav = write_wav(samples, Law::Alaw);
            assert_eq!(u32::from_le_bytes(wav[4..8].try_into().unwrap()) as usize, wav.len() - 8);
            let (at, size) = find_samples(&wav).unwrap();
            assert_eq!(&wav[at..at + size], samples);
        }
        assert_eq!(find_samples(b"RIFF\0\0\0\0WAVEfmt \xff\xff\xff\xff"), None);
        assert_eq!(find_samples(b"ID3"), None);
    }

    #[test]
    fn silence_is_quiet_and_the_beep_is_heard_in_both_codings() {
        let mut beep = beep();
        for law in [Law::Mulaw, Law::Alaw] {
            assert!(loudness(&[silence(law); 160], law) <= 8);
        }
        assert!(loudness(&beep, Law::Mulaw) > 1_500);
        convert(&mut beep, Law::Mulaw, Law::Alaw);
        assert!(loudness(&beep, Law::Alaw) > 1_500);
    }
}
