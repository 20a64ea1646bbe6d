//! Algorithm 2, as messages were filed before numbers could have several readings. It must never change, its words for
//! "withheld" included: an erasure finds those messages by it.

mod plan;
mod reading;

use super::RuleSet;
use reading::Reading;

/// How often a reading may change before it is taken as it is; one more than any text is known to need.
const MOST_READINGS: usize = 5;

/// E.164 where the text is a number, else text. `None`: withheld.
pub(super) fn normalise(rules: &RuleSet, text: &str) -> Option<String> {
    let mut form = read(rules, text)?;
    for _ in 0..MOST_READINGS {
        let again = read(rules, &form)?;
        if again == form {
            break;
        }
        form = again;
    }
    Some(form)
}

fn read(rules: &RuleSet, text: &str) -> Option<String> {
    match reading::read(text) {
        Reading::Withheld => None,
        Reading::Text(text) => Some(text),
        Reading::Dialled(dialled) => {
            Some(plan::to_e164(rules, &dialled).unwrap_or_else(|| dialled.compact()))
        }
    }
}
