//! The data claim, field by field as the spec says, always ReadWriteMany.
//!
//! It is never given to the garbage collector, which would take the messages with it.

use crate::tenant::build::names::{child, child_name};
use crate::tenant::steps::validate::Plan;
use k8s_openapi::api::core::v1::{
    PersistentVolumeClaim, PersistentVolumeClaimSpec, VolumeResourceRequirements,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta};
use std::collections::BTreeMap;
use voicemail_resources::voicemail_tenant::{Claim, Selector, VolumeMode};

/// The one access mode that several pods can share.
pub const READ_WRITE_MANY: &str = "ReadWriteMany";

/// Builds the claim.
pub fn build_claim(plan: &Plan, claim: &Claim) -> PersistentVolumeClaim {
    PersistentVolumeClaim {
        metadata: build_metadata(plan, claim),
        spec: Some(PersistentVolumeClaimSpec {
            access_modes: Some(vec![READ_WRITE_MANY.into()]),
            storage_class_name: Some(claim.storage_class_name.clone()),
            volume_name: claim.volume_name.clone(),
            selector: claim.selector.as_ref().map(build_selector),
            volume_mode: Some(match claim.volume_mode {
                VolumeMode::Filesystem => "Filesystem".into(),
            }),
            resources: Some(VolumeResourceRequirements {
                requests: Some(BTreeMap::from([("storage".into(), Quantity(claim.size.clone()))])),
                ..Default::default()
            }),
            ..Default::default()
        }),
        ..Default::default()
    }
}

fn build_metadata(plan: &Plan, claim: &Claim) -> ObjectMeta {
    let mut metadata = child(plan, child_name(&plan.name));
    let given = claim.labels.iter().map(|(key, value)| (key.clone(), value.0.clone()));
    let mut labels: BTreeMap<String, String> = given.collect();
    labels.extend(metadata.labels.take().unwrap_or_default());
    metadata.labels = Some(labels);
    metadata
}

fn build_selector(selector: &Selector) -> LabelSelector {
    let labels = selector.match_labels.iter().map(|(key, value)| (key.clone(), value.0.clone()));
    LabelSelector { match_labels: Some(labels.collect()), ..Default::default() }
}
