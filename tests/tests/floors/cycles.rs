//! Cycles of a directed graph: its strongly connected components of more than one node. Pure.

use std::collections::{BTreeMap, BTreeSet};

/// From which module to which, with the places where it is written.
pub(crate) type Arrows = BTreeMap<(String, String), Vec<String>>;

/// Each cycle's modules, sorted.
pub(crate) fn cycles(arrows: &Arrows) -> Vec<Vec<String>> {
    let nodes: BTreeSet<&str> = arrows.keys().flat_map(|(from, to)| [from.as_str(), to.as_str()]).collect();
    let reached: BTreeMap<&str, BTreeSet<&str>> =
        nodes.iter().map(|node| (*node, reachable(arrows, node))).collect();
    let mut found: BTreeSet<Vec<String>> = BTreeSet::new();
    for node in &nodes {
        let both = |other: &&&str| reached[*node].contains(**other) && reached[**other].contains(node);
        let cycle: Vec<String> = nodes.iter().filter(both).map(|node| (*node).to_owned()).collect();
        if cycle.len() > 1 {
            found.insert(cycle);
        }
    }
    found.into_iter().collect()
}

/// The nodes to which one or more arrows lead from this one.
fn reachable<'a>(arrows: &'a Arrows, start: &str) -> BTreeSet<&'a str> {
    let mut found = BTreeSet::new();
    let mut waiting = vec![start.to_owned()];
    while let Some(node) = waiting.pop() {
        for (_, to) in arrows.keys().filter(|(from, _)| *from == node) {
            if found.insert(to.as_str()) {
                waiting.push(to.clone());
            }
        }
    }
    found
}

#[test]
fn a_cycle_is_all_modules_that_reach_each_other() {
    let arrow = |(from, to): (&str, &str)| ((from.to_owned(), to.to_owned()), vec![String::new()]);
    let arrows: Arrows = [("a", "b"), ("b", "c"), ("c", "a"), ("c", "d"), ("d", "e"), ("x", "y"), ("y", "x")]
        .map(arrow)
        .into();
    assert_eq!(cycles(&arrows), [vec!["a", "b", "c"], vec!["x", "y"]]);
}
