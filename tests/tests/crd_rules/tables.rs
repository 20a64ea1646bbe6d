//! Specs that each rule accepts and refuses.

use serde_json::{Value, json};

use crate::objects::{Edits, STORAGE, VOLUME, claim, s3};
use crate::store_tables::{secret, store_rules, store_transitions};

/// Specs that a rule accepts and refuses, all starting from the kind's first base with `before` applied.
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
