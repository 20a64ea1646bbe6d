//! Answers for all fake pods' cores: every one is ready and serves the same store. One in ten says that its tenant has had a
//! case, the others that there never was one.
//!
//! The pods' addresses lead to this machine, so that the operator's questions arrive here. Those about cases come over TLS:
//! each tenant's certificate is read from its Secret when somebody asks for that tenant's name.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use anyhow::{Context, Result};
use k8s_openapi::api::core::v1::Secret;
use kube::{Api, Client};
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::LazyConfigAcceptor;
use voicemail_api::gdpr::MARK_OF_NO_CASE;
use voicemail_operator::tenant::build::certificate::{TLS_CERTIFICATE, TLS_KEY};
use voicemail_operator::tenant::build::names::{child_name, tls_name};
use voicemail_operator::tenant::build::service::{API_PORT, METRICS_PORT};

/// One pod in so many.
const WITH_CASES: u8 = 10;
const NO_CASES: &str = r#"{"cases":[]}"#;
const NO_ERASURES: &str = r#"{"storeId":"scale","head":{"epoch":0},"entries":[]}"#;

fn ready(mark: &str) -> String {
    let more = r#""reason":"Ready","message":"serving","regions":[{"name":"eu-west","reachable":true}]"#;
    format!(r#"{{"ready":true,"storeId":"scale","gdprMark":"{mark}",{more}}}"#)
}

/// The change token of the cases of the core at that address.
fn mark_of(address: IpAddr) -> &'static str {
    match address {
        IpAddr::V4(address) if address.octets()[3].is_multiple_of(WITH_CASES) => "a case",
        _ => MARK_OF_NO_CASE,
    }
}

/// Answers until the process ends.
pub(crate) async fn serve(client: Client) -> Result<()> {
    let (health, api) = (listen(METRICS_PORT).await?, listen(API_PORT).await?);
    tokio::spawn(async move {
        loop {
            let Ok((stream, _)) = health.accept().await else { continue };
            let Ok(address) = stream.local_addr() else { continue };
            tokio::spawn(answer(stream, ready(mark_of(address.ip()))));
        }
    });
    tokio::spawn(async move {
        loop {
            let Ok((stream, _)) = api.accept().await else { continue };
            let client = client.clone();
            tokio::spawn(async move {
                if let Err(error) = answer_privately(stream, client).await {
                    eprintln!("a fake core has answered nothing: {error:#}");
                }
            });
        }
    });
    Ok(())
}

async fn listen(port: u16) -> Result<TcpListener> {
    let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).await;
    listener.with_context(|| format!("port {port}, which cores answer on, is taken"))
}

async fn answer_privately(stream: TcpStream, client: Client) -> Result<()> {
    let hello = LazyConfigAcceptor::new(rustls::server::Acceptor::default(), stream).await?;
    let name = hello.client_hello().server_name().context("no name was asked for")?.to_owned();
    let config = read_certificate(client, &name).await?;
    answer(hello.into_stream(Arc::new(config)).await?, ready(MARK_OF_NO_CASE)).await;
    Ok(())
}

/// The certificate of the tenant whose API is at `t0001-voicemail.NAMESPACE.svc`.
async fn read_certificate(client: Client, host: &str) -> Result<ServerConfig> {
    let mut labels = host.split('.');
    let (service, namespace) = labels.next().zip(labels.next()).context("not a Service's name")?;
    let tenant = service.strip_suffix(&child_name("")).context("not a tenant's Service")?;
    let secret = Api::<Secret>::namespaced(client, namespace).get(&tls_name(tenant)).await?;
    let data = secret.data.unwrap_or_default();
    let (chain, key) = data.get(TLS_CERTIFICATE).zip(data.get(TLS_KEY)).context("the Secret lacks a key")?;
    let chain = CertificateDer::pem_slice_iter(&chain.0).collect::<Result<Vec<_>, _>>()?;
    let config = ServerConfig::builder().with_no_client_auth();
    Ok(config.with_single_cert(chain, PrivateKeyDer::from_pem_slice(&key.0)?)?)
}

async fn answer(mut stream: impl AsyncRead + AsyncWrite + Unpin, ready: String) {
    let mut request = [0; 4096];
    while let Ok(read @ 1..) = stream.read(&mut request).await {
        let path = String::from_utf8_lossy(&request[..read]);
        let path = path.split(' ').nth(1).unwrap_or_default();
        let body = match path {
            _ if path.contains("/gdpr/cases") => NO_CASES,
            _ if path.contains("/gdpr/ledger") => NO_ERASURES,
            _ => &ready,
        };
        let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length:";
        let answer = format!("{head} {}\r\n\r\n{body}", body.len());
        if stream.write_all(answer.as_bytes()).await.is_err() {
            return;
        }
    }
}
