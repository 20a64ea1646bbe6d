//! The remedy for an error, of which each error of the workspace has one (`class()`).

/// The action that an error asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorClass {
    /// The same fails again until something is changed.
    Permanent,
    /// The same may succeed later.
    Transient,
    /// Somebody else was there first: look again and decide anew.
    Conflict,
}
