use super::*;
use futures::{FutureExt, TryStreamExt};
use proptest::prelude::*;

const LIMITS: AudioLimits = AudioLimits { max_seconds: 10, max_bytes: 1_000_000 };
const MONO: WavFormat = WavFormat { codec: Codec::Pcm16, channels: 1, rate: 8_000 };

fn wav(format: WavFormat, data: usize) -> Vec<u8> {
    let mut file = format.header(u32::try_from(data).unwrap());
    file.extend((0..data).map(|i| (i % 251) as u8));
    file
}

/// With a LIST chunk of odd size before the audio.
fn with_list(file: &[u8]) -> Vec<u8> {
    let mut with = file[..36].to_vec();
    with.extend(b"LIST\x03\0\0\0abc\0");
    with.extend(&file[36..]);
    let size = u32::from_le_bytes(file[4..8].try_into().unwrap()) + 12;
    with[4..8].copy_from_slice(&size.to_le_bytes());
    with
}

fn extensible(tag: u16, data: usize) -> Vec<u8> {
    let plain = wav(MONO, data);
    let mut file = plain[..12].to_vec();
    file.extend(b"fmt \x28\0\0\0\xFE\xFF");
    file.extend(&plain[22..36]);
    file.extend([22, 0, 16, 0, 0, 0, 0, 0]);
    file.extend(tag.to_le_bytes());
    file.extend([0, 0, 0, 0, 16, 0, 0x80, 0, 0, 0xAA, 0, 0x38, 0x9B, 0x71]);
    file.extend(&plain[36..]);
    let size = u32::try_from(file.len() - 8).unwrap();
    file[4..8].copy_from_slice(&size.to_le_bytes());
    file
}

type Checked = (Result<Vec<u8>, BodyError>, Option<RecordingInfo>);

/// Runs the check over the bytes cut at the places given.
fn check_in_pieces(bytes: &[u8], cuts: &[usize]) -> Checked {
    let mut ends: Vec<usize> = cuts.iter().map(|cut| cut % (bytes.len() + 1)).collect();
    ends.push(bytes.len());
    ends.sort_unstable();
    let mut from = 0;
    let pieces: Vec<Result<Bytes, BodyError>> = ends
        .into_iter()
        .map(|end| Ok(Bytes::copy_from_slice(&bytes[std::mem::replace(&mut from, end)..end])))
        .collect();
    let recording = check_wav(stream::iter(pieces).boxed(), LIMITS);
    let passed = recording.body.map_ok(|chunk| chunk.to_vec()).try_concat().now_or_never().unwrap();
    (passed, recording.info.get().cloned())
}

fn check(bytes: &[u8]) -> Checked {
    check_in_pieces(bytes, &[])
}

fn refusal(bytes: &[u8]) -> BodyError {
    let (result, info) = check(bytes);
    assert!(info.is_none());
    result.unwrap_err()
}

#[test]
fn every_codec_channel_count_and_rate_is_measured() {
    for codec in [Codec::Pcm16, Codec::ALaw, Codec::MuLaw] {
        for (channels, rate) in [(1, 8_000), (2, 8_000), (1, 16_000), (2, 48_000)] {
            let format = WavFormat { codec, channels, rate };
            let second = usize::try_from(format.frame() * u64::from(rate)).unwrap();
            let (_, info) = check(&wav(format, second * 3 / 2));
            assert_eq!(info.unwrap().duration_ms, 1_500, "{format:?}");
        }
    }
}

#[test]
fn the_bytes_pass_unchanged_and_are_digested() {
    let file = wav(MONO, 4_000);
    let (passed, info) = check(&file);
    assert_eq!(passed.unwrap(), file);
    let info = info.unwrap();
    assert_eq!(info.size, file.len() as u64);
    assert_eq!(info.digest.0, hex::encode(aws_lc_rs::digest::digest(&SHA256, &file)));
}

#[test]
fn chunks_before_and_after_the_audio_are_skipped() {
    let mut file = with_list(&wav(MONO, 4_001));
    file.extend(b"\0LIST\x02\0\0\0xy");
    assert_eq!(check(&file).1.unwrap().duration_ms, 250);
}

#[test]
fn the_extensible_form_of_a_known_codec_is_accepted() {
    assert_eq!(check(&extensible(1, 1_600)).1.unwrap().duration_ms, 100);
    assert!(matches!(refusal(&extensible(3, 1_600)), BodyError::Invalid(_)));
}

#[test]
fn audio_of_unknown_length_reaches_to_the_end() {
    let mut file = wav(MONO, 1_600);
    file[4..8].fill(0xFF);
    file[40..44].fill(0xFF);
    assert_eq!(check(&file).1.unwrap().duration_ms, 100);
    file.extend(vec![0; 160_001]);
    assert!(matches!(refusal(&file), BodyError::TooLong(_)));
}

#[test]
fn empty_and_foreign_files_are_refused() {
    for bytes in
        [&b""[..], b"x", b"ID3\x03....mp3 mp3 mp3 mp3", b"RIFX\x10\0\0\0WAVEfmt ", b"RIFF\x10\0\0\0AVI LIST"]
    {
        assert!(matches!(refusal(bytes), BodyError::Invalid(_)), "{bytes:?}");
    }
}

#[test]
fn formats_that_are_not_supported_are_refused() {
    let file = wav(MONO, 1_600);
    for (at, value) in [(20, 3), (20, 0x55), (22, 0), (22, 3), (24, 0), (34, 24), (34, 8), (32, 4), (16, 8)] {
        let mut bad = file.clone();
        bad[at] = value;
        assert!(matches!(refusal(&bad), BodyError::Invalid(_)), "byte {at}");
    }
}

#[test]
fn audio_without_a_sample_is_refused() {
    assert!(matches!(refusal(&wav(MONO, 0)), BodyError::Invalid(_)));
    assert!(matches!(refusal(&wav(MONO, 1)), BodyError::Invalid(_)));
}

#[test]
fn audio_before_its_format_and_two_formats_are_refused() {
    let file = wav(MONO, 1_600);
    let mut early = file[..12].to_vec();
    early.extend(&file[36..]);
    assert!(matches!(refusal(&early), BodyError::Invalid(_)));
    let mut twice = file[..36].to_vec();
    twice.extend(&file[12..]);
    assert!(matches!(refusal(&twice), BodyError::Invalid(_)));
}

#[test]
fn what_a_header_announces_and_no_message_can_have_is_not_believed() {
    for size in [0, 160_002, 2_000_000, 0x7FFF_F000, 0x7FFF_FFFF, 0x8000_0000, 0xFFFF_FFDA, u32::MAX] {
        let mut file = wav(MONO, 1_600);
        file[40..44].copy_from_slice(&size.to_le_bytes());
        assert_eq!(check(&file).1.unwrap().duration_ms, 100, "{size:#x}");
        file.extend(vec![0; 160_000]);
        assert!(matches!(refusal(&file), BodyError::TooLong(_)), "{size:#x}");
    }
}

#[test]
fn a_size_that_a_message_can_have_must_be_there() {
    for size in [1_602u32, 16_000, 160_000] {
        let mut file = wav(MONO, 1_600);
        file[40..44].copy_from_slice(&size.to_le_bytes());
        assert!(matches!(refusal(&file), BodyError::Invalid(_)), "{size}");
    }
}

#[test]
fn the_files_own_size_does_not_matter() {
    for size in [0u32, 36, 44 + 1_600, 72 + 1_600, 0x7FFF_F024, u32::MAX] {
        let mut file = wav(MONO, 1_600);
        file[4..8].copy_from_slice(&size.to_le_bytes());
        assert_eq!(check(&file).1.unwrap().duration_ms, 100, "{size:#x}");
    }
}

#[test]
fn a_block_size_that_was_never_filled_in_is_known_without() {
    for align in [0u16, 1] {
        let mut file = wav(WavFormat { channels: 2, ..MONO }, 3_200);
        file[32..34].copy_from_slice(&align.to_le_bytes());
        assert_eq!(check(&file).1.unwrap().duration_ms, 100);
        assert_eq!(u16::from_le_bytes(played(&file)[32..34].try_into().unwrap()), 4);
    }
}

#[test]
fn an_odd_chunk_is_skipped_with_its_pad_byte_or_without() {
    for pad in [&b""[..], b"\0", b"x"] {
        let plain = wav(MONO, 1_600);
        let mut file = plain[..36].to_vec();
        file.extend(b"LIST\x05\0\0\0abcde");
        file.extend(pad);
        file.extend(&plain[36..]);
        assert_eq!(check(&file).1.unwrap().duration_ms, 100, "{pad:?}");
    }
}

/// A file of 64-bit sizes.
fn long_form(name: &[u8; 4], data: usize, told: u64) -> Vec<u8> {
    let plain = wav(MONO, data);
    let mut file = name.to_vec();
    file.extend([0xFF; 4]);
    file.extend(b"WAVEds64\x1c\0\0\0");
    file.extend((72 + told).to_le_bytes());
    file.extend(told.to_le_bytes());
    file.extend((told / 2).to_le_bytes());
    file.extend([0; 4]);
    file.extend(&plain[12..40]);
    file.extend([0xFF; 4]);
    file.extend(&plain[44..]);
    file
}

#[test]
fn files_of_64_bits_are_measured_by_their_own_sizes() {
    for name in [b"RF64", b"BW64"] {
        assert_eq!(check(&long_form(name, 1_600, 1_600)).1.unwrap().duration_ms, 100);
        assert!(check(&long_form(name, 1_600, 1_600)).1.unwrap().mends.is_empty());
        assert!(matches!(refusal(&long_form(name, 1_600, 16_000)), BodyError::Invalid(_)));
        for told in [0, 1 << 40, u64::MAX - 100] {
            let file = long_form(name, 1_600, told);
            assert_eq!(check(&file).1.unwrap().duration_ms, 100, "{told}");
            assert!(check(&played(&file)).1.unwrap().mends.is_empty(), "{told}");
        }
    }
}

#[test]
fn wide_and_narrow_samples_are_measured() {
    for codec in [Codec::Pcm8, Codec::Pcm24, Codec::Pcm32, Codec::Float32, Codec::Float64] {
        for (channels, rate) in [(1, 8_000), (2, 48_000)] {
            let format = WavFormat { codec, channels, rate };
            let second = usize::try_from(format.frame() * u64::from(rate)).unwrap();
            let mut parser = WavParser::new(AudioLimits::for_seconds(10));
            parser.push(&wav(format, second * 3 / 2)).unwrap();
            assert_eq!(parser.finish().unwrap().duration_ms, 1_500, "{format:?}");
        }
    }
}

#[test]
fn coded_blocks_are_measured_by_their_samples() {
    let fixtures: [(&[u8], &str, u64); 5] = [
        (include_bytes!("../tests/fixtures/audio/gsm.wav"), "gsm610", 160),
        (include_bytes!("../tests/fixtures/audio/ima.wav"), "ima-adpcm", 160),
        (include_bytes!("../tests/fixtures/audio/ima-stereo.wav"), "ima-adpcm", 160),
        (include_bytes!("../tests/fixtures/audio/ms.wav"), "ms-adpcm", 160),
        (include_bytes!("../tests/fixtures/audio/ms-stereo.wav"), "ms-adpcm", 160),
    ];
    for (file, codec, ms) in fixtures {
        let info = check(file).1.unwrap();
        assert_eq!((info.form.unwrap().codec.as_str(), info.duration_ms), (codec, ms));
        assert!(info.mends.is_empty(), "{codec}: {:?}", info.mends);
    }
    // Without the number of samples the last block counts as full.
    let mut file = include_bytes!("../tests/fixtures/audio/ima.wav").to_vec();
    let fact = file.windows(4).position(|name| name == b"fact").unwrap();
    file[fact + 8..fact + 12].fill(0xFF);
    assert_eq!(check(&file).1.unwrap().duration_ms, 3 * 505 / 8);
    // A pipe's sizes.
    let data = file.windows(4).position(|name| name == b"data").unwrap();
    file[data + 4..data + 8].copy_from_slice(&0x7FFF_F000u32.to_le_bytes());
    let played = played(&file);
    assert_eq!(u32::from_le_bytes(played[data + 4..data + 8].try_into().unwrap()), 768);
    assert_eq!(u32::from_le_bytes(played[fact + 8..fact + 12].try_into().unwrap()), 3 * 505);
}

/// A file as it is played.
fn played(file: &[u8]) -> Vec<u8> {
    let mut played = file.to_vec();
    check(file).1.unwrap().mends.iter().for_each(|mend| mend.apply(0, &mut played));
    assert_eq!(played.len(), file.len());
    played
}

#[test]
fn sizes_of_a_pipe_are_right_when_it_is_played() {
    for (riff, data) in [(u32::MAX, u32::MAX), (0x7FFF_F024, 0x7FFF_F000), (0, 0), (36, 0)] {
        let mut file = with_list(&wav(MONO, 1_600));
        file[4..8].copy_from_slice(&riff.to_le_bytes());
        let at = file.len() - 1_604;
        file[at..at + 4].copy_from_slice(&data.to_le_bytes());
        assert_eq!(played(&file), with_list(&wav(MONO, 1_600)));
    }
}

#[test]
fn what_is_right_is_played_as_it_came() {
    let mut trailing = wav(MONO, 1_601);
    trailing.extend(b"\0LIST\x02\0\0\0xy");
    let mut unpadded = wav(MONO, 1_601);
    unpadded[4..8].copy_from_slice(&(36 + 1_602u32).to_le_bytes());
    for file in [wav(MONO, 1_600), with_list(&wav(MONO, 1_600)), extensible(1, 1_600), trailing, unpadded] {
        assert!(check(&file).1.unwrap().mends.is_empty());
    }
}

#[test]
fn a_body_that_fails_is_not_a_recording() {
    let file = wav(MONO, 1_600);
    let broken = vec![Ok(Bytes::from(file)), Err(BodyError::Interrupted("gone".into()))];
    let recording = check_wav(stream::iter(broken).boxed(), LIMITS);
    let result = recording.body.try_collect::<Vec<_>>().now_or_never().unwrap();
    assert_eq!(result.unwrap_err(), BodyError::Interrupted("gone".into()));
    assert!(recording.info.get().is_none());
}

proptest! {
    #[test]
    fn any_chunking_gives_the_same_result(
        data in 2usize..3_000, list: bool, flip in proptest::option::of((0usize..60, any::<u8>())),
        cuts in proptest::collection::vec(any::<usize>(), 0..40),
    ) {
        let mut file = wav(MONO, data);
        if list { file = with_list(&file); }
        if let Some((at, value)) = flip { let at = at % file.len(); file[at] = value; }
        let (whole, info) = check(&file);
        let (pieces, pieces_info) = check_in_pieces(&file, &cuts);
        prop_assert_eq!(whole, pieces);
        prop_assert_eq!(info, pieces_info);
    }

    #[test]
    fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..600), start in 0usize..44) {
        let mut file = MONO.header(500)[..start].to_vec();
        file.extend(bytes);
        let _ = check(&file);
    }

    #[test]
    fn a_file_cut_at_any_point_is_refused(data in 2usize..600, list: bool, cut: usize) {
        let mut file = wav(MONO, data);
        if data % 2 == 1 { file.push(0); }
        if list { file = with_list(&file); }
        let cut = cut % (file.len() - data % 2);
        prop_assert!(matches!(refusal(&file[..cut]), BodyError::Invalid(_)), "cut at {}", cut);
    }
}
