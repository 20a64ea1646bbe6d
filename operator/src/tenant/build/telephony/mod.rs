//! The telephone's objects: pods that take calls, where they are found, what they are told, and who may reach them. Pure.
//!
//! ```text
//! spec.telephony ─▶ TelephonyPlan ─▶ StatefulSet, headless Service, ConfigMap, ServiceAccount, budget, policy, monitor
//! ```
//!
//! The pods hold neither keys nor credentials of stores: they know the core by its API alone, by a token of their own
//! account whose audience is this tenant. A StatefulSet gives each pod a number, by which it finds its advertised address
//! and its volume.

mod config;
mod network;
mod plan;
mod stateful_set;

pub use plan::{TelephonyPlan, plan_telephony};
pub use stateful_set::{CONTAINER, SPOOL_KEY};

use crate::tenant::build::BuildError;
use crate::tenant::build::names::{child, child_with};
use crate::tenant::build::pod_monitor::pod_monitor_resource;
use crate::tenant::steps::validate::Plan;
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{ConfigMap, Secret, Service, ServiceAccount};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use k8s_openapi::api::policy::v1::{PodDisruptionBudget, PodDisruptionBudgetSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use kube::api::DynamicObject;
use serde_json::json;
use std::collections::BTreeMap;
use voicemail_cores::child_names::{NAME_LABEL, TELEPHONE, sip_name, sip_selector};
use voicemail_resources::voicemail_tenant::{Metadata, MonitoringMode};

/// The telephone's objects that should exist, not yet applied.
#[derive(Clone, Debug)]
pub struct BuiltTelephony {
    /// Identity of the pods.
    pub service_account: ServiceAccount,
    /// Configuration of the program.
    pub config: ConfigMap,
    /// The pods' names, and the records by which a trunk finds those that take calls.
    pub service: Service,
    /// The traffic that may reach them.
    pub network_policy: NetworkPolicy,
    /// Keeps a drain of nodes from taking all pods at once.
    pub disruption_budget: PodDisruptionBudget,
    /// Finds their metrics, where the cluster knows the kind.
    pub pod_monitor: Option<DynamicObject>,
    /// The pods.
    pub stateful_set: StatefulSet,
}

/// Builds them; none where the tenant has no telephone.
///
/// # Errors
/// See [`BuildError`].
pub fn build_telephony(plan: &Plan) -> Result<Option<BuiltTelephony>, BuildError> {
    let Some(telephony) = &plan.telephony else { return Ok(None) };
    let config = config::write_config(plan, telephony)?;
    Ok(Some(BuiltTelephony {
        service_account: build_service_account(plan),
        service: network::build_service(plan, telephony),
        network_policy: network::build_network_policy(plan, telephony),
        disruption_budget: build_disruption_budget(plan),
        pod_monitor: build_pod_monitor(plan),
        stateful_set: stateful_set::build_stateful_set(plan, telephony, &config),
        config: ConfigMap {
            metadata: sip_child(plan),
            data: Some(BTreeMap::from([(config::CONFIG_FILE.to_owned(), config)])),
            ..Default::default()
        },
    }))
}

/// Metadata of a child, which is known as the telephone's.
fn sip_child(plan: &Plan) -> ObjectMeta {
    named_telephone(child(plan, sip_name(&plan.name)))
}

fn named_telephone(mut metadata: ObjectMeta) -> ObjectMeta {
    metadata.labels.get_or_insert_default().insert(NAME_LABEL.into(), TELEPHONE.into());
    metadata
}

/// It has no right in the cluster, and its token is for the core alone.
fn build_service_account(plan: &Plan) -> ServiceAccount {
    ServiceAccount {
        metadata: sip_child(plan),
        automount_service_account_token: Some(false),
        ..Default::default()
    }
}

fn build_disruption_budget(plan: &Plan) -> PodDisruptionBudget {
    PodDisruptionBudget {
        metadata: sip_child(plan),
        spec: Some(PodDisruptionBudgetSpec {
            max_unavailable: Some(IntOrString::Int(1)),
            selector: Some(sip_selector(&plan.name)),
            unhealthy_pod_eviction_policy: Some("AlwaysAllow".into()),
            ..Default::default()
        }),
        ..Default::default()
    }
}

fn build_pod_monitor(plan: &Plan) -> Option<DynamicObject> {
    if plan.monitoring.mode == MonitoringMode::Disabled {
        return None;
    }
    let name = sip_name(&plan.name);
    let labels = plan.monitoring.labels.iter().map(|(key, value)| (key.clone(), value.0.clone())).collect();
    let given = Metadata { labels, ..Metadata::default() };
    let mut monitor = DynamicObject::new(&name, &pod_monitor_resource());
    monitor.metadata = named_telephone(child_with(plan, name, &given));
    monitor.data = json!({"spec": {
        "selector": sip_selector(&plan.name),
        "podMetricsEndpoints": [{"port": "metrics", "path": "/metrics", "interval": "30s"}],
    }});
    Some(monitor)
}

/// The Secret with the key that recordings on the pods' disks are sealed by. It is made once: another one opens nothing of
/// what waits there.
///
/// # Errors
/// The machine has no randomness.
pub fn make_spool_secret(plan: &Plan) -> Result<Secret, crate::tenant::build::keys::NoRandomness> {
    let mut key = [0u8; 32];
    aws_lc_rs::rand::fill(&mut key).map_err(|_| crate::tenant::build::keys::NoRandomness)?;
    Ok(Secret {
        metadata: sip_child(plan),
        type_: Some("Opaque".into()),
        data: Some(BTreeMap::from([(SPOOL_KEY.to_owned(), k8s_openapi::ByteString(key.to_vec()))])),
        ..Default::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tenant::build::build;
    use crate::tenant::tests::{facts, plan_with, tenant};
    use serde_json::Value;

    fn plan(change: impl FnOnce(&mut Value)) -> Plan {
        let with = |value: &mut Value| {
            value["spec"]["telephony"] = json!({
                "domain": "pbx.example.com", "trunks": [{"name": "pbx", "addresses": ["192.0.2.0/24"]}],
            });
            change(&mut value["spec"]["telephony"]);
        };
        plan_with(&tenant(with), &facts()).unwrap()
    }

    fn built(change: impl FnOnce(&mut Value)) -> BuiltTelephony {
        build_telephony(&plan(change)).unwrap().unwrap()
    }

    #[test]
    fn without_the_field_there_is_nothing_of_it() {
        let plan = plan_with(&tenant(|_| {}), &facts()).unwrap();
        assert!(build(&plan).unwrap().telephony.is_none());
        let accounts = plan.config.auth.kubernetes.unwrap().service_accounts;
        assert!(accounts.iter().all(|account| account.name != "acme-voicemail-sip"));
    }

    #[test]
    fn the_pods_account_may_call_the_core_and_by_a_token_for_this_tenant_alone() {
        let plan = plan(|_| {});
        let accounts = &plan.config.auth.kubernetes.as_ref().unwrap().service_accounts;
        let own = accounts.iter().find(|account| account.name == "acme-voicemail-sip").unwrap();
        assert_eq!(own.roles, [voicemail_api::config::Role::Telephony]);
        assert_eq!((own.audience.as_deref(), own.namespace.as_str()), (Some("uid-1"), "voice"));
        let set = serde_json::to_value(build_telephony(&plan).unwrap().unwrap().stateful_set).unwrap();
        let text = set.to_string();
        assert!(text.contains(r#""audience":"uid-1""#), "{text}");
        // Neither keys nor certificates' keys get into these pods.
        for secret in ["acme-voicemail-keys", "tls.key", "tenant.key"] {
            assert!(!text.contains(secret), "{secret}: {text}");
        }
    }

    #[test]
    fn the_cores_selector_does_not_choose_the_telephones_pods() {
        let set = built(|_| {}).stateful_set.spec.unwrap();
        let labels = set.template.metadata.unwrap().labels.unwrap();
        let core = voicemail_cores::child_names::selector_labels("acme");
        assert!(core.iter().any(|(key, value)| labels.get(key) != Some(value)));
        assert!(set.selector.match_labels.unwrap().iter().all(|(key, value)| labels.get(key) == Some(value)));
    }

    #[test]
    fn a_stopping_pod_has_time_for_its_calls_and_to_bring_away_what_they_left() {
        let grace = |change: &dyn Fn(&mut Value)| {
            built(change).stateful_set.spec.unwrap().template.spec.unwrap().termination_grace_period_seconds
        };
        // Three minutes of a message, four more, two to empty the disk that goes with the pod, and a rest.
        assert_eq!(grace(&|_| {}), Some(180 + 240 + 120 + 30));
        assert_eq!(grace(&|telephony| telephony["drain"] = json!("10m")), Some(600 + 120 + 30));
    }

    #[test]
    fn a_claim_for_each_pod_outlives_pods_and_set() {
        let claim = |telephony: &mut Value| {
            telephony["spool"] = json!({"claim": {"storageClassName": "fast"}, "size": "2Gi"})
        };
        let spec = serde_json::to_value(built(claim).stateful_set).unwrap()["spec"].clone();
        assert_eq!(
            spec["persistentVolumeClaimRetentionPolicy"],
            json!({"whenDeleted": "Retain", "whenScaled": "Retain"})
        );
        let template = &spec["volumeClaimTemplates"][0];
        assert_eq!(template["spec"]["storageClassName"], "fast");
        assert_eq!(template["spec"]["resources"]["requests"]["storage"], "2Gi");
        let config = built(claim).config.data.unwrap().remove("sip.yaml").unwrap();
        assert!(config.contains("sizeMib: 2048"), "{config}");
    }

    #[test]
    fn callers_come_from_trunks_and_audio_from_whom_the_spec_names() {
        let open = serde_json::to_value(built(|_| {}).network_policy).unwrap()["spec"]["ingress"].clone();
        assert_eq!(open[0]["from"], json!([{"ipBlock": {"cidr": "192.0.2.0/24"}}]));
        assert_eq!(open[0]["ports"], json!([{"protocol": "UDP", "port": 5060}]));
        assert_eq!(open[1], json!({"ports": [{"protocol": "UDP", "port": 20_000, "endPort": 20_999}]}));
        let from =
            |telephony: &mut Value| telephony["mediaFrom"] = json!([{"ipBlock": {"cidr": "10.0.0.0/8"}}]);
        let closed = serde_json::to_value(built(from).network_policy).unwrap()["spec"]["ingress"].clone();
        assert_eq!(closed[1]["from"], json!([{"ipBlock": {"cidr": "10.0.0.0/8"}}]));
    }

    #[test]
    fn connections_are_listened_for_where_a_trunk_uses_them_and_nothing_changes_else() {
        let secured = |telephony: &mut Value| {
            telephony["tls"] = json!({"secretRef": {"name": "sip-tls"}, "peerCARef": {"name": "company"}});
            telephony["trunks"] = json!([
                {"name": "pbx", "addresses": ["192.0.2.0/24"], "transports": ["TCP"]},
                {"name": "sbc", "transports": ["TLS"],
                 "clientCertificates": {"caRef": {"kind": "Secret", "name": "sbc"}, "names": ["sbc.example.com"]}},
                {"name": "phones", "digest": {"secretRef": {"name": "phones-users"}}},
            ]);
        };
        let built = built(secured);
        let config: Value = serde_yaml::from_str(&built.config.data.unwrap()["sip.yaml"]).unwrap();
        assert_eq!(config["listen"]["tcp"], "0.0.0.0:5060");
        assert_eq!(
            config["listen"]["tls"],
            json!({"address": "0.0.0.0:5061", "certificate": "/etc/voicemail-sip/tls/tls.crt",
                   "key": "/etc/voicemail-sip/tls/tls.key",
                   "peerAuthorities": "/etc/voicemail-sip/trust/configMap/company/ca.crt"})
        );
        let known = &config["trunks"][1]["clientCertificates"];
        assert_eq!(known["authorities"], "/etc/voicemail-sip/trust/sbc/ca.crt");
        let ingress = serde_json::to_value(built.network_policy).unwrap()["spec"]["ingress"].clone();
        assert_eq!(
            config["trunks"][2]["digest"],
            json!({"users": "/etc/voicemail-sip/digest/phones/users", "algorithms": ["SHA-256", "MD5"]})
        );
        // Phones and the SBC may be anywhere.
        assert_eq!(ingress[0], json!({"ports": [{"protocol": "UDP", "port": 5060}]}));
        assert_eq!(ingress[1]["ports"], json!([{"protocol": "TCP", "port": 5060}]));
        assert_eq!(ingress[1]["from"], json!([{"ipBlock": {"cidr": "192.0.2.0/24"}}]));
        assert_eq!(ingress[2], json!({"ports": [{"protocol": "TCP", "port": 5061}]}));
        let ports = serde_json::to_value(built.service).unwrap()["spec"]["ports"].clone();
        let names: Vec<&Value> = ports.as_array().unwrap().iter().map(|port| &port["name"]).collect();
        assert_eq!(names, ["sip", "sip-tcp", "sips"]);
        let pod = serde_json::to_value(built.stateful_set).unwrap()["spec"]["template"]["spec"].clone();
        let volumes = pod["volumes"].as_array().unwrap();
        let tls = volumes.iter().find(|volume| volume["name"] == "tls").unwrap();
        assert_eq!(tls["secret"]["secretName"], "sip-tls");
        assert!(volumes.iter().any(|volume| volume["name"] == "trust"));
        let users = volumes.iter().find(|volume| volume["name"] == "digest").unwrap();
        assert_eq!(
            users["projected"]["sources"][0]["secret"]["items"],
            json!([{"key": "users", "path": "phones/users"}])
        );
    }

    #[test]
    fn prompts_of_the_tenants_own_are_mounted_read_only_and_named() {
        let of = |reference: &str| {
            let reference = json!({reference: {"name": "acme-prompts"}});
            let built = built(|telephony| telephony["dialogue"] = json!({"prompts": reference}));
            let config: Value = serde_yaml::from_str(&built.config.data.unwrap()["sip.yaml"]).unwrap();
            assert_eq!(config["dialogue"]["ownPrompts"], "/etc/voicemail-sip/prompts");
            let pod = serde_json::to_value(built.stateful_set).unwrap()["spec"]["template"]["spec"].clone();
            let mounts = pod["containers"][0]["volumeMounts"].as_array().unwrap().clone();
            let mount = mounts.into_iter().find(|mount| mount["name"] == "prompts").unwrap();
            assert_eq!(
                (&mount["mountPath"], &mount["readOnly"]),
                (&json!("/etc/voicemail-sip/prompts"), &json!(true))
            );
            let volumes = pod["volumes"].as_array().unwrap().clone();
            volumes.into_iter().find(|volume| volume["name"] == "prompts").unwrap()
        };
        assert_eq!(of("configMapRef")["configMap"], json!({"name": "acme-prompts", "optional": true}));
        let claim = json!({"claimName": "acme-prompts", "readOnly": true});
        assert_eq!(of("existingClaimRef")["persistentVolumeClaim"], claim);
    }

    #[test]
    fn nobody_reaches_datagrams_where_no_trunk_calls_by_them() {
        let by_tcp = |telephony: &mut Value| telephony["trunks"][0]["transports"] = json!(["TCP"]);
        let ingress = serde_json::to_value(built(by_tcp).network_policy).unwrap()["spec"]["ingress"].clone();
        assert_eq!(ingress[0]["ports"], json!([{"protocol": "TCP", "port": 5060}]));
        assert_eq!(ingress[1]["ports"][0]["port"], 20_000);
    }

    #[test]
    fn what_is_written_for_a_trunk_of_before_is_what_was_written_before() {
        let config = built(|_| {}).config.data.unwrap().remove("sip.yaml").unwrap();
        for new in [
            "transports",
            "clientCertificates",
            "tcp",
            "tls",
            "digest",
            "callsPer",
            "notify",
            "ownPrompts",
            "outbound",
        ] {
            assert!(!config.contains(new), "{new}: {config}");
        }
    }

    #[test]
    fn phones_that_never_subscribe_are_written_for_the_program_and_not_too_many() {
        let told = |ranges: usize| {
            move |telephony: &mut Value| {
                let range =
                    |at: usize| json!({"first": format!("{at:02}000"), "last": format!("{at:02}999")});
                telephony["trunks"][0]["notify"] = json!({
                    "proxy": "pbx.example.com:5060", "uri": "sip:{mailbox}@pbx.example.com",
                    "mailboxes": (0..ranges).map(range).collect::<Vec<_>>(),
                });
            }
        };
        let config: Value = serde_yaml::from_str(&built(told(1)).config.data.unwrap()["sip.yaml"]).unwrap();
        assert_eq!(
            config["trunks"][0]["notify"],
            json!({"proxy": "pbx.example.com:5060", "transport": "UDP", "uri": "sip:{mailbox}@pbx.example.com",
                   "mailboxes": [{"first": "00000", "last": "00999"}]})
        );
        let asked = built(|telephony| {
            told(1)(telephony);
            telephony["trunks"][0]["notify"]["secretRef"] = json!({"name": "pbx-user"});
            telephony["trunks"][0]["outboundProxy"] = json!("sbc.example.com:5060");
        });
        let config: Value = serde_yaml::from_str(&asked.config.data.unwrap()["sip.yaml"]).unwrap();
        assert_eq!(config["trunks"][0]["notify"]["users"], "/etc/voicemail-sip/digest/pbx.notify/users");
        assert_eq!(config["trunks"][0]["outboundProxy"], "sbc.example.com:5060");
        let set = serde_json::to_value(asked.stateful_set).unwrap().to_string();
        assert!(
            set.contains(
                r#"{"items":[{"key":"users","path":"pbx.notify/users"}],"name":"pbx-user","optional":true}"#
            ),
            "{set}"
        );
        let many = tenant(|value| {
            value["spec"]["telephony"] = json!({
                "domain": "pbx", "trunks": [{"name": "pbx", "addresses": ["192.0.2.0/24"]}],
            });
            told(21)(&mut value["spec"]["telephony"]);
        });
        let refusal = plan_with(&many, &facts()).unwrap_err().to_string();
        assert!(refusal.contains("at most 20000 mailboxes"), "{refusal}");
    }

    #[test]
    fn another_trunk_is_another_configuration_and_rolls_the_pods() {
        let hash = |built: &BuiltTelephony| {
            built.stateful_set.spec.clone().unwrap().template.metadata.unwrap().annotations.unwrap()
        };
        let other = built(|telephony| telephony["trunks"][0]["limits"] = json!({"calls": 10}));
        assert_ne!(hash(&built(|_| {})), hash(&other));
        assert_eq!(hash(&built(|_| {})), hash(&built(|_| {})));
    }

    #[test]
    fn each_spool_has_a_key_of_its_own() {
        let plan = plan(|_| {});
        let key = || make_spool_secret(&plan).unwrap().data.unwrap().remove(SPOOL_KEY).unwrap().0;
        assert_eq!(key().len(), 32);
        assert_ne!(key(), key());
    }
}
