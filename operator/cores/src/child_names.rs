//! How a tenant's children are found: their names, labels, ports and the keys of their Secrets. One rule for the code
//! that makes them, reads them, or calls the tenant's core.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use kube::ResourceExt;
use std::collections::BTreeMap;
use voicemail_resources::{MANAGED_BY_LABEL, MANAGER, TENANT_LABEL, VoicemailTenant};

/// Port of the HTTPS API.
pub const API_PORT: u16 = 8081;
/// Port of health and metrics, plain HTTP, inside the cluster only.
pub const METRICS_PORT: u16 = 9090;
/// Key of the authority's certificate, in the Secrets of the authority and of the serving certificate.
pub const CA_CERTIFICATE: &str = "ca.crt";

/// Label with the name of the program.
pub const NAME_LABEL: &str = "app.kubernetes.io/name";
const INSTANCE_LABEL: &str = "app.kubernetes.io/instance";
const PROGRAM: &str = "voicemail";
/// Name of the program that takes calls.
pub const TELEPHONE: &str = "voicemail-sip";

/// Name of every child that has no name of its own.
pub fn child_name(tenant: &str) -> String {
    format!("{tenant}-voicemail")
}

/// The host by which the API is reached within the cluster.
pub fn api_host(tenant: &str, namespace: &str) -> String {
    format!("{}.{namespace}.svc", child_name(tenant))
}

/// Name of the Secret with tenant key and receipt key that the operator makes.
pub fn keys_name(tenant: &str) -> String {
    format!("{tenant}-voicemail-keys")
}

/// Name of the Secret with the ledger of erasures, which is kept outside the store.
pub fn ledger_name(tenant: &str) -> String {
    format!("{tenant}-voicemail-ledger")
}

/// Name of the Secret with the serving certificate that the operator makes, or copies.
pub fn tls_name(tenant: &str) -> String {
    format!("{tenant}-voicemail-tls")
}

/// Name of the Secret with the certificate authority, which no pod sees, and of the ConfigMap with its certificate alone.
pub fn ca_name(tenant: &str) -> String {
    format!("{tenant}-voicemail-ca")
}

/// Name of the Secret by which workloads are bound to the API.
pub fn binding_name(tenant: &str) -> String {
    format!("{tenant}-voicemail-binding")
}

/// Name of the Service that gives each pod a name, and by which replicas find one another.
pub fn headless_name(tenant: &str) -> String {
    format!("{tenant}-voicemail-headless")
}

/// Name of the Service by which replicas of former versions find one another. It stays for them, and goes with the tenant.
pub fn former_peers_name(tenant: &str) -> String {
    format!("{tenant}-voicemail-peers")
}

/// Name of the Job that waits until nothing stands in the way of a deletion.
pub fn check_job_name(tenant: &str) -> String {
    format!("{tenant}-voicemail-retire-check")
}

/// Name of the Job that lets go of the store.
pub fn retire_job_name(tenant: &str) -> String {
    format!("{tenant}-voicemail-retire")
}

/// Name of the SecretProviderClass of a region.
pub fn provider_class_name(tenant: &str, region: &str) -> String {
    format!("{tenant}-voicemail-{region}")
}

/// The Secret with tenant key and receipt key: the one that the spec names, or the one that the operator makes.
pub fn keys_secret(tenant: &VoicemailTenant) -> String {
    let given = tenant.spec.keys.as_ref().map(|keys| keys.name().to_owned());
    given.unwrap_or_else(|| keys_name(&tenant.name_any()))
}

/// Name of the Secret with the copy of a brought certificate, where the brought one has the name of [`tls_name`].
pub fn tls_copy_name(tenant: &str) -> String {
    format!("{tenant}-voicemail-tls-copy")
}

/// The Secret that the spec names for the serving certificate; none if the operator makes it.
pub fn brought_tls_secret(tenant: &VoicemailTenant) -> Option<String> {
    tenant.spec.tls.as_ref().map(|tls| tls.name().to_owned())
}

/// The Secret with the certificate that the pods serve: the operator's own, into which it copies one that is brought.
pub fn serving_secret(tenant: &VoicemailTenant) -> String {
    let own = tls_name(&tenant.name_any());
    match brought_tls_secret(tenant) {
        Some(brought) if brought == own => tls_copy_name(&tenant.name_any()),
        _ => own,
    }
}

/// Name of the telephone's children.
pub fn sip_name(tenant: &str) -> String {
    format!("{tenant}-voicemail-sip")
}

/// Labels that choose the telephone's pods.
pub fn sip_labels(tenant: &str) -> BTreeMap<String, String> {
    BTreeMap::from([(NAME_LABEL.into(), TELEPHONE.into()), (TENANT_LABEL.into(), tenant.into())])
}

/// The same as a selector.
pub fn sip_selector(tenant: &str) -> LabelSelector {
    LabelSelector { match_labels: Some(sip_labels(tenant)), ..Default::default() }
}

/// The same as text.
pub fn sip_selector_text(tenant: &str) -> String {
    text_of(sip_labels(tenant))
}

/// Labels of the telephone's pods.
pub fn telephone_labels(tenant: &str) -> BTreeMap<String, String> {
    let mut labels = labels(tenant);
    labels.extend(sip_labels(tenant));
    labels
}

/// Labels of every child.
pub fn labels(tenant: &str) -> BTreeMap<String, String> {
    let mut labels = selector_labels(tenant);
    labels.insert(INSTANCE_LABEL.into(), tenant.into());
    labels.insert(MANAGED_BY_LABEL.into(), MANAGER.into());
    labels
}

/// The labels that choose a tenant's pods. They can never change: a Deployment's selector is immutable.
pub fn selector_labels(tenant: &str) -> BTreeMap<String, String> {
    BTreeMap::from([(NAME_LABEL.into(), PROGRAM.into()), (TENANT_LABEL.into(), tenant.into())])
}

/// The same as a selector.
pub fn selector(tenant: &str) -> LabelSelector {
    LabelSelector { match_labels: Some(selector_labels(tenant)), ..Default::default() }
}

/// The same as text, for autoscalers and list calls.
pub fn selector_text(tenant: &str) -> String {
    text_of(selector_labels(tenant))
}

fn text_of(labels: BTreeMap<String, String>) -> String {
    let pairs: Vec<String> = labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
    pairs.join(",")
}
