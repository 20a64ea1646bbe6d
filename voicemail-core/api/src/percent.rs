//! Percent-encoding (RFC 3986) of a text that becomes one segment of a path or one value of a query or form.

/// Percent-encodes all but unreserved characters: letters, digits, `-`, `.`, `_` and `~`.
pub fn encode_segment(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    let encode = |byte: u8| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") };
    text.bytes().map(encode).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_but_unreserved_characters_are_encoded() {
        assert_eq!(encode_segment("a/b c#1"), "a%2Fb%20c%231");
        assert_eq!(encode_segment("aZ09-._~"), "aZ09-._~");
        assert_eq!(encode_segment("é"), "%C3%A9");
    }
}
