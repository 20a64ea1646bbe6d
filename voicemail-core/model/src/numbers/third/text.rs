//! One form for texts that look alike: compatibility forms (NFKC), ASCII digits, lower case, nothing invisible. And
//! a looser one, for comparing words: without marks on letters and without punctuation.

use icu_normalizer::{ComposingNormalizerBorrowed, DecomposingNormalizerBorrowed};

/// Every zero of Unicode's decimal digits (general category Nd, version 16) but ASCII's; nine more digits follow each.
const ZEROS: [u32; 75] = [
    0x0660, 0x06F0, 0x07C0, 0x0966, 0x09E6, 0x0A66, 0x0AE6, 0x0B66, 0x0BE6, 0x0C66, 0x0CE6, 0x0D66, 0x0DE6,
    0x0E50, 0x0ED0, 0x0F20, 0x1040, 0x1090, 0x17E0, 0x1810, 0x1946, 0x19D0, 0x1A80, 0x1A90, 0x1B50, 0x1BB0,
    0x1C40, 0x1C50, 0xA620, 0xA8D0, 0xA900, 0xA9D0, 0xA9F0, 0xAA50, 0xABF0, 0xFF10, 0x104A0, 0x10D30,
    0x10D40, 0x11066, 0x110F0, 0x11136, 0x111D0, 0x112F0, 0x11450, 0x114D0, 0x11650, 0x116C0, 0x116D0,
    0x116DA, 0x11730, 0x118E0, 0x11950, 0x11BF0, 0x11C50, 0x11D50, 0x11DA0, 0x11F50, 0x16130, 0x16A60,
    0x16AC0, 0x16B50, 0x16D70, 0x1CCF0, 0x1D7CE, 0x1D7D8, 0x1D7E2, 0x1D7EC, 0x1D7F6, 0x1E140, 0x1E2F0,
    0x1E4F0, 0x1E5F1, 0x1E950, 0x1FBF0,
];

/// Text in one form.
pub(super) fn fold(text: &str) -> String {
    let text = ComposingNormalizerBorrowed::new_nfkc().normalize(text);
    let folded: String = text.chars().filter_map(fold_char).collect();
    folded.to_lowercase().trim().to_owned()
}

fn fold_char(c: char) -> Option<char> {
    match c {
        '\u{2010}'..='\u{2015}' | '\u{2212}' => Some('-'),
        '\u{FE62}' | '\u{2795}' => Some('+'),
        '\u{00AD}'
        | '\u{061C}'
        | '\u{180E}'
        | '\u{200B}'..='\u{200F}'
        | '\u{202A}'..='\u{202E}'
        | '\u{2060}'..='\u{2064}'
        | '\u{2066}'..='\u{206F}'
        | '\u{FE00}'..='\u{FE0F}'
        | '\u{FEFF}' => None,
        c if c.is_whitespace() => Some(' '),
        c if c.is_control() => Some(' '),
        c => Some(ascii_digit(c).unwrap_or(c)),
    }
}

/// The ASCII digit of a decimal digit in any script.
fn ascii_digit(c: char) -> Option<char> {
    let code = u32::from(c);
    let zero = ZEROS.partition_point(|zero| *zero <= code).checked_sub(1).and_then(|at| ZEROS.get(at))?;
    char::from_digit(code.checked_sub(*zero)?, 10).filter(|_| !c.is_ascii())
}

/// Words alone: no marks on letters, no punctuation, one space between them.
pub(in crate::numbers) fn words(text: &str) -> String {
    let folded = fold(text);
    let apart = DecomposingNormalizerBorrowed::new_nfkd().normalize(&folded);
    let plain: String = apart.chars().filter(|c| !is_mark(*c)).map(plain_letter).collect();
    plain.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
}

/// Marks that NFKD parts from Latin, Greek and Cyrillic letters, and from kana.
fn is_mark(c: char) -> bool {
    matches!(c, '\u{0300}'..='\u{036F}' | '\u{3099}' | '\u{309A}')
}

/// Letters that have no parts and are written without their stroke where a keyboard lacks them.
fn plain_letter(c: char) -> char {
    match c {
        'ł' => 'l',
        'ø' => 'o',
        'đ' | 'ð' => 'd',
        'ı' => 'i',
        'ħ' => 'h',
        c => c,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_zero_begins_ten_digits_of_its_own() {
        assert!(ZEROS.windows(2).all(|pair| pair[0] + 10 <= pair[1]));
        for zero in ZEROS {
            for (value, expected) in ('0'..='9').enumerate() {
                let c = char::from_u32(zero + u32::try_from(value).unwrap()).unwrap();
                assert_eq!(ascii_digit(c), Some(expected), "{c:?}");
            }
        }
        for other in ['0', '9', 'a', '\u{066A}', '\u{065F}', '²', '½'] {
            assert_eq!(ascii_digit(other), None, "{other:?}");
        }
    }

    #[test]
    fn words_ignore_case_marks_and_punctuation() {
        for (text, expected) in [
            ("  <Número   OCULTO>", "numero oculto"),
            ("numéro-masqué.", "numero masque"),
            ("ＮＵＭＢＥＲ＿withheld", "number withheld"),
            ("Tłumiony", "tlumiony"),
            ("…", ""),
        ] {
            assert_eq!(words(text), expected, "{text}");
        }
    }
}
