//! Points in time as the store keeps them: milliseconds since 1970, UTC.
//!
//! Pure. Arithmetic saturates: a clock that is off by centuries must not panic.

use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Milliseconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Time(pub i64);

impl Time {
    /// From whole seconds since 1970.
    pub fn from_seconds(seconds: i64) -> Self {
        Self(seconds.saturating_mul(1_000))
    }

    /// The instant that much later.
    #[must_use]
    pub fn plus(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(millis(duration)))
    }

    /// The instant that much earlier.
    #[must_use]
    pub fn minus(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(millis(duration)))
    }

    /// The same time of day that many calendar months later, UTC; the month's last day where it has no such day.
    #[must_use]
    pub fn plus_months(self, months: u32) -> Self {
        let at =
            jiff::Timestamp::from_millisecond(self.0).unwrap_or_default().to_zoned(jiff::tz::TimeZone::UTC);
        let later = at.checked_add(jiff::Span::new().months(i64::from(months.min(1_200))));
        later.map_or(self, |later| Self(later.timestamp().as_millisecond()))
    }

    /// The beginning of this instant's month, UTC.
    #[must_use]
    pub fn first_of_month(self) -> Self {
        let text = format!("{}010000", self.month());
        Self::from_minute(&text).unwrap_or(self)
    }

    /// Reads RFC 3339.
    pub fn from_rfc3339(text: &str) -> Option<Self> {
        text.parse::<jiff::Timestamp>().ok().map(|at| Self(at.as_millisecond()))
    }

    /// The month as `yyyymm`, as the register is filed.
    pub fn month(self) -> String {
        self.format("%Y%m")
    }

    /// How long after `earlier` this is; zero when it isn't.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// RFC 3339 with milliseconds, UTC.
    pub fn rfc3339(self) -> String {
        self.format("%Y-%m-%dT%H:%M:%S%.3fZ")
    }

    /// The minute as `yyyymmddHHMM`, as due items are filed.
    pub fn minute(self) -> String {
        self.format("%Y%m%d%H%M")
    }

    /// The beginning of a minute that [`minute`](Self::minute) wrote.
    pub fn from_minute(text: &str) -> Option<Self> {
        let parsed = jiff::civil::DateTime::strptime("%Y%m%d%H%M", text).ok()?;
        Some(Self(parsed.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp().as_millisecond()))
    }

    /// An IMF-fixdate of RFC 9110, such as `Sun, 06 Nov 1994 08:49:37 GMT`.
    pub fn from_http_date(text: &str) -> Option<Self> {
        Some(Self(jiff::fmt::rfc2822::parse(text).ok()?.timestamp().as_millisecond()))
    }

    /// The hour as `yyyymmddHH`, as audio is filed.
    pub fn hour(self) -> String {
        self.format("%Y%m%d%H")
    }

    /// The last minute of this instant's day, UTC: when what expires that day is removed.
    #[must_use]
    pub fn end_of_day(self) -> Self {
        const DAY: i64 = 86_400_000;
        Self(self.0.div_euclid(DAY).saturating_mul(DAY).saturating_add(DAY - 60_000))
    }

    fn format(self, pattern: &str) -> String {
        jiff::Timestamp::from_millisecond(self.0).unwrap_or_default().strftime(pattern).to_string()
    }
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_day_is_its_last_minute() {
        let noon = Time::from_seconds(1_790_000_000);
        assert_eq!(&noon.end_of_day().minute()[8..], "2359");
        assert_eq!(noon.end_of_day().minute()[..8], noon.minute()[..8]);
        assert_eq!(noon.end_of_day().end_of_day(), noon.end_of_day());
    }

    #[test]
    fn times_are_written_in_utc_with_milliseconds() {
        assert_eq!(Time(1_790_000_000_123).rfc3339(), "2026-09-21T14:13:20.123Z");
    }
}
