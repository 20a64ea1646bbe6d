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
    json!({"secret": {"name": name}})
}

const OTHER: &str = "33333333-3333-3333-3333-333333333333";

/// Rules about object stores.
pub(crate) fn store_rules() -> Vec<Row> {
    let (blob, bucket) = (|| azure(secret("azure")), || s3(secret("s3")));
    let unset = || edit("/spec/classesOfService/0/quotaSeconds", Value::Null);
    let per_address = |count: i32| edit("/spec/limits/connectionsPerAddress", json!(count));
    let quota = |seconds: i32| edit("/spec/classesOfService/0/quotaSeconds", json!(seconds));
    let two_kinds = json!({"secret": {"name": "a"}, "workloadIdentity": {"clientId": CLIENT}});
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
