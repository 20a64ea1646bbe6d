//! Number normalisation: from a caller as the network gave it to one form for all spellings.
//!
//! Flow: [`RuleSet::normalise`] reads the text ([`reading`]), applies the tenant's own prefixes, then the
//! national plan, and gives E.164; what is no number is kept as text; a withheld caller gives nothing. A
//! rule set is never changed and never dropped: messages are filed under the hash of what it gave, and an
//! erasure hashes its subject under every rule set that the tenant ever used.
//!
//! What can go wrong: a rule set of a newer version. It can't be carried out here, and whoever searches
//! must say so ([`RuleSet::is_known`]).

mod first;
mod plan;
mod reading;

use super::CallerId;
use crate::config::NumberPrefix;
use reading::Reading;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// A way of normalising numbers that was once in force. Kept for ever in the tenant document.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RuleSet {
    /// Number of the rule set within the tenant, from 1.
    pub id: u32,
    /// Version of the algorithm: 1 knew neither prefixes nor withheld spellings.
    pub algorithm: u32,
    /// ISO 3166 region by which national numbers are read.
    pub default_region: String,
    /// The tenant's own prefixes; the first that fits applies.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub prefixes: Vec<PrefixRule>,
    /// Fields of newer versions.
    #[serde(flatten)]
    pub unknown: Map<String, Value>,
}

/// A prefix of the tenant's own as it was when the rule set was made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PrefixRule {
    /// Digits that the number begins with.
    pub prefix: String,
    /// What stands in their place.
    #[serde(default)]
    pub replace_with: String,
    /// Only numbers of that many digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digits: Option<u32>,
    /// Fields of newer versions.
    #[serde(flatten)]
    pub unknown: Map<String, Value>,
}

/// How often a reading may change before it is taken as it is; one more than any text is known to need.
const MOST_READINGS: usize = 5;

impl RuleSet {
    /// The algorithm that this program writes with.
    pub const ALGORITHM: u32 = 2;

    /// The rule set that a configuration asks for.
    pub fn new(id: u32, region: &str, prefixes: &[NumberPrefix]) -> Self {
        Self {
            id,
            algorithm: Self::ALGORITHM,
            default_region: region.to_owned(),
            prefixes: prefixes.iter().map(PrefixRule::from).collect(),
            unknown: Map::new(),
        }
    }

    /// Whether this is what a configuration asks for, whatever its number.
    pub fn is_for(&self, region: &str, prefixes: &[NumberPrefix]) -> bool {
        *self == Self::new(self.id, region, prefixes)
    }

    /// Whether this program can carry it out: a newer version may have added to it.
    pub fn is_known(&self) -> bool {
        let plain = self.unknown.is_empty() && self.prefixes.iter().all(|rule| rule.unknown.is_empty());
        plain && (1..=Self::ALGORITHM).contains(&self.algorithm)
    }

    /// Loads what normalising needs, which takes a moment the first time.
    pub fn prepare(&self) {
        if let Some(caller) = CallerId::new("+441632960000") {
            self.normalise(&caller);
        }
    }

    /// One form for all spellings of a caller: E.164 where it is a number, else text. `None`: withheld.
    pub fn normalise(&self, caller: &CallerId) -> Option<String> {
        if self.algorithm == 1 {
            return Some(first::normalise(&self.default_region, caller.reveal()));
        }
        let mut form = self.read(caller.reveal())?;
        for _ in 0..MOST_READINGS {
            let again = self.read(&form)?;
            if again == form {
                break;
            }
            form = again;
        }
        Some(form)
    }

    fn read(&self, text: &str) -> Option<String> {
        match reading::read(text) {
            Reading::Withheld => None,
            Reading::Text(text) => Some(text),
            Reading::Dialled(dialled) => {
                Some(plan::to_e164(self, &dialled).unwrap_or_else(|| dialled.compact()))
            }
        }
    }
}

/// Whether a text is one of the ways in which networks say that the caller gave no number.
pub(super) fn is_withheld(text: &str) -> bool {
    reading::read(text) == Reading::Withheld
}

impl From<&NumberPrefix> for PrefixRule {
    fn from(given: &NumberPrefix) -> Self {
        Self {
            prefix: given.prefix.clone(),
            replace_with: given.replace_with.clone(),
            digits: given.digits,
            unknown: Map::new(),
        }
    }
}

impl PrefixRule {
    /// The digits with the prefix replaced, if it fits.
    fn apply(&self, digits: &str) -> Option<String> {
        let rest = digits.strip_prefix(self.prefix.as_str())?;
        let of_length = self.digits.is_none_or(|count| usize::try_from(count) == Ok(digits.len()));
        of_length.then(|| format!("{}{rest}", self.replace_with))
    }
}

#[cfg(test)]
mod tests;
