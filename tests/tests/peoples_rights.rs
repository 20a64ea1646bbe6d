//! Rights of people by the cluster's own roles and the chart's, asked of the real API server: tenants are for those who
//! view, edit and administer a namespace, data-subject requests for privacy officers and approvers alone.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail their test")]

use kube::Client;
use voicemail_tests::access_review::{Question, may, wait_allowed};
use voicemail_tests::chart_objects::ChartObjects;
use voicemail_tests::namespace::TestNamespace;
use voicemail_tests::tenant_place::prepare_cluster;

/// A person with one role in a namespace, and what it lets them do and not: (verb, resource of voicemail.dev).
type Person =
    (&'static str, &'static [(&'static str, &'static str)], &'static [(&'static str, &'static str)]);

const PEOPLE: [Person; 3] = [
    (
        "view",
        &[("get", "voicemailtenants"), ("watch", "voicemailtenants/status")],
        &[("patch", "voicemailtenants"), ("get", "gdprrequests"), ("create", "gdprrequests")],
    ),
    (
        "edit",
        &[
            ("create", "voicemailtenants"),
            ("delete", "voicemailtenants"),
            ("patch", "voicemailtenants/scale"),
        ],
        &[("create", "gdprrequests"), ("get", "gdprrequests"), ("patch", "voicemailtenants/status")],
    ),
    (
        "admin",
        &[("create", "voicemailtenants"), ("update", "voicemailtenants/scale"), ("list", "voicemailtenants")],
        &[("create", "gdprrequests"), ("patch", "gdprrequests"), ("approve", "gdprrequests")],
    ),
];

#[tokio::test(flavor = "multi_thread")]
async fn people_with_the_clusters_own_roles_handle_tenants_and_privacy_officers_alone_handle_requests() {
    voicemail_tests::install_crypto();
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
    for (role, allowed, refused) in PEOPLE {
        bind(role, role);
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
