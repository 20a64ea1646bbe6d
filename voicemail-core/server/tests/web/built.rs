//! The built pages are checked in: they are what their sources give, small, and of packages that we may pass on.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::Value;
use voicemail_test_machine::command::run;
use voicemail_test_machine::servers::browser::install_builder;
use voicemail_test_machine::workspace_path;

/// Licences of packages, as `deny.toml` has them of crates.
const LICENCES: [&str; 8] =
    ["0BSD", "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "CC0-1.0", "ISC", "MIT", "MIT-0"];
/// Packages of other licences, which only build or test and of which nothing is passed on.
const ONLY_USED: [(&str, &str); 3] =
    [("axe-core", "MPL-2.0"), ("lightningcss", "MPL-2.0"), ("argparse", "Python-2.0")];

/// Bytes of scripts at the first view, of all scripts, and of styles, each file by gzip.
const FIRST_VIEW: usize = 60 * 1024;
const ALL_SCRIPTS: usize = 100 * 1024;
const STYLES: usize = 12 * 1024;
/// Bytes of the element that shows a count on other pages.
const ELEMENT: usize = 6 * 1024;

fn files(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut waiting = vec![folder.to_owned()];
    while let Some(next) = waiting.pop() {
        for entry in std::fs::read_dir(&next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                waiting.push(path);
            } else {
                found.insert(path.strip_prefix(folder).unwrap().to_owned(), std::fs::read(&path).unwrap());
            }
        }
    }
    found
}

#[test]
fn the_checked_in_pages_are_what_their_sources_give() {
    let modules = install_builder().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let (web, docs) = (folder.path().join("web"), folder.path().join("docs"));
    std::fs::create_dir_all(&docs).unwrap();
    for (name, bytes) in files(&workspace_path("web/src")) {
        if name.ends_with("schema.d.ts") {
            continue;
        }
        let file = web.join("src").join(name);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, bytes).unwrap();
    }
    for name in ["index.html", "package.json", "svelte.config.js", "tsconfig.json", "vite.config.ts"] {
        std::fs::copy(workspace_path("web").join(name), web.join(name)).unwrap();
    }
    std::fs::copy(workspace_path("docs/openapi.json"), docs.join("openapi.json")).unwrap();
    std::os::unix::fs::symlink(modules.join("node_modules"), web.join("node_modules")).unwrap();
    run(Command::new("npm").args(["run", "--silent", "build"]).current_dir(&web)).unwrap();
    let (made, there) = (files(&web.join("dist")), files(&workspace_path("web/dist")));
    let names = |of: &BTreeMap<PathBuf, Vec<u8>>| of.keys().cloned().collect::<BTreeSet<_>>();
    assert_eq!(names(&made), names(&there), "run `just web-build` and check in web/dist");
    for (name, bytes) in &made {
        assert!(
            there[name] == *bytes,
            "{} differs: run `just web-build` and check in web/dist",
            name.display()
        );
    }
    // Types, and the compiler's own look at who can use the pages.
    run(Command::new("npm").args(["run", "--silent", "check"]).current_dir(&web)).unwrap();
}

fn packed(bytes: &[u8]) -> usize {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap().len()
}

#[test]
fn the_pages_are_small() {
    let dist = files(&workspace_path("web/dist"));
    let page = String::from_utf8(dist[Path::new("index.html")].clone()).unwrap();
    let of = |ending: &str| -> Vec<(String, usize)> {
        let named = dist.iter().map(|(name, bytes)| (name.display().to_string(), packed(bytes)));
        named.filter(|(name, _)| name.ends_with(ending)).collect()
    };
    let scripts = of(".js");
    let all: usize = scripts.iter().map(|(_, size)| size).sum();
    let named = scripts.iter().filter(|(name, _)| page.contains(name.as_str()));
    let words = scripts.iter().filter(|(name, _)| !page.contains(name.as_str())).map(|(_, size)| *size).max();
    let first = named.map(|(_, size)| size).sum::<usize>() + words.unwrap_or_default();
    let styles: usize = of(".css").iter().map(|(_, size)| size).sum();
    assert!(first > 10_000 && first <= FIRST_VIEW, "{first} bytes at the first view");
    assert!(all <= ALL_SCRIPTS, "{all} bytes of scripts");
    let element = scripts.iter().find(|(name, _)| name == "mwi.js").unwrap().1;
    assert!(element > 500 && element <= ELEMENT, "{element} bytes of the element for other pages");
    assert!(styles > 500 && styles <= STYLES, "{styles} bytes of styles");
}

#[test]
fn every_package_has_a_licence_that_we_may_pass_on_and_no_address() {
    for lock in ["web/package-lock.json", "web/e2e/package-lock.json", "web/e2e/firefox/package-lock.json"] {
        let text = std::fs::read_to_string(workspace_path(lock)).unwrap();
        assert!(!text.contains("\"resolved\"") && !text.contains("://registry"), "{lock} names a registry");
        let lock_file: Value = serde_json::from_str(&text).unwrap();
        let packages = lock_file["packages"].as_object().unwrap();
        assert!(packages.len() > 2, "{lock}");
        for (path, package) in packages {
            let name = path.rsplit("node_modules/").next().unwrap();
            let licence = package["license"].as_str().unwrap_or("none");
            let used = ONLY_USED.iter().any(|(known, of)| name.starts_with(known) && licence == *of);
            let one_of = licence.trim_matches(['(', ')']).split(" OR ").any(|one| LICENCES.contains(&one));
            assert!(one_of || used, "{lock}: {path} has the licence {licence}");
            assert!(path.is_empty() || package["integrity"].is_string(), "{lock}: {path} has no digest");
        }
    }
}
