//! Rates: too many requests of an address or of a caller, and too many wrong credentials.

use super::*;
use axum::extract::ConnectInfo;
use std::net::SocketAddr;
use voicemail_api::config::LimitsConfig;
use voicemail_engine::testing::still_world;

impl Api {
    fn limit(&self, change: impl FnOnce(&mut LimitsConfig)) {
        let mut settings = self.settings.borrow().as_ref().clone();
        change(&mut settings.limits);
        self.settings.send_replace(Arc::new(settings));
    }

    /// With buckets that never fill up again.
    fn at_a_still_clock(mut self) -> Self {
        let (stage, tokens) = (self._stage.subscribe(), self.authenticator.subscribe());
        let app = App::new(stage, tokens, self.settings.subscribe(), still_world(), Metrics::default());
        self.routes = router(app.clone());
        self.app = app;
        self
    }

    async fn get_from(&self, address: &str, token: &str) -> Answer {
        let peer: SocketAddr = format!("{address}:4711").parse().unwrap();
        let request =
            Request::get(format!("{PREFIX}/me/mailboxes")).header("authorization", format!("Bearer {token}"));
        self.send(request.extension(ConnectInfo(peer)).body(Body::empty()).unwrap()).await
    }
}

fn is_limited(answer: &Answer) -> bool {
    let limited = answer.status == StatusCode::TOO_MANY_REQUESTS;
    if limited {
        answer.is_problem(ProblemKind::TooManyRequests);
        assert!(answer.header("retry-after").parse::<u64>().unwrap() >= 1);
    }
    limited
}

#[tokio::test]
async fn an_address_that_sends_too_much_is_told_when_to_come_back_and_others_are_served() {
    let api = Api::start().await;
    api.limit(|limits| limits.requests_per_address = 1);
    let token = api.token("alice", &["agent"]);
    let mut answers = Vec::new();
    for _ in 0..5 {
        answers.push(is_limited(&api.get_from("192.0.2.1", &token).await));
    }
    assert_eq!(answers[..2], [false, false]);
    assert!(answers[4]);
    assert!(!is_limited(&api.get_from("192.0.2.2", &token).await));
    api.limit(|limits| limits.shared_addresses = ["192.0.2.1".parse().unwrap()].into());
    assert!(!is_limited(&api.get_from("192.0.2.1", &token).await));
    api.limit(|limits| limits.shared_addresses.clear());
    assert!(is_limited(&api.get_from("192.0.2.1", &token).await));
    api.limit(|limits| limits.requests_per_address = 0);
    assert!(!is_limited(&api.get_from("192.0.2.1", &token).await));
}

#[tokio::test]
async fn the_addresses_of_one_ipv6_network_count_as_one() {
    let api = Api::start().await;
    api.limit(|limits| limits.requests_per_address = 1);
    let token = api.token("alice", &["agent"]);
    let mut limited = false;
    for host in 1..6 {
        limited |= is_limited(&api.get_from(&format!("[2001:db8::{host}]"), &token).await);
    }
    assert!(limited);
    assert!(!is_limited(&api.get_from("[2001:db8:0:1::1]", &token).await));
}

#[tokio::test]
async fn a_caller_who_sends_too_much_does_not_hold_up_another() {
    let api = Api::start().await;
    api.limit(|limits| limits.requests_per_caller = 1);
    let (alice, bob) = (api.token("alice", &["agent"]), api.token("bob", &["agent"]));
    let mut limited = false;
    for host in 1..6 {
        limited |= is_limited(&api.get_from(&format!("192.0.2.{host}"), &alice).await);
    }
    assert!(limited);
    assert!(!is_limited(&api.get_from("192.0.2.1", &bob).await));
}

#[tokio::test]
async fn a_telephone_has_a_budget_of_its_own() {
    let api = Api::start().await;
    api.limit(|limits| (limits.requests_per_caller, limits.requests_per_telephony) = (1, 100));
    let (alice, telephone) = (api.token("alice", &["agent"]), api.token("sip", &["telephony"]));
    let mut limited = (false, false);
    for host in 1..6 {
        let address = format!("192.0.2.{host}");
        limited.0 |= is_limited(&api.get_from(&address, &alice).await);
        limited.1 |= is_limited(&api.get_from(&address, &telephone).await);
    }
    assert_eq!(limited, (true, false));
    api.limit(|limits| (limits.requests_per_caller, limits.requests_per_telephony) = (100, 1));
    let mut limited = false;
    for host in 1..6 {
        limited |= is_limited(&api.get_from(&format!("192.0.2.{host}"), &telephone).await);
    }
    assert!(limited);
}

#[tokio::test]
async fn wrong_tokens_of_an_address_are_told_off_and_a_valid_one_beside_them_passes() {
    let api = Api::start().await;
    api.limit(|limits| limits.refusals_per_address = 5);
    let good = api.token("alice", &["agent"]);
    for _ in 0..5 {
        api.get_from("192.0.2.1", "eyJ.no.good").await.is_problem(ProblemKind::Unauthenticated);
    }
    assert!(is_limited(&api.get_from("192.0.2.1", "eyJ.no.good").await));
    for _ in 0..20 {
        assert_eq!(api.get_from("192.0.2.1", &good).await.status, StatusCode::OK);
        assert!(is_limited(&api.get_from("192.0.2.1", "eyJ.no.good").await));
    }
    assert!(is_limited(&api.get_from("192.0.2.1", "opaque").await), "others aren't even looked at");
    assert!(!is_limited(&api.get_from("192.0.2.2", &good).await));
}

#[tokio::test]
async fn an_address_that_brought_too_many_wrong_tokens_has_a_bounded_number_of_signatures_verified() {
    let api = Api::start().await.at_a_still_clock();
    api.limit(|limits| (limits.requests_per_address, limits.requests_per_caller) = (0, 0));
    api.limit(|limits| limits.refusals_per_address = 1);
    let good = api.token("alice", &["agent"]);
    for _ in 0..600 {
        assert_eq!(api.get_from("192.0.2.1", &good).await.status, StatusCode::OK, "nothing was wrong yet");
    }
    while !is_limited(&api.get_from("192.0.2.1", "eyJ.no.good").await) {}
    let mut passed = 0;
    while !is_limited(&api.get_from("192.0.2.1", &good).await) {
        passed += 1;
    }
    assert_eq!(passed, 399, "200 a second, two seconds at once; one was the wrong token");
    assert_eq!(api.get_from("192.0.2.2", &good).await.status, StatusCode::OK);
    api.limit(|limits| limits.shared_addresses = ["192.0.2.0/24".parse().unwrap()].into());
    assert_eq!(api.get_from("192.0.2.1", &good).await.status, StatusCode::OK);
}
