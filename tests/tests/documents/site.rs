//! The documentation site: every page is in its table of contents, it is built, its links lead somewhere, and it can be searched.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use voicemail_test_machine::workspace_path;

use crate::decisions::decisions;
use crate::links::links;
use crate::pages::{compare_or_write, pages_below};

const SUMMARY: &str = "docs/SUMMARY.md";
const DECISIONS: &str = "- [Decisions](adr/README.md)\n";
/// Pages that no reader of the site is led to.
const UNLISTED: [&str; 1] = ["docs/SUMMARY.md"];

#[test]
fn the_table_of_contents_lists_all_decisions() {
    let text = std::fs::read_to_string(workspace_path(SUMMARY)).unwrap();
    let Some((before, _)) = text.split_once(DECISIONS) else { panic!("{SUMMARY} has no line {DECISIONS}") };
    let mut expected = format!("{before}{DECISIONS}  - [Template](adr/template.md)\n");
    for decision in decisions() {
        expected.push_str(&format!("  - [{}. {}](adr/{})\n", decision.number, decision.title, decision.file));
    }
    compare_or_write(&workspace_path(SUMMARY), &expected);
}

#[test]
fn every_page_is_in_the_table_of_contents() {
    let summary = links(&std::fs::read_to_string(workspace_path(SUMMARY)).unwrap());
    let listed: BTreeSet<PathBuf> =
        summary.iter().map(|link| workspace_path("docs").join(link).canonicalize().unwrap()).collect();
    let unlisted = UNLISTED.map(|page| workspace_path(page).canonicalize().unwrap());
    let pages = pages_below("docs").into_iter().chain(pages_below("examples"));
    let pages: Vec<PathBuf> = pages.map(|page| page.canonicalize().unwrap()).collect();
    let missing: Vec<&PathBuf> =
        pages.iter().filter(|page| !listed.contains(*page) && !unlisted.contains(page)).collect();
    assert!(pages.len() > 70, "{}", pages.len());
    assert!(missing.is_empty(), "not in {SUMMARY}: {missing:#?}");
}

#[test]
fn the_site_is_built_and_all_its_links_lead_to_a_page_and_a_heading() {
    let folder = tempfile::tempdir().unwrap();
    let site = folder.path().canonicalize().unwrap();
    let output = Command::new(workspace_path("tools/site")).arg(&site).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));

    let pages = html_pages(&site);
    let mut broken = Vec::new();
    let mut seen = 0;
    for (page, text) in &pages {
        for link in attributes(text, "href").chain(attributes(text, "src")).filter(|link| is_ours(link)) {
            seen += 1;
            if !leads(&pages, page, link) {
                broken.push(format!("{}: {link}", page.strip_prefix(&site).unwrap().display()));
            }
        }
    }
    assert!(pages.len() > 70 && seen > 1000, "{} pages, {seen} links", pages.len());
    assert!(broken.is_empty(), "{broken:#?}");
    check_search(&site);
}

/// The index of the search knows the words of pages.
fn check_search(site: &Path) {
    let named = |entry: &PathBuf| {
        entry.file_name().is_some_and(|name| name.to_string_lossy().starts_with("searchindex"))
    };
    let files = std::fs::read_dir(site).unwrap().map(|entry| entry.unwrap().path());
    let indexes: Vec<PathBuf> = files.filter(named).collect();
    assert!(!indexes.is_empty(), "the site has no search index");
    let text: String = indexes.iter().map(|path| std::fs::read_to_string(path).unwrap()).collect();
    for words in ["RestoreDetected", "keyed hash", "keepFree", "Idempotency-Key"] {
        assert!(text.contains(words), "the search doesn't know {words}");
    }
    let front = std::fs::read_to_string(site.join("index.html")).unwrap();
    assert!(front.contains("searchbar"), "the pages have no field to search by");
}

fn html_pages(folder: &Path) -> BTreeMap<PathBuf, String> {
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(html_pages(&path));
        } else if path.extension().is_some_and(|extension| extension == "html") {
            let text = std::fs::read_to_string(&path).unwrap();
            found.insert(path, text);
        }
    }
    found
}

fn attributes<'a>(text: &'a str, name: &str) -> impl Iterator<Item = &'a str> {
    let begin = format!(" {name}=\"");
    let starts: Vec<usize> = text.match_indices(&begin).map(|(at, _)| at + begin.len()).collect();
    starts.into_iter().filter_map(|at| text[at..].split('"').next())
}

fn is_ours(link: &str) -> bool {
    !link.is_empty() && !link.contains("://") && !link.starts_with("mailto:") && !link.starts_with("data:")
}

fn leads(pages: &BTreeMap<PathBuf, String>, page: &Path, link: &str) -> bool {
    // The page for addresses that aren't there is served anywhere, so its links begin at the top of the site.
    if page.ends_with("404.html") {
        return true;
    }
    let (file, heading) = link.split_once('#').unwrap_or((link, ""));
    let target = if file.is_empty() { page.to_path_buf() } else { page.parent().unwrap().join(file) };
    let Ok(target) = target.canonicalize() else { return false };
    let target = if target.is_dir() { target.join("index.html") } else { target };
    let Some(text) = pages.get(&target) else { return target.is_file() && heading.is_empty() };
    heading.is_empty() || text.contains(&format!("id=\"{heading}\""))
}
