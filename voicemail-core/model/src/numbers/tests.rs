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

/// The rule set of an algorithm that was once in force.
fn of_algorithm(algorithm: u32, region: &str, prefixes: &[NumberPrefix]) -> RuleSet {
    RuleSet { algorithm, ..RuleSet::new(1, region, prefixes, &[]) }
}

fn form(rules: &RuleSet, text: &str) -> String {
    CallerId::named(text).and_then(|caller| rules.normalise(&caller)).unwrap_or_else(|| "withheld".into())
}

/// Callers as a media server sends them, and the form each is filed under, by default region.
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

/// Spellings that only the newest algorithm brings to one form.
const CASES_OF_THE_THIRD: [(&str, &str, &str); 97] = [
    // Mexico: mobiles had a 1 behind the country code, and their own prefixes at home
    ("MX", "+5215512345678", "+525512345678"),
    ("MX", "+525512345678", "+525512345678"),
    ("MX", "5512345678", "+525512345678"),
    ("MX", "55 1234 5678", "+525512345678"),
    ("MX", "525512345678", "+525512345678"),
    ("MX", "5215512345678", "+525512345678"),
    ("MX", "044 55 1234 5678", "+525512345678"),
    ("MX", "045 55 1234 5678", "+525512345678"),
    ("MX", "01 55 1234 5678", "+525512345678"),
    ("US", "+52 1 55 1234 5678", "+525512345678"),
    ("US", "011 52 1 55 1234 5678", "+525512345678"),
    ("GB", "0052 55 1234 5678", "+525512345678"),
    // Argentina: with and without the 9 and the 15 of mobiles
    ("AR", "+54 9 11 2345 6789", "+541123456789"),
    ("AR", "+54 11 2345 6789", "+541123456789"),
    ("AR", "011 15 2345 6789", "+541123456789"),
    ("AR", "11 15 2345 6789", "+541123456789"),
    ("AR", "011 2345 6789", "+541123456789"),
    ("AR", "9 11 2345 6789", "+541123456789"),
    ("AR", "5491123456789", "+541123456789"),
    ("US", "+5491123456789", "+541123456789"),
    ("AR", "0351 15 234 5678", "+543512345678"),
    ("AR", "+54 9 351 234 5678", "+543512345678"),
    // Brazil: eight digits became nine, and carriers' codes
    ("BR", "+55 11 9123 45678", "+5511912345678"),
    ("BR", "+55 11 8765 4321", "+5511987654321"),
    ("BR", "(11) 98765-4321", "+5511987654321"),
    ("BR", "0 15 11 98765 4321", "+5511987654321"),
    ("BR", "011 98765 4321", "+5511987654321"),
    ("BR", "11 2345 6789", "+551123456789"),
    // addresses whose user is a number
    ("GB", "sip:02079460124@10.0.0.5", "+442079460124"),
    ("GB", "sip:442079460124@10.0.0.5:5060", "+442079460124"),
    ("GB", "sip:442079460124@10.0.0.5;transport=tcp", "+442079460124"),
    ("GB", "sip:02079460124;phone-context=+44@pbx.example", "+442079460124"),
    ("GB", "<sip:0044-20-7946-0124@pbx.example>", "+442079460124"),
    ("GB", "sip:%2B442079460124@pbx.example", "+442079460124"),
    ("GB", "\"Jane\" <sip:02079460124@pbx.example>;tag=1", "+442079460124"),
    ("GB", "02079460124@10.0.0.5", "+442079460124"),
    ("GB", "sip:2001@pbx.example", "sip:2001@pbx.example"),
    ("GB", "sip:7123@pbx.example", "sip:7123@pbx.example"),
    ("GB", "sip:alice@example.org:5070", "sip:alice@example.org:5070"),
    ("GB", "tel:+44%2020%207946%200124", "+442079460124"),
    // separators
    ("GB", "020·7946·0123", "+442079460123"),
    ("GB", "020_7946_0123", "+442079460123"),
    ("GB", "020'7946'0123", "+442079460123"),
    ("GB", "020’7946’0123", "+442079460123"),
    ("GB", "020|7946|0123", "+442079460123"),
    ("GB", "020•7946•0123", "+442079460123"),
    ("GB", "020—7946―0123", "+442079460123"),
    ("GB", "020・7946ー0123", "+442079460123"),
    ("GB", "\u{feff}020\u{2060}7946\u{3000}0123", "+442079460123"),
    // pluses
    ("GB", "++442079460123", "+442079460123"),
    ("GB", "+ +44 20 7946 0123", "+442079460123"),
    ("GB", "+0044 20 7946 0123", "+442079460123"),
    ("GB", "+020 7946 0123", "+442079460123"),
    ("GB", "﹢44 20 7946 0123", "+442079460123"),
    ("GB", "+44(0)1632 960001", "+441632960001"),
    ("US", "+44 1632 960001", "+441632960001"),
    // the plus lost on the way
    ("GB", "442079460123", "+442079460123"),
    ("GB", "00442079460123", "+442079460123"),
    ("US", "442079460123", "+442079460123"),
    ("US", "00442079460123", "+442079460123"),
    ("GB", "12025550123", "+12025550123"),
    // Germany's numbers have many lengths: it may be one at home
    ("DE", "442079460123", "+49442079460123"),
    ("GB", "4930901820", "+4930901820"),
    // extensions
    ("GB", "020 7946 0123 (ext. 5)", "+442079460123"),
    ("GB", "020 7946 0123 ext:55", "+442079460123"),
    ("GB", "02079460123,,5#", "+442079460123"),
    ("GB", "02079460123p5", "+442079460123"),
    ("GB", "+442079460123:5060", "+442079460123"),
    ("DE", "030 901820 Durchwahl 12", "+4930901820"),
    ("DE", "030 901820 DW 12", "+4930901820"),
    ("FR", "01 42 68 53 00 poste 12", "+33142685300"),
    ("ES", "912 345 678 anexo 12", "+34912345678"),
    ("RU", "+7 495 123-45-67 доб. 12", "+74951234567"),
    ("JP", "03-1234-5678 内線12", "+81312345678"),
    // digits of other scripts
    ("IN", "०२२ २७७८ ११८३", "+912227781183"),
    ("IN", "+९१ २२ २७७८ ११८३", "+912227781183"),
    ("TH", "๐๒ ๑๒๓ ๔๕๖๗", "+6621234567"),
    ("GB", "০২০৭৯৪৬০১২৩", "+442079460123"),
    ("GB", "𝟎𝟐𝟎𝟕𝟗𝟒𝟔𝟎𝟏𝟐𝟑", "+442079460123"),
    ("GB", "۰۲۰۷۹۴۶۰۱۲۳", "+442079460123"),
    // what no plan knows stays as it is written, in one form of characters
    ("GB", "2001", "2001"),
    ("GB", "٢٠٠١", "2001"),
    ("GB", "*31#", "*31#"),
    // nobody
    ("GB", "+266696687", "withheld"),
    ("GB", "266696687", "withheld"),
    ("GB", "+7378742833", "withheld"),
    ("GB", "sip:+266696687@carrier.example", "withheld"),
    ("GB", "tel:+86282452253", "withheld"),
    ("GB", "sip:unknown@192.0.2.7", "withheld"),
    ("GB", "sip:unavailable@unknown.invalid", "withheld"),
    ("GB", "tel:anonymous", "withheld"),
    ("GB", "<unknown>", "withheld"),
    ("GB", "0000000000", "withheld"),
    ("GB", "+0", "withheld"),
    ("GB", "sip:0000@pbx.example", "withheld"),
    ("GB", "UNBEKANNT", "withheld"),
    // a subscriber's number at home that spells a word on a cloud's keys
    ("PT", "266696687", "+351266696687"),
];

fn check(rules_of: impl Fn(&str) -> RuleSet, cases: &[(&str, &str, &str)]) {
    let mut wrong = Vec::new();
    for (region, text, expected) in cases {
        let found = form(&rules_of(region), text);
        if found != *expected {
            wrong.push(format!("{region} {text:?}: {found:?} instead of {expected:?}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

fn prefixes_of(region: &str) -> Vec<NumberPrefix> {
    if region == "GB" { own_prefixes() } else { Vec::new() }
}

#[test]
fn every_spelling_has_its_form() {
    check(|region| RuleSet::new(1, region, &prefixes_of(region), &[]), &CASES);
    check(|region| RuleSet::new(1, region, &prefixes_of(region), &[]), &CASES_OF_THE_THIRD);
}

#[test]
fn the_second_algorithm_means_what_it_meant() {
    check(|region| of_algorithm(2, region, &prefixes_of(region)), &CASES);
    let golden = [
        ("GB", "+266696687", "+266696687"),
        ("GB", "tel:anonymous", "tel:anonymous"),
        ("GB", "sip:unknown@192.0.2.7", "sip:unknown@192.0.2.7"),
        ("GB", "sip:restricted@192.0.2.7", "withheld"),
        ("GB", "number withheld", "withheld"),
        ("GB", "unbekannt", "unbekannt"),
        ("GB", "0000000000", "0000000000"),
        ("GB", "sip:02079460124@10.0.0.5", "sip:02079460124@10.0.0.5"),
        ("GB", "020·7946·0123", "020·7946·0123"),
        ("GB", "++442079460123", "++442079460123"),
        ("GB", "442079460123", "+442079460123"),
        ("MX", "+5215512345678", "+5215512345678"),
        ("AR", "+5491123456789", "+5491123456789"),
        ("US", "555551212", "+1555551212"),
    ];
    check(|region| of_algorithm(2, region, &[]), &golden);
}

#[test]
fn the_first_algorithm_means_what_it_meant() {
    let golden = [
        ("GB", "020 7946 0123", "+442079460123"),
        ("GB", "Anonymous", "anonymous"),
        ("GB", "+266696687", "+266696687"),
        ("GB", "sip:02079460124@10.0.0.5", "sip:02079460124@10.0.0.5"),
        ("GB", "tel:+442079460123;ext=5", "+442079460123"),
        ("MX", "+5215512345678", "+5215512345678"),
    ];
    check(|region| of_algorithm(1, region, &[]), &golden);
}

#[test]
fn a_number_without_its_plus_may_be_two_and_is_filed_as_the_one_at_home() {
    let german = RuleSet::new(1, "DE", &[], &[]);
    let both = german.readings(&CallerId::named("442079460123").unwrap());
    assert_eq!(both, ["+49442079460123", "+442079460123"]);
    let rules = RuleSet::new(1, "US", &[], &[]);
    let readings = |text: &str| rules.readings(&CallerId::named(text).unwrap());
    assert_eq!(readings("6592345678"), ["+16592345678", "+6592345678"]);
    for sure in ["+16592345678", "+6592345678", "16592345678", "(202) 555-0123", "442079460123", "2001"] {
        assert_eq!(readings(sure).len(), 1, "{sure}");
    }
}

#[test]
fn nothing_that_stands_for_nobody_is_a_number_of_a_plan() {
    let (words, numbers) = built_in_withheld();
    for region in ["GB", "US", "DE", "MX", "RU", "CN", "JP"] {
        let rules = RuleSet::new(1, region, &[], &[]);
        for word in words {
            assert!(!is_somebodys(&rules, word), "{region} {word}");
            assert!(CallerId::new(word).is_none() && form(&rules, word) == "withheld", "{region} {word}");
        }
        for number in numbers {
            let with_plus = format!("+{number}");
            let parsed = phonenumber::parse(None, &with_plus);
            assert!(!parsed.is_ok_and(|number| number.is_valid()), "{number}");
            assert_eq!(form(&rules, &with_plus), "withheld", "{region} {number}");
        }
    }
}

#[test]
fn words_for_nobody_ignore_case_marks_and_punctuation() {
    let rules = RuleSet::new(1, "GB", &[], &[]);
    for text in [
        "NÚMERO PRIVADO",
        "numero-privado",
        "Unterdrückt",
        "UNTERDRUCKT",
        "masque",
        "N/A",
        "NUMER_ZASTRZEZONY",
        "номер не определён",
        "非通知",
        "\"非通知設定\" <sip:anonymous@anonymous.invalid>",
        "Неизвестный",
        "-",
        "???",
    ] {
        assert_eq!(form(&rules, text), "withheld", "{text}");
    }
    for text in ["Unknown Pleasures Records", "sip:alice.unknown@example.org", "private eye", "P5"] {
        assert_ne!(form(&rules, text), "withheld", "{text}");
    }
}

#[test]
fn a_tenants_own_words_and_numbers_stand_for_nobody() {
    let own = ["Amtsleitung".to_owned(), "+9990001".to_owned()];
    let rules = RuleSet::new(1, "GB", &[], &own);
    for text in ["AMTSLEITUNG", "sip:amtsleitung@pbx.example", "9990001", "+999 0001", "sip:9990001@pbx"] {
        assert_eq!(form(&rules, text), "withheld", "{text}");
        assert_ne!(form(&RuleSet::new(1, "GB", &[], &[]), text), "withheld", "{text}");
    }
    for somebody in ["02079460123", "442079460123", "+12025550123", "sip:02079460123@pbx"] {
        assert!(is_somebodys(&rules, somebody), "{somebody}");
    }
    assert!(!is_somebodys(&rules, "+9990001") && !is_somebodys(&rules, "Amtsleitung"));
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
    let rules = RuleSet::new(1, "GB", &[prefix("90", "+4930", None), prefix("9", "", None)], &[]);
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
        r#"{"id":1,"algorithm":4,"defaultRegion":"GB"}"#,
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

#[test]
fn what_is_left_of_a_text_and_stands_for_nobody_is_nobodys() {
    let rules = RuleSet::new(1, "GB", &own_prefixes(), &[]);
    for text in ["+@o A", "+@o", "+ @p b"] {
        assert_eq!(form(&rules, text), "withheld", "{text}");
    }
    assert_eq!(form(&rules, "sip:o.neil@pbx.example"), "sip:o.neil@pbx.example");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn normalising_twice_gives_the_same(text in any_caller(), region in "GB|US|DE|IT") {
        let rules = RuleSet::new(1, &region, &own_prefixes(), &[]);
        let once = form(&rules, &text);
        prop_assert_eq!(form(&rules, &once), once);
    }
}
