//! Words that people write into receipts, registers and holds: short, and without anything that looks personal.

/// Why a statement can't be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StatementError {
    /// Nothing, or too much.
    #[error("write 1 to 500 characters without control characters")]
    Length,
    /// Looks like an e-mail address or a telephone number.
    #[error("leave personal data out: it holds what looks like a telephone number or an e-mail address")]
    Personal,
}

const LONGEST: usize = 500;
/// As many digits make a telephone number, also with what people write between them.
const NUMBER: usize = 7;

/// Checks a statement; gives it without blanks at its ends.
///
/// # Errors
/// [`StatementError`].
pub fn check_statement(text: &str) -> Result<String, StatementError> {
    let text = text.trim();
    let length = text.chars().count();
    if length == 0 || length > LONGEST || text.chars().any(char::is_control) {
        return Err(StatementError::Length);
    }
    if text.contains('@') || holds_number(text) {
        return Err(StatementError::Personal);
    }
    Ok(text.to_owned())
}

fn holds_number(text: &str) -> bool {
    let mut digits = 0;
    for c in text.chars() {
        match c {
            c if c.is_numeric() => digits += 1,
            ' ' | '-' | '.' | '(' | ')' | '/' | '\u{a0}' => {}
            _ => digits = 0,
        }
        if digits >= NUMBER {
            return true;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_looks_personal_is_refused_and_paragraphs_are_not() {
        for bad in ["call 020 7946 0123", "+44(20)7946-0123", "a@example.org"] {
            assert_eq!(check_statement(bad), Err(StatementError::Personal), "{bad}");
        }
        assert_eq!(
            check_statement(" Art. 17(3)(e): claim of 2026 "),
            Ok("Art. 17(3)(e): claim of 2026".into())
        );
        assert_eq!(check_statement(" \n"), Err(StatementError::Length));
    }
}
