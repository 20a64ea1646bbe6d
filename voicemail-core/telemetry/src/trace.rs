//! W3C trace context: who called us within which trace, and what we tell those whom we call.
//!
//! Flow: a request's `traceparent` is continued, or a trace begins with it; while it is handled, requests to others
//! carry a `traceparent` of the same trace, and log lines its id. Work that no request causes begins a trace of its
//! own.
//! `tracestate` and baggage are other people's data and aren't passed on. Logs show the ids; spans are exported only
//! where that is configured (see [`export`](super::export)) and the trace is sampled.

use super::export::{Exports, Finished, Sink};
use std::fmt;
use std::sync::Arc;

tokio::task_local! {
    static CURRENT: Place;
}

/// The header.
pub const TRACEPARENT: &str = "traceparent";

/// A place in a trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceContext {
    trace: u128,
    span: u64,
    flags: u8,
}

impl TraceContext {
    /// Reads a header of version 00, or as much of a later one as is the same. `None` for one that makes no sense.
    pub(crate) fn parse(header: &str) -> Option<Self> {
        let mut parts = header.trim().split('-');
        let (version, trace, span, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        let hex = |text: &str, length| {
            text.len() == length && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
        };
        let whole = hex(version, 2) && hex(trace, 32) && hex(span, 16) && hex(flags, 2);
        if !whole || version == "ff" || (version == "00" && parts.next().is_some()) {
            return None;
        }
        let context = Self {
            trace: u128::from_str_radix(trace, 16).ok()?,
            span: u64::from_str_radix(span, 16).ok()?,
            flags: u8::from_str_radix(flags, 16).ok()? & 1,
        };
        (context.trace != 0 && context.span != 0).then_some(context)
    }

    /// A trace that begins here. Not sampled: who wants that says so.
    pub(crate) fn begin() -> Self {
        Self { trace: uuid::Uuid::new_v4().as_u128(), span: 0, flags: 0 }.next()
    }

    /// The next place within the same trace.
    pub(crate) fn next(self) -> Self {
        // A version 4 UUID is never zero, and neither is either half of it.
        let (span, _) = uuid::Uuid::new_v4().as_u64_pair();
        Self { span, ..self }
    }

    /// The trace, as logs show it.
    pub fn id(self) -> String {
        format!("{:032x}", self.trace)
    }

    /// Trace and span.
    pub(super) fn ids(self) -> (u128, u64) {
        (self.trace, self.span)
    }
}

/// Where something happens within a trace, and where its span goes.
#[derive(Clone, Debug)]
pub struct Place {
    /// Trace and span.
    pub context: TraceContext,
    pub(super) parent: Option<u64>,
    /// The parent is another process's.
    pub(super) remote: bool,
    sink: Option<Arc<Sink>>,
}

impl Place {
    /// Whose span goes nowhere.
    pub(super) fn of(context: TraceContext) -> Self {
        Self { context, parent: None, remote: false, sink: None }
    }

    /// A request's, with the header that it brought. Whether a trace that begins elsewhere is sampled is decided there.
    pub fn receive(exports: &Exports, header: Option<&str>) -> Self {
        let sink = exports.sink();
        let given = header.and_then(TraceContext::parse);
        let mut context = given.map_or_else(TraceContext::begin, TraceContext::next);
        if given.is_none() && sink.as_ref().is_some_and(|sink| sink.samples(context.trace)) {
            context.flags = 1;
        }
        let sink = sink.filter(|_| context.flags == 1);
        Self { context, parent: given.map(|given| given.span), remote: given.is_some(), sink }
    }

    /// A new one within the one in which this is called; `None` outside any.
    pub(super) fn within() -> Option<Self> {
        let inner = |place: &Self| {
            let (context, parent) = (place.context.next(), Some(place.context.span));
            Self { context, parent, remote: false, sink: place.sink.clone() }
        };
        CURRENT.try_with(inner).ok()
    }

    /// Runs what a request causes.
    pub async fn scope<T>(&self, future: impl Future<Output = T>) -> T {
        CURRENT.scope(self.clone(), future).await
    }

    /// Ends its span, if it goes anywhere.
    pub(super) fn end(&self, finished: impl FnOnce() -> Finished) {
        if let Some(sink) = &self.sink {
            sink.end(self, finished());
        }
    }
}

/// Makes a task of its own belong to the trace in which it is begun.
pub fn carry<T>(future: impl Future<Output = T>) -> impl Future<Output = T> {
    let place = CURRENT.try_with(Clone::clone).ok();
    async move {
        match place {
            Some(place) => place.scope(future).await,
            None => future.await,
        }
    }
}

impl fmt::Display for TraceContext {
    /// As the header has it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "00-{:032x}-{:016x}-{:02x}", self.trace, self.span, self.flags)
    }
}

#[cfg(test)]
mod tests {
    use super::super::span::Outgoing;
    use super::*;
    use proptest::prelude::*;

    const GIVEN: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[tokio::test]
    async fn what_a_request_causes_is_of_its_trace_and_all_else_begins_one() {
        let context = TraceContext::parse(GIVEN).unwrap();
        assert_eq!(context.to_string(), GIVEN);
        let place = Place::receive(&Exports::default(), Some(GIVEN));
        assert_eq!((place.context.id(), place.parent), (context.id(), Some(context.span)));
        for out in [
            place.scope(async { Outgoing::begin().traceparent() }).await,
            place
                .scope(async { tokio::spawn(carry(async { Outgoing::begin().traceparent() })).await })
                .await
                .unwrap(),
        ] {
            let out = TraceContext::parse(&out).unwrap();
            assert_eq!((out.id(), out.flags), (context.id(), 1));
            assert!(out.span != context.span && out.span != place.context.span);
        }
        assert_ne!(Outgoing::begin().traceparent(), Outgoing::begin().traceparent());
    }

    #[test]
    fn headers_that_make_no_sense_are_not_continued() {
        for bad in [
            "",
            "00",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-x",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        ] {
            assert_eq!(TraceContext::parse(bad), None, "{bad}");
        }
        let later = "01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-03-later";
        assert_eq!(TraceContext::parse(later).unwrap().to_string(), GIVEN);
    }

    proptest! {
        #[test]
        fn any_header_is_read_or_refused(text in "\\PC{0,80}") {
            if let Some(context) = TraceContext::parse(&text) {
                prop_assert_eq!(TraceContext::parse(&context.to_string()), Some(context));
            }
        }
    }
}
