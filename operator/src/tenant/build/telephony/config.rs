//! The program's configuration, as it reads it: `voicemail-sip serve --config`.

use super::plan::{TelephonyPlan, notify_folder};
use super::stateful_set::{
    CORE_DIR, DIGEST_DIR, KEY_DIR, PROMPTS_DIR, SPOOL_DIR, SPOOL_KEY, TLS_DIR, TOKEN_FILE, TRUST_DIR,
};
use crate::tenant::build::access::{CA_KEY, USERS_KEY, ca_folder};
use crate::tenant::build::certificate::{TLS_CERTIFICATE, TLS_KEY};
use crate::tenant::build::names::api_host;
use crate::tenant::build::service::{API_PORT, METRICS_PORT};
use crate::tenant::steps::validate::Plan;
use serde_json::{Value, json};
use std::time::Duration;
use voicemail_resources::references::CaRef;
use voicemail_resources::voicemail_tenant::{TelephonyTls, Trunk, TrunkNotify, TrunkTransport};

/// Key in the ConfigMap and name of the mounted file.
pub(super) const CONFIG_FILE: &str = "sip.yaml";
/// The prompts that the image has.
const PROMPTS: &str = "/usr/share/voicemail/prompts/en.pack";

/// Writes it. The pods' own addresses aren't in it: each pod adds its own.
pub(super) fn write_config(plan: &Plan, telephony: &TelephonyPlan) -> Result<String, serde_yaml::Error> {
    let given = &telephony.given;
    let host = api_host(&plan.name, &plan.namespace);
    let mut core = json!({
        "url": format!("https://{host}:{API_PORT}/api/v1"),
        "tokenFile": format!("{CORE_DIR}/{TOKEN_FILE}"),
    });
    if telephony.has_authority {
        core["caFile"] = json!(format!("{CORE_DIR}/ca.crt"));
    }
    let mut config = json!({
        "listen": {"sip": format!("0.0.0.0:{}", given.network.ports.sip), "metrics": format!("0.0.0.0:{METRICS_PORT}")},
        "domain": given.domain,
        "core": core,
        "rtp": given.network.ports.rtp,
        "accessNumbers": given.access_numbers,
        "trunks": given.trunks.iter().map(write_trunk).collect::<Vec<_>>(),
        "spool": {
            "folder": format!("{SPOOL_DIR}/recordings"),
            "keyFile": format!("{KEY_DIR}/{SPOOL_KEY}"),
            "sizeMib": telephony.spool_mib,
            "maxAge": seconds(telephony.max_age),
            "emptying": seconds(telephony.emptying),
        },
        "dialogue": {"prompts": PROMPTS, "silence": seconds(telephony.silence)},
        "drain": seconds(telephony.drain),
    });
    if given.dialogue.prompts.is_some() {
        config["dialogue"]["ownPrompts"] = json!(PROMPTS_DIR);
    }
    if let Some(advertised) = &given.network.advertised {
        config["advertised"] = json!(advertised.addresses);
    }
    if telephony.listens_by_tcp() {
        config["listen"]["tcp"] = json!(format!("0.0.0.0:{}", given.network.ports.sip));
    }
    if let Some(tls) = &given.tls {
        config["listen"]["tls"] = write_tls(tls, given.network.ports.tls());
    }
    serde_yaml::to_string(&config)
}

fn write_tls(tls: &TelephonyTls, port: i32) -> Value {
    let mut listen = json!({
        "address": format!("0.0.0.0:{port}"),
        "certificate": format!("{TLS_DIR}/{TLS_CERTIFICATE}"), "key": format!("{TLS_DIR}/{TLS_KEY}"),
    });
    if let Some(authority) = &tls.peer_ca_ref {
        listen["peerAuthorities"] = json!(authority_file(authority));
    }
    listen
}

fn authority_file(authority: &CaRef) -> String {
    format!("{TRUST_DIR}/{}/{CA_KEY}", ca_folder(authority))
}

/// What the program takes for granted isn't written: pods roll only for what is asked for.
fn write_trunk(trunk: &Trunk) -> Value {
    let mut written = json!({
        "name": trunk.name, "addresses": trunk.addresses, "trust": trunk.trust, "numbers": trunk.numbers,
        "seesAllMailboxes": trunk.sees_all_mailboxes, "limits": trunk.limits,
    });
    if trunk.transports != [TrunkTransport::Udp] {
        written["transports"] = json!(trunk.transports);
    }
    if let Some(proxy) = &trunk.outbound_proxy {
        written["outboundProxy"] = json!(proxy);
    }
    if let Some(notify) = &trunk.notify {
        written["notify"] = json!(TrunkNotify { secret_ref: None, ..notify.clone() });
        if notify.secret_ref.is_some() {
            written["notify"]["users"] = json!(format!("{DIGEST_DIR}/{}/{USERS_KEY}", notify_folder(trunk)));
        }
    }
    if let Some(certificates) = &trunk.client_certificates {
        written["clientCertificates"] =
            json!({"authorities": authority_file(&certificates.ca_ref), "names": certificates.names});
    }
    if let Some(digest) = &trunk.digest {
        written["digest"] = json!({
            "users": format!("{DIGEST_DIR}/{}/{USERS_KEY}", trunk.name), "algorithms": digest.algorithms,
        });
    }
    written
}

/// Parts of a second aren't read there.
fn seconds(time: Duration) -> String {
    format!("{}s", time.as_secs().max(1))
}
