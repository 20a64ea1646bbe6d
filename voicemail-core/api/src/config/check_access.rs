//! The rules about who may call, from where, and how much. Pure.

use super::check::rule;
use super::{
    AuditConfig, ConfigError, IntrospectionConfig, IssuerConfig, LimitsConfig, Role, TenantConfig,
    TokenAlgorithm,
};
use std::collections::BTreeSet;

const MOST_ORIGINS: usize = 32;
const LONGEST_SKEW_SECONDS: u64 = 300;
const LONGEST_CACHE_SECONDS: u64 = 60;
const DAY: u64 = 86_400;

/// All of them.
pub(super) fn check_access(config: &TenantConfig) -> Result<(), ConfigError> {
    config.auth.issuers.iter().try_for_each(check_issuer)?;
    config.auth.introspection.iter().try_for_each(check_introspection)?;
    let life = config.auth.longest_token_life.as_secs();
    rule((300..=3_650 * DAY).contains(&life), "auth.longestTokenLife", || "write 5m to 3650d".into())?;
    super::people::check_people(&config.auth.people)?;
    check_origins("browserOrigins", &config.browser_origins)?;
    check_limits(&config.limits)?;
    check_audit(&config.audit)
}

fn check_issuer(issuer: &IssuerConfig) -> Result<(), ConfigError> {
    rule(issuer.clock_skew.as_secs() <= LONGEST_SKEW_SECONDS, "auth.issuers.clockSkew", || {
        "write at most 5m".into()
    })?;
    let given: BTreeSet<TokenAlgorithm> = issuer.algorithms.iter().copied().collect();
    rule(given.len() == issuer.algorithms.len(), "auth.issuers.algorithms", || "name each only once".into())
}

fn check_introspection(given: &IntrospectionConfig) -> Result<(), ConfigError> {
    rule(given.cache.as_secs() <= LONGEST_CACHE_SECONDS, "auth.introspection.cache", || {
        "write at most 60s: a token that is taken back must not open anything for longer".into()
    })?;
    let gives_privacy = given.role_map.values().any(|role| *role == Role::Privacy);
    rule(!gives_privacy, "auth.introspection.roleMap", || {
        "leave out privacy: data-subject rights take a signed token, a service account or a password".into()
    })
}

/// `scheme://host[:port]`, as browsers send it.
pub(super) fn check_origins(field: &'static str, origins: &[String]) -> Result<(), ConfigError> {
    let plain = |origin: &String| {
        let host = origin.strip_prefix("https://").or_else(|| origin.strip_prefix("http://"));
        host.is_some_and(|host| {
            let good = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b".-:[]".contains(&b);
            !host.is_empty() && host.len() <= 253 && host.bytes().all(good)
        })
    };
    rule(origins.len() <= MOST_ORIGINS, field, || format!("write at most {MOST_ORIGINS}"))?;
    rule(origins.iter().all(plain), field, || {
        "write scheme, host and port as a browser sends them, such as https://desk.example.com: in lower case, \
         without a path and without a star"
            .into()
    })
}

fn check_limits(limits: &LimitsConfig) -> Result<(), ConfigError> {
    rule((16..=65_536).contains(&limits.connections), "limits.connections", || "write 16 to 65536".into())?;
    rule(
        (1..=limits.connections).contains(&limits.connections_per_address),
        "limits.connectionsPerAddress",
        || "write 1 to limits.connections".into(),
    )?;
    rule((1..=10_000).contains(&limits.streams_per_user), "limits.streamsPerUser", || {
        "write 1 to 10000".into()
    })?;
    rule((1..=300).contains(&limits.header_time.as_secs()), "limits.headerTime", || "write 1s to 5m".into())
}

fn check_audit(audit: &AuditConfig) -> Result<(), ConfigError> {
    let seconds = audit.retention.as_secs();
    rule((DAY..=3_650 * DAY).contains(&seconds), "audit.retention", || "write 1d to 3650d".into())
}
