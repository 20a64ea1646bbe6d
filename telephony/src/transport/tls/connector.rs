//! The stack's seam for TLS: streams that were accepted are taken up by it, others are dialled.
//!
//! A dialogue's own connection carries what we send; only when it is gone, the stack dials the peer, which must show a
//! certificate of the configured authorities for the host that its address names.

use super::certificates::Certificates;
use crate::transport::frame::Frame;
use crate::transport::streams::{Frames, SOON};
use crate::transport::tcp::prepare;
use async_trait::async_trait;
use parking_lot::Mutex;
use rsipstack::platform::tls::{TlsClientConfig, TlsConnector, TlsStream as StackStream};
use rsipstack::transport::connection::KEEPALIVE_REQUEST;
use rsipstack::{Error, Result};
use rustls::pki_types::ServerName;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::io::{AsyncWriteExt as _, ReadHalf, WriteHalf};
use tokio::net::TcpStream;
use tokio_rustls::TlsStream;

type Stream = TlsStream<TcpStream>;

/// A stream as the stack writes to it, and reads from it if nobody else does.
pub(super) struct Link {
    reader: tokio::sync::Mutex<Option<Frames<ReadHalf<Stream>>>>,
    writer: tokio::sync::Mutex<WriteHalf<Stream>>,
    local: SocketAddr,
}

impl Link {
    /// One that is read elsewhere.
    pub(super) fn written_to(writer: WriteHalf<Stream>, local: SocketAddr) -> Self {
        Self { reader: None.into(), writer: writer.into(), local }
    }
}

fn broken(what: &str) -> Error {
    Error::Error(what.to_owned())
}

#[async_trait]
impl StackStream for Link {
    /// Whole messages alone; nothing at the end.
    async fn recv(&self) -> Result<Vec<u8>> {
        match self.reader.lock().await.as_mut() {
            Some(frames) => Ok(match frames.next().await {
                Ok(Frame::Message(message)) => message,
                Ok(Frame::Ping) => KEEPALIVE_REQUEST.to_vec(),
                Err(_) => Vec::new(),
            }),
            None => Err(broken("the stream is read elsewhere")),
        }
    }

    async fn send_all(&self, data: Vec<u8>) -> Result<()> {
        let mut writer = self.writer.lock().await;
        let write = async {
            writer.write_all(&data).await?;
            writer.flush().await
        };
        match tokio::time::timeout(SOON, write).await {
            Ok(written) => Ok(written?),
            Err(_) => Err(broken("the peer takes nothing")),
        }
    }

    async fn shutdown(&self) -> Result<()> {
        let mut writer = self.writer.lock().await;
        match tokio::time::timeout(SOON, writer.shutdown()).await {
            Ok(closed) => Ok(closed?),
            Err(_) => Err(broken("the peer takes nothing")),
        }
    }

    fn local_addr(&self) -> Result<SocketAddr> {
        Ok(self.local)
    }
}

/// Gives the stack its streams.
pub(crate) struct Connector {
    accepted: Mutex<HashMap<SocketAddr, Link>>,
    certificates: Arc<Certificates>,
}

impl Connector {
    pub(crate) fn new(certificates: Arc<Certificates>) -> Self {
        Self { accepted: Mutex::default(), certificates }
    }

    /// Keeps an accepted stream until the stack takes it up.
    pub(super) fn keep(&self, peer: SocketAddr, link: Link) {
        self.accepted.lock().insert(peer, link);
    }

    async fn dial(&self, host: &str, peer: SocketAddr) -> Result<Link> {
        let client = self.certificates.current().client.clone();
        let client = client.ok_or_else(|| broken("no authorities of peers are configured"))?;
        let name = ServerName::try_from(host.to_owned()).map_err(|_| broken("no host to connect to"))?;
        let stream = TcpStream::connect(peer).await?;
        prepare(&stream)?;
        let local = stream.local_addr()?;
        let stream = tokio_rustls::TlsConnector::from(client).connect(name, stream).await?;
        let (reader, writer) = tokio::io::split(TlsStream::Client(stream));
        Ok(Link { reader: Some(Frames::new(reader)).into(), writer: writer.into(), local })
    }
}

#[async_trait]
impl TlsConnector for Connector {
    async fn connect(&self, config: &TlsClientConfig, peer: SocketAddr) -> Result<Box<dyn StackStream>> {
        let accepted = self.accepted.lock().remove(&peer);
        let link = match accepted {
            Some(link) => link,
            None => match tokio::time::timeout(SOON, self.dial(&config.server_name, peer)).await {
                Ok(dialled) => dialled?,
                Err(_) => return Err(broken("the peer doesn't answer")),
            },
        };
        Ok(Box::new(link))
    }
}
