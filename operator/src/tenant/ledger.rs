//! Keeps the ledger of erasures outside the store, so that a restored backup is found out and can be mended.
//!
//! Flow: a tenant that serves is asked for what followed the copy in Secret `TENANT-voicemail-ledger`: when one of its
//! requests has ended, when a core's mark says that some case changed, and every ten minutes where cores have no marks.
//! The copy is written only when it changes. The pods mount it and compare its head with their store's.
//!
//! What can go wrong: the core doesn't answer, or the store doesn't follow the copy. Both are logged and the copy
//! stays as it is; the next look repeats it. An erasure that the copy doesn't know yet is one that a restore of
//! these minutes brings back unseen.

use super::build::ledger::{build_ledger_secret, extend, read_copy};
use super::build::names::ledger_name;
use super::validate::Plan;
use crate::api::{MANAGER, TENANT_LABEL, VoicemailTenant};
use crate::calls::{CallError, within_deadline};
use crate::runtime::Context;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Secret;
use kube::api::{Patch, PatchParams, PostParams};
use kube::{Api, ResourceExt};
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use voicemail_api::gdpr::LedgerView;

const PAUSE: Duration = Duration::from_secs(9 * 60);

/// What is known of the reading of one ledger.
#[derive(Clone, Copy, Debug)]
struct Reading {
    last: Instant,
    /// It may have grown since.
    grown: bool,
    /// The cores say when it may have.
    told: bool,
}

impl Reading {
    /// What the operator before this one kept was up to date.
    fn done(now: Instant) -> Self {
        Self { last: now, grown: false, told: false }
    }
}

/// When each tenant's ledger was read last, by namespace and name.
#[derive(Debug, Default)]
pub struct Ledgers(Mutex<HashMap<(String, String), Reading>>);

impl Ledgers {
    /// A request of the tenant has ended: its ledger has grown.
    pub fn note_end(&self, namespace: &str, tenant: &str) {
        self.change(namespace, tenant, |reading| reading.grown = true);
    }

    /// The tenant's cores were asked for their marks: whether they have any, and whether something is new.
    pub fn note_marks(&self, namespace: &str, tenant: &str, told: bool, news: bool) {
        self.change(namespace, tenant, |reading| {
            (reading.told, reading.grown) = (told, reading.grown || (told && news));
        });
    }

    fn change(&self, namespace: &str, tenant: &str, change: impl FnOnce(&mut Reading)) {
        let key = (namespace.to_owned(), tenant.to_owned());
        change(self.lock().entry(key).or_insert(Reading::done(Instant::now())));
    }

    /// The tenant is gone.
    pub fn forget(&self, namespace: &str, tenant: &str) {
        self.lock().remove(&(namespace.to_owned(), tenant.to_owned()));
    }

    /// Whether it is time to read it; if so, it counts as done.
    fn is_due(&self, plan: &Plan, now: Instant) -> bool {
        let mut read = self.lock();
        let reading = read.entry(key(plan)).or_insert(Reading::done(now));
        let old = !reading.told && now.duration_since(reading.last) >= PAUSE;
        let due = reading.grown || old;
        if due {
            (reading.last, reading.grown) = (now, false);
        }
        due
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<(String, String), Reading>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn key(plan: &Plan) -> (String, String) {
    (plan.namespace.clone(), plan.name.clone())
}

/// Brings the copy of a tenant that serves up to date, if it is time to.
///
/// # Errors
/// The API server refuses or doesn't answer; it stays due.
pub async fn keep_ledger(tenant: &VoicemailTenant, plan: &Plan, context: &Context) -> Result<(), CallError> {
    if !context.ledgers.is_due(plan, Instant::now()) {
        return Ok(());
    }
    let kept = bring_up_to_date(tenant, plan, context).await;
    if !matches!(kept, Ok(true)) {
        context.ledgers.note_end(&plan.namespace, &plan.name);
    }
    kept.map(drop)
}

/// False if the core didn't say what it has.
async fn bring_up_to_date(
    tenant: &VoicemailTenant,
    plan: &Plan,
    context: &Context,
) -> Result<bool, CallError> {
    let (namespace, name) = (&plan.namespace, &plan.name);
    let api: Api<Secret> = Api::namespaced(context.client.clone(), namespace);
    let live = within_deadline("read the ledger's Secret", api.get_opt(&ledger_name(name))).await?;
    let copy = live.as_ref().and_then(read_copy);
    if live.is_some() && copy.is_none() {
        tracing::warn!(namespace, tenant = name, "the ledger's Secret can't be read: it is left as it is");
        return Ok(true);
    }
    let Some(news) = ask(tenant, copy.as_ref(), context).await else { return Ok(false) };
    match extend(copy.as_ref(), &news, plan.config.gdpr.backup_retention, Timestamp::now()) {
        Ok(None) => {}
        Ok(Some(extended)) => write(&api, plan, live.as_ref(), &extended).await?,
        Err(refused) => tracing::warn!(namespace, tenant = name, cause = %refused, "the ledger's copy stays"),
    }
    Ok(true)
}

/// What followed the copy; none when the core doesn't say.
async fn ask(tenant: &VoicemailTenant, copy: Option<&LedgerView>, context: &Context) -> Option<LedgerView> {
    let after = copy.map_or(0, |copy| copy.head.epoch);
    let answer = match context.cores.connect(&context.client, &context.settings, tenant).await {
        Ok(core) => core.read_ledger(after).await,
        Err(error) => Err(error),
    };
    answer
        .inspect_err(|error| {
            context.cores.forget(tenant);
            let (namespace, name) = (tenant.namespace(), tenant.name_any());
            tracing::warn!(?namespace, tenant = name, %error, "the ledger of erasures wasn't read");
        })
        .ok()
}

async fn write(
    api: &Api<Secret>,
    plan: &Plan,
    live: Option<&Secret>,
    ledger: &LedgerView,
) -> Result<(), CallError> {
    let (namespace, tenant) = (&plan.namespace, &plan.name);
    let Ok((mut secret, left_out)) = build_ledger_secret(plan, ledger) else {
        tracing::error!(namespace, tenant, "the ledger of erasures can't be encoded");
        return Ok(());
    };
    if left_out > 0 {
        tracing::warn!(
            namespace,
            tenant,
            left_out,
            "the ledger is too large for a Secret: its oldest entries are left out"
        );
    }
    tracing::info!(namespace, tenant, epoch = ledger.head.epoch, "keeping the ledger of erasures");
    let Some(live) = live else {
        let parameters = PostParams { field_manager: Some(MANAGER.into()), ..Default::default() };
        return within_deadline("create the ledger's Secret", api.create(&parameters, &secret))
            .await
            .map(drop);
    };
    if live.labels().get(TENANT_LABEL) != Some(tenant) {
        tracing::warn!(namespace, tenant, "the ledger's Secret has no label of this tenant: taking it over");
    }
    // An operator that read an older copy must not undo what another one wrote.
    secret.metadata.resource_version = live.resource_version();
    let (parameters, name) = (PatchParams::apply(MANAGER).force(), ledger_name(tenant));
    within_deadline("write the ledger's Secret", api.patch(&name, &parameters, &Patch::Apply(&secret)))
        .await
        .map(drop)
}
