//! The decisions in `docs/adr` have one form, a status each, and an index.

use std::collections::BTreeMap;
use std::path::PathBuf;

use voicemail_test_machine::workspace_path;

use crate::pages::{compare_or_write, pages_below};

const SECTIONS: [&str; 4] = ["Context", "Decision", "Alternatives", "Consequences"];
const STATUSES: [&str; 4] = ["Proposed", "Accepted", "Accepted, amended by [", "Superseded by ["];
const INDEX: &str = "docs/adr/README.md";
const INTRODUCTION: &str = "\
# Decisions

Each page tells one decision that had alternatives: what was asked, what was decided, what else there was, and what follows. A
decision that no longer holds stays and names the one that took its place. A new one begins as a copy of
[the template](template.md) with the next free number; `just generate` writes the table.

| number | decision | status |
|---|---|---|
";

/// A page of `docs/adr`.
pub(crate) struct Decision {
    pub file: String,
    pub number: u32,
    pub title: String,
    status: String,
    sections: Vec<String>,
}

/// All of them, by number.
pub(crate) fn decisions() -> Vec<Decision> {
    let named = |path: &PathBuf| path.file_name().unwrap().to_string_lossy().into_owned();
    let numbered =
        pages_below("docs/adr").into_iter().filter(|path| named(path).starts_with(char::is_numeric));
    numbered.map(|path| read(named(&path), &std::fs::read_to_string(&path).unwrap())).collect()
}

fn read(file: String, text: &str) -> Decision {
    let mut lines = text.lines();
    let heading =
        lines.next().and_then(|line| line.strip_prefix("# ")).and_then(|line| line.split_once(". "));
    let Some((number, title)) = heading else { panic!("{file} doesn't begin with `# NUMBER. TITLE`") };
    let Some(status) = text.lines().find_map(|line| line.strip_prefix("Status: ")) else {
        panic!("{file} has no line `Status: …`")
    };
    Decision {
        number: number.parse().unwrap_or_else(|_| panic!("{file}: {number} is no number")),
        title: title.to_owned(),
        status: status.to_owned(),
        sections: lines.filter_map(|line| line.strip_prefix("## ")).map(str::to_owned).collect(),
        file,
    }
}

#[test]
fn every_decision_has_the_same_sections_a_status_and_its_number() {
    let mut faults = Vec::new();
    let mut numbers = BTreeMap::new();
    for decision in decisions() {
        let mut check = |holds: bool, fault: &str| {
            if !holds {
                faults.push(format!("{}: {fault}", decision.file));
            }
        };
        check(
            decision.sections == SECTIONS,
            "has other sections than Context, Decision, Alternatives, Consequences",
        );
        check(
            STATUSES.iter().any(|status| decision.status.starts_with(status)),
            "has a status that isn't known",
        );
        check(
            decision.file.starts_with(&format!("{:03}-", decision.number)),
            "has another number than its heading",
        );
        check(
            numbers.insert(decision.number, decision.file.clone()).is_none(),
            "has the number of another one",
        );
    }
    assert!(numbers.len() > 40, "{}", numbers.len());
    assert!(faults.is_empty(), "{faults:#?}");
}

#[test]
fn the_index_of_the_decisions_is_what_they_say() {
    let mut expected = INTRODUCTION.to_owned();
    for Decision { file, number, title, status, .. } in decisions() {
        expected.push_str(&format!("| {number} | [{title}]({file}) | {status} |\n"));
    }
    compare_or_write(&workspace_path(INDEX), &expected);
}
