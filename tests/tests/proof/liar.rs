//! A proxy between people and replicas that tells lies of one kind.
//!
//! Each request is read whole and asked of any replica by a client of the proxy's own, with the signature of who asked, so that nothing of
//! the product takes part in the lie.

use crate::lies::{Answer, Course, Lie, Memory, Request};
use anyhow::{Context as _, Result};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use reqwest::StatusCode;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::net::TcpListener;
use tokio::task::{JoinHandle, JoinSet};

const KEY: &str = "idempotency-key";

/// The proxy; dropping it closes its port and its connections.
pub(crate) struct Liar {
    address: SocketAddr,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

impl Drop for Liar {
    fn drop(&mut self) {
        self.task.abort();
    }
}

struct Shared {
    memory: Memory,
    http: reqwest::Client,
    urls: Vec<String>,
    next: AtomicUsize,
}

impl Liar {
    /// Listens before these replicas.
    pub(crate) async fn start(lie: Lie, urls: Vec<String>) -> Result<Self> {
        let listener = TcpListener::bind((voicemail_test_machine::servers::loopback(), 0)).await?;
        let http = reqwest::Client::builder().no_proxy().build()?;
        let shared = Arc::new(Shared { memory: Memory::new(lie), http, urls, next: AtomicUsize::new(0) });
        let (address, task) = (listener.local_addr()?, tokio::spawn(accept(listener, shared.clone())));
        Ok(Self { address, shared, task })
    }

    /// Of the API behind it.
    pub(crate) fn url(&self) -> String {
        format!("http://{}/api/v1", self.address)
    }

    /// What was lied about so far, as findings say it.
    pub(crate) fn lied_about(&self) -> Vec<String> {
        self.shared.memory.lied_about()
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    // Dropped with this task, the set ends all connections.
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let shared = shared.clone();
        let service = service_fn(move |request| shared.clone().answer(request));
        connections.spawn(async move {
            // A client that leaves ends its connection, which is no fault.
            let _closed = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

impl Shared {
    async fn answer(
        self: Arc<Self>,
        request: hyper::Request<Incoming>,
    ) -> Result<hyper::Response<Full<Bytes>>> {
        let (parts, body) = request.into_parts();
        let target = parts.uri.path_and_query().context("no path")?.as_str();
        let path = target.strip_prefix("/api/v1").context("not of the API")?.to_owned();
        let key = parts.headers.get(KEY).map(|key| key.to_str().map(str::to_owned)).transpose()?;
        let body = body.collect().await?.to_bytes().to_vec();
        let (status, body) =
            self.carry_out(Request { method: parts.method, path, key, body }, &parts.headers).await?;
        let mut answer = hyper::Response::new(Full::new(body.into()));
        *answer.status_mut() = status;
        Ok(answer)
    }

    async fn carry_out(&self, request: Request, headers: &HeaderMap) -> Result<Answer> {
        let requests = match self.memory.decide(request) {
            Course::Answered(answer) => return Ok(answer),
            Course::PassedOn(requests) => requests,
        };
        let mut given = (StatusCode::BAD_GATEWAY, Vec::new());
        for request in requests {
            let answer = self.pass_on(&request, headers).await?;
            given = self.memory.give(&request, answer);
        }
        Ok(given)
    }

    async fn pass_on(&self, request: &Request, headers: &HeaderMap) -> Result<Answer> {
        let replica = self.next.fetch_add(1, Ordering::Relaxed) % self.urls.len();
        let url = format!("{}{}", self.urls[replica], request.path);
        let mut passed = self.http.request(request.method.clone(), url).body(request.body.clone());
        for name in [AUTHORIZATION, CONTENT_TYPE] {
            if let Some(value) = headers.get(&name) {
                passed = passed.header(name, value);
            }
        }
        if let Some(key) = &request.key {
            passed = passed.header(KEY, key);
        }
        let answer = passed.send().await?;
        Ok((answer.status(), answer.bytes().await?.to_vec()))
    }
}
