//! What each rule accepts and refuses.

use serde_json::{Value, json};

use crate::objects::{CLIENT, Edits, STORAGE, VOLUME, azure, claim, identity, role, s3, vault};

/// What a rule accepts and refuses, all starting from the kind's first base with `before` applied.
#[derive(Clone)]
pub(crate) struct Row {
    /// Beginning of the rule's message.
    pub(crate) rule: &'static str,
    pub(crate) before: Edits,
    pub(crate) accepted: Vec<Edits>,
    pub(crate) refused: Vec<Edits>,
}

pub(crate) fn edit(pointer: &str, value: Value) -> Edits {
    vec![(pointer.to_owned(), value)]
}

pub(crate) fn row(rule: &'static str, before: Edits, accepted: Vec<Edits>, refused: Vec<Edits>) -> Row {
    Row { rule, before, accepted, refused }
}

pub(crate) fn without_volume_name() -> Edits {
    edit(&claim("/volumeName"), Value::Null)
}

pub(crate) fn with_selector(value: &str) -> Edits {
    let mut edits = without_volume_name();
    edits.push((claim("/selector"), json!({"matchLabels": {"disk": value}})));
    edits
}

pub(crate) fn existing(name: &str) -> Edits {
    edit(VOLUME, json!({"existingClaim": name}))
}

/// Another region beside the first.
pub(crate) fn second_region(master: bool) -> Edits {
    let storage = json!({"volume": {"existingClaim": "second"}});
    edit("/spec/regions/-", json!({"name": "us", "master": master, "storage": storage}))
}

pub(crate) fn on_storage(storage: Value) -> Edits {
    edit(STORAGE, storage)
}

/// Two regions on object stores.
fn both(first: Value, second: Value) -> Edits {
    let mut edits = on_storage(first);
    edits.extend(edit("/spec/regions/-", json!({"name": "us", "storage": second})));
    edits
}

/// The storage with one field replaced or, by null, removed.
fn but(mut storage: Value, field: &str, value: Value) -> Value {
    let inner = storage.as_object_mut().unwrap().values_mut().next().unwrap();
    match value {
        Value::Null => drop(inner.as_object_mut().unwrap().remove(field)),
        value => inner[field] = value,
    }
    storage
}

fn secret(name: &str) -> Value {
    json!({"secret": {"name": name}})
}

const OTHER: &str = "33333333-3333-3333-3333-333333333333";

/// Rules about object stores.
fn store_rules() -> Vec<Row> {
    let (blob, bucket) = (|| azure(secret("azure")), || s3(secret("s3")));
    let unset = || edit("/spec/classesOfService/0/quotaSeconds", Value::Null);
    let per_address = |count: i32| edit("/spec/limits/connectionsPerAddress", json!(count));
    let quota = |seconds: i32| edit("/spec/classesOfService/0/quotaSeconds", json!(seconds));
    let two_kinds = json!({"secret": {"name": "a"}, "workloadIdentity": {"clientId": CLIENT}});
    let deleted = |storage: Value| {
        let mut edits = on_storage(storage);
        edits.extend(edit("/spec/deletionPolicy", json!("Delete")));
        edits
    };
    let without_tenant = json!({"workloadIdentity": {"clientId": CLIENT}});
    let other = |credentials: Value| but(azure(credentials), "account", json!("another"));
    let other_bucket = |credentials: Value| but(s3(credentials), "bucket", json!("another"));
    vec![
        row(
            "azureBlob.credentials: write",
            vec![],
            vec![on_storage(blob()), on_storage(azure(vault())), on_storage(azure(identity(CLIENT)))],
            vec![on_storage(azure(json!({}))), on_storage(azure(two_kinds))],
        ),
        row(
            "s3.credentials: write",
            vec![],
            vec![on_storage(bucket()), on_storage(s3(role("voicemail")))],
            vec![
                on_storage(s3(json!({}))),
                on_storage(s3(json!({"secret": {"name": "a"}, "webIdentity": role("r")["webIdentity"]}))),
            ],
        ),
        row(
            "regions: two regions name the same account",
            vec![],
            vec![
                both(blob(), other(secret("azure"))),
                both(blob(), but(blob(), "container", json!("another"))),
                both(blob(), but(blob(), "prefix", json!("calls/acme2"))),
                both(blob(), but(blob(), "prefix", Value::Null)),
            ],
            vec![
                both(blob(), azure(vault())),
                both(blob(), but(blob(), "endpoint", Value::Null)),
                both(but(blob(), "prefix", Value::Null), but(blob(), "prefix", Value::Null)),
            ],
        ),
        row(
            "regions: two regions name the same bucket",
            vec![],
            vec![
                both(bucket(), other_bucket(secret("s3"))),
                both(bucket(), but(bucket(), "prefix", json!("voicemail"))),
                both(bucket(), but(bucket(), "endpoint", json!("http://ceph"))),
                both(bucket(), blob()),
            ],
            vec![
                both(bucket(), s3(role("voicemail"))),
                both(bucket(), but(bucket(), "region", json!("us-east-1"))),
                both(but(bucket(), "endpoint", Value::Null), but(bucket(), "endpoint", Value::Null)),
            ],
        ),
        row(
            "regions: all workload identities",
            vec![],
            vec![
                both(azure(identity(CLIENT)), other(identity(CLIENT))),
                both(azure(identity(CLIENT)), other(vault())),
            ],
            vec![
                both(azure(identity(CLIENT)), other(identity(OTHER))),
                both(azure(identity(CLIENT)), other(without_tenant)),
            ],
        ),
        row(
            "regions: all web identities",
            vec![],
            vec![
                both(s3(role("voicemail")), other_bucket(role("voicemail"))),
                both(s3(role("a")), bucket_b()),
            ],
            vec![both(s3(role("voicemail")), other_bucket(role("other")))],
        ),
        row(
            "deletionPolicy: Delete works on volumes",
            vec![],
            vec![edit("/spec/deletionPolicy", json!("Delete")), on_storage(blob())],
            vec![deleted(blob()), deleted(bucket())],
        ),
        row("quotaSeconds: write at least", vec![], vec![quota(180), unset()], vec![quota(179)]),
        row(
            "connectionsPerAddress: write at most",
            vec![],
            vec![per_address(4_096), edit("/spec/limits/connections", Value::Null)],
            vec![per_address(4_097), edit("/spec/limits/connections", json!(99))],
        ),
    ]
}

fn bucket_b() -> Value {
    but(s3(secret("s3")), "bucket", json!("another"))
}

/// Rules about how object stores may change.
fn store_transitions() -> Vec<Row> {
    let (blob, bucket) = (|| azure(secret("azure")), || s3(secret("s3")));
    let prefix = |storage: Value, value: Value| on_storage(but(storage, "prefix", value));
    let rootless = |storage: Value| prefix(storage, Value::Null);
    let moved_blob = || {
        vec![
            on_storage(azure(vault())),
            on_storage(azure(identity(CLIENT))),
            on_storage(azure(secret("other"))),
            on_storage(but(blob(), "endpoint", json!("https://new.example"))),
            on_storage(but(blob(), "endpoint", Value::Null)),
        ]
    };
    let moved_bucket = || {
        vec![
            on_storage(s3(role("voicemail"))),
            on_storage(but(bucket(), "endpoint", Value::Null)),
            on_storage(but(bucket(), "region", json!("us-east-1"))),
            on_storage(but(bucket(), "etagQuoting", json!("bare"))),
        ]
    };
    vec![
        row(
            "azureBlob.account can't",
            on_storage(blob()),
            moved_blob(),
            vec![on_storage(but(blob(), "account", json!("another")))],
        ),
        row(
            "azureBlob.container can't",
            on_storage(blob()),
            vec![],
            vec![on_storage(but(blob(), "container", json!("another")))],
        ),
        row(
            "azureBlob.prefix can't",
            on_storage(blob()),
            vec![],
            vec![prefix(blob(), json!("calls")), rootless(blob())],
        ),
        row("azureBlob.prefix can't", rootless(blob()), vec![], vec![on_storage(blob())]),
        row(
            "s3.bucket can't",
            on_storage(bucket()),
            moved_bucket(),
            vec![on_storage(but(bucket(), "bucket", json!("another")))],
        ),
        row(
            "s3.prefix can't",
            on_storage(bucket()),
            vec![],
            vec![prefix(bucket(), json!("voicemail")), rootless(bucket())],
        ),
        row("s3.prefix can't", rootless(bucket()), vec![], vec![on_storage(bucket())]),
        row("storage: the kind", on_storage(blob()), vec![], vec![on_storage(bucket())]),
        row(
            "regions: a region can't be",
            both(blob(), bucket()),
            vec![edit("/spec/region", json!("us"))],
            vec![edit("/spec/regions", json!([{"name": "eu", "master": true, "storage": blob()}]))],
        ),
    ]
}

pub(crate) fn account(user: Option<&str>, roles: &[&str]) -> Edits {
    let mut account = json!({"namespace": "voice", "name": "alice", "roles": roles});
    user.into_iter().for_each(|user| account["user"] = json!(user));
    edit("/spec/auth/serviceAccounts/0", account)
}

pub(crate) fn names(valid: &[&str]) -> Vec<Edits> {
    valid.iter().map(|name| edit("/metadata/name", json!(name))).collect()
}

/// Rules about what an object is.
pub(crate) fn tenant_rules() -> Vec<Row> {
    [common_rules(), store_rules(), operation_rules()].concat()
}

/// Rules about how the pods are run.
fn operation_rules() -> Vec<Row> {
    let scaling = |min: i32, max: i32| edit("/spec/autoscaling", json!({"min": min, "max": max}));
    let from = |peer: Value| edit("/spec/networkAccess", json!({"apiFrom": [peer]}));
    vec![
        row(
            "autoscaling: min must",
            vec![],
            vec![scaling(2, 2), scaling(1, 50), edit("/spec/autoscaling", json!({"max": 2}))],
            vec![scaling(3, 2), edit("/spec/autoscaling", json!({"max": 1}))],
        ),
        row(
            "networkAccess: write namespace or cidr",
            vec![],
            vec![from(json!({"namespace": "media"})), from(json!({"cidr": "10.0.0.0/8"}))],
            vec![from(json!({})), from(json!({"namespace": "media", "cidr": "10.0.0.0/8"}))],
        ),
        row(
            "networkAccess: podLabels choose",
            vec![],
            vec![from(json!({"namespace": "media", "podLabels": {"app": "ivr"}}))],
            vec![from(json!({"cidr": "10.0.0.0/8", "podLabels": {"app": "ivr"}}))],
        ),
        row(
            "tolerations: a value needs",
            vec![],
            vec![
                edit("/spec/scheduling/tolerations/0", json!({"key": "voice"})),
                edit("/spec/scheduling/tolerations/0", json!({})),
            ],
            vec![edit("/spec/scheduling/tolerations/0", json!({"value": "only"}))],
        ),
        row(
            "cidr: write addresses",
            vec![],
            vec![from(json!({"cidr": "fd00::/8"}))],
            vec![from(json!({"cidr": "10.0.0.1"})), from(json!({"cidr": "media"}))],
        ),
    ]
}

fn common_rules() -> Vec<Row> {
    let unchanged = || vec![vec![]];
    let (longest, too_long) = ("a".repeat(40), "a".repeat(41));
    vec![
        row("metadata.name:", vec![], names(&["a", "a-1", &longest]), names(&["1a", "a.b", &too_long])),
        row("region: write", vec![], unchanged(), vec![edit("/spec/region", json!("us"))]),
        row(
            "regions: mark exactly one",
            vec![],
            unchanged(),
            vec![edit("/spec/regions/0/master", json!(false)), second_region(true)],
        ),
        row("regions: a tenant on a volume", vec![], unchanged(), vec![second_region(false)]),
        row(
            "storage: write exactly one",
            vec![],
            unchanged(),
            vec![
                on_storage(json!({})),
                on_storage(json!({"volume": {"existingClaim": "a"}, "s3": s3(secret("s3"))["s3"]})),
            ],
        ),
        row(
            "volume: write exactly one",
            vec![],
            unchanged(),
            vec![edit(VOLUME, json!({})), edit(&format!("{VOLUME}/existingClaim"), json!("messages"))],
        ),
        row(
            "claim: write volumeName or selector",
            vec![],
            unchanged(),
            vec![edit(&claim("/selector"), json!({"matchLabels": {"disk": "fast"}}))],
        ),
        row(
            "user: only an account",
            vec![],
            vec![account(Some("alice"), &["admin", "agent"]), account(None, &["admin"])],
            vec![account(Some("alice"), &["admin"]), account(Some("alice"), &["telephony", "privacy"])],
        ),
    ]
}

/// Rules about how an object may change.
pub(crate) fn tenant_transitions() -> Vec<Row> {
    [common_transitions(), store_transitions()].concat()
}

fn common_transitions() -> Vec<Row> {
    let other = || edit("/spec/replicas", json!(5));
    let renamed = || vec![("/spec/regions/0/name".into(), json!("us")), ("/spec/region".into(), json!("us"))];
    let size = |text: &str| edit(&claim("/size"), json!(text));
    let name = |text: &str| edit(&claim("/volumeName"), json!(text));
    vec![
        row("tenantId can't", vec![], vec![other()], vec![edit("/spec/tenantId", json!("acme-2"))]),
        row("regions: a region can't be", vec![], vec![other()], vec![renamed()]),
        row(
            "master can't be moved",
            vec![],
            vec![other()],
            vec![edit("/spec/regions/0/master", json!(false))],
        ),
        row(
            "storage: the kind",
            vec![],
            vec![size("21Gi")],
            vec![edit("/spec/regions/0/storage", json!({}))],
        ),
        row("volume: claim and existingClaim", vec![], vec![other()], vec![existing("messages")]),
        row(
            "volume: claim and existingClaim",
            existing("messages"),
            vec![other()],
            vec![without_volume_name_claim()],
        ),
        row("existingClaim can't", existing("messages"), vec![other()], vec![existing("others")]),
        row(
            "claim.storageClassName",
            vec![],
            vec![other()],
            vec![
                edit(&claim("/storageClassName"), json!("elsewhere")),
                edit(&claim("/storageClassName"), json!("")),
            ],
        ),
        row("claim.volumeName", vec![], vec![other()], vec![name("disk-2"), without_volume_name()]),
        row("claim.volumeName", without_volume_name(), vec![other()], vec![name("disk-1")]),
        row(
            "claim.selector",
            with_selector("fast"),
            vec![other()],
            vec![with_selector("slow"), edit(&claim("/selector"), Value::Null)],
        ),
        row("claim.selector", without_volume_name(), vec![other()], vec![with_selector("fast")]),
        row(
            "claim.size",
            vec![],
            vec![size("20Gi"), size("20480Mi"), size("1Ti")],
            vec![size("19Gi"), size("20G"), size("20479Mi")],
        ),
    ]
}

pub(crate) fn without_volume_name_claim() -> Edits {
    edit(VOLUME, json!({"claim": {"storageClassName": "nowhere", "size": "1Gi"}}))
}

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
