//! Watches the requests of a store's client: the server's clock, its name, and how many there were.
//!
//! Every answer carries a Date header, so that the clocks are compared without a request of their own.

use async_trait::async_trait;
use object_store::ClientOptions;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpRequest, HttpResponse, HttpService, ReqwestConnector,
};
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use voicemail_model::Time;
use voicemail_model::clock::World;

/// Facts that the answers have told.
pub(super) struct Observed {
    world: World,
    date: Mutex<Option<(Time, Duration)>>,
    server: Mutex<Option<String>>,
    requests: AtomicU64,
}

impl Observed {
    pub(super) fn new(world: World) -> Arc<Self> {
        Arc::new(Self {
            world,
            date: Mutex::default(),
            server: Mutex::default(),
            requests: AtomicU64::new(0),
        })
    }

    /// The server's clock now, if an answer of the last `age` told it. To half a second.
    pub(super) fn clock(&self, age: Duration) -> Option<Time> {
        let (date, seen) = (*self.date.lock().unwrap_or_else(PoisonError::into_inner))?;
        let since = self.world.monotonic().saturating_sub(seen);
        (since <= age).then(|| date.plus(since))
    }

    /// The server's name for itself in its last answer.
    pub(super) fn server(&self) -> Option<String> {
        self.server.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Requests sent so far.
    pub(super) fn requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }

    /// A request failed on its way: whether the server still answers must be asked again.
    fn forget(&self) {
        *self.date.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    fn note(&self, response: &HttpResponse) {
        let name = response.headers().get(http::header::SERVER).and_then(|value| value.to_str().ok());
        *self.server.lock().unwrap_or_else(PoisonError::into_inner) = name.map(str::to_owned);
        let header = response.headers().get(http::header::DATE).and_then(|value| value.to_str().ok());
        let Some(date) = header.and_then(Time::from_http_date) else { return };
        // The header has whole seconds: the middle of that second is the best guess.
        let now = (date.plus(Duration::from_millis(500)), self.world.monotonic());
        *self.date.lock().unwrap_or_else(PoisonError::into_inner) = Some(now);
    }
}

impl fmt::Debug for Observed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Observed").field("requests", &self.requests()).finish_non_exhaustive()
    }
}

/// Makes clients that are watched.
#[derive(Debug)]
pub(super) struct ObservingConnector(pub(super) Arc<Observed>);

impl HttpConnector for ObservingConnector {
    fn connect(&self, options: &ClientOptions) -> object_store::Result<HttpClient> {
        let inner = ReqwestConnector::default().connect(options)?;
        Ok(HttpClient::new(ObservingService { inner, observed: Arc::clone(&self.0) }))
    }
}

#[derive(Debug)]
struct ObservingService {
    inner: HttpClient,
    observed: Arc<Observed>,
}

#[async_trait]
impl HttpService for ObservingService {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        self.observed.requests.fetch_add(1, Ordering::Relaxed);
        match self.inner.execute(request).await {
            Ok(response) => {
                self.observed.note(&response);
                Ok(response)
            }
            Err(error) => {
                self.observed.forget();
                Err(error)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_header_is_read() {
        assert_eq!(Time::from_http_date("Sun, 06 Nov 1994 08:49:37 GMT"), Some(Time(784_111_777_000)));
        assert_eq!(Time::from_http_date("yesterday"), None);
    }
}
