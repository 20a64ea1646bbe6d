//! Answers for all fake pods' cores: every one is ready and serves the same store.
//!
//! The pods' addresses are loopback addresses, so that the operator's questions arrive here.

use std::net::Ipv4Addr;

use anyhow::{Context, Result};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

const PORT: u16 = 9090;
const ANSWER: &str = r#"{"ready":true,"reason":"Ready","message":"serving","storeId":"scale","regions":[{"name":"eu-west","reachable":true}]}"#;

/// Answers until the process ends.
pub(crate) async fn serve() -> Result<()> {
    let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, PORT)).await;
    let listener = listener.with_context(|| format!("port {PORT}, which cores answer on, is taken"))?;
    tokio::spawn(async move {
        loop {
            let Ok((mut stream, _)) = listener.accept().await else { continue };
            tokio::spawn(async move {
                let mut request = [0; 1024];
                while stream.read(&mut request).await.is_ok_and(|read| read > 0) {
                    let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length:";
                    let answer = format!("{head} {}\r\n\r\n{ANSWER}", ANSWER.len());
                    if stream.write_all(answer.as_bytes()).await.is_err() {
                        return;
                    }
                }
            });
        }
    });
    Ok(())
}
