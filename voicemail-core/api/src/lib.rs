//! The types that the parts of voicemail exchange: a core's configuration, data-subject requests and their answers, stable
//! reasons, and the check of receipts.
//!
//! | module | holds |
//! |---|---|
//! | [`config`] | the configuration file of a core, and every default of it |
//! | [`gdpr`] | data-subject requests, runs, the ledger's head |
//! | [`telephony`] | what media servers are told and answered |
//! | [`mailboxes`] | mailboxes as they are listed for administrators |
//! | [`listen`] | listening on every address of a machine |
//! | [`aws`] | the domain of a region's endpoints at AWS |
//! | [`ErrorClass`] | the remedy for an error |
//! | [`causes`], [`percent`] | words of an error's causes; percent-encoding |
//! | [`readiness`] | how a replica is, as it answers probes and the operator |
//! | [`reasons`] | stable names of what hinders a store |
//! | `proofs` | the check of a receipt's signature (feature `proofs`) |
//!
//! Nothing here does IO but reading a configuration file.

pub mod aws;
pub mod causes;
pub mod config;
mod error_class;
pub mod gdpr;
pub mod listen;
pub mod mailboxes;
pub mod percent;
#[cfg(feature = "proofs")]
pub mod proofs;
pub mod readiness;
pub mod reasons;
pub mod telephony;

pub use error_class::ErrorClass;
