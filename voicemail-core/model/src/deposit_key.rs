//! The message id of an Idempotency-Key that isn't in our own form: `deposit/<digest>`. Written once, kept for seven
//! days.

use super::MessageId;
use serde::{Deserialize, Serialize};

/// The id that the first call by a key was given. Names neither the key nor the caller.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DepositKey {
    /// Version of this shape.
    pub schema: u32,
    /// The id.
    pub id: MessageId,
}

impl DepositKey {
    /// Version written now.
    pub const SCHEMA: u32 = 1;
}
