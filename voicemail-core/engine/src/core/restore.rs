//! Whether the store is the one that was erased from: compared with what is known outside it, when it is opened, when
//! that changes, and every five minutes while it is served.

use super::OpenError;
use crate::context::Context;
use crate::gdpr::find_restore;
use std::time::Duration;
use voicemail_api::gdpr::LedgerHead;

const LOOK_EVERY: Duration = Duration::from_secs(15);
/// After so many looks the store is asked, even if nothing changed outside it.
const LOOKS: u32 = 20;

/// Waits until the store turns out to be an older one than it was, and says what was seen. Trouble with looking is
/// logged and no reason to stop serving.
pub(crate) async fn await_restore(context: &Context) -> String {
    let (mut seen, mut looks) = (read_expected(context).ok(), 0u32);
    loop {
        context.world().sleep(LOOK_EVERY).await;
        looks = looks.wrapping_add(1);
        let found = read_expected(context).ok();
        if found == seen && !looks.is_multiple_of(LOOKS) {
            continue;
        }
        match check_restore(context).await {
            Err(OpenError::RestoreDetected(what)) => return what,
            Err(error) => {
                tracing::warn!(reason = error.reason(), %error, "can't tell whether the store was restored");
            }
            Ok(()) => seen = found,
        }
    }
}

/// Compares the store's ledger with the newest head that is known outside it. Without a file nothing is known.
pub(crate) async fn check_restore(context: &Context) -> Result<(), OpenError> {
    let Some(expected) = read_expected(context)? else { return Ok(()) };
    match find_restore(context, &expected).await? {
        Some(what) => Err(OpenError::RestoreDetected(what)),
        None => Ok(()),
    }
}

fn read_expected(context: &Context) -> Result<Option<LedgerHead>, OpenError> {
    let Some(file) = context.config().gdpr.expected_head.clone() else { return Ok(None) };
    let text = match std::fs::read_to_string(&file) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => {
            return Err(OpenError::KeysUnreadable(format!("gdpr.expectedHead can't be read: {error}")));
        }
        Ok(text) => text,
    };
    let unreadable =
        |_| OpenError::KeysUnreadable("gdpr.expectedHead: expected {\"epoch\": 7, \"hash\": \"…\"}".into());
    serde_json::from_str(&text).map(Some).map_err(unreadable)
}
