//! Privacy officers' decisions and queries: cases, approvals, denials, deadlines, legal holds, the register, the
//! ledger, and the keys that receipts are checked with.

use super::extract::{Caller, JsonBody, Name, Names, Parameters};
use super::privacy::link_receipt;
use super::times::check_limit;
use super::{ApiError, App, ProblemKind};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use voicemail_api::config::OBJECTS;
use voicemail_api::gdpr::{
    ApproveBody, CancelBody, CasePage, DenyBody, ExtendBody, HoldBody, HoldView, LedgerView, PublicKey,
    RunState, RunView,
};
use voicemail_engine::door::operations::{
    Approve, Cancel, Deny, EndHold, Extend, ListCases, PutHold, ReadHold, ReadKeys, ReadLedger, ReadRegister,
};
use voicemail_engine::door::{Entry, OnTenant};
use voicemail_engine::gdpr::{CaseFilter, GdprError, RegisterPage as PageOfRegister, RegisterPart};
use voicemail_engine::principal::Principal;
use voicemail_model::{AuditSubject, CaseId, MailboxId, MessageId, RegisterEntry, Time};

const MOST: u16 = 200;
const USUAL: u16 = 50;
/// Entries of the register on a page.
const MOST_ENTRIES: u16 = 1_000;

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(approve))
        .routes(routes!(deny))
        .routes(routes!(extend))
        .routes(routes!(cancel))
        .routes(routes!(put_hold, get_hold, end_hold))
        .routes(routes!(register))
        .routes(routes!(ledger))
        .routes(routes!(keys))
}

/// Which cases to list.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct CaseQuery {
    /// With a run in that state.
    state: Option<RunState>,
    /// Received from then on, RFC 3339.
    from: Option<String>,
    /// Received before then, RFC 3339.
    to: Option<String>,
    /// At most this many, 1 to 200; 50 when absent.
    limit: Option<u16>,
    /// `next` of the page before.
    cursor: Option<String>,
}

fn read_time(text: Option<String>, field: &'static str) -> Result<Option<Time>, ApiError> {
    let invalid = || ApiError::invalid(format!("{field}: write a time such as 2026-01-31T12:00:00Z"));
    text.map(|text| Time::from_rfc3339(&text).ok_or_else(invalid)).transpose()
}

/// List cases
///
/// In the order of their ids, each with all its runs. A page that has to choose among cases reads 200 at most, however many
/// there are: it may hold fewer than asked for, or none, and have a `next`. The one without is the last.
#[utoipa::path(
    get, path = "/gdpr/cases", tag = "privacy", params(CaseQuery),
    responses((status = 200, description = "A page of cases", body = CasePage)),
)]
async fn list(
    State(app): State<App>,
    caller: Caller<ListCases>,
    Parameters(query): Parameters<CaseQuery>,
) -> Result<Json<CasePage>, ApiError> {
    let limit = check_limit(query.limit, USUAL, MOST)?;
    let filter = CaseFilter {
        state: query.state,
        from: read_time(query.from, "from")?,
        to: read_time(query.to, "to")?,
        cursor: query.cursor,
        limit,
    };
    let entry = caller.enter(&app)?;
    let mut page = entry.act(AuditSubject::default(), entry.core().gdpr.cases(&filter)).await?;
    for case in &mut page.cases {
        case.runs.iter_mut().for_each(|run| link_receipt(&case.caseid, run));
    }
    Ok(Json(page))
}

type Decided = Result<Json<RunView>, ApiError>;

/// Decides, records that of who did, and shows the run.
async fn decide<O: OnTenant>(
    entry: &Entry<O>,
    case: &CaseId,
    deciding: impl Future<Output = Result<RunView, GdprError>>,
) -> Decided {
    let mut run = entry.act_on(deciding, |run| AuditSubject::run(&run.id)).await?;
    link_receipt(case.as_str(), &mut run);
    Ok(Json(run))
}

/// The person who decides: the caller, or the person for whom the operator writes. The API server has authenticated
/// them.
fn decider<O: OnTenant>(
    app: &App,
    caller: &Caller<O>,
    said: Option<&str>,
) -> Result<(Entry<O>, String), ApiError> {
    let entry = caller.enter(app)?;
    let Some(said) = said else { return Ok((entry, caller.0.subject.clone())) };
    if app.config().is_operator(&caller.0.subject) {
        let person = Principal { subject: said.to_owned(), authority: OBJECTS.into(), ..caller.0.clone() };
        return Ok((entry.on_behalf_of(person), said.to_owned()));
    }
    Err(ApiError::new(ProblemKind::RoleMissing, "onBehalfOf: only the operator decides for others"))
}

/// Approve a run that waits for a second person
///
/// The approver is who the token says, and never who asked for it.
#[utoipa::path(
    post, path = "/gdpr/cases/{caseid}/approve", tag = "privacy", request_body = ApproveBody,
    params(("caseid" = String, Path, description = "Case")),
    responses((status = 200, description = "Approved and gone on with", body = RunView)),
)]
async fn approve(
    State(app): State<App>,
    caller: Caller<Approve>,
    Name(case): Name<CaseId>,
    JsonBody(body): JsonBody<ApproveBody>,
) -> Decided {
    let (entry, _) = decider(&app, &caller, body.on_behalf_of.as_deref())?;
    decide(&entry, &case, entry.core().gdpr.approve(&case, &body, entry.caller())).await
}

/// Deny a request before anything was hidden
#[utoipa::path(
    post, path = "/gdpr/cases/{caseid}/deny", tag = "privacy", request_body = DenyBody,
    params(("caseid" = String, Path, description = "Case")),
    responses((status = 200, description = "Denied", body = RunView)),
)]
async fn deny(
    State(app): State<App>,
    caller: Caller<Deny>,
    Name(case): Name<CaseId>,
    JsonBody(body): JsonBody<DenyBody>,
) -> Decided {
    let (entry, by) = decider(&app, &caller, body.on_behalf_of.as_deref())?;
    decide(&entry, &case, entry.core().gdpr.deny(&case, &body, &by)).await
}

/// Extend a deadline by one or two months (Art. 12(3))
#[utoipa::path(
    post, path = "/gdpr/cases/{caseid}/extend", tag = "privacy", request_body = ExtendBody,
    params(("caseid" = String, Path, description = "Case")),
    responses((status = 200, description = "Extended", body = RunView)),
)]
async fn extend(
    State(app): State<App>,
    caller: Caller<Extend>,
    Name(case): Name<CaseId>,
    JsonBody(body): JsonBody<ExtendBody>,
) -> Decided {
    let (entry, by) = decider(&app, &caller, body.on_behalf_of.as_deref())?;
    decide(&entry, &case, entry.core().gdpr.extend(&case, &body, &by)).await
}

/// Cancel a request before anything was hidden
#[utoipa::path(
    post, path = "/gdpr/cases/{caseid}/cancel", tag = "privacy", request_body = CancelBody,
    params(("caseid" = String, Path, description = "Case")),
    responses((status = 200, description = "Cancelled", body = RunView)),
)]
async fn cancel(
    State(app): State<App>,
    caller: Caller<Cancel>,
    Name(case): Name<CaseId>,
    JsonBody(body): JsonBody<CancelBody>,
) -> Decided {
    let (entry, by) = decider(&app, &caller, body.on_behalf_of.as_deref())?;
    decide(&entry, &case, entry.core().gdpr.cancel(&case, &body, &by)).await
}

/// Put a message under a legal hold
///
/// It is kept until the hold is taken away, whatever deletes otherwise: retention, its owner, an erasure.
#[utoipa::path(
    put, path = "/mailboxes/{mailbox}/messages/{id}/hold", tag = "privacy", request_body = HoldBody,
    params(
        ("mailbox" = String, Path, description = "Mailbox"),
        ("id" = String, Path, description = "Message"),
    ),
    responses((status = 200, description = "Held", body = HoldView)),
)]
async fn put_hold(
    State(app): State<App>,
    caller: Caller<PutHold>,
    Names(mailbox, id): Names<MailboxId, MessageId>,
    JsonBody(body): JsonBody<HoldBody>,
) -> Result<Json<HoldView>, ApiError> {
    let entry = caller.enter_mailbox(&app, &mailbox).await?;
    let holding = entry.core().gdpr.hold(&mailbox, id, &body, &caller.0.subject);
    Ok(Json(entry.act(AuditSubject::message(&mailbox, id), holding).await?))
}

/// Get a message's legal hold
#[utoipa::path(
    get, path = "/mailboxes/{mailbox}/messages/{id}/hold", tag = "privacy",
    params(
        ("mailbox" = String, Path, description = "Mailbox"),
        ("id" = String, Path, description = "Message"),
    ),
    responses((status = 200, description = "The hold", body = HoldView)),
)]
async fn get_hold(
    State(app): State<App>,
    caller: Caller<ReadHold>,
    Names(mailbox, id): Names<MailboxId, MessageId>,
) -> Result<Json<HoldView>, ApiError> {
    let entry = caller.enter_mailbox(&app, &mailbox).await?;
    let reading = entry.core().gdpr.legal_hold(&mailbox, id);
    Ok(Json(entry.act(AuditSubject::message(&mailbox, id), reading).await?))
}

/// End a message's legal hold
///
/// If an erasure covered it meanwhile, the message goes now.
#[utoipa::path(
    delete, path = "/mailboxes/{mailbox}/messages/{id}/hold", tag = "privacy",
    params(
        ("mailbox" = String, Path, description = "Mailbox"),
        ("id" = String, Path, description = "Message"),
    ),
    responses((status = 204, description = "Ended")),
)]
async fn end_hold(
    State(app): State<App>,
    caller: Caller<EndHold>,
    Names(mailbox, id): Names<MailboxId, MessageId>,
) -> Result<StatusCode, ApiError> {
    let entry = caller.enter_mailbox(&app, &mailbox).await?;
    let ending = entry.core().gdpr.release(&mailbox, id);
    entry.act(AuditSubject::message(&mailbox, id), ending).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Which part of the register.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct RegisterQuery {
    /// Received from then on, RFC 3339.
    from: String,
    /// Received before then, RFC 3339; now when absent.
    to: Option<String>,
    /// Page by page: read at most this many, 1 to 1000. Everything at once when this and the cursor are absent.
    limit: Option<u16>,
    /// `next` of the page before.
    cursor: Option<String>,
}

/// A part of the register.
#[derive(Serialize, ToSchema)]
struct RegisterPage {
    /// Oldest first; page by page in the order of the store: by month of receipt, in it by run.
    entries: Vec<RegisterEntry>,
    /// Entries of these months that can't be read and are left out: `voicemail admin fsck` names them.
    #[serde(skip_serializing_if = "is_none_left_out")]
    unreadable: u64,
    /// `cursor` of the next page, if there is one. A page may hold fewer entries than asked for, or none, and have one.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
fn is_none_left_out(unreadable: &u64) -> bool {
    *unreadable == 0
}

/// Get the register of requests
///
/// The permanent record of every request, without personal data of the data subject. Ask for pages of a long time.
#[utoipa::path(
    get, path = "/gdpr/register", tag = "privacy", params(RegisterQuery),
    responses((status = 200, description = "All entries, or a page of them", body = RegisterPage)),
)]
async fn register(
    State(app): State<App>,
    caller: Caller<ReadRegister>,
    Parameters(query): Parameters<RegisterQuery>,
) -> Result<Json<RegisterPage>, ApiError> {
    let entry = caller.enter(&app)?;
    let core = entry.core();
    let from = read_time(Some(query.from), "from")?.unwrap_or_default();
    let soon = core.context.world().now().plus(std::time::Duration::from_secs(600));
    let to = read_time(query.to, "to")?.unwrap_or(soon);
    let limit = check_limit(query.limit, MOST_ENTRIES, MOST_ENTRIES)?;
    let paged = query.limit.is_some() || query.cursor.is_some();
    let page = paged.then_some(PageOfRegister { limit, cursor: query.cursor });
    let reading = async {
        match &page {
            Some(page) => core.gdpr.register_page(from, to, page).await,
            None => core.gdpr.register(from, to).await,
        }
    };
    let RegisterPart { entries, unreadable, next } = entry.act(AuditSubject::default(), reading).await?;
    Ok(Json(RegisterPage { entries, unreadable, next }))
}

/// From where to read the ledger.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct LedgerQuery {
    /// Only erasures after that one.
    after: Option<u64>,
}

/// Get the ledger of erasures
///
/// Keep it, or at least its head, outside the store: after a restore it tells what has to be erased again.
#[utoipa::path(
    get, path = "/gdpr/ledger", tag = "privacy", params(LedgerQuery),
    responses((status = 200, description = "Its head, and entries as old as backups may be", body = LedgerView)),
)]
async fn ledger(
    State(app): State<App>,
    caller: Caller<ReadLedger>,
    Parameters(query): Parameters<LedgerQuery>,
) -> Result<Json<LedgerView>, ApiError> {
    let entry = caller.enter(&app)?;
    let reading = entry.core().gdpr.ledger(query.after.unwrap_or(0));
    Ok(Json(entry.act(AuditSubject::default(), reading).await?))
}

/// The keys that receipts are checked with.
#[derive(Serialize, ToSchema)]
struct KeyList {
    /// The signing one last.
    keys: Vec<PublicKey>,
}

/// Get the public keys of receipts
#[utoipa::path(
    get, path = "/gdpr/keys", tag = "privacy",
    responses((status = 200, description = "All that ever signed, the signing one last", body = KeyList)),
)]
async fn keys(State(app): State<App>, caller: Caller<ReadKeys>) -> Result<Json<KeyList>, ApiError> {
    Ok(Json(KeyList { keys: caller.enter(&app)?.core().gdpr.public_keys() }))
}
