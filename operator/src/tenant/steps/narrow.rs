//! The settings of what runs, kept to the policies while nothing new may be rolled out.
//!
//! Flow: a tenant that can't be carried out as it is written leaves its pods as they are, with the settings of before. Issuers,
//! accounts and receivers in them that the policies don't allow any more go at once, and times are raised to the floors. Nothing
//! is added, and what the pods mount stays. Cores read their settings again without a restart.
//!
//! What can go wrong: the settings can't be read, for another release wrote them. Then they are left as they are, and logged.

use crate::settings::Settings;
use crate::tenant::build::config::CONFIG_FILE;
use crate::tenant::build::core_config::plan_config;
use crate::tenant::build::names::child_name;
use crate::tenant::context::Context;
use crate::tenant::facts::belonging::is_owned;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{Patch, PatchParams};
use kube::{Api, ResourceExt};
use serde_json::json;
use std::time::Duration;
use voicemail_api::config::{AuthConfig, IssuerConfig, ServiceAccountRole, TenantConfig};
use voicemail_resources::{MANAGER, VoicemailTenant};
use voicemail_runtime::calls::{CallError, within_deadline};

/// Narrows what runs to what the tenant may be. `tenant`: as its policies let it be.
///
/// # Errors
/// The API server refuses or doesn't answer.
pub async fn narrow_running(
    context: &Context,
    tenant: &VoicemailTenant,
    least_undo_window: Option<Duration>,
) -> Result<(), CallError> {
    let (namespace, name) = (tenant.namespace().unwrap_or_default(), child_name(&tenant.name_any()));
    let api: Api<ConfigMap> = Api::namespaced(context.client.clone(), &namespace);
    let read = within_deadline("read the settings", api.get_opt(&name)).await?;
    let uid = tenant.uid().unwrap_or_default();
    let Some(map) = read.filter(|map| is_owned(map, &tenant.name_any(), &uid)) else { return Ok(()) };
    let text = map.data.as_ref().and_then(|data| data.get(CONFIG_FILE)).cloned().unwrap_or_default();
    let Some(narrowed) = narrow_text(&text, tenant, &context.settings, &context.cluster, least_undo_window)
    else {
        tracing::warn!(namespace, name, "the settings can't be kept to the policies");
        return Ok(());
    };
    if narrowed == text {
        return Ok(());
    }
    let body = json!({
        "metadata": {"uid": map.uid(), "resourceVersion": map.resource_version()},
        "data": {CONFIG_FILE: narrowed},
    });
    let parameters = PatchParams { field_manager: Some(MANAGER.into()), ..PatchParams::default() };
    let change = Patch::Merge(&body);
    let patched = api.patch(&name, &parameters, &change);
    within_deadline("keep the settings to the policies", patched).await.map(drop)
}

/// None if the one or the other can't be read.
fn narrow_text(
    text: &str,
    tenant: &VoicemailTenant,
    settings: &Settings,
    cluster: &str,
    least_undo_window: Option<Duration>,
) -> Option<String> {
    let running = TenantConfig::parse(text).ok()?;
    // The telephone's account is the operator's own, and stays.
    let mut wanted = plan_config(tenant, settings, cluster, true).ok()?;
    wanted.gdpr.least_undo_window = least_undo_window.unwrap_or_default();
    let narrowed = narrow(running.clone(), &wanted);
    if narrowed == running { Some(text.to_owned()) } else { narrowed.to_yaml().ok() }
}

/// What both have, and the stricter of two times and rules.
fn narrow(mut running: TenantConfig, wanted: &TenantConfig) -> TenantConfig {
    narrow_auth(&mut running.auth, &wanted.auth);
    narrow_web(&mut running);
    running.mwi.webhooks.retain(|known| wanted.mwi.webhooks.iter().any(|other| other.url == known.url));
    let collector = |config: &TenantConfig| config.telemetry.otlp.as_ref().map(|otlp| otlp.endpoint.clone());
    if collector(&running) != collector(wanted) {
        running.telemetry.otlp = None;
    }
    let mail_server = |config: &TenantConfig| config.email.as_ref().map(|email| email.smtp.host.clone());
    if mail_server(&running) != mail_server(wanted) {
        running.email = None;
    }
    let (gdpr, least) = (&mut running.gdpr, &wanted.gdpr);
    gdpr.least_undo_window = least.least_undo_window;
    gdpr.undo_window = gdpr.undo_window.max(least.least_undo_window);
    gdpr.approval.required = gdpr.approval.required.max(least.approval.required);
    gdpr.approval.exports = gdpr.approval.exports.max(least.approval.exports);
    gdpr.approval.large_matches = gdpr.approval.large_matches.min(least.approval.large_matches);
    running.audit.retention = running.audit.retention.max(wanted.audit.retention);
    running
}

/// Nobody signs in at an issuer that isn't allowed any more. A core takes no settings with such a login.
fn narrow_web(running: &mut TenantConfig) {
    let (issuers, Some(web)) = (&running.auth.issuers, &mut running.web) else { return };
    web.login.retain(|login| issuers.iter().any(|issuer| issuer.issuer == login.issuer));
    if web.login.is_empty() && !web.passwords {
        running.web = None;
        running.leave_out_dead_links();
    }
}

fn narrow_auth(running: &mut AuthConfig, wanted: &AuthConfig) {
    running.issuers.retain(|known| {
        let same = |other: &IssuerConfig| other.issuer == known.issuer && other.jwks_uri == known.jwks_uri;
        wanted.issuers.iter().any(same)
    });
    if let (Some(running), Some(wanted)) = (&mut running.kubernetes, &wanted.kubernetes) {
        running.service_accounts.retain(|known| {
            let same =
                |other: &ServiceAccountRole| other.namespace == known.namespace && other.name == known.name;
            wanted.service_accounts.iter().any(same)
        });
    }
    let endpoint = |auth: &AuthConfig| auth.introspection.as_ref().map(|asked| asked.endpoint.clone());
    if endpoint(running) != endpoint(wanted) {
        running.introspection = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tenant::tests::{settings, tenant};
    use serde_json::Value;
    use voicemail_api::config::{ApprovalRule, EmailContent};

    fn with(spec: &Value) -> VoicemailTenant {
        tenant(|value| value["spec"].as_object_mut().unwrap().extend(spec.as_object().unwrap().clone()))
    }

    fn issuer(url: &str) -> Value {
        json!({"issuer": url, "audience": "v", "roleMap": {}})
    }

    fn config(tenant: &VoicemailTenant) -> TenantConfig {
        plan_config(tenant, &settings(), "cluster-1", true).unwrap()
    }

    #[test]
    fn what_runs_loses_what_is_not_allowed_any_more_and_gets_nothing_new() {
        let running = with(&json!({
            "auth": {"issuers": [issuer("https://a.example"), issuer("https://b.example")],
                     "serviceAccounts": [{"namespace": "x", "name": "media", "roles": ["Telephony"]},
                                         {"namespace": "y", "name": "media", "roles": ["Telephony"]}]},
            "gdpr": {"undoWindow": "0s"}, "audit": {"retentionDays": 1},
            "telemetry": {"otlp": {"endpoint": "http://old.example:4318"}},
            "email": {"smtp": {"host": "mail.old.example"}, "from": "voicemail@old.example"},
            "web": {"host": "v.example", "login": [
                {"issuer": "https://a.example", "label": "A", "secretRef": {"name": "a"}},
                {"issuer": "https://b.example", "label": "B", "secretRef": {"name": "b"}},
            ]},
        }));
        let wanted = with(&json!({
            "auth": {"issuers": [issuer("https://b.example"), issuer("https://new.example")],
                     "serviceAccounts": [{"namespace": "x", "name": "media", "roles": ["Telephony"]}]},
            "gdpr": {"undoWindow": "24h", "approval": {"required": "Always"}}, "audit": {"retentionDays": 90},
        }));
        let day = Duration::from_secs(86_400);
        let text = config(&running).to_yaml().unwrap();
        let narrowed = narrow_text(&text, &wanted, &settings(), "cluster-1", Some(day)).unwrap();
        let narrowed = TenantConfig::parse(&narrowed).unwrap();
        let issuers: Vec<_> = narrowed.auth.issuers.iter().map(|issuer| issuer.issuer.as_str()).collect();
        assert_eq!(issuers, ["https://b.example"]);
        let accounts = &narrowed.auth.kubernetes.as_ref().unwrap().service_accounts;
        let namespaces: Vec<_> = accounts.iter().map(|account| account.namespace.as_str()).collect();
        assert_eq!(namespaces, ["x", "ops", "voice"], "the operator's and the telephone's own stay");
        assert_eq!((narrowed.gdpr.undo_window, narrowed.gdpr.least_undo_window), (day, day));
        assert_eq!(narrowed.gdpr.approval.required, ApprovalRule::Always);
        assert_eq!(narrowed.audit.retention, day * 90);
        assert!(narrowed.telemetry.otlp.is_none() && narrowed.email.is_none());
        let logins: Vec<_> =
            narrowed.web.iter().flat_map(|web| &web.login).map(|login| &login.label).collect();
        assert_eq!(logins, ["B"], "a core takes no settings with a login at an issuer that is left out");
        assert_eq!(narrowed.regions, config(&running).regions);
        // What is narrow enough is left alone, and so is what can't be read.
        let text = narrowed.to_yaml().unwrap();
        assert_eq!(narrow_text(&text, &wanted, &settings(), "cluster-1", Some(day)).as_ref(), Some(&text));
        assert_eq!(narrow_text("{}", &wanted, &settings(), "cluster-1", None), None);
    }

    #[test]
    fn what_loses_its_pages_links_to_none_so_that_a_core_takes_the_rest() {
        let running = with(&json!({
            "auth": {"issuers": [issuer("https://a.example")]},
            "web": {"host": "v.example", "login": [
                {"issuer": "https://a.example", "label": "A", "secretRef": {"name": "a"}},
            ]},
            "classesOfService": [{"name": "standard", "email": "Link"}],
        }));
        let (text, wanted) = (config(&running).to_yaml().unwrap(), with(&json!({})));
        let narrowed = narrow_text(&text, &wanted, &settings(), "cluster-1", None).unwrap();
        let narrowed = TenantConfig::parse(&narrowed).unwrap();
        assert_eq!((narrowed.web, narrowed.auth.issuers), (None, Vec::new()));
        assert_eq!(narrowed.classes_of_service[0].email, EmailContent::Caller);
    }
}
