//! Specs that the rules about data-subject requests accept and refuse.

use serde_json::{Value, json};

use crate::tables::{Row, edit, row};

pub(crate) fn request_rules() -> Vec<Row> {
    let operation = |name: &str| edit("/spec/operation", json!(name));
    let mut export = operation("ExportMe");
    export.push(("/spec/undoWindow".into(), Value::Null));
    export.push(("/spec/requireApproval".into(), Value::Null));
    let mut undo = export.clone();
    undo[0].1 = json!("UndoForgetMe");
    let mut undo_without = undo.clone();
    undo_without.push(("/spec/consumers".into(), Value::Null));
    let mut undo_of_run = undo_without.clone();
    undo_of_run.push(("/spec/run".into(), json!("run-1")));
    let mut export_of_run = export.clone();
    export_of_run.push(("/spec/run".into(), json!("run-1")));
    let run = edit("/spec/run", json!("run-1"));
    let no_consumers = edit("/spec/consumers", Value::Null);
    let mut no_window = edit("/spec/undoWindow", Value::Null);
    no_window.push(("/spec/run".into(), Value::Null));
    let mut windowed_undo = undo_without.clone();
    windowed_undo.push(("/spec/undoWindow".into(), json!("1h")));
    let mut mirror = no_window.clone();
    mirror.extend([
        ("/spec/consumers".into(), Value::Null),
        ("/spec/receivedAt".into(), Value::Null),
        ("/spec/verification".into(), Value::Null),
        ("/spec/requireApproval".into(), Value::Null),
        ("/spec/run".into(), json!("1/forgetme.1")),
    ]);
    let mut windowed_mirror = mirror.clone();
    windowed_mirror.push(("/spec/undoWindow".into(), json!("1h")));
    let named = json!([{"mailbox": "1001", "id": "m"}]);
    let mut by_name = edit("/spec/messages", named.clone());
    by_name.push(("/spec/consumers".into(), Value::Null));
    let both = edit("/spec/messages", named);
    let mut dry_undo = undo_without.clone();
    dry_undo.push(("/spec/dryRun".into(), json!(true)));
    let mut export_approved = export.clone();
    export_approved.push(("/spec/requireApproval".into(), json!(true)));
    let mut decided_undo = undo_without.clone();
    decided_undo.push(("/spec/approval".into(), json!({"decision": "Approve", "by": "b"})));
    let approval = |value: Value| edit("/spec/approval", value);
    vec![
        row(
            "consumers: name",
            vec![],
            vec![export.clone(), undo_without, mirror.clone(), by_name],
            vec![no_consumers, undo, run, export_of_run, both],
        ),
        row("run: a mirror", vec![], vec![undo_of_run, mirror], vec![windowed_mirror]),
        row("undoWindow: only", vec![], vec![no_window], vec![operation("ExportMe"), windowed_undo]),
        row("dryRun: only", vec![], vec![edit("/spec/dryRun", json!(true))], vec![dry_undo]),
        row(
            "requireApproval: only",
            vec![],
            vec![edit("/spec/requireApproval", json!(true))],
            vec![export_approved],
        ),
        row(
            "approval: an undo",
            vec![],
            vec![approval(json!({"decision": "Approve", "by": "b"}))],
            vec![decided_undo],
        ),
        row(
            "approval: ground",
            vec![],
            vec![approval(json!({"decision": "Deny", "by": "b", "ground": "LegalClaims"}))],
            vec![
                approval(json!({"decision": "Deny", "by": "b"})),
                approval(json!({"decision": "Approve", "by": "b", "ground": "Other"})),
            ],
        ),
    ]
}

pub(crate) fn request_transitions() -> Vec<Row> {
    let labelled = edit("/metadata/labels", json!({"team": "privacy"}));
    let changes = [
        ("tenant", json!("other")),
        ("caseId", json!("2")),
        ("undoWindow", json!("1h")),
        ("undoWindow", Value::Null),
        ("requestedBy", json!("ticket-2")),
        ("receivedAt", Value::Null),
        ("consumers", json!({"secret": {"name": "case-2"}})),
    ];
    let refused = changes.map(|(field, value)| edit(&format!("/spec/{field}"), value));
    let given = |field: &str, value: Value| edit(&format!("/spec/{field}"), value);
    let approval = |by: &str| json!({"decision": "Approve", "by": by});
    let extension = |months: i32| json!({"months": months, "reason": "r"});
    let cancel = |reason: &str| json!({"reason": reason});
    vec![
        row("the spec of a GdprRequest", vec![], vec![labelled], refused.to_vec()),
        row(
            "approval: a decision",
            given("approval", approval("b")),
            vec![given("approval", approval("b"))],
            vec![given("approval", approval("c")), given("approval", Value::Null)],
        ),
        row(
            "cancel: a decision",
            given("cancel", cancel("a")),
            vec![given("cancel", cancel("a"))],
            vec![given("cancel", cancel("b")), given("cancel", Value::Null)],
        ),
        row(
            "extension: it can",
            given("extension", extension(1)),
            vec![given("extension", extension(2))],
            vec![given("extension", json!({"months": 1, "reason": "s"})), given("extension", Value::Null)],
        ),
    ]
}
