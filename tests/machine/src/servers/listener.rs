//! Hears what a call is sent: the samples of all packets in their order.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::Result;
use tokio::net::UdpSocket;
use tokio::task::JoinHandle;

const HEADER: usize = 12;

/// An ear at a port of this machine.
pub struct Listener {
    /// The port.
    pub port: u16,
    heard: Arc<Mutex<Vec<u8>>>,
    task: JoinHandle<()>,
}

impl Listener {
    /// Listens at a free port of that address.
    pub async fn open(address: IpAddr) -> Result<Self> {
        let socket = UdpSocket::bind((address, 0)).await?;
        let port = socket.local_addr()?.port();
        let heard = Arc::new(Mutex::new(Vec::new()));
        let into = heard.clone();
        let task = tokio::spawn(async move {
            let mut packet = [0; 2_048];
            while let Ok((length, _)) = socket.recv_from(&mut packet).await {
                lock(&into).extend_from_slice(packet.get(HEADER..length).unwrap_or_default());
            }
        });
        Ok(Self { port, heard, task })
    }

    /// How many samples were heard.
    pub fn count(&self) -> usize {
        lock(&self.heard).len()
    }

    /// Whether exactly these samples were heard at some time.
    pub fn heard(&self, samples: &[u8]) -> bool {
        lock(&self.heard).windows(samples.len()).any(|window| window == samples)
    }
}

fn lock(heard: &Mutex<Vec<u8>>) -> MutexGuard<'_, Vec<u8>> {
    heard.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.task.abort();
    }
}
