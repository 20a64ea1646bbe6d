//! The colours of the pages: text can be read and lines can be seen, in light and dark (WCAG 2.2, 1.4.3 and 1.4.11).

use std::collections::BTreeMap;

use voicemail_test_machine::workspace_path;

/// Least contrast of text, and of lines and what has the focus.
const TEXT: f64 = 4.5;
const SHAPE: f64 = 3.0;

/// What is behind texts, lines and what has the focus.
const BEHIND: [&str; 2] = ["bg", "raised"];
const TEXTS: [&str; 6] = ["fg", "muted", "accent", "lamp", "danger", "ok"];
const SHAPES: [&str; 2] = ["line", "focus"];

/// Light and dark of each colour, as red, green and blue.
type Colours = BTreeMap<String, [[u8; 3]; 2]>;

fn read_colour(text: &str) -> [u8; 3] {
    let digits = text.trim().strip_prefix('#').unwrap_or_else(|| panic!("{text} isn't a colour"));
    let part = |at: usize| u8::from_str_radix(&digits[2 * at..2 * at + 2], 16).unwrap();
    [part(0), part(1), part(2)]
}

fn colours() -> Colours {
    let text = std::fs::read_to_string(workspace_path("web/src/tokens.css")).unwrap();
    let lines = text.lines().filter_map(|line| line.trim().strip_prefix("--")?.split_once(": light-dark("));
    let both = |(name, pair): (&str, &str)| {
        let (light, dark) = pair.trim_end_matches(");").split_once(',').unwrap();
        (name.to_owned(), [read_colour(light), read_colour(dark)])
    };
    lines.map(both).collect()
}

/// Relative luminance, 0 to 1.
fn luminance(colour: [u8; 3]) -> f64 {
    let linear = colour.map(|part| {
        let part = f64::from(part) / 255.0;
        if part <= 0.040_45 { part / 12.92 } else { ((part + 0.055) / 1.055).powf(2.4) }
    });
    0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
}

fn contrast(one: [u8; 3], other: [u8; 3]) -> f64 {
    let (one, other) = (luminance(one), luminance(other));
    (one.max(other) + 0.05) / (one.min(other) + 0.05)
}

/// Front, back, and the least contrast of all that is shown.
fn pairs() -> Vec<(&'static str, &'static str, f64)> {
    let on = |fronts: &'static [&'static str], least: f64| {
        fronts.iter().flat_map(move |front| BEHIND.map(|back| (*front, back, least)))
    };
    on(&TEXTS, TEXT).chain(on(&SHAPES, SHAPE)).chain([("on-accent", "accent", TEXT)]).collect()
}

#[test]
fn text_can_be_read_and_lines_can_be_seen_in_light_and_dark() {
    let (colours, pairs) = (colours(), pairs());
    for (scheme, at) in [("light", 0), ("dark", 1)] {
        for (front, back, least) in &pairs {
            let found = contrast(colours[*front][at], colours[*back][at]);
            assert!(found >= *least, "{scheme}: --{front} on --{back} has {found:.2}:1, and needs {least}:1");
        }
    }
    let named = |name: &String| pairs.iter().any(|(front, back, _)| name == front || name == back);
    let forgotten: Vec<&String> = colours.keys().filter(|name| !named(name)).collect();
    assert!(colours.len() >= 10 && forgotten.is_empty(), "nobody looks at {forgotten:?}");
}

#[test]
fn contrast_is_computed_as_the_guidelines_do() {
    assert!((contrast([0; 3], [255; 3]) - 21.0).abs() < 1e-9);
    // #767676 is the lightest grey whose text can be read on white.
    assert!(contrast([0x76; 3], [255; 3]) >= TEXT && contrast([0x77; 3], [255; 3]) < TEXT);
}
