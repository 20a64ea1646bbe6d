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
fn a_header_that_announces_too_much_is_refused_before_the_audio() {
    for header in [MONO.header(160_000 + 16), MONO.header(2_000_000), MONO.header(u32::MAX - 100)] {
        let mut parser = WavParser::new(LIMITS);
        let error = parser.push(&header).unwrap_err();
        assert!(matches!(BodyError::from(error), BodyError::TooLong(_)));
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
