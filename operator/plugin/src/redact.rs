//! Takes out of a report what has no business in it: telephone numbers, tokens, and what objects carry for machines. Pure.
//!
//! Nothing of it should be there at all: neither objects nor logs hold a caller's number. A report is a copy that leaves
//! the house, so this is a second look. Times, versions, addresses, ids and digests stay, since they tell something.

use serde_json::Value;

const NUMBER: &str = "[number]";
const TOKEN: &str = "[token]";
/// The shortest text that is taken for a number.
const DIGITS: usize = 7;
/// Who somebody is, in a GdprRequest: staff, not callers, but nobody else's business.
const PEOPLE: [&str; 3] = ["requestedBy", "by", "verifier"];
/// The list of people and their identities, in a VoicemailTenant.
const LISTED: &str = "people";
const APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// An object without managed fields, copies of itself, people and numbers.
pub(super) fn clean_object(object: &mut Value) {
    match object {
        Value::Object(fields) => {
            fields.remove("managedFields");
            fields.remove(APPLIED);
            for (name, value) in fields.iter_mut() {
                match value {
                    Value::String(text) if PEOPLE.contains(&name.as_str()) => *text = "[person]".into(),
                    Value::Array(people) if name == LISTED => people.iter_mut().for_each(hide_names),
                    value => clean_object(value),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(clean_object),
        Value::String(text) => *text = clean_text(text),
        _ => {}
    }
}

/// Every name in an entry of the list of people.
fn hide_names(entry: &mut Value) {
    match entry {
        Value::Object(fields) => {
            for (name, value) in fields.iter_mut() {
                match value {
                    Value::String(text) if name == "name" => *text = "[person]".into(),
                    value => hide_names(value),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(hide_names),
        _ => {}
    }
}

/// Text without numbers and tokens.
pub(super) fn clean_text(text: &str) -> String {
    text.split_inclusive('\n').map(clean_line).collect()
}

fn clean_line(line: &str) -> String {
    let (mut out, mut rest) = (String::new(), line);
    let mut before = ' ';
    while let Some(first) = rest.chars().next() {
        let taken = find_token(rest, before).map(|length| (length, TOKEN));
        let taken = taken.or_else(|| find_number(rest, before).map(|length| (length, NUMBER)));
        let (length, shown) = taken.unwrap_or((first.len_utf8(), &rest[..first.len_utf8()]));
        out.push_str(shown);
        before = rest[..length].chars().next_back().unwrap_or(' ');
        rest = &rest[length..];
    }
    out
}

/// A JSON Web Token begins here: three parts of base64, the first of which is an object.
fn find_token(text: &str, before: char) -> Option<usize> {
    if before.is_ascii_alphanumeric() || !text.starts_with("eyJ") {
        return None;
    }
    let part = |c: char| c.is_ascii_alphanumeric() || "-_.=".contains(c);
    let length = text.find(|c| !part(c)).unwrap_or(text.len());
    text[..length].contains('.').then_some(length)
}

/// A telephone number begins here: digits with what people write between them, and nothing that makes a word of it.
fn find_number(text: &str, before: char) -> Option<usize> {
    let begins = text.starts_with(|c: char| c.is_ascii_digit() || c == '+');
    if !begins || before.is_alphanumeric() || "-._:/@=+".contains(before) {
        return None;
    }
    let between = |c: char| " -.()+".contains(c);
    let length = text.find(|c: char| !(c.is_ascii_digit() || between(c))).unwrap_or(text.len());
    let found = text[..length].trim_end_matches(between);
    let after = text[found.len()..].chars().next().unwrap_or(' ');
    let digits = found.chars().filter(char::is_ascii_digit).count();
    let is_word = after.is_alphanumeric() || "-_:/%".contains(after);
    (digits >= DIGITS && !is_word && !is_address(found) && !is_date(found)).then_some(found.len())
}

fn is_address(text: &str) -> bool {
    text.parse::<std::net::Ipv4Addr>().is_ok()
}

/// Such as 2026-01-31: what follows it is a time, or nothing.
fn is_date(text: &str) -> bool {
    text.parse::<jiff::civil::Date>().is_ok() && text.contains('-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_go_in_every_spelling() {
        for (text, clean) in [
            ("caller +441632960001 rang", "caller [number] rang"),
            ("\"01632 960001\"", "\"[number]\""),
            ("0044 (1632) 960-001.", "[number]."),
            ("optOut: \"+44 20 7946 0100\"\n", "optOut: \"[number]\"\n"),
            ("tel 1632960001, twice", "tel [number], twice"),
        ] {
            assert_eq!(clean_text(text), clean);
        }
    }

    #[test]
    fn times_ids_addresses_and_versions_stay() {
        for text in [
            "2026-01-31T10:20:30.123456Z",
            "received 2026-01-31",
            "2c5ea4c0-4067-11e9-8bad-9b1deb4d3b7d",
            "http://10.244.0.17:9090/readyz",
            "10.244.110.117",
            "sha256:0123456789abcdef",
            "acme-voicemail-5d8f9c7b6-12345",
            "v1.33.0 after 123456 ms",
            "storage: 16777216Ki",
        ] {
            assert_eq!(clean_text(text), text);
        }
    }

    #[test]
    fn tokens_go_whole() {
        let text = "authorization: Bearer eyJhbGciOi.eyJzdWIi.c2ln-_x ok";
        assert_eq!(clean_text(text), "authorization: Bearer [token] ok");
        assert_eq!(clean_text("eyJustAWord"), "eyJustAWord");
    }

    #[test]
    fn objects_lose_copies_of_themselves_and_people() {
        let mut object = serde_json::json!({
            "metadata": {"managedFields": [], "annotations": {APPLIED: "{}", "a": "b"}},
            "spec": {"requestedBy": "anna@example.com", "approval": {"by": "bert"}, "optOut": "+442079460100",
                     "people": [{"name": "Anna", "identities": [{"authority": "basic", "name": "anna"}]}]},
        });
        clean_object(&mut object);
        let expected = serde_json::json!({
            "metadata": {"annotations": {"a": "b"}},
            "spec": {"requestedBy": "[person]", "approval": {"by": "[person]"}, "optOut": "[number]",
                     "people": [{"name": "[person]", "identities": [{"authority": "basic", "name": "[person]"}]}]},
        });
        assert_eq!(object, expected);
    }
}
