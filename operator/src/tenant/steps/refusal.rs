//! Why a tenant is left as it is for now: what a person must change, or what must appear first.
//!
//! Each has a stable reason for the conditions and a sentence that says what to do. Transient ones go away by
//! themselves once the object that they name is there.

use voicemail_api::config::ConfigError;
use voicemail_resources::TENANT_USABLE_LABEL;
use voicemail_resources::pod_template::TemplateError;
use voicemail_runtime::calls::{Classified, ErrorClass};

/// Reason of what a policy doesn't let be.
pub const POLICY_VIOLATION: &str = "PolicyViolation";

/// Why nothing is changed for now.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// The claim that the spec names isn't there.
    #[error(
        "there is no PersistentVolumeClaim {0} in this namespace: create it, with access mode ReadWriteMany"
    )]
    ClaimNotFound(String),
    /// The claim with the messages is gone although the store is known.
    #[error(
        "PersistentVolumeClaim {name} is gone, and with it the way to this tenant's messages. It is never made anew, since \
         an empty store would be taken for the tenant's: make it by hand with the label voicemail.dev/tenant={tenant} \
         and volumeName of the volume with the messages (free a retained one by removing its claimRef), or write \
         existingClaimRef. If the messages are given up, delete the tenant and apply it anew"
    )]
    ClaimGone {
        /// The claim.
        name: String,
        /// The tenant.
        tenant: String,
    },
    /// The claim can't be shared by several pods.
    #[error(
        "PersistentVolumeClaim {name} has access mode {modes}, but all replicas write: use a ReadWriteMany claim"
    )]
    ClaimNotReadWriteMany {
        /// The claim.
        name: String,
        /// Its access modes.
        modes: String,
    },
    /// A region's credentials aren't there or aren't complete.
    #[error("region {region}: Secret {secret} {fault}")]
    CredentialsMissing {
        /// The region.
        region: String,
        /// The Secret.
        secret: String,
        /// Its fault.
        fault: String,
    },
    /// The vault's secret can't be mounted.
    #[error(
        "region {region}: this cluster serves no SecretProviderClass (secrets-store.csi.x-k8s.io/v1): install the \
         Secrets Store CSI driver and its Azure provider, or give the credentials by a Secret"
    )]
    SecretProviderClassMissing {
        /// The region.
        region: String,
    },
    /// The keys are gone although the store knows them.
    #[error(
        "Secret {0} is lost, and without the tenant key no caller can be found again: restore it from a backup. \
         It is never made anew, since other keys would make an erasure find nothing"
    )]
    KeysSecretLost(String),
    /// The Secret that the spec names isn't there.
    #[error("there is no Secret {0} in this namespace: create it with tenant.key and receipt.key")]
    KeysSecretNotFound(String),
    /// The keys' Secret lacks a key.
    #[error("Secret {name} has no {missing}: add it")]
    KeysSecretInvalid {
        /// The Secret.
        name: String,
        /// The missing key.
        missing: &'static str,
    },
    /// The brought certificate isn't usable.
    #[error("Secret {name} {fault}: it needs tls.crt and tls.key")]
    TlsSecretInvalid {
        /// The Secret.
        name: String,
        /// Its fault.
        fault: String,
    },
    /// The pods' template can't be carried out. The word before it is the telephone's field, if it is that one's.
    #[error("spec.{0}{1}")]
    PodTemplate(&'static str, TemplateError),
    /// The platform team's policies don't let it be rolled out.
    #[error("{0}. What runs goes on: change the spec, or have the policy changed")]
    PolicyViolation(String),
    /// Secrets that the tenant names lack the label that the platform team's policies want.
    #[error(
        "Secrets without the label {TENANT_USABLE_LABEL}: {0}. Whoever may write them lets this tenant use them: kubectl label \
         secret NAME {TENANT_USABLE_LABEL}=true. What is mounted stays mounted"
    )]
    SecretNotUsable(String),
    /// A rule that the CRD can't express.
    #[error("spec.{0}")]
    InvalidSpec(String),
}

impl From<ConfigError> for Refusal {
    fn from(error: ConfigError) -> Self {
        Self::InvalidSpec(error.to_string())
    }
}

impl Classified for Refusal {
    fn class(&self) -> ErrorClass {
        match self {
            Self::ClaimNotFound(_)
            | Self::KeysSecretNotFound(_)
            | Self::CredentialsMissing { .. }
            | Self::SecretProviderClassMissing { .. } => ErrorClass::Transient,
            _ => ErrorClass::Permanent,
        }
    }

    fn reason(&self) -> &'static str {
        match self {
            Self::ClaimNotFound(_) => "ClaimNotFound",
            Self::ClaimGone { .. } => "ClaimGone",
            Self::ClaimNotReadWriteMany { .. } => "ClaimNotReadWriteMany",
            Self::CredentialsMissing { .. } => "CredentialsMissing",
            Self::SecretProviderClassMissing { .. } => "SecretProviderClassMissing",
            Self::KeysSecretLost(_) => "KeysSecretLost",
            Self::KeysSecretNotFound(_) => "KeysSecretNotFound",
            Self::KeysSecretInvalid { .. } => "KeysSecretInvalid",
            Self::TlsSecretInvalid { .. } => "TlsSecretInvalid",
            Self::PodTemplate(_, TemplateError::Protected { .. }) => "PodTemplateProtected",
            Self::PodTemplate(..) => "PodTemplateInvalid",
            Self::PolicyViolation(_) => POLICY_VIOLATION,
            Self::SecretNotUsable(_) => "SecretNotUsable",
            Self::InvalidSpec(_) => "InvalidSpec",
        }
    }
}

impl Refusal {
    /// Whether it is about storage.
    pub fn is_about_storage(&self) -> bool {
        match self {
            Self::ClaimNotFound(_)
            | Self::ClaimGone { .. }
            | Self::ClaimNotReadWriteMany { .. }
            | Self::CredentialsMissing { .. }
            | Self::SecretProviderClassMissing { .. } => true,
            Self::KeysSecretLost(_)
            | Self::KeysSecretNotFound(_)
            | Self::KeysSecretInvalid { .. }
            | Self::TlsSecretInvalid { .. }
            | Self::PodTemplate(..)
            | Self::PolicyViolation(_)
            | Self::SecretNotUsable(_)
            | Self::InvalidSpec(_) => false,
        }
    }
}
