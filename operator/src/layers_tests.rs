//! No cycle among the program's top modules: what stands lower knows nothing of what stands higher.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

type Graph = BTreeMap<String, BTreeSet<String>>;

/// The file's text without comments, and without its tests.
fn code(path: &Path) -> String {
    let text = std::fs::read_to_string(path).unwrap();
    let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
    code.lines().map(|line| line.split("//").next().unwrap_or_default()).collect::<Vec<_>>().join("\n")
}

/// The modules that a text names behind `crate::`.
fn named(code: &str) -> BTreeSet<String> {
    let word = |text: &str| -> String {
        text.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect()
    };
    let mut found = BTreeSet::new();
    for part in code.split("crate::").skip(1) {
        match part.strip_prefix('{') {
            Some(group) => {
                let group = group.split('}').next().unwrap_or_default();
                found.extend(group.split(',').map(|name| word(name.trim())));
            }
            None => drop(found.insert(word(part))),
        }
    }
    found
}

fn read(folder: &Path, top: Option<&str>, graph: &mut Graph) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let stem = path.file_stem().unwrap().to_string_lossy().into_owned();
        if stem.contains("tests") || (top.is_none() && ["lib", "main", "bin"].contains(&stem.as_str())) {
            continue;
        }
        let module = top.unwrap_or(&stem).to_owned();
        match path.is_dir() {
            true => read(&path, Some(&module), graph),
            false => graph.entry(module).or_default().extend(named(&code(&path))),
        }
    }
}

/// Takes away what knows nothing that is left, again and again: what stays is in a cycle, or above one.
fn without_leaves(mut graph: Graph) -> Graph {
    loop {
        let known: BTreeSet<String> = graph.keys().cloned().collect();
        let leaf =
            graph.iter().find(|(name, uses)| uses.iter().all(|used| used == *name || !known.contains(used)));
        match leaf.map(|(name, _)| name.clone()) {
            Some(leaf) => drop(graph.remove(&leaf)),
            None => return graph,
        }
    }
}

#[test]
fn top_modules_form_no_cycle_and_the_runtime_knows_no_tenant() {
    let mut graph = Graph::new();
    read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), None, &mut graph);
    assert!(graph.len() > 20 && graph["gdpr"].contains("tenant"), "{graph:?}");
    for higher in ["tenant", "gdpr", "controllers"] {
        assert!(!graph["runtime"].contains(higher), "the runtime knows {higher}");
    }
    let left = without_leaves(graph);
    assert!(left.is_empty(), "these modules need one another: {left:?}");
}

#[test]
fn a_cycle_is_found() {
    let uses = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect::<BTreeSet<_>>();
    let graph = Graph::from([
        ("a".to_owned(), uses(&["b"])),
        ("b".to_owned(), uses(&["c", "a"])),
        ("c".to_owned(), uses(&["std"])),
    ]);
    assert_eq!(without_leaves(graph).into_keys().collect::<Vec<_>>(), ["a", "b"]);
    assert_eq!(named("use crate::{a::X, b}; crate::c::d()"), uses(&["a", "b", "c"]));
}
