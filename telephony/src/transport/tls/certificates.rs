//! Certificates and authorities: read at the start, and again when their files change.
//!
//! Contents are compared, so that every way of replacing files is noticed, a cluster's swap of links included. Files that
//! can't be used are told once, and what was read before stays in force.

use crate::config::{ClientCertificates, Config, TlsListen, Transport};
use parking_lot::RwLock;
use rustls::client::verify_server_name;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{ParsedCertificate, WebPkiClientVerifier};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use voicemail_api::ErrorClass;

const LOOK_EVERY: Duration = Duration::from_secs(5);

/// Why certificates can't be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file can't be read.
    #[error("reading {0}: {1}")]
    File(PathBuf, std::io::Error),
    /// It holds nothing that is needed of it.
    #[error("{0}: {1}")]
    Content(PathBuf, &'static str),
    /// Certificate and key, or authorities, can't be used together.
    #[error("the certificate for SIP over TLS can't be used: {0}")]
    Unusable(rustls::Error),
    /// Authorities of trunks' certificates.
    #[error("the authorities of trunks' certificates can't be used: {0}")]
    Authorities(#[from] rustls::server::VerifierBuilderError),
}

impl From<rustls::Error> for TlsError {
    fn from(error: rustls::Error) -> Self {
        Self::Unusable(error)
    }
}

impl TlsError {
    /// Another certificate may be there later.
    pub const fn class(&self) -> ErrorClass {
        ErrorClass::Transient
    }
}

/// A trunk that is known by its certificates.
struct Known {
    trunk: String,
    verifier: Arc<dyn ClientCertVerifier>,
    names: Vec<ServerName<'static>>,
}

/// What was made of the files.
pub(crate) struct Loaded {
    pub(super) server: Arc<ServerConfig>,
    /// For connections of ours; none without authorities of peers.
    pub(super) client: Option<Arc<ClientConfig>>,
    known: Vec<Known>,
}

/// What is in force.
pub(crate) struct Certificates {
    config: Arc<Config>,
    listen: TlsListen,
    current: RwLock<Arc<Loaded>>,
}

impl Certificates {
    pub(crate) fn read(config: &Arc<Config>, listen: &TlsListen) -> Result<Self, TlsError> {
        let loaded = load(config, listen, &read_files(config, listen)?)?;
        let (config, listen) = (Arc::clone(config), listen.clone());
        Ok(Self { config, listen, current: RwLock::new(Arc::new(loaded)) })
    }

    pub(super) fn current(&self) -> Arc<Loaded> {
        Arc::clone(&self.current.read())
    }

    /// Keeps what is in force as the files are.
    pub(crate) async fn follow(self: Arc<Self>, stop: CancellationToken) {
        let mut seen = read_files(&self.config, &self.listen).ok();
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
            // Files being replaced may be away for a moment.
            let Ok(found) = read_files(&self.config, &self.listen) else { continue };
            if seen.as_ref() == Some(&found) {
                continue;
            }
            match load(&self.config, &self.listen, &found) {
                Ok(loaded) => {
                    *self.current.write() = Arc::new(loaded);
                    tracing::info!("the certificates of SIP over TLS were reloaded");
                }
                Err(error) => {
                    tracing::error!(%error, "the new certificates of SIP over TLS can't be used; the last ones stay");
                }
            }
            seen = Some(found);
        }
    }
}

impl Loaded {
    /// The trunk that a peer is, by its certificates first.
    pub(super) fn trunk_of(
        &self,
        config: &Config,
        source: IpAddr,
        shown: Option<&[CertificateDer<'_>]>,
    ) -> Option<String> {
        let (own, between) = shown.and_then(<[_]>::split_first).unzip();
        let known = own.zip(between).and_then(|(own, between)| {
            let admitted = |known: &&Known| {
                config
                    .trunks
                    .iter()
                    .any(|trunk| trunk.name == known.trunk && trunk.admits(source, Transport::Tls))
            };
            self.known.iter().filter(admitted).find(|known| known.is_shown_by(own, between))
        });
        match known {
            Some(known) => Some(known.trunk.clone()),
            None => config.trunk_of(source, Transport::Tls).map(|trunk| trunk.name.clone()),
        }
    }
}

impl Known {
    /// The handshake has proved that the peer holds the certificate's key, for any trunk's authorities; here it must be one
    /// of this trunk's, and for one of its names.
    fn is_shown_by(&self, own: &CertificateDer<'_>, between: &[CertificateDer<'_>]) -> bool {
        let issued = self.verifier.verify_client_cert(own, between, UnixTime::now()).is_ok();
        let named = || {
            let parsed = ParsedCertificate::try_from(own);
            parsed.is_ok_and(|own| self.names.iter().any(|name| verify_server_name(&own, name).is_ok()))
        };
        issued && named()
    }
}

/// Files with their contents, in one order.
type Files = Vec<(PathBuf, Vec<u8>)>;

fn client_certificates(config: &Config) -> impl Iterator<Item = (&str, &ClientCertificates)> {
    config.trunks.iter().filter_map(|trunk| Some((trunk.name.as_str(), trunk.client_certificates.as_ref()?)))
}

fn read_files(config: &Config, listen: &TlsListen) -> Result<Files, TlsError> {
    let mut paths = vec![&listen.certificate, &listen.key];
    paths.extend(&listen.peer_authorities);
    paths.extend(client_certificates(config).map(|(_, certificates)| &certificates.authorities));
    let read = |path: &PathBuf| match std::fs::read(path) {
        Ok(content) => Ok((path.clone(), content)),
        Err(error) => Err(TlsError::File(path.clone(), error)),
    };
    paths.into_iter().map(read).collect()
}

fn load(config: &Config, listen: &TlsListen, files: &Files) -> Result<Loaded, TlsError> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let chain = certificates_of(files, &listen.certificate)?;
    let key = PrivateKeyDer::from_pem_slice(content(files, &listen.key))
        .map_err(|_| TlsError::Content(listen.key.clone(), "it holds no private key in PEM"))?;
    let client = match &listen.peer_authorities {
        Some(file) => {
            Some(build_client(&provider, roots_of(files, [file])?, chain.clone(), key.clone_key())?)
        }
        None => None,
    };
    let mut known = Vec::new();
    for (trunk, certificates) in client_certificates(config) {
        let roots = Arc::new(roots_of(files, [&certificates.authorities])?);
        let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider.clone()).build()?;
        let names = certificates.names.iter().filter_map(|name| ServerName::try_from(name.clone()).ok());
        known.push(Known { trunk: trunk.to_owned(), verifier, names: names.collect() });
    }
    let server = build_server(config, files, &provider, chain, key)?;
    Ok(Loaded { server: Arc::new(server), client: client.map(Arc::new), known })
}

/// Asks for a certificate where a trunk is known by one, and for none else: some phones take that for an error.
fn build_server(
    config: &Config,
    files: &Files,
    provider: &Arc<CryptoProvider>,
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
) -> Result<ServerConfig, TlsError> {
    let builder =
        ServerConfig::builder_with_provider(provider.clone()).with_safe_default_protocol_versions()?;
    let authorities: Vec<&PathBuf> =
        client_certificates(config).map(|(_, known)| &known.authorities).collect();
    let builder = if authorities.is_empty() {
        builder.with_no_client_auth()
    } else {
        let roots = Arc::new(roots_of(files, authorities)?);
        let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider.clone());
        let by_address = config
            .trunks
            .iter()
            .any(|trunk| trunk.client_certificates.is_none() && trunk.transports.contains(&Transport::Tls));
        let verifier = if by_address { verifier.allow_unauthenticated() } else { verifier };
        builder.with_client_cert_verifier(verifier.build()?)
    };
    Ok(builder.with_single_cert(chain, key)?)
}

/// Shows our certificate to those that we connect to.
fn build_client(
    provider: &Arc<CryptoProvider>,
    roots: RootCertStore,
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
) -> Result<ClientConfig, TlsError> {
    let builder =
        ClientConfig::builder_with_provider(provider.clone()).with_safe_default_protocol_versions()?;
    Ok(builder.with_root_certificates(roots).with_client_auth_cert(chain, key)?)
}

fn content<'a>(files: &'a Files, path: &Path) -> &'a [u8] {
    files.iter().find(|(known, _)| known == path).map_or(&[], |(_, content)| content)
}

fn certificates_of(files: &Files, path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(content(files, path)).collect();
    match found {
        Ok(found) if !found.is_empty() => Ok(found),
        _ => Err(TlsError::Content(path.to_owned(), "it holds no certificate in PEM")),
    }
}

fn roots_of<'a>(
    files: &Files,
    paths: impl IntoIterator<Item = &'a PathBuf>,
) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    for path in paths {
        for certificate in certificates_of(files, path)? {
            roots.add(certificate)?;
        }
    }
    Ok(roots)
}
