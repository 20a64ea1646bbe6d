//! Operations of privacy officers and the operator: data-subject rights.
//!
//! Answers to a POST repeat the identifiers that its sender gave; nothing else here holds one.

use super::audio::RawBytes;
use super::extract::{Caller, JsonBody, Name};
use super::{ApiError, App, PREFIX, ProblemKind};
use axum::Json;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use voicemail_api::gdpr::{CaseView, GdprAnswer, GdprBody, Operation, RunView};
use voicemail_api::percent::encode_segment;
use voicemail_engine::door::operations::{DownloadExport, Export, Forget, ReadCase, ReadReceipt, UndoForget};
use voicemail_engine::door::{Entry, OnTenant};
use voicemail_engine::gdpr::GdprError;
use voicemail_engine::principal::Principal;
use voicemail_model::{AuditSubject, CaseId, SignedReceipt};
use voicemail_store::ErrorClass;

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(forget))
        .routes(routes!(export))
        .routes(routes!(undo))
        .routes(routes!(undo_by_old_name))
        .routes(routes!(case))
        .routes(routes!(receipt))
        .merge(super::cases::routes())
}

pub(super) fn downloads() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(archive))
}

type Answer = Result<Response, ApiError>;

/// Carries a request out, counts and records it, and puts its answer into the API's terms.
async fn answer<O: OnTenant>(
    app: &App,
    entry: &Entry<O>,
    operation: Operation,
    asking: impl Future<Output = Result<GdprAnswer, GdprError>>,
) -> Answer {
    let result = entry.act_on(asking, |answer| AuditSubject::run(&answer.run.id)).await;
    app.metrics.count_gdpr(
        operation,
        match &result {
            Ok(_) => "accepted",
            Err(error) if error.class() == ErrorClass::Transient => "failed",
            Err(_) => "refused",
        },
    );
    let mut answer = result?;
    link_receipt(&answer.caseid, &mut answer.run);
    if !answer.run.state.is_under_way() {
        return Ok(Json(answer).into_response());
    }
    let case = format!("{PREFIX}/gdpr/cases/{}", encode_segment(&answer.caseid));
    Ok((StatusCode::ACCEPTED, [(header::LOCATION, case)], Json(answer)).into_response())
}

/// The body with who sent it, as authenticated.
fn sent_by(app: &App, by: &Principal, body: GdprBody) -> GdprBody {
    let config = app.config();
    let recorded_by = config.is_operator(&by.subject).then(|| config.cluster.clone());
    GdprBody {
        requester: Some(by.subject.clone()),
        authority: Some(by.authority.clone()),
        recorded_by,
        ..body
    }
}

/// Makes a run's receipt the path it is fetched from.
pub(super) fn link_receipt(caseid: &str, run: &mut RunView) {
    if run.receipt.is_some() {
        let number = match run.operation {
            Operation::ForgetMe => run.id.rsplit('.').next().unwrap_or_default(),
            _ => run.id.rsplit('/').next().unwrap_or_default(),
        };
        run.receipt = Some(format!("{PREFIX}/gdpr/cases/{}/receipts/{number}", encode_segment(caseid)));
    }
}

/// Erase everything of the consumers (Art. 17)
///
/// Their messages are hidden at once and erased when the undo window is over. The answer repeats each phone
/// identifier exactly as given, with the ids of its messages, `[]` for none.
#[utoipa::path(
    post, path = "/gdpr/forgetme", tag = "privacy", request_body = GdprBody,
    responses((status = 200, description = "Accepted; follow the run by its case", body = GdprAnswer,
        example = json!({
            "caseid": "123456789",
            "consumers": {
                "+44 20 7946 0123": ["01996a10-1111-7abc-8def-0123456789ab"],
                "020 7946 0999": []
            },
            "notApplicable": 0,
            "run": {
                "id": "123456789/forgetme.1", "operation": "forgetme", "state": "marked",
                "createdAt": "2026-09-21T13:33:20.123Z", "markedAt": "2026-09-21T13:33:20.456Z",
                "purgeAt": "2026-09-22T13:33:20.456Z", "matched": 1, "erased": 0, "exported": 0
            }
        })),
        (status = 202, description = "Accepted, and not done after some seconds: it goes on by itself. Follow the run by its case, at Location; repeat the request for the messages' ids", body = GdprAnswer)),
)]
async fn forget(
    State(app): State<App>,
    caller: Caller<Forget>,
    JsonBody(body): JsonBody<GdprBody>,
) -> Answer {
    let entry = caller.enter(&app)?;
    let asking = entry.core().gdpr.forget(sent_by(&app, &caller.0, body));
    answer(&app, &entry, Operation::ForgetMe, asking).await
}

/// Export everything of the consumers (Art. 15)
#[utoipa::path(
    post, path = "/gdpr/exportme", tag = "privacy", request_body = GdprBody,
    responses(
        (status = 200, description = "Accepted; fetch the archive by its case", body = GdprAnswer),
        (status = 202, description = "Accepted, and not done after some seconds: it goes on by itself. Follow the run by its case, at Location", body = GdprAnswer),
    ),
)]
async fn export(
    State(app): State<App>,
    caller: Caller<Export>,
    JsonBody(body): JsonBody<GdprBody>,
) -> Answer {
    let entry = caller.enter(&app)?;
    let asking = entry.core().gdpr.export(sent_by(&app, &caller.0, body));
    answer(&app, &entry, Operation::ExportMe, asking).await
}

/// Take an erasure back within its window
#[utoipa::path(
    post, path = "/gdpr/undoforget", tag = "privacy", request_body = GdprBody,
    responses(
        (status = 200, description = "Everything is as it was", body = GdprAnswer),
        (status = 202, description = "Not done after some seconds: it goes on by itself. Follow the run by its case, at Location", body = GdprAnswer),
    ),
)]
async fn undo(
    State(app): State<App>,
    caller: Caller<UndoForget>,
    JsonBody(body): JsonBody<GdprBody>,
) -> Answer {
    let entry = caller.enter(&app)?;
    let asking = entry.core().gdpr.undo(sent_by(&app, &caller.0, body));
    answer(&app, &entry, Operation::UndoForget, asking).await
}

/// Take an erasure back, by the name that an older client uses
#[utoipa::path(
    post, path = "/gdpr/undoforgot", tag = "privacy", request_body = GdprBody,
    responses(
        (status = 200, description = "Everything is as it was", body = GdprAnswer),
        (status = 202, description = "Not done after some seconds: it goes on by itself. Follow the run by its case, at Location", body = GdprAnswer),
    ),
)]
async fn undo_by_old_name(app: State<App>, caller: Caller<UndoForget>, body: JsonBody<GdprBody>) -> Answer {
    undo(app, caller, body).await
}

/// Get the runs of a case
#[utoipa::path(
    get, path = "/gdpr/cases/{caseid}", tag = "privacy", params(("caseid" = String, Path, description = "Case")),
    responses((status = 200, description = "Runs, oldest first, with state and counts", body = CaseView)),
)]
async fn case(
    State(app): State<App>,
    caller: Caller<ReadCase>,
    Name(case): Name<CaseId>,
) -> Result<Json<CaseView>, ApiError> {
    let entry = caller.enter(&app)?;
    let mut view = entry.act(AuditSubject::case(&case), entry.core().gdpr.case(&case)).await?;
    view.runs.iter_mut().for_each(|run| link_receipt(case.as_str(), run));
    Ok(Json(view))
}

/// Fetch the export of a case
///
/// A tar archive of the audio and a description of each message, streamed from the store.
#[utoipa::path(
    get, path = "/gdpr/cases/{caseid}/export", tag = "privacy",
    params(("caseid" = String, Path, description = "Case")),
    responses((status = 200, description = "The archive", content_type = "application/x-tar", body = RawBytes)),
)]
async fn archive(
    State(app): State<App>,
    caller: Caller<DownloadExport>,
    Name(case): Name<CaseId>,
) -> Result<Response, ApiError> {
    let entry = caller.enter(&app)?;
    let archive = entry.act(AuditSubject::case(&case), entry.core().gdpr.export_archive(&case)).await?;
    let headers = [
        (header::CONTENT_TYPE, "application/x-tar"),
        (header::CONTENT_DISPOSITION, "attachment; filename=\"export.tar\""),
        (header::CACHE_CONTROL, "private, no-store"),
    ];
    Ok((headers, Body::from_stream(archive)).into_response())
}

/// Get the signed receipt of a run
///
/// `number` is a forget run's, from 1; or any run's last part, such as `exportme.1`.
#[utoipa::path(
    get, path = "/gdpr/cases/{caseid}/receipts/{number}", tag = "privacy",
    params(
        ("caseid" = String, Path, description = "Case"),
        ("number" = String, Path, description = "Number of the case's forget run, from 1, or such as exportme.1"),
    ),
    responses((status = 200, description = "Proof without personal data", body = SignedReceipt)),
)]
async fn receipt(
    State(app): State<App>,
    caller: Caller<ReadReceipt>,
    Path((case, number)): Path<(String, String)>,
) -> Result<Json<SignedReceipt>, ApiError> {
    let case: CaseId = case.parse()?;
    let (operation, number) = match number.split_once('.') {
        Some(("exportme", number)) => (Operation::ExportMe, number.parse()),
        Some(("forgetme", number)) => (Operation::ForgetMe, number.parse()),
        _ => (Operation::ForgetMe, number.parse()),
    };
    let invalid =
        |_| ApiError::new(ProblemKind::InvalidName, "number: write the number of a forget run, from 1");
    let number: u32 = number.map_err(invalid)?;
    let entry = caller.enter(&app)?;
    let reading = entry.core().gdpr.receipt(&case, operation, number);
    Ok(Json(entry.act(AuditSubject::case(&case), reading).await?))
}
