//! The tenant controller: what makes a `VoicemailTenant` a running service, and lets it go.
//!
//! ```text
//!  dereference (reads) ─▶ validate (pure) ─▶ build (pure) ─▶ apply (writes) ─▶ observe (reads) ─▶ status (pure, one write)
//!
//!  steps/     one file a step of a reconcile        build/     the objects that should exist, pure
//!  facts/     what a spec points at, as it was found deletion/  the way to a tenant's end
//!  memory/    what is remembered between reconciles  context.rs what all of them share
//! ```
//!
//! If no watched object changed since the last successful reconcile, no request is sent ([`memory`]); a reconcile of a
//! tenant that is as it should be sends no mutating request. What a person must change becomes a condition; what a retry
//! can mend becomes an error, and the work queue backs off.

#[cfg(test)]
mod access_tests;
pub mod build;
#[cfg(test)]
mod certificate_tests;
#[cfg(test)]
mod config_coverage_tests;
pub mod context;
pub mod deletion;
pub mod facts;
#[cfg(test)]
#[path = "fake_cluster_tests.rs"]
mod fake_cluster;
pub mod memory;
#[cfg(test)]
mod object_store_tests;
#[cfg(test)]
mod policy_tests;
#[cfg(test)]
mod reconcile_tests;
pub mod steps;
#[cfg(test)]
pub(crate) mod tests;

use build::BuildError;
use context::Context;
use deletion::Course;
use deletion::progress::Report;
use facts::certificate::{CertificateSeen, Meanwhile};
use facts::policies::{bind_tenant, find_refusal};
use facts::storage;
use kube::runtime::controller::Action;
use kube::{Api, ResourceExt};
use memory::TenantKey;
use memory::child_versions::Begun;
use memory::rollout::Image;
use std::time::{Duration, Instant};
use steps::apply::{Applied, ApplyError};
use steps::dereference::{Facts, Look};
use steps::narrow::narrow_running;
use steps::readiness::{has_pods, is_settled};
use steps::refusal::Refusal;
use steps::report::report;
use steps::status::{Outcome, Seen};
use steps::telephony_status::{PROMPTS_INCOMPLETE, observe_telephony};
use steps::validate::{Plan, TlsPlan};
use steps::{apply, dereference, ledger, orphans, validate};
use voicemail_cores::pods::{self, PodSeen};
use voicemail_resources::conditions::{
    ACCESS_READY, CERTIFICATE_READY, ConditionStatus, EMAIL_READY, MONITORING_READY, PULL_SECRETS_READY,
    RECEIVERS_READY, RECONCILING, STORAGE_READY, TELEPHONY_READY, WEB_READY, find_condition,
};
use voicemail_resources::policy::Bound;
use voicemail_resources::{FINALIZER, PAUSED, VoicemailTenant, VoicemailTenantStatus};
use voicemail_runtime::calls::{CallError, Classified, ErrorClass, within_deadline};
use voicemail_runtime::reconciling::jittered;
use voicemail_runtime::reconciling::recent::Held;

/// A quiet tenant is looked at again that often: certificates fall due, brought Secrets change unwatched.
const RESYNC: Duration = Duration::from_secs(10 * 60);
/// A tenant on its way is looked at that often, since a core's reason can change without an event.
const PROGRESS: Duration = Duration::from_secs(10);
/// A tenant with several regions: one that goes away changes no object of the cluster.
const REGIONS: Duration = Duration::from_secs(60);
/// A tenant whose certificate is brought: it is copied from a Secret that isn't watched.
const BROUGHT: Duration = Duration::from_secs(5 * 60);
/// A tenant that waits for its turn to get a newer image.
const WAITING: Duration = Duration::from_secs(30);
/// A refused tenant: what it lacks may appear without an event.
const REFUSED: Duration = Duration::from_secs(20);

/// Why a reconcile must be repeated.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TenantError {
    /// A call failed.
    #[error(transparent)]
    Call(#[from] CallError),
    /// Applying stopped.
    #[error(transparent)]
    Apply(#[from] ApplyError),
    /// The objects can't be built.
    #[error(transparent)]
    Build(#[from] BuildError),
}

impl Classified for TenantError {
    fn class(&self) -> ErrorClass {
        match self {
            Self::Call(error) => error.class(),
            Self::Apply(error) => error.class(),
            Self::Build(error) => error.class(),
        }
    }

    fn reason(&self) -> &'static str {
        match self {
            Self::Call(error) => error.reason(),
            Self::Apply(error) => error.reason(),
            Self::Build(error) => error.reason(),
        }
    }
}

/// Brings one tenant to what its spec says. The object is read afresh, as a cached status would be written twice, unless it is
/// known to be as the watch shows it ([`is_as_known`]).
///
/// # Errors
/// [`TenantError`]; repeating helps.
pub async fn reconcile(cached: &VoicemailTenant, context: &Context) -> Result<Action, TenantError> {
    if let Some(left) = context.memories.requeue_if_unchanged(cached, Instant::now()) {
        return Ok(Action::requeue(left));
    }
    let api: Api<VoicemailTenant> =
        Api::namespaced(context.client.clone(), &cached.namespace().unwrap_or_default());
    let begun = context.memories.begin(cached);
    let read = match is_as_known(cached, context) {
        true => Some(cached.clone()),
        false => within_deadline("read the tenant", api.get_opt(&cached.name_any())).await?,
    };
    let Some(tenant) = read else { return Ok(Action::await_change()) };
    let ours = tenant.finalizers().iter().any(|name| name == FINALIZER);
    let leaves = tenant.metadata.deletion_timestamp.is_some();
    let namespace = if leaves { None } else { deletion::stay_in_namespace(context, &tenant).await? };
    if !leaves && namespace.is_none() {
        return Ok(Action::await_change());
    }
    context.memories.meet(&TenantKey::of(&tenant), is_paused(&tenant));
    if let Some(has_range) = namespace {
        context.memories.note_user_range(&tenant, has_range);
    }
    if leaves && !ours {
        return Ok(Action::await_change());
    }
    // Boxed, as all that is large below: a worker's stack holds every future that it polls.
    let done = Box::pin(go_on(&tenant, begun, ours, context)).await;
    match &done {
        Ok(_) => context.memories.of(&TenantKey::of(&tenant), |memory| memory.failures.settle()),
        Err(error) => Box::pin(tell_failure(&tenant, error, context)).await,
    }
    done
}

/// Whether nothing newer of the tenant is to be expected than what the watch shows. One without a status has never been written
/// by us: its finalizer is written for that very version, and that write gives it as it is. Another one is what the
/// last look wrote, or found. One that leaves is read for who wrote its annotations, which no watch keeps.
fn is_as_known(cached: &VoicemailTenant, context: &Context) -> bool {
    let is_new = cached.status.is_none() && cached.finalizers().is_empty();
    let leaves = cached.metadata.deletion_timestamp.is_some();
    is_new || (!leaves && context.memories.is_as_left(cached))
}

/// Does what the tenant's life is at.
async fn go_on(
    tenant: &VoicemailTenant,
    begun: Begun,
    has_finalizer: bool,
    context: &Context,
) -> Result<Action, TenantError> {
    if tenant.metadata.deletion_timestamp.is_some() {
        return Box::pin(go_on_deleting(tenant, context)).await;
    }
    if has_finalizer {
        return settle(tenant, begun, Look::Further, context).await;
    }
    let tenant = deletion::add_finalizer(&context.client, tenant).await?;
    // One that lost its finalizer, or came from a backup with its status, has had looks before.
    let look = if tenant.status.is_none() { Look::First } else { Look::Further };
    settle(&tenant, begun, look, context).await
}

/// A deletion that waits leaves the tenant to serve, and so to be maintained as any other.
async fn go_on_deleting(tenant: &VoicemailTenant, context: &Context) -> Result<Action, TenantError> {
    let (tenant, bound) = &bind_tenant(context, tenant).await?;
    match Box::pin(deletion::advance(tenant, context)).await? {
        Course::Gone => {
            context.memories.forget(&tenant.namespace().unwrap_or_default(), &tenant.name_any());
            return Ok(Action::await_change());
        }
        Course::Ending => {}
        Course::Serving(course) if is_paused(tenant) => {
            report(tenant, &Outcome::Paused, Some(&course), context).await?;
        }
        Course::Serving(course) => {
            Box::pin(converge(tenant, bound, Look::Further, Some(&course), context)).await?;
        }
    }
    Ok(Action::requeue(jittered(PROGRESS)))
}

/// Says in the status why the reconcile must be repeated. What the API server answers to that can only be logged.
async fn tell_failure(tenant: &VoicemailTenant, error: &TenantError, context: &Context) {
    if error.class() != ErrorClass::Conflict {
        context.give_place_back(tenant);
    }
    if !context.memories.of(&TenantKey::of(tenant), |memory| memory.failures.is_to_tell(error)) {
        return;
    }
    // Without the store's id the keys' loss wouldn't be noticed, whatever else fails.
    let (namespace, name) = (tenant.namespace().unwrap_or_default(), tenant.name_any());
    let pods = match tenant.has_known_store() {
        true => Vec::new(),
        false => {
            pods::observe_pods(&context.client, &context.http, &namespace, &name).await.unwrap_or_default()
        }
    };
    let outcome = match error.class() {
        ErrorClass::Permanent => Outcome::Stopped(error.reason(), error.to_string()),
        _ => Outcome::Failing { reason: error.reason(), message: error.to_string(), pods: &pods },
    };
    if let Err(unsaid) = report(tenant, &outcome, None, context).await {
        tracing::warn!(namespace, name, error = %unsaid, "a failure isn't in the tenant's status");
    }
}

/// Brings a tenant that has our finalizer to what its spec says, and leaves it alone then until there is news.
async fn settle(
    tenant: &VoicemailTenant,
    begun: Begun,
    look: Look,
    context: &Context,
) -> Result<Action, TenantError> {
    if is_paused(tenant) {
        context.give_place_back(tenant);
        report(tenant, &Outcome::Paused, None, context).await?;
        return Ok(Action::await_change());
    }
    let (held, bound) = bind_tenant(context, tenant).await?;
    match Box::pin(converge(&held, &bound, look, None, context)).await? {
        Next::Soon(pause) => Ok(Action::requeue(jittered(pause))),
        Next::Rest(pause) => {
            let pause = jittered(pause);
            context.memories.rest(tenant, begun, Instant::now() + pause);
            Ok(Action::requeue(pause))
        }
    }
}

/// When to look again.
enum Next {
    /// After that time, or earlier for any reason.
    Soon(Duration),
    /// After that time, or when there is news.
    Rest(Duration),
}

/// Whether a person asked the operator to keep its hands off.
pub fn is_paused(tenant: &VoicemailTenant) -> bool {
    tenant.annotations().get(PAUSED).is_some_and(|value| value == "true")
}

/// `tenant`: as its policies let it be, which `bound` says. `deletion`: what a deletion that leaves the tenant to serve
/// waits for.
async fn converge(
    tenant: &VoicemailTenant,
    bound: &Bound,
    look: Look,
    deletion: Option<&Report>,
    context: &Context,
) -> Result<Next, TenantError> {
    let facts = Box::pin(dereference::dereference(context, tenant, look)).await?;
    let facts = Facts { least_undo_window: bound.least_undo_window, ..facts };
    let valid = validate::validate(tenant, &facts, &context.settings, &context.cluster);
    let plan = match allow(valid, tenant, bound, context).await? {
        Ok(plan) => plan,
        Err(refusal) => {
            context.give_place_back(tenant);
            if !bound.words().is_empty() {
                narrow_running(context, tenant, bound.least_undo_window).await?;
            }
            report(tenant, &Outcome::Refused(&refusal), deletion, context).await?;
            return Ok(Next::Soon(REFUSED));
        }
    };
    // After all that could refuse it: a place in the roll-out is for who moves.
    let image = context.choose_image(tenant).await?;
    let plan = Plan { image: image.present().to_owned(), ..plan };
    let built = build::build(&plan)?;
    let applied = match Box::pin(apply::apply(context, &plan, built, &facts)).await {
        Ok(applied) => applied,
        Err(error) if error.class() == ErrorClass::Permanent => {
            context.give_place_back(tenant);
            let outcome = Outcome::Stopped(error.reason(), error.to_string());
            report(tenant, &outcome, deletion, context).await?;
            return Ok(Next::Soon(REFUSED));
        }
        Err(error) => return Err(error.into()),
    };
    // One that serves is left alone for longer than that would hold.
    let made = || applied.made_secrets(&facts, &plan);
    if is_settled(&applied) {
        context.memories.of(&TenantKey::of(tenant), |memory| memory.made = Held::default());
    } else if let Some(made) = facts.recent.is_none().then(made).flatten() {
        context.memories.note_made_secrets(tenant, Instant::now(), made);
    }
    let pods = look_at_pods(tenant, &plan, &applied, context).await?;
    let telephones = observe_telephony(&context.client, &context.http, &plan, applied.telephony()).await?;
    let claim = storage::claim_name(tenant);
    let seen = Seen {
        applied: &applied,
        pods: pods.as_deref(),
        image: &image,
        reclaim: facts.reclaim.as_ref(),
        terminating: claim.as_deref().filter(|_| facts.is_claim_terminating()),
        certificate: describe_certificate(&facts, &plan),
        access: &facts.access,
        pull_secrets: &facts.pull_secrets,
        telephones: &telephones,
        policy: &bound.words(),
    };
    let reported = report(tenant, &Outcome::Applied(seen), deletion, context).await?;
    orphans::remove_orphans(tenant, context).await?;
    if is_settled(&applied) {
        ledger::keep_ledger(tenant, &plan, context).await?;
    }
    let pause = next_look(&reported.status, &image);
    let pause = if plan.telephone_leaves { pause.min(PROGRESS) } else { pause };
    let pause = if facts.brought.is_some() { pause.min(BROUGHT) } else { pause };
    Ok(Next::Rest(if reported.put_off { pause.min(PROGRESS) } else { pause }))
}

/// What policies refuse isn't rolled out.
async fn allow(
    valid: Result<Plan, Refusal>,
    tenant: &VoicemailTenant,
    bound: &Bound,
    context: &Context,
) -> Result<Result<Plan, Refusal>, CallError> {
    let Ok(plan) = valid else { return Ok(valid) };
    Ok(find_refusal(&context.client, tenant, bound).await?.map_or(Ok(plan), Err))
}

/// The certificate that the condition is about: the brought one, or the one that the operator made.
fn describe_certificate<'a>(facts: &'a Facts, plan: &'a Plan) -> Option<CertificateSeen<'a>> {
    let served = facts.tls.as_ref();
    let Some(brought) = &facts.brought else {
        let (secret, meanwhile) = (plan.tls_secret.as_str(), Meanwhile::ServeIt);
        if facts.recent.is_some() {
            return Some(CertificateSeen { secret, fault: None, ends_soon: false, meanwhile });
        }
        return served.map(|tls| CertificateSeen {
            secret,
            fault: tls.fault.as_ref(),
            ends_soon: tls.ends_soon,
            meanwhile,
        });
    };
    let same = served.and_then(|tls| tls.parts.as_ref()) == brought.parts.as_ref();
    let meanwhile = match matches!(plan.tls, TlsPlan::Copy(..)) || same {
        true => Meanwhile::ServeIt,
        false => Meanwhile::ServeFrom(&plan.tls_secret, served.and_then(|tls| tls.fault.as_ref())),
    };
    let (secret, fault) = (brought.secret.as_str(), brought.fault.as_ref());
    Some(CertificateSeen { secret, fault, ends_soon: brought.ends_soon, meanwhile })
}

/// None when all serve and it isn't time to ask them again.
async fn look_at_pods(
    tenant: &VoicemailTenant,
    plan: &Plan,
    applied: &Applied,
    context: &Context,
) -> Result<Option<Vec<PodSeen>>, CallError> {
    let due = || {
        let now = Instant::now();
        context.memories.of(&TenantKey::of(tenant), |memory| memory.probes.is_due(tenant, now))
    };
    if is_settled(applied) && !due() {
        return Ok(None);
    }
    if !has_pods(applied.deployment()) {
        return Ok(Some(Vec::new()));
    }
    let Plan { namespace, name, .. } = plan;
    pods::observe_pods(&context.client, &context.http, namespace, name).await.map(Some)
}

/// When to look again: soon while something is on its way or a store is away.
fn next_look(status: &VoicemailTenantStatus, image: &Image) -> Duration {
    let find = |type_| find_condition(&status.conditions, type_);
    let settled = find(RECONCILING).is_some_and(|condition| condition.reason == "UpToDate");
    let stored = find(STORAGE_READY).is_some_and(|condition| condition.status != ConditionStatus::False);
    let unmonitored =
        find(MONITORING_READY).is_some_and(|condition| condition.status == ConditionStatus::False);
    let lacking = [
        ACCESS_READY,
        CERTIFICATE_READY,
        EMAIL_READY,
        PULL_SECRETS_READY,
        RECEIVERS_READY,
        TELEPHONY_READY,
        WEB_READY,
    ]
    .into_iter()
    .any(|type_| find(type_).is_some_and(|condition| condition.status == ConditionStatus::False));
    let speechless = find(TELEPHONY_READY).is_some_and(|condition| condition.reason == PROMPTS_INCOMPLETE);
    match (settled && stored && status.store_id.is_some(), status.regions.len()) {
        (false, _) => PROGRESS,
        // Secrets aren't watched, and neither are prompts.
        (true, _) if lacking || speechless => REFUSED,
        (true, _) if unmonitored => REGIONS,
        // Another tenant gives its place back.
        (true, _) if matches!(image, Image::Waiting { .. }) => WAITING,
        (true, 0 | 1) => RESYNC,
        (true, _) => REGIONS,
    }
}
