//! Every link between the documents leads to a file, and to a heading of it.

use std::collections::BTreeSet;
use std::path::Path;

use crate::pages::pages;

/// Where the links of a page lead, without those out of the project, and without code, which may look like one.
pub(crate) fn links(text: &str) -> BTreeSet<String> {
    let words: String = text.split('`').step_by(2).collect();
    let ends = words.split("](").skip(1).filter_map(|rest| rest.split(')').next());
    let ours = ends.filter(|link| !link.contains("://") && !link.contains(char::is_whitespace));
    ours.map(str::to_owned).collect()
}

/// As it is in a link: small letters, digits, dashes for spaces.
fn anchor(heading: &str) -> String {
    let kept = heading.trim().to_lowercase();
    kept.chars().filter(|c| c.is_alphanumeric() || "- _".contains(*c)).collect::<String>().replace(' ', "-")
}

fn anchors(page: &Path) -> BTreeSet<String> {
    let text = std::fs::read_to_string(page).unwrap();
    text.lines()
        .filter(|line| line.starts_with('#'))
        .map(|line| anchor(line.trim_start_matches('#')))
        .collect()
}

#[test]
fn every_link_leads_to_a_file_and_a_heading_of_it() {
    let mut broken = Vec::new();
    let mut seen = 0;
    for page in pages() {
        let text = std::fs::read_to_string(&page).unwrap();
        for link in links(&text) {
            let (file, heading) = link.split_once('#').unwrap_or((&link, ""));
            let target = if file.is_empty() { page.clone() } else { page.parent().unwrap().join(file) };
            let leads = target.exists() && (heading.is_empty() || anchors(&target).contains(heading));
            seen += 1;
            if !leads {
                broken.push(format!("{}: {link}", page.display()));
            }
        }
    }
    assert!(seen > 60, "{seen}");
    assert!(broken.is_empty(), "{broken:#?}");
}
