//! The HorizontalPodAutoscaler, for a tenant whose replicas follow the load.
//!
//! It alone sets the Deployment's replicas then: [`build_deployment`](crate::tenant::build::deployment::build_deployment) leaves
//! them out. Growing is quick, since callers wait; shrinking takes five minutes of quiet.

use crate::tenant::build::names::{child, child_name};
use crate::tenant::steps::validate::Plan;
use k8s_openapi::api::autoscaling::v2::{
    CrossVersionObjectReference, HPAScalingRules, HorizontalPodAutoscaler, HorizontalPodAutoscalerBehavior,
    HorizontalPodAutoscalerSpec, MetricSpec, MetricTarget, ResourceMetricSource,
};

const QUIET_SECONDS: i32 = 300;

/// Builds the autoscaler, if the tenant wants one.
pub fn build_autoscaler(plan: &Plan) -> Option<HorizontalPodAutoscaler> {
    let wanted = plan.autoscaling.as_ref()?;
    let name = child_name(&plan.name);
    Some(HorizontalPodAutoscaler {
        metadata: child(plan, name.clone()),
        spec: Some(HorizontalPodAutoscalerSpec {
            scale_target_ref: CrossVersionObjectReference {
                api_version: Some("apps/v1".into()),
                kind: "Deployment".into(),
                name,
            },
            min_replicas: Some(wanted.min_replicas),
            max_replicas: wanted.max_replicas,
            metrics: Some(vec![build_cpu_metric(wanted.target_cpu_utilization_percentage)]),
            behavior: Some(HorizontalPodAutoscalerBehavior {
                scale_down: Some(HPAScalingRules {
                    stabilization_window_seconds: Some(QUIET_SECONDS),
                    ..Default::default()
                }),
                scale_up: None,
            }),
        }),
        ..Default::default()
    })
}

fn build_cpu_metric(percent: i32) -> MetricSpec {
    MetricSpec {
        type_: "Resource".into(),
        resource: Some(ResourceMetricSource {
            name: "cpu".into(),
            target: MetricTarget {
                type_: "Utilization".into(),
                average_utilization: Some(percent),
                ..Default::default()
            },
        }),
        ..Default::default()
    }
}
