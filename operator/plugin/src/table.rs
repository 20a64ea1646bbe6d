//! Columns of text, as kubectl prints them. Pure.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

const GAP: usize = 3;

/// Rows under a header; the last column isn't filled up.
pub(super) fn render(header: &[&str], rows: &[Vec<String>]) -> String {
    let head: Vec<String> = header.iter().map(|word| (*word).to_owned()).collect();
    let all: Vec<&Vec<String>> = std::iter::once(&head).chain(rows).collect();
    let width = |column: usize| {
        all.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..header.len()).map(width).collect();
    let line = |row: &&Vec<String>| {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<0$}", width + GAP));
        format!("{}\n", cells.collect::<String>().trim_end())
    };
    all.iter().map(line).collect()
}

/// How long ago, as kubectl writes it: 45s, 12m, 3h, 8d.
pub(super) fn age(since: Option<&Time>, now: Timestamp) -> String {
    let Some(since) = since else { return "-".into() };
    let seconds = now.duration_since(since.0).as_secs().max(0);
    match seconds {
        0..120 => format!("{seconds}s"),
        120..7200 => format!("{}m", seconds / 60),
        7200..172_800 => format!("{}h", seconds / 3600),
        _ => format!("{}d", seconds / 86_400),
    }
}

/// A time, or a dash.
pub(super) fn time(time: Option<&Time>) -> String {
    time.map_or_else(|| "-".into(), |time| time.0.to_string())
}

/// A number, or a dash.
pub(super) fn count(number: Option<i64>) -> String {
    number.map_or_else(|| "-".into(), |number| number.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_stand_under_their_heads() {
        let text = render(&["NAME", "STATE"], &[vec!["a-long-name".into(), "ok".into()]]);
        assert_eq!(text, "NAME          STATE\na-long-name   ok\n");
    }

    #[test]
    fn ages_have_one_unit() {
        let at = |seconds| Time(Timestamp::from_second(seconds).unwrap());
        let now = at(1_000_000).0;
        for (ago, words) in [(5, "5s"), (600, "10m"), (86_400, "24h"), (900_000, "10d")] {
            assert_eq!(age(Some(&at(1_000_000 - ago)), now), words);
        }
        assert_eq!(age(None, now), "-");
    }
}
