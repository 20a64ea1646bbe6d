//! Which runs of a tenant's cores objects show, so that each of the API and the `gdpr` command gets one and only one.

use std::collections::{BTreeSet, HashSet};

/// Results of earlier listings.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ShownRuns {
    /// Runs that an object shows.
    pub shown: HashSet<String>,
    /// Runs whose last object was deleted.
    pub gone: HashSet<String>,
    /// The cores' change tokens for open cases at the last look that listed the cases; none before.
    pub tokens: Option<BTreeSet<String>>,
}

impl ShownRuns {
    /// Notes which runs no object shows any more. Their cases are news.
    pub fn follow(&mut self, is_there: impl Fn(&str) -> bool) {
        let lost: Vec<String> = self.shown.iter().filter(|run| !is_there(run)).cloned().collect();
        if lost.is_empty() {
            return;
        }
        self.shown.retain(|run| !lost.contains(run));
        self.gone.extend(lost);
        self.tokens = None;
    }
}
