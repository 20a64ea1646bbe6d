//! TLS for programs that have none: what they say to a tunnel over TCP goes on over TLS, and back.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use anyhow::{Context, Result};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, KeyUsagePurpose};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_rustls::client::TlsStream;
use tokio_rustls::{TlsAcceptor, TlsConnector};

/// An authority of its own.
pub struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A certificate and its key, PEM.
#[derive(Clone, Debug)]
pub struct Identity {
    /// The certificate.
    pub certificate: String,
    /// Its key.
    pub key: String,
}

impl Authority {
    /// Makes one.
    pub fn new(name: &str) -> Result<Self> {
        let mut parameters = CertificateParams::default();
        parameters.distinguished_name.push(DnType::CommonName, name);
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        parameters.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
        Ok(Self(CertifiedIssuer::self_signed(parameters, KeyPair::generate()?)?))
    }

    /// Its certificate, PEM.
    pub fn pem(&self) -> String {
        self.0.pem()
    }

    /// A certificate for these hosts or addresses.
    pub fn issue(&self, names: &[&str]) -> Result<Identity> {
        let key = KeyPair::generate()?;
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let certificate = CertificateParams::new(names)?.signed_by(&key, &self.0)?;
        Ok(Identity { certificate: certificate.pem(), key: key.serialize_pem() })
    }
}

impl Identity {
    /// Takes connections with it, from whomever.
    pub fn acceptor(&self) -> Result<TlsAcceptor> {
        let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(
                vec![CertificateDer::from_pem_slice(self.certificate.as_bytes())?],
                PrivateKeyDer::from_pem_slice(self.key.as_bytes())?,
            )?;
        Ok(TlsAcceptor::from(Arc::new(config)))
    }
}

/// How a server is spoken with.
#[derive(Clone)]
pub struct TlsPeer {
    connector: TlsConnector,
    server: SocketAddr,
}

impl TlsPeer {
    /// One that trusts this authority alone, and shows that certificate, if any.
    pub fn new(server: SocketAddr, authority: &Authority, own: Option<&Identity>) -> Result<Self> {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(authority.pem().as_bytes())?)?;
        let builder = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots);
        let config = match own {
            None => builder.with_no_client_auth(),
            Some(own) => builder.with_client_auth_cert(
                vec![CertificateDer::from_pem_slice(own.certificate.as_bytes())?],
                PrivateKeyDer::from_pem_slice(own.key.as_bytes())?,
            )?,
        };
        Ok(Self { connector: TlsConnector::from(Arc::new(config)), server })
    }

    /// Connects, and shakes hands.
    pub async fn connect(&self) -> Result<TlsStream<TcpStream>> {
        let stream = TcpStream::connect(self.server).await?;
        let name = ServerName::from(self.server.ip());
        self.connector.connect(name, stream).await.context("the handshake failed")
    }

    /// Opens a tunnel; it is closed when the task is aborted.
    pub async fn tunnel(&self) -> Result<(SocketAddr, JoinHandle<()>)> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let (address, peer) = (listener.local_addr()?, self.clone());
        let task = tokio::spawn(async move {
            while let Ok((mut near, _)) = listener.accept().await {
                let peer = peer.clone();
                tokio::spawn(async move {
                    // Who is at the near end sees that it is closed.
                    if let Ok(mut far) = peer.connect().await {
                        let _ = tokio::io::copy_bidirectional(&mut near, &mut far).await;
                    }
                });
            }
        });
        Ok((address, task))
    }
}

/// TLS in front of a server that has none; it is closed when the task is aborted.
pub async fn serve_tls(
    identity: &Identity,
    listen: std::net::IpAddr,
    server: SocketAddr,
) -> Result<(SocketAddr, JoinHandle<()>)> {
    let (acceptor, listener) = (identity.acceptor()?, TcpListener::bind((listen, 0)).await?);
    let address = listener.local_addr()?;
    let task = tokio::spawn(async move {
        while let Ok((far, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                // Who can't shake hands, or finds nobody behind, sees that it is closed.
                if let (Ok(mut far), Ok(mut near)) =
                    (acceptor.accept(far).await, TcpStream::connect(server).await)
                {
                    let _ = tokio::io::copy_bidirectional(&mut far, &mut near).await;
                }
            });
        }
    });
    Ok((address, task))
}
