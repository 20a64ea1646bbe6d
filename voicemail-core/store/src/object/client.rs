//! The client library's clients: how long each waits, how often it repeats, and whom it trusts.

use super::credentials;
use super::service::Service;
use crate::StoreError;
use object_store::{Certificate, ClientOptions, ObjectStore, RetryConfig};
use std::sync::Arc;
use std::time::Duration;

/// The clients of one store.
pub(super) struct Clients {
    /// For calls that the caller repeats.
    pub(super) small: Arc<dyn ObjectStore>,
    /// For bodies and listings; repeats by itself.
    pub(super) bulk: Arc<dyn ObjectStore>,
    pub(super) service: Arc<dyn Service>,
}

/// How long a client waits, and how often it repeats.
#[derive(Clone, Copy)]
pub(super) enum Patience {
    /// 5 s, once.
    Call,
    /// 60 s a request, three retries.
    Transfer,
}

impl Patience {
    fn timeout(self) -> Duration {
        match self {
            Self::Call => Duration::from_secs(5),
            Self::Transfer => Duration::from_secs(60),
        }
    }

    pub(super) fn retries(self) -> RetryConfig {
        let max_retries = match self {
            Self::Call => 0,
            Self::Transfer => 3,
        };
        RetryConfig { max_retries, retry_timeout: self.timeout(), ..RetryConfig::default() }
    }
}

pub(super) fn client_options(
    folder: Option<&std::path::Path>,
    endpoint: &str,
    patience: Patience,
) -> Result<ClientOptions, StoreError> {
    let mut options = ClientOptions::new()
        .with_timeout(patience.timeout())
        .with_connect_timeout(Duration::from_secs(2))
        .with_pool_max_idle_per_host(32)
        .with_allow_http(endpoint.starts_with("http://"));
    if let Some(folder) = folder {
        let pem = credentials::read_entry(folder, "ca.crt").map_err(StoreError::Credentials)?;
        for certificate in read_authorities(pem)? {
            options = options.with_root_certificate(certificate);
        }
    }
    Ok(options)
}

fn read_authorities(pem: Option<String>) -> Result<Vec<Certificate>, StoreError> {
    let Some(pem) = pem else { return Ok(Vec::new()) };
    let unreadable = |_| StoreError::Credentials("ca.crt holds no PEM certificates".into());
    Certificate::from_pem_bundle(pem.as_bytes()).map_err(unreadable)
}
