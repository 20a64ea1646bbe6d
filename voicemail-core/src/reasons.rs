//! Reasons of `/readyz` that the operator acts on, so that both sides have one word for each.

/// A Job that lets go of the store removes objects, and nothing is in its way.
pub const REMOVING_OBJECTS: &str = "RemovingObjects";
/// A Job that lets go of the store looks at it, or opens it for that.
pub const ASKING_STORE: &str = "AskingStore";
