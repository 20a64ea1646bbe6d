//! Which accounts name callers: one that never does leaves messages that no data-subject request finds.
//!
//! Kept in memory, since the process began. A caller who withheld their number may be the first that an account
//! deposits for, so that one that is counted once or twice means nothing; one that is counted always does.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

/// Accounts that are remembered; beyond that it begins anew.
const MOST: usize = 10_000;

/// Accounts that have named a caller.
#[derive(Default)]
pub(super) struct Senders(Mutex<HashSet<String>>);

impl Senders {
    /// Notes a deposit; true if this account has never named a caller.
    pub(super) fn never_named(&self, account: &str, named: bool) -> bool {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if named && !known.contains(account) {
            if known.len() >= MOST {
                known.clear();
            }
            known.insert(account.to_owned());
        }
        !named && !known.contains(account)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_that_has_named_a_caller_once_may_have_withheld_ones() {
        let senders = Senders::default();
        assert!(senders.never_named("a", false));
        assert!(!senders.never_named("a", true));
        assert!(!senders.never_named("a", false));
        assert!(senders.never_named("b", false));
    }
}
