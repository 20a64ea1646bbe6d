//! Data-subject rights end to end: through resources and through the API, on a real cluster.
//!
//! And afterwards: no number, name or audio is anywhere in objects, events, logs, metrics or the audit log.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test's failure is a panic")]

use bytes::Bytes;
use futures::future::join_all;
use kube::api::DeleteParams;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::time::Duration;
use voicemail_api::gdpr::{GdprBody, Operation, RunState};
use voicemail_resources::{GdprRequest, Phase};
use voicemail_test_cluster::wait::wait_gone;
use voicemail_test_machine::speech::{Coding, Studio};
use voicemail_test_machine::traces::{Sought, Traces};
use voicemail_test_machine::workspace_path;
use voicemail_tests::stage::{
    Api, ApiError, Deposit, ExampleTenant, People, SharedOperator, Site, Tenant, apply_request,
    follow_request,
};

/// The data subject of examples/gdpr/consumers.yaml, as three networks spell them.
const SUBJECT: [&str; 3] = ["+441632960001", "01632 960001", "00441632960001"];
const OTHER: &str = "+441632960777";
const PATIENCE: Duration = Duration::from_secs(30);
const ERASURE: Duration = Duration::from_secs(90);

/// A tenant of a test's own with two mailboxes and some messages.
struct Scene {
    site: Site,
    _operator: SharedOperator,
    namespace: &'static str,
    tenant: Tenant,
    media_server: Api,
    agent: Api,
    officer: Api,
    spoken: Bytes,
}

impl Scene {
    async fn open(namespace: &'static str) -> Self {
        let example = ExampleTenant::open(namespace).await.unwrap();
        let People { admin, media_server, agent, officer } = example.people().await.unwrap();
        let ExampleTenant { site, operator, tenant, .. } = example;
        for mailbox in ["1001", "5000"] {
            admin.put_mailbox(mailbox, "standard", "test").await.unwrap();
        }
        admin.put_group("support", "5000").await.unwrap();
        admin.put_user("alice", &["1001"], &["support"]).await.unwrap();
        let spoken = Studio::open().unwrap().speak("this is a private matter", Coding::ALaw).unwrap();
        Self { site, _operator: operator, namespace, tenant, media_server, agent, officer, spoken }
    }

    async fn deposit(&self, mailbox: &str, caller: &str) -> String {
        let caller_name = (!caller.is_empty()).then(|| "Jane Q. Subject".into());
        let deposit = Deposit { caller_name, ..Deposit::new(mailbox, caller, &self.spoken) };
        self.media_server.deposit(&deposit).await.unwrap().id.to_string()
    }

    /// Three messages of the subject in two boxes, one of somebody else, one withheld.
    async fn deposit_all(&self) -> BTreeSet<String> {
        let first = self.deposit("1001", SUBJECT[0]).await;
        let second = self.deposit("5000", SUBJECT[1]).await;
        let third = self.deposit("1001", SUBJECT[2]).await;
        self.deposit("1001", OTHER).await;
        self.deposit("5000", "").await;
        BTreeSet::from([first, second, third])
    }

    /// Everything an agent sees.
    async fn seen(&self) -> Value {
        let mut lists = Vec::new();
        for mailbox in ["1001", "5000"] {
            lists.push(serde_json::to_value(self.agent.list(mailbox).await.unwrap()).unwrap());
        }
        let own = serde_json::to_value(self.agent.own_mailboxes().await.unwrap()).unwrap();
        json!({ "lists": lists, "own": own })
    }

    async fn ids(&self) -> BTreeSet<String> {
        let mut ids = BTreeSet::new();
        for mailbox in ["1001", "5000"] {
            ids.extend(self.agent.list(mailbox).await.unwrap().into_iter().map(|m| m.id.to_string()));
        }
        ids
    }

    async fn apply(&self, file: &str) {
        apply_request(&self.site, self.namespace, file).await.unwrap();
    }

    async fn follow(&self, name: &str, phase: Phase, patience: Duration) {
        follow_request(&self.site, self.namespace, name, phase, patience).await.unwrap();
    }

    async fn delete_request(&self, name: &str) {
        let api = self.site.api::<GdprRequest>(self.namespace).unwrap();
        api.delete(name, &DeleteParams::default()).await.unwrap();
        wait_gone(&api, name, PATIENCE).await.unwrap();
    }

    async fn traces(&self) -> Vec<String> {
        let hash = self.tenant.hash_caller(SUBJECT[0], "GB").await.unwrap();
        let folder = self.tenant.volume_folder().unwrap();
        // The withheld and the other caller's recordings are the same speech, so audio is looked for elsewhere.
        let found =
            Traces::default().with_number(SUBJECT[0], "44").with_caller_hash(hash.as_str()).scan(folder);
        let ledger = |file: &str| ["/mark/", "/ledger/", "/due/"].iter().any(|kept| file.contains(kept));
        let found = found.unwrap().into_iter().map(|trace| (trace.file.display().to_string(), trace.what));
        found
            .filter(|(file, what)| *what != Sought::CallerHash || !ledger(file))
            .map(|(file, _)| file)
            .collect()
    }
}

fn input_json(case: &str, phones: &[&str]) -> GdprBody {
    serde_json::from_value(json!({
        "caseid": case,
        "ccid": "2c5ea4c0-4067-11e9-8bad-9b1deb4d3b7d",
        "consumers": [{"consumer": phones.iter().map(|phone| json!({"phone": phone})).collect::<Vec<_>>()}],
    }))
    .unwrap()
}

fn problem(error: anyhow::Error) -> (u16, String) {
    let error = error.downcast::<ApiError>().unwrap();
    (error.status, error.kind().to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_case_goes_through_export_forget_undo_and_erasure_by_resources_alone() {
    let scene = Scene::open("rights-by-resource").await;
    let audit = scene.site.cluster().unwrap().audit_log().unwrap();
    let subjects = scene.deposit_all().await;
    let before = scene.seen().await;

    let consumers = workspace_path("examples/gdpr/consumers.yaml");
    scene.site.apply_file(scene.namespace, &consumers).await.unwrap();
    scene.apply("export.yaml").await;
    scene.follow("case-123456789-export", Phase::Completed, PATIENCE).await;
    check_export(&scene, &subjects).await;

    scene.apply("forget.yaml").await;
    scene.follow("case-123456789-forget", Phase::Marked, PATIENCE).await;
    assert!(scene.ids().await.is_disjoint(&subjects), "hidden at once");
    assert_eq!(scene.agent.mwi("1001").await.unwrap().new, 1, "MWI is right at once");
    let hidden = subjects.iter().next().unwrap().parse().unwrap();
    assert_eq!(problem(scene.agent.audio("1001", hidden).await.unwrap_err()).0, 404, "and can't be played");

    scene.apply("undo.yaml").await;
    scene.follow("case-123456789-undo", Phase::Completed, PATIENCE).await;
    scene.follow("case-123456789-forget", Phase::Undone, PATIENCE).await;
    let mut after = scene.seen().await;
    restore_clocks(&before, &mut after);
    assert_eq!(before, after, "everything is as it was");

    recreate_and_expect_a_mirror(&scene, &subjects).await;

    scene.apply("forget-again.yaml").await;
    scene.follow("case-123456789-forget-again", Phase::Completed, ERASURE).await;
    assert_eq!(scene.ids().await.len(), 2, "the other callers' messages stay");
    assert_eq!(scene.traces().await, Vec::<String>::new());
    recreate_after_erasure(&scene).await;

    audit
        .wait_for("the officer's requests", PATIENCE, |record| record.to_string().contains("gdprrequests"))
        .await
        .unwrap();
    check_no_personal_data(
        &scene,
        &audit.records().unwrap().iter().map(ToString::to_string).collect::<Vec<_>>(),
    )
    .await;
    scene.tenant.remove().await.unwrap();
}

/// Clocks stood still while the messages were hidden: `expires` is later by that, and nothing else differs.
fn restore_clocks(before: &Value, after: &mut Value) {
    let old = before["lists"].as_array().unwrap().iter().flat_map(|list| list.as_array().unwrap());
    let new = after["lists"].as_array_mut().unwrap().iter_mut().flat_map(|list| list.as_array_mut().unwrap());
    for (old, new) in old.zip(new) {
        assert!(new["expires"].as_str().unwrap() >= old["expires"].as_str().unwrap());
        new["expires"] = old["expires"].clone();
    }
}

async fn check_export(scene: &Scene, subjects: &BTreeSet<String>) {
    let folder = tempfile::tempdir().unwrap();
    let names = scene.officer.unpack_export("A-1042", folder.path()).await.unwrap();
    let mut expected: Vec<String> = subjects.iter().map(|id| format!("{id}.wav")).collect();
    expected.extend(["index.html".into(), "manifest.json".into(), "output.json".into()]);
    assert_eq!(names, expected);
    for id in subjects {
        assert_eq!(std::fs::read(folder.path().join(format!("{id}.wav"))).unwrap(), scene.spoken);
    }
    let output: Value =
        serde_json::from_slice(&std::fs::read(folder.path().join("output.json")).unwrap()).unwrap();
    let listed: BTreeSet<String> = serde_json::from_value(output["consumers"][SUBJECT[0]].clone()).unwrap();
    assert_eq!((&listed, &output["caseid"]), (subjects, &json!("A-1042")));
}

/// Deleted and applied again, a request mirrors its run: nothing is hidden a second time.
async fn recreate_and_expect_a_mirror(scene: &Scene, subjects: &BTreeSet<String>) {
    scene.delete_request("case-123456789-forget").await;
    scene.apply("forget.yaml").await;
    scene.follow("case-123456789-forget", Phase::Undone, PATIENCE).await;
    assert!(scene.ids().await.is_superset(subjects), "a recreated request has hidden something");
    let runs = scene.officer.case("A-1042").await.unwrap().runs;
    assert_eq!(runs.iter().filter(|run| run.operation == Operation::ForgetMe).count(), 1);
}

/// A message that the caller leaves after an erasure isn't erased by the same request again.
async fn recreate_after_erasure(scene: &Scene) {
    let later = scene.deposit("1001", SUBJECT[0]).await;
    scene.delete_request("case-123456789-forget-again").await;
    scene.apply("forget-again.yaml").await;
    scene.follow("case-123456789-forget-again", Phase::Completed, PATIENCE).await;
    assert!(scene.ids().await.contains(&later), "a recreated request has erased something");
}

/// Everything that the cluster keeps or shows, but for the Secret that the officer brought.
async fn check_no_personal_data(scene: &Scene, audit: &[String]) {
    let kubectl = |arguments: &'static [&'static str]| scene.site.run_kubectl(arguments);
    let mut texts = vec![("audit log", audit.join("\n"))];
    let kinds = "vmt,gdpr,cm,sa,svc,deploy,rs,pods,pvc,pdb,endpointslices,events,leases";
    let objects = ["get", kinds, "-o", "yaml", "--show-managed-fields", "-n", "rights-by-resource"];
    texts.push(("objects", scene.site.run_kubectl(&objects).await.unwrap()));
    texts.push((
        "operator's objects",
        kubectl(&["get", "all,events,leases", "-o", "yaml", "-n", "voicemail-system"]).await.unwrap(),
    ));
    texts.push(("operator's logs", read_logs(scene, OPERATOR_PODS).await));
    texts
        .push(("core's logs", read_logs(scene, (scene.namespace, "app.kubernetes.io/name=voicemail")).await));
    texts.push(("metrics", metrics(scene).await));
    for (place, text) in texts {
        assert!(text.len() > 200, "{place} is all but empty: {text}");
        // The name of a condition is nobody's.
        let text = text.replace("SubjectVerified", "").replace("SubjectNotVerified", "");
        let digits: String = text.chars().filter(|c| !matches!(c, ' ' | '-' | '(' | ')')).collect();
        for secret in ["1632960001", "1632960777", "Jane", "Subject"] {
            assert!(!digits.contains(secret), "{place} holds {secret}");
        }
    }
}

/// Namespace and label of the operator's pods.
const OPERATOR_PODS: (&str, &str) = ("voicemail-system", "app.kubernetes.io/name=voicemail-operator");

/// Pods that run and aren't about to go: an earlier roll-out or a full disk may have left others.
async fn list_pods(scene: &Scene, (namespace, label): (&str, &str)) -> Vec<String> {
    let text = scene.site.run_kubectl(&["get", "pods", "-n", namespace, "-l", label, "-o", "json"]).await;
    let found: Value = serde_json::from_str(&text.unwrap()).unwrap();
    let stay =
        |pod: &&Value| pod["metadata"]["deletionTimestamp"].is_null() && pod["status"]["phase"] == "Running";
    let name = |pod: &Value| pod["metadata"]["name"].as_str().unwrap().to_owned();
    let pods: Vec<String> = found["items"].as_array().unwrap().iter().filter(stay).map(name).collect();
    assert!(!pods.is_empty(), "{label}: {found}");
    pods
}

async fn read_logs(scene: &Scene, pods: (&str, &str)) -> String {
    let mut all = String::new();
    for pod in list_pods(scene, pods).await {
        all += &scene.site.run_kubectl(&["logs", "-n", pods.0, &pod]).await.unwrap();
    }
    all
}

/// Metrics of every pod, core and operator, by way of the API server.
async fn metrics(scene: &Scene) -> String {
    let mut all = String::new();
    let cores = (scene.namespace, "app.kubernetes.io/name=voicemail");
    for (pods, port) in [(cores, 9090), (OPERATOR_PODS, 8080)] {
        for pod in list_pods(scene, pods).await {
            let path = format!("/api/v1/namespaces/{}/pods/{pod}:{port}/proxy/metrics", pods.0);
            all += &scene.site.run_kubectl(&["get", "--raw", &path]).await.unwrap();
        }
    }
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_requests_work_through_input_json() {
    let scene = Scene::open("rights-by-input").await;
    let subjects = scene.deposit_all().await;
    let body = input_json("555", &["+44 1632 960001", "0044 1632 960001", "555556161"]);
    let exercise = |operation, body: GdprBody| {
        let officer = scene.officer.clone();
        async move { officer.exercise(operation, &body).await }
    };

    let answer = exercise(Operation::ForgetMe, body.clone()).await.unwrap();
    assert_eq!(answer.caseid, "555");
    let keys: Vec<&String> = answer.consumers.keys().collect();
    assert_eq!(keys.len(), 3, "each identifier exactly as given: {keys:?}");
    let found: BTreeSet<String> =
        serde_json::from_value(answer.consumers["+44 1632 960001"].clone()).unwrap();
    assert_eq!((&found, &answer.consumers["555556161"]), (&subjects, &json!([])));
    assert_eq!(answer.run.state, RunState::Marked);
    assert!(scene.ids().await.is_disjoint(&subjects));

    let again = exercise(Operation::ForgetMe, body.clone()).await.unwrap();
    assert_eq!(again.run.id, answer.run.id, "the same body while the run is open resumes it");
    let other = exercise(Operation::ForgetMe, input_json("555", &[OTHER])).await.err().unwrap();
    assert_eq!(problem(other).0, 409, "other consumers on an open case");
    let foreign = GdprBody { ccid: Some("another".into()), ..body.clone() };
    assert_eq!(problem(exercise(Operation::ForgetMe, foreign).await.err().unwrap()).0, 400, "a foreign ccid");

    let undone = exercise(Operation::UndoForget, body.clone()).await.unwrap();
    assert_eq!((undone.run.id, undone.run.state), (answer.run.id, RunState::Undone));
    assert!(scene.ids().await.is_superset(&subjects));

    let export = exercise(Operation::ExportMe, body).await.unwrap();
    assert_eq!((export.run.state, export.run.exported), (RunState::Ready, 3));
    let folder = tempfile::tempdir().unwrap();
    let names = scene.officer.unpack_export("555", folder.path()).await.unwrap();
    assert_eq!(names.iter().filter(|name| name.ends_with(".wav")).count(), 3);
    scene.tenant.remove().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn of_an_undo_and_a_purge_that_race_exactly_one_wins() {
    let scene = Scene::open("rights-race").await;
    let races = (0..4).map(|n| race(&scene, n));
    let undone = join_all(races).await.into_iter().filter(|undone| *undone).count();
    println!("{undone} of 4 races were won by the undo");
    scene.tenant.remove().await.unwrap();
}

/// A caller of its own is forgotten with a window of a second; undos are sent all around its end.
async fn race(scene: &Scene, n: usize) -> bool {
    let (caller, case) = (format!("+44163296010{n}"), format!("race-{n}"));
    let id = scene.deposit("5000", &caller).await;
    let body = GdprBody { undo_window: Some("1s".into()), ..input_json(&case, &[&caller]) };
    scene.officer.exercise(Operation::ForgetMe, &body).await.unwrap();
    let world = voicemail_store::real_world();
    world.sleep(Duration::from_millis(900)).await;
    let undos = (0..6).map(|k| {
        let (world, body) = (world.clone(), GdprBody { undo_window: None, ..body.clone() });
        async move {
            world.sleep(Duration::from_millis(40 * k)).await;
            scene.officer.exercise(Operation::UndoForget, &body).await.is_ok()
        }
    });
    let undone = join_all(undos).await.into_iter().any(|ok| ok);
    let state = settled_state(scene, &case).await;
    assert_eq!(undone, state == RunState::Undone, "{case}: an undo said {undone}, the run is {state:?}");
    assert_eq!(scene.ids().await.contains(&id), undone, "{case}");
    undone
}

/// The run's state once the purge has begun or the undo has ended.
async fn settled_state(scene: &Scene, case: &str) -> RunState {
    let world = voicemail_store::real_world();
    for _ in 0..200 {
        let state = scene.officer.case(case).await.unwrap().runs[0].state;
        if matches!(state, RunState::Undone | RunState::Purging | RunState::Purged) {
            return state;
        }
        world.sleep(Duration::from_millis(100)).await;
    }
    panic!("{case} is neither undone nor being purged");
}
