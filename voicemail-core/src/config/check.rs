//! The rules that the types of a [`TenantConfig`] can't express, each with a sentence that says what to write.
//!
//! Pure: nothing is read from disk here, so that the operator can check what it is about to write.

use super::{ClassOfService, TenantConfig};
use std::collections::BTreeSet;

/// Why a configuration can't be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// Not YAML of the expected shape; the message names line and field.
    #[error("the configuration can't be read: {0}")]
    Parse(#[from] serde_yaml::Error),
    /// A rule is broken.
    #[error("{field}: {rule}")]
    Rule {
        /// Path of the field.
        field: &'static str,
        /// What to write.
        rule: String,
    },
}

fn rule(ok: bool, field: &'static str, text: impl FnOnce() -> String) -> Result<(), ConfigError> {
    if ok { Ok(()) } else { Err(ConfigError::Rule { field, rule: text() }) }
}

const MAX_WINDOW_SECONDS: u64 = 30 * 86_400;

impl TenantConfig {
    /// Checks all rules.
    ///
    /// # Errors
    /// The first rule that is broken.
    pub fn check(&self) -> Result<(), ConfigError> {
        self.check_identity()?;
        self.check_regions()?;
        self.check_listen()?;
        self.check_classes()?;
        rule(self.gdpr.undo_window.as_secs() <= MAX_WINDOW_SECONDS, "gdpr.undoWindow", || {
            "write at most 30d".into()
        })
    }

    fn check_identity(&self) -> Result<(), ConfigError> {
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '-';
        let id = &self.tenant_id;
        rule((1..=64).contains(&id.len()) && id.chars().all(plain), "tenantId", || {
            "write 1 to 64 letters, digits and dashes, usually the contact centre's UUID".into()
        })?;
        let region = &self.default_number_region;
        rule(
            region.len() == 2 && region.chars().all(|c| c.is_ascii_uppercase()),
            "defaultNumberRegion",
            || "write a two-letter ISO 3166 code in capitals, such as GB".into(),
        )
    }

    fn check_regions(&self) -> Result<(), ConfigError> {
        let names: BTreeSet<&str> = self.regions.iter().map(|region| region.name.as_str()).collect();
        let masters = self.regions.iter().filter(|region| region.master).count();
        rule(names.len() == self.regions.len(), "regions", || "give each region a name of its own".into())?;
        rule(masters == 1, "regions", || format!("mark exactly one region as master; {masters} are marked"))?;
        rule(names.contains(self.region.as_str()), "region", || format!("write one of {names:?}"))?;
        rule(self.regions.len() == 1, "regions", || "a tenant on a volume has one region".into())
    }

    fn check_listen(&self) -> Result<(), ConfigError> {
        rule(self.listen.tls.is_some() || self.listen.api.ip().is_loopback(), "listen.tls", || {
            "give a certificate and key, or listen on a loopback address".into()
        })
    }

    fn check_classes(&self) -> Result<(), ConfigError> {
        let names: BTreeSet<&str> = self.classes_of_service.iter().map(|class| class.name.as_str()).collect();
        rule(names.len() == self.classes_of_service.len(), "classesOfService", || {
            "give each class a name of its own".into()
        })?;
        self.classes_of_service.iter().try_for_each(check_class)
    }
}

fn check_class(class: &ClassOfService) -> Result<(), ConfigError> {
    let within = |value: u32, least: u32, most: u32| (least..=most).contains(&value);
    rule(within(class.max_messages, 1, 1_000), "classesOfService.maxMessages", || "write 1 to 1000".into())?;
    rule(within(class.max_seconds, 1, 3_600), "classesOfService.maxSeconds", || "write 1 to 3600".into())?;
    rule(within(class.retention_days, 1, 3_650), "classesOfService.retentionDays", || {
        "write 1 to 3650".into()
    })?;
    rule(within(class.trash_hours, 0, 720), "classesOfService.trashHours", || "write 0 to 720".into())
}
