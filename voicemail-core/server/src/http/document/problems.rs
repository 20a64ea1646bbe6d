//! Which problems an operation may answer, so that the document lists every status there is.

use super::super::ProblemKind;
use utoipa::openapi::path::{Operation, ParameterIn};
use utoipa::openapi::{ContentBuilder, Ref, RefOr, Response, ResponseBuilder};

/// Problems of every operation.
const SHARED: [ProblemKind; 8] = [
    ProblemKind::InvalidRequest,
    ProblemKind::Unauthenticated,
    ProblemKind::RoleMissing,
    ProblemKind::UnknownPath,
    ProblemKind::TooManyRequests,
    ProblemKind::Internal,
    ProblemKind::StorageFull,
    ProblemKind::StoreUnavailable,
];
/// Problems of operations that take a body.
const OF_BODIES: [ProblemKind; 2] = [ProblemKind::BodyTooLarge, ProblemKind::WrongType];
/// Problems of operations that take audio.
const OF_UPLOADS: [ProblemKind; 1] = [ProblemKind::TooSlow];

/// Further problems, by the end of the path and the method.
const FURTHER: [(&str, &str, &[ProblemKind]); 16] = [
    ("/mailboxes/{mailbox}", "put", &[ProblemKind::MailboxClosing]),
    ("/{mailbox}/messages", "post", &[ProblemKind::MailboxFull, ProblemKind::Gone, ProblemKind::IdReused]),
    ("/messages/{id}/claim", "put", &[ProblemKind::Claimed]),
    ("/messages/{id}/claim", "delete", &[ProblemKind::Claimed]),
    ("/messages/{id}/restore", "post", &[ProblemKind::MailboxFull]),
    ("/pin/verify", "post", &[ProblemKind::NoPin, ProblemKind::PinLocked]),
    ("/gdpr/forgetme", "post", &[ProblemKind::CaseDiffers, ProblemKind::RequestKeyReused]),
    ("/gdpr/exportme", "post", &[ProblemKind::CaseDiffers, ProblemKind::RequestKeyReused]),
    ("/gdpr/undoforget", "post", &[ProblemKind::NoRunToUndo]),
    ("/gdpr/undoforgot", "post", &[ProblemKind::NoRunToUndo]),
    ("/{caseid}/approve", "post", &[ProblemKind::DecisionRefused]),
    ("/{caseid}/deny", "post", &[ProblemKind::DecisionRefused]),
    ("/{caseid}/extend", "post", &[ProblemKind::DecisionRefused]),
    ("/{caseid}/cancel", "post", &[ProblemKind::DecisionRefused]),
    ("/{caseid}/export", "get", &[ProblemKind::NotExportable]),
    ("/greetings/{greeting}", "put", &[ProblemKind::AudioTooLong]),
];

/// Adds all that an operation may answer beside what its handler's documentation says.
pub(super) fn add_problems(path: &str, method: &str, operation: &mut Operation) {
    let further = FURTHER.iter().filter(|(end, of, _)| path.ends_with(end) && *of == method);
    let mut kinds: Vec<ProblemKind> = further.flat_map(|(.., kinds)| kinds.iter().copied()).collect();
    kinds.extend(of_the_request(operation));
    kinds.extend(SHARED);
    let responses = &mut operation.responses.responses;
    for kind in kinds {
        let status = kind.status().as_u16().to_string();
        responses.entry(status).or_insert_with(|| problem(kind).into());
    }
}

fn of_the_request(operation: &Operation) -> Vec<ProblemKind> {
    let takes = |header: &str| {
        operation.parameters.iter().flatten().any(|one| match one {
            RefOr::T(one) => one.parameter_in == ParameterIn::Header && one.name == header,
            RefOr::Ref(_) => false,
        })
    };
    let mut kinds = Vec::new();
    if takes("Range") {
        kinds.push(ProblemKind::WrongRange);
    }
    if takes("If-Match") {
        kinds.push(ProblemKind::Changed);
    }
    if let Some(RefOr::T(body)) = &operation.request_body {
        kinds.extend(OF_BODIES);
        if !body.content.contains_key("application/json") {
            kinds.extend(OF_UPLOADS);
        }
    }
    kinds
}

fn problem(kind: ProblemKind) -> Response {
    let content = ContentBuilder::new().schema(Some(Ref::from_schema_name("Problem")));
    let content = content.example(Some(serde_json::json!({
        "type": format!("/problems/{}", kind.slug()), "title": kind.title(),
        "status": kind.status().as_u16(), "detail": "The remedy",
    })));
    ResponseBuilder::new()
        .description(kind.title())
        .content("application/problem+json", content.build())
        .build()
}
