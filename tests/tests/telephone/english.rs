//! What the program can say in English, as a grammar by which a recogniser hears it, and whether what it heard was that.
//!
//! ```text
//! en.yaml ─▶ texts of clips ─┬▶ grammar (JSGF) ─▶ pocketsphinx ─▶ words heard ─┐
//!                            └▶ the sentence that is expected ─────────────────┴▶ is_said
//! ```

use std::collections::{BTreeMap, BTreeSet};

use voicemail_telephony::prompts::Catalogue;

/// Words that can't be told from others where nothing above 4 kHz is carried, most of them for their s: what is said, and what the
/// recogniser may take it for. Not the other way round.
const ALIKE: [(&str, &str); 7] = [
    ("six", "eight"),
    ("sixth", "eighth"),
    ("sixteen", "fifteen"),
    ("sixty", "eighty"),
    ("fifth", "eighteenth"),
    ("forty", "fourteen"),
    // Before "for".
    ("message", "messages"),
];
/// The same of words of which the recogniser makes out too little: only one sentence begins with them.
const SERVICE: (&str, &str) = ("the service is", "at the moment is");
/// Clips that are parts of sentences.
const PARTS: [&str; 15] = [
    "and",
    "at",
    "am",
    "from",
    "more-than-99",
    "no",
    "oclock",
    "oh",
    "plus",
    "pm",
    "received",
    "today",
    "unknown-caller",
    "yesterday",
    "you-have",
];
const NUMBERED: [&str; 5] = ["number-", "day-", "month-", "new-message.", "old-message."];

/// The texts of the English clips.
pub(crate) struct English {
    clips: BTreeMap<String, String>,
}

impl English {
    pub(crate) fn read() -> Self {
        let clips = Catalogue::english().unwrap().clips;
        Self { clips: clips.into_iter().map(|(name, text)| (name, words(&text))).collect() }
    }

    /// Names of all clips.
    pub(crate) fn names(&self) -> BTreeSet<String> {
        self.clips.keys().cloned().collect()
    }

    /// Names of those that are sentences by themselves.
    pub(crate) fn sentences(&self) -> Vec<String> {
        self.clips.keys().filter(|name| is_sentence(name)).cloned().collect()
    }

    /// The words of clips, one after another.
    pub(crate) fn text(&self, clips: &[String]) -> String {
        let text = |name: &String| self.clips.get(name).unwrap_or_else(|| panic!("no clip {name}")).as_str();
        clips.iter().map(text).collect::<Vec<_>>().join(" ")
    }

    /// A grammar of what is said at one time, as often as `times` says (JSGF: empty for once, `+` for a call).
    pub(crate) fn grammar(&self, times: &str) -> String {
        let named = |prefix: &str| self.alternatives(|name| name.starts_with(prefix));
        let either = format!("( {} | {} )", SERVICE.0, SERVICE.1);
        let sentences = self.alternatives(is_sentence).replace(SERVICE.0, &either);
        let (numbers, months, days) = (named("number-"), named("month-"), named("day-"));
        format!(
            "#JSGF V1.0;\ngrammar prompts;\n\
             public <said> = ( <sentence> | <counts> | <envelope> ){times};\n\
             <sentence> = {sentences};\n\
             <counts> = you have <count> ( new message | new messages ) and <count> ( old message | old messages );\n\
             <count> = no | <number> | more than ninety nine;\n\
             <envelope> = received ( today | yesterday | <month> <day> ) at <time> from <caller>;\n\
             <time> = <hour> [ oh <digit> | <number> ] ( a m | p m ) | <number> o'clock [ <number> ];\n\
             <caller> = an unknown caller | [ plus ] <digit>+;\n\
             <hour> = one | two | three | four | five | six | seven | eight | nine | ten | eleven | twelve;\n\
             <digit> = zero | one | two | three | four | five | six | seven | eight | nine;\n\
             <number> = {numbers};\n<month> = {months};\n<day> = {days};\n"
        )
    }

    fn alternatives(&self, of: impl Fn(&str) -> bool) -> String {
        let texts: BTreeSet<&str> =
            self.clips.iter().filter(|(name, _)| of(name)).map(|(_, text)| text.as_str()).collect();
        texts.into_iter().collect::<Vec<_>>().join(" | ")
    }
}

/// Whether what was heard is what is expected, but for what can't be told apart.
pub(crate) fn is_said(expected: &str, heard: &str) -> bool {
    let words =
        |text: &str| text.replace(SERVICE.0, SERVICE.1).split(' ').map(str::to_owned).collect::<Vec<_>>();
    let (expected, heard) = (words(expected), words(heard));
    expected.len() == heard.len() && expected.iter().zip(&heard).all(|(said, heard)| sounds_like(said, heard))
}

fn sounds_like(said: &str, heard: &str) -> bool {
    said == heard || ALIKE.contains(&(said, heard))
}

fn is_sentence(name: &str) -> bool {
    !PARTS.contains(&name) && !NUMBERED.iter().any(|prefix| name.starts_with(prefix))
}

/// A text as a recogniser writes it: `PIN` is a word, `A M` are two, and a hyphen parts words.
fn words(text: &str) -> String {
    let part = |c: char| !(c.is_alphabetic() || c == '\'');
    text.to_lowercase().split(part).filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
}

#[test]
fn what_cannot_be_told_apart_is_taken_for_the_same_and_all_else_is_not() {
    assert!(is_said("press six", "press eight") && !is_said("press eight", "press six"));
    assert!(is_said("the service is away", "at the moment is away") && !is_said("goodbye", ""));
    assert!(
        !is_said("two new messages", "three new messages")
            && !is_said("two messages", "two messages goodbye")
    );
}
