//! What a tenant's spec adds to the pods: where they run, and labels and annotations. Pure.
//!
//! Fields that the CRD's schema leaves open are read as Kubernetes' own types here. One that can't be read, or that has a
//! field which those types don't know, is refused by name, and nothing that runs is touched.

use crate::tenant::steps::refusal::Refusal;
use crate::tenant::steps::validate::Plan;
use k8s_openapi::api::core::v1::{Affinity, Toleration, TopologySpreadConstraint};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use voicemail_resources::voicemail_tenant::{Metadata, PodTemplate};

/// Where the pods run.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Placement {
    /// Labels that a node must have.
    pub node_selector: Option<BTreeMap<String, String>>,
    /// Nodes and pods that attract or repel.
    pub affinity: Option<Affinity>,
    /// Taints that are tolerated.
    pub tolerations: Option<Vec<Toleration>>,
    /// How pods are spread, instead of as usual.
    pub spread: Option<Vec<TopologySpreadConstraint>>,
    /// Priority class.
    pub priority_class_name: Option<String>,
    /// Scheduler.
    pub scheduler_name: Option<String>,
    /// Runtime class.
    pub runtime_class_name: Option<String>,
    /// Labels and annotations of the pods alone.
    pub metadata: Metadata,
}

/// Reads it.
///
/// # Errors
/// [`Refusal::PodTemplateInvalid`] names the field.
pub fn plan_placement(template: Option<&PodTemplate>) -> Result<Placement, Refusal> {
    let Some(PodTemplate { metadata, spec }) = template else { return Ok(Placement::default()) };
    let spread = spec.topology_spread_constraints.iter().enumerate();
    let spread = spread
        .map(|(at, given)| read(&format!("topologySpreadConstraints[{at}]"), given))
        .collect::<Result<Vec<_>, _>>()?;
    Ok(Placement {
        node_selector: (!spec.node_selector.is_empty()).then(|| spec.node_selector.clone()),
        affinity: spec.affinity.as_ref().map(|given| read("affinity", given)).transpose()?,
        tolerations: (!spec.tolerations.is_empty()).then(|| spec.tolerations.clone()),
        spread: (!spread.is_empty()).then_some(spread),
        priority_class_name: spec.priority_class_name.clone(),
        scheduler_name: spec.scheduler_name.clone(),
        runtime_class_name: spec.runtime_class_name.clone(),
        metadata: metadata.clone(),
    })
}

fn read<T: DeserializeOwned + Serialize>(field: &str, given: &Map<String, Value>) -> Result<T, Refusal> {
    let invalid =
        |fault: String| Refusal::PodTemplateInvalid { field: format!("podTemplate.spec.{field}"), fault };
    let read: T =
        serde_json::from_value(Value::Object(given.clone())).map_err(|error| invalid(error.to_string()))?;
    match serde_json::to_value(&read) {
        Ok(Value::Object(known)) => match find_unknown(given, &known) {
            Some(unknown) => Err(invalid(format!("there is no field {unknown}"))),
            None => Ok(read),
        },
        _ => Err(invalid("it isn't an object".into())),
    }
}

/// The first field that was given and isn't known.
fn find_unknown(given: &Map<String, Value>, known: &Map<String, Value>) -> Option<String> {
    given.iter().find_map(|(name, value)| match (value, known.get(name)) {
        (Value::Object(given), Some(Value::Object(known))) => find_unknown(given, known),
        (Value::Array(given), Some(Value::Array(known))) => given
            .iter()
            .zip(known)
            .find_map(|(given, known)| find_unknown(given.as_object()?, known.as_object()?)),
        (Value::Null, None) | (_, Some(_)) => None,
        (_, None) => Some(name.clone()),
    })
}

/// Metadata of the pods with what the spec gives them; what the operator says wins.
pub fn with_given(plan: &Plan, mut metadata: ObjectMeta) -> ObjectMeta {
    add(&mut metadata, &plan.placement.metadata);
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

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn template(spec: Value) -> Result<Placement, Refusal> {
        let template: PodTemplate = serde_json::from_value(json!({ "spec": spec })).unwrap();
        plan_placement(Some(&template))
    }

    #[test]
    fn affinity_and_spread_are_kubernetes_own() {
        let terms = json!([{"topologyKey": "zone", "labelSelector": {"matchLabels": {"a": "b"}}}]);
        let affinity = json!({"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": terms}});
        let spread = json!([{"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "DoNotSchedule"}]);
        let planned = template(json!({"affinity": affinity, "topologySpreadConstraints": spread})).unwrap();
        assert_eq!(serde_json::to_value(planned.affinity).unwrap(), affinity);
        assert_eq!(serde_json::to_value(planned.spread).unwrap(), spread);
    }

    #[test]
    fn what_those_types_do_not_know_is_refused_by_name() {
        for (spec, words) in [
            (
                json!({"affinity": {"podAntiAfinity": {}}}),
                "podTemplate.spec.affinity: there is no field podAntiAfinity",
            ),
            (json!({"affinity": {"nodeAffinity": {"required": {}}}}), "there is no field required"),
            (
                json!({"topologySpreadConstraints": [{"maxSkew": "one"}]}),
                "topologySpreadConstraints[0]: invalid type",
            ),
        ] {
            let refusal = template(spec).unwrap_err();
            assert!(refusal.to_string().contains(words), "{refusal}");
        }
    }
}
