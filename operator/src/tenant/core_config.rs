//! From a tenant's spec to the core's configuration, the one type that both sides share. Pure.
//!
//! The paths are those at which the Deployment mounts things. The operator's own service account is added
//! with the roles that it needs, but only for tokens whose audience is this tenant's UID: a token captured
//! in one tenant opens no other.

use super::build::names::peers_name;
use super::build::service::{API_PORT, HINTS_PORT, METRICS_PORT};
use super::build::volumes::{DATA_DIR, KEYS_DIR, TLS_DIR};
use super::credentials::folder;
use super::refusal::Refusal;
use crate::api::voicemail_tenant::{self as given, Region, StorageKind, VoicemailTenant};
use crate::settings::Settings;
use kube::ResourceExt;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use voicemail_core::config::{
    AuthConfig, AzureBlobConfig, AzureCredentials, CallerTagging, ClassOfService, EtagQuoting, GdprConfig,
    IssuerConfig, KubernetesIssuer, ListenConfig, MwiConfig, NumberPrefix, PeersConfig, ReceptionConfig,
    RegionConfig, Role, S3Config, S3Credentials, ServiceAccountRole, StorageConfig, TenantConfig, TlsConfig,
    parse_duration,
};

/// MiB, as the core's own default.
const DEFAULT_UPLOAD_BUFFER: u32 = 64;
const TOKEN_DIR: &str = "/var/run/secrets/kubernetes.io/serviceaccount";

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
        region: spec.region.clone(),
        regions: spec.regions.iter().map(plan_region).collect::<Result<_, _>>()?,
        keys_dir: PathBuf::from(KEYS_DIR),
        listen: ListenConfig { api: everywhere(API_PORT), metrics: everywhere(METRICS_PORT), tls: Some(tls) },
        auth: plan_auth(tenant, settings),
        classes_of_service: spec.classes_of_service.iter().map(plan_class).collect(),
        default_number_region: spec.numbers.default_region.clone(),
        number_prefixes: spec.numbers.prefixes.iter().map(plan_prefix).collect(),
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
    };
    config.check()?;
    Ok(config)
}

fn plan_region(region: &Region) -> Result<RegionConfig, Refusal> {
    let incomplete = || {
        Refusal::InvalidSpec(format!(
            "regions: {} needs one storage with one kind of credentials",
            region.name
        ))
    };
    let storage = match region.storage.kind().ok_or_else(incomplete)? {
        StorageKind::Volume(_) => StorageConfig::Volume { path: PathBuf::from(DATA_DIR) },
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
    let mut config = GdprConfig::default();
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
    Ok(config)
}

fn plan_auth(tenant: &VoicemailTenant, settings: &Settings) -> AuthConfig {
    let uid = tenant.uid().unwrap_or_default();
    let spec = &tenant.spec.auth;
    let operator = ServiceAccountRole {
        namespace: settings.namespace.clone(),
        name: settings.service_account.clone(),
        roles: vec![Role::Privacy, Role::Admin],
        user: None,
        audience: Some(uid.clone()),
    };
    let given = spec.service_accounts.iter().map(plan_account);
    let kubernetes = KubernetesIssuer {
        api_server: "https://kubernetes.default.svc".into(),
        ca_file: Path::new(TOKEN_DIR).join("ca.crt"),
        token_file: Path::new(TOKEN_DIR).join("token"),
        audiences: vec![tenant.spec.tenant_id.clone(), uid],
        service_accounts: given.chain([operator]).collect(),
    };
    AuthConfig { kubernetes: Some(kubernetes), issuers: spec.issuers.iter().map(plan_issuer).collect() }
}

fn plan_account(account: &given::ServiceAccount) -> ServiceAccountRole {
    let is_agent = account.roles.contains(&given::Role::Agent);
    ServiceAccountRole {
        namespace: account.namespace.clone(),
        name: account.name.clone(),
        roles: account.roles.iter().copied().map(plan_role).collect(),
        user: account.user.clone().or_else(|| is_agent.then(|| account.name.clone())),
        audience: None,
    }
}

fn plan_issuer(issuer: &given::Issuer) -> IssuerConfig {
    IssuerConfig {
        issuer: issuer.issuer.clone(),
        audience: issuer.audience.clone(),
        jwks_uri: issuer.jwks_uri.clone(),
        ca_file: None,
        user_claim: issuer.user_claim.clone(),
        roles_claim: issuer.roles_claim.clone(),
        role_map: issuer.role_map.iter().map(|(value, role)| (value.clone(), plan_role(*role))).collect(),
    }
}

fn plan_role(role: given::Role) -> Role {
    match role {
        given::Role::Telephony => Role::Telephony,
        given::Role::Agent => Role::Agent,
        given::Role::Admin => Role::Admin,
        given::Role::Privacy => Role::Privacy,
    }
}
