//! Specs that the rules about data-subject requests accept and refuse.

use serde_json::{Value, json};

use crate::objects::Edits;
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
    let mut undo_approved = undo_without.clone();
    undo_approved.push(("/spec/requireApproval".into(), json!(true)));
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
        row("run: a mirror", vec![], vec![undo_of_run, mirror.clone()], vec![windowed_mirror]),
        row(
            "caseID: seven digits",
            vec![],
            vec![
                edit("/spec/caseID", json!("123456")),
                edit("/spec/caseID", json!("C-20260131")),
                mirror.into_iter().chain(edit("/spec/caseID", json!("123456789"))).collect(),
            ],
            vec![edit("/spec/caseID", json!("123456789")), edit("/spec/caseID", json!("0163-296.000/1"))],
        ),
        row("undoWindow: only", vec![], vec![no_window], vec![operation("ExportMe"), windowed_undo]),
        row("dryRun: only", vec![], vec![edit("/spec/dryRun", json!(true))], vec![dry_undo]),
        row(
            "requireApproval: an undo",
            vec![],
            vec![edit("/spec/requireApproval", json!(true)), export_approved],
            vec![undo_approved],
        ),
        row(
            "approval: an undo",
            vec![],
            vec![approval(json!({"decision": "Approve", "by": "b"}))],
            vec![decided_undo],
        ),
        row(
            "approval.ground: a denial",
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
    let labelled = || vec![edit("/metadata/labels", json!({"team": "privacy"}))];
    let given = |field: &str, value: Value| edit(&format!("/spec/{field}"), value);
    let approval = |by: &str| json!({"decision": "Approve", "by": by});
    let extension = |months: i32| json!({"months": months, "reason": "r", "by": "b"});
    let cancellation = |reason: &str| json!({"reason": reason, "by": "b"});
    let named = |id: &str| {
        let mut edits = given("messages", json!([{"mailbox": "1001", "id": id}]));
        edits.extend(given("consumers", Value::Null));
        edits
    };
    let mut undo = given("operation", json!("UndoForgetMe"));
    for field in ["consumers", "undoWindow", "requireApproval"] {
        undo.extend(given(field, Value::Null));
    }
    let of_run = |run: Value| undo.iter().cloned().chain(given("run", run)).collect::<Vec<_>>();
    let plain = |field: &'static str, changed: Value| (field, vec![], given(field, changed), true);
    let mut rows: Vec<Row> = [
        ("tenantRef", vec![], given("tenantRef", json!({"name": "other"})), false),
        (
            "operation",
            vec![],
            [
                given("operation", json!("ExportMe")),
                given("undoWindow", Value::Null),
                given("requireApproval", Value::Null),
            ]
            .concat(),
            false,
        ),
        ("caseID", vec![], given("caseID", json!("2")), false),
        ("dryRun", vec![], given("dryRun", json!(true)), false),
        ("requireApproval", vec![], given("requireApproval", json!(false)), false),
        plain("consumers", json!({"secretRef": {"name": "case-2"}})),
        plain("undoWindow", json!("1h")),
        plain("requestedBy", json!("ticket-2")),
        plain("receivedAt", json!("2026-01-02T00:00:00Z")),
        plain("verification", json!({"method": "letter"})),
        plain("ttlSecondsAfterFinished", json!(1)),
        ("messages", named("m"), named("n"), true),
        ("run", of_run(json!("run-1")), of_run(json!("run-2")), true),
    ]
    .into_iter()
    .flat_map(|(field, before, changed, is_optional): (&'static str, Edits, Edits, bool)| {
        let changes =
            row(leak(format!("{field} can't be changed")), before.clone(), labelled(), vec![changed]);
        let removed = row(
            leak(format!("{field} can't be added or removed")),
            before,
            vec![],
            vec![given(field, Value::Null)],
        );
        // What has a default is always there.
        let has_default = ["dryRun", "requireApproval"].contains(&field);
        let mut rows = vec![changes];
        rows.extend((is_optional && !has_default).then_some(removed));
        rows
    })
    .collect();
    rows.extend([
        row(
            "approval: a decision",
            given("approval", approval("b")),
            vec![given("approval", approval("b"))],
            vec![given("approval", approval("c")), given("approval", Value::Null)],
        ),
        row(
            "cancellation: a decision",
            given("cancellation", cancellation("a")),
            vec![given("cancellation", cancellation("a"))],
            vec![given("cancellation", cancellation("b")), given("cancellation", Value::Null)],
        ),
        row(
            "extension: it can",
            given("extension", extension(1)),
            vec![given("extension", extension(2))],
            vec![
                given("extension", json!({"months": 1, "reason": "s", "by": "b"})),
                given("extension", Value::Null),
            ],
        ),
    ]);
    rows
}

fn leak(text: String) -> &'static str {
    Box::leak(text.into_boxed_str())
}
