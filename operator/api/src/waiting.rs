//! Waiting times as Kubernetes' gateways write them (GEP-2257): `90s`, `1h30m`. Pure.
//!
//! Up to four numbers of at most five digits, each with a unit: h, m, s or ms. There are no days, which CEL can't read;
//! how long something is kept is a number of days in a field whose name ends in `Days`.

use std::time::Duration;

/// The form, as a regular expression.
pub(crate) const FORM: &str = "^([0-9]{1,5}(h|m|s|ms)){1,4}$";

/// Not a waiting time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotAWait(String);

impl std::fmt::Display for NotAWait {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?} is not a waiting time: write for example 30s, 15m or 24h", self.0)
    }
}

impl std::error::Error for NotAWait {}

/// Reads one.
///
/// # Errors
/// [`NotAWait`].
pub fn read(text: &str) -> Result<Duration, NotAWait> {
    let fault = || NotAWait(text.into());
    let (mut total, mut rest) = (Duration::ZERO, text);
    if text.is_empty() {
        return Err(fault());
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).ok_or_else(fault)?;
        let (count, after) = rest.split_at(digits);
        let letters = after.find(|c: char| c.is_ascii_digit()).unwrap_or(after.len());
        let (unit, after) = after.split_at(letters);
        let milliseconds: u64 = match unit {
            "h" => 3_600_000,
            "m" => 60_000,
            "s" => 1_000,
            "ms" => 1,
            _ => return Err(fault()),
        };
        let count: u64 = count.parse().map_err(|_| fault())?;
        let part = Duration::from_millis(count.checked_mul(milliseconds).ok_or_else(fault)?);
        total = total.checked_add(part).ok_or_else(fault)?;
        rest = after;
    }
    Ok(total)
}

/// Writes whole seconds, in the largest units.
pub fn write(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let parts = [(seconds / 3_600, "h"), (seconds / 60 % 60, "m"), (seconds % 60, "s")];
    let text: String =
        parts.iter().filter(|(count, _)| *count > 0).map(|(count, unit)| format!("{count}{unit}")).collect();
    if text.is_empty() { "0s".into() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again() {
        for seconds in [0, 1, 59, 60, 3_599, 3_600, 86_400, 2_592_000, 100_000_000] {
            let duration = Duration::from_secs(seconds);
            assert_eq!(read(&write(duration)), Ok(duration));
        }
        assert_eq!(write(Duration::from_secs(90_061)), "25h1m1s");
        assert_eq!(read("1m500ms"), Ok(Duration::from_millis(60_500)));
    }

    #[test]
    fn other_texts_are_refused_by_name() {
        for text in ["", "1d", "5", "h", "1x", "-1s", "1.5h"] {
            assert!(read(text).unwrap_err().to_string().contains("24h"), "{text}");
        }
    }
}
