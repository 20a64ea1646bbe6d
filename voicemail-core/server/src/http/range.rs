//! Ranges and entity tags of audio (RFC 9110): pure decisions over headers.
//!
//! One range of bytes is served; several, or a header that can't be read, mean the whole, as the RFC allows.

use axum::http::{HeaderMap, header};
use std::ops::Range;

/// The part to answer with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// The client has it already: 304.
    NotModified,
    /// All of it: 200.
    Whole,
    /// A range: 206.
    Range(Range<u64>),
    /// A range outside: 416.
    Unsatisfiable,
}

/// Decides from a request's headers which part of `size` bytes with that tag to send.
pub(super) fn choose_part(headers: &HeaderMap, etag: &str, size: u64) -> Part {
    if knows(headers, etag) {
        return Part::NotModified;
    }
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let same = text(header::IF_RANGE).is_none_or(|tag| tag.trim() == etag);
    match text(header::RANGE).filter(|_| same).and_then(parse_range) {
        Some(spec) => resolve(spec, size),
        None => Part::Whole,
    }
}

/// Whether the client has what this tag names.
pub(super) fn knows(headers: &HeaderMap, etag: &str) -> bool {
    let tags = headers.get(header::IF_NONE_MATCH).and_then(|value| value.to_str().ok());
    tags.is_some_and(|tags| matches_any(tags, etag))
}

/// Weak comparison, as the RFC wants it for `If-None-Match`.
fn matches_any(tags: &str, etag: &str) -> bool {
    let strong = |tag: &str| tag.trim().trim_start_matches("W/").to_owned();
    tags.trim() == "*" || tags.split(',').any(|tag| strong(tag) == etag)
}

/// First and last byte, either of which may be open.
type Spec = (Option<u64>, Option<u64>);

fn parse_range(text: &str) -> Option<Spec> {
    let (unit, range) = text.split_once('=')?;
    let (first, last) = range.split_once('-')?;
    if !unit.trim().eq_ignore_ascii_case("bytes") || range.contains(',') {
        return None;
    }
    match (number(first)?, number(last)?) {
        (None, None) => None,
        (Some(first), Some(last)) if first > last => None,
        spec => Some(spec),
    }
}

/// An empty text is no number, which is allowed; anything else must be one.
fn number(text: &str) -> Option<Option<u64>> {
    match text.trim() {
        "" => Some(None),
        digits if digits.bytes().all(|b| b.is_ascii_digit()) => digits.parse().ok().map(Some),
        _ => None,
    }
}

fn resolve(spec: Spec, size: u64) -> Part {
    let range = match spec {
        (Some(first), last) => first..last.map_or(size, |last| last.saturating_add(1).min(size)),
        (None, last) => size.saturating_sub(last.unwrap_or(0))..size,
    };
    if range.start < range.end { Part::Range(range) } else { Part::Unsatisfiable }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn part(name: header::HeaderName, value: &str) -> Part {
        let headers = HeaderMap::from_iter([(name, value.parse().unwrap())]);
        choose_part(&headers, "\"tag\"", 100)
    }

    #[test]
    fn one_range_of_bytes_is_cut_to_the_size() {
        for (text, range) in
            [("0-0", 0..1), ("10-19", 10..20), ("90-", 90..100), ("90-500", 90..100), ("-5", 95..100)]
        {
            assert_eq!(part(header::RANGE, &format!("bytes={text}")), Part::Range(range), "{text}");
        }
        assert_eq!(part(header::RANGE, "bytes=-500"), Part::Range(0..100));
    }

    #[test]
    fn a_range_outside_is_unsatisfiable() {
        for text in ["bytes=100-", "bytes=100-200", "bytes=-0"] {
            assert_eq!(part(header::RANGE, text), Part::Unsatisfiable, "{text}");
        }
    }

    #[test]
    fn several_ranges_and_nonsense_mean_the_whole() {
        for text in
            ["bytes=0-1,3-4", "bytes=5-2", "bytes=-", "bytes=a-b", "seconds=0-1", "bytes", "bytes=+1-2"]
        {
            assert_eq!(part(header::RANGE, text), Part::Whole, "{text}");
        }
    }

    #[test]
    fn a_known_tag_is_not_sent_again() {
        for tags in ["\"tag\"", "W/\"tag\"", "\"a\", \"tag\"", "*"] {
            assert_eq!(part(header::IF_NONE_MATCH, tags), Part::NotModified, "{tags}");
        }
        assert_eq!(part(header::IF_NONE_MATCH, "\"other\""), Part::Whole);
    }

    #[test]
    fn a_range_of_another_state_means_the_whole() {
        let mut headers = HeaderMap::from_iter([(header::RANGE, "bytes=0-1".parse().unwrap())]);
        headers.insert(header::IF_RANGE, "\"old\"".parse().unwrap());
        assert_eq!(choose_part(&headers, "\"tag\"", 100), Part::Whole);
        headers.insert(header::IF_RANGE, "\"tag\"".parse().unwrap());
        assert_eq!(choose_part(&headers, "\"tag\"", 100), Part::Range(0..2));
    }

    proptest! {
        #[test]
        fn no_header_makes_a_range_outside_the_audio(text in "bytes=[0-9,-]{0,24}", size in 0u64..1_000) {
            let headers = HeaderMap::from_iter([(header::RANGE, text.parse().unwrap())]);
            if let Part::Range(range) = choose_part(&headers, "\"t\"", size) {
                prop_assert!(range.start < range.end && range.end <= size);
            }
        }
    }
}
