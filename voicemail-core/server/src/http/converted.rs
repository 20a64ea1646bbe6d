//! Audio in the form that a client asks for, made while it is sent.
//!
//! A media server plays what its trunks carry, and a browser plays neither GSM nor ADPCM: `codec` and `rate` ask for one
//! channel of 16 bits, A-law or µ-law, as does `Accept: audio/wav;codec=mulaw;rate=8000`. A recording that is stored so
//! already is served as it is. The size is known before, and a range of the converted file is a range of what the whole
//! would be, so that both are served as those of a stored file. The entity tag names the recording and the form.

use super::audio::{Opening, describe, describe_length, outside};
use super::range::{Part, choose_part, knows};
use super::{ApiError, ProblemKind};
use axum::body::Body;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures::{Stream, StreamExt, stream};
use serde::Deserialize;
use std::ops::{Range, RangeInclusive};
use voicemail_audio::{AudioLimits, Codec, Converter, WavFormat, WavParser};
use voicemail_engine::mailbox::Audio;
use voicemail_store::StoreError;

/// The form that a request asks for.
#[derive(Clone, Debug, Default, Deserialize)]
pub(super) struct AudioQuery {
    codec: Option<String>,
    rate: Option<u32>,
}

/// Samples a second that are made.
const RATES: RangeInclusive<u32> = 8_000..=48_000;
/// The sizes of the beginning of a file in which the header is looked for, first and then.
const HEADS: [u64; 2] = [8 * 1024, 1024 * 1024];

/// A form that was asked for; what is left open is as it is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Wanted {
    codec: Codec,
    rate: Option<u32>,
}

impl AudioQuery {
    /// The form, if any was asked for: by the address, or else by what the client accepts.
    ///
    /// # Errors
    /// `InvalidValue` for a form in the address that isn't made.
    pub(super) fn wanted(&self, headers: &HeaderMap) -> Result<Option<Wanted>, ApiError> {
        let codec = match self.codec.as_deref() {
            None if self.rate.is_none() => return Ok(accepted(headers)),
            None => Codec::Pcm16,
            Some(name) => {
                codec_of(name).ok_or_else(|| ApiError::invalid("codec: write pcm16, alaw or mulaw"))?
            }
        };
        match self.rate {
            Some(rate) if !RATES.contains(&rate) => Err(ApiError::invalid("rate: write 8000 to 48000")),
            rate => Ok(Some(Wanted { codec, rate })),
        }
    }
}

/// A form that is made.
fn codec_of(name: &str) -> Option<Codec> {
    match name {
        "pcm16" => Some(Codec::Pcm16),
        "alaw" => Some(Codec::ALaw),
        "mulaw" => Some(Codec::MuLaw),
        _ => None,
    }
}

/// The first form that a client accepts, such as `audio/wav;codec=mulaw;rate=8000`. A client that takes any WAV file
/// gets the stored one, and so does who asks for what isn't made: an answer of another type than was hoped for is
/// better than none.
fn accepted(headers: &HeaderMap) -> Option<Wanted> {
    let ranges = headers.get_all(header::ACCEPT).into_iter().filter_map(|value| value.to_str().ok());
    let mut ranges = ranges.flat_map(|value| value.split(',')).map(|range| range.split(';').map(str::trim));
    let mut parameters = ranges.find_map(|mut range| is_wav(range.next()?).then_some(range))?;
    let (mut codec, mut rate) = (None, None);
    for (name, value) in parameters.by_ref().filter_map(|parameter| parameter.split_once('=')) {
        match name.trim().to_ascii_lowercase().as_str() {
            "codec" => codec = codec_of(value.trim().trim_matches('"')),
            "rate" => rate = value.trim().parse().ok().filter(|rate| RATES.contains(rate)),
            _ => {}
        }
    }
    codec.map(|codec| Wanted { codec, rate })
}

/// Names that clients have for one media type.
pub(super) fn is_wav(kind: &str) -> bool {
    ["audio/wav", "audio/x-wav", "audio/wave", "audio/vnd.wave"].contains(&kind.to_ascii_lowercase().as_str())
}

impl Wanted {
    /// The entity tag of a recording in this form.
    fn tag(self, sha256: &str) -> String {
        let rate = self.rate.map_or_else(String::new, |rate| format!("-{rate}"));
        format!("\"{sha256}.{}{rate}\"", self.codec.name())
    }

    fn of(self, stored: WavFormat) -> WavFormat {
        WavFormat { codec: self.codec, channels: 1, rate: self.rate.unwrap_or(stored.rate) }
    }
}

/// Where a stored file's audio is, and how it is coded.
struct Stored {
    format: WavFormat,
    audio: Range<u64>,
}

/// Answers with what of the converted recording the request's headers ask for; `None` if it is stored in that form.
///
/// # Errors
/// The errors of `open`, which gets the range of the stored file that is wanted.
pub(super) async fn serve_converted<'a>(
    headers: &HeaderMap,
    sha256: &str,
    size: u64,
    wanted: Wanted,
    open: &(impl Fn(Option<Range<u64>>) -> Opening<'a> + Send + Sync),
) -> Result<Option<Response>, ApiError> {
    let etag = wanted.tag(sha256);
    if knows(headers, &etag) {
        return Ok(Some(describe(StatusCode::NOT_MODIFIED, &etag).into_response()));
    }
    let stored = find_audio(size, open).await?;
    if stored.format == wanted.of(stored.format) {
        return Ok(None);
    }
    let length = stored.audio.end - stored.audio.start;
    let converter = Converter::new(stored.format, length, wanted.of(stored.format));
    let size = converter.size();
    let range = match choose_part(headers, &etag, size) {
        Part::NotModified => return Ok(Some(describe(StatusCode::NOT_MODIFIED, &etag).into_response())),
        Part::Unsatisfiable => return Ok(Some(outside(size))),
        Part::Whole => None,
        Part::Range(range) => Some(range),
    };
    let audio = open(Some(stored.audio)).await?;
    let status = if range.is_some() { StatusCode::PARTIAL_CONTENT } else { StatusCode::OK };
    let wanted = range.clone().unwrap_or(0..size);
    let body = cut(converted(converter, audio), wanted);
    let (status, described) = describe(status, &etag);
    let mut response = (status, described, Body::from_stream(body)).into_response();
    describe_length(&mut response, range, size);
    Ok(Some(response))
}

async fn find_audio<'a>(
    size: u64,
    open: &(impl Fn(Option<Range<u64>>) -> Opening<'a> + Send + Sync),
) -> Result<Stored, ApiError> {
    for most in HEADS {
        let mut parser = WavParser::new(AudioLimits { max_seconds: u32::MAX, max_bytes: u64::MAX });
        let mut head = open(Some(0..most.min(size))).await?.bytes;
        while let Some(chunk) = head.next().await {
            // A header that can't be parsed further shows below: the format or the start of the audio is missing.
            if parser.push(&chunk?).is_err() {
                break;
            }
        }
        if let (Some(format), Some(start)) = (parser.format(), parser.audio_start()) {
            let told = parser.audio_size().unwrap_or(u64::MAX);
            let end = start.saturating_add(told).min(size).max(start);
            return Ok(Stored { format, audio: start..end });
        }
    }
    Err(ApiError::new(
        ProblemKind::Undecodable,
        "the recording can't be converted: ask for it as it is stored",
    ))
}

type Piece = Result<Bytes, StoreError>;

fn converted(converter: Converter, audio: Audio) -> impl Stream<Item = Piece> + Send + 'static {
    let header = Bytes::from(converter.header());
    let pieces = stream::unfold(Some((converter, audio.bytes)), |state| async move {
        let (mut converter, mut bytes) = state?;
        match bytes.next().await {
            Some(Ok(chunk)) => Some((Ok(Bytes::from(converter.push(&chunk))), Some((converter, bytes)))),
            Some(Err(error)) => Some((Err(error), None)),
            None => Some((Ok(Bytes::from(converter.finish())), None)),
        }
    });
    stream::iter([Ok(header)]).chain(pieces)
}

/// A range of what is made.
fn cut(
    pieces: impl Stream<Item = Piece> + Send + 'static,
    range: Range<u64>,
) -> impl Stream<Item = Piece> + Send {
    let placed = pieces.scan(0u64, |at, piece| {
        let start = *at;
        *at += piece.as_ref().map_or(0, |piece| piece.len() as u64);
        futures::future::ready(Some((start, piece)))
    });
    let end = range.end;
    let wanted = placed.take_while(move |(start, _)| futures::future::ready(*start < end));
    wanted.map(move |(start, piece)| piece.map(|piece| part_of(&piece, start, &range)))
}

fn part_of(piece: &Bytes, start: u64, range: &Range<u64>) -> Bytes {
    let within = |at: u64| usize::try_from(at.saturating_sub(start)).unwrap_or(usize::MAX).min(piece.len());
    piece.slice(within(range.start)..within(range.end))
}
