//! Data-subject requests of the examples that no other test applies: one that only counts, and one for callers who withheld
//! their number.

use std::time::Duration;

use voicemail_resources::conditions::{READY, find_condition};
use voicemail_resources::{GdprRequest, Phase};
use voicemail_test_machine::speech::{Coding, Studio};
use voicemail_test_machine::workspace_path;
use voicemail_tests::stage::{Api, Deposit, ExampleTenant, People, apply_request, follow_request};

const NAMESPACE: &str = "examples-rights";
const PATIENCE: Duration = Duration::from_secs(60);
const CALLER: &str = "+441632960001";

async fn leave(media_server: &Api, caller: &str) -> String {
    let audio = Studio::open().unwrap().speak("it is me", Coding::ALaw).unwrap();
    media_server.deposit(&Deposit::new("1001", caller, &audio)).await.unwrap().id.to_string()
}

/// The example with the message that was left in this test instead of its own.
fn name_message(id: &str) -> String {
    let text = std::fs::read_to_string(workspace_path("examples/gdpr/withheld.yaml")).unwrap();
    let request: GdprRequest = serde_yaml::from_str(&text).unwrap();
    let named = &request.spec.messages.unwrap()[0].id;
    assert!(text.contains(named.as_str()));
    text.replace(named.as_str(), id)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_changes_nothing_and_a_withheld_caller_is_forgotten_once_somebody_approves() {
    let example = ExampleTenant::open(NAMESPACE).await.unwrap();
    let People { media_server, agent, .. } = example.serve(&["1001"]).await.unwrap();
    let (site, tenant) = (&example.site, &example.tenant);
    leave(&media_server, CALLER).await;
    let withheld = leave(&media_server, "").await;

    site.apply_file(NAMESPACE, &workspace_path("examples/gdpr/consumers.yaml")).await.unwrap();
    let dry = apply_request(site, NAMESPACE, "dry-run.yaml").await.unwrap();
    let status = follow_request(site, NAMESPACE, &dry, Phase::Completed, PATIENCE).await.unwrap();
    assert_eq!(status.matched, Some(1));
    assert_eq!(find_condition(&status.conditions, READY).unwrap().reason, "DryRun");
    assert_eq!(agent.list("1001").await.unwrap().len(), 2, "nothing was hidden");

    site.apply_text(NAMESPACE, name_message(&withheld)).await.unwrap();
    follow_request(site, NAMESPACE, "case-77-forget", Phase::AwaitingApproval, PATIENCE).await.unwrap();
    assert_eq!(agent.list("1001").await.unwrap().len(), 2, "nothing is hidden before the approval");
    // As the example's comment says.
    let decision = r#"{"spec": {"approval": {"decision": "Approve", "by": "YOU"}}}"#;
    let patch = ["patch", "gdpr", "case-77-forget", "--type", "merge", "-p", decision, "-n", NAMESPACE];
    site.run_kubectl(&patch).await.unwrap();
    follow_request(site, NAMESPACE, "case-77-forget", Phase::Marked, PATIENCE).await.unwrap();
    let left = agent.list("1001").await.unwrap();
    assert!(left.len() == 1 && left[0].id.to_string() != withheld);

    // What is open would hold the tenant back; the example's own way out is an undo.
    let undo = std::fs::read_to_string(workspace_path("examples/gdpr/undo.yaml")).unwrap();
    site.apply_text(NAMESPACE, undo.replace("A-1042", "\"77\"")).await.unwrap();
    follow_request(site, NAMESPACE, "case-77-forget", Phase::Undone, PATIENCE).await.unwrap();
    tenant.remove().await.unwrap();
}
