//! Calls to the API server, each with a deadline, and what their failures mean.
//!
//! Flow: `within_deadline("what it does", api.get(..)).await`. kube sets no read time-out, so without this
//! a silent connection would hold a reconcile for ever. Retrying is left to the work queue's back-off.

use kube::api::{Patch, PatchParams};
use kube::{Api, Resource, ResourceExt};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::fmt::Debug;
use std::time::Duration;
pub use voicemail_api::ErrorClass;
use voicemail_resources::MANAGER;

/// Longest time that one call to the API server may take.
pub const CALL_DEADLINE: Duration = Duration::from_secs(15);

/// How the API server words that a webhook or a policy has said no.
const DENIALS: [&str; 2] = ["denied the request", "ValidatingAdmissionPolicy"];

/// A failure that says whether retrying helps, and its stable name.
pub trait Classified: std::error::Error + Send + Sync + 'static {
    /// Whether retrying can help.
    fn class(&self) -> ErrorClass;
    /// Stable CamelCase name, for conditions and events.
    fn reason(&self) -> &'static str;
}

/// A call to the API server that failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CallError {
    /// No answer in time.
    #[error("could not {what}: no answer from the API server within {} s", CALL_DEADLINE.as_secs())]
    Deadline {
        /// The attempted call.
        what: &'static str,
    },
    /// The API server refused or could not be reached.
    #[error("could not {what}: {}", describe(source))]
    Refused {
        /// The attempted call.
        what: &'static str,
        /// The answer.
        source: Box<kube::Error>,
    },
    /// The object isn't the one any more that was looked at, so nothing was done.
    #[error("could not {what}: the object was deleted, made again, or changed since it was looked at")]
    Changed {
        /// The call that wasn't made.
        what: &'static str,
    },
}

/// The API server's own words, without the debug form that kube adds.
fn describe(error: &kube::Error) -> String {
    match error {
        kube::Error::Api(status) if !status.message.is_empty() => status.message.clone(),
        other => other.to_string(),
    }
}

impl CallError {
    fn status(&self) -> Option<&kube::core::Status> {
        match self {
            Self::Refused { source, .. } => match source.as_ref() {
                kube::Error::Api(status) => Some(status),
                _ => None,
            },
            Self::Deadline { .. } | Self::Changed { .. } => None,
        }
    }

    /// Whether the object isn't there.
    pub fn is_not_found(&self) -> bool {
        self.status().is_some_and(kube::core::Status::is_not_found)
    }

    /// Whether the cluster doesn't know the kind: then it answers 404 without the reason that an object gets.
    pub fn is_unknown_kind(&self) -> bool {
        self.status().is_some_and(|status| status.code == 404 && !status.is_not_found())
    }

    /// Whether the operator has no right to do it, or admission refused it.
    pub fn is_forbidden(&self) -> bool {
        self.status().is_some_and(kube::core::Status::is_forbidden)
    }

    /// Whether somebody else was faster.
    pub fn is_conflict(&self) -> bool {
        let changed = matches!(self, Self::Changed { .. });
        changed || self.status().is_some_and(|status| status.is_conflict() || status.is_already_exists())
    }
}

impl Classified for CallError {
    fn class(&self) -> ErrorClass {
        match self.status() {
            _ if self.is_conflict() => ErrorClass::Conflict,
            Some(status) if status.is_invalid() => ErrorClass::Permanent,
            _ => ErrorClass::Transient,
        }
    }

    fn reason(&self) -> &'static str {
        match self.status() {
            None if self.is_conflict() => "Conflict",
            None => "ApiServerUnreachable",
            // Status has no code for these; the words are the API server's own.
            Some(status) if status.message.contains("exceeded quota") => "QuotaExceeded",
            Some(status) if status.message.contains("failed calling webhook") => "AdmissionFailed",
            Some(status) if DENIALS.iter().any(|words| status.message.contains(words)) => "AdmissionDenied",
            Some(status) if status.is_forbidden() => "Forbidden",
            Some(status) if status.is_invalid() => "RefusedByApiServer",
            Some(_) if self.is_conflict() => "Conflict",
            Some(_) => "ApiServerError",
        }
    }
}

/// Runs one call with the deadline.
///
/// # Errors
/// [`CallError`], which names what was attempted.
pub async fn within_deadline<T>(
    what: &'static str,
    call: impl Future<Output = Result<T, kube::Error>>,
) -> Result<T, CallError> {
    match tokio::time::timeout(CALL_DEADLINE, call).await {
        Err(_) => Err(CallError::Deadline { what }),
        Ok(Err(source)) => Err(CallError::Refused { what, source: Box::new(source) }),
        Ok(Ok(value)) => Ok(value),
    }
}

/// Merges metadata into an object, if it is still the one that was looked at, and as it was then.
///
/// # Errors
/// [`CallError`]: a conflict, if it isn't.
pub async fn merge_metadata<K>(
    what: &'static str,
    api: &Api<K>,
    seen: &K,
    mut metadata: Value,
) -> Result<K, CallError>
where
    K: Resource + Clone + DeserializeOwned + Debug,
{
    metadata["uid"] = json!(seen.uid());
    metadata["resourceVersion"] = json!(seen.resource_version());
    let body = json!({ "metadata": metadata });
    let parameters = PatchParams { field_manager: Some(MANAGER.into()), ..PatchParams::default() };
    let (name, patch) = (seen.name_any(), Patch::Merge(&body));
    within_deadline(what, api.patch(&name, &parameters, &patch)).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use kube::core::Status;

    fn refused(reason: &str, code: u16) -> CallError {
        let status = Status::failure("no", reason).with_code(code).boxed();
        CallError::Refused { what: "write", source: Box::new(kube::Error::Api(status)) }
    }

    #[test]
    fn failures_are_classed_by_whether_retrying_helps() {
        assert_eq!(refused("Conflict", 409).class(), ErrorClass::Conflict);
        assert_eq!(refused("Invalid", 422).class(), ErrorClass::Permanent);
        assert_eq!(refused("Forbidden", 403).class(), ErrorClass::Transient);
        assert_eq!(CallError::Deadline { what: "read" }.class(), ErrorClass::Transient);
    }

    #[test]
    fn what_admission_says_has_reasons_of_its_own() {
        let said = |words: &str, code: u16| {
            let status = Status::failure(words, "Forbidden").with_code(code).boxed();
            CallError::Refused { what: "write", source: Box::new(kube::Error::Api(status)) }.reason()
        };
        let quota =
            "services \"a\" is forbidden: exceeded quota: few, requested: services=1, used: services=0";
        assert_eq!(said(quota, 403), "QuotaExceeded");
        assert_eq!(
            said("Internal error occurred: failed calling webhook \"a.b\": no route", 500),
            "AdmissionFailed"
        );
        assert_eq!(said("admission webhook \"a.b\" denied the request: no", 403), "AdmissionDenied");
        assert_eq!(said("services is forbidden: User \"u\" cannot create", 403), "Forbidden");
    }

    #[test]
    fn an_unknown_kind_is_told_from_a_missing_object() {
        let missing = refused("NotFound", 404);
        assert!(missing.is_not_found() && !missing.is_unknown_kind());
        // kube's reason for an answer that is no Status, such as `404 page not found`.
        let unknown = refused("Failed to parse error data", 404);
        assert!(unknown.is_unknown_kind());
        assert!(!refused("Forbidden", 403).is_unknown_kind());
    }

    #[test]
    fn message_holds_the_servers_words_once() {
        assert_eq!(refused("Forbidden", 403).to_string(), "could not write: no");
    }
}
