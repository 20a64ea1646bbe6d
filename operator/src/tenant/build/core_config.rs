//! From a tenant's spec to the core's configuration, the one type that both sides share. Pure.
//!
//! The paths are those at which the Deployment mounts things.

use crate::settings::Settings;
use crate::tenant::build::access::{
    CUSTOMER_KEY, CUSTOMER_KEYS_DIR, ca_file, days, plan_audit, plan_auth, plan_email, plan_limits, plan_mwi,
    read_wait,
};
use crate::tenant::build::names::headless_name;
use crate::tenant::build::service::{API_PORT, HINTS_PORT, METRICS_PORT};
use crate::tenant::build::volumes::{DATA_DIR, KEYS_DIR, LEDGER_DIR, TLS_DIR};
use crate::tenant::build::web::plan_web;
use crate::tenant::facts::credentials::folder;
use crate::tenant::steps::refusal::Refusal;
use kube::ResourceExt;
use std::path::{Path, PathBuf};
use voicemail_api::config::{
    ApprovalConfig, ApprovalRule, AzureBlobConfig, AzureCredentials, AzureEncryption, AzureRestoration,
    AzureTier, CallerTagging, ClassOfService, DirectoryAccess, EmailContent, EtagQuoting, GdprConfig,
    KeepFree, ListenConfig, NumberPrefix, OtlpConfig, PeersConfig, ReceptionConfig, RegionConfig, RegionDown,
    S3Algorithm, S3Config, S3Credentials, S3Encryption, S3Restoration, StorageConfig, TelemetryConfig,
    TenantConfig, TlsConfig,
};
use voicemail_api::gdpr::LEDGER_HEAD;
use voicemail_api::listen::everywhere;
use voicemail_resources::quantity::Amount;
use voicemail_resources::voicemail_tenant::{self as given, Region, StorageKind, VoicemailTenant};

/// Percent, as the core's own default.
const ALL_TRACES: u8 = 100;

/// Writes the configuration and checks the core's own rules. `has_telephone`: pods that take calls work with the core.
///
/// # Errors
/// [`Refusal::InvalidSpec`] names the field.
pub fn plan_config(
    tenant: &VoicemailTenant,
    settings: &Settings,
    cluster: &str,
    has_telephone: bool,
) -> Result<TenantConfig, Refusal> {
    let spec = &tenant.spec;
    let tls = TlsConfig {
        certificate: Path::new(TLS_DIR).join("tls.crt"),
        key: Path::new(TLS_DIR).join("tls.key"),
    };
    let mut config = TenantConfig {
        tenant_id: spec.tenant_id.clone(),
        cluster: cluster.into(),
        // Beside the configuration: see the ConfigMap.
        holder: None,
        region: spec.local_region.clone(),
        regions: spec
            .regions
            .iter()
            .map(|region| plan_region(region, &spec.primary_region))
            .collect::<Result<_, _>>()?,
        keys_dir: PathBuf::from(KEYS_DIR),
        listen: ListenConfig { api: everywhere(API_PORT), metrics: everywhere(METRICS_PORT), tls: Some(tls) },
        auth: plan_auth(tenant, settings, has_telephone)?,
        classes_of_service: spec.classes_of_service.iter().map(plan_class).collect(),
        default_number_region: spec.numbers.default_region.clone(),
        number_prefixes: spec.numbers.prefixes.iter().map(plan_prefix).collect(),
        withheld_callers: spec.numbers.withheld.clone(),
        caller_tag: match spec.numbers.caller_tag {
            given::CallerTag::E164 => CallerTagging::E164,
            given::CallerTag::Hash => CallerTagging::Hash,
        },
        upload_buffer_mib: read_mebibytes("uploadBuffer", &spec.upload_buffer)?,
        store_calls: spec.store_calls,
        gdpr: plan_gdpr(tenant)?,
        mwi: plan_mwi(tenant)?,
        directory: match spec.directory {
            given::Directory::Closed => DirectoryAccess::Closed,
            given::Directory::Open => DirectoryAccess::Open,
        },
        reception: spec.reception.as_ref().map(plan_reception).unwrap_or_default(),
        peers: Some(PeersConfig {
            listen: everywhere(HINTS_PORT),
            service: format!("{}:{HINTS_PORT}", headless_name(&tenant.name_any())),
        }),
        browser_origins: spec.cors.iter().flat_map(|cors| cors.allowed_origins.clone()).collect(),
        limits: plan_limits(tenant)?,
        audit: plan_audit(tenant),
        telemetry: spec.telemetry.as_ref().map(plan_telemetry).unwrap_or_default(),
        web: spec.web.as_ref().map(plan_web).transpose()?,
        email: spec.email.as_ref().map(plan_email),
    };
    config.leave_out_dead_links();
    config.check()?;
    Ok(config)
}

fn plan_content(given: given::EmailContent) -> EmailContent {
    match given {
        given::EmailContent::None => EmailContent::None,
        given::EmailContent::Note => EmailContent::Note,
        given::EmailContent::Caller => EmailContent::Caller,
        given::EmailContent::Link => EmailContent::Link,
        given::EmailContent::Audio => EmailContent::Audio,
    }
}

fn plan_telemetry(given: &given::Telemetry) -> TelemetryConfig {
    let otlp = given.otlp.as_ref().map(|otlp| OtlpConfig {
        endpoint: otlp.endpoint.clone(),
        ca_file: otlp.ca_ref.as_ref().map(ca_file),
        sample_percent: u8::try_from(otlp.sample_percent).unwrap_or(ALL_TRACES),
    });
    TelemetryConfig { otlp }
}

fn plan_region(region: &Region, primary: &str) -> Result<RegionConfig, Refusal> {
    let incomplete = || {
        Refusal::InvalidSpec(format!(
            "regions: {} needs one storage with one kind of credentials",
            region.name
        ))
    };
    let storage = match region.storage.kind().ok_or_else(incomplete)? {
        StorageKind::Volume(volume) => StorageConfig::Volume {
            path: PathBuf::from(DATA_DIR),
            keep_free: volume.keep_free.as_ref().map(plan_keep_free).transpose()?.unwrap_or_default(),
        },
        StorageKind::AzureBlob(azure) => StorageConfig::AzureBlob(AzureBlobConfig {
            account: azure.account.clone(),
            container: azure.container.clone(),
            prefix: azure.prefix.clone(),
            endpoint: azure.endpoint.clone(),
            credentials: match azure.credentials.workload_identity {
                Some(_) => AzureCredentials::WorkloadIdentity {},
                None => AzureCredentials::Files { dir: folder(&region.name) },
            },
            encryption: azure.encryption.as_ref().map(|given| AzureEncryption {
                scope: given.scope.clone(),
                customer_key_file: given
                    .customer_key_secret_ref
                    .as_ref()
                    .map(|_| Path::new(CUSTOMER_KEYS_DIR).join(&region.name).join(CUSTOMER_KEY)),
            }),
            restore_archived: azure.restore_archived.as_ref().map(|given| AzureRestoration {
                tier: match given.tier {
                    given::AzureTier::Hot => AzureTier::Hot,
                    given::AzureTier::Cool => AzureTier::Cool,
                    given::AzureTier::Cold => AzureTier::Cold,
                },
            }),
        }),
        StorageKind::S3(s3) => StorageConfig::S3(S3Config {
            bucket: s3.bucket.clone(),
            prefix: s3.prefix.clone(),
            region: s3.region.clone(),
            endpoint: s3.endpoint.clone(),
            etag_quoting: s3.etag_quoting.map(plan_quoting),
            credentials: match s3.credentials.web_identity {
                Some(_) => S3Credentials::WebIdentity {},
                None => S3Credentials::Files { dir: folder(&region.name) },
            },
            sts_endpoint: s3.sts_endpoint.clone(),
            encryption: s3.encryption.as_ref().map(plan_encryption),
            restore_archived: s3
                .restore_archived
                .as_ref()
                .map(|given| S3Restoration { days: given.days.unsigned_abs() }),
        }),
    };
    Ok(RegionConfig { name: region.name.clone(), master: region.name == primary, storage })
}

fn plan_encryption(given: &given::S3Encryption) -> S3Encryption {
    let algorithm = match given.algorithm {
        given::S3Algorithm::Aes256 => S3Algorithm::Aes256,
        given::S3Algorithm::Kms => S3Algorithm::Kms,
    };
    S3Encryption { algorithm, kms_key_id: given.kms_key_id.clone() }
}

fn plan_keep_free(given: &given::KeepFree) -> Result<KeepFree, Refusal> {
    Ok(KeepFree {
        mebibytes: read_mebibytes("regions.storage.volume.keepFree.size", &given.size)?,
        percent: given.percent.unsigned_abs(),
    })
}

fn read_mebibytes(field: &str, amount: &Amount) -> Result<u32, Refusal> {
    let fault = || Refusal::InvalidSpec(format!("{field}: write an amount of bytes, such as 64Mi"));
    amount.mebibytes().ok_or_else(fault)
}

fn plan_quoting(quoting: given::EtagQuoting) -> EtagQuoting {
    match quoting {
        given::EtagQuoting::Rfc => EtagQuoting::Rfc,
        given::EtagQuoting::Bare => EtagQuoting::Bare,
    }
}

fn plan_prefix(prefix: &given::NumberPrefix) -> NumberPrefix {
    NumberPrefix {
        prefix: prefix.prefix.clone(),
        replace_with: prefix.replace_with.clone(),
        digits: prefix.digits.map(i32::unsigned_abs),
    }
}

fn plan_class(class: &given::ClassOfService) -> ClassOfService {
    ClassOfService {
        name: class.name.clone(),
        max_messages: class.max_messages.unsigned_abs(),
        max_seconds: class.max_seconds.unsigned_abs(),
        min_seconds: class.min_seconds.unsigned_abs(),
        quota_seconds: class.quota_seconds.map(i32::unsigned_abs),
        retention_days: class.retention_days.unsigned_abs(),
        trash_hours: class.trash_hours.unsigned_abs(),
        email: plan_content(class.email),
        email_digest_minutes: class.email_digest_minutes.map(i32::unsigned_abs),
    }
}

fn plan_reception(reception: &given::Reception) -> ReceptionConfig {
    ReceptionConfig {
        opt_out: reception.opt_out.clone(),
        language: reception.language.clone(),
        // What the core takes where none is named.
        time_zone: Some(reception.time_zone.clone()).filter(|zone| zone != given::UTC),
    }
}

fn plan_gdpr(tenant: &VoicemailTenant) -> Result<GdprConfig, Refusal> {
    let expected_head = Some(Path::new(LEDGER_DIR).join(LEDGER_HEAD));
    let mut config = GdprConfig { expected_head, ..GdprConfig::default() };
    let Some(gdpr) = &tenant.spec.gdpr else { return Ok(config) };
    config.undo_window = read_wait("gdpr.undoWindow", &gdpr.undo_window)?;
    config.export_lifetime = read_wait("gdpr.exportLifetime", &gdpr.export_lifetime)?;
    config.backup_retention = days(gdpr.backup_retention_days);
    config.approval = gdpr.approval.as_ref().map(plan_approval).unwrap_or_default();
    config.region_down = match gdpr.region_down {
        given::RegionDown::Refuse => RegionDown::Refuse,
        given::RegionDown::MarkAndRetry => RegionDown::MarkAndRetry,
    };
    Ok(config)
}

fn plan_approval(given: &given::Approval) -> ApprovalConfig {
    let rule = |given| match given {
        given::ApprovalRule::Never => ApprovalRule::Never,
        given::ApprovalRule::LargeMatches => ApprovalRule::Large,
        given::ApprovalRule::Always => ApprovalRule::Always,
    };
    ApprovalConfig {
        required: rule(given.required),
        exports: rule(given.exports),
        large_matches: given.large_matches.unsigned_abs(),
    }
}
