//! The PodDisruptionBudget: a drain takes one pod at a time.

use crate::tenant::build::names::{child, child_name, selector};
use crate::tenant::steps::validate::Plan;
use k8s_openapi::api::policy::v1::{PodDisruptionBudget, PodDisruptionBudgetSpec};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

/// Builds the budget. `maxUnavailable`, not `minAvailable`: with one replica a drain must still be possible.
pub fn build_disruption_budget(plan: &Plan) -> PodDisruptionBudget {
    PodDisruptionBudget {
        metadata: child(plan, child_name(&plan.name)),
        spec: Some(PodDisruptionBudgetSpec {
            max_unavailable: Some(IntOrString::Int(1)),
            selector: Some(selector(&plan.name)),
            unhealthy_pod_eviction_policy: Some("AlwaysAllow".into()),
            ..Default::default()
        }),
        ..Default::default()
    }
}
