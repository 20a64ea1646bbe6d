//! Addresses of SIP and telephones, as headers write them: `"Name" <sip:user@host;p=v>;q=w`, `tel:+44…`, bare URIs.
//!
//! Pure. What can't be read is `None`: a header that names nobody counts for nothing.

/// An address with what stands around it.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Address {
    /// The display name, without quotes.
    pub display: Option<String>,
    /// User part or telephone number, unescaped.
    pub user: String,
    /// Host; empty for `tel:`.
    pub host: String,
    /// Parameters of the URI, names in small letters, values unescaped.
    pub uri_parameters: Vec<(String, String)>,
    /// Headers of the URI (`?Reason=…`), names in small letters, values unescaped.
    pub uri_headers: Vec<(String, String)>,
    /// Parameters behind the URI.
    pub parameters: Vec<(String, String)>,
}

/// Never what it says: an address names people.
impl std::fmt::Debug for Address {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Address")
    }
}

impl Address {
    /// Reads one address: a header's value or an element of it.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let (display, uri, rest) = match find_bracket(text) {
            Some(open) => {
                let close = open + text.get(open..)?.find('>')?;
                (read_display(text.get(..open)?), text.get(open + 1..close)?, text.get(close + 1..)?)
            }
            // Without brackets, parameters are the header's (RFC 3261, 20.10).
            None => {
                let end = text.find([';', ',']).unwrap_or(text.len());
                (None, text.get(..end)?, text.get(end..)?)
            }
        };
        let mut address = Self::parse_uri(uri)?;
        address.display = display;
        address.parameters = read_parameters(rest);
        Some(address)
    }

    /// Reads a bare URI, such as a Request-URI, with its parameters.
    pub fn parse_uri(uri: &str) -> Option<Self> {
        let (scheme, rest) = uri.trim().split_once(':')?;
        let (rest, headers) = rest.split_once('?').unwrap_or((rest, ""));
        let is_tel = scheme.eq_ignore_ascii_case("tel");
        if !is_tel && !scheme.eq_ignore_ascii_case("sip") && !scheme.eq_ignore_ascii_case("sips") {
            return None;
        }
        let (user, host) = match rest.rsplit_once('@') {
            Some((user, host)) => (user, host),
            None if is_tel => (rest, ""),
            None => ("", rest),
        };
        // A user part of a number may have parameters of its own, such as ;phone-context (RFC 3261, 19.1.6).
        let (user, user_parameters) = user.split_once(';').unwrap_or((user, ""));
        let (host, parameters) = host.split_once(';').unwrap_or((host, ""));
        let user = user.split(':').next().unwrap_or_default();
        let mut uri_parameters = read_parameters(user_parameters);
        uri_parameters.extend(read_parameters(parameters));
        let address = Self {
            user: unescape(user),
            host: host_of(host).to_ascii_lowercase(),
            uri_parameters,
            uri_headers: read_pairs(headers, '&'),
            ..Self::default()
        };
        (!address.user.is_empty() || !address.host.is_empty()).then_some(address)
    }

    /// A parameter of the URI.
    pub fn uri_parameter(&self, name: &str) -> Option<&str> {
        find(&self.uri_parameters, name)
    }

    /// A parameter behind the URI.
    pub fn parameter(&self, name: &str) -> Option<&str> {
        find(&self.parameters, name)
    }

    /// The user part, if there is one.
    pub fn number(&self) -> Option<&str> {
        Some(self.user.as_str()).filter(|user| !user.is_empty())
    }
}

/// Elements of a header that lists several, split at commas outside of quotes and brackets.
pub fn split_list(value: &str) -> Vec<&str> {
    let (mut parts, mut begin, mut quoted, mut depth, mut escaped) = (Vec::new(), 0, false, 0_u32, false);
    for (at, c) in value.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            '<' if !quoted => depth += 1,
            '>' if !quoted => depth = depth.saturating_sub(1),
            ',' if !quoted && depth == 0 => {
                parts.push(value[begin..at].trim());
                begin = at + 1;
            }
            _ => {}
        }
    }
    parts.push(value[begin..].trim());
    parts.retain(|part| !part.is_empty());
    parts
}

fn find<'a>(pairs: &'a [(String, String)], name: &str) -> Option<&'a str> {
    pairs.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
}

/// The bracket that opens the URI, outside of the quoted name.
fn find_bracket(text: &str) -> Option<usize> {
    let (mut quoted, mut escaped) = (false, false);
    for (at, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            '<' if !quoted => return Some(at),
            _ => {}
        }
    }
    None
}

fn read_display(text: &str) -> Option<String> {
    let text = text.trim();
    let inner = text.strip_prefix('"').and_then(|text| text.strip_suffix('"'));
    let name = match inner {
        Some(inner) => {
            let mut name = String::with_capacity(inner.len());
            let mut escaped = false;
            for c in inner.chars() {
                if c == '\\' && !escaped {
                    escaped = true;
                } else {
                    name.push(c);
                    escaped = false;
                }
            }
            name
        }
        None => text.to_owned(),
    };
    Some(name.trim().to_owned()).filter(|name| !name.is_empty())
}

fn read_parameters(text: &str) -> Vec<(String, String)> {
    read_pairs(text, ';')
}

fn read_pairs(text: &str, separator: char) -> Vec<(String, String)> {
    let pair = |part: &str| {
        let (name, value) = part.split_once('=').unwrap_or((part, ""));
        (name.trim().to_ascii_lowercase(), unescape(value.trim().trim_matches('"')))
    };
    text.split(separator).map(str::trim).filter(|part| !part.is_empty()).map(pair).collect()
}

/// The host without its port.
fn host_of(text: &str) -> &str {
    match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, _)) => address,
        None => text.split(':').next().unwrap_or_default(),
    }
}

/// Percent escapes as bytes; what isn't one stays.
fn unescape(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut plain = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        let escape = (*byte == b'%').then(|| text.get(at + 1..at + 3)).flatten();
        match escape.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(value) => {
                plain.push(value);
                at += 3;
            }
            None => {
                plain.push(*byte);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&plain).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(text: &str) -> Address {
        Address::parse(text).unwrap()
    }

    #[test]
    fn name_address_and_both_kinds_of_parameters_are_told_apart() {
        let address =
            read(r#""Anna \"A\" <B>" <sip:+44%2020@Example.COM:5070;user=phone?Reason=SIP%3Bx>;tag=7"#);
        assert_eq!(address.display.as_deref(), Some(r#"Anna "A" <B>"#));
        assert_eq!((address.user.as_str(), address.host.as_str()), ("+44 20", "example.com"));
        assert_eq!(address.uri_parameter("user"), Some("phone"));
        assert_eq!(address.parameter("tag"), Some("7"));
        assert_eq!(address.uri_headers, [("reason".to_owned(), "SIP;x".to_owned())]);
    }

    #[test]
    fn telephone_numbers_bare_addresses_and_ipv6_are_read() {
        assert_eq!(read("tel:+442079460001;phone-context=x").user, "+442079460001");
        assert_eq!(read("sip:1001@[2001:db8::1]:5060").host, "2001:db8::1");
        let bare = read("sip:1001@pbx;tag=3");
        assert_eq!((bare.parameter("tag"), bare.uri_parameter("tag")), (Some("3"), None));
        assert_eq!(read("<sip:1001;phone-context=+44@pbx>").uri_parameter("phone-context"), Some("+44"));
        assert_eq!(read("sip:pbx").number(), None);
        assert!(Address::parse("mailto:a@b").is_none() && Address::parse("<sip:a@b").is_none());
    }

    #[test]
    fn a_list_is_split_outside_of_quotes_and_brackets_alone() {
        let list = split_list(r#""a, b" <sip:1@x?a=b,c>;p , <sip:2@x>"#);
        assert_eq!(list, [r#""a, b" <sip:1@x?a=b,c>;p"#, "<sip:2@x>"]);
    }

    #[test]
    fn nothing_of_an_address_is_in_its_debug_form() {
        assert_eq!(format!("{:?}", read("\"Anna\" <sip:1001@pbx>")), "Address");
    }

    proptest! {
        #[test]
        fn no_text_makes_it_fail(text in ".{0,120}") {
            let _ = Address::parse(&text);
            let _ = Address::parse_uri(&text);
            split_list(&text);
        }
    }
}
