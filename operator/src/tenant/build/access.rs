//! Who may call, and how much, from a tenant's spec to the core's configuration; and the Secrets that this takes. Pure.
//!
//! The operator's own service account is added with the roles that it needs, but only for tokens whose audience is
//! this tenant's UID: a token captured in one tenant opens no other.
//!
//! Secrets are mounted as optional: a missing one holds up no pod, and a client that needs it is told to try again
//! until kubelet brings it.

use crate::settings::Settings;
use crate::tenant::steps::refusal::Refusal;
use kube::ResourceExt;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;
use voicemail_api::config::{
    AddressRange, AuditConfig, AuthConfig, BasicConfig, IntrospectionConfig, IssuerConfig, KubernetesIssuer,
    LimitsConfig, Role, ServiceAccountRole, TokenAlgorithm, parse_duration,
};
use voicemail_resources::SecretSource;
use voicemail_resources::voicemail_tenant::{self as given, VoicemailTenant};

const TOKEN_DIR: &str = "/var/run/secrets/kubernetes.io/serviceaccount";
/// Folder with a folder for each Secret with a CA.
pub const TRUST_DIR: &str = "/etc/voicemail/trust";
/// Folder with what the introspection endpoint is asked by.
pub const INTROSPECTION_DIR: &str = "/etc/voicemail/introspection";
/// Folder with the file of users.
pub const BASIC_DIR: &str = "/etc/voicemail/basic";
/// Keys of the introspection's Secret.
pub const INTROSPECTION_KEYS: [&str; 2] = ["clientId", "clientSecret"];
/// Key of the Secret with users.
pub const USERS_KEY: &str = "users";
/// Key of a Secret with a CA.
pub const CA_KEY: &str = "ca.crt";

const DEFAULT_SKEW: Duration = Duration::from_secs(30);
const LONGEST_CACHE: Duration = Duration::from_secs(60);

/// The Secrets that are mounted for it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AccessPlan {
    /// Secret with the client credentials for the introspection endpoint.
    pub introspection: Option<String>,
    /// Users with passwords.
    pub basic: Option<String>,
    /// CAs of issuers, of the introspection endpoint and of the collector of spans.
    pub trust: BTreeSet<String>,
}

/// Which Secrets to mount.
pub fn plan_access(tenant: &VoicemailTenant) -> AccessPlan {
    let auth = &tenant.spec.auth;
    let authorities = auth.issuers.iter().filter_map(|issuer| issuer.ca.as_ref());
    let authorities = authorities.chain(auth.introspection.iter().filter_map(|given| given.ca.as_ref()));
    let collector = tenant.spec.telemetry.as_ref().and_then(|given| given.otlp.as_ref());
    let authorities = authorities.chain(collector.and_then(|otlp| otlp.ca.as_ref()));
    AccessPlan {
        introspection: auth.introspection.as_ref().map(|given| given.secret.name.clone()),
        basic: auth.basic.as_ref().map(|given| given.secret.name.clone()),
        trust: authorities.map(|ca| ca.secret.name.clone()).collect(),
    }
}

/// Where the CA of a Secret is mounted.
pub fn ca_file(ca: &SecretSource) -> PathBuf {
    Path::new(TRUST_DIR).join(&ca.secret.name).join(CA_KEY)
}

fn read_duration(field: &str, text: Option<&String>) -> Result<Option<Duration>, Refusal> {
    let read = |text: &String| {
        parse_duration(text).map_err(|error| Refusal::InvalidSpec(format!("{field}: {error}")))
    };
    text.map(read).transpose()
}

/// Who may call.
///
/// # Errors
/// [`Refusal::InvalidSpec`] names the field.
pub fn plan_auth(tenant: &VoicemailTenant, settings: &Settings) -> Result<AuthConfig, Refusal> {
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
    Ok(AuthConfig {
        kubernetes: Some(kubernetes),
        issuers: spec.issuers.iter().map(plan_issuer).collect::<Result<_, _>>()?,
        introspection: spec.introspection.as_ref().map(plan_introspection).transpose()?,
        basic: spec.basic.as_ref().map(|_| BasicConfig { users_file: Path::new(BASIC_DIR).join(USERS_KEY) }),
    })
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

fn plan_issuer(issuer: &given::Issuer) -> Result<IssuerConfig, Refusal> {
    let skew = read_duration("auth.issuers.clockSkew", issuer.clock_skew.as_ref())?;
    Ok(IssuerConfig {
        issuer: issuer.issuer.clone(),
        audience: issuer.audience.clone(),
        jwks_uri: issuer.jwks_uri.clone(),
        ca_file: issuer.ca.as_ref().map(ca_file),
        user_claim: issuer.user_claim.clone(),
        user_prefix: None,
        roles_claim: issuer.roles_claim.clone(),
        role_map: issuer.role_map.iter().map(|(value, role)| (value.clone(), plan_role(*role))).collect(),
        algorithms: issuer.algorithms.iter().copied().map(plan_algorithm).collect(),
        clock_skew: skew.unwrap_or(DEFAULT_SKEW),
    })
}

fn plan_role(role: given::Role) -> Role {
    match role {
        given::Role::Telephony => Role::Telephony,
        given::Role::Agent => Role::Agent,
        given::Role::Admin => Role::Admin,
        given::Role::Privacy => Role::Privacy,
    }
}

fn plan_introspection(given: &given::Introspection) -> Result<IntrospectionConfig, Refusal> {
    let folder = PathBuf::from(INTROSPECTION_DIR);
    let [id, secret] = INTROSPECTION_KEYS.map(|key| folder.join(key));
    Ok(IntrospectionConfig {
        endpoint: given.endpoint.clone(),
        client_id_file: id,
        client_secret_file: secret,
        ca_file: given.ca.as_ref().map(ca_file),
        audience: given.audience.clone(),
        user_claim: given.user_claim.clone(),
        user_prefix: None,
        roles_claim: given.roles_claim.clone(),
        role_map: given.role_map.iter().map(|(value, role)| (value.clone(), plan_looked_up(*role))).collect(),
        cache: read_duration("auth.introspection.cache", given.cache.as_ref())?.unwrap_or(LONGEST_CACHE),
    })
}

fn plan_looked_up(role: given::LookedUpRole) -> Role {
    match role {
        given::LookedUpRole::Telephony => Role::Telephony,
        given::LookedUpRole::Agent => Role::Agent,
        given::LookedUpRole::Admin => Role::Admin,
    }
}

fn plan_algorithm(algorithm: given::Algorithm) -> TokenAlgorithm {
    match algorithm {
        given::Algorithm::RS256 => TokenAlgorithm::RS256,
        given::Algorithm::RS384 => TokenAlgorithm::RS384,
        given::Algorithm::RS512 => TokenAlgorithm::RS512,
        given::Algorithm::PS256 => TokenAlgorithm::PS256,
        given::Algorithm::PS384 => TokenAlgorithm::PS384,
        given::Algorithm::PS512 => TokenAlgorithm::PS512,
        given::Algorithm::ES256 => TokenAlgorithm::ES256,
        given::Algorithm::ES384 => TokenAlgorithm::ES384,
        given::Algorithm::EdDSA => TokenAlgorithm::EdDSA,
    }
}

/// How much one client may take.
///
/// # Errors
/// [`Refusal::InvalidSpec`] for an address that isn't one.
pub fn plan_limits(tenant: &VoicemailTenant) -> Result<LimitsConfig, Refusal> {
    let plain = LimitsConfig::default();
    let Some(given) = &tenant.spec.limits else { return Ok(plain) };
    let or = |given: Option<i32>, default: u32| given.map_or(default, i32::unsigned_abs);
    let connections = or(given.connections, plain.connections);
    let address = |text: &String| {
        let invalid = |words| Refusal::InvalidSpec(format!("limits.sharedAddresses: {text}: {words}"));
        text.parse::<AddressRange>().map_err(invalid)
    };
    Ok(LimitsConfig {
        connections,
        connections_per_address: or(given.connections_per_address, (connections / 2).max(1)),
        header_time: plain.header_time,
        requests_per_address: or(given.requests_per_address, plain.requests_per_address),
        requests_per_caller: or(given.requests_per_caller, plain.requests_per_caller),
        refusals_per_address: or(given.refusals_per_address, plain.refusals_per_address),
        shared_addresses: given.shared_addresses.iter().map(address).collect::<Result<_, _>>()?,
    })
}

/// How long it is remembered who did what.
///
/// # Errors
/// [`Refusal::InvalidSpec`].
pub fn plan_audit(tenant: &VoicemailTenant) -> Result<AuditConfig, Refusal> {
    let given = tenant.spec.audit.as_ref().and_then(|audit| audit.retention.as_ref());
    let retention = read_duration("audit.retention", given)?;
    Ok(retention.map_or_else(AuditConfig::default, |retention| AuditConfig { retention }))
}
