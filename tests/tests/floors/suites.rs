//! The suites that need the local cluster, which `tools/run-ahead` runs one after the other beside all others.

use std::collections::BTreeSet;
use std::path::Path;

use voicemail_test_machine::workspace_path;

use crate::sources::rust_files;

/// What a suite of the cluster uses: the cluster, or a place in it.
const OF_THE_CLUSTER: [&str; 3] = ["voicemail_test_cluster::", "tenant_place::", "fault_scene::"];

/// The suites of a folder `tests`, and whether each starts the cluster.
fn suites_in(folder: &Path) -> Vec<(String, bool)> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let suites = entries
        .filter(|path| path.extension().is_some_and(|kind| kind == "rs") || path.join("main.rs").exists());
    let described = suites.map(|path| {
        let files = if path.is_dir() { rust_files(&path) } else { vec![path.clone()] };
        let text: String = files.iter().map(|file| std::fs::read_to_string(file).unwrap()).collect();
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        // This file names them.
        let starts = name != "floors" && OF_THE_CLUSTER.iter().any(|word| text.contains(word));
        (name, starts)
    });
    described.collect()
}

#[test]
fn suites_of_the_cluster_run_one_after_the_other() {
    let script = std::fs::read_to_string(workspace_path("tools/run-ahead")).unwrap();
    let (_, list) = script.split_once("on_cluster='").unwrap();
    let listed: BTreeSet<String> =
        list.split('\'').next().unwrap().split_whitespace().map(str::to_owned).collect();
    let folders = ["tests/tests", "tests/cluster/tests", "tests/machine/tests", "tests/stores/tests"];
    let all: Vec<_> = folders.iter().flat_map(|folder| suites_in(&workspace_path(folder))).collect();
    let found: BTreeSet<String> =
        all.iter().filter(|(_, starts)| *starts).map(|(name, _)| name.clone()).collect();
    assert!(found.contains("end_to_end") && all.len() > found.len(), "{all:?}");
    assert_eq!(listed, found, "tools/run-ahead lists others (left) than those that use the cluster");
}
