//! The words of the pages: every language says everything, and fills in the same values.

use std::collections::{BTreeMap, BTreeSet};

use voicemail_test_machine::workspace_path;

type Words = BTreeMap<String, String>;

fn words(language: &str) -> Words {
    let text = std::fs::read_to_string(workspace_path(&format!("web/src/messages/{language}.json"))).unwrap();
    serde_json::from_str(&text).unwrap()
}

fn placeholders(text: &str) -> BTreeSet<&str> {
    text.split('{').skip(1).filter_map(|rest| rest.split_once('}')).map(|(name, _)| name).collect()
}

#[test]
fn every_language_has_every_word_with_the_same_values() {
    let english = words("en");
    assert!(english.len() > 50);
    for language in ["de", "fr", "es", "it"] {
        let other = words(language);
        let keys = |of: &Words| of.keys().cloned().collect::<BTreeSet<_>>();
        assert_eq!(keys(&other), keys(&english), "{language}");
        for (key, text) in &other {
            assert!(!text.trim().is_empty(), "{language}: {key}");
            assert_eq!(placeholders(text), placeholders(&english[key]), "{language}: {key}");
        }
        let same = other.iter().filter(|(key, text)| english[*key] == **text && text.len() > 12).count();
        assert!(same == 0, "{language}: {same} texts are English");
    }
}

#[test]
fn every_word_is_used() {
    let mut sources = String::new();
    let mut waiting = vec![workspace_path("web/src")];
    while let Some(folder) = waiting.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                waiting.push(path);
            } else if path.extension().is_some_and(|kind| kind == "svelte" || kind == "ts") {
                sources += &std::fs::read_to_string(path).unwrap();
            }
        }
    }
    // Those of a problem and of a state come from the API; others are put together of a beginning and a word.
    let made = |key: &str| {
        let (start, end) = key.rsplit_once('.').unwrap();
        let named = sources.contains(&format!("`{start}.${{")) && sources.contains(&format!("'{end}'"));
        named || start == "problem" || start == "message.state"
    };
    let unused: Vec<String> =
        words("en").into_keys().filter(|key| !made(key) && !sources.contains(&format!("'{key}'"))).collect();
    assert!(unused.is_empty(), "{unused:?}");
}
