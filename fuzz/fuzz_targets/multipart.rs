//! The body of a deposit: stored, or refused with a problem that isn't the server's.
#![no_main]

use libfuzzer_sys::fuzz_target;
use std::sync::LazyLock;
use voicemail_fuzz::Api;

thread_local! {
    static API: LazyLock<Api> = const { LazyLock::new(Api::open) };
}

fuzz_target!(|data: &[u8]| {
    API.with(|api| {
        let status =
            api.send("POST", "/mailboxes/1001/messages", "multipart/form-data; boundary=b", data.to_vec());
        assert!(status.is_client_error() || status == 201, "{status}");
    });
});
