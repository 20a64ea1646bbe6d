//! From the client's errors to ours: what was applied, what to do, and no secrets in the text.
//!
//! The client's own messages carry the URL, and with a SAS token that is a secret; only the server's error
//! code and the kind of failure are kept.

use super::super::{StoreError, WriteRefusal};
use object_store::Error;
use object_store::client::{HttpError, HttpErrorKind};
use std::error::Error as _;

/// Codes that say that the credentials, not the request, are at fault.
const CREDENTIAL_CODES: [&str; 10] = [
    "InvalidAccessKeyId",
    "SignatureDoesNotMatch",
    "AccessDenied",
    "AuthenticationFailed",
    "AuthorizationFailure",
    "AuthorizationPermissionMismatch",
    "InvalidAuthenticationInfo",
    "AccountIsDisabled",
    "NoAuthenticationInformation",
    "RequestExpired",
];
/// A token that was given for some time, and isn't any more. S3 answers 400.
const TOKEN_CODES: [&str; 3] = ["ExpiredToken", "InvalidToken", "TokenRefreshRequired"];
/// A bucket is asked for in a region where it isn't.
const REGION_CODES: [&str; 5] = [
    "AuthorizationHeaderMalformed",
    "PermanentRedirect",
    "TemporaryRedirect",
    "IllegalLocationConstraintException",
    "IncorrectEndpoint",
];
const CLOCK_CODES: [&str; 1] = ["RequestTimeTooSkewed"];
/// The object is in a class that must be restored before it can be read: S3, Azure.
const ARCHIVE_CODES: [&str; 3] = ["InvalidObjectState", "BlobArchived", "BlobBeingRehydrated"];

/// Parts of codes that say that there is no room: `QuotaExceeded` of Ceph and others, `XMinioAdminBucketQuotaExceeded`,
/// `XMinioStorageFull`, `InsufficientStorage`, `AccountLimitExceeded`.
const FULL_CODES: [&str; 4] = ["QuotaExceeded", "StorageFull", "InsufficientStorage", "AccountLimitExceeded"];
/// `KMS.DisabledException` and its like, `XMinioKMSKeyNotFound`, `InvalidEncryptionAlgorithmError`,
/// `KeyVaultEncryptionKeyNotFound`, `ServerSideEncryptionConfigurationNotFoundError`.
const ENCRYPTION_CODES: [&str; 4] = ["KMS", "Encryption", "KeyVault", "SSE"];
/// `BlobImmutableDueToPolicy`, `ObjectLocked`, `LeaseIdMissing`, `AccountIsReadOnly`, `InvalidObjectLockConfiguration`.
const LOCK_CODES: [&str; 4] = ["Immutable", "ObjectLock", "LeaseId", "ReadOnly"];
/// Codes that say, of a write, that these credentials may not: whether they may read shows elsewhere.
const RIGHTS_CODES: [&str; 6] = [
    "AccessDenied",
    "AllAccessDisabled",
    "AuthorizationFailure",
    "AuthorizationPermissionMismatch",
    "InsufficientAccountPermissions",
    "AuthorizationResourceTypeMismatch",
];

/// A failed reading call: nothing was applied.
pub(super) fn reading(error: Error) -> StoreError {
    match judge(&error) {
        StoreError::Unclear(text) => StoreError::Unavailable(text),
        other => other,
    }
}

/// A failed writing call: it may have been applied, unless the server said that it refused it.
pub(super) fn writing(error: Error) -> StoreError {
    refusal(&error).unwrap_or_else(|| judge(&error))
}

/// A write whose condition isn't met, or that was refused for good: 409 is the answer to both.
pub(super) fn contended(error: Error, conflict: StoreError) -> StoreError {
    refusal(&error).unwrap_or(conflict)
}

/// The obstacle to writing that the server's code tells of, where reading may go on. Codes of S3 and of Azure, and
/// those of MinIO, Ceph and other servers that speak S3; where the code alone is ambiguous, the words beside it.
fn refusal(error: &Error) -> Option<StoreError> {
    let (code, said) = (code_of(error).unwrap_or_default(), error.to_string().to_ascii_lowercase());
    let has = |words: &[&str]| words.iter().any(|word| code.contains(word));
    let says = |word: &str| said.contains(word);
    let text = describe(error, Some(code.as_str()).filter(|code| !code.is_empty()));
    let refused = |cause| Some(StoreError::WriteRefused { cause, text: text.clone() });
    let denied = RIGHTS_CODES.contains(&code.as_str())
        || (code.is_empty() && matches!(error, Error::PermissionDenied { .. }));
    match () {
        () if has(&FULL_CODES) || says("status code: 507") || says("507 insufficient storage") => {
            Some(StoreError::Full(text))
        }
        () if has(&ENCRYPTION_CODES) || (denied && says("encrypt")) => refused(WriteRefusal::Encryption),
        () if has(&LOCK_CODES) || (denied && says("object lock")) => refused(WriteRefusal::Lock),
        () if denied => refused(WriteRefusal::Rights),
        () => None,
    }
}

fn judge(error: &Error) -> StoreError {
    let code = code_of(error);
    let text = describe(error, code.as_deref());
    if let Some(known) = code.as_deref().and_then(|code| meaning(code, &text)) {
        return known;
    }
    match error {
        Error::Unauthenticated { .. } | Error::PermissionDenied { .. } => StoreError::Credentials(text),
        Error::NotFound { .. } => StoreError::Refused(format!("{text}: does the bucket or container exist?")),
        Error::NotSupported { .. } | Error::NotImplemented { .. } | Error::InvalidPath { .. } => {
            StoreError::Refused(text)
        }
        _ if kind_of(error) == Some(HttpErrorKind::Connect) => StoreError::Unavailable(text),
        _ => StoreError::Unclear(text),
    }
}

/// The meaning of a server's code, whatever its status and whoever sent the request; none: the status decides.
pub(super) fn meaning(code: &str, text: &str) -> Option<StoreError> {
    let one_of = |codes: &[&str]| codes.contains(&code);
    let with = |remedy: &str| format!("{text}: {remedy}");
    match () {
        () if one_of(&CLOCK_CODES) => Some(StoreError::Unavailable(with(
            "this machine's clock and the store's are far apart: synchronise them",
        ))),
        () if one_of(&TOKEN_CODES) => {
            Some(StoreError::Credentials(with("the token has expired or isn't known")))
        }
        () if one_of(&REGION_CODES) => Some(StoreError::Refused(with(
            "the bucket isn't in the region that is asked: write the bucket's own as region, or its endpoint",
        ))),
        () if one_of(&ARCHIVE_CODES) => Some(StoreError::Archived(text.to_owned())),
        () if one_of(&CREDENTIAL_CODES) => Some(StoreError::Credentials(text.to_owned())),
        () => None,
    }
}

/// The server's error code, as S3 and Azure write it into the body.
pub(super) fn code_of(error: &Error) -> Option<String> {
    read_code(&error.to_string())
}

/// `<Code>X</Code>` of an error document.
pub(super) fn read_code(text: &str) -> Option<String> {
    let (_, rest) = text.split_once("<Code>")?;
    let (code, _) = rest.split_once("</Code>")?;
    let plain =
        !code.is_empty() && code.len() <= 64 && code.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'.');
    plain.then(|| code.to_owned())
}

fn kind_of(error: &Error) -> Option<HttpErrorKind> {
    let mut source = error.source();
    while let Some(inner) = source {
        if let Some(http) = inner.downcast_ref::<HttpError>() {
            return Some(http.kind());
        }
        source = inner.source();
    }
    None
}

fn describe(error: &Error, code: Option<&str>) -> String {
    if let Some(code) = code {
        return format!("the server answered {code}");
    }
    match (error, kind_of(error)) {
        (_, Some(HttpErrorKind::Connect)) => "the server can't be reached".into(),
        (_, Some(HttpErrorKind::Timeout)) => "the server didn't answer in time".into(),
        (_, Some(HttpErrorKind::Interrupted)) => "the connection broke".into(),
        (_, Some(_)) => "the request failed on the way".into(),
        (Error::Unauthenticated { .. } | Error::PermissionDenied { .. }, None) => {
            "the server refuses the credentials".into()
        }
        (Error::NotFound { .. }, None) => "there is no such thing".into(),
        (Error::AlreadyExists { .. } | Error::Precondition { .. }, None) => "a condition isn't met".into(),
        (_, None) => read_status(&error.to_string()).map_or_else(
            || "the server's answer isn't understood".into(),
            |status| format!("the server answered {status}"),
        ),
    }
}

/// The status in the client's message, which the type doesn't give.
fn read_status(text: &str) -> Option<&str> {
    let (_, rest) = text.split_once("status code: ")?;
    let status = rest.get(..3)?;
    status.bytes().all(|b| b.is_ascii_digit()).then_some(status)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn generic(text: &str) -> Error {
        Error::Generic { store: "S3", source: text.into() }
    }

    #[test]
    fn no_part_of_a_url_or_a_body_gets_into_a_message() {
        let secret = "https://a.example/c/b?sig=SECRET in 1s - Server returned non-2xx status code: 500: <Error>\
            <Code>InternalError</Code><Message>+442079460123</Message>";
        for error in [writing(generic(secret)), reading(generic(secret))] {
            let text = error.to_string();
            assert!(text.contains("InternalError"), "{text}");
            assert!(!text.contains("SECRET") && !text.contains("4420"), "{text}");
        }
    }

    #[test]
    fn a_failed_write_is_unclear_and_a_failed_read_is_not() {
        let broken = || generic("status code: 503: ");
        assert!(matches!(writing(broken()), StoreError::Unclear(_)));
        assert!(matches!(reading(broken()), StoreError::Unavailable(text) if text.contains("503")));
    }

    #[test]
    fn expired_and_wrong_credentials_are_told_from_a_refused_request() {
        for code in ["ExpiredToken", "InvalidAccessKeyId", "AuthenticationFailed"] {
            let error = writing(generic(&format!("<Error><Code>{code}</Code>")));
            assert!(matches!(&error, StoreError::Credentials(text) if text.contains(code)), "{error:?}");
        }
        let error = reading(generic("<Code>AccessDenied</Code>"));
        assert!(matches!(error, StoreError::Credentials(_)), "{error:?}");
        let error = writing(generic("<Code>EntityTooLarge</Code>"));
        assert!(matches!(error, StoreError::Unclear(_)), "{error:?}");
    }

    #[test]
    fn a_code_means_the_same_in_every_answer_and_says_what_to_do() {
        let said = |code: &str| reading(generic(&format!("400: <Error><Code>{code}</Code>"))).to_string();
        for (code, words) in [
            ("RequestTimeTooSkewed", "clock"),
            ("ExpiredToken", "the token has expired"),
            ("AuthorizationHeaderMalformed", "region"),
            ("PermanentRedirect", "region"),
            ("InvalidObjectState", "archive"),
            ("BlobArchived", "archive"),
        ] {
            assert!(said(code).contains(words) && said(code).contains(code), "{}", said(code));
        }
        assert!(!said("RequestTimeTooSkewed").contains("credentials"));
    }

    #[test]
    fn a_refused_write_tells_quota_rights_encryption_and_locks_apart() {
        let reason = |text: &str| match writing(generic(text)) {
            StoreError::Full(_) => "StorageFull",
            StoreError::WriteRefused { cause, .. } => cause.reason(),
            _ => "else",
        };
        let table = [
            ("<Code>QuotaExceeded</Code>", "StorageFull"),
            ("<Code>XMinioAdminBucketQuotaExceeded</Code>", "StorageFull"),
            ("status code: 507: <Code>XMinioStorageFull</Code>", "StorageFull"),
            ("Server returned non-2xx status code: 507 Insufficient Storage: ", "StorageFull"),
            ("<Code>AccessDenied</Code><Message>Access Denied</Message>", "WritesForbidden"),
            ("<Code>AuthorizationPermissionMismatch</Code>", "WritesForbidden"),
            (
                "<Code>AccessDenied</Code><Message>must use server side encryption</Message>",
                "EncryptionDemanded",
            ),
            ("<Code>KMS.DisabledException</Code>", "EncryptionDemanded"),
            ("<Code>KeyVaultEncryptionKeyNotFound</Code>", "EncryptionDemanded"),
            ("<Code>BlobImmutableDueToPolicy</Code>", "StorageLocked"),
            ("<Code>AccessDenied</Code><Message>protected by object lock</Message>", "StorageLocked"),
            ("<Code>ExpiredToken</Code>", "else"),
            ("<Code>InternalError</Code>", "else"),
            ("<Code>SlowDown</Code>", "else"),
        ];
        for (text, wanted) in table {
            assert_eq!(reason(text), wanted, "{text}");
        }
    }

    #[test]
    fn a_lock_that_answers_as_a_conflict_does_is_no_conflict() {
        let conflict = |text: &str| Error::AlreadyExists { path: "x".into(), source: text.into() };
        let locked = contended(conflict("409: <Code>BlobImmutableDueToPolicy</Code>"), StoreError::Exists);
        assert!(matches!(locked, StoreError::WriteRefused { .. }), "{locked:?}");
        assert_eq!(
            contended(conflict("409: <Code>BlobAlreadyExists</Code>"), StoreError::Exists),
            StoreError::Exists
        );
    }
}
