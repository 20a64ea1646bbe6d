//! Rights of people by the cluster's own roles and the chart's, asked of the real API server: whoever views, edits or administers
//! a namespace sees its tenants and changes none, unless the chart is asked for it; data-subject requests are for privacy officers
//! and approvers alone, policies for the platform team.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail their test")]

use kube::Client;
use voicemail_test_cluster::namespace::TestNamespace;
use voicemail_tests::access_review::{Question, may, wait_allowed};
use voicemail_tests::chart_objects::ChartObjects;
use voicemail_tests::tenant_place::prepare_cluster;

/// A person with one role in a namespace, and what it lets them do and not: (verb, resource of voicemail.dev).
type Person =
    (&'static str, &'static [(&'static str, &'static str)], &'static [(&'static str, &'static str)]);

const PEOPLE: [Person; 3] = [
    (
        "view",
        &[("get", "voicemailtenants"), ("watch", "voicemailtenants/status"), ("list", "voicemailpolicies")],
        &[("patch", "voicemailtenants"), ("get", "gdprrequests"), ("create", "gdprrequests")],
    ),
    (
        "edit",
        &[("get", "voicemailtenants"), ("list", "voicemailtenants")],
        &[
            ("create", "voicemailtenants"),
            ("patch", "voicemailtenants"),
            ("delete", "voicemailtenants"),
            ("patch", "voicemailtenants/scale"),
            ("create", "gdprrequests"),
            ("get", "gdprrequests"),
            ("patch", "voicemailtenants/status"),
            ("create", "voicemailpolicies"),
        ],
    ),
    (
        "admin",
        &[("list", "voicemailtenants")],
        &[
            ("create", "voicemailtenants"),
            ("update", "voicemailtenants/scale"),
            ("create", "gdprrequests"),
            ("patch", "gdprrequests"),
            ("approve", "gdprrequests"),
            ("patch", "voicemailpolicies"),
        ],
    ),
];
/// What the role for tenants lets them do, and not.
const TENANT_ADMIN: Person = (
    "tenant-admin",
    &[
        ("get", "voicemailtenants"),
        ("create", "voicemailtenants"),
        ("delete", "voicemailtenants"),
        ("patch", "voicemailtenants/scale"),
    ],
    &[
        ("deletecollection", "voicemailtenants"),
        ("patch", "voicemailtenants/status"),
        ("create", "gdprrequests"),
        ("patch", "voicemailpolicies"),
    ],
);

#[tokio::test(flavor = "multi_thread")]
async fn the_clusters_own_roles_see_tenants_and_only_the_charts_change_them_or_handle_requests() {
    voicemail_test_machine::install_crypto();
    let (cluster, _) = prepare_cluster().await.unwrap();
    let namespace = TestNamespace::create(cluster.config().await.unwrap(), "people").await.unwrap();
    let release = namespace.name().to_owned();
    let _rendered = ChartObjects::apply(&cluster, &release, "templates/roles.yaml").unwrap();
    let bind = |user: &str, role: &str| {
        let (user, name) = (format!("--user={user}"), format!("{user}-bound"));
        let role = format!("--clusterrole={role}");
        cluster.run_kubectl(&["create", "rolebinding", &name, &role, &user, "-n", &release]).unwrap();
    };
    let client = namespace.client();
    let ask = |user: &str, verb: &str, group: &str, resource: &str| {
        let (user, verb, namespace) = (user.to_owned(), verb.to_owned(), release.clone());
        let (group, resource) = (group.to_owned(), resource.to_owned());
        let client = client.clone();
        async move {
            may(&client, Question { user, verb, group, resource, name: String::new(), namespace })
                .await
                .unwrap()
        }
    };
    let clusters = PEOPLE.map(|person| (person, person.0.to_owned()));
    let all = clusters.into_iter().chain([(TENANT_ADMIN, format!("{release}-{}", TENANT_ADMIN.0))]);
    for ((role, allowed, refused), name) in all {
        bind(role, &name);
        wait_in_force(&client, role, &release, allowed[0]).await;
        for (verb, resource) in allowed {
            assert!(ask(role, verb, "voicemail.dev", resource).await, "{role} can't {verb} {resource}");
        }
        for (verb, resource) in refused {
            assert!(!ask(role, verb, "voicemail.dev", resource).await, "{role} can {verb} {resource}");
        }
    }
    bind("officer", &format!("{release}-privacy"));
    wait_in_force(&client, "officer", &release, ("get", "gdprrequests")).await;
    for verb in ["get", "list", "watch", "create", "update", "patch", "delete"] {
        assert!(ask("officer", verb, "voicemail.dev", "gdprrequests").await, "{verb}");
    }
    assert!(ask("officer", "create", "", "secrets").await, "the Secret with the identifiers");
    for (verb, group, resource) in [
        ("get", "", "secrets"),
        ("list", "", "secrets"),
        ("approve", "voicemail.dev", "gdprrequests"),
        ("patch", "voicemail.dev", "voicemailtenants"),
        ("patch", "voicemail.dev", "gdprrequests/status"),
        ("create", "", "pods/exec"),
    ] {
        assert!(!ask("officer", verb, group, resource).await, "an officer can {verb} {resource}");
    }
    bind("approver", &format!("{release}-approver"));
    wait_in_force(&client, "approver", &release, ("approve", "gdprrequests")).await;
    for verb in ["create", "delete"] {
        assert!(!ask("approver", verb, "voicemail.dev", "gdprrequests").await, "an approver can {verb}");
    }
    bind("platform", &format!("{release}-policy-admin"));
    wait_in_force(&client, "platform", &release, ("create", "voicemailpolicies")).await;
    for (verb, resource) in [
        ("deletecollection", "voicemailpolicies"),
        ("get", "voicemailtenants"),
        ("patch", "voicemailtenants"),
        ("create", "gdprrequests"),
    ] {
        assert!(
            !ask("platform", verb, "voicemail.dev", resource).await,
            "the platform team can {verb} {resource}"
        );
    }
    // Who asks the chart for it has it as it was.
    let asked = ["--set", "roles.aggregateToEdit=true"];
    let _rendered = ChartObjects::apply_with(&cluster, &release, "templates/roles.yaml", &asked).unwrap();
    wait_in_force(&client, "edit", &release, ("create", "voicemailtenants")).await;
    wait_in_force(&client, "admin", &release, ("update", "voicemailtenants/scale")).await;
}

async fn wait_in_force(client: &Client, user: &str, namespace: &str, right: (&str, &str)) {
    let question = Question {
        user: user.into(),
        verb: right.0.into(),
        group: "voicemail.dev".into(),
        resource: right.1.into(),
        name: String::new(),
        namespace: namespace.into(),
    };
    wait_allowed(client, &question).await.unwrap();
}
