//! Where SIP is listened for, and the addresses by which peers reach it: one for each transport.

use super::contacts::SipPorts;
use super::places::Places;
use super::refused::Refused;
use super::streams::{Peers, Streams};
use super::tls::{Certificates, Connector, TlsError};
use super::{tcp, tls};
use crate::config::Config;
use rsipstack::platform::CancellationToken;
use rsipstack::platform::mpsc::unbounded_channel;
use rsipstack::sip::Transport as StackTransport;
use rsipstack::transport::channel::ChannelConnection;
use rsipstack::transport::connection::TransportReceiver;
use rsipstack::transport::{SipAddr, SipConnection, TransportLayer};
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::net::TcpListener;
use voicemail_api::ErrorClass;

/// Why SIP can't be listened for.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// The kernel refuses.
    #[error("listening for SIP on {0}: {1}")]
    Bind(SocketAddr, std::io::Error),
    /// Certificates.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The stack refused a part.
    #[error("the SIP stack can't be started")]
    Stack,
}

impl ListenError {
    /// Who holds the port may let go of it, and certificates come.
    pub const fn class(&self) -> ErrorClass {
        match self {
            Self::Bind(..) | Self::Tls(_) => ErrorClass::Transient,
            Self::Stack => ErrorClass::Permanent,
        }
    }
}

/// Listeners for connections, bound and not yet served.
pub struct Listeners {
    streams: Arc<Streams>,
    messages: TransportReceiver,
    tcp: Option<(TcpListener, SipAddr)>,
    tls: Option<(TcpListener, SipAddr, Arc<Certificates>)>,
}

impl Listeners {
    /// Binds those that are configured.
    ///
    /// # Errors
    /// [`ListenError`].
    pub async fn bind(
        config: &Arc<Config>,
        refused: &Arc<Refused>,
        stop: &CancellationToken,
    ) -> Result<Self, ListenError> {
        let (door, messages) = unbounded_channel();
        let advertised = |transport, listener: &TcpListener, asked: SocketAddr| {
            let port = listener.local_addr().map_or(asked.port(), |local| local.port());
            SipAddr { r#type: Some(transport), addr: SocketAddr::new(config.advertised.first(), port).into() }
        };
        let tcp = match config.listen.tcp {
            Some(address) => {
                let listener = bind(address).await?;
                let own = advertised(StackTransport::Tcp, &listener, address);
                Some((listener, own))
            }
            None => None,
        };
        let tls = match &config.listen.tls {
            Some(listen) => {
                let certificates = Arc::new(Certificates::read(config, listen)?);
                let listener = bind(listen.address).await?;
                let own = advertised(StackTransport::Tls, &listener, listen.address);
                Some((listener, own, certificates))
            }
            None => None,
        };
        let streams = Streams {
            config: Arc::clone(config),
            door,
            peers: Peers::default(),
            places: Places::default(),
            refused: Arc::clone(refused),
            stop: stop.clone(),
        };
        Ok(Self { streams: Arc::new(streams), messages, tcp, tls })
    }

    /// Addresses by which peers reach us, of each transport that is listened on by connections.
    pub fn addresses(&self) -> Vec<SipAddr> {
        let tcp = self.tcp.iter().map(|(_, own)| own.clone());
        tcp.chain(self.tls.iter().map(|(_, own, _)| own.clone())).collect()
    }

    /// Ports that are listened on, with the one for datagrams.
    pub fn ports(&self, udp: u16) -> SipPorts {
        let port = |own: &SipAddr| own.get_socketaddr().ok().map(|at| at.port());
        SipPorts {
            udp,
            tcp: self.tcp.as_ref().and_then(|(_, own)| port(own)),
            tls: self.tls.as_ref().and_then(|(_, own, _)| port(own)),
        }
    }

    /// Serves them for that layer; gives the trunks of open connections.
    ///
    /// # Errors
    /// [`ListenError::Stack`].
    pub async fn serve(self, layer: &TransportLayer) -> Result<Peers, ListenError> {
        for own in self.addresses() {
            // What is listed as a listener names its address in the Via of requests; it carries nothing.
            layer.add_transport(door(unbounded_channel().1, own).await?);
        }
        let Some(own) = self.addresses().into_iter().next() else { return Ok(self.streams.peers.clone()) };
        layer.add_connection(door(self.messages, own).await?);
        let stop = self.streams.stop.clone();
        if let Some((listener, own)) = self.tcp {
            tokio::spawn(tcp::serve(self.streams.clone(), listener, own));
        }
        if let Some((listener, _, certificates)) = self.tls {
            let connector = Arc::new(Connector::new(certificates.clone()));
            rsipstack::platform::tls::set_client_connector(connector.clone());
            tokio::spawn(certificates.clone().follow(stop));
            tokio::spawn(tls::serve(self.streams.clone(), certificates, connector, listener));
        }
        Ok(self.streams.peers.clone())
    }
}

async fn bind(address: SocketAddr) -> Result<TcpListener, ListenError> {
    TcpListener::bind(address).await.map_err(|error| ListenError::Bind(address, error))
}

/// A way into the stack: what comes out of the receiver is taken as come by the connection that it names.
async fn door(messages: TransportReceiver, own: SipAddr) -> Result<SipConnection, ListenError> {
    let (nowhere, _) = unbounded_channel();
    let made = ChannelConnection::create_connection(messages, nowhere, own, None).await;
    made.map(SipConnection::Channel).map_err(|_| ListenError::Stack)
}
