//! Specs that the rules about object stores accept and refuse.

use serde_json::{Value, json};

use crate::objects::{CLIENT, Edits, azure, identity, role, s3, vault};
use crate::tables::{Row, edit, on_storage, row};

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

pub(crate) fn secret(name: &str) -> Value {
    json!({"secretRef": {"name": name}})
}

const OTHER: &str = "33333333-3333-3333-3333-333333333333";

/// Rules about object stores.
pub(crate) fn store_rules() -> Vec<Row> {
    let (blob, bucket) = (|| azure(secret("azure")), || s3(secret("s3")));
    let unset = || edit("/spec/classesOfService/0/quotaSeconds", Value::Null);
    let per_address = |count: i32| edit("/spec/clientLimits/connectionsPerAddress", json!(count));
    let quota = |seconds: i32| edit("/spec/classesOfService/0/quotaSeconds", json!(seconds));
    let two_kinds = json!({"secretRef": {"name": "a"}, "workloadIdentity": {"clientID": CLIENT}});
    let without_tenant = json!({"workloadIdentity": {"clientID": CLIENT}});
    let other = |credentials: Value| but(azure(credentials), "account", json!("another"));
    let other_bucket = |credentials: Value| but(s3(credentials), "bucket", json!("another"));
    vec![
        row(
            "credentials: write exactly one of secretRef, keyVault",
            vec![],
            vec![on_storage(blob()), on_storage(azure(vault())), on_storage(azure(identity(CLIENT)))],
            vec![on_storage(azure(json!({}))), on_storage(azure(two_kinds))],
        ),
        row(
            "credentials: write exactly one of secretRef and webIdentity",
            vec![],
            vec![on_storage(bucket()), on_storage(s3(role("voicemail")))],
            vec![
                on_storage(s3(json!({}))),
                on_storage(s3(json!({"secretRef": {"name": "a"}, "webIdentity": role("r")["webIdentity"]}))),
            ],
        ),
        row(
            "encryption: write exactly one",
            vec![],
            vec![
                on_storage(blob()),
                on_storage(but(blob(), "encryption", json!({"customerKeySecretRef": {"name": "key"}}))),
            ],
            vec![
                on_storage(but(blob(), "encryption", json!({}))),
                on_storage(but(
                    blob(),
                    "encryption",
                    json!({"scope": "tenant-a", "customerKeySecretRef": {"name": "key"}}),
                )),
            ],
        ),
        row(
            "kmsKeyID: leave it out",
            vec![],
            vec![
                on_storage(but(bucket(), "encryption", json!({"algorithm": "KMS"}))),
                on_storage(but(bucket(), "encryption", json!({"algorithm": "AES256"}))),
            ],
            vec![on_storage(but(
                bucket(),
                "encryption",
                json!({"algorithm": "AES256", "kmsKeyID": "key-1"}),
            ))],
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
            "minSeconds: write at most",
            vec![],
            vec![edit("/spec/classesOfService/0/minSeconds", json!(60))],
            vec![
                edit("/spec/classesOfService/0/maxSeconds", json!(1)).into_iter().chain(minimum(2)).collect(),
            ],
        ),
        row("quotaSeconds: write at least", vec![], vec![quota(180), unset()], vec![quota(179)]),
        row(
            "connectionsPerAddress: write at most",
            vec![],
            vec![per_address(4_096), edit("/spec/clientLimits/connections", Value::Null)],
            vec![per_address(4_097), edit("/spec/clientLimits/connections", json!(99))],
        ),
    ]
}

fn minimum(seconds: i32) -> Edits {
    edit("/spec/classesOfService/0/minSeconds", json!(seconds))
}

fn bucket_b() -> Value {
    but(s3(secret("s3")), "bucket", json!("another"))
}

/// Rules about how object stores may change.
pub(crate) fn store_transitions() -> Vec<Row> {
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
            on_storage(but(bucket(), "etagQuoting", json!("Bare"))),
        ]
    };
    vec![
        row(
            "primaryRegion can't be changed",
            both(blob(), bucket()),
            vec![edit("/spec/localRegion", json!("us"))],
            vec![edit("/spec/primaryRegion", json!("us"))],
        ),
        row(
            "account can't be changed",
            on_storage(blob()),
            moved_blob(),
            vec![on_storage(but(blob(), "account", json!("another")))],
        ),
        row(
            "container can't be changed",
            on_storage(blob()),
            vec![],
            vec![on_storage(but(blob(), "container", json!("another")))],
        ),
        row("prefix can't be changed", on_storage(blob()), vec![], vec![prefix(blob(), json!("calls"))]),
        row("prefix can't be added", on_storage(blob()), vec![], vec![rootless(blob())]),
        row("prefix can't be added", rootless(blob()), vec![], vec![on_storage(blob())]),
        row(
            "bucket can't be changed",
            on_storage(bucket()),
            moved_bucket(),
            vec![on_storage(but(bucket(), "bucket", json!("another")))],
        ),
        row(
            "prefix can't be changed",
            on_storage(bucket()),
            vec![],
            vec![prefix(bucket(), json!("voicemail"))],
        ),
        row("prefix can't be added", on_storage(bucket()), vec![], vec![rootless(bucket())]),
        row("prefix can't be added", rootless(bucket()), vec![], vec![on_storage(bucket())]),
        row("storage: the kind", on_storage(blob()), vec![], vec![on_storage(bucket())]),
        row(
            "regions: a region can't be",
            both(blob(), bucket()),
            vec![edit("/spec/localRegion", json!("us"))],
            vec![edit("/spec/regions", json!([{"name": "eu", "storage": blob()}]))],
        ),
    ]
}
