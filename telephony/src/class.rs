//! What an error means for whoever meets it.

/// Whether doing it again helps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// The same may succeed later.
    Transient,
    /// The same fails again until something is changed.
    Permanent,
}
