//! The MWI states of the caller's mailboxes, or of those that a telephone names, as server-sent events.
//!
//! A stream ends when its token does, after the longest life configured, and when this replica is being stopped.
//! Clients then connect again, anywhere, and name the last event that they saw.

use super::extract::{Caller, EventTicket, JsonBody};
use super::{ApiError, App, ProblemKind, Stage};
use axum::extract::State;
use axum::http::{HeaderMap, header};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures::future::BoxFuture;
use futures::{FutureExt, Stream, stream};
use serde::Deserialize;
use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use voicemail_engine::core::Core;
use voicemail_engine::door::operations::{FollowMwi, WatchMwi};
use voicemail_engine::mwi::Change;
use voicemail_engine::principal::Principal;
use voicemail_engine::subscription::{Refused, Subscription};
use voicemail_model::MailboxId;
use voicemail_model::clock::World;

/// A comment is sent after so long a silence, so that nothing between takes the connection for dead.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// A client that lost its stream waits one to five seconds, so that not all come at once.
const PAUSE_MS: u64 = 1_000;
const PAUSE_SPREAD_MS: u64 = 4_000;
/// Mailboxes that one request names: each is read before the stream begins.
const MOST_NAMED: usize = 500;

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(events))
}

pub(super) fn watches() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(watch))
}

/// Follow the MWI of own mailboxes
///
/// Server-sent events. First `state` with all mailboxes (`MwiState`); then `mwi` for each that is new or has
/// changed (`MwiEvent`), and `gone` for each that isn't the caller's any more (`MwiGone`). A client that comes
/// back with the id of its last event is sent `state` only if something changed meanwhile.
#[utoipa::path(
    get, path = "/mwi/events", tag = "agent",
    params(
        ("ticket" = Option<String>, Query, description = "A ticket for events, where no header can be sent"),
        ("Last-Event-ID" = Option<String>, Header, description = "Id of the last event that the client saw"),
    ),
    responses((
        status = 200, description = "Events, without an end of their own", content_type = "text/event-stream",
        body = MwiStreamed,
    )),
)]
async fn events(
    State(app): State<App>,
    caller: Caller<FollowMwi, EventTicket>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let entry = caller.enter(&app)?;
    check_stays(&app)?;
    let known = last_event(&headers);
    let subscription = Subscription::open(&entry.core().context, entry.user()?, known).await?;
    Ok(stream_of(&app, entry.core(), entry.caller(), subscription))
}

/// Mailboxes to follow.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct WatchBody {
    /// 1 to 500.
    #[schema(value_type = Vec<String>, min_items = 1, max_items = 500)]
    mailboxes: Vec<MailboxId>,
}

/// Follow the MWI of named mailboxes
///
/// As `GET /mwi/events`, of the mailboxes that the body names. One that doesn't exist isn't in `state`; `mwi` comes when it is
/// made, and `gone` when it is deleted. A replica holds a thousand such streams of one account.
#[utoipa::path(
    post, path = "/mwi/watch", tag = "telephony", request_body = WatchBody,
    params(("Last-Event-ID" = Option<String>, Header, description = "Id of the last event that the client saw")),
    responses((
        status = 200, description = "Events, without an end of their own", content_type = "text/event-stream",
        body = MwiStreamed,
    )),
)]
async fn watch(
    State(app): State<App>,
    caller: Caller<WatchMwi>,
    headers: HeaderMap,
    JsonBody(body): JsonBody<WatchBody>,
) -> Result<Response, ApiError> {
    let entry = caller.enter(&app)?;
    check_stays(&app)?;
    if !(1..=MOST_NAMED).contains(&body.mailboxes.len()) {
        return Err(ApiError::invalid(format!(
            "mailboxes: name 1 to {MOST_NAMED}, and others by another stream"
        )));
    }
    let (named, known) = (BTreeSet::from_iter(body.mailboxes), last_event(&headers));
    let (core, caller) = (entry.core(), entry.caller());
    let subscription = Subscription::open_named(&core.context, &caller.subject, named, known).await?;
    Ok(stream_of(&app, core, caller, subscription))
}

fn check_stays(app: &App) -> Result<(), ApiError> {
    match app.stage() {
        Stage::Stopping(_) => {
            Err(ApiError::new(ProblemKind::NotOpen, "this replica is being stopped: connect again"))
        }
        _ => Ok(()),
    }
}

fn last_event(headers: &HeaderMap) -> Option<String> {
    headers.get("last-event-id").and_then(|value| value.to_str().ok()).map(str::to_owned)
}

fn stream_of(app: &App, core: &Core, caller: &Principal, subscription: Subscription) -> Response {
    let streaming = Streaming {
        subscription,
        waiting: VecDeque::new(),
        end: end(app, core, caller),
        pause: Some(pause(core.context.world())),
    };
    let sse = Sse::new(streaming.into_stream()).keep_alive(KeepAlive::new().interval(KEEP_ALIVE));
    // Proxies that gather answers would hold events back.
    let unbuffered = [
        (header::CACHE_CONTROL, "private, no-store"),
        (header::HeaderName::from_static("x-accel-buffering"), "no"),
    ];
    (unbuffered, sse.into_response()).into_response()
}

/// An event.
#[derive(ToSchema)]
#[allow(dead_code, reason = "for the API's document alone")]
struct MwiStreamed {
    /// `state`, `mwi` or `gone`.
    event: Option<String>,
    /// The value that `Last-Event-ID` takes when the client comes back.
    id: Option<String>,
    /// JSON: an `MwiState`, an `MwiEvent` or an `MwiGone`.
    data: Option<String>,
    /// Milliseconds to wait before the client comes back; with the first event.
    retry: Option<u64>,
}

impl From<Refused> for ApiError {
    fn from(error: Refused) -> Self {
        match error {
            Refused::TooMany => Self::new(ProblemKind::TooManyStreams, "connect again, to another replica"),
            Refused::TooManyOfUser(_) => {
                Self::new(ProblemKind::TooManyOfUser, format!("{error}: close one that isn't read any more"))
            }
            Refused::Store(error) => error.into(),
        }
    }
}

fn pause(world: &World) -> Duration {
    let random = u64::from(u32::from_le_bytes(world.random()));
    Duration::from_millis(PAUSE_MS + random % PAUSE_SPREAD_MS)
}

/// When the stream must end.
fn end(app: &App, core: &Core, caller: &Principal) -> BoxFuture<'static, ()> {
    let (world, stopping) = (core.context.world().clone(), app.stopping());
    let left = caller.expires.since(world.now());
    let longest = core.context.config().mwi.stream_lifetime;
    async move {
        tokio::select! {
            () = world.sleep(left.min(longest)) => {}
            () = stopping => {}
        }
    }
    .boxed()
}

struct Streaming {
    subscription: Subscription,
    /// At most one for each mailbox of the client; asked for only when the client took all.
    waiting: VecDeque<(Change, String)>,
    end: BoxFuture<'static, ()>,
    pause: Option<Duration>,
}

impl Streaming {
    fn into_stream(self) -> impl Stream<Item = Result<Event, axum::Error>> + Send + 'static {
        stream::unfold(self, |mut streaming| async {
            let event = streaming.next().await?;
            Some((event, streaming))
        })
    }

    async fn next(&mut self) -> Option<Result<Event, axum::Error>> {
        if self.waiting.is_empty() {
            tokio::select! {
                biased;
                () = &mut self.end => return None,
                changes = self.subscription.next() => self.waiting.extend(changes),
            }
        }
        let (change, tag) = self.waiting.pop_front()?;
        let event = match self.pause.take() {
            Some(pause) => Event::default().retry(pause),
            None => Event::default(),
        };
        Some(fill(event, &change, tag))
    }
}

fn fill(event: Event, change: &Change, tag: String) -> Result<Event, axum::Error> {
    match change {
        Change::Unchanged => Ok(event.comment("unchanged")),
        Change::State(state) => event.event("state").id(tag).json_data(state),
        Change::Mwi(mwi) => event.event("mwi").id(tag).json_data(mwi),
        Change::Gone(gone) => event.event("gone").id(tag).json_data(gone),
    }
}
