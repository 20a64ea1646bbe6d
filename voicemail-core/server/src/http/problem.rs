//! The one place where errors become HTTP: RFC 9457 problem documents with a stable `type`.
//!
//! The client's answer names the rule and the remedy; the store's own words go to the log alone, and nothing of a
//! caller's input is repeated.

use crate::auth::AuthError;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use std::time::Duration;
use voicemail_api::gdpr::Problem;
use voicemail_engine::gdpr::GdprError;
use voicemail_engine::mailbox::MailboxError;
use voicemail_model::{DecisionError, InvalidId};
use voicemail_store::{BodyError, ErrorClass, StoreError};

/// After how long a client may ask again for audio that the store brings back from an archive.
const RESTORE_PAUSE: Duration = Duration::from_secs(3_600);
/// The same for a request that found no room in the store.
const FULL_PAUSE: Duration = Duration::from_secs(60);
/// The same for a request to a store that refuses to write.
const REFUSED_PAUSE: Duration = Duration::from_secs(30);

macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident = $slug:literal, $status:ident, $title:literal;)*) => {
        /// Every kind of problem that the API answers.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[allow(missing_docs, reason = "the titles say it")]
        pub enum ProblemKind {
            $($(#[$doc])* $name,)*
        }

        impl ProblemKind {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// Last segment of the `type`.
            pub fn slug(self) -> &'static str {
                match self { $(Self::$name => $slug,)* }
            }

            /// HTTP status.
            pub fn status(self) -> StatusCode {
                match self { $(Self::$name => StatusCode::$status,)* }
            }

            /// The kind in words.
            pub fn title(self) -> &'static str {
                match self { $(Self::$name => $title,)* }
            }
        }
    };
}

kinds! {
    InvalidRequest = "invalid-request", BAD_REQUEST, "The request can't be read";
    InvalidName = "invalid-name", BAD_REQUEST, "A name or id has another form";
    InvalidValue = "invalid-value", BAD_REQUEST, "A value breaks a rule";
    IdOutOfTime = "id-out-of-time", BAD_REQUEST, "The Idempotency-Key is too old or too new";
    InvalidAudio = "invalid-audio", BAD_REQUEST, "The audio can't be stored";
    Interrupted = "interrupted", BAD_REQUEST, "The body stopped before its end";
    CallerWithheld = "caller-withheld", UNPROCESSABLE_ENTITY, "That isn't one person's number";
    AmbiguousNumber = "ambiguous-number", UNPROCESSABLE_ENTITY, "The number may mean two people";
    InvalidConsumers = "invalid-consumers", BAD_REQUEST, "The data subjects can't be read";
    OtherTenant = "other-tenant", BAD_REQUEST, "The ccid is another tenant's";
    InvalidWindow = "invalid-window", BAD_REQUEST, "The undo window isn't one that is allowed";
    Unauthenticated = "unauthenticated", UNAUTHORIZED, "No accepted token";
    LoginNotFresh = "login-not-fresh", UNAUTHORIZED, "Sign in again first";
    RoleMissing = "role-missing", FORBIDDEN, "The token's roles don't allow this";
    ForeignPage = "not-from-own-page", FORBIDDEN, "The request isn't from a page of this tenant";
    ReadOnly = "read-only", FORBIDDEN, "The mailbox may not be changed";
    DirectoryClosed = "directory-closed", FORBIDDEN, "Mailboxes can't be looked up here";
    WrongPin = "wrong-pin", FORBIDDEN, "The PIN is wrong";
    PinNeeded = "pin-needed", FORBIDDEN, "The PIN must be given again";
    UnknownPath = "unknown-path", NOT_FOUND, "There is nothing here";
    UnknownMailbox = "unknown-mailbox", NOT_FOUND, "Unknown mailbox";
    UnknownMessage = "unknown-message", NOT_FOUND, "Unknown message";
    UnknownUser = "unknown-user", NOT_FOUND, "Unknown user or group";
    UnknownGreeting = "unknown-greeting", NOT_FOUND, "There is no such greeting";
    UnknownCase = "unknown-case", NOT_FOUND, "Unknown case";
    WrongMethod = "wrong-method", METHOD_NOT_ALLOWED, "The method isn't allowed here";
    TooSlow = "too-slow", REQUEST_TIMEOUT, "The upload was too slow";
    MailboxFull = "mailbox-full", CONFLICT, "The mailbox is full";
    MailboxClosing = "mailbox-closing", CONFLICT, "The mailbox is being emptied";
    NoPin = "no-pin", CONFLICT, "The mailbox has no PIN";
    PinLocked = "pin-locked", LOCKED, "The PIN is locked";
    Claimed = "claimed", CONFLICT, "Another member deals with the message";
    DecisionRefused = "decision-refused", CONFLICT, "That can't be decided about the case now";
    SecondPerson = "second-person-needed", FORBIDDEN, "A second person must approve";
    CaseDiffers = "case-differs", CONFLICT, "The case is open with other consumers";
    RequestKeyReused = "request-key-reused", CONFLICT, "Another request has that key";
    NoRunToUndo = "no-run-to-undo", CONFLICT, "There is nothing to undo";
    TooLateToUndo = "too-late-to-undo", CONFLICT, "The undo window is over";
    NotExportable = "not-exportable", CONFLICT, "There is no export to fetch";
    Gone = "gone", GONE, "Deleted";
    Changed = "changed", PRECONDITION_FAILED, "The condition isn't fulfilled";
    BodyTooLarge = "body-too-large", PAYLOAD_TOO_LARGE, "The body is too large";
    AudioTooLong = "audio-too-long", PAYLOAD_TOO_LARGE, "The audio is too long";
    WrongType = "wrong-content-type", UNSUPPORTED_MEDIA_TYPE, "The content type isn't the one expected";
    WrongRange = "range-not-satisfiable", RANGE_NOT_SATISFIABLE, "The range is outside the audio";
    IdReused = "id-reused", UNPROCESSABLE_ENTITY, "The Idempotency-Key was used for another message";
    Internal = "internal", INTERNAL_SERVER_ERROR, "Something went wrong here";
    Undecodable = "stored-data-unreadable", INTERNAL_SERVER_ERROR, "What is stored can't be read";
    Archived = "audio-archived", CONFLICT, "What is stored is in an archive";
    StoreRefused = "store-refused", INTERNAL_SERVER_ERROR, "The store refused";
    TooManyRequests = "too-many-requests", TOO_MANY_REQUESTS, "Too many requests";
    LookupUnavailable = "lookup-unavailable", SERVICE_UNAVAILABLE, "The token can't be looked up now";
    PasswordsUnavailable = "passwords-unavailable", SERVICE_UNAVAILABLE, "The password can't be checked now";
    TooManyOfUser = "too-many-streams-of-user", TOO_MANY_REQUESTS, "This user holds as many event streams as one may";
    TooManyStreams = "too-many-streams", SERVICE_UNAVAILABLE, "This replica holds as many event streams as it can";
    NotOpen = "not-open", SERVICE_UNAVAILABLE, "The store isn't open yet";
    StorageFull = "storage-full", INSUFFICIENT_STORAGE, "The storage is full";
    WritesRefused = "writes-refused", SERVICE_UNAVAILABLE, "The store can be read and not written";
    StoreUnavailable = "store-unavailable", SERVICE_UNAVAILABLE, "The store isn't available";
    RegionDown = "region-down", SERVICE_UNAVAILABLE, "A region's store isn't available";
    ClockSkew = "clock-skew", SERVICE_UNAVAILABLE, "The clocks differ too much";
    KeysUnavailable = "keys-unavailable", SERVICE_UNAVAILABLE, "The token can't be checked now";
    Timeout = "timeout", SERVICE_UNAVAILABLE, "It took too long";
}

/// A failure on its way to the client.
#[derive(Clone, Debug)]
pub struct ApiError {
    kind: ProblemKind,
    detail: String,
    note: FailureNote,
    wait: Option<Duration>,
}

/// The note of a failure for the access log and the metrics, as an extension of the response.
#[derive(Clone, Debug, Default)]
pub(super) struct FailureNote {
    /// The kind of problem.
    pub(super) kind: Option<&'static str>,
    /// The store's reason, for the metric.
    pub(super) store: Option<&'static str>,
    /// The failure in the server's own words, for the log.
    pub(super) cause: Option<String>,
}

impl ApiError {
    /// A failure of that kind; the detail says what to do.
    pub fn new(kind: ProblemKind, detail: impl Into<String>) -> Self {
        Self { kind, detail: detail.into(), note: FailureNote::default(), wait: None }
    }

    /// A value that isn't one of those that are taken; the detail says what to write.
    pub(crate) fn invalid(detail: impl Into<String>) -> Self {
        Self::new(ProblemKind::InvalidValue, detail)
    }

    /// With a cause that only the log shows.
    #[must_use]
    pub(super) fn because(mut self, cause: impl ToString) -> Self {
        self.note.cause = Some(cause.to_string());
        self
    }

    /// With the time after which to try again.
    #[must_use]
    pub(super) fn after(mut self, wait: Duration) -> Self {
        self.wait = Some(wait);
        self
    }

    /// Its kind.
    pub fn kind(&self) -> ProblemKind {
        self.kind
    }

    /// As the client sees it.
    pub(super) fn document(&self) -> Problem {
        Problem {
            kind: format!("/problems/{}", self.kind.slug()),
            title: self.kind.title().to_owned(),
            status: self.kind.status().as_u16(),
            detail: self.detail.clone(),
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let body = serde_json::to_vec(&self.document()).unwrap_or_default();
        let kind = HeaderValue::from_static("application/problem+json");
        let mut response = (self.kind.status(), [(header::CONTENT_TYPE, kind)], body).into_response();
        let headers = response.headers_mut();
        match self.kind.status() {
            StatusCode::UNAUTHORIZED => {
                headers
                    .insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"voicemail\""));
            }
            StatusCode::SERVICE_UNAVAILABLE => {
                headers.insert(header::RETRY_AFTER, HeaderValue::from_static("2"));
            }
            _ => {}
        }
        if let Some(wait) = self.wait {
            let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds.max(1)));
        }
        response.extensions_mut().insert(FailureNote { kind: Some(self.kind.slug()), ..self.note });
        response
    }
}

/// The answer for a path that isn't ours.
pub(super) async fn unknown_path() -> ApiError {
    ApiError::new(ProblemKind::UnknownPath, "see the OpenAPI document for the paths there are")
}

/// The answer for a path that is ours with another method.
pub(super) async fn wrong_method() -> ApiError {
    ApiError::new(ProblemKind::WrongMethod, "see the OpenAPI document for the methods there are")
}

impl From<InvalidId> for ApiError {
    fn from(error: InvalidId) -> Self {
        Self::new(ProblemKind::InvalidName, error.to_string())
    }
}

impl From<AuthError> for ApiError {
    fn from(error: AuthError) -> Self {
        match error {
            AuthError::KeysUnavailable(cause) => {
                let detail = "the keys of the token's issuer can't be fetched: try again";
                Self::new(ProblemKind::KeysUnavailable, detail).because(cause)
            }
            AuthError::LookupUnavailable(cause) => {
                let detail = "the token's issuer can't be asked about it: try again";
                Self::new(ProblemKind::LookupUnavailable, detail).because(cause)
            }
            AuthError::PasswordsUnavailable(cause) => {
                let detail = "the password can't be checked now: try again";
                Self::new(ProblemKind::PasswordsUnavailable, detail).because(cause)
            }
            AuthError::LockedOut(wait) => {
                Self::new(ProblemKind::TooManyRequests, error.to_string()).after(wait)
            }
            other => Self::new(ProblemKind::Unauthenticated, other.to_string()),
        }
    }
}

impl From<BodyError> for ApiError {
    fn from(error: BodyError) -> Self {
        match error {
            BodyError::Invalid(detail) => Self::new(ProblemKind::InvalidAudio, detail),
            BodyError::TooLong(detail) => Self::new(ProblemKind::AudioTooLong, detail),
            BodyError::Interrupted(detail) => Self::new(ProblemKind::Interrupted, detail),
        }
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        let mut failure = match &error {
            StoreError::Body(body) => return body.clone().into(),
            StoreError::NewerSchema { .. } => Self::new(ProblemKind::StoreRefused, error.to_string()),
            StoreError::Undecodable { .. } => Self::new(ProblemKind::Undecodable, error.to_string()),
            StoreError::Archived(_) => Self::new(
                ProblemKind::Archived,
                "a lifecycle rule moved it to an archive class of the store: it can be played when an administrator has \
                 restored it there",
            ),
            StoreError::Restoring(_) => Self::new(
                ProblemKind::Archived,
                "a lifecycle rule moved it to an archive class of the store: it has been asked back and can be played in some \
                 hours",
            )
            .after(RESTORE_PAUSE),
            StoreError::Full(_) => Self::new(
                ProblemKind::StorageFull,
                "there is no room for it: what is stored can be listened to and deleted; the same request is safe to \
                 repeat when there is room again",
            )
            .after(FULL_PAUSE),
            StoreError::WriteRefused { .. } => Self::new(
                ProblemKind::WritesRefused,
                "the store refuses to write, and the service's readiness says why: what is stored can be listened \
                 to; the same request is safe to repeat later",
            )
            .after(REFUSED_PAUSE),
            _ if error.class() == ErrorClass::Permanent => {
                Self::new(ProblemKind::StoreRefused, "the store refused; the service's log says why")
            }
            _ => Self::new(
                ProblemKind::StoreUnavailable,
                "the store isn't available: the same request is safe to repeat",
            ),
        };
        failure.note.store = Some(error.reason());
        failure.because(error)
    }
}

impl From<MailboxError> for ApiError {
    fn from(error: MailboxError) -> Self {
        let kind = match error {
            MailboxError::Store(store) => return store.into(),
            MailboxError::Audio(body) => return body.into(),
            MailboxError::UnknownMailbox => ProblemKind::UnknownMailbox,
            MailboxError::UnknownMessage => ProblemKind::UnknownMessage,
            MailboxError::Unknown(_) => ProblemKind::UnknownUser,
            MailboxError::Full { .. } | MailboxError::FullOfSeconds { .. } => ProblemKind::MailboxFull,
            MailboxError::IdOutOfTime => ProblemKind::IdOutOfTime,
            MailboxError::IdReused => ProblemKind::IdReused,
            MailboxError::Claimed => ProblemKind::Claimed,
            MailboxError::NoGreeting => ProblemKind::UnknownGreeting,
            MailboxError::NoPin => ProblemKind::NoPin,
            MailboxError::WrongPin => ProblemKind::WrongPin,
            MailboxError::PinNeeded => ProblemKind::PinNeeded,
            MailboxError::PinLocked { .. } => ProblemKind::PinLocked,
            MailboxError::Gone => ProblemKind::Gone,
            MailboxError::TooSlow => ProblemKind::TooSlow,
            MailboxError::Changed => ProblemKind::Changed,
            MailboxError::StillClosing => ProblemKind::MailboxClosing,
            MailboxError::Invalid(_) => ProblemKind::InvalidValue,
            MailboxError::ClockSkew => ProblemKind::ClockSkew,
        };
        Self::new(kind, error.to_string())
    }
}

impl From<GdprError> for ApiError {
    fn from(error: GdprError) -> Self {
        let kind = match error {
            GdprError::Store(store) => return store.into(),
            GdprError::InvalidCase => ProblemKind::InvalidName,
            GdprError::NoConsumers | GdprError::InvalidConsumers(_) => ProblemKind::InvalidConsumers,
            GdprError::CallerWithheld { .. } => ProblemKind::CallerWithheld,
            GdprError::AmbiguousNumber { .. } => ProblemKind::AmbiguousNumber,
            GdprError::InvalidMessages(_) | GdprError::InvalidField(..) => ProblemKind::InvalidValue,
            GdprError::WindowPastDue => ProblemKind::InvalidWindow,
            GdprError::Decision(
                DecisionError::SamePerson
                | DecisionError::RequesterUnknown
                | DecisionError::AskedByObject
                | DecisionError::AskedByToken
                | DecisionError::AskedElsewhere,
            ) => ProblemKind::SecondPerson,
            GdprError::Decision(_) | GdprError::NothingToDecide => ProblemKind::DecisionRefused,
            GdprError::UnknownMessage => ProblemKind::UnknownMessage,
            GdprError::LedgerMismatch(_) => ProblemKind::Internal,
            GdprError::OtherTenant => ProblemKind::OtherTenant,
            GdprError::OpenWithOtherConsumers => ProblemKind::CaseDiffers,
            GdprError::RequestKeyReused => ProblemKind::RequestKeyReused,
            GdprError::UnknownCase => ProblemKind::UnknownCase,
            GdprError::NoRunToUndo => ProblemKind::NoRunToUndo,
            GdprError::TooLateToUndo => ProblemKind::TooLateToUndo,
            GdprError::InvalidWindow => ProblemKind::InvalidWindow,
            GdprError::NotExportable => ProblemKind::NotExportable,
            GdprError::RegionDown { .. } => ProblemKind::RegionDown,
            GdprError::ClockSkew => ProblemKind::ClockSkew,
            GdprError::Unreadable { .. } | GdprError::CopiesUnknown { .. } => ProblemKind::Undecodable,
            GdprError::NewerRules => ProblemKind::StoreUnavailable,
        };
        Self::new(kind, error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_kind_has_a_type_of_its_own_in_kebab_case() {
        let slugs: BTreeSet<&str> = ProblemKind::ALL.iter().map(|kind| kind.slug()).collect();
        assert_eq!(slugs.len(), ProblemKind::ALL.len());
        assert!(slugs.iter().all(|slug| slug.bytes().all(|b| b.is_ascii_lowercase() || b == b'-')));
    }

    #[test]
    fn a_full_store_and_one_that_refuses_writes_are_told_apart_from_one_that_is_away() {
        let kind = |error: StoreError| ApiError::from(error).kind();
        assert_eq!(kind(StoreError::Full("x".into())).status(), StatusCode::INSUFFICIENT_STORAGE);
        let refused =
            StoreError::WriteRefused { cause: voicemail_store::WriteRefusal::Rights, text: "x".into() };
        assert_eq!(kind(refused), ProblemKind::WritesRefused);
        assert_eq!(kind(StoreError::Archived("x".into())).status(), StatusCode::CONFLICT);
        let response = ApiError::from(StoreError::Full("x".into())).into_response();
        assert_eq!(response.headers()[header::RETRY_AFTER], "60");
    }

    #[test]
    fn the_stores_own_words_stay_in_the_log() {
        let error = ApiError::from(StoreError::Unavailable("/data/v1/t/ca/ab/abcdef: EIO".into()));
        assert!(!error.document().detail.contains("/data"));
        assert!(error.note.cause.as_deref().unwrap_or_default().contains("EIO"));
        assert_eq!(error.note.store, Some("Unavailable"));
    }
}
