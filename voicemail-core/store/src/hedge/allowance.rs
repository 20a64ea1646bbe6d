//! How many second tries there may be: one for twenty calls, and a few that were saved up, so that a store which is slow
//! as a whole isn't asked everything twice.

/// Calls that earn one second try.
const CALLS: u32 = 20;
/// Second tries that can be saved up.
const MOST: u32 = 10;

/// What is left to spend, in calls.
pub(super) struct Allowance(u32);

impl Default for Allowance {
    fn default() -> Self {
        Self(MOST * CALLS)
    }
}

impl Allowance {
    /// A call is made.
    pub(super) fn earn(&mut self) {
        self.0 = (self.0 + 1).min(MOST * CALLS);
    }

    /// Spends one second try, if there is one to spend.
    pub(super) fn spend(&mut self) -> bool {
        let left = self.0.checked_sub(CALLS);
        self.0 = left.unwrap_or(self.0);
        left.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_in_twenty_and_ten_more_may_be_tried_again() {
        let mut allowance = Allowance::default();
        let tried = (0..1_000).filter(|_| {
            allowance.earn();
            allowance.spend()
        });
        assert_eq!(tried.count(), 10 + 1_000 / 20 - 1);
    }
}
