//! The NetworkPolicy: what may reach the pods. Egress is left open, since stores and issuers are anywhere.
//!
//! Hints are for the tenant's own pods. API and metrics are for everybody unless the tenant names who; the
//! operator always reaches both. The kubelet's probes come from the node, which policies don't govern.

use crate::tenant::build::names::{child, child_name, selector};
use crate::tenant::build::service::{API_PORT, HINTS_PORT, METRICS_PORT};
use crate::tenant::steps::validate::Plan;
use k8s_openapi::api::networking::v1::{
    NetworkPolicy, NetworkPolicyIngressRule, NetworkPolicyPeer, NetworkPolicyPort, NetworkPolicySpec,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use std::collections::BTreeMap;
use voicemail_cores::child_names::sip_selector;
use voicemail_resources::voicemail_tenant::Sources;

const NAMESPACE_NAME: &str = "kubernetes.io/metadata.name";

/// Builds the policy.
pub fn build_network_policy(plan: &Plan) -> NetworkPolicy {
    let given = plan.network_policy.clone().unwrap_or_default();
    let own_pods = NetworkPolicyPeer { pod_selector: Some(selector(&plan.name)), ..Default::default() };
    NetworkPolicy {
        metadata: child(plan, child_name(&plan.name)),
        spec: Some(NetworkPolicySpec {
            pod_selector: Some(selector(&plan.name)),
            policy_types: Some(vec!["Ingress".into()]),
            ingress: Some(vec![
                allow("TCP", API_PORT, build_peers(plan, given.api, telephone(plan))),
                allow("TCP", METRICS_PORT, build_peers(plan, given.metrics, Vec::new())),
                allow("UDP", HINTS_PORT, Some(vec![own_pods])),
            ]),
            ..Default::default()
        }),
    }
}

/// The pods that take calls, which work with the core, if there are any.
fn telephone(plan: &Plan) -> Vec<NetworkPolicyPeer> {
    let pods = NetworkPolicyPeer { pod_selector: Some(sip_selector(&plan.name)), ..Default::default() };
    plan.has_telephone().then_some(pods).into_iter().collect()
}

/// `None`: from everywhere.
pub(super) fn build_peers(
    plan: &Plan,
    given: Option<Sources>,
    own: Vec<NetworkPolicyPeer>,
) -> Option<Vec<NetworkPolicyPeer>> {
    let given = given.map(|sources| sources.from).filter(|from| !from.is_empty())?;
    let name = BTreeMap::from([(NAMESPACE_NAME.to_owned(), plan.operator_namespace.clone())]);
    let operator = NetworkPolicyPeer {
        namespace_selector: Some(LabelSelector { match_labels: Some(name), ..Default::default() }),
        ..Default::default()
    };
    Some(given.into_iter().chain([operator]).chain(own).collect())
}

pub(super) fn allow(
    protocol: &str,
    port: u16,
    from: Option<Vec<NetworkPolicyPeer>>,
) -> NetworkPolicyIngressRule {
    let port = NetworkPolicyPort {
        protocol: Some(protocol.into()),
        port: Some(IntOrString::Int(port.into())),
        end_port: None,
    };
    NetworkPolicyIngressRule { from, ports: Some(vec![port]) }
}
