//! Who may call, and how much, from a tenant's spec to the core's configuration; and the Secrets that this takes. Pure.
//!
//! The operator's own service account is added with the roles that it needs, but only for tokens whose audience is
//! this tenant's UID: a token captured in one tenant opens no other.
//!
//! Secrets are mounted as optional: a missing one holds up no pod, and a client that needs it is told to try again
//! until kubelet brings it.

use crate::settings::Settings;
use crate::tenant::build::web::login_secrets;
use crate::tenant::steps::refusal::Refusal;
use kube::ResourceExt;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;
use voicemail_api::config::{
    AddressRange, AuditConfig, AuthConfig, BasicConfig, EmailConfig, IdentityConfig, IntrospectionConfig,
    IssuerConfig, KubernetesIssuer, LimitsConfig, MwiConfig, Person, Role, ServiceAccountRole, SmtpConfig,
    SmtpTls, TokenAlgorithm, WebhookConfig,
};
use voicemail_cores::child_names::sip_name;
use voicemail_resources::references::{CaKind, CaRef};
use voicemail_resources::voicemail_tenant::{self as given, VoicemailTenant};
use voicemail_resources::waiting;

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
/// Folder with a folder for each receiver of MWI states.
pub const RECEIVERS_DIR: &str = "/etc/voicemail/receivers";
/// Folder with the login at the mail server.
pub const SMTP_DIR: &str = "/etc/voicemail/smtp";
/// Folder with the tenant's own words of e-mails.
pub const TEMPLATES_DIR: &str = "/etc/voicemail/email-templates";
/// Keys of its Secret.
pub const SMTP_KEYS: [&str; 2] = ["username", "password"];
/// Key of a receiver's Secret.
pub const RECEIVER_KEY: &str = "secret";
/// Folder with a folder for each region whose store is given a key of the customer's.
pub const CUSTOMER_KEYS_DIR: &str = "/etc/voicemail/customer-keys";
/// Key of the Secret with it.
pub const CUSTOMER_KEY: &str = "customerKey";
/// Key of a Secret with a CA.
pub const CA_KEY: &str = "ca.crt";

const DAY: u64 = 86_400;

/// The Secrets that are mounted for it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AccessPlan {
    /// Secret with the client credentials for the introspection endpoint.
    pub introspection: Option<String>,
    /// Users with passwords.
    pub basic: Option<String>,
    /// CAs of issuers, of the introspection endpoint, of the collector of spans, of receivers of MWI states and of the mail
    /// server.
    pub trust: BTreeSet<CaRef>,
    /// Authorities that are trusted beside the system's; among the others, too.
    pub trusted: Option<CaRef>,
    /// The Secret of each receiver of MWI states, by the receiver's name.
    pub receivers: BTreeMap<String, String>,
    /// Secret with the login at the mail server.
    pub smtp: Option<String>,
    /// ConfigMap with the tenant's own words of e-mails.
    pub templates: Option<String>,
    /// The Secret of each issuer where people sign in to the pages, by its folder.
    pub logins: BTreeMap<String, String>,
    /// The Secret with the customer's key of each region that has one, by the region's name.
    pub customer_keys: BTreeMap<String, String>,
}

/// Which Secrets to mount.
pub fn plan_access(tenant: &VoicemailTenant) -> AccessPlan {
    let auth = &tenant.spec.auth;
    let authorities = auth.issuers.iter().filter_map(|issuer| issuer.ca_ref.as_ref());
    let authorities = authorities.chain(auth.introspection.iter().filter_map(|given| given.ca_ref.as_ref()));
    let collector = tenant.spec.telemetry.as_ref().and_then(|given| given.otlp.as_ref());
    let authorities = authorities.chain(collector.and_then(|otlp| otlp.ca_ref.as_ref()));
    let receivers = tenant.spec.mwi.iter().flat_map(|mwi| &mwi.webhooks);
    let authorities = authorities.chain(receivers.clone().filter_map(|given| given.ca_ref.as_ref()));
    let smtp = tenant.spec.email.as_ref().map(|email| &email.smtp);
    let authorities = authorities.chain(smtp.and_then(|smtp| smtp.ca_ref.as_ref()));
    let authorities = authorities.chain(&tenant.spec.trusted_ca_ref);
    let templates = tenant.spec.email.as_ref().and_then(|email| email.templates_ref.as_ref());
    AccessPlan {
        templates: templates.map(|map| map.name.clone()),
        smtp: smtp.and_then(|smtp| smtp.secret_ref.as_ref()).map(|secret| secret.name.clone()),
        introspection: auth.introspection.as_ref().map(|given| given.secret_ref.name.clone()),
        basic: auth.basic.as_ref().map(|given| given.secret_ref.name.clone()),
        trust: authorities.cloned().collect(),
        trusted: tenant.spec.trusted_ca_ref.clone(),
        logins: login_secrets(tenant),
        customer_keys: tenant.spec.regions.iter().filter_map(customer_key).collect(),
        receivers: receivers.map(|given| (given.name.clone(), given.secret_ref.name.clone())).collect(),
    }
}

fn customer_key(region: &given::Region) -> Option<(String, String)> {
    let encryption = region.storage.azure_blob.as_ref()?.encryption.as_ref()?;
    Some((region.name.clone(), encryption.customer_key_secret_ref.as_ref()?.name.clone()))
}

/// Where a CA is mounted.
pub fn ca_file(ca: &CaRef) -> PathBuf {
    Path::new(TRUST_DIR).join(ca_folder(ca)).join(CA_KEY)
}

/// The folder of a CA. A Secret's has its name; names have no slash and no capital, so none is in two ways.
pub fn ca_folder(ca: &CaRef) -> String {
    match ca.kind {
        CaKind::Secret => ca.name.clone(),
        CaKind::ConfigMap => format!("configMap/{}", ca.name),
    }
}

pub(in crate::tenant) fn read_wait(field: &str, text: &str) -> Result<Duration, Refusal> {
    waiting::read(text).map_err(|error| Refusal::InvalidSpec(format!("{field}: {error}")))
}

/// Who may call.
///
/// # Errors
/// [`Refusal::InvalidSpec`] names the field.
pub fn plan_auth(
    tenant: &VoicemailTenant,
    settings: &Settings,
    has_telephone: bool,
) -> Result<AuthConfig, Refusal> {
    let uid = tenant.uid().unwrap_or_default();
    let spec = &tenant.spec.auth;
    let operator = ServiceAccountRole {
        namespace: settings.namespace.clone(),
        name: settings.service_account.clone(),
        roles: vec![Role::Privacy, Role::Admin],
        user: None,
        audience: Some(uid.clone()),
    };
    let telephone = ServiceAccountRole {
        namespace: tenant.namespace().unwrap_or_default(),
        name: sip_name(&tenant.name_any()),
        roles: vec![Role::Telephony],
        user: None,
        audience: Some(uid.clone()),
    };
    let telephone = has_telephone.then_some(telephone);
    let given = spec.service_accounts.iter().map(plan_account);
    let kubernetes = KubernetesIssuer {
        api_server: "https://kubernetes.default.svc".into(),
        ca_file: Path::new(TOKEN_DIR).join("ca.crt"),
        token_file: Path::new(TOKEN_DIR).join("token"),
        audiences: vec![tenant.spec.tenant_id.clone(), uid],
        service_accounts: given.chain([operator]).chain(telephone).collect(),
    };
    Ok(AuthConfig {
        kubernetes: Some(kubernetes),
        issuers: spec.issuers.iter().map(plan_issuer).collect::<Result<_, _>>()?,
        introspection: spec.introspection.as_ref().map(plan_introspection).transpose()?,
        basic: spec.basic.as_ref().map(|_| BasicConfig { users_file: Path::new(BASIC_DIR).join(USERS_KEY) }),
        people: spec.people.iter().map(plan_person).collect(),
        longest_token_life: read_wait("auth.longestTokenLife", &spec.longest_token_life)?,
    })
}

fn plan_person(given: &given::Person) -> Person {
    let identity = |given: &given::Identity| IdentityConfig {
        authority: given.authority.clone(),
        name: given.name.clone(),
    };
    Person { name: given.name.clone(), identities: given.identities.iter().map(identity).collect() }
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
    let skew = read_wait("auth.issuers.clockSkew", &issuer.clock_skew)?;
    Ok(IssuerConfig {
        issuer: issuer.issuer.clone(),
        audience: issuer.audience.clone(),
        jwks_uri: issuer.jwks_uri.clone(),
        ca_file: issuer.ca_ref.as_ref().map(ca_file),
        user_claim: issuer.user_claim.clone(),
        user_prefix: issuer.user_prefix.clone(),
        roles_claim: issuer.roles_claim.clone(),
        role_map: issuer.role_map.iter().map(|(value, role)| (value.clone(), plan_role(*role))).collect(),
        algorithms: issuer.algorithms.iter().copied().map(plan_algorithm).collect(),
        clock_skew: skew,
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
        ca_file: given.ca_ref.as_ref().map(ca_file),
        audience: given.audience.clone(),
        user_claim: given.user_claim.clone(),
        user_prefix: given.user_prefix.clone(),
        roles_claim: given.roles_claim.clone(),
        role_map: given.role_map.iter().map(|(value, role)| (value.clone(), plan_looked_up(*role))).collect(),
        cache: read_wait("auth.introspection.cache", &given.cache)?,
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

/// Message waiting indication.
///
/// # Errors
/// [`Refusal::InvalidSpec`] names the field.
pub fn plan_mwi(tenant: &VoicemailTenant) -> Result<MwiConfig, Refusal> {
    let Some(given) = &tenant.spec.mwi else { return Ok(MwiConfig::default()) };
    let period = given.reconcile_every.as_ref().map(|text| read_wait("mwi.reconcileEvery", text));
    Ok(MwiConfig {
        stream_lifetime: read_wait("mwi.streamLifetime", &given.stream_lifetime)?,
        reconcile_every: period.transpose()?,
        webhooks: given.webhooks.iter().map(plan_receiver).collect::<Result<_, _>>()?,
    })
}

/// The way of e-mails.
pub fn plan_email(given: &given::Email) -> EmailConfig {
    let smtp = &given.smtp;
    EmailConfig {
        smtp: SmtpConfig {
            host: smtp.host.clone(),
            port: smtp.port.and_then(|port| u16::try_from(port).ok()),
            tls: match smtp.tls {
                given::SmtpTls::StartTls => SmtpTls::StartTls,
                given::SmtpTls::Tls => SmtpTls::Tls,
            },
            credentials_dir: smtp.secret_ref.as_ref().map(|_| PathBuf::from(SMTP_DIR)),
            ca_file: smtp.ca_ref.as_ref().map(ca_file),
        },
        from: given.from.clone(),
        reply_to: given.reply_to.clone(),
        templates_dir: given.templates_ref.as_ref().map(|_| PathBuf::from(TEMPLATES_DIR)),
    }
}

fn plan_receiver(given: &given::Webhook) -> Result<WebhookConfig, Refusal> {
    let range = |text: &String| {
        let field = "mwi.webhooks.allowedPrivateRanges";
        text.parse().map_err(|_| {
            Refusal::InvalidSpec(format!("{field}: {text}: write a range of addresses, such as 10.20.0.0/16"))
        })
    };
    Ok(WebhookConfig {
        name: given.name.clone(),
        url: given.url.clone(),
        secret_file: Path::new(RECEIVERS_DIR).join(&given.name).join(RECEIVER_KEY),
        allowed_private_ranges: given.allowed_private_ranges.iter().map(range).collect::<Result<_, _>>()?,
        ca_file: given.ca_ref.as_ref().map(ca_file),
    })
}

/// How much one client may take.
///
/// # Errors
/// [`Refusal::InvalidSpec`] for an address that isn't one.
pub fn plan_limits(tenant: &VoicemailTenant) -> Result<LimitsConfig, Refusal> {
    let plain = LimitsConfig::default();
    let Some(given) = &tenant.spec.client_limits else { return Ok(plain) };
    let connections = given.connections.unsigned_abs();
    let address = |text: &String| {
        let invalid = |words| Refusal::InvalidSpec(format!("clientLimits.sharedAddresses: {text}: {words}"));
        text.parse::<AddressRange>().map_err(invalid)
    };
    Ok(LimitsConfig {
        connections,
        connections_per_address: given
            .connections_per_address
            .map_or((connections / 2).max(1), i32::unsigned_abs),
        header_time: plain.header_time,
        requests_per_address: given.requests_per_address.unsigned_abs(),
        requests_per_caller: given.requests_per_caller.unsigned_abs(),
        requests_per_telephony: given.requests_per_telephony.unsigned_abs(),
        refusals_per_address: given.refusals_per_address.unsigned_abs(),
        streams_per_user: given.streams_per_user.unsigned_abs(),
        shared_addresses: given.shared_addresses.iter().map(address).collect::<Result<_, _>>()?,
    })
}

/// How long it is remembered who did what.
pub fn plan_audit(tenant: &VoicemailTenant) -> AuditConfig {
    let given = tenant.spec.audit.as_ref().map(|audit| days(audit.retention_days));
    given.map_or_else(AuditConfig::default, |retention| AuditConfig { retention })
}

pub(super) fn days(count: i32) -> Duration {
    Duration::from_secs(u64::from(count.unsigned_abs()) * DAY)
}
