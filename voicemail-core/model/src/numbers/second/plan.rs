//! Dialled digits become E.164: first by the tenant's own prefixes, then by the national plan. Part of algorithm 2,
//! which never changes.
//!
//! A prefix that leads to nothing in the plan isn't applied, so that the result never depends on how often
//! a number was normalised. Lengths are checked, assigned ranges hardly: the plans that are built in are
//! older than the newest ranges, and a number must be one caller in all its spellings.

use super::reading::Dialled;
use crate::RuleSet;
use phonenumber::country::{Id, Source};

/// Digits of a number with its country code (E.164; the shortest in use have 7).
const E164_DIGITS: std::ops::RangeInclusive<usize> = 7..=15;
/// A national number this long is one even where the plan doesn't know its range.
const SURELY_NATIONAL: usize = 8;

/// The number in E.164, if it is one.
pub(super) fn to_e164(rules: &RuleSet, dialled: &Dialled) -> Option<String> {
    let region = rules.default_region.parse().ok();
    if dialled.international {
        return in_plan(region, &dialled.compact());
    }
    let own = rules.prefixes.iter().find_map(|rule| rule.apply(&dialled.digits));
    own.and_then(|number| in_plan(region, &number)).or_else(|| in_plan(region, &dialled.digits))
}

fn in_plan(region: Option<Id>, text: &str) -> Option<String> {
    let number = phonenumber::parse(region, text).ok()?;
    let form = number.format().mode(phonenumber::Mode::E164).to_string();
    let national = number.national().to_string().len();
    let national_known = national >= SURELY_NATIONAL || number.is_valid();
    let explicit = matches!(number.country().source(), Source::Plus | Source::Idd) || text.starts_with('+');
    (E164_DIGITS.contains(&(form.len() - 1)) && (explicit || national_known)).then_some(form)
}
