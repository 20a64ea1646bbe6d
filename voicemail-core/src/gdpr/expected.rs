//! Whether the store is the one that was erased from: compared, when it is opened, with what is known outside it.

use super::ledger::find_restore;
use crate::context::Context;
use crate::core::OpenError;
use crate::gdpr_api::LedgerHead;

/// Compares the store's ledger with the newest head that is known outside it. Without a file nothing is known.
pub(crate) async fn check_restore(context: &Context) -> Result<(), OpenError> {
    let Some(file) = context.config().gdpr.expected_head.clone() else { return Ok(()) };
    let text = match std::fs::read_to_string(&file) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(error) => {
            return Err(OpenError::KeysUnreadable(format!("gdpr.expectedHead can't be read: {error}")));
        }
        Ok(text) => text,
    };
    let unreadable =
        |_| OpenError::KeysUnreadable("gdpr.expectedHead: expected {\"epoch\": 7, \"hash\": \"…\"}".into());
    let expected: LedgerHead = serde_json::from_str(&text).map_err(unreadable)?;
    match find_restore(context, &expected).await? {
        Some(what) => Err(OpenError::RestoreDetected(what)),
        None => Ok(()),
    }
}
