//! From the client's errors to ours: what was applied, what to do, and no secrets in the text.
//!
//! The client's own messages carry the URL, and with a SAS token that is a secret; only the server's error
//! code and the kind of failure are kept.

use super::super::StoreError;
use object_store::Error;
use object_store::client::{HttpError, HttpErrorKind};
use std::error::Error as _;

/// Codes that say that the credentials, not the request, are at fault.
const CREDENTIAL_CODES: [&str; 12] = [
    "InvalidAccessKeyId",
    "SignatureDoesNotMatch",
    "ExpiredToken",
    "InvalidToken",
    "TokenRefreshRequired",
    "AccessDenied",
    "AuthenticationFailed",
    "AuthorizationFailure",
    "AuthorizationPermissionMismatch",
    "InvalidAuthenticationInfo",
    "AccountIsDisabled",
    "NoAuthenticationInformation",
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
    judge(&error)
}

fn judge(error: &Error) -> StoreError {
    let code = code_of(error);
    let text = describe(error, code.as_deref());
    match error {
        _ if code.as_deref() == Some("RequestTimeTooSkewed") => StoreError::Unavailable(format!(
            "{text}: this machine's clock and the store's are far apart: synchronise them"
        )),
        _ if code.as_deref().is_some_and(|code| CREDENTIAL_CODES.contains(&code)) => {
            StoreError::Credentials(text)
        }
        Error::Unauthenticated { .. } | Error::PermissionDenied { .. } => StoreError::Credentials(text),
        Error::NotFound { .. } => StoreError::Refused(format!("{text}: does the bucket or container exist?")),
        Error::NotSupported { .. } | Error::NotImplemented { .. } | Error::InvalidPath { .. } => {
            StoreError::Refused(text)
        }
        _ if kind_of(error) == Some(HttpErrorKind::Connect) => StoreError::Unavailable(text),
        _ => StoreError::Unclear(text),
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
    let plain = !code.is_empty() && code.len() <= 64 && code.bytes().all(|b| b.is_ascii_alphanumeric());
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
        let error = writing(generic("<Code>EntityTooLarge</Code>"));
        assert!(matches!(error, StoreError::Unclear(_)), "{error:?}");
    }
}
