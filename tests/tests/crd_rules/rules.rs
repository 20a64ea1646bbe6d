//! Every rule of the schemas, with rows that break it.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::forms::{request_forms, tenant_forms};
use crate::objects::{Kind, apply};
use crate::policy_tables::policy_rules;
use crate::request_tables::{request_rules, request_transitions};
use crate::tables::{Row, tenant_rules, tenant_transitions};
use crate::{Answer, Cause, Place, assert_none, judge};

/// A rule of a schema, and how the API server tells of it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Rule {
    pub(crate) message: String,
    reason: String,
    /// The field that it is about.
    pub(crate) path: String,
    pub(crate) about_change: bool,
}

fn rules_of(path: &str, schema: &Value, found: &mut BTreeSet<Rule>) {
    let text = |rule: &Value, field: &str| rule[field].as_str().unwrap_or_default().to_owned();
    for rule in schema["x-kubernetes-validations"].as_array().into_iter().flatten() {
        found.insert(Rule {
            message: text(rule, "message"),
            reason: text(rule, "reason"),
            path: format!("{path}{}", text(rule, "fieldPath")).trim_start_matches('.').to_owned(),
            about_change: text(rule, "rule").contains("oldSelf"),
        });
    }
    for (name, inner) in schema["properties"].as_object().into_iter().flatten() {
        let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        rules_of(&path, inner, found);
    }
    for inner in [&schema["items"], &schema["additionalProperties"]] {
        if inner.is_object() {
            rules_of(&format!("{path}[]"), inner, found);
        }
    }
}

pub(crate) fn all_rules(kind: Kind) -> BTreeSet<Rule> {
    let mut rules = BTreeSet::new();
    rules_of("", &kind.schema(), &mut rules);
    rules
}

/// The rules that a row is about: a type that stands in several places has each there.
fn rules_for(kind: Kind, row: &Row) -> Vec<Rule> {
    let found: Vec<Rule> =
        all_rules(kind).into_iter().filter(|rule| rule.message.starts_with(row.rule)).collect();
    let messages: BTreeSet<&str> = found.iter().map(|rule| rule.message.as_str()).collect();
    assert_eq!(messages.len(), 1, "{:?} is said by {messages:?}", row.rule);
    found
}

/// A complaint, unless one of the causes is the rule's: its words, its reason and its field.
fn judge_rule(what: String, answer: Answer, rules: &[Rule]) -> Option<String> {
    let Err(refused) = answer else { return Some(format!("{what}: accepted")) };
    // The root has no path.
    let place = |rule: &Rule| if rule.path.is_empty() { "<nil>".to_owned() } else { rule.path.clone() };
    let tells = |cause: &Cause| {
        rules.iter().any(|rule| {
            cause.message.ends_with(&rule.message) && cause.reason == rule.reason && cause.path == place(rule)
        })
    };
    let told = refused.causes.iter().any(tells);
    (!told).then(|| format!("{what}: {rules:?} is not among {:?}: {}", refused.causes, refused.words))
}

#[test]
fn every_rule_has_a_row() {
    let tables = [
        (Kind::Tenant, [tenant_rules(), tenant_forms()].concat(), tenant_transitions()),
        (Kind::Request, [request_rules(), request_forms()].concat(), request_transitions()),
        (Kind::Policy, policy_rules(), Vec::new()),
    ];
    for (kind, rules, transitions) in tables {
        let messages = |rows: &[Row], about_change: bool| {
            let of_row =
                |row: &Row| rules_for(kind, row).into_iter().map(|rule| rule.message).collect::<Vec<_>>();
            rows.iter().flat_map(of_row).map(|message| (message, about_change)).collect::<BTreeSet<_>>()
        };
        let expected: BTreeSet<_> =
            all_rules(kind).into_iter().map(|rule| (rule.message, rule.about_change)).collect();
        let covered: BTreeSet<_> =
            messages(&rules, false).union(&messages(&transitions, true)).cloned().collect();
        assert_eq!(covered, expected);
    }
}

async fn check_rules(kind: Kind, rows: Vec<Row>) {
    let place = Place::prepare().await;
    let base = &kind.bases()[0];
    let stored = place.store(kind, "stored", base).await;
    let mut complaints = Vec::new();
    for row in &rows {
        let rules = rules_for(kind, row);
        for edits in &row.accepted {
            let answer = place.try_create(kind, &apply(base, edits)).await;
            complaints.extend(judge(format!("{}: created {edits:?}", row.rule), answer, None));
        }
        for edits in &row.refused {
            let answer = place.try_create(kind, &apply(base, edits)).await;
            complaints.extend(judge_rule(format!("{}: created {edits:?}", row.rule), answer, &rules));
            if edits.iter().any(|(pointer, _)| pointer == "/metadata/name") {
                continue;
            }
            let answer = place.try_update(kind, &stored, &apply(base, edits)).await;
            complaints.extend(judge_rule(format!("{}: updated {edits:?}", row.rule), answer, &rules));
        }
    }
    place.clear(kind);
    assert_none(&complaints);
}

async fn check_transitions(kind: Kind, rows: Vec<Row>) {
    let place = Place::prepare().await;
    let mut complaints = Vec::new();
    for (index, row) in rows.iter().enumerate() {
        let rules = rules_for(kind, row);
        let base = apply(&kind.bases()[0], &row.before);
        let stored = place.store(kind, &format!("stored-{index}"), &base).await;
        for edits in &row.accepted {
            let answer = place.try_update(kind, &stored, &apply(&base, edits)).await;
            complaints.extend(judge(format!("{}: updated {edits:?}", row.rule), answer, None));
        }
        for edits in &row.refused {
            let answer = place.try_update(kind, &stored, &apply(&base, edits)).await;
            complaints.extend(judge_rule(format!("{}: updated {edits:?}", row.rule), answer, &rules));
        }
    }
    assert_none(&complaints);
}

#[tokio::test(flavor = "multi_thread")]
async fn each_rule_about_a_tenant_is_kept_on_create_and_on_update() {
    check_rules(Kind::Tenant, [tenant_rules(), tenant_forms()].concat()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_rule_about_changing_a_tenant_is_kept() {
    check_transitions(Kind::Tenant, tenant_transitions()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_rule_about_a_request_is_kept_on_create() {
    check_rules(Kind::Request, [request_rules(), request_forms()].concat()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_rule_about_a_policy_is_kept() {
    check_rules(Kind::Policy, policy_rules()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_spec_of_a_request_never_changes() {
    check_transitions(Kind::Request, request_transitions()).await;
}
