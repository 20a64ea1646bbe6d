//! Acts on record for longer than the retention of the audit log.

use crate::context::Context;
use voicemail_store::StoreError;

/// Removes them.
pub(super) async fn remove_old(context: &Context) -> Result<(), StoreError> {
    context.audit().remove_old().await
}
