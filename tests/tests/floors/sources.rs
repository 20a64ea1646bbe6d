//! The arrows between the top modules of one crate, from all files of its `src`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use crate::cycles::Arrows;
use crate::paths::{Found, Read, read};

/// A file as the module that it is: `a/b.rs` and `a/b/mod.rs` are `[a, b]`, `lib.rs` is `[]`.
struct File {
    path: PathBuf,
    module: Vec<String>,
    text: String,
    read: Read,
}

/// All arrows of the library below `src`; programs beside it are crates of their own.
pub(crate) fn arrows_of(src: &Path) -> Arrows {
    let files: Vec<File> = rust_files(src).into_iter().filter_map(|path| open(src, path)).collect();
    let for_tests: BTreeSet<Vec<String>> = files.iter().flat_map(|file| test_modules(src, file)).collect();
    let tops: BTreeSet<&String> = files.iter().filter_map(|file| file.module.first()).collect();
    let exported = exports(&files);
    let mut arrows = Arrows::new();
    for file in &files {
        let is_for_tests = (1..=file.module.len()).any(|length| for_tests.contains(&file.module[..length]));
        let Some(from) = file.module.first().filter(|_| !is_for_tests) else { continue };
        for found in &file.read.paths {
            let Some(to) =
                target(&file.module, found, &exported).filter(|to| tops.contains(to) && to != from)
            else {
                continue;
            };
            if !for_tests.contains(&vec![to.clone()]) {
                arrows.entry((from.clone(), to)).or_default().push(place(file, found.line));
            }
        }
    }
    arrows
}

/// Every `.rs` file of a folder, sorted.
pub(crate) fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found.sort();
    found
}

fn open(src: &Path, path: PathBuf) -> Option<File> {
    let mut module: Vec<String> = path
        .strip_prefix(src)
        .unwrap()
        .with_extension("")
        .iter()
        .map(|name| name.to_string_lossy().into_owned())
        .collect();
    match module.last().map(String::as_str) {
        Some("mod") => drop(module.pop()),
        Some("lib") if module.len() == 1 => module.clear(),
        Some("main") if module.len() == 1 => return None,
        _ => {}
    }
    if module.first().is_some_and(|first| first == "bin") {
        return None;
    }
    let text = std::fs::read_to_string(&path).unwrap();
    let read = read(&text);
    Some(File { path, module, text, read })
}

/// The names on the way from `src` to a file, without its ending.
fn names(src: &Path, path: &Path) -> Vec<String> {
    path.strip_prefix(src)
        .unwrap()
        .with_extension("")
        .iter()
        .map(|name| name.to_string_lossy().into_owned())
        .collect()
}

/// The modules that a file declares for tests alone.
fn test_modules(src: &Path, file: &File) -> Vec<Vec<String>> {
    let below = file.read.test_modules.iter().map(|name| [file.module.clone(), vec![name.clone()]].concat());
    below.chain(file.read.test_files.iter().map(|name| names(src, &file.path.with_file_name(name)))).collect()
}

/// Names that `lib.rs` brings to the top, each with the module that it comes from.
fn exports(files: &[File]) -> BTreeMap<String, String> {
    let Some(lib) = files.iter().find(|file| file.module.is_empty()) else { return BTreeMap::new() };
    let mut found = BTreeMap::new();
    for statement in lib.text.split(';') {
        let Some((_, path)) =
            statement.rsplit_once("pub use ").or_else(|| statement.rsplit_once("pub(crate) use "))
        else {
            continue;
        };
        let path = path.trim().trim_start_matches("crate::");
        let Some((module, names)) = path.split_once("::") else { continue };
        let words = names.split(|c: char| !(c.is_alphanumeric() || c == '_')).filter(|word| !word.is_empty());
        found.extend(words.map(|word| (word.to_owned(), module.to_owned())));
    }
    found
}

/// The top module that a path leads to.
fn target(module: &[String], found: &Found, exported: &BTreeMap<String, String>) -> Option<String> {
    let up = found.up.unwrap_or(module.len());
    if up < module.len() {
        return None;
    }
    Some(exported.get(&found.name).unwrap_or(&found.name).clone())
}

fn place(file: &File, line: usize) -> String {
    let text = file.text.lines().nth(line - 1).unwrap_or_default().trim();
    format!("{}:{line}: {text}", file.path.display())
}

#[cfg(test)]
mod tests {
    use super::arrows_of;

    #[test]
    fn arrows_are_found_through_modules_exports_and_supers() {
        let folder = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let path = folder.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        write(
            "lib.rs",
            "mod a; mod b; mod c;\n#[cfg(test)] mod testing;\npub use c::{Deep, deeper::Deepest};",
        );
        write(
            "a/mod.rs",
            "mod inner;\n#[cfg(test)] mod inner_tests;\n#[cfg(test)] #[path = \"more_tests.rs\"] mod m; use crate::b::X;",
        );
        write("a/inner.rs", "use super::super::c::Y;\nuse super::Z;");
        write("a/more_tests.rs", "use crate::b::M;");
        write("a/inner_tests.rs", "use crate::testing::T;");
        write("b.rs", "use crate::Deepest;\nuse crate::testing::U;");
        write("c.rs", "use super::a::W;");
        write("testing.rs", "use crate::a::V;");
        write("bin/program.rs", "use crate::b::P;");
        let found: Vec<String> = arrows_of(folder.path())
            .into_iter()
            .map(|((from, to), places)| {
                format!("{from}->{to} {}", places.join(" ").rsplit('/').next().unwrap())
            })
            .collect();
        let expected = [
            "a->b mod.rs:3: #[cfg(test)] #[path = \"more_tests.rs\"] mod m; use crate::b::X;",
            "a->c inner.rs:1: use super::super::c::Y;",
            "b->c b.rs:1: use crate::Deepest;",
            "c->a c.rs:1: use super::a::W;",
        ];
        assert_eq!(found, expected);
    }
}
