//! Every phase, condition and refusal of a `GdprRequest`, on a real cluster: one tenant, many requests.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test's failure is a panic")]

use bytes::Bytes;
use k8s_openapi::api::core::v1::{Event, Secret};
use kube::api::{DeleteParams, ListParams};
use kube::runtime::watcher;
use serde_json::{Value, json};
use std::time::Duration;
use voicemail_api::gdpr::{GdprBody, Operation};
use voicemail_resources::conditions::{
    APPROVED, BACKUPS_CLEARED, Condition, ConditionStatus, DEADLINE_AT_RISK, DECISIONS_TAKEN, ERASED, FOUND,
    MARKED, SUCCEEDED, VALIDATED, VERIFIED, find_condition,
};
use voicemail_resources::{GdprRequest, GdprRequestStatus, Phase};
use voicemail_test_cluster::wait::{wait_for_any, wait_gone, wait_until};
use voicemail_test_machine::speech::{Coding, Studio};
use voicemail_tests::stage::{
    Api, Deposit, ExampleTenant, People, SharedOperator, Site, Tenant, follow_request,
};

const NAMESPACE: &str = "gdpr-phases";
const CALLER: &str = "+441632960001";
const PATIENCE: Duration = Duration::from_secs(40);
const ERASURE: Duration = Duration::from_secs(90);
/// The operator lists cases that were created by the API or the command once a minute.
const MIRRORED: Duration = Duration::from_secs(120);

struct Scene {
    site: Site,
    _operator: SharedOperator,
    tenant: Tenant,
    media_server: Api,
    agent: Api,
    officer: Api,
    spoken: Bytes,
}

impl Scene {
    async fn open() -> Self {
        let example = ExampleTenant::open(NAMESPACE).await.unwrap();
        let People { media_server, agent, officer, admin: _ } = example.serve(&["1001"]).await.unwrap();
        let spoken = Studio::open().unwrap().speak("call me back", Coding::ALaw).unwrap();
        let ExampleTenant { site, operator, tenant, .. } = example;
        Self { site, _operator: operator, tenant, media_server, agent, officer, spoken }
    }

    async fn deposit(&self, caller: &str) -> String {
        let deposit = Deposit::new("1001", caller, &self.spoken);
        self.media_server.deposit(&deposit).await.unwrap().id.to_string()
    }

    async fn ids(&self) -> Vec<String> {
        self.agent.list("1001").await.unwrap().iter().map(|message| message.id.to_string()).collect()
    }

    async fn put_consumers(&self, case: &str, label: &str) {
        let input = json!({ "caseid": case, "consumers": [{ "phone": [CALLER] }] }).to_string();
        let secret = json!({
            "apiVersion": "v1", "kind": "Secret",
            "metadata": {"name": case, "labels": {"voicemail.dev/gdpr-consumers": label}},
            "stringData": {"input.json": input},
        });
        self.site.apply_text(NAMESPACE, secret.to_string()).await.unwrap();
    }

    /// Applies a request of that name about that case.
    async fn request(&self, name: &str, operation: &str, case: &str, more: Value) {
        let mut spec =
            json!({ "tenantRef": { "name": self.tenant.name() }, "operation": operation, "caseID": case });
        spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let request = json!({ "apiVersion": "voicemail.dev/v1beta1", "kind": "GdprRequest",
                              "metadata": { "name": name }, "spec": spec });
        self.site.apply_text(NAMESPACE, request.to_string()).await.unwrap();
    }

    /// Asks through the API and returns the run.
    async fn export_at_another_door(&self, case: &str) -> String {
        let body = json!({ "caseid": case, "consumers": [{ "phone": [CALLER] }] });
        let body: GdprBody = serde_json::from_value(body).unwrap();
        self.officer.exercise(Operation::ExportMe, &body).await.unwrap().run.id
    }

    async fn patch(&self, name: &str, spec: Value) {
        let patch = json!({ "spec": spec }).to_string();
        self.site
            .run_kubectl(&["patch", "gdpr", name, "-n", NAMESPACE, "--type=merge", "-p", &patch])
            .await
            .unwrap();
    }

    async fn follow(&self, name: &str, phase: Phase) -> GdprRequestStatus {
        follow_request(&self.site, NAMESPACE, name, phase, ERASURE).await.unwrap()
    }

    /// Waits until a condition has that status and reason.
    async fn expect(&self, name: &str, type_: &str, status: ConditionStatus, reason: &str) {
        let holds = |condition: &Condition| condition.status == status && condition.reason == reason;
        let said = |request: &GdprRequest| {
            let conditions = request.status.as_ref().map(|status| status.conditions.as_slice());
            find_condition(conditions.unwrap_or_default(), type_).is_some_and(holds)
        };
        let api = self.site.api::<GdprRequest>(NAMESPACE).unwrap();
        let what = format!("its condition {type_} is {status:?} because of {reason}");
        wait_until(&api, name, &what, PATIENCE, said).await.unwrap();
    }

    async fn delete(&self, name: &str) {
        let api = self.site.api::<GdprRequest>(NAMESPACE).unwrap();
        api.delete(name, &DeleteParams::default()).await.unwrap();
        wait_gone(&api, name, PATIENCE).await.unwrap();
    }

    async fn see_event(&self, reason: &str) {
        let which = watcher::Config::default().fields(&format!("reason={reason}"));
        let events = self.site.api::<Event>(NAMESPACE).unwrap();
        wait_for_any(&events, which, &format!("there is an event {reason}"), PATIENCE, |_| true)
            .await
            .unwrap();
    }

    async fn has_secret(&self, name: &str) -> bool {
        self.site.api::<Secret>(NAMESPACE).unwrap().get_opt(name).await.unwrap().is_some()
    }
}

fn of_secret(name: &str) -> Value {
    json!({ "consumers": { "secretRef": { "name": name } } })
}

fn with(mut spec: Value, more: Value) -> Value {
    spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    spec
}

fn reason<'a>(status: &'a GdprRequestStatus, type_: &str) -> &'a str {
    find_condition(&status.conditions, type_).map_or("", |condition| &condition.reason)
}

#[tokio::test(flavor = "multi_thread")]
async fn every_phase_condition_and_refusal_is_seen() {
    let scene = Scene::open().await;
    let id = scene.deposit(CALLER).await;
    // Shown within about a minute, while all else goes on.
    let elsewhere = scene.export_at_another_door("untold").await;
    what_is_missing_is_named(&scene).await;
    a_dry_run_changes_nothing(&scene, &id).await;
    an_approval_takes_a_second_person(&scene).await;
    a_denial_and_a_cancellation_end_it_and_too_late_is_told(&scene).await;
    assert_eq!(scene.ids().await, std::slice::from_ref(&id), "nothing was hidden so far");
    an_erasure_outlives_its_object(&scene).await;
    another_doors_run_is_shown(&scene).await;
    a_case_of_another_door_appears_by_itself(&scene, &elsewhere).await;
    a_named_message_is_erased_and_the_object_goes_after_its_time(&scene).await;
    scene.tenant.remove().await.unwrap();
}

async fn what_is_missing_is_named(scene: &Scene) {
    scene.put_consumers("unlabelled", "no").await;
    scene.request("unlabelled", "ForgetMe", "unlabelled", of_secret("unlabelled")).await;
    scene.follow("unlabelled", Phase::Validating).await;
    scene.expect("unlabelled", VALIDATED, ConditionStatus::False, "ConsumersNotLabelled").await;
    scene.patch("unlabelled", json!({ "cancellation": { "reason": "a mistake", "by": "anna" } })).await;
    scene.follow("unlabelled", Phase::Cancelled).await;
    assert!(scene.has_secret("unlabelled").await, "a Secret of somebody else's was deleted");

    let elsewhere = with(of_secret("elsewhere"), json!({ "tenantRef": { "name": "nobody" } }));
    scene.request("elsewhere", "ForgetMe", "elsewhere", elsewhere).await;
    scene.follow("elsewhere", Phase::Pending).await;
    scene.expect("elsewhere", VALIDATED, ConditionStatus::False, "TenantNotFound").await;
    scene.delete("elsewhere").await;

    scene.request("no-case", "UndoForgetMe", "no-case", json!({})).await;
    let failed = scene.follow("no-case", Phase::Failed).await;
    assert_eq!(find_condition(&failed.conditions, SUCCEEDED).unwrap().status, ConditionStatus::False);
}

async fn a_dry_run_changes_nothing(scene: &Scene, id: &String) {
    scene.put_consumers("dry", "true").await;
    let dry = with(of_secret("dry"), json!({ "dryRun": true }));
    scene.request("dry", "ForgetMe", "dry", dry).await;
    let status = scene.follow("dry", Phase::Completed).await;
    assert_eq!((reason(&status, SUCCEEDED), status.matched), ("DryRun", Some(1)));
    assert!(scene.ids().await.contains(id) && scene.has_secret("dry").await);
}

async fn an_approval_takes_a_second_person(scene: &Scene) {
    scene.put_consumers("eyes", "true").await;
    let asked =
        json!({ "requireApproval": true, "requestedBy": "anna", "verification": {"method": "callback"} });
    scene.request("eyes", "ForgetMe", "eyes", with(of_secret("eyes"), asked)).await;
    let status = scene.follow("eyes", Phase::AwaitingApproval).await;
    assert_eq!((reason(&status, APPROVED), reason(&status, FOUND)), ("AwaitingApproval", "Searched"));
    scene.patch("eyes", json!({ "approval": { "decision": "Approve", "by": "anna" } })).await;
    scene.expect("eyes", DECISIONS_TAKEN, ConditionStatus::False, "SecondPersonNeeded").await;
    scene.patch("eyes", json!({ "cancellation": { "reason": "asked again", "by": "anna" } })).await;
    scene.follow("eyes", Phase::Cancelled).await;
}

async fn a_denial_and_a_cancellation_end_it_and_too_late_is_told(scene: &Scene) {
    scene.put_consumers("denied", "true").await;
    let asked = json!({ "requireApproval": true, "requestedBy": "anna" });
    scene.request("denied", "ForgetMe", "denied", with(of_secret("denied"), asked)).await;
    scene.follow("denied", Phase::AwaitingApproval).await;
    let denial =
        json!({ "decision": "Deny", "by": "bert", "ground": "LegalClaims", "reason": "a claim is pending" });
    scene.patch("denied", json!({ "approval": denial })).await;
    let status = scene.follow("denied", Phase::Denied).await;
    assert_eq!(reason(&status, APPROVED), "Denied");
    assert!(status.receipt.is_some(), "a denial has its receipt");
}

async fn an_erasure_outlives_its_object(scene: &Scene) {
    scene.put_consumers("forget", "true").await;
    let asked = json!({ "requireApproval": true, "requestedBy": "anna", "undoWindow": "8s" });
    let spec = with(of_secret("forget"), asked);
    scene.request("forget", "ForgetMe", "forget", spec.clone()).await;
    scene.follow("forget", Phase::AwaitingApproval).await;
    let approval = json!({ "approval": { "decision": "Approve", "by": "bert" },
                           "extension": { "months": 2, "reason": "many requests", "by": "bert" } });
    scene.patch("forget", approval).await;
    let marked = scene.follow("forget", Phase::Marked).await;
    assert_eq!((reason(&marked, APPROVED), reason(&marked, MARKED)), ("Approved", "Hidden"));
    assert_eq!(reason(&marked, DEADLINE_AT_RISK), "InTime");
    let days = marked.due_at.unwrap().0.duration_since(marked.received_at.unwrap().0).as_secs() / 86_400;
    assert!((88..=93).contains(&days), "extended by two months, it is due after {days} days");
    scene.patch("forget", json!({ "cancellation": { "reason": "too late", "by": "anna" } })).await;
    scene.expect("forget", DECISIONS_TAKEN, ConditionStatus::False, "DecisionRefused").await;

    scene.delete("forget").await;
    scene.see_event("RunGoesOn").await;
    scene.request("forget", "ForgetMe", "forget", spec.clone()).await;
    scene.follow("forget", Phase::Verifying).await;
    let wait = ["wait", "--for=condition=Finished", "gdpr/forget", "-n", NAMESPACE, "--timeout=90s"];
    scene.site.run_kubectl(&wait).await.unwrap();
    let done = scene.follow("forget", Phase::Completed).await;
    assert_eq!((reason(&done, ERASED), reason(&done, VERIFIED)), ("Erased", "SearchedAgain"));
    assert_eq!(reason(&done, BACKUPS_CLEARED), "CopiesRemain");
    assert_eq!((done.erased, done.regions[0].erased), (Some(1), 1));
    assert!(done.receipt.is_some() && done.finished_at.is_some());
    wait_gone(&scene.site.api::<Secret>(NAMESPACE).unwrap(), "forget", PATIENCE).await.unwrap();

    scene.delete("forget").await;
    let later = scene.deposit(CALLER).await;
    scene.request("forget", "ForgetMe", "forget", spec).await;
    scene.follow("forget", Phase::Completed).await;
    assert!(scene.ids().await.contains(&later), "a recreated request erases nothing, and needs no Secret");
}

async fn another_doors_run_is_shown(scene: &Scene) {
    // The resource comes first, so that the operator makes none of its own meanwhile.
    scene.request("phoned", "ExportMe", "phoned", json!({ "run": "phoned/exportme.1" })).await;
    let run = scene.export_at_another_door("phoned").await;
    assert_eq!(run, "phoned/exportme.1");
    let status = scene.follow("phoned", Phase::Completed).await;
    assert_eq!((status.run, status.exported), (Some(run), Some(1)));
    scene.request("unknown", "ExportMe", "phoned", json!({ "run": "phoned/exportme.9" })).await;
    scene.expect("unknown", VALIDATED, ConditionStatus::False, "RunNotFound").await;
    // An open request would hold up the tenant's removal.
    scene.delete("unknown").await;
}

/// One register: `kubectl get gdpr` shows what came through the API, once.
async fn a_case_of_another_door_appears_by_itself(scene: &Scene, run: &str) {
    let requests = scene.site.api::<GdprRequest>(NAMESPACE).unwrap();
    let mirrors = "voicemail.dev/origin=api";
    let shown = |request: &GdprRequest| {
        let phase = request.status.as_ref().map(|status| status.phase);
        request.spec.run.as_deref() == Some(run) && phase == Some(Phase::Completed)
    };
    let which = watcher::Config::default().labels(mirrors);
    wait_for_any(&requests, which, &format!("a resource shows run {run}"), MIRRORED, shown).await.unwrap();
    let all = requests.list(&ListParams::default().labels(mirrors)).await.unwrap();
    let twice = all.iter().find(|request| request.spec.run.as_deref() == Some("phoned/exportme.1"));
    assert_eq!(twice, None, "a run that somebody wrote a resource for is shown again");
}

async fn a_named_message_is_erased_and_the_object_goes_after_its_time(scene: &Scene) {
    let id = scene.deposit("").await;
    let named = json!({ "messages": [{ "mailbox": "1001", "id": id }], "undoWindow": "1s",
                        "ttlSecondsAfterFinished": 5 });
    scene.request("withheld", "ForgetMe", "withheld", named).await;
    let api = scene.site.api::<GdprRequest>(NAMESPACE).unwrap();
    let ended = |request: &GdprRequest| request.status.as_ref().is_some_and(|s| s.phase == Phase::Completed);
    wait_until(&api, "withheld", "it is completed", ERASURE, ended).await.unwrap();
    assert!(!scene.ids().await.contains(&id));
    // Of an erasure only the object says when backups are cleared; an export has nothing to wait for.
    scene.put_consumers("brief", "true").await;
    let brief = with(of_secret("brief"), json!({ "ttlSecondsAfterFinished": 5 }));
    scene.request("brief", "ExportMe", "brief", brief).await;
    wait_gone(&api, "brief", PATIENCE).await.unwrap();
    assert!(api.get_opt("withheld").await.unwrap().is_some(), "it is gone before BackupsCleared");
}
