//! The kind of a caller's text, before any plan: withheld, dialled digits, or an address. Part of algorithm 2, which
//! never changes: its words for "withheld" don't either.
//!
//! Media servers send what the network gave them: numbers in many scripts and groupings, `tel:` and SIP
//! URIs with or without display name and parameters, extensions, and words that say "withheld".

/// The kind of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::numbers) enum Reading {
    /// The caller gave no number.
    Withheld,
    /// Digits as they could be dialled.
    Dialled(Dialled),
    /// An address, a name or a code, in one form.
    Text(String),
}

/// A number as dialled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Dialled {
    /// Digits alone.
    pub(super) digits: String,
    /// A plus stood before them.
    pub(super) international: bool,
}

impl Dialled {
    /// Without separators.
    pub(super) fn compact(&self) -> String {
        format!("{}{}", if self.international { "+" } else { "" }, self.digits)
    }
}

/// Whole texts that mean "no number"; matched in lower case.
const WITHHELD: [&str; 14] = [
    "anonymous",
    "anon",
    "restricted",
    "unavailable",
    "private",
    "withheld",
    "unknown",
    "blocked",
    "private number",
    "number withheld",
    "caller id withheld",
    "unknown caller",
    "no caller id",
    "not available",
];
/// User parts of addresses that mean the same on any host.
const WITHHELD_USERS: [&str; 4] = ["anonymous", "restricted", "unavailable", "withheld"];
/// RFC 3323.
const WITHHELD_HOST: &str = "anonymous.invalid";
/// How an extension is announced behind a number.
const EXTENSION: [&str; 8] = ["extension", "extn", "ext", "xtn", "x", "#", ",", ";"];
const MOST_EXTENSION_DIGITS: usize = 8;
/// Fewer digits before an extension are no number.
const LEAST_DIGITS: usize = 5;

/// Reads a text.
pub(super) fn read(given: &str) -> Reading {
    let text = fold(given);
    let text = strip_display_name(&text);
    if text.is_empty() || WITHHELD.contains(&text) {
        return Reading::Withheld;
    }
    if let Some(number) = text.strip_prefix("tel:") {
        return read_number(number.split(';').next().unwrap_or(number)).unwrap_or_else(|| keep(text));
    }
    let scheme = ["sips:", "sip:"].into_iter().find(|scheme| text.starts_with(scheme)).unwrap_or_default();
    match text[scheme.len()..].split_once('@') {
        Some((user, rest)) => read_address(scheme, user, rest),
        None => read_number(text).unwrap_or_else(|| keep(text)),
    }
}

/// One form for characters that look alike: ASCII digits and signs, lower case, nothing invisible.
fn fold(text: &str) -> String {
    let folded: String = text.chars().filter_map(fold_char).collect();
    folded.to_lowercase().trim().to_owned()
}

fn fold_char(c: char) -> Option<char> {
    let shifted = |zero: u32| char::from_digit(u32::from(c) - zero, 10);
    match c {
        '\u{FF01}'..='\u{FF5E}' => char::from_u32(u32::from(c) - 0xFEE0),
        '\u{0660}'..='\u{0669}' => shifted(0x0660),
        '\u{06F0}'..='\u{06F9}' => shifted(0x06F0),
        '\u{2010}'..='\u{2015}' | '\u{2212}' | '\u{30FC}' => Some('-'),
        '\u{00AD}'
        | '\u{200B}'..='\u{200F}'
        | '\u{202A}'..='\u{202E}'
        | '\u{2060}'
        | '\u{2066}'..='\u{2069}'
        | '\u{FEFF}' => None,
        c if c.is_whitespace() => Some(' '),
        c => Some(c),
    }
}

/// `"Alice" <sip:alice@…>` is its address.
fn strip_display_name(text: &str) -> &str {
    let inner = text.strip_suffix('>').and_then(|text| text.rsplit_once('<')).map(|(_, inner)| inner);
    inner.unwrap_or(text).trim_matches(|c: char| c == '"' || c == '<' || c == '>' || c == ' ')
}

fn read_address(scheme: &str, user: &str, rest: &str) -> Reading {
    let host = rest.split([';', '?', ' ']).next().unwrap_or(rest);
    let name = user.split([';', ':']).next().unwrap_or(user);
    if WITHHELD_USERS.contains(&name) || host == WITHHELD_HOST {
        return Reading::Withheld;
    }
    let is_phone = name.starts_with('+') || rest.split([';', '?']).any(|part| part == "user=phone");
    match read_number(name).filter(|_| is_phone) {
        Some(number) => number,
        None => keep(&format!("{scheme}{name}@{host}")),
    }
}

/// Text in one form.
fn keep(text: &str) -> Reading {
    Reading::Text(text.split_whitespace().collect::<Vec<_>>().join(" "))
}

/// Digits with separators, perhaps with an extension behind them. `None` for anything else.
fn read_number(text: &str) -> Option<Reading> {
    let is_separator = |c: char| " -.()/[]~".contains(c);
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '+' && !is_separator(c));
    let (number, extension) = text.split_at(end.unwrap_or(text.len()));
    let digits: String = number.chars().filter(char::is_ascii_digit).collect();
    let mut signs = number.chars().filter(|c| !is_separator(*c)).skip(usize::from(number.contains('+')));
    let sign_first =
        number.chars().find(|c| !is_separator(*c)).is_some_and(|c| c == '+' || !number.contains('+'));
    let good = sign_first && signs.all(|c| c != '+') && !digits.is_empty();
    let extended = extension.is_empty() || (digits.len() >= LEAST_DIGITS && is_extension(extension));
    (good && extended).then(|| Reading::Dialled(Dialled { digits, international: number.contains('+') }))
}

fn is_extension(text: &str) -> bool {
    let Some(rest) = EXTENSION.into_iter().find_map(|sign| text.strip_prefix(sign)) else { return false };
    if text.starts_with(';') {
        // Parameters of a URI.
        return true;
    }
    let digits = rest.trim_start_matches(['.', ':', '=', ' ']);
    (1..=MOST_EXTENSION_DIGITS).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit())
}
