//! `cargo nfs-guest`: two replicas on two NFS clients of one server, in a kernel of their own.

fn main() -> anyhow::Result<()> {
    voicemail_test_machine::nfs_guest::run_tests()
}
