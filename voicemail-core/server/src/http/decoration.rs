//! Text of a deposit's fields as media servers send it: in whatever encoding, cut wherever their buffers ended.
//!
//! Pure. A display name is decoration and is brought into a form that can be shown, at a price that a [`NoteCode`]
//! tells. A caller identifies somebody: nothing of it is lost, and bytes that aren't text are kept as percent escapes,
//! by which a request to export or to forget can name it.

use encoding_rs::{Encoding, UTF_8, WINDOWS_1252};
use unicode_segmentation::UnicodeSegmentation;

/// Longest display name that is stored, in bytes.
pub(super) const LONGEST_NAME: usize = 256;

/// A change that was made to a deposit's fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum NoteCode {
    CallerEscaped,
    NameDecoded,
    NameReplaced,
    NameCut,
    FieldRepeated,
    UrgentIgnored,
    FieldIgnored,
    FieldAfterAudio,
}

impl NoteCode {
    /// The code that clients compare; it never changes.
    pub(super) fn code(self) -> &'static str {
        match self {
            Self::CallerEscaped => "caller-escaped",
            Self::NameDecoded => "caller-name-decoded",
            Self::NameReplaced => "caller-name-replaced",
            Self::NameCut => "caller-name-cut",
            Self::FieldRepeated => "field-repeated",
            Self::UrgentIgnored => "urgent-ignored",
            Self::FieldIgnored => "field-ignored",
            Self::FieldAfterAudio => "field-after-audio",
        }
    }

    /// The change, and how the sender can make it unnecessary. Never what was sent.
    pub(super) fn detail(self) -> &'static str {
        match self {
            Self::CallerEscaped => "caller has bytes that aren't text: they are kept as percent escapes",
            Self::NameDecoded => "callerName isn't UTF-8: it was read as Windows-1252 or the charset named",
            Self::NameReplaced => "callerName has characters that can't be shown: they were replaced",
            Self::NameCut => "callerName was cut: at most 256 bytes are kept, and only whole characters",
            Self::FieldRepeated => "callerName or urgent came again: the first one counts",
            Self::UrgentIgnored => "urgent was ignored: write true or false",
            Self::FieldIgnored => {
                "a field was ignored: the fields are caller, callerName, urgent, left and, last, audio"
            }
            Self::FieldAfterAudio => "a field after the audio was ignored: send audio last",
        }
    }
}

/// A display name that can be shown, and what was done to it. `whole` is false if more bytes came than were kept.
pub(super) fn display_name(
    bytes: &[u8],
    charset: Option<&str>,
    whole: bool,
) -> (Option<String>, Vec<NoteCode>) {
    let mut notes = Vec::new();
    let text = decode(bytes, charset, whole, &mut notes);
    let shown: String = text.trim_matches(is_edge).chars().map(showable).collect();
    if shown != text.trim_matches(is_edge) {
        notes.push(NoteCode::NameReplaced);
    }
    let shown = shown.trim();
    let cut = cut_at_character(shown, LONGEST_NAME).trim_end();
    if cut.len() < shown.len() || !whole {
        notes.push(NoteCode::NameCut);
    }
    notes.sort_unstable();
    notes.dedup();
    (Some(cut.to_owned()).filter(|name| !name.is_empty()), notes)
}

/// Characters that senders put around a text, such as the end of a C string.
fn is_edge(character: char) -> bool {
    character.is_whitespace() || character.is_control()
}

/// Line breaks and tabs part words; other controls are nothing to be shown.
fn showable(character: char) -> char {
    if character.is_control() { ' ' } else { character }
}

fn decode(bytes: &[u8], charset: Option<&str>, whole: bool, notes: &mut Vec<NoteCode>) -> String {
    let named = charset.and_then(|label| Encoding::for_label(label.as_bytes()));
    if let Some(encoding) = named.filter(|encoding| *encoding != UTF_8) {
        let (text, _) = encoding.decode_without_bom_handling(bytes);
        notes.push(NoteCode::NameDecoded);
        return text.into_owned();
    }
    let error = match std::str::from_utf8(bytes) {
        Ok(text) => return text.trim_start_matches('\u{feff}').to_owned(),
        Err(error) => error,
    };
    let (good, rest) = bytes.split_at(error.valid_up_to());
    let is_utf8 = !good.is_ascii() || (error.error_len().is_none() && rest.len() > 1);
    match (error.error_len(), is_utf8) {
        // A sender's buffer, or ours, ended within a character.
        (None, _) if is_utf8 || !whole => {
            notes.push(NoteCode::NameCut);
            String::from_utf8_lossy(good).into_owned()
        }
        (_, true) => {
            notes.push(NoteCode::NameReplaced);
            String::from_utf8_lossy(bytes).into_owned()
        }
        (_, false) => {
            notes.push(NoteCode::NameDecoded);
            WINDOWS_1252.decode_without_bom_handling(bytes).0.into_owned()
        }
    }
}

/// The longest part of so many bytes that ends where a character ends as readers see it.
fn cut_at_character(text: &str, most: usize) -> &str {
    if text.len() <= most {
        return text;
    }
    let ends = text.grapheme_indices(true).map(|(at, grapheme)| at + grapheme.len());
    let end = ends.take_while(|end| *end <= most).last();
    // A single character that is longer than that: its first part is better than nothing.
    let end = end.unwrap_or_else(|| text.floor_char_boundary(most));
    text.get(..end).unwrap_or_default()
}

/// A caller as text: all of it. White space is one space, as headers of SIP fold it; what isn't text becomes percent
/// escapes, and then `%` too, so that the bytes can be told from the text. True if anything was escaped.
pub(super) fn caller_text(bytes: &[u8]) -> (String, bool) {
    let bytes = trim_edges(bytes);
    let is_text = |text: &str| text.chars().all(|c| !c.is_control() || c.is_ascii_whitespace());
    match std::str::from_utf8(bytes) {
        Ok(text) if is_text(text) => (fold(text), false),
        _ => (escape(bytes), true),
    }
}

/// Without white space, control characters and zeros at either end.
fn trim_edges(bytes: &[u8]) -> &[u8] {
    let is_text = |byte: &u8| *byte > b' ' && *byte != 0x7F;
    let start = bytes.iter().position(is_text).unwrap_or(bytes.len());
    let end = bytes.iter().rposition(is_text).map_or(start, |last| last + 1);
    bytes.get(start..end).unwrap_or_default()
}

fn fold(text: &str) -> String {
    if !text.chars().any(|c| c.is_ascii_whitespace() && c != ' ') {
        return text.to_owned();
    }
    text.split_ascii_whitespace().collect::<Vec<_>>().join(" ")
}

fn escape(bytes: &[u8]) -> String {
    let mut text = String::new();
    for chunk in bytes.utf8_chunks() {
        for character in chunk.valid().chars() {
            if character.is_control() || character == '%' {
                let mut buffer = [0; 4];
                push_escaped(&mut text, character.encode_utf8(&mut buffer).as_bytes());
            } else {
                text.push(character);
            }
        }
        push_escaped(&mut text, chunk.invalid());
    }
    text
}

fn push_escaped(text: &mut String, bytes: &[u8]) {
    for byte in bytes {
        text.push('%');
        text.push_str(&hex::encode_upper([*byte]));
    }
}

/// Whether a message is urgent; `None` for a word that says neither.
pub(super) fn read_urgent(bytes: &[u8]) -> Option<bool> {
    let text = std::str::from_utf8(trim_edges(bytes)).ok()?.to_ascii_lowercase();
    match text.as_str() {
        "true" | "1" | "yes" | "y" | "t" | "on" | "urgent" => Some(true),
        "" | "false" | "0" | "no" | "n" | "f" | "off" | "normal" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn named(bytes: &[u8]) -> (String, Vec<&'static str>) {
        let (name, notes) = display_name(bytes, None, true);
        (name.unwrap_or_default(), notes.into_iter().map(NoteCode::code).collect())
    }

    #[test]
    fn names_in_other_encodings_are_read() {
        assert_eq!(named(b"M\xFCller"), ("Müller".into(), vec!["caller-name-decoded"]));
        assert_eq!(named(b"Zo\xEB"), ("Zoë".into(), vec!["caller-name-decoded"]));
        assert_eq!(named(b"\x80 Ltd"), ("€ Ltd".into(), vec!["caller-name-decoded"]));
        assert_eq!(named("😀 زين".as_bytes()), ("😀 زين".into(), vec![]));
        let (name, notes) = display_name(b"\xC1\xFE", Some("koi8-r"), true);
        assert_eq!((name.as_deref(), notes), (Some("аЧ"), vec![NoteCode::NameDecoded]));
        let (name, _) = display_name("Zoë".as_bytes(), Some("no-such-charset"), true);
        assert_eq!(name.as_deref(), Some("Zoë"));
    }

    #[test]
    fn names_that_were_cut_within_a_character_keep_their_whole_ones() {
        assert_eq!(
            named(&"Сергей Николаевич".as_bytes()[..20]),
            ("Сергей Ник".into(), vec!["caller-name-cut"])
        );
        assert_eq!(named(&"名".as_bytes()[..2]), (String::new(), vec!["caller-name-cut"]));
    }

    #[test]
    fn controls_become_spaces_and_never_cost_the_name() {
        assert_eq!(named(b"ACME\tLtd"), ("ACME Ltd".into(), vec!["caller-name-replaced"]));
        assert_eq!(named(b"ACME\r\nLtd\0"), ("ACME  Ltd".into(), vec!["caller-name-replaced"]));
        assert_eq!(named(b"  Ann\r\n"), ("Ann".into(), vec![]));
        assert_eq!(named("é\u{85}\u{9b}x".as_bytes()).0, "é  x");
        assert_eq!(named("é".repeat(3).as_bytes()[..3].repeat(2).as_slice()).0.chars().next(), Some('é'));
    }

    #[test]
    fn a_long_name_is_cut_where_a_character_ends() {
        let (name, notes) = named("汉".repeat(100).as_bytes());
        assert_eq!((name.len(), notes), (255, vec!["caller-name-cut"]));
        let family = "👩‍👩‍👧‍👦";
        let (name, _) = named(family.repeat(20).as_bytes());
        assert_eq!(name, family.repeat(256 / family.len()));
        let (name, _) = named(format!("e{}", "\u{301}".repeat(200)).as_bytes());
        assert!((250..=256).contains(&name.len()));
    }

    #[test]
    fn a_callers_bytes_are_all_kept() {
        assert_eq!(caller_text(b" +44 20\t7946 0123\r\n\0"), ("+44 20 7946 0123".into(), false));
        assert_eq!(caller_text(b"sip:a%20b@c"), ("sip:a%20b@c".into(), false));
        assert_eq!(caller_text(b"sip:m\xFCller@c"), ("sip:m%FCller@c".into(), true));
        assert_eq!(caller_text(b"a%FC\xFC\x01"), ("a%25FC%FC".into(), true));
        assert_eq!(caller_text(b"a\x01b"), ("a%01b".into(), true));
    }

    #[test]
    fn words_for_urgent_are_understood_and_others_are_no_reason_to_refuse() {
        assert_eq!(read_urgent(b"yes"), Some(true));
        assert_eq!(read_urgent(b" FALSE\n"), Some(false));
        assert_eq!(read_urgent(b"maybe"), None);
        assert_eq!(read_urgent(b"\xFF"), None);
    }

    fn unescape(text: &str) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut rest = text.as_bytes();
        while let Some((first, tail)) = rest.split_first() {
            if *first == b'%' {
                bytes.extend(hex::decode(&tail[..2]).unwrap());
                rest = &tail[2..];
            } else {
                bytes.push(*first);
                rest = tail;
            }
        }
        bytes
    }

    proptest! {
        #[test]
        fn a_name_is_never_too_long_and_never_holds_a_control(bytes in proptest::collection::vec(any::<u8>(), 0..900), whole: bool) {
            let (name, _) = display_name(&bytes, None, whole);
            let name = name.unwrap_or_default();
            prop_assert!(name.len() <= LONGEST_NAME && !name.chars().any(char::is_control));
        }

        #[test]
        fn escapes_give_the_callers_bytes_back(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let (text, escaped) = caller_text(&bytes);
            prop_assert!(!text.chars().any(char::is_control));
            if escaped { prop_assert_eq!(unescape(&text), trim_edges(&bytes)); }
        }
    }
}
