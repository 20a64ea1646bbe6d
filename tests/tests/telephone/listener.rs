//! Hears what a call is sent: the samples of all packets in their order.

use std::sync::{Arc, Mutex};

use tokio::net::UdpSocket;
use tokio::task::JoinHandle;

const HEADER: usize = 12;

pub(crate) struct Listener {
    pub(crate) port: u16,
    heard: Arc<Mutex<Vec<u8>>>,
    task: JoinHandle<()>,
}

impl Listener {
    pub(crate) async fn open() -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let port = socket.local_addr().unwrap().port();
        let heard = Arc::new(Mutex::new(Vec::new()));
        let into = heard.clone();
        let task = tokio::spawn(async move {
            let mut packet = [0; 2_048];
            while let Ok((length, _)) = socket.recv_from(&mut packet).await {
                into.lock().unwrap().extend_from_slice(packet.get(HEADER..length).unwrap_or_default());
            }
        });
        Self { port, heard, task }
    }

    /// Whether exactly these samples were heard at some time.
    pub(crate) fn heard(&self, samples: &[u8]) -> bool {
        let heard = self.heard.lock().unwrap();
        heard.windows(samples.len()).any(|window| window == samples)
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.task.abort();
    }
}
