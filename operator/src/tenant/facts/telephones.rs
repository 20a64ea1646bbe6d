//! Whether the pods of a telephone are there.

use k8s_openapi::api::apps::v1::StatefulSet;
use kube::Api;
use voicemail_runtime::calls::{CallError, within_deadline};

/// The set that makes them. A chart of before gives no right to such sets, so none was ever made.
///
/// # Errors
/// The API server refuses for another reason, or doesn't answer.
pub async fn find_telephones(sets: &Api<StatefulSet>, name: &str) -> Result<Option<StatefulSet>, CallError> {
    match within_deadline("read the telephone's pods", sets.get_opt(name)).await {
        Err(error) if error.is_forbidden() => Ok(None),
        found => found,
    }
}
