//! Reads `input.json` as people write it: UTF-8 with or without a byte order mark, or UTF-16 as some editors and shells
//! save it. Faults are told by their place and by the expected form, never by the content, which names people.

use super::GdprBody;

/// Why an input can't be read. Nothing here holds any part of it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InputError {
    /// There is nothing in it.
    #[error("is empty")]
    Empty,
    /// It isn't text.
    #[error("isn't UTF-8 or UTF-16 text: save it as UTF-8")]
    NotText,
    /// It isn't JSON, or ends too early.
    #[error("isn't JSON at line {line}, column {column}")]
    NotJson {
        /// From 1.
        line: usize,
        /// From 1.
        column: usize,
    },
    /// A value isn't what it should be.
    #[error("isn't as expected at line {line}, column {column}{expected}")]
    Unexpected {
        /// From 1.
        line: usize,
        /// From 1.
        column: usize,
        /// The expected form, with a separator before it.
        expected: String,
    },
}

/// Reads the body of a request.
///
/// # Errors
/// [`InputError`].
pub fn read_input(bytes: &[u8]) -> Result<GdprBody, InputError> {
    let text = decode(bytes).ok_or(InputError::NotText)?;
    if text.trim().is_empty() {
        return Err(InputError::Empty);
    }
    serde_json::from_str(&text).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        match error.classify() {
            serde_json::error::Category::Data => {
                InputError::Unexpected { line, column, expected: expectation(&error.to_string()) }
            }
            _ => InputError::NotJson { line, column },
        }
    })
}

/// Text without its byte order mark.
fn decode(bytes: &[u8]) -> Option<String> {
    let utf16 = |bytes: &[u8], read: fn([u8; 2]) -> u16| {
        let (pairs, rest) = bytes.as_chunks::<2>();
        let units = pairs.iter().map(|pair| read(*pair));
        rest.is_empty().then(|| char::decode_utf16(units).collect::<Result<String, _>>().ok()).flatten()
    };
    match bytes {
        [0xEF, 0xBB, 0xBF, rest @ ..] => String::from_utf8(rest.to_vec()).ok(),
        [0xFF, 0xFE, rest @ ..] => utf16(rest, u16::from_le_bytes),
        [0xFE, 0xFF, rest @ ..] => utf16(rest, u16::from_be_bytes),
        // JSON begins with an ASCII character: a zero beside it gives UTF-16 without a mark away (RFC 4627, section 3).
        [first, 0, ..] if *first != 0 => utf16(bytes, u16::from_le_bytes),
        [0, second, ..] if *second != 0 => utf16(bytes, u16::from_be_bytes),
        _ => String::from_utf8(bytes.to_vec()).ok(),
    }
}

/// The part of the parser's message that speaks of our fields: what it found there is left out.
fn expectation(message: &str) -> String {
    if let Some(field) = message.strip_prefix("missing field ") {
        let name = field.split(" at line").next().unwrap_or_default();
        return format!(": the field {name} is missing");
    }
    // The last one: what was found may hold the word, too.
    match message.rsplit_once(", expected ") {
        Some((_, expected)) => {
            format!(": expected {}", expected.split(" at line").next().unwrap_or_default())
        }
        None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r#"{"caseid":"7","consumers":[{"phone":["+441632960001"]}]}"#;

    fn utf16(text: &str, write: fn(u16) -> [u8; 2]) -> Vec<u8> {
        text.encode_utf16().flat_map(write).collect()
    }

    #[test]
    fn every_encoding_that_editors_save_is_read() {
        let marked = |mark: &str, write| utf16(&format!("{mark}{TEXT}"), write);
        for bytes in [
            TEXT.as_bytes().to_vec(),
            [b"\xEF\xBB\xBF", TEXT.as_bytes()].concat(),
            marked("\u{FEFF}", u16::to_le_bytes),
            marked("\u{FEFF}", u16::to_be_bytes),
            marked("", u16::to_le_bytes),
            marked("", u16::to_be_bytes),
        ] {
            assert_eq!(read_input(&bytes).unwrap().caseid, "7", "{bytes:?}");
        }
    }

    #[test]
    fn what_is_wrong_is_said_with_its_place_and_without_the_content() {
        let said = |text: &str| read_input(text.as_bytes()).unwrap_err().to_string();
        assert_eq!(said(" \n"), "is empty");
        assert_eq!(said("{\n\"caseid\": }"), "isn't JSON at line 2, column 11");
        assert!(said("{}").ends_with(": the field `caseid` is missing"), "{}", said("{}"));
        let wrong = said(r#"{"caseid":"7","consumers":"+441632960001, expected nobody"}"#);
        assert!(wrong.ends_with(": expected a sequence"), "{wrong}");
        assert!(!wrong.contains("1632960001") && !wrong.contains("nobody"), "{wrong}");
        assert_eq!(read_input(b"\xC3\x28{").unwrap_err(), InputError::NotText);
        assert_eq!(read_input(b"\xFF\xFE{").unwrap_err(), InputError::NotText);
    }
}
