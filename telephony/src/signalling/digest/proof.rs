//! The other side of digest authentication: a user's answer to a proxy's challenge (RFC 7616, RFC 8760, and RFC 2617 without `qop`). Pure.
//!
//! Of several challenges that of SHA-256 is answered, else that of MD5. One that asks for something else, such as `auth-int` alone, is
//! answered by none.

use super::{hex, read_pairs};
use crate::config::Algorithm;
use std::collections::BTreeMap;
use zeroize::Zeroizing;

/// Those that can be answered, the better one first.
const KNOWN: [Algorithm; 2] = [Algorithm::Sha256, Algorithm::Md5];

/// A request that a user proves themselves for.
pub struct Claim<'a> {
    /// A line `NAME:PASSWORD`.
    pub user: &'a str,
    /// The request's method.
    pub method: &'a str,
    /// Its Request-URI, as it is sent.
    pub uri: &'a str,
}

impl Claim<'_> {
    /// The answer's header to one of these challenges, with a nonce of ours; none if nothing of them can be answered.
    pub fn answer<'c>(&self, challenges: impl Iterator<Item = &'c str>, own: &[u8]) -> Option<String> {
        let asked: Vec<_> = challenges.filter_map(read_challenge).collect();
        let best = KNOWN.iter().find_map(|best| asked.iter().find(|(algorithm, _)| algorithm == best))?;
        self.answer_one(best.0, &best.1, &hex(own))
    }

    fn answer_one(
        &self,
        algorithm: Algorithm,
        asked: &BTreeMap<String, String>,
        own: &str,
    ) -> Option<String> {
        let (name, password) = self.user.split_once(':')?;
        let (realm, nonce) = (asked.get("realm")?, asked.get("nonce")?);
        let secret = algorithm.hash(&Zeroizing::new(format!("{name}:{realm}:{password}")));
        let request = algorithm.hash(&format!("{}:{}", self.method, self.uri));
        let middle =
            if asked.contains_key("qop") { format!("{nonce}:00000001:{own}:auth") } else { nonce.clone() };
        let response = algorithm.hash(&Zeroizing::new(format!("{}:{middle}:{}", *secret, *request)));
        let mut header = format!(
            "Digest username=\"{}\", realm=\"{}\", nonce=\"{}\", uri=\"{}\", response=\"{}\", algorithm={}",
            escape(name),
            escape(realm),
            escape(nonce),
            self.uri,
            *response,
            algorithm.name()
        );
        if asked.contains_key("qop") {
            header.push_str(&format!(", cnonce=\"{own}\", qop=auth, nc=00000001"));
        }
        if let Some(opaque) = asked.get("opaque") {
            header.push_str(&format!(", opaque=\"{}\"", escape(opaque)));
        }
        Some(header)
    }
}

fn escape(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"")
}

/// A challenge that can be answered, and by which algorithm.
fn read_challenge(value: &str) -> Option<(Algorithm, BTreeMap<String, String>)> {
    let (scheme, rest) = value.trim().split_once([' ', '\t'])?;
    let asked: BTreeMap<String, String> = read_pairs(rest).into_iter().collect();
    let quality = asked.get("qop").is_none_or(|offered| offered.split(',').any(|one| one.trim() == "auth"));
    // RFC 2617: who names none means MD5.
    let name = asked.get("algorithm").map_or("MD5", String::as_str);
    let algorithm = KNOWN.into_iter().find(|known| known.name().eq_ignore_ascii_case(name))?;
    (scheme.eq_ignore_ascii_case("digest") && quality).then_some((algorithm, asked))
}

#[cfg(test)]
mod tests {
    use super::super::{Denied, Nonces, Question};
    use super::*;
    use std::time::Duration;

    const CLAIM: Claim<'static> = Claim { user: "anna:se:cret", method: "NOTIFY", uri: "sip:1001@192.0.2.1" };

    #[test]
    fn our_own_challenges_are_answered_rightly_by_the_better_algorithm() {
        let question = Question {
            method: "NOTIFY",
            uri: CLAIM.uri,
            realm: "voicemail",
            algorithms: &[Algorithm::Md5, Algorithm::Sha256],
        };
        let (nonces, now) = (Nonces::new().unwrap(), Duration::from_secs(1_000));
        let challenges = question.challenge(&nonces, Denied::Unasked, now);
        let answer = CLAIM.answer(challenges.iter().map(String::as_str), &[7; 8]).unwrap();
        assert!(answer.contains("algorithm=SHA-256"), "{answer}");
        assert_eq!(question.check(std::iter::once(answer.as_str()), "anna:se:cret\n", &nonces, now), Ok(()));
        assert!(!answer.contains("se:cret"));
    }

    #[test]
    fn a_proxy_of_rfc_2617_gets_what_it_asked_for_and_no_more() {
        // RFC 2069's form: the request-digest of HA1:nonce:HA2.
        let asked = "Digest realm=\"pbx\", nonce=\"n\", opaque=\"o\"";
        let answer = CLAIM.answer(std::iter::once(asked), &[7; 8]).unwrap();
        let hash = |text: &str| Algorithm::Md5.hash(text).to_string();
        let expected = hash(&format!("{}:n:{}", hash("anna:pbx:se:cret"), hash("NOTIFY:sip:1001@192.0.2.1")));
        assert!(answer.contains(&format!("response=\"{expected}\"")), "{answer}");
        assert!(answer.contains("opaque=\"o\"") && !answer.contains("qop"), "{answer}");
    }

    #[test]
    fn what_cannot_be_answered_is_not() {
        for asked in [
            "Basic realm=\"pbx\"",
            "Digest realm=\"pbx\", nonce=\"n\", qop=\"auth-int\"",
            "Digest realm=\"pbx\", nonce=\"n\", algorithm=SHA-512-256",
            "Digest realm=\"pbx\"",
        ] {
            assert_eq!(CLAIM.answer(std::iter::once(asked), &[7; 8]), None, "{asked}");
        }
    }
}
