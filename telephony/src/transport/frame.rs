//! Messages out of a stream of bytes: RFC 3261, 18.3 (Content-Length) and RFC 5626, 4.4.1 (keep-alives). Pure.
//!
//! Pieces may be cut anywhere. What can go wrong: a message without a length, with two, or longer than any should be. What
//! comes after it can't be told from it then, so that the connection has to end.

use bytes::{Buf, BytesMut};

/// The longest message, head and body: what a datagram could hold.
pub const LONGEST: usize = 65_535;
const END: &[u8] = b"\r\n\r\n";

/// What a stream holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Frame {
    /// A sign of life that asks for one.
    Ping,
    /// A whole message.
    Message(Vec<u8>),
}

/// Why no message can be told apart any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// No Content-Length, which streams need.
    #[error("a message has no length")]
    NoLength,
    /// It is no number, or there are two that differ.
    #[error("a message's length can't be read")]
    BadLength,
    /// Longer than [`LONGEST`].
    #[error("a message is too long")]
    TooLong,
}

/// Bytes that came, and what was found in them so far.
#[derive(Debug, Default)]
pub struct Splitter {
    buffer: BytesMut,
    /// No end of a head begins before it.
    scanned: usize,
    /// Head and body of the message at the front, once its head is whole.
    length: Option<usize>,
}

impl Splitter {
    /// Adds what came.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// Whether a message has begun and isn't whole.
    pub fn is_within_a_message(&self) -> bool {
        self.buffer.iter().any(|byte| !matches!(byte, b'\r' | b'\n'))
    }

    /// The next whole thing; `None` until more comes.
    ///
    /// # Errors
    /// [`FrameError`]: nothing that follows can be read.
    pub fn cut(&mut self) -> Result<Option<Frame>, FrameError> {
        if self.length.is_none() && self.scanned == 0 {
            match self.skip_between() {
                Between::Ping => return Ok(Some(Frame::Ping)),
                Between::Unknown => return Ok(None),
                Between::Message => {}
            }
        }
        if self.length.is_none() {
            self.length = self.find_length()?;
        }
        match self.length {
            Some(length) if self.buffer.len() >= length => {
                (self.length, self.scanned) = (None, 0);
                Ok(Some(Frame::Message(self.buffer.split_to(length).to_vec())))
            }
            None if self.buffer.len() > LONGEST => Err(FrameError::TooLong),
            _ => Ok(None),
        }
    }

    /// Takes away what stands before a message (RFC 3261, 7.5).
    fn skip_between(&mut self) -> Between {
        loop {
            if self.buffer.starts_with(END) {
                self.buffer.advance(END.len());
                return Between::Ping;
            }
            // The half of a ping, or the answer to one: what follows tells.
            if END.starts_with(&self.buffer) {
                return Between::Unknown;
            }
            match self.buffer.first() {
                Some(b'\r' | b'\n') => self.buffer.advance(1),
                _ => return Between::Message,
            }
        }
    }

    fn find_length(&mut self) -> Result<Option<usize>, FrameError> {
        let from = self.scanned.saturating_sub(END.len() - 1);
        let unseen = self.buffer.get(from..).unwrap_or_default();
        let Some(at) = unseen.windows(END.len()).position(|window| window == END) else {
            self.scanned = self.buffer.len();
            return Ok(None);
        };
        let head = from + at;
        let body = body_length(self.buffer.get(..head).unwrap_or_default())?;
        let length = (head + END.len()).saturating_add(body);
        if length > LONGEST { Err(FrameError::TooLong) } else { Ok(Some(length)) }
    }
}

enum Between {
    Ping,
    Unknown,
    Message,
}

/// The Content-Length of a head, by its long or short name.
fn body_length(head: &[u8]) -> Result<usize, FrameError> {
    let mut found = None;
    for line in head.split(|byte| *byte == b'\n').skip(1) {
        let Some(colon) = line.iter().position(|byte| *byte == b':') else { continue };
        let (name, value) = line.split_at(colon);
        let name = name.trim_ascii();
        if !name.eq_ignore_ascii_case(b"content-length") && !name.eq_ignore_ascii_case(b"l") {
            continue;
        }
        let value = value.get(1..).unwrap_or_default().trim_ascii();
        let length = read_number(value).ok_or(FrameError::BadLength)?;
        if found.is_some_and(|before| before != length) {
            return Err(FrameError::BadLength);
        }
        found = Some(length);
    }
    found.ok_or(FrameError::NoLength)
}

/// Digits alone: no sign, as a number's own reader would take one.
fn read_number(text: &[u8]) -> Option<usize> {
    let digits = !text.is_empty() && text.iter().all(u8::is_ascii_digit);
    std::str::from_utf8(text).ok().filter(|_| digits)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const OPTIONS: &str = "OPTIONS sip:a SIP/2.0\r\nContent-Length: 0\r\n\r\n";
    const INFO: &str = "INFO sip:a SIP/2.0\r\nL : 5\r\n\r\n\r\n\r\nx";

    fn split(bytes: &[u8], cuts: usize) -> Result<Vec<Frame>, FrameError> {
        let (mut splitter, mut found) = (Splitter::default(), Vec::new());
        for piece in bytes.chunks(cuts.max(1)) {
            splitter.push(piece);
            while let Some(frame) = splitter.cut()? {
                found.push(frame);
            }
        }
        Ok(found)
    }

    fn message(text: &str) -> Frame {
        Frame::Message(text.as_bytes().to_vec())
    }

    #[test]
    fn messages_and_signs_of_life_are_told_apart_wherever_they_are_cut() {
        let stream = format!("\r\n\r\n{OPTIONS}\r\n{INFO}{OPTIONS}\r\n\r\n");
        let expected = [Frame::Ping, message(OPTIONS), message(INFO), message(OPTIONS), Frame::Ping];
        for cuts in 1..=stream.len() {
            assert_eq!(split(stream.as_bytes(), cuts).unwrap(), expected, "cut to {cuts}");
        }
    }

    #[test]
    fn a_length_that_is_missing_wrong_or_told_twice_ends_the_stream() {
        let with = |line: &str| split(format!("INFO sip:a SIP/2.0\r\n{line}\r\n\r\n").as_bytes(), 7);
        assert_eq!(with("To: a"), Err(FrameError::NoLength));
        for line in
            ["Content-Length: -1", "l: +1", "l:", "l: 18446744073709551616", "l: 0\r\nContent-Length: 4"]
        {
            assert_eq!(with(line), Err(FrameError::BadLength), "{line}");
        }
        assert_eq!(with("l: 65535"), Err(FrameError::TooLong));
        assert_eq!(with("l: 18446744073709551615"), Err(FrameError::TooLong));
        assert_eq!(split(&vec![b'a'; LONGEST + 2], 4_096), Err(FrameError::TooLong));
        assert_eq!(with("l: 0\r\nContent-Length: 0").unwrap().len(), 1);
    }

    #[test]
    fn only_what_has_begun_as_a_message_counts_as_one() {
        let mut splitter = Splitter::default();
        splitter.push(b"\r\n");
        assert!(!splitter.is_within_a_message());
        splitter.push(b"O");
        assert!(splitter.is_within_a_message());
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_fail_and_cuts_change_nothing(bytes in proptest::collection::vec(
            prop_oneof![Just(b'\r'), Just(b'\n'), Just(b'l'), Just(b':'), Just(b'3'), any::<u8>()], 0..200), cuts in 1_usize..20) {
            prop_assert_eq!(split(&bytes, cuts), split(&bytes, bytes.len()));
        }
    }
}
