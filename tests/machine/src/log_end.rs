//! The end of a log file, for errors of a process that was started.

use std::path::Path;

const LINE_LENGTH: usize = 400;

/// The last `count` lines of a log file, long ones cut.
pub fn read_last_lines(path: &Path, count: usize) -> String {
    let text =
        std::fs::read(path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default();
    let lines: Vec<String> = text.lines().map(|line| line.chars().take(LINE_LENGTH).collect()).collect();
    lines[lines.len().saturating_sub(count)..].join("\n")
}
