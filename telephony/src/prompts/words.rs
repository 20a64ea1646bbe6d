//! Numbers, counted nouns and dates as clips, by the rules of CLDR. Pure.
//!
//! A date is said from the listener's point of view: today, yesterday, or a month and a day; with the time of the clock that
//! they read (twelve hours in English).

use crate::dialogue::Say;
use intl_pluralrules::{PluralCategory, PluralRuleType, PluralRules};
use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};

/// Clips of what is said, but for recordings and tones, which have none.
pub fn clips_of(say: &Say, now: Timestamp, zone: &TimeZone) -> Vec<String> {
    match say {
        Say::Clip(name) => vec![name.clone()],
        Say::Count(number, noun) => count(*number, noun),
        Say::Digits(digits) => digits.chars().filter_map(digit).collect(),
        Say::When(text) => match text.parse::<Timestamp>() {
            Ok(time) => when(&time.to_zoned(zone.clone()), now.to_zoned(zone.clone()).date()),
            Err(_) => Vec::new(),
        },
        Say::Message(_) | Say::Beep => Vec::new(),
    }
}

fn number(value: u32) -> String {
    if value > 99 { "more-than-99".into() } else { format!("number-{value}") }
}

fn count(value: u32, noun: &str) -> Vec<String> {
    let said = if value == 0 { "no".to_owned() } else { number(value) };
    vec![said, format!("{noun}.{}", plural(value))]
}

/// The category of a number of things (CLDR cardinal), as clips are named.
fn plural(value: u32) -> &'static str {
    let english = unic_langid::langid!("en");
    let rules = PluralRules::create(english, PluralRuleType::CARDINAL);
    match rules.ok().and_then(|rules| rules.select(value).ok()) {
        Some(PluralCategory::ONE) => "one",
        _ => "other",
    }
}

fn digit(c: char) -> Option<String> {
    match c {
        '0'..='9' => Some(format!("number-{c}")),
        '+' => Some("plus".into()),
        _ => None,
    }
}

fn when(time: &Zoned, today: Date) -> Vec<String> {
    let mut words = day(time.date(), today);
    words.push("at".into());
    let (hour, minute) = (time.hour(), time.minute());
    words.push(format!("number-{}", if hour % 12 == 0 { 12 } else { hour % 12 }));
    match minute {
        0 => {}
        1..=9 => words.extend(["oh".into(), format!("number-{minute}")]),
        _ => words.push(format!("number-{minute}")),
    }
    words.push(if hour < 12 { "am" } else { "pm" }.into());
    words
}

fn day(date: Date, today: Date) -> Vec<String> {
    if date == today {
        return vec!["today".into()];
    }
    if today.yesterday().is_ok_and(|yesterday| yesterday == date) {
        return vec!["yesterday".into()];
    }
    vec![format!("month-{}", date.month()), format!("day-{}", date.day())]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prompts::Catalogue;

    /// The text that the clips say.
    fn text(say: &Say) -> String {
        let catalogue = Catalogue::english().unwrap();
        let now: Timestamp = "2026-03-29T12:00:00Z".parse().unwrap();
        let zone = TimeZone::get("Europe/London").unwrap();
        let clips = clips_of(say, now, &zone);
        let words =
            clips.iter().map(|clip| catalogue.clips.get(clip).unwrap_or_else(|| panic!("no clip {clip}")));
        words.map(String::as_str).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn counted_nouns_agree_with_their_number() {
        assert_eq!(text(&Say::Count(0, "new-message")), "no new messages");
        assert_eq!(text(&Say::Count(1, "new-message")), "one new message");
        assert_eq!(text(&Say::Count(2, "old-message")), "two old messages");
        assert_eq!(text(&Say::Count(99, "old-message")), "ninety-nine old messages");
        assert_eq!(text(&Say::Count(100, "old-message")), "more than ninety-nine old messages");
    }

    #[test]
    fn dates_are_said_from_where_the_listener_is() {
        let when = |time: &str| text(&Say::When(time.into()));
        // The clocks went forward at one o'clock on that day.
        assert_eq!(when("2026-03-29T00:30:00Z"), "today at twelve thirty A M");
        assert_eq!(when("2026-03-29T01:05:00Z"), "today at two oh five A M");
        assert_eq!(when("2026-03-28T23:59:00Z"), "yesterday at eleven fifty-nine P M");
        assert_eq!(when("2026-03-27T12:00:00Z"), "March twenty-seventh at twelve P M");
        assert_eq!(when("2025-12-01T09:00:00Z"), "December first at nine A M");
    }

    #[test]
    fn numbers_of_callers_are_said_digit_by_digit() {
        assert_eq!(text(&Say::Digits("+4420".into())), "plus four four two zero");
    }

    #[test]
    fn every_clip_that_the_machine_says_is_in_the_catalogue() {
        let catalogue = Catalogue::english().unwrap();
        let menu = crate::dialogue::Menu::parse(crate::dialogue::menu::CLASSIC, |clip| {
            catalogue.clips.contains_key(clip)
        });
        assert_eq!(menu.unwrap().start, "main");
        for number in 0..=99 {
            assert!(catalogue.clips.contains_key(&format!("number-{number}")));
        }
    }
}
