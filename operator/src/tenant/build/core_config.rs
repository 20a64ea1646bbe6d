//! From a tenant's spec to the core's configuration, the one type that both sides share. Pure.
//!
//! The paths are those at which the Deployment mounts things.

use crate::settings::Settings;
use crate::tenant::build::access::{ca_file, plan_audit, plan_auth, plan_limits};
use crate::tenant::build::names::peers_name;
use crate::tenant::build::service::{API_PORT, HINTS_PORT, METRICS_PORT};
use crate::tenant::build::volumes::{DATA_DIR, KEYS_DIR, LEDGER_DIR, TLS_DIR};
use crate::tenant::facts::credentials::folder;
use crate::tenant::steps::refusal::Refusal;
use kube::ResourceExt;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use voicemail_api::config::{
    ApprovalConfig, ApprovalRule, AzureBlobConfig, AzureCredentials, CallerTagging, ClassOfService,
    EtagQuoting, GdprConfig, KeepFree, ListenConfig, MwiConfig, NumberPrefix, OtlpConfig, PeersConfig,
    ReceptionConfig, RegionConfig, RegionDown, S3Config, S3Credentials, StorageConfig, TelemetryConfig,
    TenantConfig, TlsConfig, parse_duration,
};
use voicemail_api::gdpr::LEDGER_HEAD;
use voicemail_resources::voicemail_tenant::{self as given, Region, StorageKind, VoicemailTenant};

/// MiB, as the core's own default.
const DEFAULT_UPLOAD_BUFFER: u32 = 64;
/// Percent, as the core's own default.
const ALL_TRACES: u8 = 100;

/// Writes the configuration and checks the core's own rules.
///
/// # Errors
/// [`Refusal::InvalidSpec`] names the field.
pub fn plan_config(
    tenant: &VoicemailTenant,
    settings: &Settings,
    cluster: &str,
) -> Result<TenantConfig, Refusal> {
    let spec = &tenant.spec;
    let everywhere = |port: u16| SocketAddr::from((Ipv4Addr::UNSPECIFIED, port));
    let tls = TlsConfig {
        certificate: Path::new(TLS_DIR).join("tls.crt"),
        key: Path::new(TLS_DIR).join("tls.key"),
    };
    let config = TenantConfig {
        tenant_id: spec.tenant_id.clone(),
        cluster: cluster.into(),
        // Beside the configuration: see the ConfigMap.
        holder: None,
        region: spec.region.clone(),
        regions: spec.regions.iter().map(plan_region).collect::<Result<_, _>>()?,
        keys_dir: PathBuf::from(KEYS_DIR),
        listen: ListenConfig { api: everywhere(API_PORT), metrics: everywhere(METRICS_PORT), tls: Some(tls) },
        auth: plan_auth(tenant, settings)?,
        classes_of_service: spec.classes_of_service.iter().map(plan_class).collect(),
        default_number_region: spec.numbers.default_region.clone(),
        number_prefixes: spec.numbers.prefixes.iter().map(plan_prefix).collect(),
        withheld_callers: spec.numbers.withheld.clone(),
        caller_tag: match spec.numbers.caller_tag {
            given::CallerTag::E164 => CallerTagging::E164,
            given::CallerTag::Hash => CallerTagging::Hash,
        },
        upload_buffer_mib: plan_upload_buffer(tenant),
        gdpr: plan_gdpr(tenant)?,
        mwi: MwiConfig::default(),
        reception: spec.reception.as_ref().map(plan_reception).unwrap_or_default(),
        peers: Some(PeersConfig {
            listen: everywhere(HINTS_PORT),
            service: format!("{}:{HINTS_PORT}", peers_name(&tenant.name_any())),
        }),
        browser_origins: spec.browser.iter().flat_map(|browser| browser.origins.clone()).collect(),
        limits: plan_limits(tenant)?,
        audit: plan_audit(tenant)?,
        telemetry: spec.telemetry.as_ref().map(plan_telemetry).unwrap_or_default(),
        web: None,
    };
    config.check()?;
    Ok(config)
}

fn plan_telemetry(given: &given::Telemetry) -> TelemetryConfig {
    let otlp = given.otlp.as_ref().map(|otlp| OtlpConfig {
        endpoint: otlp.endpoint.clone(),
        ca_file: otlp.ca.as_ref().map(ca_file),
        sample_percent: otlp
            .sample_percent
            .and_then(|percent| u8::try_from(percent).ok())
            .unwrap_or(ALL_TRACES),
    });
    TelemetryConfig { otlp }
}

fn plan_region(region: &Region) -> Result<RegionConfig, Refusal> {
    let incomplete = || {
        Refusal::InvalidSpec(format!(
            "regions: {} needs one storage with one kind of credentials",
            region.name
        ))
    };
    let storage = match region.storage.kind().ok_or_else(incomplete)? {
        StorageKind::Volume(volume) => StorageConfig::Volume {
            path: PathBuf::from(DATA_DIR),
            keep_free: volume.keep_free.as_ref().map(plan_keep_free).unwrap_or_default(),
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
        }),
    };
    Ok(RegionConfig { name: region.name.clone(), master: region.master, storage })
}

fn plan_keep_free(given: &given::KeepFree) -> KeepFree {
    let usual = KeepFree::default();
    KeepFree {
        mebibytes: given.mebibytes.map_or(usual.mebibytes, i32::unsigned_abs),
        percent: given.percent.map_or(usual.percent, i32::unsigned_abs),
    }
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

fn plan_upload_buffer(tenant: &VoicemailTenant) -> u32 {
    let given = tenant.spec.resources.as_ref().and_then(|resources| resources.upload_buffer_mib);
    given.map_or(DEFAULT_UPLOAD_BUFFER, i32::unsigned_abs)
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
    }
}

fn plan_reception(reception: &given::Reception) -> ReceptionConfig {
    ReceptionConfig {
        opt_out: reception.opt_out.clone(),
        language: reception.language.clone(),
        time_zone: reception.time_zone.clone(),
    }
}

fn plan_gdpr(tenant: &VoicemailTenant) -> Result<GdprConfig, Refusal> {
    let expected_head = Some(Path::new(LEDGER_DIR).join(LEDGER_HEAD));
    let mut config = GdprConfig { expected_head, ..GdprConfig::default() };
    let Some(gdpr) = &tenant.spec.gdpr else { return Ok(config) };
    let read = |field: &str, text: &str| {
        parse_duration(text).map_err(|error| Refusal::InvalidSpec(format!("gdpr.{field}: {error}")))
    };
    if let Some(text) = &gdpr.undo_window {
        config.undo_window = read("undoWindow", text)?;
    }
    if let Some(text) = &gdpr.export_lifetime {
        config.export_lifetime = read("exportLifetime", text)?;
    }
    if let Some(text) = &gdpr.backup_retention {
        config.backup_retention = read("backupRetention", text)?;
    }
    config.approval = gdpr.approval.as_ref().map(plan_approval).unwrap_or_default();
    config.region_down = match gdpr.region_down {
        None | Some(given::RegionDown::Refuse) => RegionDown::Refuse,
        Some(given::RegionDown::MarkAndRetry) => RegionDown::MarkAndRetry,
    };
    Ok(config)
}

fn plan_approval(given: &given::Approval) -> ApprovalConfig {
    let large_matches = given.large_matches.map(i32::unsigned_abs);
    ApprovalConfig {
        required: match given.required {
            given::ApprovalRule::Never => ApprovalRule::Never,
            given::ApprovalRule::Large => ApprovalRule::Large,
            given::ApprovalRule::Always => ApprovalRule::Always,
        },
        large_matches: large_matches.unwrap_or(ApprovalConfig::default().large_matches),
    }
}
