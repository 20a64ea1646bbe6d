//! A core's configuration file: read, and checked by all rules, also those that need the numbering plans.

use std::path::Path;
use voicemail_api::config::{ConfigError, TenantConfig};
use voicemail_model::check_withheld_callers;

/// A configuration as its text says.
///
/// # Errors
/// The first rule that is broken.
pub fn parse(text: &str) -> Result<TenantConfig, ConfigError> {
    checked(TenantConfig::parse(text)?)
}

/// A configuration as its text says, with what stands beside the file that the text is from.
///
/// # Errors
/// The first rule that is broken.
pub fn parse_of(file: &Path, text: &str) -> Result<TenantConfig, ConfigError> {
    checked(TenantConfig::parse_of(file, text)?)
}

fn checked(config: TenantConfig) -> Result<TenantConfig, ConfigError> {
    check_withheld_callers(&config)?;
    Ok(config)
}
