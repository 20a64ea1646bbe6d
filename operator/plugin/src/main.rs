//! `kubectl voicemail`: see [`kubectl_voicemail`].

use std::process::ExitCode;

fn main() -> ExitCode {
    // First of all: with two providers around, TLS would panic at its first use.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime.block_on(kubectl_voicemail::run()),
        Err(_) => ExitCode::FAILURE,
    }
}
