//! Metadata of a tenant's children; their names and labels are [`child_names`](voicemail_cores::child_names).

use crate::tenant::build::metadata::add;
use crate::tenant::steps::validate::Plan;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use voicemail_resources::TENANT_UID_LABEL;
use voicemail_resources::voicemail_tenant::Metadata;

pub use voicemail_cores::child_names::{
    NAME_LABEL, api_host, binding_name, brought_tls_secret, ca_name, check_job_name, child_name,
    headless_name, keys_name, keys_secret, labels, ledger_name, provider_class_name, retire_job_name,
    selector, selector_labels, selector_text, serving_secret, tls_copy_name, tls_name,
};

/// Metadata of a child. No child names its tenant as its owner: the garbage collector would take it at the beginning of
/// a deletion in the foreground, while the tenant still waits and serves. Children that go with their tenant are given
/// to the collector when it goes ([`let_children_go`](crate::tenant::steps::apply::let_children_go)).
pub fn child(plan: &Plan, name: String) -> ObjectMeta {
    child_with(plan, name, &Metadata::default())
}

/// The same with labels and annotations of this child alone, which win over those that all children inherit.
pub fn child_with(plan: &Plan, name: String, given: &Metadata) -> ObjectMeta {
    let mut labels = labels(&plan.name);
    labels.insert(TENANT_UID_LABEL.into(), plan.uid.clone());
    let mut metadata = ObjectMeta {
        name: Some(name),
        namespace: Some(plan.namespace.clone()),
        labels: Some(labels),
        ..Default::default()
    };
    add(&mut metadata, given);
    add(&mut metadata, &plan.inherited);
    metadata
}
