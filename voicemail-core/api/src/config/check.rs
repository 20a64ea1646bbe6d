//! The rules that the types of a [`TenantConfig`] can't express, each with a sentence that says what to write.
//!
//! Pure: nothing is read from disk here, so that the operator can check what it is about to write.

use super::{
    AzureBlobConfig, ClassOfService, KeepFree, MwiConfig, NumberPrefix, PeersConfig, ReceptionConfig,
    S3Algorithm, S3Config, StorageConfig, TenantConfig, WebhookConfig,
};
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
        /// The rule that the value must follow.
        rule: String,
    },
    /// Which tenant of its cluster the core serves for can't be read.
    #[error("the file holder.json beside the configuration can't be read: {0}")]
    Holder(#[source] std::io::Error),
}

pub(super) fn rule(ok: bool, field: &'static str, text: impl FnOnce() -> String) -> Result<(), ConfigError> {
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
        self.number_prefixes.iter().try_for_each(check_prefix)?;
        self.check_withheld()?;
        check_mwi(&self.mwi)?;
        check_reception(&self.reception)?;
        super::check_access::check_access(self)?;
        super::telemetry::check_telemetry(&self.telemetry)?;
        super::web::check_web(self)?;
        super::email::check_email(self)?;
        self.peers.iter().try_for_each(check_peers)?;
        rule((16..=4096).contains(&self.upload_buffer_mib), "uploadBufferMib", || "write 16 to 4096".into())?;
        rule((4..=1024).contains(&self.store_calls), "storeCalls", || "write 4 to 1024".into())?;
        rule(
            (1..=1_000_000).contains(&self.gdpr.approval.large_matches),
            "gdpr.approval.largeMatches",
            || "write 1 to 1000000".into(),
        )?;
        for (name, window) in [
            ("gdpr.undoWindow", self.gdpr.undo_window),
            ("gdpr.leastUndoWindow", self.gdpr.least_undo_window),
        ] {
            rule(window.as_secs() <= MAX_WINDOW_SECONDS, name, || "write at most 30d".into())?;
        }
        Ok(())
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
        let on_volume =
            self.regions.iter().any(|region| matches!(region.storage, StorageConfig::Volume { .. }));
        rule(!on_volume || self.regions.len() == 1, "regions", || {
            "a tenant on a volume has one region; several regions need object stores".into()
        })?;
        let places: BTreeSet<String> = self.regions.iter().map(|region| region.storage.place()).collect();
        rule(places.len() == self.regions.len(), "regions", || {
            "give each region a bucket, container or folder of its own".into()
        })?;
        self.regions.iter().try_for_each(|region| check_storage(&region.storage))
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

fn check_mwi(mwi: &MwiConfig) -> Result<(), ConfigError> {
    let lifetime = mwi.stream_lifetime.as_secs();
    rule((60..=86_400).contains(&lifetime), "mwi.streamLifetime", || "write 1m to 24h".into())?;
    let period = mwi.reconcile_every.map_or(1, |period| period.as_secs());
    rule((1..=3_600).contains(&period), "mwi.reconcileEvery", || "write 1s to 1h".into())?;
    check_receivers(&mwi.webhooks)
}

/// Receivers that one core delivers to, at most.
const MOST_RECEIVERS: usize = 16;

fn check_receivers(receivers: &[WebhookConfig]) -> Result<(), ConfigError> {
    rule(receivers.len() <= MOST_RECEIVERS, "mwi.webhooks", || {
        format!("name at most {MOST_RECEIVERS} receivers")
    })?;
    let names: BTreeSet<&str> = receivers.iter().map(|receiver| receiver.name.as_str()).collect();
    rule(names.len() == receivers.len(), "mwi.webhooks", || "give each receiver a name of its own".into())?;
    let plain = |name: &str| {
        (1..=56).contains(&name.len())
            && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
    };
    rule(names.iter().all(|name| plain(name)), "mwi.webhooks.name", || {
        "write 1 to 56 lower-case letters, digits and dashes".into()
    })?;
    let secure = |receiver: &WebhookConfig| {
        receiver.url.len() <= 2_048 && receiver.url.starts_with("https://") && receiver.url.len() > 8
    };
    rule(receivers.iter().all(secure), "mwi.webhooks.url", || "write a URL that begins with https://".into())
}

/// The rules of what is usual when mailboxes receive callers, and of what one of them prefers.
///
/// # Errors
/// The first rule that is broken.
pub fn check_reception(reception: &ReceptionConfig) -> Result<(), ConfigError> {
    let dialable =
        |text: &String| (1..=128).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic());
    rule(reception.opt_out.as_ref().is_none_or(dialable), "reception.optOut", || {
        "write a number or an address of at most 128 visible ASCII characters without spaces".into()
    })?;
    rule(reception.language.as_deref().is_none_or(is_language_tag), "reception.language", || {
        "write a language tag such as en-GB".into()
    })?;
    let known = |name: &String| jiff::tz::TimeZone::get(name).is_ok();
    rule(reception.time_zone.as_ref().is_none_or(known), "reception.timeZone", || {
        "write an IANA name such as Europe/London".into()
    })
}

/// Whether it has the form of a language tag, such as `de` or `en-GB` (RFC 5646).
pub fn is_language_tag(text: &str) -> bool {
    let mut parts = text.split('-');
    let plain = |part: &str| (1..=8).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_alphanumeric());
    let language = parts.next().unwrap_or_default();
    (2..=3).contains(&language.len())
        && language.bytes().all(|b| b.is_ascii_alphabetic())
        && text.len() <= 35
        && parts.all(plain)
}

fn check_peers(peers: &PeersConfig) -> Result<(), ConfigError> {
    let parts = peers.service.rsplit_once(':');
    let good =
        parts.is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok_and(|port| port > 0));
    rule(good, "peers.service", || "write a host and a port, such as acme-voicemail-headless:9091".into())
}

fn check_prefix(given: &NumberPrefix) -> Result<(), ConfigError> {
    let is_digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    rule(
        (1..=15).contains(&given.prefix.len()) && is_digits(&given.prefix),
        "numberPrefixes.prefix",
        || "write 1 to 15 digits".into(),
    )?;
    let new = given.replace_with.strip_prefix('+').unwrap_or(&given.replace_with);
    rule(new.len() <= 15 && is_digits(new), "numberPrefixes.replaceWith", || {
        "write at most 15 digits, with a plus in front if they are international".into()
    })?;
    let digits = given.digits.unwrap_or(15);
    rule((1..=15).contains(&digits), "numberPrefixes.digits", || "write 1 to 15".into())
}

impl TenantConfig {
    /// The form of what stands for nobody; whether it is a number of a plan is checked by whoever knows the plans.
    fn check_withheld(&self) -> Result<(), ConfigError> {
        let given = &self.withheld_callers;
        rule(given.len() <= 100, "withheldCallers", || "name at most 100".into())?;
        let sized = |text: &String| (1..=64).contains(&text.len()) && !text.trim().is_empty();
        rule(given.iter().all(sized), "withheldCallers", || "write 1 to 64 bytes each".into())?;
        let wordy = |text: &String| text.chars().any(char::is_alphanumeric) && !text.contains('@');
        rule(given.iter().all(wordy), "withheldCallers", || {
            "write words or digits, and no addresses".into()
        })?;
        Ok(())
    }
}

fn check_storage(storage: &StorageConfig) -> Result<(), ConfigError> {
    let (prefix, endpoint) = match storage {
        StorageConfig::Volume { keep_free, .. } => return check_keep_free(*keep_free),
        StorageConfig::AzureBlob(azure) => {
            check_azure(azure)?;
            (&azure.prefix, &azure.endpoint)
        }
        StorageConfig::S3(s3) => {
            check_s3(s3)?;
            (&s3.prefix, &s3.endpoint)
        }
    };
    let plain = |segment: &str| {
        !matches!(segment, "" | "." | "..")
            && segment.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'))
    };
    rule(
        prefix.as_ref().is_none_or(|prefix| prefix.split('/').all(plain)),
        "regions.storage.prefix",
        || "write folders of letters, digits, dots, dashes and underscores, such as voicemail/acme".into(),
    )?;
    let is_http = |url: &String| url.starts_with("https://") || url.starts_with("http://");
    rule(endpoint.as_ref().is_none_or(is_http), "regions.storage.endpoint", || {
        "write a URL that begins with https:// (or http:// for a server in the same cluster)".into()
    })
}

fn check_azure(azure: &AzureBlobConfig) -> Result<(), ConfigError> {
    let Some(given) = &azure.encryption else { return Ok(()) };
    rule(
        given.scope.is_some() != given.customer_key_file.is_some(),
        "regions.storage.azureBlob.encryption",
        || "write exactly one of scope and customerKeyFile".into(),
    )?;
    let plain = |scope: &String| {
        (3..=63).contains(&scope.len()) && scope.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
    };
    rule(given.scope.as_ref().is_none_or(plain), "regions.storage.azureBlob.encryption.scope", || {
        "write the scope's name: 3 to 63 letters, digits and dashes".into()
    })?;
    let secure = azure.endpoint.as_ref().is_none_or(|url| url.starts_with("https://"));
    rule(given.customer_key_file.is_none() || secure, "regions.storage.azureBlob.endpoint", || {
        "write https://: a customer's key goes with each request".into()
    })
}

fn check_s3(s3: &S3Config) -> Result<(), ConfigError> {
    let is_url = |url: &String| url.starts_with("https://") || url.starts_with("http://");
    rule(s3.sts_endpoint.as_ref().is_none_or(is_url), "regions.storage.s3.stsEndpoint", || {
        "write a URL that begins with https://".into()
    })?;
    if let Some(asked) = &s3.encryption {
        rule(
            asked.kms_key_id.is_none() || asked.algorithm == S3Algorithm::Kms,
            "regions.storage.s3.encryption.kmsKeyID",
            || "leave it out, or write algorithm: KMS".into(),
        )?;
        let plain = |id: &String| (1..=2_048).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_graphic());
        rule(asked.kms_key_id.as_ref().is_none_or(plain), "regions.storage.s3.encryption.kmsKeyID", || {
            "write the key's id, alias or ARN".into()
        })?;
    }
    let days = s3.restore_archived.map_or(1, |asked| asked.days);
    rule((1..=365).contains(&days), "regions.storage.s3.restoreArchived.days", || "write 1 to 365".into())
}

fn check_keep_free(keep: KeepFree) -> Result<(), ConfigError> {
    let (mebibytes, percent) = (1..=1_048_576, 1..=50);
    rule(mebibytes.contains(&keep.mebibytes), "regions.storage.volume.keepFree.mebibytes", || {
        "write 1 to 1048576".into()
    })?;
    rule(percent.contains(&keep.percent), "regions.storage.volume.keepFree.percent", || {
        "write 1 to 50".into()
    })
}

fn check_class(class: &ClassOfService) -> Result<(), ConfigError> {
    let within = |value: u32, least: u32, most: u32| (least..=most).contains(&value);
    rule(within(class.max_messages, 1, 1_000), "classesOfService.maxMessages", || "write 1 to 1000".into())?;
    rule(within(class.max_seconds, 1, 3_600), "classesOfService.maxSeconds", || "write 1 to 3600".into())?;
    rule(within(class.min_seconds, 0, 60), "classesOfService.minSeconds", || "write 0 to 60".into())?;
    let quota = class.quota_seconds.unwrap_or(class.max_seconds);
    rule(within(quota, class.max_seconds, 3_600_000), "classesOfService.quotaSeconds", || {
        "write at least maxSeconds and at most 3600000".into()
    })?;
    rule(within(class.retention_days, 1, 3_650), "classesOfService.retentionDays", || {
        "write 1 to 3650".into()
    })?;
    rule(within(class.trash_hours, 0, 720), "classesOfService.trashHours", || "write 0 to 720".into())?;
    let longest = u32::from(ClassOfService::LONGEST_DIGEST);
    let digest = class.email_digest_minutes.unwrap_or(longest);
    rule(within(digest, 1, longest), "classesOfService.emailDigestMinutes", || {
        format!("write 1 to {longest}, or leave it out")
    })
}
