//! Specs of the telephone that rules accept and refuse.

use serde_json::{Value, json};

use crate::objects::{Edits, full_pod_template, selector};
use crate::tables::{Row, edit, row};

const TELEPHONY: &str = "/spec/telephony";

/// Every field of it.
pub(crate) fn full_telephony() -> Value {
    let amounts = json!({"cpu": "100m", "memory": "64Mi"});
    json!({
        "replicas": 2, "domain": "pbx.example.com", "accessNumbers": ["5555"],
        "network": {
            "ports": {"sip": 5060, "tls": 5061, "rtp": {"from": 20_000, "to": 20_999}},
            "advertised": {"addresses": ["192.0.2.10", "192.0.2.11"]},
        },
        "tls": {"secretRef": {"name": "sip-tls"}, "peerCARef": {"kind": "Secret", "name": "company"}},
        "trunks": [{
            "name": "pbx", "addresses": ["192.0.2.0/24"], "transports": ["TLS"],
            "clientCertificates": {"caRef": {"kind": "ConfigMap", "name": "company"}, "names": ["sbc.example.com"]},
            "digest": {"secretRef": {"name": "pbx-users"}, "algorithms": ["SHA-256"]}, "trust": {"identity": true, "redirection": true},
            "numbers": [{"prefix": "+4420794600", "replaceWith": "10", "digits": 13}],
            "seesAllMailboxes": true, "outboundProxy": "sbc.example.com:5061",
            "notify": {
                "proxy": "pbx.example.com:5061", "transport": "TLS", "secretRef": {"name": "pbx-user"}, "uri": "sip:{mailbox}@pbx.example.com",
                "mailboxes": [{"first": "1000", "last": "1999"}],
            },
            "limits": {"calls": 200, "callsPerSecond": 50, "callsPerCaller": 5},
        }],
        "dialogue": {"silence": "8s", "prompts": {"configMapRef": {"name": "prompts"}}},
        "spool": {"size": "2Gi", "maxAge": "48h", "claim": {"storageClassName": "fast"}},
        "drain": "10m",
        "mediaFrom": [{"namespaceSelector": selector("team"), "podSelector": selector("app")}],
        "resources": {"requests": amounts, "limits": amounts},
        "podTemplate": full_pod_template(),
    })
}

fn at(field: &str) -> impl Fn(Value) -> Edits {
    let pointer = format!("{TELEPHONY}/{field}");
    move |value| edit(&pointer, value)
}

/// A rule about one field: values that it accepts and refuses.
fn form(rule: &'static str, field: &str, good: &[Value], bad: &[Value]) -> Row {
    let place = at(field);
    row(rule, vec![], good.iter().cloned().map(&place).collect(), bad.iter().cloned().map(&place).collect())
}

fn texts(values: &[&str]) -> Vec<Value> {
    values.iter().map(|value| json!(value)).collect()
}

fn named(length: usize) -> Edits {
    edit("/metadata/name", json!("a".repeat(length)))
}

/// Rules about what a telephone is.
pub(crate) fn telephony_rules() -> Vec<Row> {
    let block = |from: i32, to: i32| json!({"from": from, "to": to});
    let phones = |name: &str| json!({"name": name, "digest": {"secretRef": {"name": name}}});
    let certificates = at("trunks/0/clientCertificates");
    let without = || edit(TELEPHONY, Value::Null);
    let unnamed = [named(39), without()].concat();
    [
        vec![
            row("telephony: the tenant's name", vec![], vec![named(38), unnamed], vec![named(39)]),
            form("addresses: write one for each", "replicas", &[json!(1), json!(2)], &[json!(3)]),
            form("limits.calls: write", "trunks/0/limits/calls", &[json!(500)], &[json!(501)]),
            form(
                "sip: write a port",
                "network/ports/sip",
                &[json!(19_999), json!(21_000)],
                &[json!(9_090), json!(20_500)],
            ),
            form(
                "tls: write a port",
                "network/ports/tls",
                &[json!(5_062), Value::Null],
                &[json!(5_060), json!(9_090), json!(20_000)],
            ),
            row(
                "trunks: a trunk with the transport TLS",
                vec![],
                vec![
                    [
                        at("tls")(Value::Null),
                        certificates(Value::Null),
                        at("trunks/0/transports")(json!(["TCP", "UDP"])),
                        at("trunks/0/notify/transport")(json!("TCP")),
                    ]
                    .concat(),
                ],
                vec![[at("tls")(Value::Null), at("trunks/0/notify")(Value::Null)].concat()],
            ),
            row(
                "transports: write TLS alone",
                vec![],
                vec![certificates(Value::Null)],
                vec![at("trunks/0/transports")(json!(["TLS", "UDP"]))],
            ),
            row(
                "notify: the transport TLS needs",
                vec![],
                vec![[at("tls/peerCARef")(Value::Null), at("trunks/0/notify")(Value::Null)].concat()],
                vec![at("tls/peerCARef")(Value::Null)],
            ),
            form(
                "notify: write one of the trunk's",
                "trunks/0/notify/transport",
                &[json!("TLS")],
                &[json!("TCP"), Value::Null],
            ),
            row(
                "notify: write a proxy",
                vec![],
                vec![at("trunks/0/notify/proxy")(Value::Null)],
                vec![
                    [at("trunks/0/notify/proxy")(Value::Null), at("trunks/0/outboundProxy")(Value::Null)]
                        .concat(),
                ],
            ),
            form(
                "last: write a number of as many",
                "trunks/0/notify/mailboxes/0/last",
                &[json!("1000"), json!("1999"), Value::Null],
                &[json!("2000"), json!("0999"), json!("10000")],
            ),
            row(
                "addresses: write the ranges",
                vec![],
                vec![at("trunks/0/addresses")(json!([]))],
                vec![
                    [
                        at("trunks/0/addresses")(json!([])),
                        certificates(Value::Null),
                        at("trunks/0/digest")(Value::Null),
                    ]
                    .concat(),
                ],
            ),
            row(
                "trunks: write addresses for all but one",
                vec![],
                vec![at("trunks")(json!([phones("a")]))],
                vec![at("trunks")(json!([phones("a"), phones("b")]))],
            ),
            form(
                "names: write hosts",
                "trunks/0/clientCertificates/names",
                &[json!(["192.0.2.1", "fd00::1"])],
                &[json!(["a b"]), json!(["*.example.com"])],
            ),
            form(
                "prompts: write exactly one",
                "dialogue/prompts",
                &[json!({"existingClaimRef": {"name": "prompts"}}), Value::Null],
                &[
                    json!({}),
                    json!({"existingClaimRef": {"name": "prompts"}, "configMapRef": {"name": "prompts"}}),
                ],
            ),
            form(
                "rtp: write an even",
                "network/ports/rtp",
                &[block(21_000, 21_999)],
                &[block(20_001, 20_999), block(20_000, 20_998), block(20_002, 20_001)],
            ),
            form(
                "rtp: write ports without",
                "network/ports/rtp",
                &[block(32_768, 33_999)],
                &[block(29_000, 30_001), block(32_000, 33_999), block(9_000, 9_999)],
            ),
        ],
        telephony_forms(),
    ]
    .concat()
}

fn telephony_forms() -> Vec<Row> {
    let text = texts;
    vec![
        form("domain: write", "domain", &text(&["pbx", "192.0.2.1"]), &text(&["a b", "-pbx", "sip:pbx"])),
        form(
            "accessNumbers: write",
            "accessNumbers",
            &[json!(["*98", "+4455"]), json!([])],
            &[json!(["mail"]), json!(["5 5"])],
        ),
        form(
            "addresses: write addresses",
            "network/advertised/addresses",
            &[json!(["fd00::1", "192.0.2.1"])],
            &[json!(["pbx", "192.0.2.1"])],
        ),
        form(
            "addresses: write ranges",
            "trunks/0/addresses",
            &[json!(["fd00::/8", "10.0.0.1/32"])],
            &[json!(["10.0.0.1"])],
        ),
        form("name: write small", "trunks/0/name", &text(&["sbc-1"]), &text(&["SBC", "-a", "a_b"])),
        form(
            "prefix: write what",
            "trunks/0/numbers/0/prefix",
            &text(&["+", "0", "*9"]),
            &text(&["a", "4+"]),
        ),
        form(
            "replaceWith: write the",
            "trunks/0/numbers/0/replaceWith",
            &text(&["", "team-"]),
            &text(&["a b", "/"]),
        ),
        form(
            "proxy: write a host",
            "trunks/0/notify/proxy",
            &text(&["192.0.2.1:5061", "[fd00::1]:5061"]),
            &text(&["pbx.example.com", "pbx:0", "sip:pbx:5060", "a b:1"]),
        ),
        form(
            "outboundProxy: write a host",
            "trunks/0/outboundProxy",
            &text(&["192.0.2.1:5061", "sbc.example.com:5060"]),
            &text(&["sbc.example.com", "sbc:0", "<sip:sbc>:5060"]),
        ),
        form(
            "uri: write an address",
            "trunks/0/notify/uri",
            &text(&["sip:u{mailbox}@192.0.2.1:5070", "sip:{mailbox}@[fd00::1];user=phone"]),
            &text(&["sip:1001@pbx.example.com", "sips:{mailbox}@pbx", "sip:{mailbox}@pbx>\n"]),
        ),
        form(
            "last: write a mailbox's",
            "trunks/0/notify/mailboxes/0/last",
            &text(&["1042"]),
            &text(&["104a", "-999"]),
        ),
        form("first: write", "trunks/0/notify/mailboxes/0/first", &text(&["1001"]), &text(&["anna", "+441"])),
        form("silence: write", "dialogue/silence", &text(&["2s", "1m"]), &text(&["1s", "61s", "8"])),
        form(
            "size: write 64Mi",
            "spool/size",
            &[json!("2Gi"), json!(2_147_483_648_u64)],
            &[json!("63Mi"), json!("2Ti")],
        ),
        form("maxAge: write", "spool/maxAge", &text(&["1h", "120h"]), &text(&["59m", "121h", "5d"])),
        form("drain: write", "drain", &text(&["1m", "2h"]), &text(&["59s", "2h1s", "1d"])),
    ]
}

/// Rules about how it may change.
pub(crate) fn telephony_transitions() -> Vec<Row> {
    let claim = at("spool/claim");
    let size = at("spool/size");
    let class = at("spool/claim/storageClassName");
    vec![
        row("claim can't be added", vec![], vec![edit(TELEPHONY, Value::Null)], vec![claim(Value::Null)]),
        row(
            "claim can't be added",
            claim(Value::Null),
            vec![size(json!("3Gi"))],
            vec![claim(json!({"storageClassName": "fast"}))],
        ),
        row("size can't be changed", vec![], vec![at("drain")(json!("5m"))], vec![size(json!("3Gi"))]),
        row(
            "storageClassName can't be changed: the pods",
            vec![],
            vec![size(json!("2Gi"))],
            vec![class(json!("slow"))],
        ),
    ]
}
