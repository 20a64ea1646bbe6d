//! A proxy between a store's client and its server that plays the faults a test asks for.
//!
//! It takes HTTP/1.1 in the test process and hands each request on as it came, with its Host header, which
//! signatures cover. A test pushes [`Rule`]s; the first one that matches a request and isn't used up decides its
//! [`Fault`]; without one, request and answer pass unchanged. Every request that arrives is recorded.
//!
//! What can go wrong: a server that cannot be reached closes the client's connection without an answer.

mod answers;
mod forward;
mod rules;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Result;
use http::Method;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use parking_lot::Mutex;

pub use answers::{Denial, Dialect};
pub use rules::{Fault, Rule};

use crate::servers::in_process::{AnyBody, BoxError, InProcess};
use crate::servers::ports::find_free_port;
use forward::Upstream;

/// One request that arrived.
#[derive(Clone, Debug)]
pub struct Seen {
    /// Its method.
    pub method: Method,
    /// Its path and query as they were sent.
    pub path: String,
    /// When it arrived.
    pub at: Instant,
    /// Whether a rule played a fault on it.
    pub faulted: bool,
}

#[derive(Default)]
struct Script {
    rules: Vec<Rule>,
    seen: Vec<Seen>,
}

/// A listening proxy; dropping it closes all of its connections.
pub struct FaultProxy {
    address: SocketAddr,
    shared: Arc<Shared>,
    running: Option<InProcess>,
}

struct Shared {
    script: Mutex<Script>,
    upstream: Upstream,
    dialect: Dialect,
}

impl FaultProxy {
    /// Listens on a free port of `listen` for requests to `server`, whose errors are played in `dialect`.
    pub async fn start(listen: IpAddr, server: SocketAddr, dialect: Dialect) -> Result<Self> {
        let upstream = Upstream::new(server);
        let shared = Arc::new(Shared { script: Mutex::default(), upstream, dialect });
        let mut proxy = Self { address: find_free_port(listen)?, shared, running: None };
        proxy.accept_connections().await?;
        Ok(proxy)
    }

    /// The address for the client, for `S3Endpoint::at` or `AzureEndpoint::at`.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Adds a rule behind those that are there.
    pub fn push(&self, rule: Rule) {
        self.shared.script.lock().rules.push(rule);
    }

    /// Forgets all rules; faults under way go on.
    pub fn clear_rules(&self) {
        self.shared.script.lock().rules.clear();
    }

    /// Every request since the start or the last [`FaultProxy::clear_seen`], in order of arrival.
    pub fn seen(&self) -> Vec<Seen> {
        self.shared.script.lock().seen.clone()
    }

    /// How many requests of this method have `part` in path and query.
    pub fn count(&self, method: &Method, part: &str) -> usize {
        let script = self.shared.script.lock();
        script.seen.iter().filter(|seen| seen.method == *method && seen.path.contains(part)).count()
    }

    /// Forgets the requests so far.
    pub fn clear_seen(&self) {
        self.shared.script.lock().seen.clear();
    }

    /// Closes its port and all connections: the server is down.
    pub async fn refuse_connections(&mut self) {
        if let Some(running) = self.running.take() {
            running.stop().await;
        }
    }

    /// Listens again on the same port.
    pub async fn accept_connections(&mut self) -> Result<()> {
        if self.running.is_none() {
            let shared = self.shared.clone();
            let service = service_fn(move |request| shared.clone().answer(request));
            self.running = Some(InProcess::start(self.address, service).await?);
        }
        Ok(())
    }
}

impl Shared {
    /// The answer to one request; an error closes its connection.
    async fn answer(self: Arc<Self>, request: Request<Incoming>) -> Result<Response<AnyBody>, BoxError> {
        match self.record(&request) {
            None => self.upstream.forward(request).await,
            Some(fault) => self.play(fault, request).await,
        }
    }

    fn record(&self, request: &Request<Incoming>) -> Option<Fault> {
        let path = request.uri().path_and_query().map_or("/", |path| path.as_str()).to_owned();
        let method = request.method().clone();
        let mut script = self.script.lock();
        let fault = script.rules.iter_mut().find_map(|rule| rule.take(&method, &path));
        script.seen.push(Seen { method, path, at: Instant::now(), faulted: fault.is_some() });
        fault
    }

    async fn play(&self, fault: Fault, request: Request<Incoming>) -> Result<Response<AnyBody>, BoxError> {
        let upstream = &self.upstream;
        match fault {
            Fault::AppliedThenClosed => {
                upstream.apply(request).await?;
                Err("closed by a rule".into())
            }
            Fault::AppliedThenAnswered(status) => {
                upstream.apply(request).await?;
                Ok(answers::server_error(self.dialect, status))
            }
            Fault::Conflict => refuse(request, answers::conflict(self.dialect)).await,
            Fault::Throttled { status, retry_after } => {
                refuse(request, answers::throttled(self.dialect, status, retry_after)).await
            }
            Fault::Failed(status) => refuse(request, answers::server_error(self.dialect, status)).await,
            Fault::Denied(denial) => refuse(request, answers::denied(self.dialect, denial)).await,
            Fault::Delayed(delay) => {
                tokio::time::sleep(delay).await;
                upstream.forward(request).await
            }
            Fault::AnsweredLate(delay) => {
                let answer = upstream.forward(request).await?;
                tokio::time::sleep(delay).await;
                Ok(answer)
            }
            Fault::Trickled { chunk, every } => upstream.trickle(request, chunk, every).await,
            Fault::Hung { applied } => {
                if applied {
                    upstream.apply(request).await?;
                }
                std::future::pending().await
            }
            Fault::HalfBody => upstream.halve(request).await,
            Fault::SkewedClock { seconds } => {
                let answer = upstream.forward(request).await?;
                answers::shift_date(answer, seconds)
            }
            Fault::AddedHeaders(headers) => {
                let mut answer = upstream.forward(request).await?;
                answer.headers_mut().extend(headers);
                Ok(answer)
            }
        }
    }
}

/// Answers without handing on, after the body was read, so that the client isn't cut off while it sends.
async fn refuse(
    request: Request<Incoming>,
    answer: Response<AnyBody>,
) -> Result<Response<AnyBody>, BoxError> {
    forward::discard(request.into_body()).await?;
    Ok(answer)
}

/// How long a client should wait, as the header `Retry-After` says it: whole seconds.
fn whole_seconds(duration: Duration) -> u64 {
    duration.as_secs()
}
