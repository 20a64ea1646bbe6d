//! `cargo network-stores`: two replicas and the probe on GlusterFS, CephFS and Ceph's gateway.

use voicemail_test_machine::network_stores::{make_buckets, run_tests};

fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        // What the tests themselves ask for, beside the gateway.
        ["buckets", url, access_key, secret_key] => make_buckets(url, access_key, secret_key),
        _ => run_tests(),
    }
}
