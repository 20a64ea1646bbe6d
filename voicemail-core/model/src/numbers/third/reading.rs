//! The kind of a caller's text, before any plan: nobody, a number as dialled, an address, or other text.
//!
//! Media servers send what the network gave them: numbers in many scripts and groupings, `tel:` and SIP URIs with or
//! without display name and parameters (RFC 3261, RFC 3966), extensions, and words for nobody.

use super::text::fold;
use crate::numbers::nobody::Nobody;

/// The kind of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Reading {
    /// The caller gave no number.
    Nobody,
    /// Digits as they could be dialled.
    Number(Number),
    /// An address at a host, whose user part may be a number: one if it is in a plan.
    Address {
        /// The user part.
        number: Number,
        /// The address in one form.
        text: String,
    },
    /// An address, a name or a code, in one form.
    Text(String),
}

/// A number as dialled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Number {
    /// Digits alone.
    pub(super) digits: String,
    /// A plus stood before them.
    pub(super) international: bool,
}

/// How an extension is announced behind a number, longer words first.
const EXTENSION: [&str; 33] = [
    "nebenstelle",
    "extension",
    "durchwahl",
    "toestel",
    "interno",
    "anschluss",
    "poste",
    "ramal",
    "anexo",
    "linka",
    "extn",
    "wewn",
    "дополнительный",
    "доб",
    "вн",
    "ext",
    "xtn",
    "nst",
    "int",
    "dw",
    "ww",
    "内线",
    "內線",
    "内線",
    "분机",
    "내선",
    "x",
    "p",
    "w",
    "#",
    ",",
    ";",
    ":",
];
const MOST_EXTENSION_DIGITS: usize = 8;
/// Fewer digits before an extension are no number.
const LEAST_DIGITS: usize = 5;

/// Reads a text.
pub(super) fn read(nobody: Nobody<'_>, given: &str) -> Reading {
    let text = fold(given);
    let text = strip_display_name(&text);
    if nobody.is_word(text) {
        return Reading::Nobody;
    }
    if let Some(rest) = strip_scheme(text, &["tel:", "callto:"]) {
        let number = decode(rest.split(';').next().unwrap_or(rest));
        return match read_number(&number) {
            _ if nobody.is_word(&number) => Reading::Nobody,
            Some(number) => Reading::Number(number),
            None => keep(text),
        };
    }
    let scheme = ["sips:", "sip:"].into_iter().find(|scheme| text.starts_with(scheme)).unwrap_or_default();
    match text[scheme.len()..].split_once('@') {
        Some((user, rest)) => read_address(nobody, scheme, user, rest),
        None if scheme.is_empty() => read_number(text).map_or_else(|| keep(text), Reading::Number),
        None => keep(text),
    }
}

fn strip_scheme<'a>(text: &'a str, schemes: &[&str]) -> Option<&'a str> {
    schemes.iter().find_map(|scheme| text.strip_prefix(scheme)).map(|rest| rest.trim_start_matches('/'))
}

/// `"Alice" <sip:alice@…>` is its address.
fn strip_display_name(text: &str) -> &str {
    let inner = text.rsplit_once('<').and_then(|(_, rest)| rest.split_once('>')).map(|(inner, _)| inner);
    inner.unwrap_or(text).trim_matches(|c: char| c == '"' || c == '<' || c == '>' || c == ' ')
}

fn read_address(nobody: Nobody<'_>, scheme: &str, user: &str, rest: &str) -> Reading {
    let host = rest.split([';', '?', ' ']).next().unwrap_or(rest);
    let user = decode(user);
    let name = user.split([';', ':']).next().unwrap_or(&user);
    let number = read_number(name);
    let domain = host.split(':').next().unwrap_or(host).trim_end_matches('.');
    if nobody.is_word(name)
        || domain == "anonymous.invalid"
        || (domain.ends_with(".invalid") && number.is_none())
    {
        return Reading::Nobody;
    }
    let is_phone = name.starts_with('+') || rest.split([';', '?']).any(|part| part == "user=phone");
    let text = || Reading::Text(one_space(&format!("{scheme}{name}@{host}")));
    match number {
        Some(number) if is_phone => Reading::Number(number),
        Some(number) => Reading::Address { number, text: one_space(&format!("{scheme}{name}@{host}")) },
        None => text(),
    }
}

/// Text in one form.
fn keep(text: &str) -> Reading {
    Reading::Text(one_space(text))
}

fn one_space(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// `%2B` and its like, as URIs carry a plus (RFC 3986). Any other text stays.
fn decode(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let coded = after.get(..2).filter(|_| *first == b'%').and_then(|pair| std::str::from_utf8(pair).ok());
        match coded
            .and_then(|pair| u8::from_str_radix(pair, 16).ok())
            .filter(|byte| (0x20..0x7f).contains(byte))
        {
            Some(byte) => {
                bytes.push(byte);
                rest = after.get(2..).unwrap_or_default();
            }
            None => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8(bytes).unwrap_or_else(|_| text.to_owned())
}

/// Digits with separators, perhaps with an extension behind them. `None` for anything else.
fn read_number(text: &str) -> Option<Number> {
    // A trunk prefix that is written beside a country code isn't dialled.
    let without_trunk = text.contains('+').then(|| text.replacen("(0)", " ", 1));
    let text = without_trunk.as_deref().unwrap_or(text);
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '+' && !is_separator(c));
    let (number, extension) = text.split_at(end.unwrap_or(text.len()));
    let digits: String = number.chars().filter(char::is_ascii_digit).collect();
    let first_digit = number.find(|c: char| c.is_ascii_digit())?;
    let plus_inside = number[first_digit..].contains('+');
    let extended = extension.is_empty() || (digits.len() >= LEAST_DIGITS && is_extension(extension));
    let international = number[..first_digit].contains('+');
    (!plus_inside && extended).then_some(Number { digits, international })
}

/// Characters that people put between digits; but for signs with a meaning of their own.
fn is_separator(c: char) -> bool {
    (!c.is_alphanumeric() && !"+*#,;:@%=&?!<>\"$^{}\\".contains(c)) || c == '\u{30FC}'
}

fn is_extension(text: &str) -> bool {
    if text.starts_with(';') {
        // Parameters of a URI.
        return true;
    }
    let text = text.trim_end_matches(|c: char| c == '#' || is_separator(c));
    let Some(rest) = EXTENSION.into_iter().find_map(|sign| text.strip_prefix(sign)) else { return false };
    let digits = rest.trim_start_matches(|c: char| "=:,#".contains(c) || is_separator(c));
    (1..=MOST_EXTENSION_DIGITS).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit())
}
