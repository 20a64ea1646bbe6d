//! The words of an error's causes, since a library's outermost message says little ("error sending request").

use std::error::Error;

/// The words of an error and of all its causes, outermost first.
pub fn all_causes(error: &dyn Error) -> String {
    let (mut words, mut cause) = (error.to_string(), error.source());
    while let Some(error) = cause {
        words = format!("{words}: {error}");
        cause = error.source();
    }
    words
}

/// The words of the innermost cause.
pub fn root_cause(error: &dyn Error) -> String {
    let mut cause = error;
    while let Some(next) = cause.source() {
        cause = next;
    }
    cause.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("outer")]
    struct Outer(#[source] Inner);

    #[derive(Debug, thiserror::Error)]
    #[error("inner")]
    struct Inner;

    #[test]
    fn causes_are_told_outermost_first_and_the_root_alone() {
        assert_eq!(all_causes(&Outer(Inner)), "outer: inner");
        assert_eq!((root_cause(&Outer(Inner)), root_cause(&Inner)), ("inner".into(), "inner".into()));
    }
}
