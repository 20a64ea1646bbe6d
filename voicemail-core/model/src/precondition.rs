//! Preconditions of a change (RFC 9110, 13.1): decided in the same step that writes. Pure.

/// A condition on what is there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Precondition {
    /// None.
    #[default]
    Always,
    /// It is there, in whatever state.
    Exists,
    /// It isn't there.
    Absent,
    /// It is there, in a state with one of these tags.
    Tags(Vec<String>),
}

impl Precondition {
    /// Whether it is true of a state with that tag, or of nothing.
    pub fn holds(&self, current: Option<&str>) -> bool {
        match self {
            Self::Always => true,
            Self::Exists => current.is_some(),
            Self::Absent => current.is_none(),
            Self::Tags(tags) => current.is_some_and(|current| tags.iter().any(|tag| tag == current)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_condition_is_about_what_is_there() {
        let tags = Precondition::Tags(vec!["a".into(), "b".into()]);
        for (condition, nothing, a, c) in [
            (Precondition::Always, true, true, true),
            (Precondition::Exists, false, true, true),
            (Precondition::Absent, true, false, false),
            (tags, false, true, false),
        ] {
            let found = [None, Some("a"), Some("c")].map(|current| condition.holds(current));
            assert_eq!(found, [nothing, a, c], "{condition:?}");
        }
    }
}
