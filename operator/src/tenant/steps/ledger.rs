//! Keeps the ledger of erasures outside the store, so that a restored backup is found out and can be mended.
//!
//! Flow: a tenant that serves is asked for what followed the copy in Secret `TENANT-voicemail-ledger`: when one of its
//! requests has ended, when a core's mark says that some case changed, and every ten minutes where cores have no marks.
//! The copy is written only when it changes. The pods mount it and compare its head with their store's.
//!
//! What can go wrong: the core doesn't answer, or the store doesn't follow the copy. Both are logged and the copy
//! stays as it is; the next look repeats it. An erasure that the copy doesn't know yet is one that a restore of
//! these minutes brings back unseen.

use crate::tenant::build::ledger::{build_ledger_secret, extend, read_copy};
use crate::tenant::build::names::ledger_name;
use crate::tenant::context::Context;
use crate::tenant::steps::validate::Plan;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Secret;
use kube::api::{Patch, PatchParams, PostParams};
use kube::{Api, ResourceExt};
use std::time::Instant;
use voicemail_api::gdpr::LedgerView;
use voicemail_resources::{MANAGER, TENANT_LABEL, VoicemailTenant};
use voicemail_runtime::calls::{CallError, within_deadline};

/// Brings the copy of a tenant that serves up to date, if it is time to.
///
/// # Errors
/// The API server refuses or doesn't answer; it stays due.
pub async fn keep_ledger(tenant: &VoicemailTenant, plan: &Plan, context: &Context) -> Result<(), CallError> {
    if !context.memories.of(&plan.key(), |memory| memory.ledger.is_due(Instant::now())) {
        return Ok(());
    }
    let kept = bring_up_to_date(tenant, plan, context).await;
    if !matches!(kept, Ok(true)) {
        context.memories.of(&plan.key(), |memory| memory.ledger.note_end(Instant::now()));
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

/// The entries that the core has after the copy's last; none when the core doesn't say.
async fn ask(tenant: &VoicemailTenant, copy: Option<&LedgerView>, context: &Context) -> Option<LedgerView> {
    let after = copy.map_or(0, |copy| copy.head.epoch);
    let answer = match context.cores.connect(&context.client, tenant).await {
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
