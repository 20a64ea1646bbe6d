//! Words that people write into receipts, registers and holds. Pure.
//!
//! Two rules. Words about the subject of a request (a case id, a reason, a text) end up where more people read them than know
//! the subject: no number of the tenant's plans and no e-mail address may be in them. Dates, UUIDs and ticket numbers may.
//! The name of somebody who acts is taken as it is: issuers give out numbers and e-mail addresses as names.
//!
//! What can go wrong: a name in words isn't known to be one; a ticket that is nothing but digits and happens to be a number
//! of the plans is refused, and the error says what to write.

use super::RuleSet;
use std::ops::RangeInclusive;

/// Why a statement can't be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StatementError {
    /// Nothing, or too much.
    #[error("write 1 to 500 characters without control characters")]
    Length,
    /// A telephone number, or an e-mail address.
    #[error(
        "leave personal data out: it holds a telephone number or an e-mail address. A ticket of nothing but digits is \
         taken when letters stand before it, as in CASE-1234567"
    )]
    Personal,
}

const LONGEST: usize = 500;
/// Digits of a telephone number, with its country code or without.
const NUMBER: RangeInclusive<usize> = 7..=15;
/// Words before a number that say that it is one.
const TELEPHONE_WORDS: [&str; 14] = [
    "tel",
    "telephone",
    "telefon",
    "phone",
    "mobile",
    "cell",
    "fax",
    "call",
    "caller",
    "number",
    "nr",
    "no",
    "sip",
    "sms",
];

/// Checks words about the subject of a request; gives them without blanks at their ends.
///
/// # Errors
/// [`StatementError`].
pub fn check_statement(rules: &RuleSet, text: &str) -> Result<String, StatementError> {
    let text = check_name(text)?;
    if looks_personal(rules, &text) { Err(StatementError::Personal) } else { Ok(text) }
}

/// Checks the name of somebody who acts; gives it without blanks at its ends.
///
/// # Errors
/// [`StatementError::Length`].
pub fn check_name(text: &str) -> Result<String, StatementError> {
    let text = text.trim();
    let length = text.chars().count();
    let good = (1..=LONGEST).contains(&length) && !text.chars().any(char::is_control);
    if good { Ok(text.to_owned()) } else { Err(StatementError::Length) }
}

/// Whether a text holds a telephone number of the tenant's plans, or an e-mail address.
pub fn looks_personal(rules: &RuleSet, text: &str) -> bool {
    holds_address(text) || runs_of(text).iter().any(|run| run.holds_number(rules))
}

/// Something on both sides of an `@`.
fn holds_address(text: &str) -> bool {
    let blank = |c: Option<char>| c.is_none_or(char::is_whitespace);
    text.match_indices('@')
        .any(|(at, _)| !blank(text[..at].chars().next_back()) && !blank(text[at + 1..].chars().next()))
}

/// Digits with what people write between them.
#[derive(Default)]
struct Run {
    groups: Vec<Group>,
    /// Letters that the run hangs on, as `INC` in `INC0012345`.
    label: String,
}

/// Digits that stand together.
#[derive(Default)]
struct Group {
    digits: String,
    /// A plus stands before them.
    plus: bool,
    /// The separators before them.
    before: String,
}

fn runs_of(text: &str) -> Vec<Run> {
    let (mut runs, mut run, mut letters, mut between) =
        (Vec::new(), Run::default(), String::new(), String::new());
    for c in text.chars() {
        match c {
            c if c.is_numeric() => {
                let begins = run.groups.is_empty();
                if begins {
                    run.label =
                        if between.contains([' ', '(', '\u{a0}']) { String::new() } else { letters.clone() };
                }
                if begins || !between.is_empty() {
                    let plus = between.ends_with('+');
                    run.groups.push(Group {
                        digits: String::new(),
                        plus,
                        before: std::mem::take(&mut between),
                    });
                }
                run.groups.last_mut().into_iter().for_each(|group| group.digits.push(c));
            }
            ' ' | '-' | '.' | '(' | ')' | '/' | '_' | '+' | '\u{a0}' => between.push(c),
            c => {
                runs.push(std::mem::take(&mut run));
                if !between.is_empty() {
                    letters.clear();
                    between.clear();
                }
                if c.is_alphabetic() { letters.push(c) } else { letters.clear() }
            }
        }
    }
    runs.push(run);
    runs.retain(|run| !run.groups.is_empty());
    runs
}

impl Run {
    fn holds_number(&self, rules: &RuleSet) -> bool {
        if self.is_ticket() || self.is_uuid() {
            return false;
        }
        let groups: Vec<&[Group]> = self.groups_between_dates();
        groups.into_iter().any(|groups| {
            (0..groups.len()).any(|from| (from..groups.len()).any(|to| is_number(rules, &groups[from..=to])))
        })
    }

    /// Letters before it, other than those that announce a telephone number, and no plus.
    fn is_ticket(&self) -> bool {
        let label = self.label.to_lowercase();
        !label.is_empty()
            && !TELEPHONE_WORDS.contains(&label.as_str())
            && !self.groups.iter().any(|group| group.plus)
    }

    fn is_uuid(&self) -> bool {
        let lengths: Vec<usize> = self.groups.iter().map(|group| group.digits.len()).collect();
        lengths == [8, 4, 4, 4, 12]
    }

    /// The groups in front of, between and behind the dates.
    fn groups_between_dates(&self) -> Vec<&[Group]> {
        let (mut found, mut rest) = (Vec::new(), self.groups.as_slice());
        let mut at = 0;
        while at < rest.len() {
            match date_at(&rest[at..]) {
                0 => at += 1,
                length => {
                    found.push(&rest[..at]);
                    rest = &rest[at + length..];
                    at = 0;
                }
            }
        }
        found.push(rest);
        found
    }
}

/// How many groups the date at the begin of these has; 0: there is none. Written as 2026-11-28, 28.11.2026, 11/28/2026 or
/// 20261128.
fn date_at(groups: &[Group]) -> usize {
    let number = |group: &Group| group.digits.parse::<u32>().unwrap_or(u32::MAX);
    let year = |group: &Group| group.digits.len() == 4 && (1900..2200).contains(&number(group));
    let small = |group: &Group, most| group.digits.len() <= 2 && (1..=most).contains(&number(group));
    let joined = |group: &Group| matches!(group.before.as_str(), "-" | "." | "/" | ". ");
    match groups {
        [a, b, c, ..] if year(a) && small(b, 12) && small(c, 31) && joined(b) && joined(c) => 3,
        [a, b, c, ..] if small(a, 31) && small(b, 31) && year(c) && joined(b) && joined(c) => 3,
        [a, ..] if is_compact_date(&a.digits) && !a.plus => 1,
        _ => 0,
    }
}

fn is_compact_date(digits: &str) -> bool {
    let part = |from: usize, to: usize| digits.get(from..to).and_then(|part| part.parse::<u32>().ok());
    let within =
        |part: Option<u32>, range: RangeInclusive<u32>| part.is_some_and(|part| range.contains(&part));
    digits.len() == 8
        && within(part(0, 4), 1900..=2199)
        && within(part(4, 6), 1..=12)
        && within(part(6, 8), 1..=31)
}

fn is_number(rules: &RuleSet, groups: &[Group]) -> bool {
    let digits: String = groups.iter().map(|group| group.digits.as_str()).collect();
    if !NUMBER.contains(&digits.chars().count()) {
        return false;
    }
    groups.first().is_some_and(|group| group.plus) || rules.is_possible_number(&digits)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(region: &str) -> RuleSet {
        RuleSet::new(1, region, &[], &[])
    }

    #[test]
    fn numbers_of_the_plans_and_addresses_are_refused_however_they_are_written() {
        for bad in [
            "call 020 7946 0123",
            "+44(20)7946-0123",
            "a@example.org",
            "02079460123",
            "tel:02079460123",
            "phone-020-7946-0123",
            "447700900123",
            "07700900123",
            "٠٢٠٧٩٤٦٠١٢٣",
            "020 7946 0123 of 2026-11-28",
            "2026-11-28 020 7946 0123",
            "their numbers: 020 7946 0123 020 7946 0124",
            "+999 12345678",
            "INC-1 +442079460123",
            "person <ann@example.org>",
        ] {
            assert_eq!(check_statement(&rules("GB"), bad), Err(StatementError::Personal), "{bad}");
        }
        assert_eq!(check_statement(&rules("US"), "(212) 555-0123 asks"), Err(StatementError::Personal));
    }

    #[test]
    fn dates_uuids_tickets_and_paragraphs_pass() {
        for good in [
            "court order of 2026-11-28",
            "orders of 28.11.2026 and 1.12.2026, 11/28/2026",
            "20261128",
            "2026-11-28 14:02:33",
            "ticket INC0012345",
            "HR-2026-004217",
            "JIRA_20794601",
            "b4f3c2d1-1234-4567-8901-0a1b2c3d4e5f",
            "12345678-1234-4567-8901-123456789012",
            "Art. 17(3)(e): claim of 2026",
            "123456789",
            "1700000000000000000",
            "version 0.1.0-20261128",
            "meet @ noon",
        ] {
            assert_eq!(check_statement(&rules("GB"), good), Ok(good.to_owned()), "{good}");
        }
        assert_eq!(check_statement(&rules("US"), "123456789"), Ok("123456789".to_owned()));
    }

    #[test]
    fn names_are_taken_as_the_issuer_gives_them() {
        for name in
            ["oidc:103547991597142817347", "ann@example.org", "+44 20 7946 0123", "system:serviceaccount:a:b"]
        {
            assert_eq!(check_name(name), Ok(name.to_owned()));
        }
        for bad in ["", " \n", "a\nb", &"x".repeat(LONGEST + 1)] {
            assert_eq!(check_name(bad), Err(StatementError::Length));
            assert_eq!(check_statement(&rules("GB"), bad), Err(StatementError::Length));
        }
    }
}
