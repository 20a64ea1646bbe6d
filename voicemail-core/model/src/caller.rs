//! Callers: how they are hashed and kept out of logs.
//!
//! Flow: a deposit's `caller` becomes a [`CallerId`] (as given); [`RuleSet::normalise`](super::RuleSet::normalise)
//! brings it to E.164 where it is a number in the tenant's plan; [`TenantKey::hash`] gives the [`CallerHash`]
//! under which envelopes and marks are filed.
//!
//! What can go wrong: text that is no telephone number (a SIP URI, a short code) is kept as text, so that
//! it is found under the same text again; a withheld caller has no hash and can't be found by caller.

use super::numbers::is_withheld;
use aws_lc_rs::hmac;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::fmt;
use voicemail_api::config::CallerTagging;

/// A caller's number as the network gave it. Its `Debug` is redacted: numbers are personal data.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CallerId(String);

impl CallerId {
    /// Longest caller of a deposit, in bytes as they are sent; any SIP URI fits.
    pub const MOST_GIVEN: usize = 2_048;
    /// Longest caller as text, in bytes: what isn't text stands as percent escapes of three.
    pub const MAX_BYTES: usize = 3 * Self::MOST_GIVEN;

    /// A caller of a deposit. `None` when the text is blank or one of the network's words for "withheld".
    pub fn new(text: &str) -> Option<Self> {
        Self::named(text).filter(|_| !is_withheld(text))
    }

    /// A caller whom somebody names, such as a data subject: rule sets of old took every text for a
    /// caller's. `None` when the text is blank.
    pub fn named(text: &str) -> Option<Self> {
        let text = text.trim();
        (!text.is_empty()).then(|| Self(text.to_owned()))
    }

    /// The number itself, for the API's answers and the stored envelope; never for a log.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for CallerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CallerId(redacted)")
    }
}

/// Value of the index tag `caller_id`, in characters that the tags of every store take.
#[derive(Clone, PartialEq, Eq)]
pub struct CallerTag(String);

impl CallerTag {
    /// Name of the tag.
    pub const NAME: &'static str = "caller_id";

    /// The number if it is E.164 and the tenant wants numbers, else the hash; a withheld caller's is `withheld`.
    pub fn new(tagging: CallerTagging, normalised: Option<&CallerId>, hash: &CallerHash) -> Self {
        let is_e164 = |number: &str| {
            let digits = number.strip_prefix('+').unwrap_or_default();
            (5..=15).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit())
        };
        match normalised.map(CallerId::reveal).filter(|number| is_e164(number)) {
            Some(number) if tagging == CallerTagging::E164 => Self(number.to_owned()),
            _ => Self(hash.as_str().to_owned()),
        }
    }

    /// The value, for the store alone.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for CallerTag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CallerTag(redacted)")
    }
}

/// First 128 bits, in hex, of HMAC-SHA256(tenant key, normalised caller); or `withheld`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CallerHash(String);

impl CallerHash {
    /// The place of callers without a number.
    pub fn withheld() -> Self {
        Self("withheld".into())
    }

    /// Whether the caller gave no number; such messages can't be found by caller.
    pub fn is_withheld(&self) -> bool {
        self.0 == "withheld"
    }

    /// The hash as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Where it is filed: `<h2>/<H>`, or `withheld`.
    pub fn path(&self) -> String {
        if self.is_withheld() {
            self.0.clone()
        } else {
            format!("{}/{}", &self.0[..2.min(self.0.len())], self.0)
        }
    }
}

impl fmt::Display for CallerHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Callers by hash, and the rule set by which a caller as given is read to tell whether it is one of them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ByRules {
    /// Number of the rule set.
    pub rules: u32,
    /// The callers.
    pub callers: Vec<CallerHash>,
    /// Fields of newer versions.
    #[serde(flatten)]
    pub unknown: Map<String, Value>,
}

impl ByRules {
    /// Callers, and the rule set with that number.
    pub fn new(rules: u32, callers: Vec<CallerHash>) -> Self {
        Self { rules, callers, unknown: Map::new() }
    }
}

/// The tenant's secret key. Losing it means that erasures find nothing, hence its check value.
#[derive(Clone)]
pub struct TenantKey(hmac::Key);

impl TenantKey {
    /// Shortest key accepted, in bytes.
    pub const MIN_BYTES: usize = 32;

    /// `None` when the key is shorter than [`MIN_BYTES`](Self::MIN_BYTES).
    pub fn new(bytes: &[u8]) -> Option<Self> {
        (bytes.len() >= Self::MIN_BYTES).then(|| Self(hmac::Key::new(hmac::HMAC_SHA256, bytes)))
    }

    /// The hash under which a normalised caller is filed.
    pub fn hash(&self, normalised: &str) -> CallerHash {
        CallerHash(self.tag("caller", normalised.as_bytes())[..32].to_owned())
    }

    /// Tells a wrong key from the right one without giving anything away.
    pub fn check_value(&self) -> String {
        self.tag("check", b"")[..16].to_owned()
    }

    /// A keyed digest, in hex, for the purpose named.
    pub fn tag(&self, purpose: &str, data: &[u8]) -> String {
        hex::encode(self.derive(purpose, data))
    }

    /// 32 bytes derived for the purpose named.
    pub fn derive(&self, purpose: &str, data: &[u8]) -> [u8; 32] {
        let mut context = hmac::Context::with_key(&self.0);
        context.update(purpose.as_bytes());
        context.update(&[0]);
        context.update(data);
        let mut bytes = [0; 32];
        bytes.copy_from_slice(context.sign().as_ref());
        bytes
    }
}

impl fmt::Debug for TenantKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TenantKey(redacted)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_holds_the_number_or_what_every_store_takes() {
        let hash = TenantKey::new(&[1; 32]).unwrap().hash("x");
        let tag = |tagging, text: &str| {
            CallerTag::new(tagging, CallerId::new(text).as_ref(), &hash).reveal().to_owned()
        };
        assert_eq!(tag(CallerTagging::E164, "+442079460123"), "+442079460123");
        for unfit in ["sip:alice@example.org", "1234", "+44 20", "+"] {
            assert_eq!(tag(CallerTagging::E164, unfit), hash.as_str(), "{unfit}");
        }
        assert_eq!(tag(CallerTagging::Hash, "+442079460123"), hash.as_str());
        assert_eq!(CallerTag::new(CallerTagging::E164, None, &CallerHash::withheld()).reveal(), "withheld");
    }

    #[test]
    fn blank_callers_are_withheld() {
        assert_eq!(CallerId::new("  "), None);
    }

    #[test]
    fn a_number_never_shows_in_debug_output() {
        let caller = CallerId::new("+442079460123").unwrap();
        assert!(!format!("{caller:?}").contains("44"));
    }

    #[test]
    fn hashes_differ_between_keys_and_purposes() {
        let (one, two) = (TenantKey::new(&[1; 32]).unwrap(), TenantKey::new(&[2; 32]).unwrap());
        assert_ne!(one.hash("+442079460123"), two.hash("+442079460123"));
        assert_eq!(one.hash("+442079460123").as_str().len(), 32);
        assert_ne!(one.check_value(), two.check_value());
        assert!(TenantKey::new(&[1; 31]).is_none());
    }
}
