//! The floors of the house: which crate may know which, that no modules of a crate form a cycle, and that no crate grows
//! beyond what a person can read.
//!
//! Cargo keeps crates from depending on each other in a circle, and nothing keeps modules from it: so the sources are read,
//! and every path that begins with `crate` or `super` is an arrow between two top modules of its crate. Code that is
//! compiled for tests alone doesn't count.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail their test")]

mod crates;
mod cycles;
mod paths;
mod sources;
mod suites;

use std::collections::BTreeSet;

use crates::workspace;
use cycles::{Arrows, cycles};
use sources::arrows_of;

/// Modules that are in a cycle today. A module that has left its cycle must leave this list, too, and none may come in.
const KNOWN: [(&str, &[&str]); 4] = [
    ("voicemail-audio", &["chunk", "mend", "parser", "wav"]),
    ("voicemail-gdpr", &["client", "credentials"]),
    ("voicemail-model", &["caller", "entries", "ids", "index", "index_ops", "mailbox_id", "numbers"]),
    ("voicemail-telemetry", &["export", "trace"]),
];

#[test]
fn no_modules_of_a_crate_form_a_cycle() {
    let mut faults = Vec::new();
    for package in workspace() {
        let arrows = arrows_of(&package.sources());
        let known =
            KNOWN.iter().find(|(name, _)| *name == package.name).map_or(&[][..], |(_, modules)| modules);
        let known: BTreeSet<&str> = known.iter().copied().collect();
        for cycle in cycles(&arrows) {
            if !cycle.iter().all(|module| known.contains(module.as_str())) {
                faults.push(format!(
                    "{} has the cycle {cycle:?}:\n{}",
                    package.name,
                    describe(&arrows, &cycle)
                ));
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n\n"));
}

#[test]
fn a_cycle_that_is_gone_is_no_longer_listed() {
    let mut gone = Vec::new();
    for (name, modules) in KNOWN {
        let Some(package) = workspace().into_iter().find(|package| package.name == name) else {
            gone.push(format!("{name}, which is no crate of the workspace"));
            continue;
        };
        let found: BTreeSet<String> = cycles(&arrows_of(&package.sources())).into_iter().flatten().collect();
        let left = modules.iter().filter(|module| !found.contains(**module));
        gone.extend(left.map(|module| format!("{module} of {name}")));
    }
    assert!(gone.is_empty(), "these are in no cycle any more, so take them out of KNOWN: {gone:?}");
}

/// The arrows within a cycle, those with the fewest lines first: they are the cheapest to cut.
fn describe(arrows: &Arrows, cycle: &[String]) -> String {
    let within = |from: &str, to: &str| [from, to].iter().all(|module| cycle.iter().any(|one| one == module));
    let mut lines: Vec<_> = arrows.iter().filter(|((from, to), _)| within(from, to)).collect();
    lines.sort_by_key(|(_, places)| places.len());
    let describe = |((from, to), places): &(&(String, String), &Vec<String>)| {
        let shown: Vec<&str> = places.iter().take(8).map(String::as_str).collect();
        format!("  {from} -> {to}, {} lines\n    {}", places.len(), shown.join("\n    "))
    };
    lines.iter().map(describe).collect::<Vec<_>>().join("\n")
}
