//! One click in a mail program ends the mails to its reader (RFC 8058): nobody signs in, and no page says who it is about.
//!
//! ```text
//! GET  (a person follows the link)       ─▶ a page that asks for the click, and changes nothing
//! POST (their mail program, or the page) ─▶ still counts? ─▶ the reader's own choice is `none` ─▶ recorded ─▶ a page that says so
//! ```
//!
//! What can go wrong: the text was cut short or is another tenant's (404, and counted as wrong credentials are), or it is of
//! an address that was changed since (410). Doing it twice is doing it once.

mod page;
#[cfg(test)]
mod tests;

use crate::http::{ApiError, App, check_refusals, note_refusal};
use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{Extensions, HeaderMap, StatusCode};
use axum::response::Response;
use axum::routing::get;
use page::{Said, say};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use voicemail_api::config::{EmailContent, Role};
use voicemail_engine::core::Core;
use voicemail_engine::door::operations::SetOwnEmail;
use voicemail_engine::mailbox::MailboxError;
use voicemail_engine::principal::Principal;
use voicemail_mailer::{UNSUBSCRIBE_PATH, Unsubscription};
use voicemail_model::{AuditSubject, EmailChoice, User};

/// Whoever clicked, in the audit log.
const WHO: &str = "email";
/// The two parts of the body that a mail program sends, by either coding of forms (RFC 8058, 3.2).
const ONE_CLICK: [&[u8]; 2] = [b"List-Unsubscribe", b"One-Click"];

pub(super) fn routes() -> Router<App> {
    Router::new().route(&format!("{UNSUBSCRIBE_PATH}/{{sealed}}"), get(ask).post(unsubscribe))
}

/// Asks for the click: programs that look at links in mails change nothing.
async fn ask(
    State(app): State<App>,
    Path(sealed): Path<String>,
    extensions: Extensions,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let core = app.core()?;
    let Some(who) = read(&app, &core, &sealed, &extensions)? else {
        return Ok(say(StatusCode::NOT_FOUND, &headers, Said::Unknown));
    };
    Ok(match who.counts(&core).await? {
        true => say(StatusCode::OK, &headers, Said::Question),
        false => say(StatusCode::GONE, &headers, Said::Former),
    })
}

async fn unsubscribe(
    State(app): State<App>,
    Path(sealed): Path<String>,
    extensions: Extensions,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, ApiError> {
    let core = app.core()?;
    let Some(who) = read(&app, &core, &sealed, &extensions)? else {
        return Ok(say(StatusCode::NOT_FOUND, &headers, Said::Unknown));
    };
    if !ONE_CLICK.iter().all(|part| body.windows(part.len()).any(|seen| seen == *part)) {
        return Err(ApiError::invalid("send the form List-Unsubscribe=One-Click (RFC 8058)"));
    }
    Ok(match who.counts(&core).await? && end_mails(&core, &who).await? {
        true => say(StatusCode::OK, &headers, Said::Done),
        false => say(StatusCode::GONE, &headers, Said::Former),
    })
}

/// The reader, unless the text isn't one of ours.
fn read(
    app: &App,
    core: &Core,
    sealed: &str,
    extensions: &Extensions,
) -> Result<Option<Unsubscription>, ApiError> {
    check_refusals(app, extensions)?;
    let read = Unsubscription::read(core.context.key(), sealed).ok();
    if read.is_none() {
        note_refusal(app, extensions);
    }
    Ok(read)
}

/// Whether mails still went to that address when they were ended.
async fn end_mails(core: &Arc<Core>, who: &Unsubscription) -> Result<bool, ApiError> {
    let holder = Principal {
        subject: WHO.into(),
        authority: WHO.into(),
        user: Some(who.user().clone()),
        mailbox: None,
        roles: BTreeSet::from([Role::Agent]),
        expires: core.context.world().now().plus(Duration::from_secs(60)),
    };
    let entry = Arc::clone(core).enter::<SetOwnEmail>(&holder)?;
    let choose = |user: &User| {
        let none = EmailChoice { content: Some(EmailContent::None), ..user.email_choice.clone() };
        who.is_to(core.context.key(), user).then_some(none)
    };
    let choosing = core.directory.choose_email(who.user(), choose);
    match entry.act(AuditSubject::user(who.user()), choosing).await {
        Err(MailboxError::Unknown(_)) => Ok(false),
        done => Ok(done?),
    }
}
