//! What the telephone side tells about itself: a log of JSON lines, metrics, and whether it is ready.
//!
//! No caller, mailbox, digit or name is a label or in a line. The SIP stack's own log is off: it writes whole messages.

mod http;

pub use http::{Health, serve};

use crate::media::Counters;
use crate::media::ports::Ports;
use crate::spool::Spool;
use crate::transport::{Refused, Why};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// Begins the log on the standard output. `RUST_LOG` may say more of us, and never more of the SIP stack.
pub fn begin_log() {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let filter = match "rsipstack=off".parse() {
        Ok(off) => filter.add_directive(off),
        Err(_) => filter,
    };
    let lines = tracing_subscriber::fmt::layer().json().flatten_event(true).with_target(false);
    // A second start within one process keeps the first one's log.
    let _ = tracing_subscriber::registry().with(filter).with(lines).try_init();
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CallLabels {
    trunk: String,
    kind: &'static str,
    outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct KindLabel {
    kind: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OutcomeLabel {
    outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct TrunkLabels {
    trunk: String,
    outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct EndLabel {
    end: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct WhyLabel {
    why: &'static str,
}

/// All counts.
#[derive(Default)]
pub struct Metrics {
    calls: Family<CallLabels, Counter>,
    active: Family<KindLabel, Gauge>,
    recordings: Family<EndLabel, Counter>,
    deposits: Family<OutcomeLabel, Counter>,
    logins: Family<OutcomeLabel, Counter>,
    notifies: Family<OutcomeLabel, Counter>,
    unsolicited: Family<TrunkLabels, Counter>,
    watches: Family<OutcomeLabel, Counter>,
    refused: Arc<Refused>,
}

/// Outcomes of calls by their kind.
const CALLS: [(&str, &[&str]); 3] = [
    ("deposit", &["recorded", "empty", "abandoned", "refused", "failed"]),
    ("retrieval", &["opened", "closed", "refused", "failed"]),
    ("none", &["refused"]),
];
const DEPOSITS: [&str; 5] = ["stored", "too-short", "refused", "too-old", "later"];
const LOGINS: [&str; 3] = ["opened", "refused", "kept-out"];
const NOTIFIES: [&str; 6] = ["sent", "failed", "expired", "deactivated", "gone", "forbidden"];
const WATCHES: [&str; 3] = ["opened", "ended", "failed"];
const UNSOLICITED: [&str; 4] = ["told", "refused", "unanswered", "unreachable"];

/// A call in progress; counted until it is dropped.
pub struct Active(Gauge);

impl Drop for Active {
    fn drop(&mut self) {
        self.0.dec();
    }
}

impl Metrics {
    /// Counts of these trunks from nought: what rises from nothing to one is no rise to Prometheus, and the first recording that
    /// was lost would be told by no alert.
    pub fn from_nought<'a>(trunks: impl IntoIterator<Item = &'a str>) -> Self {
        let metrics = Self::default();
        for trunk in trunks {
            for (kind, outcomes) in CALLS {
                for &outcome in outcomes {
                    let trunk = trunk.to_owned();
                    metrics.calls.get_or_create(&CallLabels { trunk, kind, outcome }).inc_by(0);
                }
            }
            for outcome in UNSOLICITED {
                metrics
                    .unsolicited
                    .get_or_create(&TrunkLabels { trunk: trunk.to_owned(), outcome })
                    .inc_by(0);
            }
        }
        let begin = |family: &Family<OutcomeLabel, Counter>, outcomes: &[&'static str]| {
            for &outcome in outcomes {
                family.get_or_create(&OutcomeLabel { outcome }).inc_by(0);
            }
        };
        begin(&metrics.deposits, &DEPOSITS);
        begin(&metrics.logins, &LOGINS);
        begin(&metrics.notifies, &NOTIFIES);
        begin(&metrics.watches, &WATCHES);
        metrics
    }

    /// Counts a call until the answer is dropped.
    pub fn begin_call(&self, kind: &'static str) -> Active {
        let gauge = self.active.get_or_create(&KindLabel { kind }).clone();
        gauge.inc();
        Active(gauge)
    }

    /// Counts a call that ended.
    pub fn count_call(&self, trunk: &str, kind: &'static str, outcome: &'static str) {
        self.calls.get_or_create(&CallLabels { trunk: trunk.to_owned(), kind, outcome }).inc();
    }

    /// Counts a recording by its end.
    pub fn count_recording(&self, end: &'static str) {
        self.recordings.get_or_create(&EndLabel { end }).inc();
    }

    /// Counts an attempt to deposit.
    pub fn count_deposit(&self, outcome: &'static str) {
        self.deposits.get_or_create(&OutcomeLabel { outcome }).inc();
    }

    /// Counts a notification, or the end of a subscription.
    pub fn count_notify(&self, outcome: &'static str) {
        self.notifies.get_or_create(&OutcomeLabel { outcome }).inc();
    }

    /// Counts a notification of a phone that never subscribed.
    pub fn count_unsolicited(&self, trunk: &str, outcome: &'static str) {
        self.unsolicited.get_or_create(&TrunkLabels { trunk: trunk.to_owned(), outcome }).inc();
    }

    /// Counts a stream of the core that was opened, has ended, or couldn't be opened.
    pub fn count_watch(&self, outcome: &'static str) {
        self.watches.get_or_create(&OutcomeLabel { outcome }).inc();
    }

    /// Counts an attempt to open a mailbox.
    pub fn count_login(&self, outcome: &'static str) {
        self.logins.get_or_create(&OutcomeLabel { outcome }).inc();
    }

    /// What is dropped before anybody looks at it is counted there.
    pub const fn refused(&self) -> &Arc<Refused> {
        &self.refused
    }

    /// Calls in progress.
    pub fn active(&self) -> i64 {
        ["deposit", "retrieval", "none"]
            .iter()
            .map(|kind| self.active.get_or_create(&KindLabel { kind }).get())
            .sum()
    }

    /// The text of `/metrics`.
    pub fn text(&self, spool: &Spool, ports: &Ports, counters: &Arc<Counters>) -> String {
        let mut registry = Registry::with_prefix("voicemail_sip");
        registry.register("calls", "Calls that ended", self.calls.clone());
        registry.register("calls_active", "Calls in progress", self.active.clone());
        registry.register("recordings", "Recordings by what ended them", self.recordings.clone());
        registry.register("deposits", "Attempts to bring a recording to the core", self.deposits.clone());
        registry.register("logins", "Attempts to open a mailbox by its PIN", self.logins.clone());
        registry.register(
            "notify",
            "Notifications of phones, and ends of their subscriptions",
            self.notifies.clone(),
        );
        registry.register(
            "unsolicited",
            "Notifications of phones that never subscribed",
            self.unsolicited.clone(),
        );
        registry.register("watches", "Streams of the core, by what became of them", self.watches.clone());
        let dropped = Family::<WhyLabel, Counter>::default();
        for why in Why::ALL {
            dropped.get_or_create(&WhyLabel { why: why.label() }).inc_by(self.refused.of(why));
        }
        registry.register("refused", "Messages and connections that were dropped unread", dropped);
        let gauge = |value: u64| {
            let gauge: Gauge = Gauge::default();
            gauge.set(i64::try_from(value).unwrap_or(i64::MAX));
            gauge
        };
        let lost = Counter::<u64>::default();
        lost.inc_by(counters.lost.load(Ordering::Relaxed));
        registry.register("rtp_lost", "Packets of recordings that never came, or too late", lost);
        let storm = Counter::<u64>::default();
        storm.inc_by(counters.keys.load(Ordering::Relaxed));
        registry.register("keys_dropped", "Keys that came faster than thirty a second in a call", storm);
        registry.register("spool_bytes", "Bytes of recordings that wait", gauge(spool.bytes()));
        let oldest = gauge(spool.oldest(jiff::Timestamp::now()).as_secs());
        registry.register("spool_oldest_seconds", "Age of the oldest recording that waits", oldest);
        registry.register("spool_files", "Recordings that wait", gauge(spool.count_waiting() as u64));
        registry.register(
            "ports_free",
            "Calls that ports for audio are free for",
            gauge(ports.free() as u64),
        );
        let mut text = String::new();
        match encode(&mut text, &registry) {
            Ok(()) => text,
            Err(_) => String::new(),
        }
    }
}
