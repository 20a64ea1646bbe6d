//! Finished spans on their way to a collector: OTLP over HTTP, as protobuf. Off unless it is configured.
//!
//! Flow: [`Exports::configure`] makes a sink, at start and whenever the configuration changes; a place in a trace that is
//! sampled holds the sink, and its spans are queued there and sent in batches by a thread of the SDK's. What can go
//! wrong: the collector is away or refuses. Then spans are dropped once the queue is full, requests go on as ever, and
//! the log says so once.
//!
//! A span is made of words of ours alone: the route's template, the store's operation, a status, a reason.

use super::trace::Place;
use async_trait::async_trait;
use bytes::Bytes;
use opentelemetry::trace::{SpanContext, SpanId, SpanKind, Status, TraceFlags, TraceId, TraceState};
use opentelemetry::{InstrumentationScope, KeyValue};
use opentelemetry_http::{HttpClient, HttpError, Request, Response};
use opentelemetry_otlp::{WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{BatchSpanProcessor, SpanData, SpanEvents, SpanLinks, SpanProcessor};
use reqwest::{Certificate, redirect};
use std::fmt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, SystemTime};
use tokio::runtime::Handle;
use tokio::sync::OnceCell;
use voicemail_api::config::OtlpConfig;

/// How long the collector may take.
const TIME_LIMIT: Duration = Duration::from_secs(5);
/// How long the last spans may take when a sink is closed.
const LAST_SPANS: Duration = Duration::from_millis(900);

/// Why spans can't be exported: the endpoint isn't one.
#[derive(Debug, thiserror::Error)]
#[error("telemetry.otlp.endpoint: {0}")]
pub struct ExportError(String);

/// Where spans go; nowhere by default. Clones share it.
#[derive(Clone, Default)]
pub struct Exports(Arc<RwLock<Option<Arc<Sink>>>>);

impl Exports {
    /// Sends spans where the configuration says from now on. Call it within a runtime.
    ///
    /// # Errors
    /// See [`ExportError`]; then everything stays as it was.
    pub fn configure(
        &self,
        config: Option<&OtlpConfig>,
        tenant: &str,
        region: &str,
    ) -> Result<(), ExportError> {
        let new = config.map(|config| Sink::open(config, tenant, region)).transpose()?.map(Arc::new);
        let old = std::mem::replace(&mut *self.0.write().unwrap_or_else(PoisonError::into_inner), new);
        if let Some(old) = old {
            tokio::task::spawn_blocking(move || old.close());
        }
        Ok(())
    }

    /// Sends what is left.
    pub async fn close(&self) {
        let sink = self.0.write().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(sink) = sink {
            // It waits for the collector on its own thread.
            let _ = tokio::task::spawn_blocking(move || sink.close()).await;
        }
    }

    pub(super) fn sink(&self) -> Option<Arc<Sink>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// One collector.
pub(super) struct Sink {
    processor: BatchSpanProcessor,
    scope: InstrumentationScope,
    sample_percent: u8,
}

impl fmt::Debug for Sink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sink")
    }
}

/// A span that is over.
#[derive(Debug)]
pub(super) struct Finished {
    pub(super) name: String,
    pub(super) kind: SpanKind,
    pub(super) took: Duration,
    pub(super) attributes: Vec<KeyValue>,
    /// A stable reason.
    pub(super) failed: Option<&'static str>,
}

impl Sink {
    fn open(config: &OtlpConfig, tenant: &str, region: &str) -> Result<Self, ExportError> {
        let endpoint = format!("{}/v1/traces", config.endpoint.trim_end_matches('/'));
        let exporter = opentelemetry_otlp::SpanExporter::builder()
            .with_http()
            .with_http_client(Sender::new(config))
            .with_endpoint(endpoint)
            .with_timeout(TIME_LIMIT)
            .build()
            .map_err(|error| ExportError(error.to_string()))?;
        let mut processor = BatchSpanProcessor::builder(exporter).build();
        let attributes = [
            KeyValue::new("service.version", env!("CARGO_PKG_VERSION")),
            KeyValue::new("service.instance.id", uuid::Uuid::new_v4().to_string()),
            KeyValue::new("voicemail.tenant", tenant.to_owned()),
            KeyValue::new("voicemail.region", region.to_owned()),
        ];
        let resource = Resource::builder_empty().with_service_name("voicemail").with_attributes(attributes);
        processor.set_resource(&resource.build());
        let scope = InstrumentationScope::builder("voicemail").build();
        Ok(Self { processor, scope, sample_percent: config.sample_percent })
    }

    fn close(&self) {
        if let Err(error) = self.processor.shutdown_with_timeout(LAST_SPANS) {
            tracing::warn!(%error, "the last spans may not have reached the collector");
        }
    }

    /// Whether a trace that begins here is exported.
    pub(super) fn samples(&self, trace: u128) -> bool {
        trace % 100 < u128::from(self.sample_percent)
    }

    /// Queues the span of a place that ends now.
    pub(super) fn end(&self, place: &Place, finished: Finished) {
        let end_time = SystemTime::now();
        let (trace, span) = place.context.ids();
        self.processor.on_end(SpanData {
            span_context: SpanContext::new(
                TraceId::from(trace),
                SpanId::from(span),
                TraceFlags::SAMPLED,
                false,
                TraceState::default(),
            ),
            parent_span_id: SpanId::from(place.parent.unwrap_or(0)),
            parent_span_is_remote: place.remote,
            span_kind: finished.kind,
            name: finished.name.into(),
            start_time: end_time.checked_sub(finished.took).unwrap_or(end_time),
            end_time,
            attributes: finished.attributes,
            dropped_attributes_count: 0,
            events: SpanEvents::default(),
            links: SpanLinks::default(),
            status: finished.failed.map_or(Status::Unset, Status::error),
            instrumentation_scope: self.scope.clone(),
        });
    }
}

/// Carries batches from the SDK's thread into the runtime.
#[derive(Debug)]
struct Sender {
    connection: Arc<Connection>,
    runtime: Handle,
    failing: AtomicBool,
}

/// A client that is made when it is first needed, since its CA may come later than the configuration.
#[derive(Debug)]
struct Connection {
    client: OnceCell<reqwest::Client>,
    ca_file: Option<PathBuf>,
}

impl Sender {
    fn new(config: &OtlpConfig) -> Self {
        let connection = Connection { client: OnceCell::new(), ca_file: config.ca_file.clone() };
        Self { connection: Arc::new(connection), runtime: Handle::current(), failing: AtomicBool::new(false) }
    }

    /// Says it when the collector goes away, and when it is back.
    fn note(&self, failure: Option<String>) {
        let failing = failure.is_some();
        if self.failing.swap(failing, Ordering::Relaxed) == failing {
            return;
        }
        match failure {
            Some(cause) => tracing::warn!(%cause, "spans can't be exported"),
            None => tracing::info!("spans are exported again"),
        }
    }
}

#[async_trait]
impl HttpClient for Sender {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let connection = Arc::clone(&self.connection);
        let answer = self.runtime.spawn(async move { connection.exchange(request).await }).await;
        let answer = answer.map_err(HttpError::from).flatten();
        self.note(match &answer {
            Ok(answer) if answer.status().is_success() => None,
            Ok(answer) => Some(format!("the collector answers {}", answer.status().as_u16())),
            Err(error) => Some(error.to_string()),
        });
        answer
    }
}

impl Connection {
    async fn exchange(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let client = self.client.get_or_try_init(|| self.connect()).await?;
        let answer = client.execute(request.try_into()?).await.map_err(reqwest::Error::without_url)?;
        let mut response = Response::builder().status(answer.status());
        if let Some(headers) = response.headers_mut() {
            headers.extend(answer.headers().iter().map(|(name, value)| (name.clone(), value.clone())));
        }
        Ok(response.body(answer.bytes().await?)?)
    }

    async fn connect(&self) -> Result<reqwest::Client, HttpError> {
        let mut builder = reqwest::Client::builder().timeout(TIME_LIMIT).redirect(redirect::Policy::none());
        if let Some(file) = &self.ca_file {
            let pem = tokio::fs::read(file).await.map_err(|error| format!("{}: {error}", file.display()))?;
            builder = builder.tls_certs_only(Certificate::from_pem_bundle(&pem)?);
        }
        Ok(builder.build()?)
    }
}
