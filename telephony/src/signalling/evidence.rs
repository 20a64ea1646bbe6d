//! Which mailbox a call is for: what the request says, in the order in which it is believed.
//!
//! 1. RFC 4458: `target` of the Request-URI.
//! 2. History-Info (RFC 7044): the first target that was retargeted.
//! 3. Diversion (RFC 5806): the bottom one, which is the first divert.
//! 4. The Request-URI.
//! 5. To.
//!
//! The first three count only where the trunk is trusted. A call to an access number without redirection is an owner's.

use super::address::{Address, split_list};
use crate::config::Trunk;

/// The parts of an INVITE that say where it was meant for.
#[derive(Clone, Default)]
pub struct Evidence {
    /// The Request-URI.
    pub request: Option<Address>,
    /// The header To.
    pub to: Option<Address>,
    /// Elements of History-Info, as they come.
    pub history: Vec<Address>,
    /// Elements of Diversion, latest first.
    pub diversion: Vec<Address>,
}

/// What a call is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// A caller leaves a message in that mailbox.
    Deposit(String),
    /// An owner works with a mailbox.
    Retrieval,
}

impl Evidence {
    /// From a request's URI and headers.
    pub fn read(request_uri: &str, headers: &[(String, String)]) -> Self {
        let all = |name: &str| {
            let values = headers.iter().filter(|(known, _)| known.eq_ignore_ascii_case(name));
            values.flat_map(|(_, value)| split_list(value)).filter_map(Address::parse).collect::<Vec<_>>()
        };
        Self {
            request: Address::parse_uri(request_uri),
            to: all("To").into_iter().next(),
            history: all("History-Info"),
            diversion: all("Diversion"),
        }
    }

    /// The mailbox, or none if nothing names one.
    pub fn purpose(&self, trunk: &Trunk, is_access_number: impl Fn(&str) -> bool) -> Option<Purpose> {
        if trunk.trust.redirection
            && let Some(number) = self.redirected()
        {
            return Some(Purpose::Deposit(trunk.mailbox_of(&number)));
        }
        let dialled = self.request.as_ref().and_then(Address::number);
        let number = dialled.or_else(|| self.to.as_ref().and_then(Address::number))?;
        if is_access_number(number) || is_access_number(&trunk.mailbox_of(number)) {
            return Some(Purpose::Retrieval);
        }
        Some(Purpose::Deposit(trunk.mailbox_of(number)))
    }

    /// The number from which the call was redirected to us.
    fn redirected(&self) -> Option<String> {
        self.target()
            .or_else(|| self.first_of_history())
            .or_else(|| self.diversion.last().and_then(Address::number).map(str::to_owned))
    }

    /// RFC 4458, an address or a bare number.
    fn target(&self) -> Option<String> {
        let target = self.request.as_ref()?.uri_parameter("target")?;
        match Address::parse_uri(target) {
            Some(address) => address.number().map(str::to_owned),
            None => Some(target.to_owned()).filter(|target| !target.is_empty() && !target.contains(':')),
        }
    }

    /// The original target, if the call was retargeted at all: one entry alone is where it came to us.
    fn first_of_history(&self) -> Option<String> {
        let mut entries: Vec<(Vec<u32>, &Address)> = self
            .history
            .iter()
            .map(|entry| (index_of(entry.parameter("index").unwrap_or_default()), entry))
            .collect();
        entries.sort_by(|a, b| a.0.cmp(&b.0));
        let (first, last) = (entries.first()?.1, entries.last()?.1);
        let number = first.number()?;
        let moved = entries.len() > 1 && last.number() != Some(number);
        moved.then(|| number.to_owned())
    }
}

fn index_of(text: &str) -> Vec<u32> {
    text.split('.').filter_map(|part| part.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn purpose(uri: &str, headers: &[(&str, &str)], redirection: bool) -> Option<Purpose> {
        let headers: Vec<(String, String)> =
            headers.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
        let text = format!("{{name: a, addresses: [10.0.0.0/8], trust: {{redirection: {redirection}}}}}");
        let trunk: Trunk = serde_yaml::from_str(&text).unwrap();
        Evidence::read(uri, &headers).purpose(&trunk, |number| number == "5555")
    }

    fn deposit(name: &str) -> Option<Purpose> {
        Some(Purpose::Deposit(name.into()))
    }

    const HISTORY: (&str, &str) =
        ("History-Info", "<sip:vm@x>;index=1.1.1, <sip:1001@x>;index=1, <sip:1002@x?Reason=SIP>;index=1.1");
    const DIVERSION: (&str, &str) = ("Diversion", "<sip:1004@x>;reason=no-answer, <sip:1003@x>");

    #[test]
    fn the_strongest_evidence_names_the_mailbox() {
        let uri = "sip:vm@x;target=sip:1000%40x;cause=408";
        assert_eq!(purpose(uri, &[HISTORY, DIVERSION], true), deposit("1000"));
        assert_eq!(purpose("sip:vm@x", &[DIVERSION, HISTORY], true), deposit("1001"));
        assert_eq!(purpose("sip:vm@x", &[DIVERSION], true), deposit("1003"));
        assert_eq!(purpose("sip:1007@x", &[], true), deposit("1007"));
        assert_eq!(purpose("sip:pbx", &[("To", "<sip:1008@x>")], true), deposit("1008"));
        assert_eq!(purpose("sip:pbx", &[], true), None);
    }

    #[test]
    fn redirection_counts_only_where_it_is_trusted() {
        assert_eq!(purpose("sip:1009@x;target=sip:1000%40x", &[HISTORY, DIVERSION], false), deposit("1009"));
        assert_eq!(purpose("sip:5555@x", &[DIVERSION], false), Some(Purpose::Retrieval));
    }

    #[test]
    fn an_access_number_is_an_owners_unless_the_call_was_redirected_to_it() {
        assert_eq!(
            purpose("sip:5555@x", &[("History-Info", "<sip:5555@x>;index=1")], true),
            Some(Purpose::Retrieval)
        );
        assert_eq!(purpose("sip:5555@x", &[DIVERSION], true), deposit("1003"));
    }
}
