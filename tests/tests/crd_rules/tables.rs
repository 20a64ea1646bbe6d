//! Specs that each rule accepts and refuses.

use serde_json::{Value, json};

use crate::objects::{Edits, STORAGE, VOLUME, claim, s3};
use crate::store_tables::{secret, store_rules, store_transitions};
use crate::telephony_tables::{telephony_rules, telephony_transitions};
use crate::web_tables::web_rules;

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
    edit(VOLUME, json!({"existingClaimRef": {"name": name}}))
}

/// Another region beside the first.
pub(crate) fn second_region() -> Edits {
    let storage = json!({"volume": {"existingClaimRef": {"name": "second"}}});
    edit("/spec/regions/-", json!({"name": "us", "storage": storage}))
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
    // A telephone needs a shorter name.
    let named =
        |name: &&str| [edit("/metadata/name", json!(name)), edit("/spec/telephony", Value::Null)].concat();
    valid.iter().map(named).collect()
}

/// Rules about what an object is.
pub(crate) fn tenant_rules() -> Vec<Row> {
    [common_rules(), store_rules(), operation_rules(), telephony_rules(), web_rules()].concat()
}

/// Rules about how the pods are run.
fn operation_rules() -> Vec<Row> {
    let scaling =
        |min: i32, max: i32| edit("/spec/autoscaling", json!({"minReplicas": min, "maxReplicas": max}));
    let from = |peer: Value| edit("/spec/networkPolicy", json!({"api": {"from": [peer]}}));
    let pods = json!({"podSelector": {"matchLabels": {"app": "ivr"}}});
    let block = |cidr: &str| json!({"ipBlock": {"cidr": cidr}});
    let both = json!({"podSelector": {}, "ipBlock": {"cidr": "10.0.0.0/8"}});
    let service = |service: Value| edit("/spec/service", service);
    vec![
        row(
            "minReplicas: write at most",
            vec![],
            vec![scaling(2, 2), scaling(1, 50), edit("/spec/autoscaling", json!({"maxReplicas": 2}))],
            vec![scaling(3, 2), edit("/spec/autoscaling", json!({"maxReplicas": 1}))],
        ),
        row(
            "from: write ipBlock",
            vec![],
            vec![from(pods), from(block("10.0.0.0/8")), from(json!({"namespaceSelector": {}}))],
            vec![from(json!({})), from(both)],
        ),
        row(
            "ipBlock: write ranges",
            vec![],
            vec![
                from(block("fd00::/8")),
                from(json!({"ipBlock": {"cidr": "10.0.0.0/8", "except": ["10.1.0.0/16"]}})),
            ],
            vec![
                from(block("10.0.0.1")),
                from(json!({"ipBlock": {"cidr": "10.0.0.0/8", "except": ["media"]}})),
            ],
        ),
        row(
            "service: externalTrafficPolicy",
            vec![],
            vec![
                service(json!({"type": "LoadBalancer", "externalTrafficPolicy": "Local"})),
                service(json!({})),
            ],
            vec![
                service(json!({"externalTrafficPolicy": "Local"})),
                service(json!({"type": "ClusterIP", "loadBalancerSourceRanges": ["10.0.0.0/8"]})),
            ],
        ),
        row(
            "loadBalancerSourceRanges: write",
            vec![],
            vec![edit("/spec/service/loadBalancerSourceRanges/0", json!("fd00::/8"))],
            vec![edit("/spec/service/loadBalancerSourceRanges/0", json!("10.0.0.1"))],
        ),
        row(
            "resources: write an amount",
            vec![],
            vec![
                edit("/spec/resources/limits/cpu", json!(1)),
                edit("/spec/resources/limits/cpu", json!("1.5")),
            ],
            vec![edit("/spec/resources/limits/cpu", json!("much"))],
        ),
    ]
}

fn common_rules() -> Vec<Row> {
    let unchanged = || vec![vec![]];
    let (longest, too_long) = ("a".repeat(40), "a".repeat(41));
    vec![
        row("metadata.name:", vec![], names(&["a", "a-1", &longest]), names(&["1a", "a.b", &too_long])),
        row("localRegion: write", vec![], unchanged(), vec![edit("/spec/localRegion", json!("us"))]),
        row("primaryRegion: write", vec![], unchanged(), vec![edit("/spec/primaryRegion", json!("us"))]),
        row("regions: a tenant on a volume", vec![], unchanged(), vec![second_region()]),
        row(
            "storage: write exactly one",
            vec![],
            unchanged(),
            vec![
                on_storage(json!({})),
                on_storage(
                    json!({"volume": {"existingClaimRef": {"name": "a"}}, "s3": s3(secret("s3"))["s3"]}),
                ),
            ],
        ),
        row(
            "volume: write exactly one",
            vec![],
            unchanged(),
            vec![
                edit(VOLUME, json!({})),
                edit(&format!("{VOLUME}/existingClaimRef"), json!({"name": "messages"})),
            ],
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
            vec![account(Some("alice"), &["Admin", "Agent"]), account(None, &["Admin"])],
            vec![account(Some("alice"), &["Admin"]), account(Some("alice"), &["Telephony", "Privacy"])],
        ),
    ]
}

/// Rules about how an object may change.
pub(crate) fn tenant_transitions() -> Vec<Row> {
    [common_transitions(), store_transitions(), telephony_transitions()].concat()
}

fn common_transitions() -> Vec<Row> {
    let other = || edit("/spec/replicas", json!(5));
    let renamed = || {
        ["/spec/regions/0/name", "/spec/localRegion", "/spec/primaryRegion"]
            .map(|field| (field.into(), json!("us")))
            .to_vec()
    };
    let size = |amount: Value| edit(&claim("/size"), amount);
    let name = |text: &str| edit(&claim("/volumeName"), json!(text));
    let service = |class: Value| edit("/spec/service/loadBalancerClass", class);
    vec![
        row(
            "tenantID can't be changed",
            vec![],
            vec![other()],
            vec![edit("/spec/tenantID", json!("acme-2"))],
        ),
        row(
            "keys can't be changed",
            vec![],
            vec![other()],
            vec![edit("/spec/keys", json!({"secretRef": {"name": "others"}}))],
        ),
        row("keys can't be added", vec![], vec![], vec![edit("/spec/keys", Value::Null)]),
        row("regions: a region can't be", vec![], vec![other()], vec![renamed()]),
        row(
            "storage: the kind",
            vec![],
            vec![size(json!("21Gi"))],
            vec![edit("/spec/regions/0/storage", json!({}))],
        ),
        row("volume: claim and existingClaimRef", vec![], vec![other()], vec![existing("messages")]),
        row(
            "volume: claim and existingClaimRef",
            existing("messages"),
            vec![other()],
            vec![without_volume_name_claim()],
        ),
        row(
            "existingClaimRef can't be changed",
            existing("messages"),
            vec![other()],
            vec![existing("others")],
        ),
        row("existingClaimRef can't be added", vec![], vec![], vec![existing("others")]),
        row(
            "storageClassName can't be changed: the messages",
            vec![],
            vec![other()],
            vec![
                edit(&claim("/storageClassName"), json!("elsewhere")),
                edit(&claim("/storageClassName"), json!("")),
            ],
        ),
        row("volumeName can't be changed", vec![], vec![other()], vec![name("disk-2")]),
        row("volumeName can't be added", vec![], vec![], vec![without_volume_name()]),
        row("volumeName can't be added", without_volume_name(), vec![other()], vec![name("disk-1")]),
        row("selector can't be changed", with_selector("fast"), vec![other()], vec![with_selector("slow")]),
        row(
            "selector can't be added",
            with_selector("fast"),
            vec![],
            vec![edit(&claim("/selector"), Value::Null)],
        ),
        row("selector can't be added", without_volume_name(), vec![other()], vec![with_selector("fast")]),
        row(
            "size can grow",
            vec![],
            vec![
                size(json!("20Gi")),
                size(json!("20480Mi")),
                size(json!("1Ti")),
                size(json!(21_474_836_480_u64)),
            ],
            vec![size(json!("19Gi")), size(json!("20G")), size(json!("20479Mi")), size(json!(20))],
        ),
        row(
            "loadBalancerClass can't be changed",
            vec![],
            vec![other()],
            vec![service(json!("example.com/other")), service(Value::Null)],
        ),
    ]
}

pub(crate) fn without_volume_name_claim() -> Edits {
    edit(VOLUME, json!({"claim": {"storageClassName": "nowhere", "size": "1Gi"}}))
}
