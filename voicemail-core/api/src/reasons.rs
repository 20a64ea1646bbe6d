//! Reasons of `/readyz` that the operator acts on, so that both sides have one word for each.

/// A Job that lets go of the store removes objects, and nothing is in its way.
pub const REMOVING_OBJECTS: &str = "RemovingObjects";
/// A Job that lets go of the store looks at it, or opens it for that.
pub const ASKING_STORE: &str = "AskingStore";

/// Deposits are taken, and space runs out.
pub const STORAGE_LOW: &str = "StorageLow";
/// There is no room, by space, inodes or quota: no new messages.
pub const STORAGE_FULL: &str = "StorageFull";
/// The credentials may read and not write: no new messages.
pub const WRITES_FORBIDDEN: &str = "WritesForbidden";
/// Writes must be encrypted in a way that the store isn't set up for, or its key can't be used: no new messages.
pub const ENCRYPTION_DEMANDED: &str = "EncryptionDemanded";
/// A lock or a policy of immutability keeps all as it is: no new messages.
pub const STORAGE_LOCKED: &str = "StorageLocked";

/// Obstacles to writing of a store that answers. A core that says so serves all that is stored.
pub const HINDRANCES: [&str; 5] =
    [STORAGE_LOW, STORAGE_FULL, WRITES_FORBIDDEN, ENCRYPTION_DEMANDED, STORAGE_LOCKED];
