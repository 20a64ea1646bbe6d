//! Audio in pieces of any size: read or refused, and always alike however it was cut.
#![no_main]

use libfuzzer_sys::fuzz_target;
use voicemail_audio::{AudioLimits, WavParser};

fn read(data: &[u8], piece: usize) -> Result<u64, String> {
    let mut parser = WavParser::new(AudioLimits::for_seconds(180));
    for chunk in data.chunks(piece) {
        parser.push(chunk).map_err(|error| error.to_string())?;
    }
    assert_eq!(parser.seen(), data.len() as u64);
    parser.finish().map(|facts| facts.duration_ms).map_err(|error| error.to_string())
}

fuzz_target!(|data: &[u8]| {
    let Some((piece, audio)) = data.split_first() else { return };
    let whole = read(audio, audio.len().max(1));
    let cut = read(audio, usize::from(*piece).max(1));
    assert_eq!(whole.is_ok(), cut.is_ok(), "{whole:?} {cut:?}");
    if let (Ok(whole), Ok(cut)) = (whole, cut) {
        assert_eq!(whole, cut);
        // The last block may be filled up.
        assert!(whole <= 200_000);
    }
});
