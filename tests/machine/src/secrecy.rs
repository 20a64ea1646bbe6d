//! Whether a text, such as a log, tells somebody's number, name or PIN.

/// A secret of so many characters counts wherever it stands: nothing else has it by chance.
const LONG: usize = 7;

/// Whether the text tells a secret. A short one must stand by itself: a time, an identifier or a measured value has any four
/// digits in it now and then.
pub fn is_told(text: &str, secret: &str) -> bool {
    if secret.len() >= LONG {
        return text.contains(secret);
    }
    text.match_indices(secret).any(|(at, found)| {
        let goes_on = |mut chars: Box<dyn Iterator<Item = char> + '_>| match chars.next() {
            Some('.') => chars.next().is_some_and(|next| next.is_ascii_digit()),
            next => next.is_some_and(char::is_alphanumeric),
        };
        let (before, after) = (&text[..at], &text[at + found.len()..]);
        !goes_on(Box::new(before.chars().rev())) && !goes_on(Box::new(after.chars()))
    })
}

#[cfg(test)]
mod tests {
    use super::is_told;

    #[test]
    fn a_short_secret_is_told_by_itself_and_not_by_digits_of_something_else() {
        for text in [
            "1001",
            "mailbox 1001.",
            "sip:1001@pbx",
            "\"mailbox\":\"1001\"",
            "/mailboxes/1001/messages",
            "x 21001, 1001",
        ] {
            assert!(is_told(text, "1001"), "{text}");
        }
        for text in ["", "13:11:40.100123Z", "0.1001", "sum 0.00100183", "a71001fe", "1001.25"] {
            assert!(!is_told(text, "1001"), "{text}");
        }
        assert!(is_told("+442079460001", "42079460001"));
    }
}
