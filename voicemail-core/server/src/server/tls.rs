//! The serving certificate: loaded before the API port is served, loaded again when its files change.
//!
//! Contents are compared, not times or inodes, so that every way of replacing files is noticed, a cluster's
//! swap of symbolic links included.

use super::{State, opening};
use axum_server::tls_rustls::RustlsConfig;
use std::time::Duration;
use voicemail_api::config::TlsConfig;

const LOOK_EVERY: Duration = Duration::from_secs(5);

/// Certificate and key as files held them.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Pem {
    certificate: Vec<u8>,
    key: Vec<u8>,
}

impl Pem {
    async fn read(files: &TlsConfig) -> Result<Self, String> {
        let describe = |path: &std::path::Path, error: std::io::Error| format!("{}: {error}", path.display());
        let certificate = tokio::fs::read(&files.certificate).await;
        let key = tokio::fs::read(&files.key).await;
        Ok(Self {
            certificate: certificate.map_err(|error| describe(&files.certificate, error))?,
            key: key.map_err(|error| describe(&files.key, error))?,
        })
    }
}

/// Loads the certificate, as often as it takes. `None`: plain HTTP is configured.
pub(super) async fn load(state: &State) -> Option<(RustlsConfig, Pem)> {
    let files = state.config().listen.tls.clone()?;
    let mut failures = 0;
    loop {
        match try_load(&files).await {
            Ok(loaded) => return Some(loaded),
            Err(message) => state.explain("CertificateUnreadable", message),
        }
        state.world.sleep(opening::pause_after(failures)).await;
        failures += 1;
    }
}

async fn try_load(files: &TlsConfig) -> Result<(RustlsConfig, Pem), String> {
    let pem = Pem::read(files).await?;
    let loaded = RustlsConfig::from_pem(pem.certificate.clone(), pem.key.clone()).await;
    loaded.map(|config| (config, pem)).map_err(|error| error.to_string())
}

/// Keeps the certificate as its files are; a bad one is logged once and the last good one stays.
pub(super) async fn follow(state: State, config: RustlsConfig, mut seen: Pem) {
    let Some(files) = state.config().listen.tls.clone() else { return };
    loop {
        state.world.sleep(LOOK_EVERY).await;
        // Files being replaced may be away for a moment.
        let Ok(found) = Pem::read(&files).await else { continue };
        if found == seen {
            continue;
        }
        seen = found.clone();
        match config.reload_from_pem(found.certificate, found.key).await {
            Ok(()) => {
                state.metrics().count_reload("applied");
                tracing::info!("the certificate was reloaded");
            }
            Err(error) => {
                state.metrics().count_reload("refused");
                tracing::error!(%error, "the new certificate can't be used; the last one stays");
            }
        }
    }
}
