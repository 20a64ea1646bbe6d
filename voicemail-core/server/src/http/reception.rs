//! The media server's instructions before it plays and records, and the preferences of a mailbox's owners.

use super::agents::private;
use super::conditions::{read_precondition, tagged};
use super::extract::{Caller, JsonBody, Name};
use super::{ApiError, App, PREFIX};
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use serde_json::Map;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use voicemail_api::telephony::{GreetingView, ReceptionView, RecordingLimits};
use voicemail_engine::door::operations::{AskReception, ReadPreferences, SetPreferences};
use voicemail_engine::mailbox::Reception;
use voicemail_model::{
    AuditSubject, Greeting, GreetingPlace, MailboxGreeting, MailboxId, Preferences, TenantGreeting,
};

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(reception)).routes(routes!(preferences, set_preferences))
}

/// Codings that a recording may have.
const FORMATS: [&str; 11] = [
    "audio/wav;codec=pcm16",
    "audio/wav;codec=alaw",
    "audio/wav;codec=mulaw",
    "audio/wav;codec=pcm8",
    "audio/wav;codec=pcm24",
    "audio/wav;codec=pcm32",
    "audio/wav;codec=float32",
    "audio/wav;codec=float64",
    "audio/wav;codec=gsm610",
    "audio/wav;codec=ima-adpcm",
    "audio/wav;codec=ms-adpcm",
];

/// A greeting as a client sees it.
pub(super) fn view_greeting(place: &GreetingPlace, greeting: &Greeting) -> GreetingView {
    let kind = place.kind();
    let url = match place {
        GreetingPlace::Mailbox(mailbox, _) => {
            format!("{PREFIX}/mailboxes/{}/greetings/{kind}", mailbox.in_path())
        }
        GreetingPlace::Tenant(_) => format!("{PREFIX}/greetings/{kind}"),
    };
    let form = greeting.form.as_ref();
    GreetingView {
        kind: kind.to_owned(),
        url,
        duration_ms: greeting.duration_ms,
        size: greeting.size,
        sha256: greeting.digest.0.clone(),
        codec: form.map(|form| form.codec.trim_start_matches("g711-").to_owned()),
        sample_rate: form.map(|form| form.sample_rate),
        channels: form.map(|form| form.channels),
        recorded: greeting.recorded.rfc3339(),
    }
}

fn view_reception(mailbox: MailboxId, reception: Reception) -> ReceptionView {
    let Reception { class, preferences, .. } = reception;
    let disclaimer = GreetingPlace::Tenant(TenantGreeting::Disclaimer);
    let name = GreetingPlace::Mailbox(mailbox.clone(), MailboxGreeting::Name);
    ReceptionView {
        mailbox: mailbox.to_string(),
        takes_messages: !reception.full && !reception.closed,
        full: reception.full,
        closed: reception.closed,
        disclaimer: reception.disclaimer.map(|greeting| view_greeting(&disclaimer, &greeting)),
        greeting: reception.greeting.map(|(place, greeting)| view_greeting(&place, &greeting)),
        name: reception.name.map(|greeting| view_greeting(&name, &greeting)),
        limits: RecordingLimits {
            max_seconds: class.max_seconds,
            min_seconds: class.min_seconds.min(class.max_seconds),
            formats: FORMATS.map(str::to_owned).to_vec(),
            messages_left: reception.left,
        },
        opt_out: preferences.opt_out,
        language: preferences.language,
        time_zone: preferences.time_zone.unwrap_or_else(|| "UTC".into()),
    }
}

/// Ask what to play and what is allowed
///
/// For a media server before it records, and for owners who want to know what their callers hear. True at that moment:
/// the deposit is admitted anew.
#[utoipa::path(
    get, path = "/mailboxes/{mailbox}/reception", tag = "telephony",
    params(("mailbox" = String, Path, description = "Mailbox")),
    responses((status = 200, description = "Greetings, limits, and where a caller may escape to", body = ReceptionView)),
)]
async fn reception(
    State(app): State<App>,
    caller: Caller<AskReception>,
    Name(mailbox): Name<MailboxId>,
) -> Result<Response, ApiError> {
    let entry = caller.enter_mailbox(&app, &mailbox).await?;
    let asking = entry.core().mailboxes.reception(&mailbox);
    let reception = entry.act(AuditSubject::mailbox(&mailbox), asking).await?;
    Ok(private(view_reception(mailbox, reception)))
}

/// How a mailbox receives callers; what is absent is as usual for the tenant.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct PreferencesBody {
    /// Where a caller who doesn't want to leave a message may be connected to: a number or an address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    opt_out: Option<String>,
    /// Language of prompts, such as `en-GB`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    language: Option<String>,
    /// Time zone by its IANA name, such as `Europe/London`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    time_zone: Option<String>,
}

impl From<PreferencesBody> for Preferences {
    fn from(body: PreferencesBody) -> Self {
        let PreferencesBody { opt_out, language, time_zone } = body;
        Self { opt_out, language, time_zone, unknown: Map::new() }
    }
}

impl From<Preferences> for PreferencesBody {
    fn from(own: Preferences) -> Self {
        let Preferences { opt_out, language, time_zone, .. } = own;
        Self { opt_out, language, time_zone }
    }
}

/// Get a mailbox's preferences
#[utoipa::path(
    get, path = "/mailboxes/{mailbox}/preferences", tag = "agent",
    params(("mailbox" = String, Path, description = "Mailbox")),
    responses((status = 200, description = "Preferences beside the tenant's defaults, with their entity tag", body = PreferencesBody)),
)]
async fn preferences(
    State(app): State<App>,
    caller: Caller<ReadPreferences>,
    Name(mailbox): Name<MailboxId>,
) -> Result<Response, ApiError> {
    let entry = caller.enter_mailbox(&app, &mailbox).await?;
    let directory = &entry.core().directory;
    let own = entry.act(AuditSubject::mailbox(&mailbox), directory.preferences(&mailbox)).await?;
    Ok(tagged(&directory.preferences_tag(&mailbox, &own), PreferencesBody::from(own)))
}

/// Set a mailbox's preferences
#[utoipa::path(
    put, path = "/mailboxes/{mailbox}/preferences", tag = "agent",
    params(
        ("mailbox" = String, Path, description = "Mailbox"),
        ("If-Match" = Option<String>, Header, description = "Entity tags; only if they are in such a state"),
    ),
    request_body = PreferencesBody,
    responses((status = 200, description = "The preferences as they are now, with their entity tag", body = PreferencesBody)),
)]
async fn set_preferences(
    State(app): State<App>,
    caller: Caller<SetPreferences>,
    Name(mailbox): Name<MailboxId>,
    headers: HeaderMap,
    JsonBody(body): JsonBody<PreferencesBody>,
) -> Result<Response, ApiError> {
    let expected = read_precondition(&headers)?;
    let entry = caller.enter_mailbox(&app, &mailbox).await?;
    let directory = &entry.core().directory;
    let setting = directory.set_preferences(&mailbox, body.into(), &expected);
    let own = entry.act(AuditSubject::mailbox(&mailbox), setting).await?;
    Ok(tagged(&directory.preferences_tag(&mailbox, &own), PreferencesBody::from(own)))
}
