//! How many requests one client may send: by address before anybody is asked who it is, by caller afterwards, and
//! how many refused credentials an address may bring before none of its is looked at.
//!
//! Each is a bucket that fills up at a steady rate (GCRA). The cost of a refusal is known only after the check, so a
//! bucket can be looked at without taking from it; and rates follow the configuration as it is reloaded. Counts are
//! this replica's own.

use super::{ApiError, App, ProblemKind};
use axum::extract::{ConnectInfo, Request, State};
use axum::http::Extensions;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use std::collections::HashMap;
use std::hash::Hash;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use voicemail_api::config::{LimitsConfig, Role};
use voicemail_engine::principal::Principal;

/// A bucket holds what comes in within this time.
const BURST: Duration = Duration::from_secs(2);
const MINUTE: Duration = Duration::from_secs(60);
/// Clients remembered; who has taken nothing lately is forgotten first.
const MOST: usize = 50_000;

/// Time from one request to the next, and how far ahead of that a client may be.
#[derive(Clone, Copy)]
struct Rate {
    interval: Duration,
    burst: Duration,
}

impl Rate {
    /// That many within a time; `None` for 0, which is no limit.
    fn new(count: u32, within: Duration, burst: Duration) -> Option<Self> {
        (count > 0).then(|| {
            let interval = within / count;
            Self { interval, burst: burst.max(interval) }
        })
    }
}

/// When each client's bucket will be full again.
struct Buckets<K>(Mutex<HashMap<K, Duration>>);

impl<K> Default for Buckets<K> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: Eq + Hash> Buckets<K> {
    /// How long to wait before there is something to take.
    fn peek(&self, key: &K, rate: Rate, now: Duration) -> Result<(), Duration> {
        let full_at = self.0.lock().unwrap_or_else(PoisonError::into_inner).get(key).copied().unwrap_or(now);
        let ahead = full_at.saturating_sub(now) + rate.interval;
        match ahead.checked_sub(rate.burst).filter(|wait| !wait.is_zero()) {
            Some(wait) => Err(wait),
            None => Ok(()),
        }
    }

    fn take(&self, key: K, rate: Rate, now: Duration) -> Result<(), Duration> {
        self.peek(&key, rate, now)?;
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= MOST {
            known.retain(|_, full_at| *full_at > now);
        }
        if known.len() >= MOST {
            known.clear();
        }
        let full_at = known.entry(key).or_insert(now);
        *full_at = (*full_at).max(now) + rate.interval;
        Ok(())
    }
}

/// All buckets of one replica.
#[derive(Default)]
pub(super) struct Rates {
    addresses: Buckets<IpAddr>,
    callers: Buckets<String>,
    refusals: Buckets<IpAddr>,
    verifications: Buckets<IpAddr>,
}

impl Rates {
    fn admit(&self, peer: IpAddr, limits: &LimitsConfig, now: Duration) -> Result<(), Duration> {
        match Rate::new(limits.requests_per_address, Duration::from_secs(1), BURST) {
            Some(rate) => self.addresses.take(peer, rate, now),
            None => Ok(()),
        }
    }

    fn refusal_rate(limits: &LimitsConfig) -> Option<Rate> {
        Rate::new(limits.refusals_per_address, MINUTE, MINUTE)
    }
}

fn too_many(wait: Duration) -> ApiError {
    ApiError::new(ProblemKind::TooManyRequests, "send fewer requests, or wait as long as Retry-After says")
        .after(wait)
}

/// The address that limits count for.
pub(crate) fn peer_of(extensions: &Extensions) -> Option<IpAddr> {
    Some(client_of(extensions.get::<ConnectInfo<SocketAddr>>()?.0.ip()))
}

/// The client by its address: an IPv6 network of a customer (/64) is one client.
pub(crate) fn client_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << 64))),
        address => address,
    }
}

/// One of the addresses that limits count for.
fn counted(app: &App, extensions: &Extensions) -> Option<IpAddr> {
    let direct = extensions.get::<ConnectInfo<SocketAddr>>()?.0.ip().to_canonical();
    let shared = app.config().limits.is_shared(direct);
    peer_of(extensions).filter(|_| !shared)
}

/// Answers 429 to an address that sends too much.
pub(super) async fn limit_address(State(app): State<App>, request: Request, next: Next) -> Response {
    let Some(peer) = counted(&app, request.extensions()) else { return next.run(request).await };
    match app.rates().admit(peer, &app.config().limits, app.monotonic()) {
        Ok(()) => next.run(request).await,
        Err(wait) => too_many(wait).into_response(),
    }
}

/// Signatures that are verified a second for an address that brought too many wrong ones. One costs a core some 100 µs,
/// and nothing is asked of anybody.
const VERIFICATIONS: u32 = 200;

/// Refuses to verify more signatures than that. A valid token must pass although a neighbour behind the same address
/// brings wrong ones.
pub(super) fn limit_verifications(app: &App, extensions: &Extensions) -> Result<(), ApiError> {
    match (counted(app, extensions), Rate::new(VERIFICATIONS, Duration::from_secs(1), BURST)) {
        (Some(peer), Some(rate)) => {
            app.rates().verifications.take(peer, rate, app.monotonic()).map_err(too_many)
        }
        _ => Ok(()),
    }
}

/// Refuses to look at credentials from an address that brought too many wrong ones.
pub(crate) fn check_refusals(app: &App, extensions: &Extensions) -> Result<(), ApiError> {
    let config = app.config();
    match (counted(app, extensions), Rates::refusal_rate(&config.limits)) {
        (Some(peer), Some(rate)) => app.rates().refusals.peek(&peer, rate, app.monotonic()).map_err(too_many),
        _ => Ok(()),
    }
}

/// Notes that an address brought wrong credentials.
pub(crate) fn note_refusal(app: &App, extensions: &Extensions) {
    let config = app.config();
    if let (Some(peer), Some(rate)) = (counted(app, extensions), Rates::refusal_rate(&config.limits)) {
        // Whether it was one too many is asked before the next.
        let _ = app.rates().refusals.take(peer, rate, app.monotonic());
    }
}

/// Requests a second of a caller. Telephones and media servers ask for everybody who calls them; a token that a PIN gave
/// is one person's.
fn budget(caller: &Principal, limits: &LimitsConfig) -> u32 {
    match caller.has_any(&[Role::Telephony]) && caller.mailbox.is_none() {
        true => limits.requests_per_telephony,
        false => limits.requests_per_caller,
    }
}

/// Refuses a caller who sends too much.
pub(super) fn limit_caller(app: &App, caller: &Principal) -> Result<(), ApiError> {
    let config = app.config();
    let Some(rate) = Rate::new(budget(caller, &config.limits), Duration::from_secs(1), BURST) else {
        return Ok(());
    };
    let mailbox = caller.mailbox.as_ref().map_or("", |opened| opened.name.as_str());
    let key = format!("{} {mailbox}", caller.subject);
    app.rates().callers.take(key, rate, app.monotonic()).map_err(too_many)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_gives_its_burst_and_then_one_each_interval() {
        let (buckets, rate) = (Buckets::default(), Rate::new(10, Duration::from_secs(1), BURST).unwrap());
        let at = |ms: u64| Duration::from_millis(1_000_000 + ms);
        for _ in 0..20 {
            assert_eq!(buckets.take("a", rate, at(0)), Ok(()));
        }
        assert_eq!(buckets.take("a", rate, at(0)), Err(Duration::from_millis(100)));
        assert_eq!(buckets.peek(&"a", rate, at(99)), Err(Duration::from_millis(1)));
        assert_eq!(buckets.take("b", rate, at(0)), Ok(()));
        assert_eq!(buckets.take("a", rate, at(100)), Ok(()));
        assert!(buckets.take("a", rate, at(100)).is_err());
        assert_eq!(buckets.peek(&"a", rate, at(5_000)), Ok(()));
        assert!(Rate::new(0, BURST, BURST).is_none());
    }
}
