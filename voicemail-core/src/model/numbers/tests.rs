use super::*;
use proptest::prelude::*;

fn prefix(prefix: &str, replace_with: &str, digits: Option<u32>) -> NumberPrefix {
    NumberPrefix { prefix: prefix.into(), replace_with: replace_with.into(), digits }
}

/// A 9 for an outside line, extensions 7000 to 7999, and a site whose codes are a prefix of their own.
fn own_prefixes() -> Vec<NumberPrefix> {
    vec![
        prefix("9", "", None),
        prefix("7", "+442079467", Some(4)),
        prefix("85", "02079468", Some(5)),
        prefix("6", "5", Some(3)),
    ]
}

fn form(rules: &RuleSet, text: &str) -> String {
    CallerId::named(text).and_then(|caller| rules.normalise(&caller)).unwrap_or_else(|| "withheld".into())
}

/// What a media server sends, and the form it is filed under, by default region.
const CASES: [(&str, &str, &str); 78] = [
    // E.164 and its groupings
    ("GB", "+442079460123", "+442079460123"),
    ("GB", "+44 20 7946 0123", "+442079460123"),
    ("GB", "+44-20-7946-0123", "+442079460123"),
    ("GB", "+44.20.7946.0123", "+442079460123"),
    ("GB", "(+44) 20 7946 0123", "+442079460123"),
    ("GB", "+44 (0)20 7946 0123", "+442079460123"),
    ("GB", "+44/20/7946/0123", "+442079460123"),
    ("US", "+442079460123", "+442079460123"),
    // national
    ("GB", "020 7946 0123", "+442079460123"),
    ("GB", "02079460123", "+442079460123"),
    ("GB", "(020) 7946-0123", "+442079460123"),
    ("GB", "[020] 7946~0123", "+442079460123"),
    ("US", "202-555-0123", "+12025550123"),
    ("US", "(202) 555-0123", "+12025550123"),
    ("US", "1 202 555 0123", "+12025550123"),
    ("DE", "030 901820", "+4930901820"),
    ("DE", "0049 30 901820", "+4930901820"),
    ("DE", "+49 (0)30 901820", "+4930901820"),
    ("IT", "06 6982 1234", "+390669821234"),
    ("IT", "+39 06 6982 1234", "+390669821234"),
    // international prefixes
    ("GB", "0044 20 7946 0123", "+442079460123"),
    ("GB", "001 202 555 0123", "+12025550123"),
    ("US", "011 44 20 7946 0123", "+442079460123"),
    ("US", "01149 30 901820", "+4930901820"),
    ("GB", "00 49 30 901820", "+4930901820"),
    // tel: URIs
    ("GB", "tel:+442079460123", "+442079460123"),
    ("GB", "TEL:+44-20-7946-0123", "+442079460123"),
    ("GB", "<tel:+442079460123>", "+442079460123"),
    ("GB", "tel:02079460123;phone-context=example.com", "+442079460123"),
    // extensions
    ("GB", "tel:+442079460123;ext=5", "+442079460123"),
    ("GB", "020 7946 0123 ext. 5", "+442079460123"),
    ("GB", "020 7946 0123 ext 55", "+442079460123"),
    ("GB", "020 7946 0123 x5", "+442079460123"),
    ("GB", "020 7946 0123 extension 5", "+442079460123"),
    ("GB", "02079460123#5", "+442079460123"),
    ("GB", "02079460123,5", "+442079460123"),
    ("GB", "+442079460123;isub=12", "+442079460123"),
    // other scripts and invisible marks
    ("GB", "０２０７９４６０１２３", "+442079460123"),
    ("GB", "＋４４ ２０ ７９４６ ０１２３", "+442079460123"),
    ("GB", "٠٢٠٧٩٤٦٠١٢٣", "+442079460123"),
    ("GB", "020\u{a0}7946\u{2011}0123", "+442079460123"),
    ("GB", "\u{202a}+44 20 7946 0123\u{202c}", "+442079460123"),
    // the outside line's digit
    ("GB", "9 020 7946 0123", "+442079460123"),
    ("GB", "90012025550123", "+12025550123"),
    ("GB", "tel:902079460123", "+442079460123"),
    ("GB", "9101", "9101"),
    // ranges of extensions
    ("GB", "7123", "+442079467123"),
    ("GB", "71234", "71234"),
    ("GB", "85123", "+442079468123"),
    ("GB", "612", "612"),
    // short codes
    ("GB", "101", "101"),
    ("GB", "1 0 1", "101"),
    ("GB", "60066", "60066"),
    ("US", "911", "911"),
    ("GB", "*31#", "*31#"),
    // SIP URIs
    ("GB", " SIP:Alice@Example.org ", "sip:alice@example.org"),
    ("GB", "\"Alice\" <sip:alice@example.org;transport=udp>", "sip:alice@example.org"),
    ("GB", "sip:alice@example.org?subject=x", "sip:alice@example.org"),
    ("GB", "sip:+442079460123@carrier.example", "+442079460123"),
    ("GB", "<sip:+442079460123@carrier.example;user=phone>", "+442079460123"),
    ("GB", "sips:02079460123@pbx.example;user=phone", "+442079460123"),
    ("GB", "sip:2001@pbx.example", "sip:2001@pbx.example"),
    ("GB", "alice@example.org", "alice@example.org"),
    // letters
    ("GB", "0800FLOWERS", "0800flowers"),
    ("US", "1-800-FLOWERS", "1-800-flowers"),
    ("GB", "Reception   Desk", "reception desk"),
    // withheld
    ("GB", "anonymous", "withheld"),
    ("GB", "Anonymous", "withheld"),
    ("GB", "Restricted", "withheld"),
    ("GB", "UNAVAILABLE", "withheld"),
    ("GB", "private", "withheld"),
    ("GB", "\"Anonymous\" <sip:anonymous@anonymous.invalid>", "withheld"),
    ("GB", "sip:anonymous@anonymous.invalid", "withheld"),
    ("GB", "sip:x@anonymous.invalid;user=phone", "withheld"),
    ("GB", "anonymous@192.0.2.7", "withheld"),
    ("GB", "\"\"", "withheld"),
    ("GB", "  ", "withheld"),
    ("GB", "\u{200b}", "withheld"),
];

#[test]
fn every_spelling_has_its_form() {
    let mut wrong = Vec::new();
    for (region, text, expected) in CASES {
        let prefixes = if region == "GB" { own_prefixes() } else { Vec::new() };
        let rules = RuleSet::new(1, region, &prefixes);
        let found = form(&rules, text);
        if found != expected {
            wrong.push(format!("{region} {text:?}: {found:?} instead of {expected:?}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn withheld_spellings_are_no_callers() {
    for (region, text, expected) in CASES {
        assert_eq!(CallerId::new(text).is_none(), expected == "withheld", "{region} {text:?}");
    }
}

#[test]
fn a_prefix_counts_only_for_numbers_of_its_length() {
    let rule = PrefixRule::from(&prefix("7", "+44207946", Some(4)));
    assert_eq!(rule.apply("7123").as_deref(), Some("+44207946123"));
    assert_eq!(rule.apply("71234"), None);
    assert_eq!(rule.apply("8123"), None);
}

#[test]
fn the_first_prefix_that_fits_applies() {
    let rules = RuleSet::new(1, "GB", &[prefix("90", "+4930", None), prefix("9", "", None)]);
    assert_eq!(form(&rules, "90901820"), "+4930901820");
    assert_eq!(form(&rules, "9 1632 960001"), form(&rules, "01632 960001"));
}

#[test]
fn rule_sets_of_before_prefixes_mean_what_they_meant() {
    let stored = r#"{"id":1,"algorithm":1,"defaultRegion":"GB"}"#;
    let rules: RuleSet = serde_json::from_str(stored).unwrap();
    assert!(rules.is_known());
    for (text, expected) in [
        ("020 7946 0123", "+442079460123"),
        ("tel:+442079460123;ext=5", "+442079460123"),
        ("70421", "+4470421"),
        ("Anonymous", "anonymous"),
        ("sip:+442079460123@carrier.example", "sip:+442079460123@carrier.example"),
        (" SIP:Alice@Example.org ", "sip:alice@example.org"),
    ] {
        assert_eq!(form(&rules, text), expected, "{text}");
    }
    assert_eq!(serde_json::to_string(&rules).unwrap(), stored);
}

#[test]
fn a_newer_versions_rule_set_is_kept_and_not_known() {
    for newer in [
        r#"{"id":1,"algorithm":3,"defaultRegion":"GB"}"#,
        r#"{"id":1,"algorithm":2,"defaultRegion":"GB","carrierCodes":true}"#,
        r#"{"id":1,"algorithm":2,"defaultRegion":"GB","prefixes":[{"prefix":"9","replaceWith":"","from":"x"}]}"#,
    ] {
        let rules: RuleSet = serde_json::from_str(newer).unwrap();
        assert!(!rules.is_known(), "{newer}");
        assert_eq!(serde_json::to_string(&rules).unwrap(), newer);
    }
}

fn any_caller() -> impl Strategy<Value = String> {
    prop_oneof![
        "[+0-9(][0-9 ()./-]{0,20}",
        "(tel:|sip:|sips:|<sip:|TEL:)?[+]?[0-9a-zA-Z;=@. :-]{0,24}>?",
        "[0-9]{1,16}( ?(x|ext|#|,) ?[0-9]{0,4})?",
        "\\PC{0,24}",
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn normalising_twice_gives_the_same(text in any_caller(), region in "GB|US|DE|IT") {
        let rules = RuleSet::new(1, &region, &own_prefixes());
        let once = form(&rules, &text);
        prop_assert_eq!(form(&rules, &once), once);
    }
}
