//! Numbers, counted nouns and dates as clips, by the rules of CLDR. Pure.
//!
//! A date is said from the listener's point of view: today, yesterday, or a day of a month, in the order and by the clock of the
//! language.

use super::language::{Clock, DateOrder, Language, MOST, agreeing};
use crate::dialogue::Say;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};

/// Clips of what is said in a language, but for recordings and tones, which have none. `has` knows the clips that there are.
pub fn clips_of(
    say: &Say,
    language: &Language,
    has: impl Fn(&str) -> bool,
    now: Timestamp,
    zone: &TimeZone,
) -> Vec<String> {
    match say {
        Say::Clip(name) => vec![name.clone()],
        Say::Count(number, noun) => count(*number, noun, language, has),
        Say::Digits(digits) => digits.chars().filter_map(digit).collect(),
        Say::When(text) => match text.parse::<Timestamp>() {
            Ok(time) => when(&time.to_zoned(zone.clone()), now.to_zoned(zone.clone()).date(), language),
            Err(_) => Vec::new(),
        },
        Say::Message(_) | Say::Beep => Vec::new(),
    }
}

fn count(value: u32, noun: &str, language: &Language, has: impl Fn(&str) -> bool) -> Vec<String> {
    let said = match value {
        0 => "no".to_owned(),
        1..=MOST => Some(agreeing(value, noun)).filter(|name| has(name)).unwrap_or(format!("number-{value}")),
        _ => "more-than-99".into(),
    };
    vec![said, format!("{noun}.{}", language.plural(value))]
}

fn digit(c: char) -> Option<String> {
    match c {
        '0'..='9' => Some(format!("number-{c}")),
        '+' => Some("plus".into()),
        _ => None,
    }
}

fn when(time: &Zoned, today: Date, language: &Language) -> Vec<String> {
    let mut words = day(time.date(), today, language.date);
    words.push("at".into());
    words.extend(match language.clock {
        Clock::Twelve => by_twelve(time.hour(), time.minute()),
        Clock::TwentyFour => by_twenty_four(time.hour(), time.minute()),
    });
    words
}

fn by_twelve(hour: i8, minute: i8) -> Vec<String> {
    let mut words = vec![format!("number-{}", if hour % 12 == 0 { 12 } else { hour % 12 })];
    match minute {
        0 => {}
        1..=9 => words.extend(["oh".into(), format!("number-{minute}")]),
        _ => words.push(format!("number-{minute}")),
    }
    words.push(if hour < 12 { "am" } else { "pm" }.into());
    words
}

fn by_twenty_four(hour: i8, minute: i8) -> Vec<String> {
    let mut words = vec![format!("number-{hour}"), "oclock".into()];
    words.extend((minute > 0).then(|| format!("number-{minute}")));
    words
}

fn day(date: Date, today: Date, order: DateOrder) -> Vec<String> {
    if date == today {
        return vec!["today".into()];
    }
    if today.yesterday().is_ok_and(|yesterday| yesterday == date) {
        return vec!["yesterday".into()];
    }
    let (month, day) = (format!("month-{}", date.month()), format!("day-{}", date.day()));
    match order {
        DateOrder::MonthDay => vec![month, day],
        DateOrder::DayMonth => vec![day, month],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prompts::Catalogue;

    /// The text that the clips say.
    fn text(say: &Say) -> String {
        text_in("{language: en}", say)
    }

    /// The same by another clock or order of dates.
    fn text_in(language: &str, say: &Say) -> String {
        let language = Language::parse(language).unwrap();
        let catalogue = Catalogue::english().unwrap();
        let now: Timestamp = "2026-03-29T12:00:00Z".parse().unwrap();
        let zone = TimeZone::get("Europe/London").unwrap();
        let clips = clips_of(say, &language, |name| catalogue.clips.contains_key(name), now, &zone);
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
    fn dates_and_times_are_said_in_the_order_and_by_the_clock_of_the_language() {
        let when =
            |time: &str| text_in("{language: en-GB, date: dayMonth, clock: 24h}", &Say::When(time.into()));
        assert_eq!(when("2026-03-27T18:00:00Z"), "twenty-seventh March at eighteen o'clock");
        assert_eq!(when("2026-03-29T11:05:00Z"), "today at twelve o'clock five");
        assert_eq!(when("2026-03-28T00:30:00Z"), "yesterday at zero o'clock thirty");
    }

    #[test]
    fn numbers_agree_with_what_is_counted_where_the_language_has_such_clips() {
        let clips = |tag: &str, number| {
            let has = |name: &str| name == "number-1.new-message";
            let said = Say::Count(number, "new-message");
            clips_of(&said, &Language::of(tag).unwrap(), has, Timestamp::UNIX_EPOCH, &TimeZone::UTC)
        };
        assert_eq!(clips("de", 1), ["number-1.new-message", "new-message.one"]);
        assert_eq!(clips("de", 2), ["number-2", "new-message.other"]);
        // "no" goes with the singular in French; what is beyond 99 agrees with 99.
        assert_eq!(clips("fr", 0), ["no", "new-message.one"]);
        assert_eq!(clips("pl", 22), ["number-22", "new-message.few"]);
        assert_eq!(clips("pl", 102), ["more-than-99", "new-message.many"]);
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
