//! JSON bodies of every route that takes one: carried out, or refused with a problem that isn't the server's.
#![no_main]

use libfuzzer_sys::fuzz_target;
use std::sync::LazyLock;
use voicemail_fuzz::Api;

const ROUTES: [(&str, &str); 13] = [
    ("PUT", "/mailboxes/1002"),
    ("PUT", "/users/bob"),
    ("PUT", "/groups/sales"),
    ("PUT", "/mailboxes/1001/pin"),
    ("POST", "/mailboxes/1003/pin/verify"),
    ("PUT", "/mailboxes/1001/preferences"),
    ("PUT", "/mailboxes/1001/greetings/alternate/schedule"),
    ("PATCH", "/mailboxes/1001/messages/01996a10-1111-7abc-8def-0123456789ab"),
    ("PUT", "/mailboxes/1001/messages/01996a10-1111-7abc-8def-0123456789ab/claim"),
    ("POST", "/mailboxes/1001/messages/01996a10-1111-7abc-8def-0123456789ab/forward"),
    ("POST", "/gdpr/exportme"),
    ("POST", "/gdpr/forgetme"),
    ("POST", "/gdpr/undoforget"),
];

thread_local! {
    static API: LazyLock<Api> = const { LazyLock::new(Api::open) };
}

fuzz_target!(|data: &[u8]| {
    let Some((route, body)) = data.split_first() else { return };
    let (method, path) = ROUTES[usize::from(*route) % ROUTES.len()];
    API.with(|api| api.send(method, path, "application/json", body.to_vec()));
});
