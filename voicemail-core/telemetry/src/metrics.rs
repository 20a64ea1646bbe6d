//! The metrics port's contents. Labels come from fixed sets: route templates, methods, reasons.

use super::open_runs::{Measured, OpenRuns};
use super::tenant::{Answered, StoreLabels, TenantMetrics};
use prometheus_client::encoding::{EncodeLabelSet, text::encode};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};
use std::sync::Arc;
use std::time::Duration;
use voicemail_api::gdpr::Operation;
use voicemail_store::Hindrance;
use voicemail_store::hedge::Watch;

/// From an MWI query to an upload of minutes.
const SECONDS: [f64; 13] = [0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0, 300.0];

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    method: &'static str,
    route: String,
    status: u16,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RouteLabels {
    method: &'static str,
    route: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ResultLabels {
    result: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReasonLabels {
    reason: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct HintLabels {
    direction: &'static str,
    outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct DeliveryLabels {
    receiver: String,
    outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OperationLabels {
    operation: &'static str,
    result: &'static str,
}

/// Counters of one process; cheap to clone.
#[derive(Clone)]
pub struct Metrics(Arc<Inner>);

struct Inner {
    registry: Registry,
    requests: Family<RequestLabels, Counter>,
    seconds: Family<RouteLabels, Histogram>,
    deposits: Family<ResultLabels, Counter>,
    deposited_bytes: Counter,
    deposits_without_caller: Counter,
    gdpr: Family<OperationLabels, Counter>,
    store_errors: Family<ReasonLabels, Counter>,
    reloads: Family<ResultLabels, Counter>,
    open: Gauge,
    mwi_subscribers: Gauge,
    mwi_drift: Counter,
    mwi_hints: Family<HintLabels, Counter>,
    mwi_deliveries: Family<DeliveryLabels, Counter>,
    emails: Family<ResultLabels, Counter>,
    emails_waiting: Gauge,
    emails_waiting_seconds: Gauge,
    rejections: Family<ReasonLabels, Counter>,
    tenant: TenantMetrics,
    runs: OpenRuns,
}

impl Default for Metrics {
    fn default() -> Self {
        Self::of_tenant("")
    }
}

impl Metrics {
    /// Of a process that serves that tenant.
    pub fn of_tenant(tenant: &str) -> Self {
        let mut registry = Registry::with_prefix("voicemail");
        let seconds = Family::new_with_constructor((|| Histogram::new(SECONDS)) as fn() -> Histogram);
        let inner = Inner {
            requests: Family::default(),
            seconds,
            deposits: Family::default(),
            deposited_bytes: Counter::default(),
            deposits_without_caller: Counter::default(),
            gdpr: Family::default(),
            store_errors: Family::default(),
            reloads: Family::default(),
            open: Gauge::default(),
            mwi_subscribers: Gauge::default(),
            mwi_drift: Counter::default(),
            mwi_hints: Family::default(),
            mwi_deliveries: Family::default(),
            emails: Family::default(),
            emails_waiting: Gauge::default(),
            emails_waiting_seconds: Gauge::default(),
            rejections: Family::default(),
            tenant: TenantMetrics::default(),
            runs: OpenRuns::default(),
            registry: Registry::default(),
        };
        inner.register(&mut registry);
        let tenant = ("tenant".into(), tenant.to_owned().into());
        inner.tenant.register(registry.sub_registry_with_label(tenant));
        Self(Arc::new(Inner { registry, ..inner }))
    }
}

impl Inner {
    fn register(&self, registry: &mut Registry) {
        registry.register("http_requests", "HTTP requests answered", self.requests.clone());
        let help = "Time from a request's header to its answer's";
        registry.register_with_unit("http_request", help, Unit::Seconds, self.seconds.clone());
        registry.register("deposits", "Deposits by result", self.deposits.clone());
        let help = "Audio of acknowledged deposits";
        registry.register_with_unit("deposited", help, Unit::Bytes, self.deposited_bytes.clone());
        let help = "Deposits without a caller by accounts that never named one";
        registry.register("deposits_without_caller", help, self.deposits_without_caller.clone());
        registry.register(
            "gdpr_requests",
            "Data-subject requests by operation and result",
            self.gdpr.clone(),
        );
        registry.register(
            "store_errors",
            "Requests that the store failed, by reason",
            self.store_errors.clone(),
        );
        registry.register(
            "config_reloads",
            "Reloads of configuration and certificates",
            self.reloads.clone(),
        );
        let help = "Problem documents answered, by the last part of their type";
        registry.register("rejections", help, self.rejections.clone());
        registry.register("store_open", "1 once the store is open", self.open.clone());
        registry.register("mwi_subscribers", "Event streams that are open", self.mwi_subscribers.clone());
        let help = "MWI states that a comparison with the store found changed without an event";
        registry.register("mwi_drift", help, self.mwi_drift.clone());
        let help = "Hints to and from other replicas, by outcome";
        registry.register("mwi_hints", help, self.mwi_hints.clone());
        let help = "MWI states sent to receivers of the webhook, by outcome";
        registry.register("mwi_webhook_deliveries", help, self.mwi_deliveries.clone());
        registry.register("emails", "E-mails about new messages, by outcome", self.emails.clone());
        let help = "Mailboxes that wait for their e-mails in this replica";
        registry.register("emails_waiting_mailboxes", help, self.emails_waiting.clone());
        let help = "How long the first of them has waited";
        let waiting = self.emails_waiting_seconds.clone();
        registry.register_with_unit("emails_waiting", help, Unit::Seconds, waiting);
        self.runs.register(registry);
    }
}

impl Metrics {
    /// Counts an answered request.
    pub fn count_request(&self, method: &'static str, route: &str, status: u16, took: Duration) {
        let route = route.to_owned();
        self.0
            .seconds
            .get_or_create(&RouteLabels { method, route: route.clone() })
            .observe(took.as_secs_f64());
        self.0.requests.get_or_create(&RequestLabels { method, route, status }).inc();
    }

    /// Counts a problem that was answered, by its kind.
    pub fn count_rejection(&self, reason: &'static str) {
        self.0.rejections.get_or_create(&ReasonLabels { reason }).inc();
    }

    /// Counts a deposit: `created`, `repeated`, `refused` or `failed`.
    pub fn count_deposit(&self, result: &'static str) {
        self.0.tenant.count_deposit();
        self.0.deposits.get_or_create(&ResultLabels { result }).inc();
    }

    /// Adds up the audio of acknowledged deposits.
    pub fn add_deposited_bytes(&self, bytes: u64) {
        self.0.deposited_bytes.inc_by(bytes);
    }

    /// Counts a deposit without a caller, by an account that has never named one.
    pub fn count_deposit_without_caller(&self) {
        self.0.deposits_without_caller.inc();
    }

    /// Counts a data-subject request: `accepted`, `refused` or `failed`.
    pub fn count_gdpr(&self, operation: Operation, result: &'static str) {
        let operation = operation.segment();
        self.0.gdpr.get_or_create(&OperationLabels { operation, result }).inc();
    }

    /// Shows what open data-subject requests come to now.
    pub fn show_open_runs(&self, measured: &Measured) {
        self.0.runs.show(measured);
    }

    /// Shows what hinders each region's store.
    pub fn show_hindrances(&self, found: &[(String, Option<Hindrance>)]) {
        for (region, hindrance) in found {
            self.0.tenant.show_hindrance(region, hindrance.as_ref());
        }
    }

    /// Counts a request that the store failed.
    pub fn count_store_error(&self, reason: &'static str) {
        self.0.store_errors.get_or_create(&ReasonLabels { reason }).inc();
    }

    /// Counts a reload: `applied` or `refused`.
    pub fn count_reload(&self, result: &'static str) {
        self.0.reloads.get_or_create(&ResultLabels { result }).inc();
    }

    /// Shows whether the store is open.
    pub fn show_open(&self, open: bool) {
        self.0.open.set(i64::from(open));
    }

    /// Shows how many event streams are open.
    pub fn show_subscribers(&self, streams: usize) {
        self.0.mwi_subscribers.set(i64::try_from(streams).unwrap_or(i64::MAX));
    }

    /// Counts an MWI state that no event had announced.
    pub fn count_drift(&self) {
        self.0.mwi_drift.inc();
    }

    /// Counts a hint: `out` with `sent`, `failed` or `dropped`; `in` with `heeded` or why not.
    pub fn count_hint(&self, direction: &'static str, outcome: &'static str) {
        self.0.mwi_hints.get_or_create(&HintLabels { direction, outcome }).inc();
    }

    /// Counts an MWI state for a receiver of the webhook: `delivered`, `refused`, `unreachable`, `unusable` or `dropped`.
    pub fn count_delivery(&self, receiver: &str, outcome: &'static str) {
        let receiver = receiver.to_owned();
        self.0.mwi_deliveries.get_or_create(&DeliveryLabels { receiver, outcome }).inc();
    }

    /// Counts an e-mail: `sent`, `deferred`, `addressRefused`, `mailRefused`, `tooLarge` (and then without its recording), or
    /// `serverFailed`, when the server took none.
    pub fn count_email(&self, result: &'static str) {
        self.0.emails.get_or_create(&ResultLabels { result }).inc();
    }

    /// Shows how many mailboxes wait for their e-mails, and for how long the first.
    pub fn show_emails_waiting(&self, mailboxes: usize, longest: Duration) {
        self.0.emails_waiting.set(i64::try_from(mailboxes).unwrap_or(i64::MAX));
        self.0.emails_waiting_seconds.set(i64::try_from(longest.as_secs()).unwrap_or(i64::MAX));
    }

    /// Counts a request of a media server, or by a token that was given for a PIN.
    pub fn count_telephone_request(&self) {
        self.0.tenant.count_telephone_request();
    }

    /// Counts a mailbox that was opened by its PIN.
    pub fn count_access(&self) {
        self.0.tenant.count_access();
    }

    pub(crate) fn count_store_call(
        &self,
        labels: &StoreLabels,
        operation: &'static str,
        answered: Answered,
        took: Duration,
    ) {
        self.0.tenant.count_store_call(labels, operation, answered, took);
    }

    /// Whom a region's store tells of calls that lasted unusually long.
    pub fn watch_hedges(&self, region: &str) -> Watch {
        let (metrics, region) = (self.clone(), region.to_owned());
        Arc::new(move |operation, outcome| {
            metrics.0.tenant.count_store_hedge(&region, operation, outcome.name());
        })
    }

    /// Adds to the calls to a region's store that wait or are under way.
    pub(crate) fn add_store_calls(&self, region: &str, state: &'static str, calls: i64) {
        self.0.tenant.add_store_calls(region, state, calls);
    }

    /// Counts a replacement of an index: by the operations that shared it, and how often it began anew.
    pub fn count_commit(&self, operations: usize, conflicts: u64) {
        self.0.tenant.count_commit(operations, conflicts);
    }

    /// Shows what the last pass of the sweeper was like.
    pub fn show_sweep(&self, lag: Duration, failed: u32) {
        self.0.tenant.show_sweep(lag, failed);
    }

    /// Counts messages that were `added` to a mailbox or `removed` for good.
    pub fn count_messages(&self, change: &'static str, messages: u64, bytes: u64) {
        self.0.tenant.count_messages(change, messages, bytes);
    }

    /// All metrics in the OpenMetrics text format.
    pub fn render(&self) -> String {
        self.0.tenant.refresh();
        let mut text = String::new();
        // Writing to a string can't fail.
        let _ = encode(&mut text, &self.0.registry);
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;
    use voicemail_api::gdpr::RunState;

    #[test]
    fn all_that_can_be_counted_is_documented_and_all_that_is_documented_is_counted() {
        let metrics = Metrics::of_tenant("t");
        metrics.count_request("GET", "/", 200, Duration::ZERO);
        metrics.count_deposit("created");
        metrics.add_deposited_bytes(1);
        metrics.count_gdpr(Operation::ForgetMe, "accepted");
        metrics.count_store_error("Unclear");
        metrics.count_reload("applied");
        metrics.count_hint("in", "heeded");
        metrics.count_delivery("desk", "delivered");
        metrics.count_email("sent");
        metrics.count_rejection("gone");
        metrics.count_messages("added", 1, 1);
        metrics.show_hindrances(&[("r".into(), Some(Hindrance::Full("x".into())))]);
        let labels = StoreLabels { region: "r".into(), account: "a".into(), master: true };
        let failed = Answered::Failed { reason: "Unclear", code: 2 };
        metrics.count_store_call(&labels, "get", failed, Duration::ZERO);
        metrics.add_store_calls("r", "waiting", 1);
        metrics.watch_hedges("r")("get", voicemail_store::hedge::Outcome::Second);
        metrics.show_open_runs(&Measured {
            phases: [(RunState::Marked, 1)].into(),
            to_deadline: [(Operation::ForgetMe, 1.0)].into(),
            deadline_used: [(Operation::ForgetMe, 0.5)].into(),
            ..Measured::default()
        });
        let text = metrics.render();
        let shown: BTreeSet<&str> =
            text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next()).collect();
        let tables = include_str!("../../../docs/metrics.md");
        let documented: BTreeSet<&str> =
            tables.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next()).collect();
        assert_eq!(shown, documented);
        assert!(text.contains(r#"voicemail_storage_alive{tenant="t"} 0"#));
        metrics.count_store_call(&labels, "get", Answered::Passed, Duration::ZERO);
        assert!(metrics.render().contains(r#"voicemail_storage_alive{tenant="t"} 1"#));
    }

    #[test]
    fn what_is_counted_is_shown_in_openmetrics() {
        let metrics = Metrics::default();
        metrics.count_request("GET", "/api/v1/me/mailboxes", 200, Duration::from_millis(7));
        metrics.count_deposit("created");
        metrics.count_gdpr(Operation::ForgetMe, "accepted");
        let text = metrics.render();
        for line in [
            r#"voicemail_http_requests_total{method="GET",route="/api/v1/me/mailboxes",status="200"} 1"#,
            r#"voicemail_deposits_total{result="created"} 1"#,
            r#"voicemail_gdpr_requests_total{operation="forgetme",result="accepted"} 1"#,
            r#"voicemail_http_request_seconds_bucket{le="0.01",method="GET",route="/api/v1/me/mailboxes"} 1"#,
        ] {
            assert!(text.contains(line), "{line}\n{text}");
        }
        assert!(text.ends_with("# EOF\n"));
    }
}
