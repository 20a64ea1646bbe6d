//! Keeps a replica that has lost the lease from writing, whatever its reconciles are doing.
//!
//! Flow: the election opens the [`Fence`] with every renewal, until the moment before which nobody else may lead.
//! [`FenceLayer`] lies under the client that the controllers use: a request that changes something is refused here
//! once that moment is over. A process that was stopped for a minute and goes on in the middle of a reconcile
//! thus writes nothing, since the clock went on without it.
//!
//! The election itself uses a client without the layer.

use futures::future::{BoxFuture, FutureExt};
use http::{Method, Request};
use kube::client::Body;
use std::sync::{Arc, PoisonError, RwLock};
use std::task::{Context, Poll};
use std::time::Instant;
use tower::{BoxError, Layer, Service};

/// A write of a replica that doesn't lead.
#[derive(Debug, thiserror::Error)]
#[error("this replica doesn't hold the lease: nothing is written")]
pub struct NotLeading;

/// Until when this replica may write.
#[derive(Clone, Debug, Default)]
pub struct Fence(Arc<RwLock<Option<Instant>>>);

impl Fence {
    /// Writes are allowed until then.
    pub fn open_until(&self, end: Instant) {
        self.set(Some(end));
    }

    /// No more writes.
    pub fn close(&self) {
        self.set(None);
    }

    /// Whether a write may begin now.
    pub fn is_open(&self, now: Instant) -> bool {
        self.0.read().unwrap_or_else(PoisonError::into_inner).is_some_and(|end| now < end)
    }

    fn set(&self, end: Option<Instant>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = end;
    }
}

/// Puts a fence under a client.
#[derive(Clone, Debug)]
pub struct FenceLayer(pub Fence);

impl<S> Layer<S> for FenceLayer {
    type Service = Fenced<S>;

    fn layer(&self, inner: S) -> Fenced<S> {
        Fenced { inner, fence: self.0.clone() }
    }
}

/// A client's service behind a fence.
#[derive(Clone, Debug)]
pub struct Fenced<S> {
    inner: S,
    fence: Fence,
}

impl<S> Service<Request<Body>> for Fenced<S>
where
    S: Service<Request<Body>>,
    S::Error: Into<BoxError>,
    S::Future: Send + 'static,
    S::Response: Send + 'static,
{
    type Response = S::Response;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<S::Response, BoxError>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(context).map_err(Into::into)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        if changes(request.method()) && !self.fence.is_open(Instant::now()) {
            return futures::future::ready(Err(NotLeading.into())).boxed();
        }
        let answer = self.inner.call(request);
        async move { answer.await.map_err(Into::into) }.boxed()
    }
}

fn changes(method: &Method) -> bool {
    !matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;
    use tower::ServiceExt;

    async fn call(fence: &Fence, method: Method) -> Result<&'static str, BoxError> {
        let inner = tower::service_fn(|_: Request<Body>| async { Ok::<_, BoxError>("answered") });
        let request = Request::builder().method(method).uri("/").body(Body::empty())?;
        FenceLayer(fence.clone()).layer(inner).oneshot(request).await
    }

    #[tokio::test]
    async fn without_the_lease_reads_pass_and_writes_do_not() {
        let fence = Fence::default();
        assert_eq!(call(&fence, Method::GET).await.unwrap(), "answered");
        for method in [Method::POST, Method::PUT, Method::PATCH, Method::DELETE] {
            assert!(call(&fence, method).await.unwrap_err().is::<NotLeading>());
        }
    }

    #[tokio::test]
    async fn with_the_lease_writes_pass_until_its_time_is_over() {
        let (fence, now) = (Fence::default(), Instant::now());
        fence.open_until(now + Duration::from_secs(60));
        assert_eq!(call(&fence, Method::PATCH).await.unwrap(), "answered");
        assert!(!fence.is_open(now + Duration::from_secs(60)));
        fence.close();
        assert!(call(&fence, Method::PATCH).await.is_err());
    }
}
