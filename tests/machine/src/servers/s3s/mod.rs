//! An S3 server inside the test process, over the crate `s3s`, all in memory.
//!
//! `s3s` speaks HTTP and verifies signatures; `operations` maps S3's calls to `state`, which one lock guards,
//! so conditions are decided atomically. It was chosen over `s3s-fs`, whose conditional writes race and which
//! has neither tags nor versions. An [`Oddity`] makes it behave like servers that a start-up probe must catch.

mod listing;
mod operations;
mod state;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use ::s3s::auth::{S3Auth, SecretKey};
use ::s3s::service::S3ServiceBuilder;
use ::s3s::{S3Result, s3_error};
use anyhow::Result;
use http::StatusCode;
use parking_lot::Mutex;

use crate::servers::in_process::InProcess;
use crate::servers::ports::find_free_port;
use crate::servers::s3_admin::{S3Endpoint, S3Keys};
use operations::Operations;
use state::State;

/// How the server differs from S3.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Oddity {
    /// Not at all.
    #[default]
    None,
    /// `If-Match` with a quoted ETag is always refused with 412; without quotes it works. So does Ceph.
    BareEtagsOnly,
    /// Conditions of writes are accepted and ignored. So does Garage.
    IgnoresConditions,
}

/// The server; its data lives as long as this value.
pub struct S3sServer {
    state: Arc<Mutex<State>>,
    address: SocketAddr,
    keys: S3Keys,
    oddity: Oddity,
    running: Option<InProcess>,
}

impl S3sServer {
    /// Starts it with random keys.
    pub async fn start(listen: IpAddr, oddity: Oddity) -> Result<Self> {
        let address = find_free_port(listen)?;
        let state = Arc::new(Mutex::new(State::default()));
        let mut server = Self { state, address, keys: S3Keys::random(), oddity, running: None };
        server.start_again().await?;
        Ok(server)
    }

    /// Where and with which keys to reach it.
    pub fn endpoint(&self) -> S3Endpoint {
        S3Endpoint::new(format!("http://{}", self.address), self.keys.clone())
    }

    /// From now on every write is refused with that code and status, or none any more; reads and deletions go on.
    pub fn refuse_writes(&self, refusal: Option<(&'static str, StatusCode)>) {
        self.state.lock().refusal = refusal;
    }

    /// The address that it listens on.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The keys of the next start; those of before are refused from then on.
    pub fn set_keys(&mut self, keys: S3Keys) {
        self.keys = keys;
    }

    /// Closes its port and connections; its data stays.
    pub async fn stop(&mut self) {
        if let Some(running) = self.running.take() {
            running.stop().await;
        }
    }

    /// Starts it on the same port and data, ending it first if it runs.
    pub async fn start_again(&mut self) -> Result<()> {
        self.stop().await;
        let mut service = S3ServiceBuilder::new(Operations::new(self.state.clone(), self.oddity));
        service.set_auth(OnePair(self.keys.clone()));
        self.running = Some(InProcess::start(self.address, service.build()).await?);
        Ok(())
    }
}

/// The keys that are accepted.
struct OnePair(S3Keys);

#[async_trait::async_trait]
impl S3Auth for OnePair {
    async fn get_secret_key(&self, access_key: &str) -> S3Result<SecretKey> {
        if access_key == self.0.access_key {
            Ok(SecretKey::from(self.0.secret_key.as_str()))
        } else {
            Err(s3_error!(InvalidAccessKeyId))
        }
    }
}
