//! The data claim, field by field as the spec says, always ReadWriteMany.
//!
//! It is never given to the garbage collector, which would take the messages with it.

use crate::tenant::build::names::{child_name, child_with};
use crate::tenant::steps::validate::Plan;
use k8s_openapi::api::core::v1::{
    PersistentVolumeClaim, PersistentVolumeClaimSpec, VolumeResourceRequirements,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use std::collections::BTreeMap;
use voicemail_resources::voicemail_tenant::{Claim, Metadata};

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
            selector: claim.selector.clone(),
            volume_mode: Some("Filesystem".into()),
            resources: Some(VolumeResourceRequirements {
                requests: Some(BTreeMap::from([("storage".into(), Quantity(claim.size.0.clone()))])),
                ..Default::default()
            }),
            ..Default::default()
        }),
        ..Default::default()
    }
}

fn build_metadata(plan: &Plan, claim: &Claim) -> ObjectMeta {
    let labels = claim.labels.iter().map(|(key, value)| (key.clone(), value.0.clone())).collect();
    child_with(plan, child_name(&plan.name), &Metadata { labels, annotations: claim.annotations.clone() })
}
