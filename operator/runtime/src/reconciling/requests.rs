//! Counts the calls to the API server, as client-go does: `rest_client_requests_total` by code, host and method.
//!
//! A watch counts once, when its answer begins. A call without an answer has the code `<error>`, as client-go calls it.

use crate::metrics::Metrics;
use futures::future::{BoxFuture, FutureExt};
use http::{Request, Response};
use kube::client::Body;
use std::sync::Arc;
use std::task::{Context, Poll};
use tower::{Layer, Service};

/// Puts the counter under a client.
#[derive(Clone, Debug)]
pub struct CountLayer(pub Arc<Metrics>);

impl<S> Layer<S> for CountLayer {
    type Service = Counted<S>;

    fn layer(&self, inner: S) -> Counted<S> {
        Counted { inner, metrics: self.0.clone() }
    }
}

/// A client's service whose calls are counted.
#[derive(Clone, Debug)]
pub struct Counted<S> {
    inner: S,
    metrics: Arc<Metrics>,
}

impl<S, B> Service<Request<Body>> for Counted<S>
where
    S: Service<Request<Body>, Response = Response<B>>,
    S::Future: Send + 'static,
    S::Error: Send + 'static,
    B: Send + 'static,
{
    type Response = Response<B>;
    type Error = S::Error;
    type Future = BoxFuture<'static, Result<Response<B>, S::Error>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let host = request.uri().authority().map(ToString::to_string).unwrap_or_default();
        let (method, metrics) = (request.method().to_string(), self.metrics.clone());
        let answer = self.inner.call(request);
        async move {
            let answer = answer.await;
            let code = answer.as_ref().map(|answer| answer.status().as_u16().to_string());
            metrics.count_call(&host, &method, code.as_deref().unwrap_or("<error>"));
            answer
        }
        .boxed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tower::ServiceExt;

    #[tokio::test]
    async fn answers_are_counted_by_code_and_so_is_silence() {
        let metrics = Arc::new(Metrics::default());
        let inner = tower::service_fn(|request: Request<Body>| async move {
            if request.uri().path() == "/silent" { Err("lost") } else { Ok(Response::new(Body::empty())) }
        });
        for path in ["/a", "/silent"] {
            let request = Request::get(format!("https://api:6443{path}")).body(Body::empty()).unwrap();
            let _ = CountLayer(metrics.clone()).layer(inner).oneshot(request).await;
        }
        let text = metrics.render();
        for code in ["200", "<error>"] {
            let line =
                format!("rest_client_requests_total{{code=\"{code}\",host=\"api:6443\",method=\"GET\"}} 1");
            assert!(text.contains(&line), "{line} in {text}");
        }
    }
}
