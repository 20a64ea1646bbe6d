//! What waits at telephones, as they tell it.

use super::extract::{Caller, JsonBody, Name};
use super::times::parse_time;
use super::{ApiError, App};
use axum::extract::State;
use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::Number;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use voicemail_engine::door::operations::NoteFront;
use voicemail_model::FrontId;

/// More than any telephone has room for.
const MOST_SPOOLED: u64 = 1_000_000;

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(note))
}

/// What waits at a telephone.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct FrontBody {
    /// Recordings that the core hasn't got, at most a million.
    #[schema(value_type = u32)]
    spooled: Number,
    /// When the oldest of them was left, RFC 3339; now when absent.
    oldest: Option<String>,
}

impl FrontBody {
    /// How many, also where a whole number is written with a point, as JSON allows.
    fn spooled(&self) -> Result<u64, ApiError> {
        let whole = |number: f64| (number.fract() == 0.0 && number >= 0.0).then_some(number as u64);
        let count = self.spooled.as_u64().or_else(|| self.spooled.as_f64().and_then(whole));
        let rule = || ApiError::invalid(format!("spooled: write how many, 0 to {MOST_SPOOLED}"));
        count.filter(|count| *count <= MOST_SPOOLED).ok_or_else(rule)
    }
}

/// Tell what waits at a telephone
///
/// Once a minute while recordings wait, and once when none does any more. Until then dry runs, exports and receipts name
/// them among residual copies. An administrator says it of a telephone that is gone for good.
#[utoipa::path(
    put, path = "/telephony/fronts/{front}", tag = "telephony",
    params(("front" = String, Path, description = "Name of the telephone's pod, or its address")),
    request_body = FrontBody,
    responses((status = 204, description = "Noted")),
)]
async fn note(
    State(app): State<App>,
    caller: Caller<NoteFront>,
    Name(front): Name<FrontId>,
    JsonBody(body): JsonBody<FrontBody>,
) -> Result<StatusCode, ApiError> {
    let entry = caller.enter(&app)?;
    let (spooled, now) = (body.spooled()?, entry.core().context.world().now());
    let oldest = body.oldest.map_or(Ok(now), |oldest| parse_time("oldest", &oldest))?;
    entry.core().gdpr.note_front(&front, (spooled > 0).then_some((spooled, oldest))).await?;
    Ok(StatusCode::NO_CONTENT)
}
