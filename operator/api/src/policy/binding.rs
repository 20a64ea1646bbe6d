//! A tenant as its policies let it be. Pure.
//!
//! Flow: [`bind`] takes the spec as it is written and the policies that apply, and gives the spec that is carried out. Times
//! and approvals are raised to the floors, and issuers, accounts and receivers that aren't allowed are left out; both at once,
//! for they take nothing from the tenant's own people. What can't be carried out in part (an image, the way to a store, a
//! template) is named in [`Bound::refused`]: then nothing new is rolled out, and what runs goes on.

use super::rules::Rules;
use super::{DeletionRule, Floors, SecretRule, StoreIdentity, VoicemailPolicy};
use crate::data_subject_rights::{Approval, Gdpr};
use crate::voicemail_tenant::{
    Audit, AzureBlob, DeletionPolicy, Passwords, Region, StorageKind, VoicemailTenantSpec,
};
use crate::waiting;
use std::collections::BTreeMap;
use std::time::Duration;

/// A tenant as its policies let it be.
#[derive(Clone, Debug, PartialEq)]
pub struct Bound {
    /// The spec to carry out.
    pub spec: VoicemailTenantSpec,
    /// The shortest time from a mark to an erasure that a request may ask for.
    pub least_undo_window: Option<Duration>,
    /// Secrets that the tenant names must be labelled.
    pub labelled_secrets: bool,
    /// Fields that were raised or left out, each in a sentence that begins with it.
    pub mended: Vec<String>,
    /// Fields that keep the spec from being carried out, each in a sentence that begins with it.
    pub refused: Vec<String>,
}

impl Bound {
    /// Everything that isn't as the policies want it; empty when they are kept.
    pub fn words(&self) -> String {
        [self.refused.as_slice(), self.mended.as_slice()].concat().join("; ")
    }
}

/// Whether a policy applies in a namespace with these labels.
pub fn applies(policy: &VoicemailPolicy, labels: &BTreeMap<String, String>) -> bool {
    policy.spec.namespace_labels.iter().all(|(key, value)| labels.get(key) == Some(&value.0))
}

/// Binds a tenant by the policies that apply to it.
pub fn bind(policies: &[VoicemailPolicy], spec: &VoicemailTenantSpec) -> Bound {
    let mut bound = Bound {
        spec: spec.clone(),
        least_undo_window: None,
        labelled_secrets: policies.iter().any(|policy| policy.spec.secrets == SecretRule::Labelled),
        mended: Vec::new(),
        refused: Vec::new(),
    };
    let rules = Rules(policies);
    bound.refused = refuse(rules, spec);
    // Whatever is run for the tenant nevertheless is of the operator's own image.
    bound.spec.image = spec.image.clone().filter(|image| rules.refuse_image(image).is_none());
    leave_out(rules, &mut bound);
    for policy in policies {
        if let Some(floors) = &policy.spec.floors {
            raise(floors, &mut bound);
        }
    }
    bound
}

/// Refuses fields that can't be carried out in part.
fn refuse(rules: Rules<'_>, spec: &VoicemailTenantSpec) -> Vec<String> {
    let image = spec.image.as_ref().and_then(|image| rules.refuse_image(image));
    let mut found: Vec<String> = image.map(|fault| format!("image: {fault}")).into_iter().collect();
    let of_telephone = spec.telephony.as_ref().and_then(|telephony| telephony.pod_template.as_ref());
    for (field, given) in
        [("podTemplate", spec.pod_template.as_ref()), ("telephony.podTemplate", of_telephone)]
    {
        if let Some(fault) = given.and_then(|given| rules.refuse_template(given)) {
            found.push(format!("{field}: {fault}"));
        }
    }
    let proxies = spec.proxy.iter().flat_map(|proxy| [&proxy.http_proxy, &proxy.https_proxy]).flatten();
    found.extend(proxies.filter_map(|url| Some(format!("proxy: {}", rules.refuse_endpoint(url)?))));
    found.extend(spec.regions.iter().flat_map(|region| refuse_region(rules, region)));
    found
}

fn refuse_region(rules: Rules<'_>, region: &Region) -> Vec<String> {
    let (place, identity) = match region.storage.kind() {
        Some(StorageKind::AzureBlob(azure)) => (rules.refuse_azure(azure), Some(identity_at_azure(azure))),
        Some(StorageKind::S3(s3)) => {
            let identity = match s3.credentials.web_identity {
                Some(_) => StoreIdentity::WebIdentity,
                None => StoreIdentity::Secret,
            };
            (rules.refuse_s3(s3), Some(identity))
        }
        Some(StorageKind::Volume(_)) | None => (None, None),
    };
    let identity = identity.and_then(|identity| rules.refuse_identity(identity));
    let name = &region.name;
    let place = place.map(|fault| format!("regions: endpoint of {name}: {fault}"));
    place
        .into_iter()
        .chain(identity.map(|fault| format!("regions: credentials of {name}: {fault}")))
        .collect()
}

fn identity_at_azure(azure: &AzureBlob) -> StoreIdentity {
    match (&azure.credentials.key_vault, &azure.credentials.workload_identity) {
        (Some(vault), _) if vault.client_id.is_some() => StoreIdentity::KeyVaultWorkload,
        (Some(_), _) => StoreIdentity::KeyVaultNode,
        (None, Some(_)) => StoreIdentity::WorkloadIdentity,
        (None, None) => StoreIdentity::Secret,
    }
}

/// Leaves out who may not call, and who may not be told of anything.
fn leave_out(rules: Rules<'_>, bound: &mut Bound) {
    let (spec, told) = (&mut bound.spec, &mut bound.mended);
    retain(&mut spec.auth.issuers, told, |issuer| {
        let fault = rules.refuse_given_issuer(issuer)?;
        Some(format!("auth.issuers: {} is left out: {fault}", issuer.issuer))
    });
    retain(&mut spec.auth.service_accounts, told, |account| {
        let fault = rules.refuse_account(&account.namespace)?;
        Some(format!("auth.serviceAccounts: {}/{} is left out: {fault}", account.namespace, account.name))
    });
    let asked = spec.auth.introspection.as_ref();
    if let Some(fault) = asked.and_then(|asked| rules.refuse_introspection(&asked.endpoint)) {
        told.push(format!("auth.introspection: it is left out: {fault}"));
        spec.auth.introspection = None;
    }
    if let Some(mwi) = &mut spec.mwi {
        retain(&mut mwi.webhooks, told, |webhook| {
            let fault = rules.refuse_endpoint(&webhook.url)?;
            Some(format!("mwi.webhooks: {} is left out: {fault}", webhook.name))
        });
    }
    if let Some(telemetry) = &mut spec.telemetry {
        let fault = telemetry.otlp.as_ref().and_then(|otlp| rules.refuse_endpoint(&otlp.endpoint));
        if let Some(fault) = fault {
            told.push(format!("telemetry.otlp: it is left out: {fault}"));
            telemetry.otlp = None;
        }
    }
    let server = spec.email.as_ref().map(|email| email.smtp.host.to_ascii_lowercase());
    if let Some(fault) = server.and_then(|host| rules.refuse_host(Some(&host))) {
        told.push(format!("email: it is left out: {fault}"));
        spec.email = None;
    }
    leave_out_logins(spec, told);
}

/// Nobody signs in where a token of theirs would open nothing.
fn leave_out_logins(spec: &mut VoicemailTenantSpec, told: &mut Vec<String>) {
    let Some(web) = &mut spec.web else { return };
    let issuers = &spec.auth.issuers;
    retain(&mut web.login, told, |login| {
        let there = issuers.iter().any(|issuer| issuer.issuer == login.issuer);
        (!there).then(|| format!("web.login: {} is left out, as it is in auth.issuers", login.issuer))
    });
    if web.login.is_empty() && web.passwords == Passwords::Forbidden {
        told.push("web: it is left out, since nobody could sign in".into());
        spec.web = None;
    }
}

fn retain<T>(items: &mut Vec<T>, told: &mut Vec<String>, refuse: impl Fn(&T) -> Option<String>) {
    items.retain(|item| match refuse(item) {
        Some(fault) => {
            told.push(fault);
            false
        }
        None => true,
    });
}

/// Raises times and approvals to the floors.
fn raise(floors: &Floors, bound: &mut Bound) {
    raise_window(floors, bound);
    raise_approval(floors, bound);
    let kept =
        bound.spec.audit.as_ref().map_or_else(|| Audit::default().retention_days, |a| a.retention_days);
    if let Some(least) = floors.audit_retention_days.filter(|least| kept < *least) {
        bound.mended.push(format!("audit.retentionDays: at least {least}, and that is what counts"));
        bound.spec.audit = Some(Audit { retention_days: least });
    }
    if floors.deletion == DeletionRule::RetainOnly && bound.spec.deletion_policy == DeletionPolicy::Delete {
        bound.mended.push("deletionPolicy: Retain alone is allowed, and that is what counts".into());
        bound.spec.deletion_policy = DeletionPolicy::Retain;
    }
}

/// A floor that can't be read is none: the API server takes no such policy.
fn raise_window(floors: &Floors, bound: &mut Bound) {
    let Some(text) = &floors.undo_window else { return };
    let Ok(least) = waiting::read(text) else { return };
    bound.least_undo_window = bound.least_undo_window.max(Some(least));
    let mut gdpr = bound.spec.gdpr.clone().unwrap_or_default();
    let given = waiting::read(&gdpr.undo_window).unwrap_or_default();
    if given < least {
        bound.mended.push(format!("gdpr.undoWindow: at least {text}, and that is what counts"));
        gdpr.undo_window = text.clone();
        bound.spec.gdpr = Some(gdpr);
    }
}

fn raise_approval(floors: &Floors, bound: &mut Bound) {
    let mut gdpr: Gdpr = bound.spec.gdpr.clone().unwrap_or_default();
    let mut approval: Approval = gdpr.approval.clone().unwrap_or_default();
    let before = approval.clone();
    for (field, rule, floor) in [
        ("required", &mut approval.required, floors.approval),
        ("exports", &mut approval.exports, floors.exports),
    ] {
        if *rule < floor {
            bound.mended.push(format!("gdpr.approval.{field}: at least {floor:?}, and that is what counts"));
            *rule = floor;
        }
    }
    if let Some(most) = floors.large_matches_at_most.filter(|most| approval.large_matches > *most) {
        bound.mended.push(format!("gdpr.approval.largeMatches: at most {most}, and that is what counts"));
        approval.large_matches = most;
    }
    if approval != before {
        gdpr.approval = Some(approval);
        bound.spec.gdpr = Some(gdpr);
    }
}
