//! The PodMonitor, by which Prometheus' operator finds the pods' metrics. Made where the cluster knows the kind.

use crate::tenant::build::names::{child_name, child_with, selector};
use crate::tenant::steps::validate::Plan;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::DynamicObject;
use kube::core::{ApiResource, GroupVersionKind};
use serde_json::json;
use voicemail_resources::voicemail_tenant::{Metadata, MonitoringMode};

/// The kind.
pub fn pod_monitor_resource() -> ApiResource {
    let kind = GroupVersionKind::gvk("monitoring.coreos.com", "v1", "PodMonitor");
    ApiResource::from_gvk_with_plural(&kind, "podmonitors")
}

/// Builds the monitor, unless the tenant wants none.
pub fn build_pod_monitor(plan: &Plan) -> Option<DynamicObject> {
    if plan.monitoring.mode == MonitoringMode::Disabled {
        return None;
    }
    let mut monitor = DynamicObject::new(&child_name(&plan.name), &pod_monitor_resource());
    monitor.metadata = chosen_by_labels(plan);
    monitor.data = json!({"spec": {
        "selector": selector(&plan.name),
        "podMetricsEndpoints": [{"port": "metrics", "path": "/metrics", "interval": "30s"}],
    }});
    Some(monitor)
}

/// Metadata with the labels by which a Prometheus chooses.
pub(super) fn chosen_by_labels(plan: &Plan) -> ObjectMeta {
    let labels = plan.monitoring.labels.iter().map(|(key, value)| (key.clone(), value.0.clone())).collect();
    child_with(plan, child_name(&plan.name), &Metadata { labels, ..Metadata::default() })
}
