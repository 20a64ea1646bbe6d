//! A Secret, or a ConfigMap, that a spec names and a condition tells of.

use voicemail_resources::references::CaKind;

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
