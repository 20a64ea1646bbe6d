//! Metrics with the label `tenant`: those that dashboards of the vendor's service know, under its names, and
//! what is stored and how the store does.

use super::rate::LastMinute;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};
use std::sync::atomic::AtomicU64;
use std::time::{Duration, Instant};
use voicemail_api::reasons::HINDRANCES;
use voicemail_store::Hindrance;

/// From a cached read to a call that timed out.
const SECONDS: [f64; 12] = [0.0005, 0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 15.0];
/// Operations that share a replacement of an index.
const OPERATIONS: [f64; 9] = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0];

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CallLabels {
    operation: &'static str,
    region: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CallStateLabels {
    region: String,
    state: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct HedgeLabels {
    operation: &'static str,
    region: String,
    outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct FailureLabels {
    operation: &'static str,
    region: String,
    reason: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
#[allow(non_snake_case, reason = "the vendor's label")]
struct AccountLabels {
    StorageAccount: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct HindranceLabels {
    region: String,
    reason: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ChangeLabels {
    change: &'static str,
}

/// How a call to a region's store went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answered {
    /// The store answered, be it with a conflict.
    Passed,
    /// It didn't, or refused: why, and whether it is away.
    Failed {
        /// Stable name.
        reason: &'static str,
        /// 0 when it answered; else 1 it isn't available, 2 it didn't answer clearly, 3 it refuses our credentials.
        code: i64,
    },
}

impl Answered {
    /// Why it failed.
    pub(crate) fn reason(self) -> Option<&'static str> {
        match self {
            Self::Passed => None,
            Self::Failed { reason, .. } => Some(reason),
        }
    }
}

/// Which region's store, and under which name the vendor's dashboards know it.
#[derive(Clone, Debug)]
pub struct StoreLabels {
    /// The region.
    pub region: String,
    /// The storage account or bucket; on a volume the region again.
    pub account: String,
    /// Whether the region holds the metadata.
    pub master: bool,
}

#[derive(Default)]
pub(super) struct TenantMetrics {
    telephone_requests: Counter,
    accesses: LastMinute,
    access_rate: Gauge<f64, AtomicU64>,
    deposits: LastMinute,
    deposit_rate: Gauge<f64, AtomicU64>,
    storage_requests: Counter,
    storage_passed: Counter,
    storage_failed: Counter,
    storage_alive: Gauge,
    storage_failed_account: Family<AccountLabels, Gauge>,
    storage_latency: Latency,
    store_calls: StoreCalls,
    store_failures: Family<FailureLabels, Counter>,
    hindered: Family<HindranceLabels, Gauge>,
    store_calls_now: Family<CallStateLabels, Gauge>,
    store_hedges: Family<HedgeLabels, Counter>,
    index_conflicts: Counter,
    index_commits: Operations,
    sweeper_lag: Gauge<f64, AtomicU64>,
    sweeper_failed: Gauge,
    messages: Family<ChangeLabels, Counter>,
    message_bytes: Family<ChangeLabels, Counter>,
}

/// A histogram of store calls.
#[derive(Clone)]
struct Latency(Histogram);

impl Default for Latency {
    fn default() -> Self {
        Self(Histogram::new(SECONDS))
    }
}

/// Such a histogram for each operation and region.
struct StoreCalls(Family<CallLabels, Histogram>);

impl Default for StoreCalls {
    fn default() -> Self {
        Self(Family::new_with_constructor(|| Histogram::new(SECONDS)))
    }
}

/// A histogram of group commits.
#[derive(Clone)]
struct Operations(Histogram);

impl Default for Operations {
    fn default() -> Self {
        Self(Histogram::new(OPERATIONS))
    }
}

impl TenantMetrics {
    pub(super) fn register(&self, registry: &mut Registry) {
        self.register_vendors(registry);
        let help = "Time that calls to a region's store took, retries included";
        registry.register_with_unit("store_call", help, Unit::Seconds, self.store_calls.0.clone());
        let help = "Calls that a region's store failed, by reason";
        registry.register("store_call_failures", help, self.store_failures.clone());
        let help = "1 while a region's store answers and takes no messages, or soon none, by reason";
        registry.register("storage_hindered", help, self.hindered.clone());
        let help = "Calls to a region's store that are under way, and those that wait for a place";
        registry.register("store_calls_now", help, self.store_calls_now.clone());
        let help = "Calls that lasted unusually long for a region's store, by which try answered, or refused without a second one";
        registry.register("store_hedges", help, self.store_hedges.clone());
        let help = "Replacements of an index that had to begin anew, since another writer was faster";
        registry.register("index_conflicts", help, self.index_conflicts.clone());
        let help = "Operations that shared a replacement of an index";
        registry.register("index_commit_operations", help, self.index_commits.0.clone());
        let help = "How late the latest of the last pass's due items was taken up";
        registry.register_with_unit("sweeper_lag", help, Unit::Seconds, self.sweeper_lag.clone());
        let help = "Due items and audio that the last pass had to leave to the next";
        registry.register("sweeper_failed", help, self.sweeper_failed.clone());
        let help = "Messages that this replica added to mailboxes, and removed for good";
        registry.register("messages", help, self.messages.clone());
        let help = "Audio of those messages";
        registry.register_with_unit("message", help, Unit::Bytes, self.message_bytes.clone());
    }

    /// Names of the vendor's dashboards.
    fn register_vendors(&self, registry: &mut Registry) {
        let help = "Requests for telephones: of media servers, and by tokens given for a PIN";
        registry.register("tui_request", help, self.telephone_requests.clone());
        let help = "Mailboxes opened by PIN, a second, on average over the last minute";
        registry.register("access_call_rate", help, self.access_rate.clone());
        let help = "Deposits, a second, on average over the last minute";
        registry.register("deposit_call_rate", help, self.deposit_rate.clone());
        registry.register("storage_request", "Calls to stores", self.storage_requests.clone());
        let help = "Calls that a store answered, be it with a conflict";
        registry.register("storage_request_passed", help, self.storage_passed.clone());
        let help = "Calls that a store failed or didn't answer";
        registry.register("storage_request_failed", help, self.storage_failed.clone());
        let help = "Seconds that calls to stores took";
        registry.register("storage_access_latency", help, self.storage_latency.0.clone());
        let help = "1 while the master region's store answers";
        registry.register("storage_alive", help, self.storage_alive.clone());
        let help =
            "0 while a region's store answers, else why it doesn't: 1 away, 2 silent, 3 refuses credentials";
        registry.register("storage_failed_account", help, self.storage_failed_account.clone());
    }

    pub(super) fn count_telephone_request(&self) {
        self.telephone_requests.inc();
    }

    pub(super) fn count_access(&self) {
        self.accesses.count(Instant::now());
    }

    pub(super) fn count_deposit(&self) {
        self.deposits.count(Instant::now());
    }

    /// Before the metrics are shown: rates fall by themselves.
    pub(super) fn refresh(&self) {
        let now = Instant::now();
        self.access_rate.set(self.accesses.per_second(now));
        self.deposit_rate.set(self.deposits.per_second(now));
    }

    pub(super) fn add_store_calls(&self, region: &str, state: &'static str, calls: i64) {
        let labels = CallStateLabels { region: region.to_owned(), state };
        self.store_calls_now.get_or_create(&labels).inc_by(calls);
    }

    pub(super) fn count_store_hedge(&self, region: &str, operation: &'static str, outcome: &'static str) {
        let labels = HedgeLabels { operation, region: region.to_owned(), outcome };
        self.store_hedges.get_or_create(&labels).inc();
    }

    pub(super) fn count_store_call(
        &self,
        labels: &StoreLabels,
        operation: &'static str,
        answered: Answered,
        took: Duration,
    ) {
        let region = labels.region.clone();
        self.storage_requests.inc();
        self.storage_latency.0.observe(took.as_secs_f64());
        let call = CallLabels { operation, region: region.clone() };
        self.store_calls.0.get_or_create(&call).observe(took.as_secs_f64());
        let code = match answered {
            Answered::Passed => {
                self.storage_passed.inc();
                0
            }
            Answered::Failed { reason, code } => {
                self.storage_failed.inc();
                self.store_failures.get_or_create(&FailureLabels { operation, region, reason }).inc();
                code
            }
        };
        let account = AccountLabels { StorageAccount: labels.account.clone() };
        self.storage_failed_account.get_or_create(&account).set(code);
        if labels.master {
            self.storage_alive.set(i64::from(code == 0));
        }
    }

    pub(super) fn show_hindrance(&self, region: &str, found: Option<&Hindrance>) {
        for reason in HINDRANCES {
            let labels = HindranceLabels { region: region.to_owned(), reason };
            let is_so = found.is_some_and(|found| found.reason() == reason);
            self.hindered.get_or_create(&labels).set(i64::from(is_so));
        }
    }

    pub(super) fn count_commit(&self, operations: usize, conflicts: u64) {
        self.index_commits.0.observe(f64::from(u32::try_from(operations).unwrap_or(u32::MAX)));
        self.index_conflicts.inc_by(conflicts);
    }

    pub(super) fn show_sweep(&self, lag: Duration, failed: u32) {
        self.sweeper_lag.set(lag.as_secs_f64());
        self.sweeper_failed.set(i64::from(failed));
    }

    pub(super) fn count_messages(&self, change: &'static str, messages: u64, bytes: u64) {
        self.messages.get_or_create(&ChangeLabels { change }).inc_by(messages);
        self.message_bytes.get_or_create(&ChangeLabels { change }).inc_by(bytes);
    }
}
