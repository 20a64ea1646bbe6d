//! Each fault of the proxy does what it says: what the client sees, and what the server has afterwards.

use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimeParser;
use object_store::aws::AmazonS3;
use object_store::path::Path;
use object_store::{ClientOptions, Error, ObjectStore, ObjectStoreExt, PutMode, RetryConfig};
use voicemail_test_machine::fault_proxy::{Denial, Dialect, Fault, FaultProxy, Rule};
use voicemail_test_machine::servers::{
    Answer, AzureAccount, Azurite, Minio, Oddity, S3Endpoint, S3sServer, loopback,
};

const BODY: &str = "0123456789";
const PATIENCE: Duration = Duration::from_millis(500);

/// A server, a proxy before it, and a client without retries or much patience on either way.
struct Stage {
    server: S3sServer,
    proxy: FaultProxy,
    store: AmazonS3,
    direct: AmazonS3,
}

fn client(endpoint: &S3Endpoint) -> AmazonS3 {
    let retry = RetryConfig { max_retries: 0, ..RetryConfig::default() };
    let options = ClientOptions::new().with_allow_http(true).with_timeout(PATIENCE);
    endpoint.builder("first").with_retry(retry).with_client_options(options).build().unwrap()
}

async fn stage() -> Stage {
    let server = S3sServer::start(loopback(), Oddity::None).await.unwrap();
    let proxy = FaultProxy::start(loopback(), server.address(), Dialect::S3).await.unwrap();
    let direct = client(&server.endpoint());
    let store = client(&server.endpoint().at(proxy.address()));
    server.endpoint().admin().unwrap().create_bucket("first").await.unwrap();
    direct.put(&there(), Bytes::from_static(BODY.as_bytes()).into()).await.unwrap();
    Stage { server, proxy, store, direct }
}

fn there() -> Path {
    Path::from("there")
}

impl Stage {
    /// Creates the object `new` under this fault.
    async fn create(&self, fault: Fault) -> Result<(), Error> {
        self.proxy.push(Rule::new(fault).on(Method::PUT).path_contains("/new"));
        let body = Bytes::from_static(b"new").into();
        self.store.put_opts(&Path::from("new"), body, PutMode::Create.into()).await.map(drop)
    }

    /// Whether the server has the object `new`.
    async fn is_stored(&self) -> bool {
        match self.direct.get(&Path::from("new")).await {
            Ok(_) => true,
            Err(Error::NotFound { .. }) => false,
            Err(error) => panic!("{error}"),
        }
    }

    /// The plain answer to a GET of the object that is there, past `object_store`.
    async fn get(&self, fault: Fault) -> anyhow::Result<Answer> {
        self.proxy.push(Rule::new(fault));
        let admin = self.server.endpoint().at(self.proxy.address()).admin()?;
        admin.request(Method::GET, "/first/there", &[], Bytes::new()).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_rule_all_passes_and_is_recorded() {
    let stage = stage().await;
    let before = Instant::now();
    stage.store.put(&Path::from("new"), Bytes::from_static(b"x").into()).await.unwrap();
    assert_eq!(stage.store.get(&there()).await.unwrap().bytes().await.unwrap(), BODY);
    assert_eq!(stage.store.head(&there()).await.unwrap().size, BODY.len() as u64);
    let seen = stage.proxy.seen();
    let requests: Vec<_> = seen.iter().map(|one| (one.method.clone(), one.path.as_str())).collect();
    let expected =
        [(Method::PUT, "/first/new"), (Method::GET, "/first/there"), (Method::HEAD, "/first/there")];
    assert_eq!(requests, expected);
    assert!(seen.iter().all(|one| one.at >= before && !one.faulted));
    assert_eq!(stage.proxy.count(&Method::GET, "there"), 1);
    stage.proxy.clear_seen();
    assert!(stage.proxy.seen().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rule_hits_its_requests_alone() {
    let stage = stage().await;
    stage.create(Fault::Conflict).await.unwrap_err();
    stage.store.put(&Path::from("new"), Bytes::from_static(b"x").into()).await.unwrap();
    stage.proxy.push(Rule::new(Fault::Conflict).on(Method::PUT).forever());
    for _ in 0..3 {
        stage.store.put(&Path::from("new"), Bytes::from_static(b"y").into()).await.unwrap_err();
        stage.store.get(&there()).await.unwrap();
    }
    assert_eq!(stage.proxy.seen().iter().filter(|one| one.faulted).count(), 4);
    stage.proxy.clear_rules();
    stage.store.put(&Path::from("new"), Bytes::from_static(b"z").into()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn applied_then_closed_stores_and_tells_nothing() {
    let stage = stage().await;
    let error = stage.create(Fault::AppliedThenClosed).await.unwrap_err();
    assert!(matches!(error, Error::Generic { .. }), "{error}");
    assert!(stage.is_stored().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn applied_then_answered_stores_and_says_it_failed() {
    for status in [StatusCode::INTERNAL_SERVER_ERROR, StatusCode::SERVICE_UNAVAILABLE] {
        let stage = stage().await;
        let error = stage.create(Fault::AppliedThenAnswered(status)).await.unwrap_err();
        assert!(error.to_string().contains(status.as_str()), "{error}");
        assert!(stage.is_stored().await);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_conflict_stores_nothing() {
    let stage = stage().await;
    let error = stage.create(Fault::Conflict).await.unwrap_err();
    assert!(matches!(error, Error::AlreadyExists { .. }), "{error}");
    assert!(error_chain(&error).contains("ConditionalRequestConflict"), "{}", error_chain(&error));
    assert!(!stage.is_stored().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_throttled_request_is_asked_to_wait() {
    for status in [StatusCode::SERVICE_UNAVAILABLE, StatusCode::TOO_MANY_REQUESTS] {
        let stage = stage().await;
        let fault = Fault::Throttled { status, retry_after: Duration::from_secs(7) };
        let answer = stage.get(fault.clone()).await.unwrap();
        assert_eq!((answer.status, answer.header("retry-after")), (status, Some("7")));
        assert!(answer.text().contains("<Code>SlowDown</Code>"), "{}", answer.text());
        stage.create(fault).await.unwrap_err();
        assert!(!stage.is_stored().await);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delayed_or_trickled_answer_is_late_and_whole() {
    let stage = stage().await;
    let trickled = Fault::Trickled { chunk: 4, every: Duration::from_millis(50) };
    for (fault, least) in [(Fault::Delayed(Duration::from_millis(150)), 150), (trickled, 150)] {
        let started = Instant::now();
        assert_eq!(stage.get(fault).await.unwrap().text(), BODY);
        assert!(started.elapsed() >= Duration::from_millis(least), "{:?}", started.elapsed());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hung_request_never_ends() {
    for applied in [true, false] {
        let stage = stage().await;
        let started = Instant::now();
        stage.create(Fault::Hung { applied }).await.unwrap_err();
        assert!(started.elapsed() >= PATIENCE, "{:?}", started.elapsed());
        assert_eq!(stage.is_stored().await, applied);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_half_body_breaks_off() {
    let stage = stage().await;
    stage.proxy.push(Rule::new(Fault::HalfBody));
    let url = format!("http://{}/first/there", stage.proxy.address());
    // Unsigned, so the body is the server's refusal, which is cut like any other.
    let mut answer = reqwest::Client::builder().no_proxy().build().unwrap().get(url).send().await.unwrap();
    let whole = answer.content_length().unwrap();
    let first = answer.chunk().await.unwrap().unwrap();
    assert_eq!(first.len() as u64, whole / 2);
    assert!(answer.chunk().await.is_err());
    assert!(stage.get(Fault::HalfBody).await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_denied_request_names_its_reason_and_stores_nothing() {
    for (denial, code) in [(Denial::Expired, "ExpiredToken"), (Denial::UnknownKey, "InvalidAccessKeyId")] {
        let stage = stage().await;
        let answer = stage.get(Fault::Denied(denial)).await.unwrap();
        assert_eq!(answer.status, StatusCode::FORBIDDEN);
        assert!(answer.text().contains(&format!("<Code>{code}</Code>")), "{}", answer.text());
        stage.create(Fault::Denied(denial)).await.unwrap_err();
        assert!(!stage.is_stored().await);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_skewed_clock_is_off_by_as_much_as_asked() {
    let stage = stage().await;
    for seconds in [3600, -3600] {
        let answer = stage.get(Fault::SkewedClock { seconds }).await.unwrap();
        let told = DateTimeParser::new().parse_timestamp(answer.header("date").unwrap()).unwrap();
        let off = told.duration_since(Timestamp::now()).as_secs() - seconds;
        assert!(off.abs() <= 5, "{off} s beside the skew");
        assert_eq!(answer.text(), BODY);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_down_refuses_and_comes_back() {
    let mut stage = stage().await;
    stage.store.get(&there()).await.unwrap();
    stage.proxy.refuse_connections().await;
    let error = stage.store.get(&there()).await.unwrap_err();
    assert!(error_chain(&error).to_lowercase().contains("connect"), "{}", error_chain(&error));
    stage.proxy.accept_connections().await.unwrap();
    stage.store.get(&there()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn added_headers_are_there() {
    let stage = stage().await;
    let headers = HeaderMap::from_iter([(
        http::HeaderName::from_static("x-ms-version-id"),
        HeaderValue::from_static("2026"),
    )]);
    let answer = stage.get(Fault::AddedHeaders(headers)).await.unwrap();
    assert_eq!((answer.header("x-ms-version-id"), answer.text().as_str()), (Some("2026"), BODY));
}

#[tokio::test(flavor = "multi_thread")]
async fn azurite_and_its_errors_are_played_as_well() {
    let server = Azurite::start(loopback(), &[AzureAccount::random("anna")]).await.unwrap();
    let proxy = FaultProxy::start(loopback(), server.address(), Dialect::Azure).await.unwrap();
    let endpoint = server.endpoint("anna").unwrap().at(proxy.address());
    let admin = endpoint.admin().unwrap();
    admin.create_container("first").await.unwrap();
    let store = endpoint.builder("first").build().unwrap();
    store.put(&there(), Bytes::from_static(BODY.as_bytes()).into()).await.unwrap();
    assert_eq!(store.get(&there()).await.unwrap().bytes().await.unwrap(), BODY);
    let busy =
        Fault::Throttled { status: StatusCode::SERVICE_UNAVAILABLE, retry_after: Duration::from_secs(1) };
    let faults = [
        (Fault::Denied(Denial::Expired), 403, "AuthenticationFailed"),
        (Fault::Conflict, 409, "BlobAlreadyExists"),
        (busy, 503, "ServerBusy"),
    ];
    for (fault, status, code) in faults {
        proxy.push(Rule::new(fault));
        let answer = admin.request(Method::GET, "/first/there", &[], Bytes::new()).await.unwrap();
        assert_eq!((answer.status.as_u16(), answer.header("x-ms-error-code")), (status, Some(code)));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn minio_accepts_signatures_through_the_proxy() {
    let server = Minio::start(loopback()).await.unwrap();
    let proxy = FaultProxy::start(loopback(), server.address(), Dialect::S3).await.unwrap();
    let endpoint = server.endpoint().at(proxy.address());
    endpoint.admin().unwrap().create_bucket("first").await.unwrap();
    let store = endpoint.builder("first").build().unwrap();
    let large = Bytes::from(vec![7_u8; 3_000_000]);
    store.put(&there(), large.clone().into()).await.unwrap();
    assert_eq!(store.get(&there()).await.unwrap().bytes().await.unwrap(), large);
}

/// An error with all of its causes.
fn error_chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |one| one.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
