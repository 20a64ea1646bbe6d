//! The tenant's Secrets as the last look found or made them: no watch tells of them. For a minute they aren't read
//! again, so that a tenant on its way, which is looked at for each pod that comes, costs no reads for what it has.
//!
//! Nothing secret is held: the authority's certificate is public, of the Secrets themselves it is known that they were
//! right. What can go wrong: one is changed or removed within that minute. No watch would have told of it either: it is
//! noticed by the first look after the minute.

use std::collections::BTreeMap;
use std::time::Duration;

/// How long what was found holds, for the tenant as it was.
pub(super) const HOLDS: Duration = Duration::from_secs(60);

/// The Secrets were complete, of this tenant and not due.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MadeSecrets {
    /// The authority of the certificate, as PEM.
    pub authority: String,
    /// The hash of the Service Binding's Secret, as it was applied.
    pub binding: String,
    /// The Secrets with credentials of stores, and which keys each has.
    pub credentials: BTreeMap<String, Vec<&'static str>>,
}
