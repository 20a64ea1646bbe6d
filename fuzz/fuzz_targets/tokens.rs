//! Bearer tokens: none but those that were signed is accepted.
#![no_main]

use libfuzzer_sys::fuzz_target;
use std::sync::LazyLock;
use voicemail_engine::principal::MailboxToken;
use voicemail_fuzz::Api;
use voicemail_model::{TenantKey, Time};

thread_local! {
    static API: LazyLock<Api> = const { LazyLock::new(Api::open) };
}

fuzz_target!(|data: &[u8]| {
    let text = String::from_utf8_lossy(data);
    API.with(|api| {
        assert!(!api.accepts(&text) || text == api.token(), "a forged token is accepted");
        // One whose parts were exchanged, too.
        let parts: Vec<&str> = api.token().split('.').collect();
        for forged in
            [format!("{}.{text}.{}", parts[0], parts[2]), format!("{text}.{}.{}", parts[1], parts[2])]
        {
            assert!(!api.accepts(&forged) || forged == api.token(), "a forged token is accepted");
        }
    });
    let key = TenantKey::new(&[7; 32]).expect("a key");
    assert!(MailboxToken::read(&key, &text, Time(0)).is_err(), "a forged token is accepted");
});
