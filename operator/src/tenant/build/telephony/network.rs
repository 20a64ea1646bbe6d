//! How the telephone's pods are found, and by whom they may be reached.
//!
//! A trunk asks for the records of the headless Service: `_sip._udp` names the pods that take calls, as RFC 3263 wants it.
//! The kubelet's probes come from the node, which policies don't govern.

use super::plan::TelephonyPlan;
use super::sip_child;
use crate::tenant::build::network_policy::{allow, build_peers};
use crate::tenant::build::service::METRICS_PORT;
use crate::tenant::steps::validate::Plan;
use k8s_openapi::api::core::v1::{Service, ServicePort, ServiceSpec};
use k8s_openapi::api::networking::v1::{
    IPBlock, NetworkPolicy, NetworkPolicyIngressRule, NetworkPolicyPeer, NetworkPolicyPort, NetworkPolicySpec,
};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use voicemail_cores::child_names::{sip_labels, sip_selector};
use voicemail_resources::voicemail_tenant::{Trunk, TrunkTransport};

/// A port of SIP that the pods listen on.
pub(super) struct Listening {
    pub(super) name: &'static str,
    pub(super) protocol: &'static str,
    pub(super) port: i32,
    transport: TrunkTransport,
}

/// Those of a tenant. The program always listens for datagrams.
pub(super) fn listening(telephony: &TelephonyPlan) -> Vec<Listening> {
    let (ports, given) = (&telephony.given.network.ports, &telephony.given);
    let of = |name, protocol, port, transport| Listening { name, protocol, port, transport };
    let mut all = vec![of("sip", "UDP", ports.sip, TrunkTransport::Udp)];
    if telephony.listens_by_tcp() {
        all.push(of("sip-tcp", "TCP", ports.sip, TrunkTransport::Tcp));
    }
    if given.tls.is_some() {
        all.push(of("sips", "TCP", ports.tls(), TrunkTransport::Tls));
    }
    all
}

/// Builds the headless Service. Pods that aren't ready, those that stop among them, take no calls and aren't in it.
pub(super) fn build_service(plan: &Plan, telephony: &TelephonyPlan) -> Service {
    let port = |listening: &Listening| ServicePort {
        name: Some(listening.name.into()),
        port: listening.port,
        protocol: Some(listening.protocol.into()),
        target_port: Some(IntOrString::String(listening.name.into())),
        ..Default::default()
    };
    Service {
        metadata: sip_child(plan),
        spec: Some(ServiceSpec {
            type_: Some("ClusterIP".into()),
            cluster_ip: Some("None".into()),
            ip_family_policy: Some("PreferDualStack".into()),
            selector: Some(sip_labels(&plan.name)),
            ports: Some(listening(telephony).iter().map(port).collect()),
            ..Default::default()
        }),
        ..Default::default()
    }
}

/// Builds the policy: SIP from the trunks, audio from whom the spec names, metrics from those who may read the core's.
pub(super) fn build_network_policy(plan: &Plan, telephony: &TelephonyPlan) -> NetworkPolicy {
    let given = &telephony.given;
    let metrics = plan.network_policy.clone().unwrap_or_default().metrics;
    let rtp = &given.network.ports.rtp;
    let media = (!given.media_from.is_empty()).then(|| given.media_from.clone());
    NetworkPolicy {
        metadata: sip_child(plan),
        spec: Some(NetworkPolicySpec {
            pod_selector: Some(sip_selector(&plan.name)),
            policy_types: Some(vec!["Ingress".into()]),
            ingress: Some(
                listening(telephony)
                    .iter()
                    .filter_map(|listening| admit(telephony, listening))
                    .chain([
                        open("UDP", rtp.from, Some(rtp.to), media),
                        allow("TCP", METRICS_PORT, build_peers(plan, metrics, Vec::new())),
                    ])
                    .collect(),
            ),
            ..Default::default()
        }),
    }
}

/// Trunks reach a port by whose transport they call; nobody does where none calls by it. One that is known by its
/// certificates alone may be anywhere.
fn admit(telephony: &TelephonyPlan, listening: &Listening) -> Option<NetworkPolicyIngressRule> {
    let users: Vec<&Trunk> =
        telephony.given.trunks.iter().filter(|trunk| trunk.uses(listening.transport)).collect();
    let peer = |range: &String| NetworkPolicyPeer {
        ip_block: Some(IPBlock { cidr: range.clone(), except: None }),
        ..Default::default()
    };
    let anywhere = users.iter().any(|trunk| trunk.addresses.is_empty());
    let peers = (!anywhere).then(|| users.iter().flat_map(|trunk| &trunk.addresses).map(peer).collect());
    (!users.is_empty()).then(|| open(listening.protocol, listening.port, None, peers))
}

fn open(
    protocol: &str,
    from: i32,
    to: Option<i32>,
    peers: Option<Vec<NetworkPolicyPeer>>,
) -> NetworkPolicyIngressRule {
    let port = NetworkPolicyPort {
        protocol: Some(protocol.into()),
        port: Some(IntOrString::Int(from)),
        end_port: to,
    };
    NetworkPolicyIngressRule { from: peers, ports: Some(vec![port]) }
}
