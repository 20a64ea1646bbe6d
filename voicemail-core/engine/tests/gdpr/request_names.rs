//! A request finds its run again by its name, and only where all else that matters agrees.

use super::{naming, run};
use voicemail_api::gdpr::{GdprAnswer, GdprBody, Operation, RunState};
use voicemail_engine::gdpr::GdprError;
use voicemail_engine::testing::{CALLER, Site, body};

const STRANGER: &str = "+442079460777";
const KEY: &str = "voice/case-77";

/// A request with a key, as the operator of that cluster sends it, or somebody else.
fn keyed(caller: &str, cluster: Option<&str>) -> GdprBody {
    GdprBody {
        request_key: Some(KEY.into()),
        recorded_by: cluster.map(str::to_owned),
        requester: Some(cluster.map_or("officer", |_| "operator").into()),
        ..body("c", Some(caller), 3_600)
    }
}

async fn ask(site: &Site, operation: Operation, body: GdprBody) -> Result<GdprAnswer, GdprError> {
    match operation {
        Operation::ForgetMe => site.core.gdpr.forget(body).await,
        Operation::ExportMe => site.core.gdpr.export(body).await,
        Operation::UndoForget => site.core.gdpr.undo(GdprBody { consumers: Vec::new(), ..body }).await,
    }
}

fn is_reused(result: Result<GdprAnswer, GdprError>) -> bool {
    matches!(result, Err(GdprError::RequestKeyReused))
}

#[tokio::test]
async fn a_key_finds_its_run_for_the_same_operation_and_subject_alone() {
    use Operation::{ExportMe, ForgetMe, UndoForget};
    for first in [ForgetMe, ExportMe] {
        let site = Site::in_memory().await;
        let id = site.deposit("1001", CALLER).await;
        let other = site.deposit("1001", STRANGER).await;
        let opened = ask(&site, first, keyed(CALLER, Some("k"))).await.unwrap().run;
        for again in [ForgetMe, ExportMe, UndoForget] {
            for caller in [CALLER, STRANGER] {
                let answer = ask(&site, again, keyed(caller, Some("k"))).await;
                if again == first && caller == CALLER {
                    assert_eq!(answer.unwrap().run.id, opened.id);
                } else {
                    assert!(is_reused(answer), "{first:?}, then {again:?} of {caller}");
                }
            }
        }
        assert!(site.index("1001").await.visible(other).is_some(), "a stranger's message is hidden");
        assert_eq!(site.index("1001").await.visible(id).is_some(), first == ExportMe);
    }
}

#[tokio::test]
async fn a_key_of_an_ended_run_is_not_taken_for_anothers_request_either() {
    let site = Site::in_memory().await;
    site.deposit("1001", CALLER).await;
    let other = site.deposit("1001", STRANGER).await;
    let at_once = |caller| GdprBody { undo_window: Some("0s".into()), ..keyed(caller, Some("k")) };
    site.core.gdpr.forget(at_once(CALLER)).await.unwrap();
    site.sweep_after(1).await;
    assert_eq!(run(&site, "c").await.state, RunState::Purged);
    assert!(is_reused(site.core.gdpr.forget(at_once(STRANGER)).await));
    assert_eq!(site.core.gdpr.forget(at_once(CALLER)).await.unwrap().run.state, RunState::Purged);
    assert!(site.index("1001").await.visible(other).is_some());
}

#[tokio::test]
async fn messages_are_a_subject_too() {
    let site = Site::in_memory().await;
    let (one, other) = (site.deposit("1001", CALLER).await, site.deposit("1001", CALLER).await);
    let naming = |id| GdprBody { request_key: Some(KEY.into()), ..naming("c", &[("1001", id)], "1h") };
    let opened = site.core.gdpr.forget(naming(one)).await.unwrap().run;
    assert_eq!(site.core.gdpr.forget(naming(one)).await.unwrap().run.id, opened.id);
    assert!(is_reused(site.core.gdpr.forget(naming(other)).await));
    assert!(site.index("1001").await.visible(other).is_some());
}

#[tokio::test]
async fn nobody_occupies_an_operators_key_and_two_clusters_have_their_own() {
    let site = Site::in_memory().await;
    site.deposit("1001", CALLER).await;
    let others = site.core.gdpr.export(keyed(STRANGER, None)).await.unwrap().run;
    let ours = site.core.gdpr.export(keyed(CALLER, Some("k"))).await.unwrap().run;
    let twin = site.core.gdpr.export(keyed(STRANGER, Some("l"))).await.unwrap().run;
    assert!(others.id != ours.id && ours.id != twin.id && others.id != twin.id);
    assert_eq!(
        (others.recorded_by, ours.recorded_by.as_deref(), twin.recorded_by.as_deref()),
        (None, Some("k"), Some("l"))
    );
    let again = site.core.gdpr.export(keyed(CALLER, Some("k"))).await.unwrap().run;
    assert_eq!((again.id, again.exported), (ours.id, 1));
}

/// Two clusters on one store whose requests have the same names, about the same people: each has its own run. Two clusters
/// that have one name are one to the store, and so are their requests.
#[tokio::test]
async fn requests_of_one_name_in_two_clusters_are_two_and_in_one_are_one() {
    let site = Site::in_memory().await;
    site.deposit("1001", CALLER).await;
    let at_once = |cluster| GdprBody { undo_window: Some("0s".into()), ..keyed(CALLER, Some(cluster)) };
    let first = site.core.gdpr.forget(at_once("k")).await.unwrap().run;
    site.sweep_after(60).await;
    let later = site.deposit("1001", CALLER).await;
    let twin = site.core.gdpr.forget(at_once("l")).await.unwrap().run;
    assert_ne!(twin.id, first.id);
    assert_eq!(twin.recorded_by.as_deref(), Some("l"), "it isn't shown the end of the other cluster's");
    site.sweep_after(60).await;
    assert!(site.index("1001").await.visible(later).is_none());
    for (cluster, run) in [("k", &first), ("l", &twin)] {
        assert_eq!(site.core.gdpr.forget(at_once(cluster)).await.unwrap().run.id, run.id, "{cluster}");
    }
}

#[tokio::test]
async fn an_undo_made_again_for_another_run_is_told_so() {
    let site = Site::in_memory().await;
    site.deposit("1001", CALLER).await;
    let first = site.core.gdpr.forget(body("c", Some(CALLER), 3_600)).await.unwrap().run;
    let undo = |run: Option<&str>| GdprBody {
        run: run.map(str::to_owned),
        request_key: Some("voice/undo".into()),
        ..body("c", None, 0)
    };
    site.core.gdpr.undo(undo(Some(&first.id))).await.unwrap();
    let second = site.core.gdpr.forget(body("c", Some(CALLER), 3_600)).await.unwrap().run;
    assert!(is_reused(site.core.gdpr.undo(undo(Some(&second.id))).await));
    let stranger = GdprBody { request_key: Some("voice/undo".into()), ..body("c", Some(STRANGER), 0) };
    assert!(is_reused(site.core.gdpr.undo(stranger.clone()).await));
    assert!(is_reused(site.core.gdpr.forget(stranger).await), "an undo's key is no erasure's");
    assert_eq!(site.core.gdpr.undo(undo(Some(&first.id))).await.unwrap().run.id, first.id);
    assert_eq!(run(&site, "c").await.state, RunState::Marked);
}

#[tokio::test]
async fn two_runs_about_one_person_show_two_digests() {
    let site = Site::in_memory().await;
    let first = site.core.gdpr.export(body("c", Some(CALLER), 0)).await.unwrap().run;
    let other = site.core.gdpr.export(body("d", Some(CALLER), 0)).await.unwrap().run;
    let digest = |run: &voicemail_api::gdpr::RunView| run.subject_digest.clone().unwrap();
    assert_ne!(digest(&first), digest(&other));
    let receipt = site.core.gdpr.receipt(&"c".parse().unwrap(), Operation::ExportMe, 1).await.unwrap();
    assert!(receipt.receipt.contains(&digest(&first)), "the receipt says whom it is about");
}

#[tokio::test]
async fn a_repeated_undo_means_the_run_that_it_took_back() {
    let site = Site::in_memory().await;
    site.deposit("1001", CALLER).await;
    site.purge("c", CALLER).await;
    let second = site.core.gdpr.forget(body("c", Some(CALLER), 3_600)).await.unwrap().run;
    for _ in 0..2 {
        let undone = site.core.gdpr.undo(body("c", None, 0)).await.unwrap().run;
        assert_eq!((undone.id, undone.state), (second.id.clone(), RunState::Undone));
    }
    let third = site.core.gdpr.forget(body("c", Some(CALLER), 0)).await.unwrap().run;
    site.sweep_after(1).await;
    let late = site.core.gdpr.undo(body("c", None, 0)).await;
    assert!(matches!(late, Err(GdprError::TooLateToUndo)));
    assert_eq!(run(&site, "c").await.id, third.id);
}
