//! Text of others (names, numbers, labels) as it may stand in a mail: one line, no control characters, nothing that turns
//! the reading direction of what follows.

use unicode_segmentation::UnicodeSegmentation;

/// Characters, as people count them, beyond which a text is cut.
const MOST: usize = 100;
/// First strong isolate and its end (Unicode Standard Annex 9).
const ISOLATE: [char; 2] = ['\u{2068}', '\u{2069}'];

/// Whether a character steers the reading direction.
fn is_direction(c: char) -> bool {
    matches!(c, '\u{061c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

fn is_right_to_left(c: char) -> bool {
    matches!(c, '\u{0590}'..='\u{08ff}' | '\u{fb1d}'..='\u{fdff}' | '\u{fe70}'..='\u{fefc}' | '\u{10800}'..='\u{10fff}' | '\u{1e800}'..='\u{1efff}')
}

/// The text on one line, cut after [`MOST`] characters.
pub(crate) fn clean(text: &str) -> String {
    let spaced: String =
        text.chars().map(|c| if c.is_control() || c.is_whitespace() { ' ' } else { c }).collect();
    let shown: String = spaced.chars().filter(|c| !is_direction(*c) && *c != '\u{feff}').collect();
    let words: Vec<&str> = shown.split(' ').filter(|word| !word.is_empty()).collect();
    let line = words.join(" ");
    let mut graphemes = line.graphemes(true);
    // A grapheme may be of any length: marks without end can be stacked on one letter.
    let kept: String = graphemes.by_ref().take(MOST).flat_map(|grapheme| grapheme.chars().take(12)).collect();
    if graphemes.next().is_some() { format!("{kept}…") } else { kept }
}

/// As [`clean`], apart from the text around it if it is written from right to left.
pub(crate) fn isolated(text: &str) -> String {
    let line = clean(text);
    if line.chars().any(is_right_to_left) { format!("{}{line}{}", ISOLATE[0], ISOLATE[1]) } else { line }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_name_is_one_line_that_turns_nothing_around_it() {
        for (given, shown) in [
            ("Ann\r\nBcc: bob@example.com", "Ann Bcc: bob@example.com"),
            ("  a\tb\u{2028}c\0 ", "a b c"),
            ("\u{202e}evil\u{202c}", "evil"),
            ("👩‍👩‍👧 Müller", "👩‍👩‍👧 Müller"),
        ] {
            assert_eq!(isolated(given), shown, "{given:?}");
        }
        assert_eq!(isolated("שלום"), "\u{2068}שלום\u{2069}");
        assert_eq!(clean(&"x".repeat(5_000)).chars().count(), MOST + 1);
        assert!(clean(&format!("x{}", "\u{301}".repeat(5_000))).len() < 100);
    }

    proptest! {
        #[test]
        fn no_text_brings_a_control_character_or_a_line_without_end(text in any::<String>()) {
            let line = isolated(&text);
            prop_assert!(!line.chars().any(char::is_control));
            prop_assert!(line.chars().count() <= MOST * 12 + 3);
        }
    }
}
