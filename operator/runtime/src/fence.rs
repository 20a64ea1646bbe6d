//! Keeps a replica that has lost the lease from writing, whatever its reconciles are doing.
//!
//! Flow: the election opens the [`Fence`] with every renewal, until the moment before which nobody else may lead.
//! [`FenceLayer`] lies under the client that the controllers use, and [`Fence::within`] around what is told to cores: a
//! request that changes something is refused here once that moment is over, and one that is under way then is dropped,
//! which closes its connection: it can last longer than a lease. A process that was stopped for a minute and goes on in the
//! middle of a reconcile thus writes nothing, since the clock went on without it.
//!
//! What can go wrong: the server has the request already. The five seconds until somebody else may lead are for that; and
//! whatever is written is bound to what it was decided by (UID, request key), so that a late one changes nothing else.
//!
//! The election itself uses a client without the layer.

use futures::future::{BoxFuture, FutureExt};
use http::{Method, Request};
use kube::client::Body;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;
use tokio::sync::watch;
use tower::{BoxError, Layer, Service};

/// A write of a replica that doesn't lead.
#[derive(Debug, thiserror::Error)]
#[error("this replica doesn't hold the lease: nothing is written")]
pub struct NotLeading;

/// Until when this replica may write; closed at first.
#[derive(Clone, Debug, Default)]
pub struct Fence(Arc<watch::Sender<Option<Instant>>>);

impl Fence {
    /// Writes are allowed until then.
    pub fn open_until(&self, end: Instant) {
        self.0.send_replace(Some(end));
    }

    /// No more writes.
    pub fn close(&self) {
        self.0.send_replace(None);
    }

    /// Whether a write may begin now.
    pub fn is_open(&self, now: Instant) -> bool {
        self.0.borrow().is_some_and(|end| now < end)
    }

    /// Does what changes something, and drops it when this replica may not write any more.
    ///
    /// # Errors
    /// [`NotLeading`]: it was not begun, or not ended.
    pub async fn within<T>(&self, work: impl Future<Output = T>) -> Result<T, NotLeading> {
        let mut renewed = self.0.subscribe();
        tokio::pin!(work);
        loop {
            let end = *renewed.borrow_and_update();
            let Some(end) = end.filter(|end| Instant::now() < *end) else { return Err(NotLeading) };
            tokio::select! {
                biased;
                done = &mut work => return Ok(done),
                _ = renewed.changed() => {}
                () = tokio::time::sleep_until(end.into()) => {}
            }
        }
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
        let fence = changes(request.method()).then(|| self.fence.clone());
        if fence.as_ref().is_some_and(|fence| !fence.is_open(Instant::now())) {
            return futures::future::ready(Err(NotLeading.into())).boxed();
        }
        let answer = self.inner.call(request);
        async move {
            match fence {
                Some(fence) => fence.within(answer).await?.map_err(Into::into),
                None => answer.await.map_err(Into::into),
            }
        }
        .boxed()
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

    #[tokio::test]
    async fn a_write_under_way_goes_on_while_the_lease_is_renewed_and_is_dropped_when_it_is_not() {
        let (fence, soon) = (Fence::default(), Duration::from_millis(30));
        fence.open_until(Instant::now() + soon);
        let ended = Arc::new(tokio::sync::Notify::new());
        let renewing = async {
            for _ in 0..5 {
                fence.open_until(Instant::now() + soon);
                tokio::time::sleep(soon / 3).await;
            }
            ended.notify_one();
        };
        let (answer, ()) = tokio::join!(fence.within(ended.notified()), renewing);
        assert!(answer.is_ok(), "renewed all the while");

        let dropped = Arc::new(());
        let held = Arc::clone(&dropped);
        let for_ever = async move {
            let _held = held;
            std::future::pending::<()>().await;
        };
        assert!(fence.within(for_ever).await.is_err());
        assert_eq!(Arc::strong_count(&dropped), 1, "the request is dropped, not left alone");
    }

    #[tokio::test]
    async fn a_write_under_way_is_dropped_when_the_lease_is_let_go() {
        let fence = Fence::default();
        fence.open_until(Instant::now() + Duration::from_secs(60));
        let close = async { fence.close() };
        let (answer, ()) = tokio::join!(fence.within(std::future::pending::<()>()), close);
        assert!(answer.is_err());
    }
}
