//! The PrometheusRule with alerts about one tenant's data-subject requests and its stores. Made where the cluster knows the kind,
//! unless the chart's rules, which are the same for all tenants at once, are installed.
//!
//! The rules are the chart's files, with each metric narrowed to what the tenant's PodMonitor scrapes.

use crate::settings::RUNBOOKS;
use crate::tenant::build::names::child_name;
use crate::tenant::build::pod_monitor::chosen_by_labels;
use crate::tenant::steps::validate::Plan;
use kube::api::DynamicObject;
use kube::core::{ApiResource, GroupVersionKind};
use serde_json::{Value, json};
use voicemail_cores::child_names::sip_name;
use voicemail_resources::voicemail_tenant::MonitoringMode;

const RULES: [&str; 4] = [
    include_str!("../../../../charts/voicemail-operator/alerts/data-subject-rights.yaml"),
    include_str!("../../../../charts/voicemail-operator/alerts/storage.yaml"),
    EMAIL,
    TELEPHONY,
];
/// Of tenants that send e-mails.
const EMAIL: &str = include_str!("../../../../charts/voicemail-operator/alerts/email.yaml");
/// Of tenants that have a telephone.
const TELEPHONY: &str = include_str!("../../../../charts/voicemail-operator/alerts/telephony.yaml");
const TELEPHONES: &str = "voicemail_sip_";
const METRIC: &str = "voicemail_";

/// The kind.
pub fn prometheus_rule_resource() -> ApiResource {
    let kind = GroupVersionKind::gvk("monitoring.coreos.com", "v1", "PrometheusRule");
    ApiResource::from_gvk_with_plural(&kind, "prometheusrules")
}

/// Builds the rules, unless the tenant wants no monitoring or the chart has installed them for all tenants.
///
/// # Errors
/// The file isn't YAML, which a test of this program excludes.
pub fn build_prometheus_rule(plan: &Plan) -> Result<Option<DynamicObject>, serde_yaml::Error> {
    if plan.monitoring.mode == MonitoringMode::Disabled || !plan.tenant_rules {
        return Ok(None);
    }
    let mut rules = DynamicObject::new(&child_name(&plan.name), &prometheus_rule_resource());
    rules.metadata = chosen_by_labels(plan);
    let mut spec = read_rules(plan.telephony.is_some(), plan.config.email.is_some())?;
    narrow(&mut spec, &plan.namespace, &plan.name);
    link(&mut spec, &plan.runbooks);
    rules.data = json!({ "spec": spec });
    Ok(Some(rules))
}

/// The groups of all files that are about the tenant.
fn read_rules(has_telephone: bool, sends_mails: bool) -> Result<Value, serde_yaml::Error> {
    let mut groups = Vec::new();
    let wanted = |file: &&&str| (has_telephone || **file != TELEPHONY) && (sends_mails || **file != EMAIL);
    for file in RULES.iter().filter(wanted) {
        let mut read: Value = serde_yaml::from_str(file)?;
        groups.extend(read["groups"].as_array_mut().map(std::mem::take).unwrap_or_default());
    }
    Ok(json!({ "groups": groups }))
}

/// Prometheus' operator gives the job of a PodMonitor the name `NAMESPACE/NAME`; the telephone has one of its own.
fn narrow(value: &mut Value, namespace: &str, tenant: &str) {
    match value {
        Value::Object(fields) => fields.iter_mut().for_each(|(key, value)| match value {
            Value::String(text) if key == "expr" => {
                let telephone = text.contains(TELEPHONES);
                let name = if telephone { sip_name(tenant) } else { child_name(tenant) };
                let selector = format!("{{namespace=\"{namespace}\",job=\"{namespace}/{name}\"}}");
                *text = narrow_metrics(text, &selector);
            }
            _ => narrow(value, namespace, tenant),
        }),
        Value::Array(items) => items.iter_mut().for_each(|item| narrow(item, namespace, tenant)),
        _ => {}
    }
}

/// Links to runbooks in another folder than the files say.
fn link(value: &mut Value, folder: &str) {
    match value {
        Value::String(text) => {
            if let Some(page) = text.strip_prefix(RUNBOOKS) {
                *text = format!("{folder}{page}");
            }
        }
        Value::Object(fields) => fields.values_mut().for_each(|value| link(value, folder)),
        Value::Array(items) => items.iter_mut().for_each(|item| link(item, folder)),
        _ => {}
    }
}

/// Puts the selector behind each of our metrics, or into the one that is there.
fn narrow_metrics(expression: &str, selector: &str) -> String {
    let mut parts = expression.split(METRIC);
    let mut narrowed = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let end = part.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(part.len());
        let (metric, rest) = part.split_at(end);
        match rest.strip_prefix('{') {
            Some(own) => narrowed.extend([METRIC, metric, selector.trim_end_matches('}'), ",", own]),
            None => narrowed.extend([METRIC, metric, selector, rest]),
        }
    }
    narrowed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_metric_of_every_rule_is_narrowed_to_the_tenant() {
        let mut spec = read_rules(true, true).unwrap();
        narrow(&mut spec, "voice", "acme");
        let text = spec.to_string().replace('\\', "");
        let (metrics, narrowed) = (
            text.matches("(voicemail_").count(),
            text.matches("{namespace=\"voice\",job=\"voice/acme-voicemail\"").count()
                + text.matches("{namespace=\"voice\",job=\"voice/acme-voicemail-sip\"").count(),
        );
        assert!(
            text.contains("voicemail_sip_ports_free{namespace=\"voice\",job=\"voice/acme-voicemail-sip\"")
        );
        let usual = read_rules(false, false).unwrap().to_string();
        assert!(!usual.contains("voicemail_sip_") && !usual.contains("voicemail_emails_"));
        assert!(metrics >= 7 && metrics == narrowed, "{text}");
        link(&mut spec, "https://intranet/runbooks/");
        let text = spec.to_string();
        assert!(
            text.contains("https://intranet/runbooks/storage-full.md") && !text.contains(RUNBOOKS),
            "{text}"
        );
    }

    #[test]
    fn a_selector_goes_behind_the_metric_and_nowhere_else() {
        let narrowed = narrow_metrics("max by (job) (voicemail_gdpr_a) / voicemail_gdpr_b > 0.5", "{x}");
        assert_eq!(narrowed, "max by (job) (voicemail_gdpr_a{x}) / voicemail_gdpr_b{x} > 0.5");
        let own = narrow_metrics(r#"max(voicemail_storage_hindered{reason="a"}) > 0"#, "{x}");
        assert_eq!(own, r#"max(voicemail_storage_hindered{x,reason="a"}) > 0"#);
    }
}
