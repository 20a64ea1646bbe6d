//! Every bound of the schemas, at its edge and beyond it.

use futures::{StreamExt, stream};
use kube::api::DynamicObject;
use serde_json::{Value, json};
use voicemail_tests::schema_bounds::{Bound, find_bounds};

use crate::objects::{Kind, edited, full_request};
use crate::rules::{Rule, all_rules};
use crate::{AT_A_TIME, Place, assert_none, judge};

/// Bounds that a stricter rule makes unreachable: the value just within them is refused by the other.
const UNREACHABLE: &[&str] = &[
    // A tenant on a volume has one region only.
    "spec.regions maxItems",
];

/// Whether a rule about the form of the value refuses what is made for a bound of its length.
fn has_form(bound: &Bound, kind: Kind) -> bool {
    let (path, keyword) =
        bound.name().rsplit_once(' ').map(|(path, word)| (path.to_owned(), word.to_owned())).unwrap();
    let path = path.replace("{}", "[]");
    let list = path.trim_end_matches("[]");
    let is_about = |rule: &Rule| {
        rule.path == path
            || rule.path == list
            || rule.path.ends_with(".ipBlock") && list.starts_with(&rule.path)
    };
    ["minLength", "maxLength", "maxItems"].contains(&keyword.as_str())
        && all_rules(kind)
            .iter()
            .any(|rule| !rule.about_change && rule.message.contains(": write") && is_about(rule))
}

/// Makes the rest of the object follow the value that was replaced.
fn keep_rules(bound: &str, object: &mut Value) {
    let name = bound.split(' ').next().unwrap();
    match name {
        "spec.localRegion" | "spec.primaryRegion" => {
            let field = name.trim_start_matches("spec.");
            let other = if field == "localRegion" { "primaryRegion" } else { "localRegion" };
            object["spec"]["regions"][0]["name"] = object["spec"][field].clone();
            object["spec"][other] = object["spec"][field].clone();
        }
        "spec.regions[].storage.s3.encryption.algorithm" => {
            let encryption = &mut object["spec"]["regions"][0]["storage"]["s3"]["encryption"];
            if encryption["algorithm"] != "KMS" {
                encryption.as_object_mut().unwrap().remove("kmsKeyID");
            }
        }
        "spec.auth.serviceAccounts[].roles" | "spec.auth.serviceAccounts[].roles[]" => {
            let account = object["spec"]["auth"]["serviceAccounts"][0].as_object_mut().unwrap();
            account.remove("user");
        }
        "spec.classesOfService[].quotaSeconds" | "spec.classesOfService[].maxSeconds" => {
            let class = &mut object["spec"]["classesOfService"][0];
            if name.ends_with("quotaSeconds") {
                class["maxSeconds"] = json!(1);
            } else {
                class.as_object_mut().unwrap().remove("quotaSeconds");
            }
        }
        "spec.clientLimits.connections" => object["spec"]["clientLimits"]["connectionsPerAddress"] = json!(1),
        "spec.clientLimits.connectionsPerAddress" => {
            object["spec"]["clientLimits"]["connections"] = json!(65_536)
        }
        "spec.autoscaling.maxReplicas" => object["spec"]["autoscaling"]["minReplicas"] = json!(1),
        "spec.autoscaling.minReplicas" => object["spec"]["autoscaling"]["maxReplicas"] = json!(50),
        "spec.telephony.replicas" => {
            object["spec"]["telephony"]["network"].as_object_mut().unwrap().remove("advertised");
        }
        "spec.telephony.network.advertised.addresses" | "spec.telephony.network.advertised.addresses[]" => {
            object["spec"]["telephony"]["replicas"] = json!(1);
        }
        "spec.telephony.network.ports.rtp.from" | "spec.telephony.network.ports.rtp.to" => {
            let telephony = &mut object["spec"]["telephony"];
            let block = &mut telephony["network"]["ports"]["rtp"];
            if name.ends_with("from") {
                block["to"] = json!(block["from"].as_i64().unwrap() + 1);
            } else {
                block["from"] = json!(block["to"].as_i64().unwrap() - 1);
            }
            telephony["trunks"][0]["limits"]["calls"] = json!(1);
        }
        "spec.telephony.trunks[].transports" | "spec.telephony.trunks[].transports[]" => {
            let trunk = object["spec"]["telephony"]["trunks"][0].as_object_mut().unwrap();
            trunk.remove("clientCertificates");
            trunk.remove("notify");
        }
        "spec.telephony.trunks[].notify.transport" => {
            let trunk = object["spec"]["telephony"]["trunks"][0].as_object_mut().unwrap();
            trunk.remove("clientCertificates");
            trunk.insert("transports".into(), json!(["UDP", "TCP", "TLS"]));
        }
        "spec.telephony.trunks[].limits.calls" => {
            object["spec"]["telephony"]["network"]["ports"]["rtp"] = json!({"from": 40_000, "to": 59_999});
        }
        // Pages name issuers of the tenant.
        name if name.starts_with("spec.web.login") => {
            let logins = object["spec"]["web"]["login"].as_array().cloned().unwrap_or_default();
            let issuer = |login: &Value| json!({"issuer": login["issuer"], "audience": "v", "roleMap": {}});
            object["spec"]["auth"]["issuers"] = logins.iter().map(issuer).collect();
        }
        "spec.service.type" => {
            object["spec"]["service"] = json!({"type": object["spec"]["service"]["type"]});
        }
        "spec.operation" => keep_operation_rules(object),
        "spec.approval.decision" | "spec.approval.ground" => {
            let approval = object["spec"]["approval"].as_object_mut().unwrap();
            if approval["decision"] == "Approve" {
                approval.remove("ground");
            }
        }
        _ => {}
    }
}

fn keep_operation_rules(object: &mut Value) {
    let operation = object["spec"]["operation"].as_str().unwrap().to_owned();
    let spec = object["spec"].as_object_mut().unwrap();
    if operation != "ForgetMe" {
        spec.remove("undoWindow");
        spec.remove("requireApproval");
    }
    if operation == "UndoForgetMe" {
        spec.remove("consumers");
    }
}

async fn check_bound(
    place: &Place,
    kind: Kind,
    bound: &Bound,
    bases: &[(Value, DynamicObject)],
) -> Vec<String> {
    let name = bound.name();
    let Some((base, stored)) = bases.iter().find(|(base, _)| bound.fits(base)) else {
        return vec![format!("no base has a value for {name}")];
    };
    let is_status = name.starts_with("status");
    let (message, beyond) = (bound.message(), bound.beyond(base).unwrap());
    let mut complaints = Vec::new();
    if is_status {
        let answer = place.try_status(kind, stored, &beyond).await;
        complaints.extend(judge(format!("{name}, beyond"), answer, Some(&message)));
    } else {
        let answer = place.try_create(kind, &beyond).await;
        complaints.extend(judge(format!("{name}, created beyond"), answer, Some(&message)));
        let answer = place.try_update(kind, stored, &beyond).await;
        complaints.extend(judge(format!("{name}, updated beyond"), answer, Some(&message)));
    }
    let skipped = UNREACHABLE.contains(&name.as_str()) || has_form(bound, kind);
    let within = if skipped { vec![] } else { bound.within(base).unwrap() };
    for mut object in within {
        keep_rules(&name, &mut object);
        let answer = match is_status {
            true => place.try_status(kind, stored, &object).await,
            false => place.try_create(kind, &object).await,
        };
        complaints.extend(judge(format!("{name}, within"), answer, None));
    }
    complaints
}

async fn check_bounds(kind: Kind, least: usize) {
    let place = Place::prepare().await;
    let mut bases = Vec::new();
    for (index, base) in kind.bases().into_iter().enumerate() {
        let stored = place.store(kind, &format!("base-{index}"), &base).await;
        bases.push((base, stored));
    }
    let schema = kind.schema();
    let parts = ["spec", "status"].into_iter().filter(|part| schema["properties"].get(part).is_some());
    let bounds: Vec<Bound> = parts.flat_map(|part| find_bounds(&schema, part)).collect();
    assert!(bounds.len() >= least, "only {} bounds were found", bounds.len());
    let checks = bounds.iter().map(|bound| check_bound(&place, kind, bound, &bases));
    let complaints: Vec<Vec<String>> = stream::iter(checks).buffer_unordered(AT_A_TIME).collect().await;
    place.clear(kind);
    assert_none(&complaints.concat());
}

#[tokio::test(flavor = "multi_thread")]
async fn every_bound_of_a_tenant_is_kept_by_the_api_server() {
    check_bounds(Kind::Tenant, 130).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_bound_of_a_request_is_kept_by_the_api_server() {
    check_bounds(Kind::Request, 30).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_bound_of_a_policy_is_kept_by_the_api_server() {
    check_bounds(Kind::Policy, 30).await;
}

/// The format of a time admits what nothing reads; the pattern is as strict as what does.
#[tokio::test(flavor = "multi_thread")]
async fn times_that_nothing_reads_are_refused_and_the_strangest_that_are_read_are_taken() {
    let place = Place::prepare().await;
    let mut complaints = Vec::new();
    for field in ["/spec/receivedAt", "/spec/verification/at"] {
        for (time, refused_with) in [
            ("9999-12-31T23:59:59Z", Some("should match")),
            ("2026-01-31T10:00:00+26:00", Some("should match")),
            ("2026-01-31T10:00:00.1234567890123Z", Some("should match")),
            ("2026-01-31t10:00:00z", Some("should match")),
            ("2026-01-31T10:00:00z", Some("should match")),
            ("2026-01-31T10:00:00,5Z", Some("should match")),
            ("2026-02-31T10:00:00Z", Some("date-time")),
            ("9989-12-31T23:59:59.999999999-23:59", None),
            ("0000-01-01T00:00:00+23:59", None),
            ("2024-02-29T10:00:00.5Z", None),
        ] {
            let object = edited(&full_request(), &[(field, json!(time))]);
            let answer = place.try_create(Kind::Request, &object).await;
            complaints.extend(judge(format!("{field} {time}"), answer, refused_with));
            let read = serde_json::from_value::<voicemail_resources::GdprRequest>(object);
            if refused_with.is_none() && read.is_err() {
                complaints.push(format!("{field} {time} is taken, and not read"));
            }
        }
    }
    assert_none(&complaints);
}
