//! Takes telephone numbers out of words that others wrote, before they get into an object, event or log. Pure.

/// Takes out whatever looks like a phone number: seven digits or more, apart from the case id.
pub fn redact(text: &str, case: &str) -> String {
    let hide = |piece: &str| {
        let digits = piece.chars().filter(char::is_ascii_digit).count();
        if digits >= 7 { "…".to_owned() } else { piece.to_owned() }
    };
    let number_like = |c: char| c.is_ascii_digit() || "+()-. ".contains(c);
    let redact_part = |part: &str| {
        let (mut out, mut piece) = (String::new(), String::new());
        for c in part.chars() {
            if number_like(c) {
                piece.push(c);
            } else {
                out.push_str(&hide(&std::mem::take(&mut piece)));
                out.push(c);
            }
        }
        out + &hide(&piece)
    };
    if case.is_empty() {
        return redact_part(text);
    }
    text.split(case).map(redact_part).collect::<Vec<_>>().join(case)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_like_a_phone_number_is_passed_on() {
        let text = "case 123456789 of +44 1632 960-001 has 3 runs, 01632960001";
        let shown = redact(text, "123456789");
        assert_eq!(shown, "case 123456789 of…has 3 runs,…");
    }
}
