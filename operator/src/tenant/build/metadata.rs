//! Labels and annotations that a tenant's spec adds to its pods and other children. Pure.

use crate::tenant::steps::validate::Plan;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use std::collections::BTreeMap;
use voicemail_resources::voicemail_tenant::Metadata;

/// Metadata of the pods with what the spec gives them; what the operator says wins.
pub fn with_given(plan: &Plan, mut metadata: ObjectMeta) -> ObjectMeta {
    add(&mut metadata, &plan.additions.metadata);
    add(&mut metadata, &plan.inherited);
    metadata
}

/// Adds labels and annotations whose names are free.
pub fn add(metadata: &mut ObjectMeta, given: &Metadata) {
    add_free(&mut metadata.labels, &given.labels);
    add_free(&mut metadata.annotations, &given.annotations);
}

fn add_free(own: &mut Option<BTreeMap<String, String>>, given: &BTreeMap<String, String>) {
    for (name, value) in given {
        own.get_or_insert_default().entry(name.clone()).or_insert_with(|| value.clone());
    }
}
