//! Algorithm 1, as messages were filed before the tenant's own prefixes. It must never change: an erasure
//! finds those messages by it.

/// E.164 where the text is a number in the plan, else the text trimmed and in lower case.
pub(super) fn normalise(region: &str, given: &str) -> String {
    let text = strip_uri(given);
    match phonenumber::parse(region.parse().ok(), text) {
        Ok(number) if is_dialable(text) => number.format().mode(phonenumber::Mode::E164).to_string(),
        _ => given.trim().to_lowercase(),
    }
}

fn is_dialable(text: &str) -> bool {
    text.bytes().filter(u8::is_ascii_digit).count() >= 5 && text.chars().all(|c| !c.is_alphabetic())
}

fn strip_uri(text: &str) -> &str {
    let text = text.trim().trim_start_matches('<').trim_end_matches('>');
    let number = text.strip_prefix("tel:").unwrap_or(text);
    number.split(';').next().unwrap_or(number)
}
