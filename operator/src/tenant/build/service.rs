//! The Services: one address for the API, and a headless one by which monitors find each pod, and replicas do, to tell
//! one another which mailboxes changed.

use crate::tenant::build::names::{child, child_name, child_with, headless_name, selector_labels};
use crate::tenant::steps::validate::Plan;
use k8s_openapi::api::core::v1::{Service, ServicePort, ServiceSpec};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use voicemail_resources::voicemail_tenant::{IpFamily, Metadata};

pub use voicemail_cores::child_names::{API_PORT, METRICS_PORT};

/// UDP port of the hints that replicas send one another, inside the cluster only.
pub const HINTS_PORT: u16 = 9091;

/// Builds the API's Service.
pub fn build_service(plan: &Plan) -> Service {
    let given = &plan.service;
    let own = Metadata { labels: given.labels.clone(), annotations: given.annotations.clone() };
    let words = |family: &IpFamily| format!("{family:?}");
    Service {
        metadata: child_with(plan, child_name(&plan.name), &own),
        spec: Some(ServiceSpec {
            type_: Some(format!("{:?}", given.type_)),
            selector: Some(selector_labels(&plan.name)),
            ports: Some(vec![build_port("https", API_PORT, "api")]),
            ip_family_policy: given.ip_family_policy.map(|policy| format!("{policy:?}")),
            ip_families: given.ip_families.as_ref().map(|families| families.iter().map(words).collect()),
            external_traffic_policy: given.external_traffic_policy.map(|policy| format!("{policy:?}")),
            load_balancer_class: given.load_balancer_class.clone(),
            load_balancer_source_ranges: given.load_balancer_source_ranges.clone(),
            ..Default::default()
        }),
        ..Default::default()
    }
}

/// Builds the headless Service. Pods that aren't ready are in it too: a monitor wants to see them, and they may still
/// hold event streams. Replicas ask for its addresses alone, so that the port of hints needn't be one of its ports.
pub fn build_headless_service(plan: &Plan) -> Service {
    let ports = vec![build_port("https", API_PORT, "api"), build_port("metrics", METRICS_PORT, "metrics")];
    Service {
        metadata: child(plan, headless_name(&plan.name)),
        spec: Some(ServiceSpec {
            type_: Some("ClusterIP".into()),
            cluster_ip: Some("None".into()),
            publish_not_ready_addresses: Some(true),
            selector: Some(selector_labels(&plan.name)),
            ports: Some(ports),
            ..Default::default()
        }),
        ..Default::default()
    }
}

fn build_port(name: &str, port: u16, target: &str) -> ServicePort {
    ServicePort {
        name: Some(name.into()),
        port: port.into(),
        protocol: Some("TCP".into()),
        target_port: Some(IntOrString::String(target.into())),
        ..Default::default()
    }
}
