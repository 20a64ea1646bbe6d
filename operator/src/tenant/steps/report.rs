//! Says what a reconcile came to: the status, if it differs, and the events that somebody should see.
//!
//! What can go wrong: only words differ again and again. Then the write is put off ([`StatusMessageLimiter`]).
//!
//! [`StatusMessageLimiter`]: voicemail_runtime::reconciling::status_messages::StatusMessageLimiter

use crate::tenant::context::Context;
use crate::tenant::deletion;
use crate::tenant::deletion::progress::Report;
use crate::tenant::memory::TenantKey;
use crate::tenant::memory::status_messages::differ_in_words_alone;
use crate::tenant::steps::status::{Outcome, compute_status, write_status};
use crate::tenant::steps::storage_status::CLAIM_PENDING;
use jiff::Timestamp;
use kube::runtime::events::{Event, EventType};
use kube::{Resource, ResourceExt};
use std::time::{Duration, Instant};
use voicemail_resources::conditions::{CONFIRMED_EARLY, Condition, ConditionStatus, READY, find_condition};
use voicemail_resources::{VoicemailTenant, VoicemailTenantStatus};
use voicemail_runtime::calls::CallError;

/// How long the claim of a new tenant may be pending before somebody is told.
const CLAIM_GRACE: Duration = Duration::from_secs(120);

/// The reported status.
pub struct Reported {
    /// The status as it is now, or will be.
    pub status: VoicemailTenantStatus,
    /// It is written later, because only its words differ.
    pub put_off: bool,
}

/// Writes the status that follows from an outcome, and publishes what is new in it. `deletion`: what a deletion that leaves
/// the tenant to serve waits for.
///
/// # Errors
/// The API server refuses or doesn't answer.
pub async fn report(
    tenant: &VoicemailTenant,
    outcome: &Outcome<'_>,
    deletion: Option<&Report>,
    context: &Context,
) -> Result<Reported, CallError> {
    let status = compute_status(tenant, outcome, deletion, Timestamp::now());
    let (key, now) = (TenantKey::of(tenant), Instant::now());
    let only_words = tenant.status.as_ref().is_some_and(|before| differ_in_words_alone(before, &status));
    if only_words && !context.memories.of(&key, |memory| memory.messages.may_change(now)) {
        return Ok(Reported { status, put_off: true });
    }
    Box::pin(announce_late(tenant, &status, context)).await;
    let written = write_status(&context.client, tenant, &status).await?;
    let is_written = written.is_some();
    context.memories.of(&key, |memory| memory.version = written.or_else(|| tenant.resource_version()));
    if is_written {
        if !only_words {
            context.memories.of(&key, |memory| memory.messages.note_write(now));
        }
        announce(tenant, &status, context).await;
        warn_of_early(tenant, &status, context).await;
        if let Some(deletion) = deletion {
            deletion::announce(tenant, deletion, context).await;
        }
    }
    // The status that was just written causes no reconcile of its own that would do it.
    let known = VoicemailTenant { status: Some(status.clone()), ..tenant.clone() };
    context.memories.rollouts.note_status(&known, &context.settings.image);
    Ok(Reported { status, put_off: false })
}

/// An event when a confirmation stands before there is a deletion.
async fn warn_of_early(tenant: &VoicemailTenant, status: &VoicemailTenantStatus, context: &Context) {
    let before =
        tenant.status.as_ref().and_then(|status| find_condition(&status.conditions, CONFIRMED_EARLY));
    let after = find_condition(&status.conditions, CONFIRMED_EARLY);
    let Some(after) = after.filter(|after| after.status == ConditionStatus::True) else { return };
    if before.is_none_or(|before| before.reason != after.reason) {
        publish_condition(tenant, EventType::Warning, after, context).await;
    }
}

/// An event when the reason of Ready changes for the worse, or gets well again. A tenant that becomes Ready as
/// expected publishes none: its status says it, and a thousand new tenants are a thousand writes fewer. A lost
/// event is no failure.
async fn announce(tenant: &VoicemailTenant, status: &VoicemailTenantStatus, context: &Context) {
    let before = tenant.status.as_ref().and_then(|status| find_condition(&status.conditions, READY));
    let Some(after) = find_condition(&status.conditions, READY) else { return };
    let is_new = status.store_id.is_none();
    let is_good = |reason: &str| {
        ["Available", "RolloutInProgress"].contains(&reason) || (is_new && reason == CLAIM_PENDING)
    };
    let was_good = before.is_none_or(|before| is_good(&before.reason));
    let good = is_good(&after.reason);
    if before.is_some_and(|before| before.reason == after.reason) || (good && was_good) {
        return;
    }
    let type_ = if good { EventType::Normal } else { EventType::Warning };
    publish_condition(tenant, type_, after, context).await;
}

/// A claim of a new tenant is pending until its first pod has a node, or its provisioner has made a volume: that is told of
/// only when it lasts.
async fn announce_late(tenant: &VoicemailTenant, status: &VoicemailTenantStatus, context: &Context) {
    let Some(ready) = find_condition(&status.conditions, READY) else { return };
    let pending = status.store_id.is_none() && ready.reason == CLAIM_PENDING;
    let since = Timestamp::now().duration_since(ready.last_transition_time.0);
    let lasts = pending && since.unsigned_abs() >= CLAIM_GRACE;
    let tell = context.memories.of(&TenantKey::of(tenant), |memory| {
        let tell = lasts && !memory.claim_told;
        memory.claim_told = lasts;
        tell
    });
    if tell {
        publish_condition(tenant, EventType::Warning, ready, context).await;
    }
}

/// An event that says what a condition says.
async fn publish_condition(
    tenant: &VoicemailTenant,
    type_: EventType,
    condition: &Condition,
    context: &Context,
) {
    let (reason, note) = (condition.reason.clone(), Some(condition.message.clone()));
    let event = Event { type_, reason, note, action: "Reconcile".into(), secondary: None };
    context.publish(event, &tenant.object_ref(&())).await;
}
