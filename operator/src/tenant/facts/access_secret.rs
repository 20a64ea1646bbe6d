//! A Secret, or a ConfigMap, that a spec names and a condition tells of.

use crate::tenant::build::access::CA_KEY;
use voicemail_resources::references::{CaKind, CaRef};

/// A Secret that the spec names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessSecret {
    /// The condition that tells of it.
    pub condition: &'static str,
    /// Field of the spec that names it.
    pub field: String,
    /// A ConfigMap, which CAs may be in, or a Secret.
    pub kind: CaKind,
    /// Its name.
    pub name: String,
    /// The keys that the core reads.
    pub keys: &'static [&'static str],
}

impl AccessSecret {
    /// A Secret with these keys.
    pub fn new(condition: &'static str, field: String, name: &str, keys: &'static [&'static str]) -> Self {
        Self { condition, field, kind: CaKind::Secret, name: name.to_owned(), keys }
    }

    /// The certificate of an authority.
    pub fn of_authority(condition: &'static str, field: String, ca: &CaRef) -> Self {
        Self { kind: ca.kind, ..Self::new(condition, field, &ca.name, &[CA_KEY]) }
    }
}
