//! The NetworkPolicy: what may reach the pods. Egress is left open, since stores and issuers are anywhere.
//!
//! Hints are for the tenant's own pods. API and metrics are for everybody unless the tenant names who; the
//! operator always reaches both. The kubelet's probes come from the node, which policies don't govern.

use crate::tenant::build::names::{child, child_name, selector};
use crate::tenant::build::service::{API_PORT, HINTS_PORT, METRICS_PORT};
use crate::tenant::steps::validate::Plan;
use k8s_openapi::api::networking::v1::{
    IPBlock, NetworkPolicy, NetworkPolicyIngressRule, NetworkPolicyPeer, NetworkPolicyPort, NetworkPolicySpec,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use std::collections::BTreeMap;
use voicemail_resources::voicemail_tenant::Peer;

const NAMESPACE_NAME: &str = "kubernetes.io/metadata.name";

/// Builds the policy.
pub fn build_network_policy(plan: &Plan) -> NetworkPolicy {
    let access = plan.network_access.clone().unwrap_or_default();
    let own_pods = NetworkPolicyPeer { pod_selector: Some(selector(&plan.name)), ..Default::default() };
    NetworkPolicy {
        metadata: child(plan, child_name(&plan.name)),
        spec: Some(NetworkPolicySpec {
            pod_selector: Some(selector(&plan.name)),
            policy_types: Some(vec!["Ingress".into()]),
            ingress: Some(vec![
                allow("TCP", API_PORT, build_peers(plan, &access.api_from)),
                allow("TCP", METRICS_PORT, build_peers(plan, &access.metrics_from)),
                allow("UDP", HINTS_PORT, Some(vec![own_pods])),
            ]),
            ..Default::default()
        }),
    }
}

/// `None`: from everywhere.
fn build_peers(plan: &Plan, given: &[Peer]) -> Option<Vec<NetworkPolicyPeer>> {
    if given.is_empty() {
        return None;
    }
    let operator = Peer { namespace: Some(plan.operator_namespace.clone()), ..Peer::default() };
    Some(given.iter().chain([&operator]).map(build_peer).collect())
}

fn build_peer(peer: &Peer) -> NetworkPolicyPeer {
    let labels =
        |pairs: BTreeMap<String, String>| LabelSelector { match_labels: Some(pairs), ..Default::default() };
    let pods: BTreeMap<String, String> =
        peer.pod_labels.iter().map(|(key, value)| (key.clone(), value.0.clone())).collect();
    NetworkPolicyPeer {
        ip_block: peer.cidr.clone().map(|cidr| IPBlock { cidr, except: None }),
        namespace_selector: peer
            .namespace
            .clone()
            .map(|name| labels(BTreeMap::from([(NAMESPACE_NAME.to_owned(), name)]))),
        pod_selector: (!pods.is_empty()).then(|| labels(pods)),
    }
}

fn allow(protocol: &str, port: u16, from: Option<Vec<NetworkPolicyPeer>>) -> NetworkPolicyIngressRule {
    let port = NetworkPolicyPort {
        protocol: Some(protocol.into()),
        port: Some(IntOrString::Int(port.into())),
        end_port: None,
    };
    NetworkPolicyIngressRule { from, ports: Some(vec![port]) }
}
