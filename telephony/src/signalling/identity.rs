//! Who calls: the asserted identity where it is trusted, else From; nobody when the caller withheld it (RFC 3323, 3325).

use super::address::{Address, split_list};

/// The caller as the message will name them.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Identity {
    /// Number or address; none when withheld.
    pub caller: Option<String>,
    /// Display name.
    pub name: Option<String>,
}

impl Identity {
    /// From a request's headers.
    pub fn read(headers: &[(String, String)], trusted: bool) -> Self {
        let values = |name: &'static str| {
            headers
                .iter()
                .filter(move |(known, _)| known.eq_ignore_ascii_case(name))
                .map(|(_, value)| value.as_str())
        };
        let mut privacy = values("Privacy").flat_map(|value| value.split([';', ',']));
        if privacy.any(|word| matches!(word.trim(), "id" | "user" | "header")) {
            return Self::default();
        }
        let asserted = values("P-Asserted-Identity").flat_map(split_list).filter_map(Address::parse);
        let asserted = asserted.filter(|_| trusted).find(|address| address.number().is_some());
        let from = || values("From").next().and_then(Address::parse);
        match asserted.or_else(from).filter(|address| !is_anonymous(address)) {
            Some(address) => Self { caller: number_or_address(&address), name: address.display },
            None => Self::default(),
        }
    }
}

fn is_anonymous(address: &Address) -> bool {
    address.host == "anonymous.invalid" || address.user.eq_ignore_ascii_case("anonymous")
}

/// A telephone number alone, or `user@host`.
fn number_or_address(address: &Address) -> Option<String> {
    let user = address.number()?;
    let is_number = user.chars().all(|c| c.is_ascii_digit() || "+*#-.() ".contains(c));
    Some(if is_number || address.host.is_empty() {
        user.to_owned()
    } else {
        format!("{user}@{}", address.host)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const FROM: (&str, &str) = ("From", "\"Bob\" <sip:+442079460001@pbx.example>;tag=1");
    const ASSERTED: (&str, &str) = ("P-Asserted-Identity", "<sip:pbx>, \"Anna\" <tel:+442079460002>");

    fn read(headers: &[(&str, &str)], trusted: bool) -> (Option<String>, Option<String>) {
        let headers: Vec<(String, String)> =
            headers.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
        let identity = Identity::read(&headers, trusted);
        (identity.caller, identity.name)
    }

    #[test]
    fn the_asserted_identity_counts_where_it_is_trusted() {
        assert_eq!(read(&[FROM, ASSERTED], true), (Some("+442079460002".into()), Some("Anna".into())));
        assert_eq!(read(&[FROM, ASSERTED], false), (Some("+442079460001".into()), Some("Bob".into())));
        assert_eq!(read(&[("From", "<sip:bob@pbx.example>")], false).0, Some("bob@pbx.example".into()));
    }

    #[test]
    fn who_withholds_their_number_is_nobody() {
        for header in [("Privacy", "id"), ("privacy", "critical; id")] {
            assert_eq!(read(&[FROM, ASSERTED, header], true), (None, None));
        }
        assert_eq!(read(&[("From", "\"Anonymous\" <sip:anonymous@anonymous.invalid>")], false), (None, None));
        assert_eq!(read(&[("Privacy", "none"), FROM], false).0, Some("+442079460001".into()));
    }
}
