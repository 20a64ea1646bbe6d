//! A language's needs: its clips, its plural forms (CLDR), and how dates and the clock are said. Pure.
//!
//! A tenant's own prompts say it in `prompts.yaml`, beside the clips. What can go wrong: text of another form, or a language without
//! plural rules; either is told by [`PromptsError::Description`].

use super::PromptsError;
use crate::dialogue::menu::OWN_CLIPS;
use intl_pluralrules::{PluralCategory, PluralRuleType, PluralRules};
use serde::Deserialize;
use std::collections::BTreeSet;
use unic_langid::LanguageIdentifier;

/// The most that is said as a number; above it the clip `more-than-99` is.
pub(super) const MOST: u32 = 99;
/// Counted nouns.
const NOUNS: [&str; 2] = ["new-message", "old-message"];

/// `prompts.yaml`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Description {
    language: String,
    #[serde(default)]
    date: DateOrder,
    #[serde(default)]
    clock: Clock,
}

/// The order in which a date is said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum DateOrder {
    /// The month and the day.
    #[default]
    MonthDay,
    /// The day and the month.
    DayMonth,
}

/// How the time of day is said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub enum Clock {
    /// The hour to twelve, the minute, and `am` or `pm`.
    #[default]
    #[serde(rename = "12h")]
    Twelve,
    /// The hour from nought, `oclock`, and the minute.
    #[serde(rename = "24h")]
    TwentyFour,
}

/// A language in which people are talked with.
#[derive(Clone)]
pub struct Language {
    tag: LanguageIdentifier,
    plurals: PluralRules,
    /// How dates are said.
    pub date: DateOrder,
    /// How the time of day is said.
    pub clock: Clock,
}

impl Language {
    /// One with the order of dates and the clock of English.
    ///
    /// # Errors
    /// [`PromptsError::Description`] where the tag is none, or CLDR knows no plural rules of it.
    pub fn of(tag: &str) -> Result<Self, PromptsError> {
        Self::with(tag, DateOrder::default(), Clock::default())
    }

    /// Reads `prompts.yaml`.
    ///
    /// # Errors
    /// [`PromptsError::Description`].
    pub fn parse(text: &str) -> Result<Self, PromptsError> {
        let wrong = |error: serde_yaml::Error| PromptsError::Description(error.to_string());
        let Description { language, date, clock } = serde_yaml::from_str(text).map_err(wrong)?;
        Self::with(&language, date, clock)
    }

    fn with(tag: &str, date: DateOrder, clock: Clock) -> Result<Self, PromptsError> {
        let wrong =
            || PromptsError::Description("language: write a tag of BCP 47, such as de or pt-BR".into());
        let tag: LanguageIdentifier = tag.parse().map_err(|_| wrong())?;
        let alone = LanguageIdentifier::from_parts(tag.language, None, None, &[]);
        let rules =
            |tag: &LanguageIdentifier| PluralRules::create(tag.clone(), PluralRuleType::CARDINAL).ok();
        // Most countries speak their language with its own rules.
        let plurals = rules(&tag).or_else(|| rules(&alone)).ok_or_else(|| {
            PromptsError::Description(format!("language: CLDR has no plural rules of {tag}"))
        })?;
        Ok(Self { tag, plurals, date, clock })
    }

    /// Its tag, such as de.
    pub fn tag(&self) -> String {
        self.tag.to_string()
    }

    /// Whether it is the same language as another one, whatever the country.
    pub fn is_like(&self, other: &Self) -> bool {
        self.tag.language == other.tag.language
    }

    /// The plural category of a number of things, as clips are named. What is above [`MOST`] agrees with it.
    pub fn plural(&self, value: u32) -> &'static str {
        match self.plurals.select(value.min(MOST)) {
            Ok(PluralCategory::ZERO) => "zero",
            Ok(PluralCategory::ONE) => "one",
            Ok(PluralCategory::TWO) => "two",
            Ok(PluralCategory::FEW) => "few",
            Ok(PluralCategory::MANY) => "many",
            Ok(PluralCategory::OTHER) | Err(_) => "other",
        }
    }

    /// Names of all clips that may be said in it, but for those that a menu names.
    pub fn needed(&self) -> BTreeSet<String> {
        let mut names: BTreeSet<String> = OWN_CLIPS.iter().map(|name| (*name).to_owned()).collect();
        names.extend(["no", "more-than-99", "plus", "today", "yesterday", "at"].map(str::to_owned));
        let clock: &[&str] = match self.clock {
            Clock::Twelve => &["oh", "am", "pm"],
            Clock::TwentyFour => &["oclock"],
        };
        names.extend(clock.iter().map(|name| (*name).to_owned()));
        names.extend((0..=MOST).map(|number| format!("number-{number}")));
        names.extend((1..=31).map(|day| format!("day-{day}")));
        names.extend((1..=12).map(|month| format!("month-{month}")));
        let forms: BTreeSet<&str> = (0..=MOST).map(|number| self.plural(number)).collect();
        names.extend(NOUNS.iter().flat_map(|noun| forms.iter().map(move |form| format!("{noun}.{form}"))));
        names
    }
}

/// The clip of a number that agrees with what is counted, such as the feminine one. A language has it where it needs it.
pub(super) fn agreeing(number: u32, noun: &str) -> String {
    format!("number-{number}.{noun}")
}

/// Whether that is such a clip's name.
pub(super) fn is_agreeing(name: &str) -> bool {
    NOUNS.iter().any(|noun| (0..=MOST).any(|number| name == agreeing(number, noun)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prompts::Catalogue;

    #[test]
    fn the_catalogue_has_all_that_english_needs_by_either_clock() {
        let clips = Catalogue::english().unwrap().clips;
        for clock in ["12h", "24h"] {
            let english = Language::parse(&format!("{{language: en-GB, clock: {clock}}}")).unwrap();
            let lacking: Vec<String> =
                english.needed().into_iter().filter(|name| !clips.contains_key(name)).collect();
            assert_eq!(lacking, [""; 0]);
        }
    }

    #[test]
    fn languages_need_the_plural_forms_that_cldr_gives_them() {
        let forms = |tag: &str| {
            let names = Language::of(tag).unwrap().needed();
            let forms = names.iter().filter_map(|name| name.strip_prefix("new-message."));
            forms.map(str::to_owned).collect::<Vec<_>>()
        };
        assert_eq!(forms("de-AT"), ["one", "other"]);
        assert_eq!(forms("ja"), ["other"]);
        assert_eq!(forms("pl"), ["few", "many", "one"]);
        assert_eq!(forms("ar"), ["few", "many", "one", "two", "zero"]);
    }

    #[test]
    fn what_is_no_description_of_a_language_says_what_to_write() {
        for (text, told) in [
            ("{language: de, clock: 25h}", "24h"),
            ("{language: deutsch-und-mehr}", "BCP 47"),
            ("{language: tlh}", "plural rules"),
            ("{speech: de}", "language"),
            ("[", "prompts.yaml"),
        ] {
            let error = Language::parse(text).map(drop).unwrap_err().to_string();
            assert!(error.contains(told), "{text}: {error}");
        }
    }

    #[test]
    fn numbers_that_agree_with_what_is_counted_are_known_by_name() {
        assert!(is_agreeing("number-1.new-message") && is_agreeing("number-21.old-message"));
        assert!(!is_agreeing("number-1.mailbox") && !is_agreeing("number-100.new-message"));
    }
}
