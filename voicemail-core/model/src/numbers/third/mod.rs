//! Algorithm 3: a caller's text becomes every form that it may mean, the one that it is filed under first.
//!
//! Flow: one form for characters ([`text`]); then what the text is ([`reading`]): nobody, a number, an address or other
//! text; then what the number means in the tenant's plan and in others ([`plan`]). A number that is valid in no plan
//! stays as it is written. It must never change once a release has written by it: erasures find messages by it.

mod plan;
mod reading;
mod text;

use super::RuleSet;
use super::nobody::Nobody;
use reading::Reading;

pub(super) use text::words;

/// How often a reading may change before it is taken as it is; one more than any text is known to need.
const MOST_READINGS: usize = 5;

/// Every form that a caller's text may mean, the one that it is filed under first; none for nobody.
pub(super) fn forms(rules: &RuleSet, text: &str) -> Vec<String> {
    let mut forms = read(rules, text);
    let Some(first) = forms.first_mut() else { return forms };
    for _ in 0..MOST_READINGS {
        match read(rules, first).into_iter().next() {
            Some(again) if again == *first => break,
            Some(again) => *first = again,
            // The rest of the text stands for nobody, and a search for it would find nothing.
            None => return Vec::new(),
        }
    }
    forms
}

/// Whether a text says that the caller gave no number, wherever it was sent.
pub(super) fn is_nobody(text: &str) -> bool {
    match reading::read(Nobody(&[]), text) {
        Reading::Nobody => true,
        Reading::Number(number) => number.international && Nobody(&[]).is_number(&number.digits),
        _ => false,
    }
}

/// Whether a text is a number of some plan: in its own country, or as the rule set reads it.
pub(super) fn is_number_of_a_plan(rules: &RuleSet, text: &str) -> bool {
    match reading::read(Nobody(&[]), text) {
        Reading::Number(number) | Reading::Address { number, .. } => plan::is_valid(rules, &number),
        _ => false,
    }
}

/// Whether a text could be somebody's number at home or, with a plus, anywhere.
pub(super) fn is_possible_number(rules: &RuleSet, text: &str) -> bool {
    match reading::read(Nobody(&[]), text) {
        Reading::Number(number) | Reading::Address { number, .. } => plan::is_possible(rules, &number),
        _ => false,
    }
}

/// Other spellings of a number in E.164; none of anything else.
pub(super) fn spellings(form: &str) -> Vec<String> {
    plan::spellings(form)
}

fn read(rules: &RuleSet, text: &str) -> Vec<String> {
    let nobody = Nobody(&rules.withheld);
    match reading::read(nobody, text) {
        Reading::Nobody => Vec::new(),
        Reading::Text(text) => vec![text],
        // Such as extension 2001 of somebody's exchange: no number of a plan.
        Reading::Address { number, text } => match plan::is_valid(rules, &number) {
            true => plan::forms(rules, &number),
            false if nobody.is_number(&number.digits) => Vec::new(),
            false => vec![text],
        },
        Reading::Number(number) => {
            let valid = plan::is_valid(rules, &number);
            if !valid && nobody.is_number(&number.digits) { Vec::new() } else { plan::forms(rules, &number) }
        }
    }
}
