//! Number normalisation: from a caller as the network gave it to one form for all spellings.
//!
//! Flow: [`RuleSet::normalise`] reads the text, applies the tenant's own prefixes, then the national plan, and gives E.164;
//! what is no number is kept as text; a withheld caller gives nothing. [`RuleSet::readings`] gives every form that the text
//! may mean: a number without its plus may be one at home and one abroad. A rule set is never changed and never
//! dropped, nor is an algorithm: messages are filed under the hash of what it gave, and an erasure looks under every
//! rule set that the tenant ever used.
//!
//! What can go wrong: a rule set of a newer version. It can't be carried out here, and whoever searches
//! must say so ([`RuleSet::is_known`]).

mod first;
mod nobody;
mod second;
mod third;

use super::{CallerHash, CallerId, TenantKey};
use nobody::{NUMBERS, WORDS, digits_of};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use voicemail_api::config::{ConfigError, NumberPrefix, TenantConfig};

/// A way of normalising numbers that was once in force. Kept for ever in the tenant document.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RuleSet {
    /// Number of the rule set within the tenant, from 1.
    pub id: u32,
    /// Version of the algorithm: 1 knew neither prefixes nor withheld spellings, 2 one reading of each number.
    pub algorithm: u32,
    /// ISO 3166 region by which national numbers are read.
    pub default_region: String,
    /// The tenant's own prefixes; the first that fits applies.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub prefixes: Vec<PrefixRule>,
    /// The tenant's own values for callers without a number, beside the built-in table.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub withheld: Vec<String>,
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
    /// The digits that replace the prefix.
    #[serde(default)]
    pub replace_with: String,
    /// Only numbers of that many digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digits: Option<u32>,
    /// Fields of newer versions.
    #[serde(flatten)]
    pub unknown: Map<String, Value>,
}

impl RuleSet {
    /// The algorithm that this program writes with.
    pub const ALGORITHM: u32 = 3;

    /// The rule set that a configuration asks for.
    pub fn new(id: u32, region: &str, prefixes: &[NumberPrefix], withheld: &[String]) -> Self {
        Self {
            id,
            algorithm: Self::ALGORITHM,
            default_region: region.to_owned(),
            prefixes: prefixes.iter().map(PrefixRule::from).collect(),
            withheld: withheld.to_vec(),
            unknown: Map::new(),
        }
    }

    /// Whether this is what a configuration asks for, whatever its number.
    pub fn is_for(&self, region: &str, prefixes: &[NumberPrefix], withheld: &[String]) -> bool {
        *self == Self::new(self.id, region, prefixes, withheld)
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

    /// One form for all spellings of a caller, under which it is filed: E.164 where it is a number, else text. `None`:
    /// withheld.
    pub fn normalise(&self, caller: &CallerId) -> Option<String> {
        match self.algorithm {
            1 => Some(first::normalise(&self.default_region, caller.reveal())),
            2 => second::normalise(self, caller.reveal()),
            _ => third::forms(self, caller.reveal()).into_iter().next(),
        }
    }

    /// Whether the caller's text may mean one of these callers.
    pub fn reads_as(&self, key: &TenantKey, caller: &CallerId, callers: &[CallerHash]) -> bool {
        self.readings(caller).iter().any(|form| callers.contains(&key.hash(form)))
    }

    /// Whether a text could be somebody's number: of some plan's ranges, or as long as one at home.
    pub fn is_possible_number(&self, text: &str) -> bool {
        third::is_possible_number(self, text)
    }

    /// Other spellings of a form that rule sets of old or a deposit without its plus may have filed it under.
    pub fn spellings(form: &str) -> Vec<String> {
        third::spellings(form)
    }

    /// Every form that the caller's text may mean, the one that it is filed under first; none for a withheld one.
    pub fn readings(&self, caller: &CallerId) -> Vec<String> {
        match self.algorithm {
            1 | 2 => self.normalise(caller).into_iter().collect(),
            _ => third::forms(self, caller.reveal()),
        }
    }
}

/// Whether a text is one of the ways in which networks say that the caller gave no number, wherever it was sent.
pub(super) fn is_withheld(text: &str) -> bool {
    third::is_nobody(text)
}

/// Whether a text could be somebody's number: what a tenant counts as nobody must not.
fn is_somebodys(rules: &RuleSet, text: &str) -> bool {
    let bare = digits_of(text);
    let with_plus = bare.as_ref().map(|digits| format!("+{digits}"));
    [Some(text.to_owned()), bare, with_plus]
        .into_iter()
        .flatten()
        .any(|text| third::is_number_of_a_plan(rules, &text))
}

/// Whether what a tenant's networks send for nobody really is nobody's: the messages of somebody could be neither exported
/// nor erased.
///
/// # Errors
/// [`ConfigError::Rule`] with the place in the list, never the text.
pub fn check_withheld_callers(config: &TenantConfig) -> Result<(), ConfigError> {
    let rules = RuleSet::new(1, &config.default_number_region, &config.number_prefixes, &[]);
    let found = config.withheld_callers.iter().position(|text| is_somebodys(&rules, text));
    let rule = |at: usize| format!("number {} of the list is a valid number of a numbering plan", at + 1);
    found.map_or(Ok(()), |at| Err(ConfigError::Rule { field: "withheldCallers", rule: rule(at) }))
}

/// The built-in table of values for callers without a number, for the page that lists it: words, and numbers.
pub fn built_in_withheld() -> (&'static [&'static str], &'static [&'static str]) {
    (WORDS, NUMBERS)
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
