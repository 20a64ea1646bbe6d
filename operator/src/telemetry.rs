//! Logs: JSON lines on standard error, or plain text in a terminal. No personal data is ever logged.
//!
//! The level comes from `RUST_LOG`, `info` without it.

use std::io::IsTerminal;
use tracing_subscriber::EnvFilter;

/// Sets the process up for logging. A second call has no effect.
pub fn start() {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let _ = if std::io::stderr().is_terminal() {
        builder.try_init()
    } else {
        builder.json().flatten_event(true).with_current_span(false).with_span_list(false).try_init()
    };
}
