//! A body on its way to the multipart parser, a slice at a time, and no more of it than is granted.
//!
//! The parser gathers what it is given until it finds what it looks for. Around the audio it therefore gets small
//! slices, and an end instead of more: so many bytes for what stands between two fields, and so many for all fields.

use bytes::Bytes;
use futures::{Stream, StreamExt};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll};

/// The most bytes of one poll while fields are read.
const SLICE: usize = 4 * 1024;
/// The most bytes of the fields around the audio, all together.
pub(super) const MOST_FIELDS: u64 = 1024 * 1024;
/// The most bytes between two fields: the boundary and the header of the next one.
pub(super) const MOST_HEADER: u64 = 8 * 1024;

/// More than is granted.
#[derive(Debug, thiserror::Error)]
#[error("the fields are larger than is read")]
pub(super) struct TooMuch;

/// The bytes that the body may still give.
pub(super) struct Grant {
    /// The audio is being read: whole chunks, as many as come.
    open: AtomicBool,
    all: AtomicU64,
    header: AtomicU64,
}

impl Grant {
    pub(super) fn new() -> Arc<Self> {
        let (all, header) = (AtomicU64::new(MOST_FIELDS), AtomicU64::new(u64::MAX));
        Arc::new(Self { open: AtomicBool::new(false), all, header })
    }

    /// Until a field begins only so much may come.
    pub(super) fn expect_header(&self) {
        self.open.store(false, Ordering::Relaxed);
        self.header.store(MOST_HEADER, Ordering::Relaxed);
    }

    /// A field has begun, whose bytes are handed on as they come.
    pub(super) fn expect_field(&self) {
        self.header.store(u64::MAX, Ordering::Relaxed);
    }

    /// The audio has begun.
    pub(super) fn expect_audio(&self) {
        self.open.store(true, Ordering::Relaxed);
    }

    /// How much of a chunk may be given now; `None`: nothing more.
    fn take(&self, there: usize) -> Option<usize> {
        if self.open.load(Ordering::Relaxed) {
            return Some(there);
        }
        let (all, header) = (self.all.load(Ordering::Relaxed), self.header.load(Ordering::Relaxed));
        let granted = usize::try_from(all.min(header)).unwrap_or(usize::MAX);
        let taken = there.min(SLICE).min(granted);
        if taken == 0 && there > 0 {
            return None;
        }
        self.all.store(all - taken as u64, Ordering::Relaxed);
        if header != u64::MAX {
            self.header.store(header - taken as u64, Ordering::Relaxed);
        }
        Some(taken)
    }
}

/// The body, one slice a poll: the multipart parser drains its source, and would otherwise buffer the whole recording
/// of a fast sender before it hands on the first byte.
pub(super) struct Gate<S> {
    body: S,
    rest: Bytes,
    gave: bool,
    grant: Arc<Grant>,
}

impl<S> Gate<S> {
    pub(super) fn new(body: S, grant: Arc<Grant>) -> Self {
        Self { body, rest: Bytes::new(), gave: false, grant }
    }
}

type Failure = Box<dyn std::error::Error + Send + Sync>;

impl<S, E> Stream for Gate<S>
where
    S: Stream<Item = Result<Bytes, E>> + Unpin,
    E: Into<Failure>,
{
    type Item = Result<Bytes, Failure>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if std::mem::take(&mut self.gave) {
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        while self.rest.is_empty() {
            match std::task::ready!(self.body.poll_next_unpin(context)) {
                Some(Ok(chunk)) => self.rest = chunk,
                Some(Err(error)) => return Poll::Ready(Some(Err(error.into()))),
                None => return Poll::Ready(None),
            }
        }
        let there = self.rest.len();
        self.gave = true;
        Poll::Ready(Some(match self.grant.take(there) {
            Some(taken) => Ok(self.rest.split_to(taken)),
            None => Err(Box::new(TooMuch)),
        }))
    }
}
