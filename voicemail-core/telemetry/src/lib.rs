//! Logs, metrics and traces, without personal data.
//!
//! Flow: [`start_logs`] once in `main`; [`Metrics`] is made once and handed to whoever counts. Nothing that
//! a caller sent (numbers, names, tokens, URIs, bodies) is ever logged or used as a label: requests are
//! named by their route's template.

#![allow(
    clippy::disallowed_methods,
    reason = "what is measured, and the names of traces, are the machine's own"
)]

mod export;
mod measured;
mod metrics;
mod open_runs;
mod rate;
mod span;
mod tenant;
mod trace;

pub use export::{ExportError, Exports};
pub use measured::MeasuredStore;
pub use metrics::Metrics;
pub use open_runs::Measured;
pub use span::{AnsweredRequest, Outgoing, note_store_call};
pub use tenant::{Answered, StoreLabels};
pub use trace::{Place, TRACEPARENT, carry};

use std::io::{IsTerminal, stdout};
use tracing_subscriber::EnvFilter;

/// Environment variable that filters logs, such as `info,voicemail_server::http=debug`.
pub const LOG_VARIABLE: &str = "VOICEMAIL_LOG";

/// Sends logs to stdout: JSON, or plain text to a terminal. A second call does nothing.
pub fn start_logs() {
    start_logs_from("info");
}

/// As [`start_logs`], from another level on unless the environment says otherwise.
pub fn start_logs_from(level: &str) {
    let filter = EnvFilter::try_from_env(LOG_VARIABLE).unwrap_or_else(|_| EnvFilter::new(level));
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_target(true);
    // An error means that a subscriber is there already, which is as good.
    let _ = if stdout().is_terminal() {
        builder.compact().try_init()
    } else {
        builder.json().flatten_event(true).with_span_list(false).try_init()
    };
}
