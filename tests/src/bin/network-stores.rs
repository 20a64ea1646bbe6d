//! `cargo network-stores`: two replicas and the probe on GlusterFS, CephFS and Ceph's gateway.

use std::process::ExitCode;
use voicemail_tests::network_stores::run_tests;
use voicemail_tests::progress::say;

fn main() -> ExitCode {
    match run_tests() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(&format!("Error: {error:#}"));
            ExitCode::FAILURE
        }
    }
}
