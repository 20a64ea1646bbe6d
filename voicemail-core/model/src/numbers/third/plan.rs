//! The meanings of a dialled number: the tenant's own prefixes first, then its country's plan, then other countries'
//! plans for a number whose plus was lost. Some countries write one number in several ways in E.164 itself.
//!
//! Lengths are checked, assigned ranges only where there is a choice: the plans that are built in are older than the
//! newest ranges, and a number must be one caller in all its spellings.

use super::reading::Number;
use crate::RuleSet;
use phonenumber::country::{Id, Source};

/// Digits of a number with its country code (E.164; the shortest in use have 7).
const E164_DIGITS: std::ops::RangeInclusive<usize> = 7..=15;
/// A national number this long is one even where the plan doesn't know its range.
const SURELY_NATIONAL: usize = 8;
/// Behind its country code but without a plus, this many digits are taken for a number whatever their range.
const LONG_NATIONAL: usize = 10;

/// A number in E.164.
struct Planned {
    form: String,
    /// Its range is one that its country's plan has.
    valid: bool,
    /// A country code was dialled, or it is as long as a national number is.
    sure: bool,
}

/// Every form that the number may mean, the likelier one first; never empty.
pub(super) fn forms(rules: &RuleSet, number: &Number) -> Vec<String> {
    let found =
        if number.international { vec![abroad(rules, number)] } else { dialled(rules, &number.digits) };
    let found: Vec<String> = found.into_iter().flatten().collect();
    if found.is_empty() { vec![compact(number)] } else { found }
}

/// Whether the number is one of a plan's ranges, in any of its readings.
pub(super) fn is_valid(rules: &RuleSet, number: &Number) -> bool {
    let region = rules.default_region.parse().ok();
    if number.international {
        return explicit(&number.digits).is_some_and(|found| found.valid);
    }
    let own = own_prefix(rules, &number.digits).is_some_and(|found| found.valid && number.digits.len() >= 7);
    own || national(region, &number.digits).is_some_and(|found| found.valid)
        || plus_lost(&number.digits).is_some()
}

/// Whether the number could be one at home or, with a plus, anywhere: as long as one there, in a range of the plan or not.
pub(super) fn is_possible(rules: &RuleSet, number: &Number) -> bool {
    let digits = &number.digits;
    if number.international {
        return explicit(digits).is_some();
    }
    if is_valid(rules, number) {
        return true;
    }
    let region: Option<Id> = rules.default_region.parse().ok();
    if digits.starts_with('0') {
        return national(region, digits).is_some_and(|found| found.sure);
    }
    let code = phonenumber::metadata::DATABASE
        .by_id(&rules.default_region)
        .map(|plan| plan.country_code().to_string());
    code.and_then(|code| digits.strip_prefix(&code)).is_some_and(|rest| rest.len() >= LONG_NATIONAL)
}

/// Without its plus, as it is dialled at home, and as it was in E.164 before its country changed its plan.
pub(super) fn spellings(form: &str) -> Vec<String> {
    let Some(digits) = form.strip_prefix('+') else { return Vec::new() };
    let mut found = vec![digits.to_owned(), format!("00{digits}")];
    if let Ok(number) = phonenumber::parse(None, form) {
        found.push(number.format().mode(phonenumber::Mode::National).to_string());
        found.push(number.national().to_string());
    }
    let before = match digits.len() {
        12 if digits.starts_with("52") => vec![format!("521{}", &digits[2..])],
        12 if digits.starts_with("54") => vec![format!("549{}", &digits[2..]), format!("54{}", &digits[2..])],
        13 if digits.starts_with("55") => vec![format!("{}{}", &digits[..4], &digits[5..])],
        _ => Vec::new(),
    };
    found.extend(before.into_iter().flat_map(|digits| [format!("+{digits}"), digits]));
    found
}

fn compact(number: &Number) -> String {
    format!("{}{}", if number.international { "+" } else { "" }, number.digits)
}

/// With a plus. A zero behind it begins no country code: the plus was put before what is dialled at home.
fn abroad(rules: &RuleSet, number: &Number) -> Option<String> {
    let digits = &number.digits;
    if digits.starts_with('0') {
        return dialled(rules, digits).into_iter().flatten().next();
    }
    explicit(digits).filter(|found| found.sure).map(|found| found.form)
}

/// Without a plus: what the tenant's prefixes say, else the readings at home and, where the plus was lost, abroad.
fn dialled(rules: &RuleSet, digits: &str) -> Vec<Option<String>> {
    if let Some(own) = own_prefix(rules, digits).filter(|found| found.sure) {
        return vec![Some(own.form)];
    }
    let home = national(rules.default_region.parse().ok(), digits).filter(|found| found.sure);
    let abroad = plus_lost(digits);
    match (home, abroad) {
        (Some(home), Some(abroad)) if home.valid && home.form != abroad => {
            vec![Some(home.form), Some(abroad)]
        }
        (_, Some(abroad)) => vec![Some(abroad)],
        (home, None) => vec![home.map(|home| home.form)],
    }
}

fn own_prefix(rules: &RuleSet, digits: &str) -> Option<Planned> {
    let number = rules.prefixes.iter().find_map(|rule| rule.apply(digits))?;
    match number.strip_prefix('+') {
        Some(digits) => explicit(digits),
        None => national(rules.default_region.parse().ok(), &number),
    }
}

/// A number of another country (or ours) without its plus, or with the international prefix that most countries dial.
fn plus_lost(digits: &str) -> Option<String> {
    let number = digits.strip_prefix("00").unwrap_or(digits);
    explicit(number).filter(|found| found.valid).map(|found| found.form)
}

/// Digits that begin with a country code.
fn explicit(digits: &str) -> Option<Planned> {
    plan(None, &format!("+{digits}"))
}

/// As dialled in a region, with its trunk and international prefixes.
fn national(region: Option<Id>, digits: &str) -> Option<Planned> {
    let dialled = region.and_then(|region| dialled_there(region, digits));
    plan(region, dialled.as_deref().unwrap_or(digits))
}

fn plan(region: Option<Id>, text: &str) -> Option<Planned> {
    // Not every spelling of E.164 is one that the plans know.
    let text =
        text.strip_prefix('+').map_or_else(|| text.to_owned(), |digits| format!("+{}", one_form(digits)));
    let number = phonenumber::parse(region, &text).ok()?;
    let found = number.format().mode(phonenumber::Mode::E164).to_string();
    let digits = found.strip_prefix('+')?;
    if !E164_DIGITS.contains(&digits.len()) {
        return None;
    }
    let explicit = matches!(number.country().source(), Source::Plus | Source::Idd) || text.starts_with('+');
    let form = one_form(digits);
    let valid = number.is_valid() || is_valid_otherwise(&form);
    let sure = explicit || valid || number.national().to_string().len() >= SURELY_NATIONAL;
    Some(Planned { form: format!("+{form}"), valid, sure })
}

/// One form where a country has several in E.164: Mexico's mobiles had a 1 behind the country code until 2019,
/// Argentina's have a 9 that calls from elsewhere need and the network leaves out, Brazil's had one digit less.
fn one_form(digits: &str) -> String {
    match digits.len() {
        13 if digits.starts_with("521") => format!("52{}", &digits[3..]),
        13 if digits.starts_with("549") => format!("54{}", &digits[3..]),
        12 if is_old_brazilian_mobile(digits) => format!("{}9{}", &digits[..4], &digits[4..]),
        _ => digits.to_owned(),
    }
}

fn is_old_brazilian_mobile(digits: &str) -> bool {
    digits.starts_with("55") && matches!(digits.as_bytes().get(4), Some(b'6'..=b'9'))
}

/// Argentina's mobiles are in the plans with their 9 alone.
fn is_valid_otherwise(form: &str) -> bool {
    let with_nine = form.strip_prefix("54").filter(|rest| rest.len() == 10).map(|rest| format!("+549{rest}"));
    with_nine.is_some_and(|number| phonenumber::parse(None, number).is_ok_and(|number| number.is_valid()))
}

/// The international number for digits as they are dialled at home in these countries, whose home prefixes aren't part
/// of E.164. `None`: another country, or digits of another form.
fn dialled_there(region: Id, digits: &str) -> Option<String> {
    match region {
        Id::MX => mexican(digits).map(|number| format!("+52{number}")),
        Id::AR => argentine(digits).map(|number| format!("+54{number}")),
        Id::BR => brazilian(digits).map(|number| format!("+55{number}")),
        _ => None,
    }
}

/// 044 and 045 led to mobiles until 2019, 01 to other towns.
fn mexican(digits: &str) -> Option<&str> {
    let rest = ["044", "045", "01"].into_iter().find_map(|prefix| digits.strip_prefix(prefix));
    rest.or_else(|| digits.strip_prefix('1')).filter(|rest| rest.len() == 10)
}

/// A 15 between area code and number leads to a mobile, as a 9 before both does.
fn argentine(digits: &str) -> Option<String> {
    let number = digits.strip_prefix('0').unwrap_or(digits);
    let number = number.strip_prefix('9').filter(|rest| rest.len() == 10).unwrap_or(number);
    if number.len() == 10 {
        return Some(number.to_owned());
    }
    let without = |at: usize| {
        let fifteen = number.get(at..at + 2) == Some("15") && number.len() == 12;
        fifteen.then(|| format!("{}{}", &number[..at], &number[at + 2..]))
    };
    let candidates: Vec<String> = [2, 3, 4].into_iter().filter_map(without).collect();
    let known = candidates.iter().find(|number| is_valid_otherwise(&format!("54{number}")));
    known.or(candidates.first()).cloned()
}

/// 0 and two digits of the carrier go before a number of another town.
fn brazilian(digits: &str) -> Option<&str> {
    let rest = digits.strip_prefix('0')?;
    match rest.len() {
        12 | 13 => rest.get(2..),
        10 | 11 => Some(rest),
        _ => None,
    }
}
