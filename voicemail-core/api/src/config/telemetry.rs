//! Export of traces by OTLP. Logs and metrics need no configuration.

use super::ConfigError;
use super::check::rule;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

const LONGEST_ENDPOINT: usize = 512;

/// Nothing unless something is named.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TelemetryConfig {
    /// Where spans go.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub otlp: Option<OtlpConfig>,
}

impl TelemetryConfig {
    /// Nothing is named. It isn't written then, so that cores of before can read the rest.
    pub(super) fn is_silent(&self) -> bool {
        *self == Self::default()
    }
}

/// A collector that takes OTLP over HTTP, as protobuf.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct OtlpConfig {
    /// Its base, such as `http://collector.monitoring:4318`; `/v1/traces` is put behind it.
    pub endpoint: String,
    /// PEM file of a private CA; the system's when absent. Read before the first spans are sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<PathBuf>,
    /// How many of a hundred traces that begin here are exported. A trace that a caller began is exported if the caller
    /// samples it.
    #[serde(default = "default_sample_percent")]
    pub sample_percent: u8,
}

fn default_sample_percent() -> u8 {
    100
}

pub(super) fn check_telemetry(config: &TelemetryConfig) -> Result<(), ConfigError> {
    let Some(otlp) = &config.otlp else { return Ok(()) };
    let plain = |rest: &str| {
        let allowed = |b: u8| b.is_ascii_alphanumeric() || b".-_:[]/".contains(&b);
        !rest.is_empty()
            && !rest.starts_with('/')
            && rest.len() <= LONGEST_ENDPOINT
            && rest.bytes().all(allowed)
    };
    let rest = ["http://", "https://"].iter().find_map(|scheme| otlp.endpoint.strip_prefix(scheme));
    rule(rest.is_some_and(plain), "telemetry.otlp.endpoint", || {
        "write scheme, host and port, such as http://collector.monitoring:4318, without credentials or a query".into()
    })?;
    rule(otlp.sample_percent <= 100, "telemetry.otlp.samplePercent", || "write 0 to 100".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(endpoint: &str, sample_percent: u8) -> bool {
        let otlp = OtlpConfig { endpoint: endpoint.into(), ca_file: None, sample_percent };
        check_telemetry(&TelemetryConfig { otlp: Some(otlp) }).is_ok()
    }

    #[test]
    fn a_collector_is_a_plain_address() {
        assert!(check_telemetry(&TelemetryConfig::default()).is_ok());
        for good in ["http://collector:4318", "https://otel.example.com/base/", "http://[::1]:4318"] {
            assert!(check(good, 0) && check(good, 100), "{good}");
        }
        for bad in
            ["", "collector:4318", "grpc://x", "http://", "http:///v1", "http://me:secret@x", "http://x?y=z"]
        {
            assert!(!check(bad, 100), "{bad}");
        }
        assert!(!check("http://x", 101));
    }
}
