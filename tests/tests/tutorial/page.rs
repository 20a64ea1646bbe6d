//! The console blocks of a page: commands, each with what it prints. Pure.
//!
//! Words are compared, not spaces, so that columns may be wider. `…` within a line stands for any text, a line of it alone
//! for any lines.

/// A command and what it prints.
#[derive(Debug, PartialEq)]
pub(crate) struct Step {
    /// Without the prompt.
    pub(crate) command: String,
    /// The lines below it.
    pub(crate) shown: Vec<String>,
}

/// All commands of the page's console blocks, in order.
pub(crate) fn read_steps(page: &str) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    let mut inside = false;
    for line in page.lines() {
        match (inside, line.strip_prefix("$ ")) {
            (_, _) if line.starts_with("```") => inside = line == "```console",
            (false, _) => {}
            (true, Some(command)) => steps.push(Step { command: command.to_owned(), shown: Vec::new() }),
            (true, None) => {
                if let Some(step) = steps.last_mut() {
                    step.shown.push(line.to_owned());
                }
            }
        }
    }
    steps
}

fn squeeze(line: &str) -> String {
    line.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Whether the line is as the pattern, where `…` is any text.
fn fits(pattern: &str, line: &str) -> bool {
    let parts: Vec<&str> = pattern.split('…').collect();
    let (Some((first, middle)), line) = (parts.split_first(), line) else { return false };
    let Some(mut rest) = line.strip_prefix(first) else { return false };
    let Some((last, between)) = middle.split_last() else { return rest.is_empty() };
    for part in between {
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    rest.ends_with(last)
}

/// Whether the lines are as the patterns, where a line of `…` is any number of lines.
fn all_fit(patterns: &[String], lines: &[String]) -> bool {
    match patterns.split_first() {
        None => lines.is_empty(),
        Some((pattern, more)) if pattern == "…" => {
            (0..=lines.len()).any(|skip| all_fit(more, &lines[skip..]))
        }
        Some((pattern, more)) => {
            lines.split_first().is_some_and(|(line, rest)| fits(pattern, line) && all_fit(more, rest))
        }
    }
}

impl Step {
    /// Says how what was printed differs from what is shown.
    pub(crate) fn compare(&self, printed: &str) -> Result<(), String> {
        let clean = |text: &mut dyn Iterator<Item = &str>| {
            text.map(squeeze).filter(|line| !line.is_empty()).collect::<Vec<_>>()
        };
        let patterns = clean(&mut self.shown.iter().map(String::as_str));
        let lines = clean(&mut printed.lines());
        if all_fit(&patterns, &lines) {
            Ok(())
        } else {
            Err(format!("--- the page shows\n{}", patterns.join("\n")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str =
        "text\n```sh\n$ not this\n```\n```console\n$ one\nA   B\n…\nlast\n$ two\n```\n$ nor this\n";

    #[test]
    fn only_commands_of_console_blocks_are_read_with_what_they_print() {
        let steps = read_steps(PAGE);
        let commands: Vec<&str> = steps.iter().map(|step| step.command.as_str()).collect();
        assert_eq!(commands, ["one", "two"]);
        assert_eq!(steps[0].shown, ["A   B", "…", "last"]);
    }

    #[test]
    fn what_differs_is_marked_and_all_else_must_be_the_same() {
        let step = &read_steps(PAGE)[0];
        step.compare("A B\nx\ny\nlast\n").unwrap();
        step.compare("A        B\nlast\n").unwrap();
        for wrong in ["A C\nlast\n", "A B\nlast\nmore\n", "A B\n", ""] {
            assert!(step.compare(wrong).is_err(), "{wrong}");
        }
        for (pattern, line, holds) in [
            ("id …", "id 7", true),
            ("{…\"new\":1…}", "{\"a\":0,\"new\":1,\"b\":2}", true),
            ("{…\"new\":1…}", "{\"new\":2}", false),
            ("….wav", "x.wav", true),
            ("plain", "plainer", false),
        ] {
            assert_eq!(fits(pattern, line), holds, "{pattern} {line}");
        }
    }

    #[test]
    fn a_command_that_shows_nothing_must_print_nothing() {
        assert!(read_steps(PAGE)[1].compare("an error\n").is_err());
    }
}
