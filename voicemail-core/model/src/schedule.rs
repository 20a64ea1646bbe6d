//! When an alternate greeting is played: windows of the week and ranges of days, by a mailbox's own clock.
//!
//! Pure. Times are civil ones of the mailbox's time zone, so that 18:00 stays 18:00 when clocks change.

use super::Time;
use jiff::civil::Weekday;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::BTreeSet;

/// When a greeting is on: in any of the windows, or on any of the days.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Schedule {
    /// Windows of each week.
    pub weekly: Vec<WeeklyWindow>,
    /// Whole days, such as holidays.
    pub dates: Vec<DateRange>,
    /// Fields of newer versions.
    #[serde(flatten)]
    pub unknown: Map<String, Value>,
}

/// A day of the week.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs, reason = "the names say it")]
pub enum Day {
    Monday,
    Tuesday,
    Wednesday,
    Thursday,
    Friday,
    Saturday,
    Sunday,
}

impl From<Weekday> for Day {
    fn from(day: Weekday) -> Self {
        match day {
            Weekday::Monday => Self::Monday,
            Weekday::Tuesday => Self::Tuesday,
            Weekday::Wednesday => Self::Wednesday,
            Weekday::Thursday => Self::Thursday,
            Weekday::Friday => Self::Friday,
            Weekday::Saturday => Self::Saturday,
            Weekday::Sunday => Self::Sunday,
        }
    }
}

/// From a time of these days to another; an end that isn't later than the beginning is on the next day.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct WeeklyWindow {
    /// The days on which it begins.
    pub days: BTreeSet<Day>,
    /// Its beginning.
    pub from: jiff::civil::Time,
    /// Its end, not counted.
    pub to: jiff::civil::Time,
    /// Fields of newer versions.
    #[serde(flatten)]
    pub unknown: Map<String, Value>,
}

/// Days from one to another, both counted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DateRange {
    /// First day.
    pub from: jiff::civil::Date,
    /// Last day.
    pub to: jiff::civil::Date,
    /// Fields of newer versions.
    #[serde(flatten)]
    pub unknown: Map<String, Value>,
}

impl Schedule {
    /// Windows, or ranges, that a schedule may have.
    pub const MOST: usize = 100;

    /// Whether it is on at that moment in that zone.
    pub fn is_on(&self, now: Time, zone: &TimeZone) -> bool {
        let here = jiff::Timestamp::from_millisecond(now.0).unwrap_or_default().to_zoned(zone.clone());
        let (date, time) = (here.date(), here.time());
        let yesterday = here.weekday().previous();
        self.dates.iter().any(|range| range.from <= date && date <= range.to)
            || self.weekly.iter().any(|window| window.holds(here.weekday().into(), yesterday.into(), time))
    }

    /// A rule that it breaks.
    pub fn fault(&self) -> Option<&'static str> {
        let backwards = self.dates.iter().any(|range| range.to < range.from);
        match () {
            () if self.weekly.len() > Self::MOST || self.dates.len() > Self::MOST => {
                Some("weekly, dates: give at most 100 of each")
            }
            () if backwards => Some("dates: to must not come before from"),
            () if self.weekly.iter().any(|window| window.days.is_empty()) => {
                Some("weekly: name at least one day of each window")
            }
            () => None,
        }
    }
}

impl WeeklyWindow {
    fn holds(&self, today: Day, yesterday: Day, time: jiff::civil::Time) -> bool {
        let (begins, goes_on) = (self.days.contains(&today), self.days.contains(&yesterday));
        if self.from < self.to {
            return begins && self.from <= time && time < self.to;
        }
        (begins && self.from <= time) || (goes_on && time < self.to)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn schedule(value: Value) -> Schedule {
        serde_json::from_value(value).unwrap()
    }

    fn at(text: &str) -> Time {
        Time(text.parse::<jiff::Timestamp>().unwrap().as_millisecond())
    }

    fn london() -> TimeZone {
        TimeZone::get("Europe/London").unwrap()
    }

    #[test]
    fn a_window_over_midnight_begins_on_its_days_and_ends_on_the_next() {
        let nights =
            schedule(json!({ "weekly": [{ "days": ["friday"], "from": "18:00:00", "to": "08:00:00" }] }));
        // 2026-09-25 is a Friday; London is an hour ahead of UTC then.
        for (time, on) in [
            ("2026-09-25T16:59:59Z", false),
            ("2026-09-25T17:00:00Z", true),
            ("2026-09-26T06:59:59Z", true),
            ("2026-09-26T07:00:00Z", false),
            ("2026-09-26T17:00:00Z", false),
        ] {
            assert_eq!(nights.is_on(at(time), &london()), on, "{time}");
        }
    }

    #[test]
    fn six_o_clock_stays_six_o_clock_when_clocks_change() {
        let evening =
            schedule(json!({ "weekly": [{ "days": ["monday"], "from": "18:00:00", "to": "20:00:00" }] }));
        // Summer time ends on Sunday, 2026-10-25.
        assert!(evening.is_on(at("2026-10-19T17:00:00Z"), &london()));
        assert!(!evening.is_on(at("2026-10-26T17:00:00Z"), &london()));
        assert!(evening.is_on(at("2026-10-26T18:00:00Z"), &london()));
    }

    #[test]
    fn days_count_from_their_first_to_their_last_moment() {
        let holidays = schedule(json!({ "dates": [{ "from": "2026-12-24", "to": "2026-12-26" }] }));
        let tokyo = TimeZone::get("Asia/Tokyo").unwrap();
        for (time, on) in [
            ("2026-12-23T14:59:59Z", false),
            ("2026-12-23T15:00:00Z", true),
            ("2026-12-26T14:59:59Z", true),
            ("2026-12-26T15:00:00Z", false),
        ] {
            assert_eq!(holidays.is_on(at(time), &tokyo), on, "{time}");
        }
    }

    #[test]
    fn rules_that_a_schedule_breaks_are_named() {
        let backwards = json!({ "dates": [{ "from": "2026-12-26", "to": "2026-12-24" }] });
        let never = json!({ "weekly": [{ "days": [], "from": "18:00:00", "to": "08:00:00" }] });
        for (value, field) in [(backwards, "dates"), (never, "weekly")] {
            assert!(schedule(value).fault().unwrap().starts_with(field));
        }
        assert_eq!(Schedule::default().fault(), None);
    }

    proptest! {
        #[test]
        fn a_window_and_its_complement_make_the_whole_week(ms in 0i64..(1 << 41), from in 0i8..24, to in 0i8..24) {
            prop_assume!(from != to);
            let all = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"];
            let window = |from: i8, to: i8| schedule(json!({
                "weekly": [{ "days": all, "from": format!("{from:02}:00:00"), "to": format!("{to:02}:00:00") }],
            }));
            let (one, other) = (window(from, to), window(to, from));
            prop_assert!(one.is_on(Time(ms), &london()) != other.is_on(Time(ms), &london()));
        }
    }
}
