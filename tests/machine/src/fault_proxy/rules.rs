//! Which requests a fault is played on, and which faults there are.

use std::time::Duration;

use http::{HeaderMap, Method, StatusCode};

use super::answers::Denial;

/// A fault instead of a plain answer.
#[derive(Clone, Debug)]
pub enum Fault {
    /// The server gets the request; then the connection is closed without an answer.
    AppliedThenClosed,
    /// The server gets the request; the client gets this status, such as 500 or 503.
    AppliedThenAnswered(StatusCode),
    /// 409 `ConditionalRequestConflict`, on Azure `BlobAlreadyExists`; the server gets nothing.
    Conflict,
    /// This status (503 or 429) with `Retry-After` in whole seconds; the server gets nothing.
    Throttled {
        /// Status of the answer.
        status: StatusCode,
        /// How long the client is asked to wait.
        retry_after: Duration,
    },
    /// 500, 503 and their like; the server gets nothing.
    Failed(StatusCode),
    /// 403; the server gets nothing.
    Denied(Denial),
    /// The request is held back for this long.
    Delayed(Duration),
    /// The server gets the request at once, and its answer is held back for this long.
    AnsweredLate(Duration),
    /// The answer's body comes in pieces of `chunk` bytes, one every `every`.
    Trickled {
        /// Bytes of one piece, at least 1.
        chunk: usize,
        /// Pause before each piece.
        every: Duration,
    },
    /// No answer ever comes, though the connection stays open.
    Hung {
        /// Whether the server gets the request.
        applied: bool,
    },
    /// The answer names its whole length, and the connection is closed after half of it.
    HalfBody,
    /// The answer's `Date` is later by this many seconds, or earlier if below 0.
    SkewedClock {
        /// Seconds to add.
        seconds: i64,
    },
    /// The answer has these headers too.
    AddedHeaders(HeaderMap),
}

type Predicate = Box<dyn Fn(&str) -> bool + Send + Sync>;

/// A fault and the requests that it is for: unless said otherwise, the next one, whichever it is.
pub struct Rule {
    fault: Fault,
    method: Option<Method>,
    paths: Vec<Predicate>,
    skip: usize,
    every: usize,
    left: Option<usize>,
}

impl Rule {
    /// For the next request.
    pub fn new(fault: Fault) -> Self {
        Self { fault, method: None, paths: Vec::new(), skip: 0, every: 1, left: Some(1) }
    }

    /// Only for this method.
    #[must_use]
    pub fn on(mut self, method: Method) -> Self {
        self.method = Some(method);
        self
    }

    /// Only where path and query contain this.
    #[must_use]
    pub fn path_contains(self, part: &str) -> Self {
        let part = part.to_owned();
        self.path_is(move |path| path.contains(&part))
    }

    /// Only where this holds for path and query.
    #[must_use]
    pub fn path_is(mut self, predicate: impl Fn(&str) -> bool + Send + Sync + 'static) -> Self {
        self.paths.push(Box::new(predicate));
        self
    }

    /// Lets this many matching requests pass first.
    #[must_use]
    pub fn after(mut self, requests: usize) -> Self {
        self.skip = requests;
        self
    }

    /// Only for one matching request in so many, behind those that pass first.
    #[must_use]
    pub fn one_in(mut self, requests: usize) -> Self {
        self.every = requests;
        self
    }

    /// For this many requests.
    #[must_use]
    pub fn times(mut self, requests: usize) -> Self {
        self.left = Some(requests);
        self
    }

    /// For all requests from now on.
    #[must_use]
    pub fn forever(mut self) -> Self {
        self.left = None;
        self
    }

    /// The fault for this request, which counts as one of the rule's requests.
    pub(super) fn take(&mut self, method: &Method, path: &str) -> Option<Fault> {
        let is_other_method = self.method.as_ref().is_some_and(|own| own != method);
        if self.left == Some(0) || is_other_method || !self.paths.iter().all(|holds| holds(path)) {
            return None;
        }
        if self.skip > 0 {
            self.skip -= 1;
            return None;
        }
        self.skip = self.every.saturating_sub(1);
        self.left = self.left.map(|left| left - 1);
        Some(self.fault.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_counts_only_the_requests_it_is_for() {
        let mut rule = Rule::new(Fault::Conflict).on(Method::PUT).path_contains("/a").after(1).times(2);
        let mut plays = |method: Method, path| rule.take(&method, path).is_some();
        assert!(!plays(Method::GET, "/a") && !plays(Method::PUT, "/b"));
        assert!(!plays(Method::PUT, "/a/1"), "the first passes");
        assert!(plays(Method::PUT, "/a/2") && plays(Method::PUT, "/a/3"));
        assert!(!plays(Method::PUT, "/a/4"), "used up");
    }

    #[test]
    fn a_rule_for_one_in_three_lets_the_others_pass() {
        let mut rule = Rule::new(Fault::Conflict).after(1).one_in(3).forever();
        let plays: Vec<bool> = (0..8).map(|_| rule.take(&Method::GET, "/").is_some()).collect();
        assert_eq!(plays, [false, true, false, false, true, false, false, true]);
    }

    #[test]
    fn a_rule_for_ever_is_never_used_up() {
        let mut rule = Rule::new(Fault::Conflict).forever();
        assert!((0..100).all(|_| rule.take(&Method::GET, "/").is_some()));
    }
}
