//! `cargo nfs-guest`: two replicas on two NFS clients of one server, in a kernel of their own.

use std::process::ExitCode;
use voicemail_tests::nfs_guest::run_tests;
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
